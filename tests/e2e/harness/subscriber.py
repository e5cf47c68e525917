"""A subscriber as strategies write it: pyzmq (the real libzmq) and msgpack, nothing of mdhub's."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Any

import msgpack  # type: ignore[import-untyped]
import zmq
from zmq.utils.monitor import recv_monitor_message

from harness.waiting import eventually

FLAG_SNAPSHOT = 1


@dataclass(frozen=True)
class Received:
    """One message: its topic, its payload, and when it came (seconds, monotonic)."""

    topic: str
    payload: dict[str, Any]
    at_mono: float

    @property
    def is_snapshot(self) -> bool:
        """Whether it is the last known tick rather than news."""
        return bool(self.payload["flags"] & FLAG_SNAPSHOT)


class Subscriber:
    """Reads ticks on a thread of its own until it is closed."""

    def __init__(self, endpoint: str, *topics: str) -> None:
        """Connects and subscribes to `topics` (prefixes), or to everything."""
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        for topic in topics or ("",):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        self._socket.connect(endpoint)
        self._raw: list[tuple[float, list[bytes]]] = []
        self._decoded: list[Received] = []
        self._closing = threading.Event()
        self.handshakes = 0
        self.disconnects = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while not self._closing.is_set():
            ready = dict(poller.poll(50))
            if self._monitor in ready:
                event = recv_monitor_message(self._monitor)["event"]
                self.handshakes += event == zmq.EVENT_HANDSHAKE_SUCCEEDED
                self.disconnects += event == zmq.EVENT_DISCONNECTED
            if self._socket in ready:
                frames = self._socket.recv_multipart()
                self._raw.append((time.monotonic(), frames))
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._context.term()

    def connected(self, within_s: float = 10.0) -> Subscriber:
        """Waits until the handshake is done."""
        eventually(lambda: self.handshakes, within_s, "a finished ZMTP handshake")
        return self

    def __len__(self) -> int:
        """Messages so far."""
        return len(self._raw)

    def received(self) -> list[Received]:
        """Every message so far, decoded."""
        for at_mono, frames in self._raw[len(self._decoded) :]:
            assert len(frames) == 2, f"{len(frames)} frames: [vt_symbol][payload] is expected"
            payload = msgpack.unpackb(frames[1], timestamp=3)
            self._decoded.append(Received(frames[0].decode(), payload, at_mono))
        return list(self._decoded)

    def messages(self) -> list[tuple[str, dict[str, Any]]]:
        """Topic and payload of every message so far, whatever it is."""
        return [(message.topic, message.payload) for message in self.received()]

    def ticks(self) -> list[Received]:
        """Every tick so far that is news."""
        return [message for message in self.received() if not message.is_snapshot]

    def by_topic(self) -> dict[str, list[Received]]:
        """The ticks that are news, by contract, in order of arrival."""
        topics: dict[str, list[Received]] = defaultdict(list)
        for tick in self.ticks():
            topics[tick.topic].append(tick)
        return dict(topics)

    def wait_for(self, condition: Callable[[Subscriber], object], within_s: float, what: str) -> Subscriber:
        """Waits until `condition` holds of this subscriber."""
        eventually(lambda: condition(self), within_s, f"{what} ({len(self)} messages came)")
        return self

    def wait_for_ticks(self, count: int, within_s: float) -> Subscriber:
        """Waits until this many more messages have come than there are now."""
        target = len(self) + count
        return self.wait_for(lambda s: len(s) >= target, within_s, f"{count} more ticks")

    def close(self) -> None:
        """Disconnects; what was received stays."""
        self._closing.set()
        self._thread.join(5)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def first_and_gaps(ticks: list[Received]) -> tuple[int, list[tuple[int, int]]]:
    """The first `seq` of one contract's ticks, and each pair of neighbours that do not follow one another."""
    numbers = [tick.payload["seq"] for tick in ticks]
    return numbers[0], [(a, b) for a, b in pairwise(numbers) if b != a + 1]


def assert_unbroken(by_topic: dict[str, list[Received]]) -> None:
    """No gap in `seq` and no `tid` twice, on any topic."""
    assert by_topic, "no tick came"
    for topic, ticks in by_topic.items():
        _, gaps = first_and_gaps(ticks)
        assert not gaps, f"{topic}: seq jumps {gaps[:5]}"
        tids = [tick.payload["tid"] for tick in ticks]
        assert len(set(tids)) == len(tids), f"{topic}: a tid came twice"
