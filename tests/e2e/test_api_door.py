"""The door of the control port of a real hub: logins, strangers, other sites, and what they cannot bring about.

The client is plain sockets: what it sends is exactly what stands here.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from conftest import Hubs
from harness import desired
from harness.hub import Hub, mdhub
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import FUTURES, MAIN_FRONT, live_world, settings

WITHIN_S = 30.0
HALF_OPEN = 1_000
GUESSERS = 24


@dataclass(frozen=True)
class Answer:
    """What came back; a connection that was closed without a word has status 0."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The document."""
        return json.loads(self.body)

    def cookie(self) -> str:
        """The header that a browser sends from now on."""
        return "Cookie: " + self.headers["set-cookie"].partition(";")[0]


def place(hub: Hub) -> tuple[str, int]:
    """Where the hub listens."""
    host, _, port = hub.listening().http.removeprefix("http://").rpartition(":")
    return host, int(port)


def ask(hub: Hub, line: str, *headers: str, body: str = "", source: str = "127.0.0.1", within_s: float = WITHIN_S) -> Answer:
    """One request, as `GET /path`, on a connection of its own from `source`."""
    host, port = place(hub)
    head = [f"{line} HTTP/1.1", *headers, "Connection: close"]
    if not any(header.lower().startswith("host:") for header in headers):
        head.append(f"Host: {host}:{port}")
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    with socket.create_connection((host, port), within_s, (source, 0)) as client:
        client.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())
        received = b""
        while part := client.recv(65_536):
            received += part
    return parsed(received)


def parsed(received: bytes) -> Answer:
    """An answer from its bytes."""
    if not received:
        return Answer(0, {}, b"")
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split(" ")[1]), headers, body)


def basic(password: str) -> str:
    """The header for HTTP Basic."""
    return "Authorization: Basic " + base64.b64encode(f"admin:{password}".encode()).decode()


def log_in(hub: Hub, password: str, *headers: str, source: str = "127.0.0.1") -> Answer:
    """A try to log in."""
    body = json.dumps({"username": "admin", "password": password})
    return ask(hub, "POST /api/session", *headers, body=body, source=source)


def initial_password(hub: Hub) -> str:
    """The one that was made at the first start."""
    return (hub.data_dir / "initial-admin-password").read_text().strip()


@pytest.fixture
def short(hubs: Hubs) -> Hub:
    """A hub whose logins are short, without accounts."""
    http = {"listen": "127.0.0.1:0", "session_idle_ms": 3_000, "session_max_ms": 6_000, "allowed_hosts": ["hub.desk.lan"]}
    return hubs.run(settings(hubs.directory, live_world(), FUTURES[:1], http=http))


def test_a_login_lets_in_until_it_is_not_used_or_over_or_the_password_changes(short: Hub) -> None:
    password = initial_password(short)
    login = log_in(short, password)
    assert login.status == 200, login
    assert login.json()["username"] == "admin"
    assert 0 < login.json()["expires_at_ms"] - time.time() * 1_000 <= 3_000
    attributes = {part.strip() for part in login.headers["set-cookie"].split(";")[1:]}
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= attributes
    assert "Secure" not in attributes
    began, used = time.monotonic(), login.cookie()
    idle = log_in(short, password).cookie()
    while ask(short, "GET /api/session", used).status == 200:
        assert time.monotonic() - began < WITHIN_S, "a login in use goes on for ever"
        time.sleep(0.2)
    assert time.monotonic() - began >= 5.9, "a login in use was ended early"
    assert ask(short, "GET /api/gateways", idle).status == 401, "a login that is not used goes on"
    left = log_in(short, password).cookie()
    assert ask(short, "DELETE /api/session", left, "Sec-Fetch-Site: same-origin").status == 204
    assert ask(short, "GET /api/gateways", left).status == 401
    words = ["admin", "reset-password", "--data-dir", str(short.data_dir), "--password-stdin"]
    assert mdhub(*words, stdin="a new password\n").returncode == 0
    eventually(lambda: log_in(short, "a new password").status == 200, WITHIN_S, "the new password to count")
    before = log_in(short, "a new password").cookie()
    assert ask(short, "GET /api/gateways", before).status == 200
    assert mdhub(*words, stdin="a newer password\n").returncode == 0
    eventually(lambda: ask(short, "GET /api/gateways", before).status == 401, 2.5, "the login to end with its password", 0.1)
    assert password not in short.log()


def test_other_sites_ports_and_names_forged_cookies_and_tricks_are_refused_and_told(short: Hub) -> None:
    cookie = log_in(short, initial_password(short)).cookie()
    _, port = place(short)
    own, beside = f"Origin: http://127.0.0.1:{port}", f"Origin: http://127.0.0.1:{port + 1}"
    for headers, status in [
        ((cookie,), 403),
        ((cookie, beside), 403),
        ((cookie, beside, "Sec-Fetch-Site: same-site"), 403),
        ((cookie, "Origin: null"), 403),
        ((cookie, "Origin: http://evil.example"), 403),
        ((cookie, own), 405),
    ]:
        answer = ask(short, "POST /api/gateways", *headers, body="{}")
        assert (answer.status, answer.json()["status"]) == (status, status), (headers, answer)
    for host, status in [(f"hub.desk.lan:{port}", 200), ("evil.example", 421), (f"10.1.2.3:{port}", 421)]:
        answer = ask(short, "GET /api/gateways", cookie, f"Host: {host}", "X-Request-Id: trace-4712")
        assert answer.status == status, (host, answer)
        assert status == 200 or "http.allowed_hosts" in answer.json()["detail"]
    value = cookie.partition("=")[2]
    for forged in ["", "x", value[:-1], value[::-1], "A" * 43, "A" * 4_000, value + "\x01"]:
        assert ask(short, "GET /api/gateways", f"Cookie: mdhub_session={forged}").status in (400, 401), forged
    for path in ["/api/../health", "//health", "/api/%2e%2e/health", "/health%00", "/api/gateways/..%2f..%2fetc%2fpasswd"]:
        assert ask(short, f"GET {path}", cookie).status == 404, path
    big = ask(short, "POST /api/session", body="x" * (256 * 1024 + 1))
    assert (big.status, big.json()["title"]) == (413, "Payload Too Large")
    named = ask(short, "GET /api/nothing", cookie, "X-Request-Id: trace-4711")
    assert (named.status, named.json()["request_id"]) == (404, "trace-4711")
    assert named.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert named.headers["cache-control"] == "no-store"
    assert "request=trace-4712" in short.log(), "the log does not say which request"
    for part in ["from pages of other sites", "http.allowed_hosts does not name", "that name no login"]:
        lines = [line for line in short.log().splitlines() if part in line]
        assert len(lines) == 1, (part, lines)
        assert "127.0.0.1" in lines[0]
        assert value not in lines[0]


@pytest.fixture
def ticking(hubs: Hubs) -> Hub:
    """A hub with one account that ticks."""
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES))
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    eventually(lambda: hub.counter("ctp-main", "received") > 0, WITHIN_S, "ticks")
    eventually(lambda: ask(hub, "GET /ready").status == 200, WITHIN_S, "the hub to be ready")
    return hub


@pytest.fixture
def half_open(ticking: Hub) -> Iterator[list[socket.socket]]:
    """Connections that have begun a request, or its body, each with one byte more now and then."""
    held: list[socket.socket] = []
    done = threading.Event()

    def trickle() -> None:
        while not done.wait(1.0):
            for client in held:
                try:
                    client.send(b"x")
                except OSError:
                    pass

    _, port = place(ticking)
    post = f"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 9999\r\n\r\n{{".encode()
    for number in range(HALF_OPEN):
        client = socket.create_connection(place(ticking), 10)
        client.setblocking(False)
        held.append(client)
        try:
            client.send(post if number % 2 else b"GET /health HTTP/1.1\r\nX: ")
        except OSError:
            pass  # It has given way already.
    trickler = threading.Thread(target=trickle, daemon=True)
    trickler.start()
    try:
        yield held
    finally:
        done.set()
        trickler.join()
        for client in held:
            client.close()


def established(hub: Hub) -> int:
    """Connections to the control port that the hub holds, as the kernel counts them."""
    _, port = place(hub)
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [row.split() for row in table.readlines()[1:]]
    return sum(1 for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01")


def median_ms(subscriber: Subscriber, ticks: int) -> float:
    """How long the next ticks take through the hub, from the gateway's receipt on."""
    before = len(subscriber.ticks())
    subscriber.wait_for(lambda s: len(s.ticks()) >= before + ticks, WITHIN_S, "ticks")
    took = [tick.payload["egress_ns"] - tick.payload["ingress_ns"] for tick in subscriber.ticks()[before:]]
    return statistics.median(took) / 1e6


@pytest.fixture
def quiet_ms(ticking: Hub) -> float:
    """The same before strangers come."""
    with Subscriber(ticking.listening().zmq).connected() as subscriber:
        return median_ms(subscriber, 80)


def test_a_thousand_half_open_connections_and_guessers_keep_nobody_out_and_ticks_flow(
    ticking: Hub, quiet_ms: float, half_open: list[socket.socket]
) -> None:
    password = initial_password(ticking)
    stop = threading.Event()

    def guess(number: int) -> set[int]:
        seen = set()
        while not stop.is_set():
            seen.add(log_in(ticking, f"a guess {number}", source=f"127.0.1.{number + 1}").status)
        return seen

    with ThreadPoolExecutor(GUESSERS + 1) as pool:
        late = pool.submit(ask, ticking, "GET /api/gateways/ctp-main?wait_generation=999", basic(password))
        guesses = [pool.submit(guess, number) for number in range(GUESSERS)]
        try:
            eventually(lambda: "wrong names or passwords" in ticking.log(), WITHIN_S, "a guess to be told")
            received = ticking.counter("ctp-main", "received")
            for _ in range(5):
                began = time.monotonic()
                assert ask(ticking, "GET /health").status == 200
                assert log_in(ticking, password).status == 200
                assert time.monotonic() - began < 10, "the owner waits long"
            assert established(ticking) <= 600
            eventually(lambda: ticking.counter("ctp-main", "received") > received, WITHIN_S, "ticks to go on")
            with Subscriber(ticking.listening().zmq).connected() as subscriber:
                besieged_ms = median_ms(subscriber, 80)
            print(f"median of a tick's way through the hub: quiet {quiet_ms:.3f} ms, besieged {besieged_ms:.3f} ms")
            assert besieged_ms < 50
            answer = late.result(WITHIN_S + 10)
        finally:
            stop.set()
        assert answer.status == 200, "a request that waits was cut"
        assert answer.json()["observed_generation"] < 999
        assert set().union(*(seen.result(WITHIN_S) for seen in guesses)) <= {401, 429}
    gone = eventually(lambda: established(ticking) < 50, WITHIN_S, "half-open connections to end")
    assert gone
    assert len(half_open) == HALF_OPEN
    told = [line for line in ticking.log().splitlines() if "wrong names or passwords" in line]
    assert len(told) <= 2, told
    assert re.search(r"127\.0\.1\.\d+", told[0]), told


def test_what_the_environment_says_later_is_told_and_another_process_is_not_taken_for_the_hub(hubs: Hubs) -> None:
    path = settings(hubs.directory, live_world(), FUTURES[:1])
    first = hubs.run(path, MDHUB_ADMIN_PASSWORD="the first password")
    assert log_in(first, "the first password").status == 200
    assert "MDHUB_ADMIN_PASSWORD" not in first.log()
    assert first.stop() == 0
    hubs.started.remove(first)
    again = hubs.run(path, MDHUB_ADMIN_PASSWORD="another password")
    assert "MDHUB_ADMIN_PASSWORD count at the first start only" in again.log()
    assert "another password" not in again.log()
    assert log_in(again, "the first password").status == 200
    assert "runs, process" in mdhub("describe", "--data-dir", str(again.data_dir)).stdout
    other = hubs.run(path, "other")
    assert again.stop() == 0
    run_info = again.data_dir / "run.json"
    run_info.write_text(json.dumps({**json.loads(run_info.read_text()), "pid": other.pid}))
    assert "does not run here" in mdhub("describe", "--data-dir", str(again.data_dir)).stdout
