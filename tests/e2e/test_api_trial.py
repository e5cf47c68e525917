"""A login that is tried: live steps in a process of its own, beside gateways that run on undisturbed."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import Hubs
from harness.api import basic, send
from harness.hub import Hub, mdhub
from harness.places import SIMULATED_LIBRARY
from harness.processes import workers_of
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import MAIN_FRONT

PASSWORD = "a-password-that-is-tried"
PATH = "/api/accounts/validate"


def account(front: str, **more: Any) -> dict[str, Any]:
    """An account that the database does not have."""
    settings = {"user_id": "u", "broker_id": "9999", "md_address": [front], "library": "sim"}
    return {"id": "tried", "gateway": "ctp", "settings": settings, "password": PASSWORD, **more}


class Trial:
    """A trial whose steps are read as they come."""

    def __init__(self, hub: Hub, body: dict[str, Any]) -> None:
        self.connection = http.client.HTTPConnection(urllib.parse.urlparse(hub.listening().http).netloc, timeout=40)
        head = {"Authorization": basic(hub), "Content-Type": "application/json"}
        self.connection.request("POST", PATH, json.dumps(body), head)
        self.answer = self.connection.getresponse()

    def steps(self) -> Iterator[dict[str, Any]]:
        """Each step, when it comes."""
        for line in self.answer:
            yield json.loads(line)

    def close(self) -> None:
        """Goes away."""
        if self.connection.sock is not None:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def tried(hub: Hub, body: dict[str, Any]) -> list[tuple[str, str, str]]:
    """All steps of a trial."""
    trial = Trial(hub, body)
    assert trial.answer.status == 200, trial.answer.read()
    assert trial.answer.headers["Content-Type"] == "application/x-ndjson"
    steps = list(trial.steps())
    assert [step["at_ms"] for step in steps] == sorted(step["at_ms"] for step in steps)
    return [(step["step"], step["outcome"], step["message"]) for step in steps]


def tryouts(hub: Hub) -> list[int]:
    """Processes of trials, as the kernel knows them."""
    return [worker.pid for worker in workers_of(hub.pid) if worker.account == "probe"]


def test_a_good_login_is_followed_to_its_first_tick_and_a_bad_one_says_what_is_wrong(hubs: Hubs) -> None:
    hub = hubs.live()
    before = [worker for worker in workers_of(hub.pid)]
    with Subscriber(hub.listening().zmq).connected() as subscriber:
        subscriber.wait_for_ticks(10, 20)
        good = tried(hub, account(MAIN_FRONT))
        names = [name for name, _, _ in good]
        for name in ("library", "address", "front", "login", "subscription", "tick", "password", "result"):
            assert name in names, good
        assert good[-1][:2] == ("result", "ok"), good
        (said,) = [message for name, _, message in good if name == "password"]
        assert "was not tried" in said
        # The fronts of this market let in anybody: that is found out only by whoever asks for it.
        checked = tried(hub, account(MAIN_FRONT, check_password=True))
        assert [step for step in checked if step[0] == "password"][0][1:2] in (("ok",), ("warn",)), checked
        # One that there is, with the password that is stored.
        assert tried(hub, {"id": "ctp-main"})[-1][:2] == ("result", "ok")
        nowhere = tried(hub, account("tcp://no-such-host.invalid:1"))
        assert ("address", "warn") in [step[:2] for step in nowhere] and nowhere[-1][1] == "failed", nowhere
        subscriber.wait_for_ticks(10, 20)
    assert [worker for worker in workers_of(hub.pid)] == before, "a gateway that runs was disturbed"
    text = hub.log() + (hub.data_dir / "status.json").read_text()
    assert PASSWORD not in text
    assert not list((hub.data_dir / "trials").iterdir())
    events = send(hub, "GET", "/api/events?account=tried")[1]["items"]
    assert {(event["reason"], event["actor"]) for event in events} == {("LoginTried", "admin")}
    ends = [event["message"].removeprefix("its login was tried ").split(":")[0] for event in reversed(events)]
    assert len(ends) == 3 and ends[0] == "well" and ends[2] == "in vain", events


def test_what_cannot_be_tried_starts_no_process(hubs: Hubs) -> None:
    hub = hubs.live()
    elsewhere = {"id": "ctp-main", "settings": {"md_address": ["tcp://10.0.0.1:1"]}}
    unknown = account(MAIN_FRONT)
    unknown["settings"]["library"] = "other"
    for body, part in [
        (elsewhere, "password"),
        (unknown, "libraries"),
        ({"id": "tried"}, "gateway"),
        ({"id": "NOT AN ID"}, "id"),
        ({}, "id"),
        (account(MAIN_FRONT, check_password="yes"), "check_password"),
        (account("http://x"), "md_address"),
    ]:
        status, problem, _ = send(hub, "POST", PATH, body)
        assert status == 422 and part in json.dumps(problem), (body, problem)
    assert tryouts(hub) == []
    stranger = http.client.HTTPConnection(urllib.parse.urlparse(hub.listening().http).netloc, timeout=10)
    stranger.request("POST", PATH, json.dumps(account(MAIN_FRONT)), {"Content-Type": "application/json"})
    assert stranger.getresponse().status == 401


def test_two_at_once_and_whoever_goes_away_leaves_nothing_behind(hubs: Hubs) -> None:
    hub = hubs.live()
    # A listener that takes connections and never speaks: the library waits for it.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        body = account(f"tcp://127.0.0.1:{mute.getsockname()[1]}")
        trials = [Trial(hub, body) for _ in range(2)]
        for trial in trials:
            assert next(trial.steps())["step"] == "library"
        eventually(lambda: len(tryouts(hub)) == 2, 20, "two processes")
        for pid in tryouts(hub):
            command = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
            assert PASSWORD.encode() not in command
            assert os.getpgid(pid) == pid, "it is in a group of its own"
        status, problem, head = send(hub, "POST", PATH, body)
        assert status == 429 and "two" in problem["detail"] and 1 <= int(head["retry-after"]) <= 30
        for trial in trials:
            trial.close()
        eventually(lambda: tryouts(hub) == [], 20, "the processes are gone with those who asked")
        eventually(lambda: not list((hub.data_dir / "trials").iterdir()), 20, "their directories, too")
        told = lambda: [event["message"] for event in send(hub, "GET", "/api/events?account=tried")[1]["items"]]
        eventually(lambda: len(told()) == 2, 20, "an event of each")
        assert all("left before the result" in message for message in told()), told()
        # A hub that ends meanwhile ends the trial.
        last = Trial(hub, body)
        assert last.answer.status == 200
        eventually(lambda: len(tryouts(hub)) == 1, 20, "a process")
        begin = time.monotonic()
        pid = hub.pid
        hub.stop()
        assert time.monotonic() - begin < 20
        assert [worker for worker in workers_of(pid) if worker.account == "probe"] == []


def test_the_deadline_counts_while_fronts_are_looked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        # A queue without room: whoever comes next waits for an answer that does not come.
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        file = tmp_path / "account.json"
        fronts = [f"tcp://{host}:{port}" for host in ("127.0.0.1", "localhost", "127.1")]
        file.write_text(json.dumps({"user_id": "u", "broker_id": "9999", "password": PASSWORD, "md_address": fronts}))
        file.chmod(0o600)
        begin = time.monotonic()
        done = mdhub("gateway", "ctp", "--probe", str(file), "--library", str(SIMULATED_LIBRARY), "--timeout-s", "1")
        took_s = time.monotonic() - begin
        for client in waiting:
            client.close()
    assert done.returncode == 22 and "not done within 1000 ms" in done.stdout, done
    assert done.stdout.count("is not reached by TCP") == 1 and took_s < 3.0, (took_s, done.stdout)
