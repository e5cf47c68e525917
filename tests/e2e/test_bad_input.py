"""Bad input: each gets a clear message and an exit code, and whatever was well goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Demo, Hubs
from harness import desired, hostile_peers
from harness.hub import Hub, mdhub
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import eventually
from harness.world import FUTURES, MAIN_FRONT, live_world, settings

HEAD = "apiVersion: mdhub/v1\nkind: Hub\n"

# A settings file's rest, the place of its fault, and what the message must name.
BAD_SETTINGS = {
    "an unknown section": ("nonsense: 1\n", ":3:", ["nonsense"]),
    "a wrong field": ("publish:\n  lisen: tcp://127.0.0.1:5555\n", ":4:", ["publish", "lisen", "listen"]),
    "an endpoint without tcp": ("publish:\n  listen: 127.0.0.1:5555\n", ":4:", ["publish.listen", "tcp://IP:PORT"]),
    "a contract without exchange": ("contracts:\n  list: [rb2701]\n", ":4:", ["contracts.list[0]", "rb2701", "SHFE"]),
    "an exchange that is none": ("contracts:\n  list:\n  - rb2701.XXXX\n", ":5:", ["contracts.list[0]", "XXXX"]),
    "a rule that is none": ("cleansing:\n  rules: {no_tme: on}\n", ":4:", ["cleansing.rules", "no_tme", "no_time"]),
    "a number out of range": ("health: {backoff_min_ms: 5}\n", "", ["health.backoff_min_ms", "5", "10 to 60000"]),
    "another kind of text": ("http: {listen: here}\n", ":3:", ["http.listen", "here"]),
    "no YAML at all": ("publish: [\n", ":", []),
}


def _refused(data_dir: Path, settings_file: Path) -> str:
    """What a hub says that must not start."""
    hub = Hub.run(data_dir, settings_file)
    try:
        code = hub.process.wait(20)
    finally:
        left = hub.clear_away()
    assert code != 0 and not left, f"exit code {code}, left {left}: {hub.log()}"
    return hub.log()


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_check_and_run_name_file_line_and_field_of_a_fault(name: str, tmp_path: Path) -> None:
    rest, place, parts = BAD_SETTINGS[name]
    path = tmp_path / "mdhub.yaml"
    path.write_text(HEAD + rest)
    checked = mdhub("check", "--config", str(path))
    assert checked.returncode == 1, checked
    for message in (checked.stderr, _refused(tmp_path / "data", path)):
        assert f"{path}{place}" in message, message
        for part in parts:
            assert part in message, f"{part!r} is not in {message!r}"


def test_check_accepts_a_good_file_and_leaves_no_trace(tmp_path: Path) -> None:
    path = settings(tmp_path, live_world(), FUTURES)
    before = sorted(tmp_path.iterdir())
    checked = mdhub("check", "--config", str(path))
    assert checked.returncode == 0, checked.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    checked = mdhub("check", "--config", str(missing))
    assert checked.returncode == 1 and str(missing) in checked.stderr, checked
    assert str(missing) in _refused(tmp_path / "data", missing)


def test_a_contract_file_with_a_bad_line_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "night.txt").write_text("rb2701.SHFE\nau27\n")
    path = tmp_path / "mdhub.yaml"
    path.write_text(f"{HEAD}contracts: {{files: [night.txt]}}\n")
    checked = mdhub("check", "--config", str(path))
    assert checked.returncode == 1 and "night.txt:2" in checked.stderr and "au27" in checked.stderr, checked


def test_an_unknown_flag_or_command_teaches_what_there_is() -> None:
    for words in (["rum"], ["demo", "--htp", "x"], ["account", "add", "--id", "x", "--gateway", "xtp"]):
        refused = mdhub(*words)
        assert refused.returncode == 2, refused
        assert "Usage" in refused.stderr or "allowed" in refused.stderr, refused.stderr


@pytest.mark.parametrize(
    ("flag", "value", "part"),
    [
        ("--md-address", "127.0.0.1:41213", "tcp://HOST:PORT"),
        ("--md-address", "tcp://127.0.0.1", "tcp://HOST:PORT"),
        ("--id", "CTP main", "lower-case"),
        ("--gateway", "xtp", "ctp, sopt"),
        ("--user-id", "x" * 16, "user_id"),
        ("--password", "secret", "--password"),
    ],
)
def test_an_account_with_a_bad_field_is_refused_by_name(flag: str, value: str, part: str, tmp_path: Path) -> None:
    desired.add(tmp_path / "data", "ctp-other", MAIN_FRONT)
    before = desired.listed(tmp_path / "data")
    good = {"--id": "ctp-main", "--gateway": "ctp", "--md-address": MAIN_FRONT, "--library": "sim"}
    words = [word for pair in {**good, flag: value}.items() for word in pair]
    refused = desired.account(tmp_path / "data", "add", *words)
    assert refused.returncode != 0 and part in refused.stderr, refused
    assert desired.listed(tmp_path / "data") == before


def test_an_id_that_is_taken_is_refused_and_the_account_stays_as_it_is(tmp_path: Path) -> None:
    desired.add(tmp_path / "data", "ctp-main", MAIN_FRONT)
    before = desired.listed(tmp_path / "data")
    words = ["add", "--id", "ctp-main", "--gateway", "sopt", "--md-address", MAIN_FRONT, "--library", "sim"]
    refused = desired.account(tmp_path / "data", *words)
    assert refused.returncode != 0 and "ctp-main" in refused.stderr, refused
    assert desired.listed(tmp_path / "data") == before


def _bad_row(**changed: Any) -> str:
    good = {"md_address": MAIN_FRONT, "broker_id": "9999", "user_id": "u", "library": "sim"}
    return json.dumps({**good, **changed})


@pytest.mark.parametrize(
    ("row", "part"),
    [
        (_bad_row(library="nope"), "nope"),
        (_bad_row(md_address="127.0.0.1:41213"), "tcp://HOST:PORT"),
        (_bad_row(md_adress="tcp://127.0.0.1:1"), "md_adress"),
    ],
)
def test_one_bad_account_row_is_named_in_the_log_and_the_others_go_on(hubs: Hubs, row: str, part: str) -> None:
    hub = hubs.live()
    before = hub.workers()
    with Subscriber(hub.listening().zmq) as subscriber:
        subscriber.wait_for_ticks(20, 20)
        statement = "INSERT INTO accounts (id, gateway, settings) VALUES ('bad-one', 'ctp', ?)"
        assert desired.by_hand(hub.data_dir, statement, row) == 1

        def lines() -> list[str]:
            return [line for line in hub.log().splitlines() if "bad-one" in line and part in line]

        eventually(lines, 5, f"{part} in the log")
        subscriber.wait_for_ticks(50, 20)
        assert_unbroken(subscriber.by_topic())
    assert len(lines()) <= 3, f"the same fault is told over and over: {lines()}"
    assert [worker for worker in hub.workers() if worker.account != "bad-one"] == before
    assert hub.worker("bad-one") is None


def test_a_library_that_is_no_library_is_named_and_the_others_go_on(hubs: Hubs, tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("this is not ELF")
    path = settings(tmp_path, live_world(), FUTURES)
    document = json.loads(path.read_text())
    document["libraries"]["broken"] = {"path": str(text)}
    document["libraries"]["altered"] = {**document["libraries"]["sim"], "sha256": "0" * 64}
    path.write_text(json.dumps(document))
    hub = hubs.run(path)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    desired.add(hub.data_dir, "broken-one", MAIN_FRONT, library="broken")
    desired.add(hub.data_dir, "altered-one", MAIN_FRONT, library="altered")
    for account, part in (("broken-one", "text.so"), ("altered-one", "sha256")):
        eventually(
            lambda a=account, p=part: any(a in line and p in line.lower() for line in hub.log().splitlines()),  # type: ignore[misc]
            10,
            f"{account} and {part} on one line of the log",
        )
    with Subscriber(hub.listening().zmq) as subscriber:
        subscriber.wait_for_ticks(20, 20)
        assert {tick.payload["source"] for tick in subscriber.ticks()} == {"ctp-main"}


def test_a_taken_port_is_named_and_nothing_stays_behind(taken_port: int, tmp_path: Path) -> None:
    for number, section in enumerate(("http", "publish")):
        address = f"127.0.0.1:{taken_port}"
        listen = {"listen": f"tcp://{address}" if section == "publish" else address}
        path = settings(tmp_path / str(number), live_world(), FUTURES, **{section: listen})
        message = _refused(tmp_path / f"data-{number}", path)
        assert address in message and "in use" in message.lower(), message
        assert not (tmp_path / f"data-{number}" / "run.json").exists()


def test_a_second_hub_on_one_data_directory_is_kept_out(hubs: Hubs) -> None:
    hub = hubs.live()
    before = hub.workers()
    second = Hub.run(hub.data_dir, hubs.directory / "mdhub.yaml")
    try:
        assert second.process.wait(15) != 0
    finally:
        assert not second.clear_away()
    assert "another hub" in hub.log() and str(hub.data_dir) in hub.log(), hub.log()[-2000:]
    assert hub.workers() == before
    assert hub.listening().pid == hub.pid, "the second hub overwrote run.json"


def test_hostile_peers_cost_a_healthy_subscriber_nothing(demo: Demo) -> None:
    watching = Subscriber(demo.zmq).connected()
    with watching:
        watching.wait_for_ticks(50, 20)
        for seed in range(4):
            for peer in hostile_peers.throw(demo.zmq, seed, 50):
                peer.close()
            watching.wait_for_ticks(50, 20)
        assert_unbroken(watching.by_topic())
        assert watching.disconnects == 0
        late = Subscriber(demo.zmq).connected()
        with late:
            late.wait_for_ticks(20, 20)
    assert demo.hub.health() == (200, {"status": "ok"})
    assert len(demo.hub.workers()) == 3


def test_a_peer_that_never_finishes_its_handshake_is_cut(hubs: Hubs) -> None:
    publish = {"listen": "tcp://127.0.0.1:0", "handshake_timeout_ms": 500}
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES, publish=publish))
    for opening in (b"", hostile_peers.GREETING[:20], hostile_peers.GREETING):
        with hostile_peers.connect(hub.listening().zmq) as peer:
            peer.sendall(opening)
            assert hostile_peers.cut(peer, 10), f"after {opening!r} it is still connected"
    with hostile_peers.connect(hub.listening().zmq) as peer:
        peer.sendall(hostile_peers.GREETING + hostile_peers.READY)
        assert not hostile_peers.cut(peer, 1.5), "a peer that did finish it was cut"
