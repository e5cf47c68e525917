"""Connections that are no ZeroMQ client, or are one up to a point."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x01" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31
READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB"


def openings(seed: int, count: int) -> list[bytes]:
    """What hostile peers begin with: rubbish, part of a handshake, a handshake and rubbish, impossible lengths."""
    draw = random.Random(seed)
    kinds: list[Callable[[], bytes]] = [
        lambda: draw.randbytes(draw.randint(1, 8_192)),
        lambda: GREETING[: draw.randint(1, len(GREETING) - 1)],
        lambda: GREETING + draw.randbytes(4_096),
        lambda: GREETING + READY + draw.randbytes(8_192),
        lambda: GREETING + READY + b"\x02\xff\xff\xff\xff\xff\xff\xff\xff" + draw.randbytes(64),
        lambda: GREETING + READY + b"\x00\x01\x01" * 5_000,
        lambda: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    return [kinds[index % len(kinds)]() for index in range(count)]


def connect(endpoint: str) -> socket.socket:
    """A bare TCP connection."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


def throw(endpoint: str, seed: int, count: int) -> list[socket.socket]:
    """Opens `count` connections and sends each its bytes; returns those that are still open."""
    held = []
    for index, opening in enumerate(openings(seed, count)):
        peer = connect(endpoint)
        try:
            peer.sendall(opening)
        except OSError:
            peer.close()  # It was cut in the middle of its bytes, as it should.
            continue
        if index % 3 == 0:
            peer.close()
        else:
            held.append(peer)
    return held


def cut(peer: socket.socket, within_s: float) -> bool:
    """Whether the other side has ended this connection within the time; what it sends before is thrown away."""
    peer.settimeout(within_s)
    try:
        while peer.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
