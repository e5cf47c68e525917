"""One hub's stream, on a thread of its own: connects again by itself, notices gaps and has them filled.

    stream = HubStream(Hub("tcp://127.0.0.1:5555", "http://127.0.0.1:8080", "desk", "TOKEN"), print, print)
    stream.subscribe("rb2701.SHFE")
    stream.start()
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgpack  # type: ignore[import-untyped]
import zmq
from zmq.utils.monitor import recv_monitor_message

from mdhub_vnpy.fill import Unfilled, fetch
from mdhub_vnpy.pulse import Pulse
from mdhub_vnpy.sequence import Fill, Gap, Sequence, Step, Tick

_NEWS = b"_hub."
_VERSION = 1

# Messages that libzmq keeps for a thread that is busy, fills that wait, and messages of one turn.
_WAITING_MAX = 100_000
_FILLS_MAX = 4_096
_TURN_MAX = 1_000
_POLL_MS = 50
_FILL_WITHIN_S = 3.0
_CLOSE_WITHIN_S = 5.0
_AGAIN_S = 1.0


@dataclass(frozen=True)
class Hub:
    """Where a hub is. Without `control` gaps are told, but not filled; `user` and `token` as in `publish.tokens`."""

    ticks: str
    control: str = ""
    user: str = ""
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """What cannot stand in a header would be named by the error of whoever puts it there."""
        if not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("token: a control or other character that is not ASCII is not allowed")


@dataclass
class _Missed:
    """Gaps that were not told of yet."""

    missed: int = 0
    filled: int = 0
    contracts: set[str] = field(default_factory=set)

    def add(self, gap: Gap) -> None:
        self.missed += gap.missed
        self.filled += gap.filled
        self.contracts.add(gap.vt_symbol)

    def text(self) -> str:
        named = ", ".join(sorted(self.contracts)[:3]) + (" ..." if len(self.contracts) > 3 else "")
        return f"{self.missed} ticks were missed of {named}, {self.filled} of them were filled in"


_NUMBERS = ("epoch", "seq", "tid", "flags", "volume")
_TIMES = ("datetime", "localtime")
_NEWS_HAS = {
    b"_hub.heartbeat": {"sources": list},
    b"_hub.source": {"source": str, "state": str},
    b"_hub.contract": {"vt_symbol": str, "state": str},
}


def _check(topic: bytes, message: Any) -> None:
    """Raises TypeError where what everything here relies on is not there: one such message must not cost the rest."""
    if not isinstance(message, dict) or type(message.get("epoch")) is not int:
        raise TypeError("a map with an epoch is expected")
    if message.get("v") != _VERSION:
        return
    if topic.startswith(_NEWS):
        wanted: dict[str, type] = _NEWS_HAS.get(topic, {})
    else:
        wanted = {**dict.fromkeys(_NUMBERS, int), **dict.fromkeys(_TIMES, datetime), "name": str}
        symbol, _, exchange = topic.decode().rpartition(".")
        for name, part in (("vt_symbol", topic.decode()), ("symbol", symbol), ("exchange", exchange)):
            if message.get(name) != part:
                raise TypeError(f"{name} {message.get(name)!r} on topic {topic!r}: {part!r} is expected")
    for name, kind in wanted.items():
        if not isinstance(message.get(name), kind):
            raise TypeError(f"{name} {message.get(name)!r} on topic {topic!r}: {kind.__name__} is expected")


class HubStream:
    """The ticks of the contracts that were subscribed, each once and in the order of its `seq`."""

    def __init__(self, hub: Hub, on_tick: Callable[[Tick], None], on_news: Callable[[str], None]) -> None:
        """Both are called on the stream's thread: ticks, snapshots among them, and sentences for people."""
        self.hub = hub
        self._on_tick = on_tick
        self._on_news = on_news
        self._wanted: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
        self._fills: queue.Queue[tuple[float, Fill]] = queue.Queue(_FILLS_MAX)
        self._answers: queue.SimpleQueue[tuple[Fill, list[Tick], str]] = queue.SimpleQueue()
        self._sequence = Sequence(can_fill=bool(hub.control))
        self._followed: set[str] = set()
        self._missed = _Missed()
        self._asked = 0
        self._why_unfilled = ""
        self._is_refused = False
        self._garbage_told_s = float("-inf")
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"mdhub {hub.ticks}", daemon=True)]
        if hub.control:
            self._threads.append(threading.Thread(target=self._fill, name=f"mdhub {hub.control}", daemon=True))

    def start(self) -> None:
        """Connects, and goes on until it is closed."""
        for thread in self._threads:
            thread.start()

    def subscribe(self, vt_symbol: str) -> None:
        """Follows a contract. A hub subscribes upstream what it does not have yet."""
        self._wanted.put((vt_symbol, True))

    def unsubscribe(self, vt_symbol: str) -> None:
        """Follows it no longer."""
        self._wanted.put((vt_symbol, False))

    def close(self) -> None:
        """Disconnects. Nothing is called afterwards."""
        self._closing.set()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(_CLOSE_WITHIN_S)

    def _run(self) -> None:
        pulse = Pulse(time.monotonic())
        while not self._closing.is_set():
            try:
                self._session(pulse)
            except Exception as error:  # noqa: BLE001
                # A desk whose thread has died without a word would trade on stale ticks.
                with contextlib.suppress(Exception):
                    self._tell([f"is connected anew after {error!r}"])
                self._closing.wait(_AGAIN_S)

    def _session(self, pulse: Pulse) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            monitor = self._opened(socket)
            try:
                while not self._closing.is_set():
                    self._follow(socket)
                    if socket.poll(_POLL_MS):
                        self._turn(socket, pulse)
                    self._take_answers()
                    self._tell(pulse.look(time.monotonic()))
                    while monitor.poll(0):
                        recv_monitor_message(monitor)
                        self._refused()
            finally:
                socket.disable_monitor()
                monitor.close(0)

    def _refused(self) -> None:
        """The hub does not take the token; libzmq goes on trying, and once is enough to say so."""
        if not self._is_refused:
            self._tell(["does not take the token"])
        self._is_refused = True

    def _opened(self, socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
        """Connects, and gives a socket that tells of refused tokens."""
        socket.setsockopt(zmq.RCVHWM, _WAITING_MAX)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 3_000)
        # A hub whose machine is gone says nothing, not even that.
        socket.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15_000)
        if self.hub.token:
            socket.setsockopt_string(zmq.PLAIN_USERNAME, self.hub.user)
            socket.setsockopt_string(zmq.PLAIN_PASSWORD, self.hub.token)
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        for topic in (_NEWS.decode(), *self._followed):
            socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        socket.connect(self.hub.ticks)
        return monitor

    def _follow(self, socket: zmq.Socket[bytes]) -> None:
        while not self._wanted.empty():
            vt_symbol, is_wanted = self._wanted.get()
            if is_wanted == (vt_symbol in self._followed):
                continue
            if is_wanted:
                self._followed.add(vt_symbol)
                self._sequence.follow(vt_symbol)
                socket.setsockopt_string(zmq.SUBSCRIBE, vt_symbol)
            else:
                self._followed.discard(vt_symbol)
                self._sequence.forget(vt_symbol)
                socket.setsockopt_string(zmq.UNSUBSCRIBE, vt_symbol)

    def _turn(self, socket: zmq.Socket[bytes], pulse: Pulse) -> None:
        """What has come, up to a limit, so that nothing else waits for long."""
        for _ in range(_TURN_MAX):
            try:
                topic, payload = socket.recv_multipart(zmq.NOBLOCK)
                message = msgpack.unpackb(payload, timestamp=3)
                _check(topic, message)
            except zmq.Again:
                return
            except (ValueError, TypeError, ArithmeticError) as error:
                self._garbage(str(error) or type(error).__name__)
                continue
            if message.get("v") != _VERSION:
                continue
            self._is_refused = False
            self._tell(pulse.heard(time.monotonic(), message["epoch"]))
            if topic.startswith(_NEWS):
                self._hub_news(topic.decode(), message, pulse)
            else:
                self._step(self._sequence.take(message))

    def _garbage(self, why: str) -> None:
        """Whoever sends much of it is told of once a second."""
        if time.monotonic() - self._garbage_told_s >= _AGAIN_S:
            self._garbage_told_s = time.monotonic()
            self._tell([f"sent what is no message: {why}"])

    def _hub_news(self, topic: str, news: dict[str, Any], pulse: Pulse) -> None:
        if topic == "_hub.heartbeat":
            self._tell(pulse.beat(news["sources"]))
        elif topic == "_hub.source":
            why = f": {news['why']}" if news.get("why") else ""
            self._tell([f"source {news['source']} {news['state']}{why}"])
        elif topic == "_hub.contract" and news["vt_symbol"] in self._followed:
            why = f": {news['why']}" if news.get("why") else ""
            nearest = f"; is it {news['nearest']}?" if news.get("nearest") else ""
            self._tell([f"{news['vt_symbol']} is {news['state']}{why}{nearest}"])

    def _step(self, step: Step) -> None:
        for gap in step.gaps:
            self._missed.add(gap)
        for fill in step.fills:
            self._asked += 1
            try:
                self._fills.put_nowait((time.monotonic(), fill))
            except queue.Full:
                self._answers.put((fill, [], f"{_FILLS_MAX} gaps wait already"))
        # Last, and each by itself: whoever stumbles over one of them loses that one alone.
        stumbled: Exception | None = None
        for tick in step.ticks:
            try:
                self._on_tick(tick)
            except Exception as error:  # noqa: BLE001
                stumbled = stumbled or error
        if stumbled is not None:
            raise stumbled

    def _take_answers(self) -> None:
        """What came of the fills; when nothing is under way any more, one line tells of all of them."""
        while not self._answers.empty():
            fill, ticks, why = self._answers.get()
            self._asked -= 1
            self._why_unfilled = why or self._why_unfilled
            self._step(self._sequence.filled(fill, ticks))
        if self._missed.missed and not self._asked:
            why = f" ({self._why_unfilled})" if self._why_unfilled else ""
            self._tell([self._missed.text() + why])
            self._missed, self._why_unfilled = _Missed(), ""

    def _fill(self) -> None:
        """On a thread of its own, so that the ticks of other contracts do not wait."""
        while not self._closing.is_set():
            try:
                asked_s, fill = self._fills.get(timeout=_POLL_MS / 1000)
            except queue.Empty:
                continue
            try:
                # Ticks are held meanwhile: where one answer takes long, the others are not waited for.
                if time.monotonic() - asked_s > _FILL_WITHIN_S:
                    raise Unfilled("the hub's control port is slow")
                ticks, why = fetch(self.hub.control, self.hub.token, fill, _FILL_WITHIN_S), ""
            except Unfilled as error:
                ticks, why = [], str(error)
            except Exception as error:  # noqa: BLE001
                # Without an answer the contract's ticks would be held, and without this thread those of all gaps.
                ticks, why = [], type(error).__name__
            self._answers.put((fill, ticks, why))

    def _tell(self, news: list[str]) -> None:
        for sentence in news:
            self._on_news(f"hub {self.hub.ticks} {sentence}")
