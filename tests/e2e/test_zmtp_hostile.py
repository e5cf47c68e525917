"""The tick socket of a real hub and those who use it wrongly: each is answered or cut, counted, and nobody else notices."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conftest import Demo, Hubs
from harness.hostile_peers import GREETING, READY, connect, cut
from harness.hub import Hub, mdhub
from harness.subscriber import Subscriber, assert_unbroken
from harness.waiting import eventually
from harness.world import FUTURES, live_world, settings

WITHIN_S = 30.0
TOKEN = b"open sesame"
PLAIN = GREETING.replace(b"NULL\0", b"PLAIN")
INITIATE = b"\x04\x1c\x08INITIATE\x0bSocket-Type\0\0\0\x03SUB"
# What our publisher and libzmq answer to a wrong password: tests/e2e/zmtp_conformance.py.
WRONG = b"\x04\x09^RROR\x03400"


def _command(name: bytes, data: bytes) -> bytes:
    body = bytes([len(name)]) + name + data
    return (b"\x04" + bytes([len(body)]) if len(body) < 256 else b"\x06" + struct.pack(">Q", len(body))) + body


def _hello(name: bytes, password: bytes) -> bytes:
    return _command(b"HELLO", bytes([len(name)]) + name + bytes([len(password)]) + password)


def _subscribe(prefix: bytes) -> bytes:
    return _command(b"SUBSCRIBE", prefix)


def _all_of(peer: socket.socket, ends_with: bytes) -> bytes:
    """What comes until it ends so, or the connection does."""
    peer.settimeout(WITHIN_S)
    got = b""
    try:
        while not got.endswith(ends_with) and (more := peer.recv(65_536)):
            got += more
    except ConnectionResetError:
        pass
    return got


def _is_served(peer: socket.socket) -> bool:
    """Whether a peer that has shaken hands gets an answer to a PING."""
    peer.sendall(_command(b"PING", b"\0\0sync"))
    return _all_of(peer, b"PONGsync").endswith(b"PONGsync")


def _counter(hub: Hub, name: str) -> int:
    return int(hub.vitals().get(name, 0))


def _counted(hub: Hub, name: str, condition: Callable[[int], bool]) -> None:
    eventually(lambda: condition(_counter(hub, name)), 20, f"{name}, now {_counter(hub, name)}")


def _sockets(hub: Hub) -> int:
    links = []
    for descriptor in Path(f"/proc/{hub.pid}/fd").iterdir():
        try:
            links.append(os.readlink(descriptor))
        except FileNotFoundError:
            pass  # Closed meanwhile.
    return sum(link.startswith("socket:") for link in links)


def _resident_mib(hub: Hub) -> int:
    lines = Path(f"/proc/{hub.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


@pytest.fixture(scope="module", autouse=True)
def _many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_tokens_that_nobody_has_are_answered_and_counted(hubs: Hubs) -> None:
    tokens = [{"name": "desk", "sha256": hashlib.sha256(TOKEN).hexdigest()}]
    publish = {"listen": "tcp://127.0.0.1:0", "tokens": tokens}
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES, publish=publish))
    zmq = hub.listening().zmq
    wrong = [b"", b"\0", b" ", TOKEN + b"\0", b"x" * 255, b"\xff\xfe\x80", hashlib.sha256(TOKEN).hexdigest().encode()]
    for password in wrong:
        with connect(zmq) as peer:
            peer.sendall(PLAIN + _hello(b"desk", password))
            assert _all_of(peer, WRONG).endswith(WRONG), password
            assert cut(peer, 10), f"{password!r}: it is still connected"
    for name in (b"", b"u" * 255, b"\xff\xfe"):
        with connect(zmq) as peer:
            peer.sendall(PLAIN + _hello(name, TOKEN) + INITIATE)
            assert _is_served(peer), f"{name!r}: the token counts, not the name"
    for hello in (b"\xff" + TOKEN, b"\x04desk", b"\x04desk\x20" + TOKEN, b"", _hello(b"d", TOKEN)[2:] + b"\0"):
        with connect(zmq) as peer:
            peer.sendall(PLAIN + _command(b"HELLO", hello))
            assert cut(peer, 10), f"{hello!r}: it is still connected"
    _counted(hub, "tokens_refused", lambda n: n == len(wrong))
    _counted(hub, "peers_refused", lambda n: n == 5)


@pytest.mark.parametrize(
    ("publish", "parts"),
    [
        ({"allow": ["10.0.0.0/33"]}, ["publish.allow[0]", "10.0.0.0/33", "192.168.1.0/24"]),
        ({"allow": ["127.0.0.1", "localhost"]}, ["publish.allow[1]", "localhost"]),
        ({"allow": ["127.0.0.1/8/8"]}, ["publish.allow[0]", "127.0.0.1/8/8"]),
        ({"allow": ["127.0.0"]}, ["publish.allow[0]", "127.0.0"]),
        ({"allow": "127.0.0.1"}, ["publish.allow"]),
        ({"alow": ["127.0.0.1"]}, ["alow", "allow"]),
        ({"tokens": [{"name": "desk", "sha256": "open sesame"}]}, ["publish.tokens[0].sha256", "64 hexadecimal digits"]),
        ({"tokens": [{"name": "desk"}]}, ["publish.tokens[0]", "sha256"]),
        ({"demand": "yes"}, ["publish.demand", "authenticated"]),
        ({"peers_max": 0}, ["publish.peers_max", "1 to 10000"]),
    ],
)
def test_a_slip_in_who_may_subscribe_is_named(publish: dict[str, Any], parts: list[str], tmp_path: Path) -> None:
    path = settings(tmp_path, live_world(), FUTURES, publish=publish)
    checked = mdhub("check", "--config", str(path))
    assert checked.returncode == 1, checked
    for part in parts:
        assert part in checked.stderr, f"{part!r} is not in {checked.stderr!r}"


def test_addresses_that_are_not_allowed_are_closed_and_counted(hubs: Hubs) -> None:
    publish = {"listen": "tcp://127.0.0.1:0", "allow": ["10.0.0.0/8", "::1"]}
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES, publish=publish))
    for _ in range(3):
        with connect(hub.listening().zmq) as peer:
            assert cut(peer, 10)
    _counted(hub, "peers_refused", lambda n: n == 3)


def test_names_that_are_demanded_are_asked_for_or_said_to_be_wrong(hubs: Hubs) -> None:
    hub = hubs.live()
    zmq = hub.listening().zmq
    with Subscriber(zmq, "_hub.contract").connected() as news, connect(zmq) as peer:
        peer.sendall(GREETING + READY)
        for name in (b"SP m2505&m2509.DCE", b"rb2701.SHFE ", b"ag2702.SHFE", b"a" * 81 + b".DCE", b"\xff\xfe.SHFE"):
            peer.sendall(_subscribe(name))
        assert _is_served(peer)
        expected = {
            "SP m2505&m2509.DCE": "demanded",
            "ag2702.SHFE": "demanded",
            "rb2701.SHFE ": "unknown",
            "a" * 81 + ".DCE": "unknown",
        }

        def told() -> dict[str, dict[str, Any]]:
            return {payload["vt_symbol"]: payload for _, payload in news.messages()}

        eventually(lambda: set(expected) <= set(told()), WITHIN_S, "an answer to each name")
        assert {name: news["state"] for name, news in told().items()} == expected
        assert told()["rb2701.SHFE "]["nearest"] == "rb2701.SHFE"
        _counted(hub, "demands", lambda n: n == 2)
        with connect(zmq) as greedy:
            greedy.sendall(GREETING + READY + _subscribe(b"m" * 295 + b".DCE"))
            assert cut(greedy, 10), "a name of 300 bytes is no prefix"
        assert _is_served(peer)
    _counted(hub, "peers_refused", lambda n: n == 1)


def test_half_closed_and_halting_connections_are_cut(hubs: Hubs) -> None:
    publish = {"listen": "tcp://127.0.0.1:0", "handshake_timeout_ms": 500}
    hub = hubs.run(settings(hubs.directory, live_world(), FUTURES, publish=publish))
    zmq = hub.listening().zmq
    before = _sockets(hub)
    for said in (b"", GREETING[:30], GREETING, GREETING + READY, GREETING + READY + _subscribe(b"") + b"\x04\x20\x09SUB"):
        with connect(zmq) as peer:
            peer.sendall(said)
            peer.shutdown(socket.SHUT_WR)
            assert cut(peer, 10), f"after {said!r} the half that is open is not closed"
    # Whoever hears nothing more is no reason to spin.
    with connect(zmq) as deaf:
        deaf.sendall(GREETING + READY + _subscribe(b""))
        deaf.shutdown(socket.SHUT_RD)
        eventually(lambda: _counter(hub, "peers") == 1, 10, "a peer")
    eventually(lambda: _sockets(hub) <= before, 10, f"{before} sockets")


def test_noise_after_the_handshake_is_cut_and_counted(demo: Demo) -> None:
    noise = [b"\x02" + b"\xff" * 8, b"\xf0\0", b"\x05\x05\x04PONG", b"\x04\0", b"\x04\x02\xffP", b"\x04\x06\x04PING\0"]
    before = _counter(demo.hub, "peers_refused")
    with Subscriber(demo.zmq).connected() as watching:
        for sent in noise:
            with connect(demo.zmq) as peer:
                peer.sendall(GREETING + READY)
                assert _is_served(peer)
                peer.sendall(sent)
                assert cut(peer, 10), f"{sent!r}: it is still connected"
        watching.wait_for_ticks(20, WITHIN_S)
        assert_unbroken(watching.by_topic())
        assert watching.disconnects == 0
    _counted(demo.hub, "peers_refused", lambda n: n >= before + len(noise))


def test_two_thousand_clients_at_once_fill_the_places_and_no_more(hubs: Hubs) -> None:
    peers_max = 600
    publish = {"listen": "tcp://127.0.0.1:0", "peers_max": peers_max}
    hub = hubs.populate(hubs.run(settings(hubs.directory, live_world(), FUTURES, publish=publish)))
    zmq = hub.listening().zmq
    sockets, mib = _sockets(hub), _resident_mib(hub)
    with Subscriber(zmq).connected() as watching, ExitStack() as stack:
        watching.wait_for_ticks(20, WITHIN_S)
        clients = [stack.enter_context(connect(zmq)) for _ in range(2_000)]
        for client in clients:
            try:
                client.sendall(GREETING + READY + _subscribe(b""))
            except OSError:
                pass  # It was turned away already.
        _counted(hub, "peers_refused", lambda n: n >= 2_000 - peers_max)
        _counted(hub, "peers", lambda n: n == peers_max)
        assert _sockets(hub) <= sockets + peers_max + 20
        watching.wait_for_ticks(50, WITHIN_S)
        assert _resident_mib(hub) <= mib + 200, f"{mib} MiB became {_resident_mib(hub)}"
    eventually(lambda: _sockets(hub) <= sockets + 5, 20, f"{sockets} sockets")
    assert watching.disconnects == 0
    assert_unbroken(watching.by_topic())
    with Subscriber(zmq).connected() as late:
        late.wait_for_ticks(20, WITHIN_S)
