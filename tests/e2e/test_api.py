"""The control port of a real hub: what every account is at, for whoever has the administrator's password."""

from __future__ import annotations

import base64
import json
import os
import signal
import urllib.error
import urllib.request
from typing import Any

from conftest import Hubs
from harness import desired
from harness.hub import Hub, mdhub
from harness.waiting import eventually


def ask(hub: Hub, path: str, password: str | None, user: str = "admin") -> tuple[int, Any]:
    """Status and body of a GET."""
    request = urllib.request.Request(hub.listening().http + path)
    if password is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as problem:
        return problem.code, json.load(problem)


def initial_password(hub: Hub) -> str:
    """The one that was made at the first start."""
    return (hub.data_dir / "initial-admin-password").read_text().strip()


def test_the_gateways_are_shown_with_their_counters_and_a_change_is_waited_for(hubs: Hubs) -> None:
    hub = hubs.live()
    password = initial_password(hub)
    status, found = ask(hub, "/api/gateways", password)
    assert status == 200
    items = {item["id"]: item for item in found["items"]}
    assert set(items) == {"ctp-main", "ctp-backup", "sopt-main"}
    assert found["desired"]["state"] == "fresh"
    main = eventually(
        lambda: one if (one := ask(hub, "/api/gateways/ctp-main", password)[1])["phase"] == "Healthy" else None,
        20,
        "ctp-main to be healthy",
    )
    assert main["pid"] == hub.running("ctp-main").pid
    assert main["counters"]["received"] > 0
    assert [main[name] for name in ("kind", "priority", "is_enabled", "suspended", "restarts")] == ["ctp", 1, True, False, 0]
    (life,) = main["incarnations"]
    assert (life["incarnation"], life["started_at_ms"], life["ended_at_ms"]) == (main["incarnation"], main["started_at_ms"], None)
    desired.change(hub.data_dir, "disable", "ctp-main")
    generation = desired.listed(hub.data_dir)["ctp-main"]["generation"]
    _, after = ask(hub, f"/api/gateways/ctp-main?wait_generation={generation}", password)
    assert (after["observed_generation"], after["pid"]) == (generation, None)
    (life,) = after["incarnations"]
    assert (after["is_enabled"], after["started_at_ms"], after["restarts"], life["asked"]) == (False, None, 1, True)
    assert life["incarnation"] == main["incarnation"] and life["ended_at_ms"] >= life["started_at_ms"] == main["started_at_ms"]
    assert ask(hub, "/api/gateways/ctp-mian", password)[0] == 404
    text = json.dumps(found)
    assert "a-password" not in text
    assert password not in hub.log()


def test_nobody_else_is_let_in_and_a_reset_password_counts_at_once(hubs: Hubs) -> None:
    hub = hubs.empty()
    first = initial_password(hub)
    for user, password in [("admin", "a guess at it"), ("root", first), ("admin", None)]:
        status, problem = ask(hub, "/api/gateways", password, user)
        assert (status, problem["status"]) == (401, 401)
    assert ask(hub, "/api/gateways", first)[0] == 200
    words = ["admin", "reset-password", "--data-dir", str(hub.data_dir)]
    short = mdhub(*words, "--password-stdin", stdin="short\n")
    assert short.returncode == 1
    assert "8 to 256" in short.stderr
    assert ask(hub, "/api/gateways", first)[0] == 200
    assert mdhub(*words, "--password-stdin", stdin="a new password\n").returncode == 0
    eventually(lambda: ask(hub, "/api/gateways", "a new password")[0] == 200 or None, 20, "the new password to count")
    assert ask(hub, "/api/gateways", first)[0] == 401
    assert not (hub.data_dir / "initial-admin-password").exists()
    assert (hub.data_dir / "auth").stat().st_mode & 0o777 == 0o600


def test_describe_tells_why_and_what_comes_next(hubs: Hubs) -> None:
    hub = hubs.live()
    worker = hub.running("ctp-main")
    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: hub.running("ctp-main").pid != worker.pid or None, 20, "a new process")
    words = ["describe", "--data-dir", str(hub.data_dir)]

    def told() -> str | None:
        text = mdhub(*words, "ctp-main").stdout
        return text if "Phase       Healthy" in text and "Failover by hub" in text else None

    text = eventually(told, 20, "describe to tell of the failover and of what is well again")
    assert f"Hub         runs, process {hub.pid}" in text
    assert "Last exit" in text
    assert "signal 9" in text
    assert "ctp-backup (" in text
    counted = lambda: json.loads(mdhub(*words, "--json").stdout)["vitals"]["ctp-main"]["received"] or None
    eventually(counted, 20, "the counters of the new process")
    assert "it knows: ctp-backup, ctp-main, sopt-main" in mdhub(*words, "ctp-mian").stderr
    hub.process.kill()
    hub.process.wait()
    assert "does not run here" in mdhub(*words).stdout
    hub.clear_away()
    hubs.started.remove(hub)
