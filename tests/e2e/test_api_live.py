"""What a real hub tells its clients as it happens: by `/ws`, without a silent hole, to two hundred of them at once."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import websocket
from conftest import Hubs
from harness import api, desired
from harness.hub import Hub
from harness.live import LiveClient
from harness.waiting import eventually
from harness.world import MAIN_FRONT, LiveWorld, scenario

CLIENTS = 200
TOLD_WITHIN_S = 1.0


def test_a_killed_worker_is_told_within_a_second_and_what_is_told_is_what_is(hubs: Hubs) -> None:
    hub = hubs.live()
    client = LiveClient.open(hub)
    accounts = ("ctp-main", "ctp-backup", "sopt-main")
    client.until(lambda c: all(c.phase(a) == "Healthy" for a in accounts), 30, "all to be healthy")
    assert client.snapshots == 1
    assert client.hub["desired"]["state"] == "fresh"
    assert client.hub["sections"] == {"always_open": True, "items": [], "calendar_days_left": None}
    pid = hub.running("ctp-main").pid
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    told = client.until(lambda c: c.gateways["ctp-main"]["pid"] != pid, 20, "the end of the process")
    print(f"told {(told - began) * 1e3:.0f} ms after the kill")
    assert told - began < TOLD_WITHIN_S
    client.until(lambda c: c.phase("ctp-main") == "Healthy", 30, "another process")
    client.until(lambda c: any(e["reason"] == "ProcessStarted" and e["account"] == "ctp-main" for e in c.events), 20, "")
    # What others do comes from the database.
    desired.change(hub.data_dir, "disable", "sopt-main")
    client.until(lambda c: c.phase("sopt-main") == "Stopped", 20, "the account to be stopped")
    client.until(lambda c: any(e["actor"] == "cli" and e["account"] == "sopt-main" for e in c.events), 20, "who did it")
    desired.change(hub.data_dir, "delete", "sopt-main", "--yes")
    client.until(lambda c: "sopt-main" not in c.gateways, 20, "the account to be gone")
    shown = {item["id"]: item for item in api.get(hub, "/api/gateways")[1]["items"]}
    assert {key: item["pid"] for key, item in client.gateways.items()} == {key: one["pid"] for key, one in shown.items()}


def test_rates_come_four_times_a_second_at_most(hubs: Hubs) -> None:
    hub = hubs.live()
    client = LiveClient.open(hub)
    client.until(lambda c: c.rates and c.rates["hub"]["ticks_per_s"] > 5, 30, "ticks")
    client.until(lambda c: c.rates["accounts"]["ctp-main"]["win_share"] is not None, 20, "a race")
    came = []
    began = time.monotonic()
    while time.monotonic() < began + 3:
        if client.hear().get("topic") == "rates":
            came.append(client.rates["at_ms"])
    assert 2 <= len(came) <= 14
    assert min(b - a for a, b in zip(came, came[1:], strict=False)) >= 240
    main = client.rates["accounts"]["ctp-main"]
    assert 0 <= main["win_share"] <= 1
    assert main["received"] >= main["forwarded"] > 0
    ages = {canary["exchange"]: canary["last_tick_age_ms"] for canary in client.rates["canaries"]}
    assert all(0 <= age < 5_000 for age in ages.values() if age is not None), ages


def test_a_client_comes_back_to_a_hub_that_was_restarted(hubs: Hubs) -> None:
    hub = hubs.live()
    client = LiveClient.open(hub)
    client.until(lambda c: c.phase("ctp-main") == "Healthy", 30, "it to be healthy")
    assert hub.stop() == 0
    with pytest.raises((websocket.WebSocketException, OSError)):
        client.until(lambda _: False, 10, "the connection's end")
    again = hubs.run(hubs.directory / "mdhub.yaml")
    client = LiveClient.open(again)
    client.until(lambda c: c.phase("ctp-main") == "Healthy", 30, "it to be healthy again")
    assert any(event["reason"] == "ProcessStarted" for event in client.events)


def test_lines_come_as_they_were_asked_for(hubs: Hubs) -> None:
    hub = hubs.live()
    client = LiveClient.open(hub)
    client.ask(subscribe="logs", account="ctp-backup", level="info", text="STARTED")
    os.kill(hub.running("ctp-main").pid, signal.SIGKILL)
    os.kill(hub.running("ctp-backup").pid, signal.SIGKILL)
    client.until(lambda c: c.lines, 30, "a line")
    assert {line["account"] for line in client.lines} == {"ctp-backup"}
    assert all("started" in json.dumps(line) for line in client.lines)
    kept = {line["seq"]: line for line in api.logs(hub, "account=ctp-backup")}
    assert [kept[line["seq"]] for line in client.lines] == client.lines
    client.ask(unsubscribe="logs")
    client.ask(subscribe="logs", level="error", text="no line says this")
    before = len(client.lines)
    os.kill(eventually(lambda: hub.worker("ctp-backup"), 20, "a process").pid, signal.SIGKILL)
    client.until(lambda c: any(e["reason"] == "ProcessStarted" for e in c.events[-3:]), 20, "another process")
    assert len(client.lines) == before
    client.ask(subscribe="nonsense")
    with pytest.raises((websocket.WebSocketException, OSError)):
        client.until(lambda _: False, 10, "the connection's end")


def test_strangers_are_kept_out(hubs: Hubs) -> None:
    hub = hubs.empty()
    url = hub.listening().http.replace("http://", "ws://") + "/ws"
    for header, origin, expected in [
        ([], None, 401),
        (["Authorization: Basic YWRtaW46d3JvbmcgcGFzc3dvcmQ="], None, 401),
        (["Cookie: mdhub_session=forged"], None, 401),
        ([f"Authorization: {api.basic(hub)}"], "http://127.0.0.1:1", 403),
    ]:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(url, header=header, origin=origin, suppress_origin=origin is None, timeout=30)
        assert refused.value.status_code == expected
    # Whatever bytes follow a handshake, the others are told as before.
    client = LiveClient.open(hub)
    for rubbish in (b"\x00" * 64, b"\xff" * 4_096, b"\x81\xfe\xff\xff", os.urandom(512)):
        raw = LiveClient.open(hub)
        raw.socket.sock.sendall(rubbish)
        raw.socket.sock.settimeout(20)
        raw.socket.sock.shutdown(socket.SHUT_WR)
        while raw.socket.sock.recv(65_536):
            pass
        raw.socket.shutdown()
    revision = client.revision
    client.until(lambda c: c.revision > revision + 3, 20, "to be told of what goes on")
    assert client.snapshots == 1


def _usage(hub: Hub) -> tuple[float, float]:
    """Seconds of processor time, and MiB of memory, of the hub's process."""
    fields = Path(f"/proc/{hub.pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    status = Path(f"/proc/{hub.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return (int(fields[11]) + int(fields[12])) / ticks, resident / 1024


class Listener(threading.Thread):
    """Listens with many clients at once, and holds each to its revisions."""

    def __init__(self, clients: list[LiveClient]) -> None:
        """Does not start."""
        super().__init__(daemon=True)
        self.clients = clients
        self.until = time.monotonic() + 60
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while time.monotonic() < self.until:
                for client in self.clients:
                    client.glance()
        except BaseException as failure:  # noqa: BLE001
            self.failure = failure


def test_two_hundred_clients_with_500_lines_a_second_are_cheap_and_miss_nothing(hubs: Hubs) -> None:
    hub = hubs.live()
    world = LiveWorld.beside(hubs.directory / "mdhub.yaml")
    hub.running("ctp-main")
    before, memory_before = _usage(hub)
    clients = [LiveClient.open(hub) for _ in range(CLIENTS)]
    for client in clients:
        client.glance()
        client.ask(subscribe="logs", level="info")
    # More lines than a worker may say in a second, each time the same ones: they pass for as long as fifty of each may.
    junk = scenario("flood", stream="stderr", bytes=400_000, every_ms=1_000, times=8)
    listeners = [Listener(clients[n::4]) for n in range(4)]
    first = max(line["seq"] for line in api.logs(hub))
    began = time.monotonic()
    for listener in listeners:
        listener.until = began + 8
        listener.start()
    world.play(MAIN_FRONT, junk)
    worker = hub.running("ctp-main")
    time_of_kill = began + 4
    eventually(lambda: time.monotonic() > time_of_kill, 10, "half of the time")
    os.kill(worker.pid, signal.SIGKILL)
    for listener in listeners:
        listener.join(60)
    took_s = time.monotonic() - began
    after, memory = _usage(hub)
    lines = max(line["seq"] for line in api.logs(hub)) - first
    print(
        f"{CLIENTS} clients, {lines / took_s:.0f} lines/s for {took_s:.1f} s: "
        f"{(after - before) / took_s * 100:.0f} % of a processor, {memory_before:.0f} -> {memory:.0f} MiB; "
        f"snapshots {sum(c.snapshots for c in clients)}, lines {sum(c.counted for c in clients)}, "
        f"dropped {sum(c.dropped for c in clients)}"
    )
    assert not [listener.failure for listener in listeners if listener.failure]
    assert lines / took_s > 250
    assert memory - memory_before < 300
    # Of every line each client has heard, or that it was left out, once it has read what waits for it.
    for client in clients[::10]:
        deadline = time.monotonic() + 30
        while client.counted + client.dropped < lines:
            assert time.monotonic() < deadline, f"{client.counted} + {client.dropped} of {lines} lines"
            client.glance()
    killed = lambda c: c.gateways.get("ctp-main", {}).get("pid") not in (worker.pid, None)
    whole = LiveClient.open(hub)
    whole.until(killed, 30, "another process")
    for client in clients[::20]:
        while client.revision < whole.revision:
            client.glance()
    for client in clients:
        client.close()
