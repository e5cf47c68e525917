"""Accounts over HTTP: what is written is desired state, and the processes follow. No password ever comes back."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from typing import Any

from conftest import Hubs
from harness import desired, status
from harness.api import basic, send
from harness.hub import Hub
from harness.places import REPOSITORY
from harness.waiting import always, eventually
from harness.world import MAIN_FRONT

PASSWORD = "a-pass-word-of-mine"
EVIL_FRONT = "tcp://127.0.0.1:41999"
NEW: dict[str, Any] = {
    "id": "ctp-new",
    "gateway": "ctp",
    "password": PASSWORD,
    "priority": 3,
    "settings": {"user_id": "u1", "broker_id": "9999", "md_address": MAIN_FRONT, "library": "sim"},
}


def _wait_generation(hub: Hub, account: str, generation: int) -> dict[str, Any]:
    code, shown, _ = send(hub, "GET", f"/api/gateways/{account}?wait_generation={generation}")
    assert (code, shown["observed_generation"]) == (200, generation), shown
    return dict(shown)


def test_an_account_is_added_steered_and_removed_and_its_process_follows(hubs: Hubs) -> None:
    hub = hubs.live()
    code, made, head = send(hub, "POST", "/api/accounts", NEW)
    assert (code, made["has_password"], made["generation"]) == (201, True, 1), made
    assert (head["location"], head["etag"]) == ("/api/accounts/ctp-new", '"1"')
    status.wait_for_phase(hub, "ctp-new", "Healthy")
    first = hub.running("ctp-new")

    code, told, _ = send(hub, "POST", "/api/accounts/ctp-new/restart")
    assert (code, told["restart_generation"]) == (202, 1)
    hub.replaced(first)
    code, told, _ = send(hub, "POST", "/api/accounts/ctp-new/stop")
    assert code == 202
    assert _wait_generation(hub, "ctp-new", told["generation"])["pid"] is None
    code, problem, _ = send(hub, "POST", "/api/accounts/ctp-new/restart")
    assert code == 409 and "start it instead" in problem["detail"]
    assert send(hub, "POST", "/api/accounts/ctp-new/start")[0] == 202
    hub.running("ctp-new")
    code, off, _ = send(hub, "PUT", "/api/accounts/ctp-new", {"is_enabled": False})
    assert (code, off["is_enabled"]) == (200, False)
    assert _wait_generation(hub, "ctp-new", off["generation"])["pid"] is None
    code, problem, _ = send(hub, "POST", "/api/accounts/ctp-new/start")
    assert code == 409 and "is_enabled" in problem["detail"]
    assert send(hub, "DELETE", "/api/accounts/ctp-new")[0] == 204
    assert send(hub, "GET", "/api/accounts/ctp-new")[0] == 404

    code, events, _ = send(hub, "GET", "/api/events?account=ctp-new")
    by_hand = [(event["reason"], event["actor"]) for event in events["items"] if event["actor"] != "hub"]
    assert by_hand == [(what, "admin") for what in ("Deleted", "Changed", "Started", "Stopped", "HardRestart", "Added")]
    assert all("from 127.0.0.1" in event["message"] for event in events["items"] if event["actor"] == "admin")


def test_a_changed_front_without_the_password_is_refused_and_nothing_connects_there(hubs: Hubs) -> None:
    hub = hubs.live()
    before = send(hub, "GET", "/api/accounts/ctp-main")[1]
    process = hub.running("ctp-main")
    for change in ({"settings": {"md_address": [EVIL_FRONT]}}, {"settings": {"library": "other"}}, {"gateway": "sopt"}):
        code, problem, _ = send(hub, "PUT", "/api/accounts/ctp-main", change)
        assert (code, problem["errors"][0]["field"]) == (422, "password"), problem
    always(lambda: hub.running("ctp-main") == process, 1.0, "the same process")
    assert send(hub, "GET", "/api/accounts/ctp-main")[1] == before
    assert EVIL_FRONT not in hub.log()
    put = send(hub, "PUT", "/api/accounts/ctp-main", {"settings": {"md_address": [EVIL_FRONT]}, "password": PASSWORD})
    assert put[0] == 200
    hub.replaced(process)


def test_of_two_writers_the_second_is_told_and_bad_requests_change_nothing(hubs: Hubs) -> None:
    hub = hubs.empty()
    assert send(hub, "POST", "/api/accounts", {**NEW, "is_enabled": False})[0] == 201
    _, read, head = send(hub, "GET", "/api/accounts/ctp-new")
    match = {"If-Match": head["etag"]}
    assert send(hub, "PUT", "/api/accounts/ctp-new", {"priority": 1}, match)[0] == 200
    code, problem, _ = send(hub, "PUT", "/api/accounts/ctp-new", {"priority": 2}, match)
    assert (code, problem["generation"]) == (409, 2), problem
    code, problem, _ = send(hub, "DELETE", "/api/accounts/ctp-new", headers=match)
    assert (code, problem["generation"]) == (409, 2), "what was read is no longer there"
    code, problem, _ = send(hub, "PUT", "/api/accounts/ctp-new", {**read, "priority": 2})
    assert code == 409, "the generation of a document counts like If-Match"
    assert send(hub, "POST", "/api/accounts", NEW)[0] == 409, "the id is taken"
    for method, path, body, code in [
        ("POST", "/api/accounts", {**NEW, "id": "Not A Slug"}, 422),
        ("POST", "/api/accounts", {**NEW, "id": "other", "prioritty": 1}, 422),
        ("POST", "/api/accounts", {**NEW, "id": "other", "settings": {"md_address": "udp://x:1", "library": "sim"}}, 422),
        ("POST", "/api/accounts", [1], 422),
        ("PUT", "/api/accounts/ctp-new", {"priority": 0}, 422),
        ("PUT", "/api/accounts/nobody", {"priority": 1}, 404),
        ("DELETE", "/api/accounts/nobody", None, 404),
        ("POST", "/api/accounts/ctp-new/explode", None, 404),
        ("POST", "/api/accounts/confirm-empty", None, 409),
        ("GET", "/api/events?limit=0", None, 400),
        ("GET", "/api/events?colour=red", None, 400),
    ]:
        got, problem, _ = send(hub, method, path, body)
        assert (got, problem["status"]) == (code, code), (method, path, body, problem)
        assert PASSWORD not in json.dumps(problem)
    accounts = send(hub, "GET", "/api/accounts")[1]
    assert [(a["id"], a["priority"]) for a in accounts["items"]] == [("ctp-new", 1)]
    assert accounts["set_aside"] == []


def test_a_pasted_vnpy_file_is_read_for_a_form_without_its_password(hubs: Hubs) -> None:
    hub = hubs.empty()
    pasted = {"用户名": "u1", "密码": PASSWORD, "经纪商代码": "9999", "行情服务器": "127.0.0.1:41213", "交易服务器": "", "颜色": 1}
    code, read, _ = send(hub, "POST", "/api/accounts/parse", pasted)
    assert (code, read["unknown_keys"]) == (200, ["颜色"])
    assert read["account"]["settings"]["md_address"] == ["tcp://127.0.0.1:41213"]
    assert PASSWORD not in json.dumps(read)
    assert send(hub, "POST", "/api/accounts/parse", {"nonsense": 1})[0] == 422
    assert send(hub, "GET", "/api/accounts")[1]["items"] == [], "nothing is written"


def test_a_row_that_cannot_be_used_is_shown_and_no_answer_ever_has_a_password(hubs: Hubs) -> None:
    hub = hubs.empty()
    send(hub, "POST", "/api/accounts", {**NEW, "is_enabled": False})
    send(hub, "POST", "/api/accounts", {**NEW, "id": "spoiled", "is_enabled": False})
    assert desired.by_hand(hub.data_dir, "UPDATE accounts SET settings = ? WHERE id = 'spoiled'", '{"library": 7}')
    accounts = send(hub, "GET", "/api/accounts")[1]
    assert [account["id"] for account in accounts["items"]] == ["ctp-new"]
    assert [row["id"] for row in accounts["set_aside"]] == ["spoiled"]
    for path in ("/api/accounts", "/api/accounts/ctp-new", "/api/events", "/api/gateways"):
        assert PASSWORD not in json.dumps(send(hub, "GET", path)[1])
    assert PASSWORD not in hub.log()


def test_while_the_database_is_away_a_write_is_503_and_what_runs_goes_on(hubs: Hubs) -> None:
    hub = hubs.live()
    process = hub.running("ctp-main")
    file = hub.data_dir / "mdhub.db"
    away = file.with_name("away.db")
    os.rename(file, away)
    file.mkdir()
    try:
        code, problem, _ = eventually(
            lambda: answer if (answer := send(hub, "POST", "/api/accounts/ctp-main/stop"))[0] == 503 else None, 30, "a 503"
        )
        assert "stays in force" in problem["detail"]
        assert hub.running("ctp-main") == process
    finally:
        file.rmdir()
        os.rename(away, file)
    assert sqlite3.connect(file).execute("SELECT count(*) FROM accounts").fetchone() == (3,)
    eventually(lambda: send(hub, "GET", "/api/accounts")[0] == 200 or None, 30, "the database to be back")


def test_strangers_and_pages_of_other_sites_change_nothing(hubs: Hubs) -> None:
    hub = hubs.live()
    process = hub.running("ctp-main")
    port = int(hub.listening().http.rsplit(":", 1)[1])
    for headers, code in [
        ({"Authorization": ""}, 401),
        ({"Authorization": basic(hub)[:-4]}, 401),
        ({"Authorization": "", "Cookie": "mdhub_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, 401),
        ({"Origin": f"http://127.0.0.1:{port + 1}"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
    ]:
        assert send(hub, "POST", "/api/accounts/ctp-main/stop", headers=headers)[0] == code, headers
    always(lambda: hub.running("ctp-main") == process, 1.0, "the same process")


def test_the_lines_of_curl_in_the_readme_do_what_they_say(hubs: Hubs) -> None:
    hub = hubs.live()
    text = (REPOSITORY / "README.md").read_text()
    lines = text.split("```sh\nHUB=")[1].split("```")[0].splitlines()[1:]
    folder = hub.data_dir.parent
    (folder / "mdhub-data").symlink_to(hub.data_dir)
    process = hub.running("ctp-main")
    answers = []
    for line in lines:
        done = subprocess.run(
            ["bash", "-euc", line], cwd=folder, env={**os.environ, "HUB": hub.listening().http}, capture_output=True,
            text=True, check=True, timeout=60,
        )
        answers.append(json.loads(done.stdout))
    accounts, session, disabled, restarted, gateway, events, logs = answers
    assert {account["id"] for account in accounts["items"]} == {"ctp-main", "ctp-backup", "sopt-main"}
    assert session["username"] == "admin" and disabled["is_enabled"] is False
    assert restarted["restart_generation"] == 1
    assert (gateway["observed_generation"], gateway["pid"]) == (2, None)
    assert {event["reason"] for event in events["items"]} >= {"Changed", "HardRestart"}
    assert "items" in logs
    hub.replaced(process)


def test_vnpys_own_words_are_taken_where_ours_are(hubs: Hubs) -> None:
    hub = hubs.empty()
    theirs = {"用户名": "u1", "密码": PASSWORD, "经纪商代码": 9999, "交易服务器": "tcp://x:1", "行情服务器": "127.0.0.1:41213", "授权编码": ""}
    file = {"id": "from-file", "gateway": "ctp", "is_enabled": False, "broker": "b", "connect_setting": {**theirs, "library": "sim"}}
    code, made, _ = send(hub, "POST", "/api/accounts", file)
    ours = {"user_id": "u1", "broker_id": "9999", "md_address": [MAIN_FRONT], "library": "sim"}
    assert (code, made["settings"], made["has_password"]) == (201, ours, True), made
    bare = {"id": "bare", "gateway": "ctp", "is_enabled": False, **theirs}
    code, made, _ = send(hub, "POST", "/api/accounts", bare)
    assert (code, made["settings"], made["has_password"]) == (201, {**ours, "library": "ctp"}, True), made
    code, now, _ = send(hub, "PUT", "/api/accounts/from-file", {"settings": {"用户名": "u2"}})
    assert (code, now["settings"]) == (200, {**ours, "user_id": "u2"}), now
    code, problem, _ = send(hub, "PUT", "/api/accounts/from-file", {"行情服务器": EVIL_FRONT})
    assert (code, problem["errors"][0]["field"]) == (422, "password"), "it does not follow its account in any language"
    for odd in ({**theirs, "颜色": "red"}, {**theirs, "user_id": "u3"}):
        code, problem, _ = send(hub, "POST", "/api/accounts", {"id": "odd", "gateway": "ctp", "settings": odd})
        assert code == 422 and PASSWORD not in json.dumps(problem), problem
    assert {item["id"] for item in send(hub, "GET", "/api/accounts")[1]["items"]} == {"from-file", "bare"}
    assert PASSWORD not in hub.log()
