"""mdhub-vnpy's stream on real hubs: a line that is cut, a log that has forgotten, a token that is wrong."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from conftest import Hubs
from harness import desired, status
from harness.hub import Hub
from harness.places import REPOSITORY
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import FUTURES, MAIN_FRONT, SYNTHETIC, live_world, settings
from vnpy_desk.line import Line

sys.path.insert(0, str(REPOSITORY / "examples" / "vnpy"))

from mdhub_vnpy import stream  # noqa: E402
from mdhub_vnpy.feed import HubFeed  # noqa: E402
from mdhub_vnpy.sections import Snapshots  # noqa: E402

TOKEN = "a-token-of-a-desk"
# Whatever the hour: the synthetic market never closes, sections do.
ALWAYS = Snapshots.ALL


def a_hub(hubs: Hubs, interval_ms: int = 500, **publish: Any) -> Hub:
    """A hub with a token, to which nobody comes without it."""
    market = {**SYNTHETIC, "interval_ms": interval_ms}
    token = {"name": "desk", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    sections = {"listen": "tcp://127.0.0.1:0", "tokens": [token], "anonymous": False, **publish}
    hub = hubs.run(settings(hubs.directory, replace(live_world(), market=market), FUTURES, publish=sections))
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    status.wait_for_condition(hub, "ctp-main", "Ready", "True")
    return hub


class Desk:
    """What came, by contract, and what was told."""

    def __init__(self) -> None:
        self.ticks: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.news: list[str] = []
        self._lock = threading.Lock()

    def take(self, tick: dict[str, Any]) -> None:
        with self._lock:
            self.ticks[tick["vt_symbol"]].append(tick)

    def told(self, part: str, within_s: float = 30.0) -> str:
        find = lambda: next((sentence for sentence in self.news if part in sentence), None)
        return eventually(find, within_s, f"{part!r} among {self.news}")

    def each_has(self, count: int, within_s: float = 30.0) -> None:
        """Waits until so many ticks of every contract have come."""
        enough = lambda: len(self.ticks) == len(FUTURES) and min(map(len, self.ticks.values())) >= count
        eventually(enough, within_s, f"{count} ticks of each")


def wired(line: Line, hub: Hub, token: str = TOKEN, path: str = "") -> stream.Hub:
    """The hub's ticks through the line, its control port directly."""
    return stream.Hub(line.endpoint, hub.listening().http + path, "desk", token)


@contextmanager
def at_a_desk(hub: stream.Hub) -> Iterator[Desk]:
    desk = Desk()
    feed = HubFeed([hub], desk.take, desk.news.append, snapshots=ALWAYS)
    for vt_symbol in FUTURES:
        feed.subscribe(vt_symbol)
    feed.start()
    try:
        yield desk
    finally:
        feed.close()


def test_what_a_cut_line_lost_is_filled_in_with_the_token(hubs: Hubs) -> None:
    hub = a_hub(hubs)
    with Line(hub.listening().zmq) as line, at_a_desk(wired(line, hub)) as desk:
        desk.each_has(4)
        line.cut()
        published = hub.vitals()["published"]
        eventually(lambda: hub.vitals()["published"] > published + 60, 30, "ticks that nobody hears")
        before = {topic: len(ticks) for topic, ticks in desk.ticks.items()}
        line.mend()
        desk.each_has(max(before.values()) + 8)
        told = desk.told("were missed")
    assert f"hub {line.endpoint} " in told and "filled in" in told
    words = told.split()
    missed, filled = int(words[2]), int(words[words.index("filled") - 4])
    assert missed == filled >= 30, told
    for topic, ticks in desk.ticks.items():
        numbers = [tick["seq"] for tick in ticks]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), (topic, numbers)
        assert not any(tick["flags"] & 1 for tick in ticks[1:]), "only a newcomer's first tick is none of the news"
        assert all(a["datetime"] <= b["datetime"] for a, b in pairwise(ticks)), "those of the control port among them"
    assert TOKEN not in hub.log() and TOKEN not in "".join(desk.news)


def test_a_gap_that_nobody_can_fill_is_told_and_the_stream_goes_on(hubs: Hubs) -> None:
    hub = a_hub(hubs)
    with Line(hub.listening().zmq) as line, at_a_desk(wired(line, hub, token="x")) as desk:
        assert "does not take the token" in desk.told("token")
        assert not desk.ticks
    with Line(hub.listening().zmq) as line, at_a_desk(wired(line, hub, path="/no")) as desk:
        desk.each_has(2)
        line.cut()
        published = hub.vitals()["published"]
        eventually(lambda: hub.vitals()["published"] > published + 30, 30, "ticks that nobody hears")
        line.mend()
        told = desk.told("were missed")
        assert "0 of them were filled in" in told and "404" in told
        last = {topic: ticks[-1]["seq"] for topic, ticks in desk.ticks.items()}
        eventually(lambda: all(desk.ticks[topic][-1]["seq"] > seq for topic, seq in last.items()), 30, "more of each")


def test_what_has_left_the_hubs_log_is_missed_and_the_rest_is_filled_in(hubs: Hubs) -> None:
    hub = a_hub(hubs, interval_ms=20, recent_bytes=1 << 20)
    with Line(hub.listening().zmq) as line, at_a_desk(wired(line, hub)) as desk:
        desk.each_has(2)
        line.cut()
        published = hub.vitals()["published"]
        eventually(lambda: hub.vitals()["published"] > published + 2_000, 60, "more ticks than the log holds")
        line.mend()
        words = desk.told("were missed").split()
    missed, filled = int(words[2]), int(words[words.index("filled") - 4])
    assert missed > 1_900 and 300 < filled < 1_200, words


def test_a_stream_whose_thread_stumbles_says_so_and_goes_on(hubs: Hubs) -> None:
    hub = hubs.live()
    desk, stumbles = Desk(), iter([True])

    def take(tick: dict[str, Any]) -> None:
        if next(stumbles, False):
            raise RuntimeError("a strategy's own")
        desk.take(tick)

    feed = HubFeed([stream.Hub(hub.listening().zmq)], take, desk.news.append, snapshots=ALWAYS)
    feed.subscribe("rb2701.SHFE")
    feed.start()
    try:
        assert "connected anew" in desk.told("a strategy's own")
        eventually(lambda: len(desk.ticks["rb2701.SHFE"]) >= 3, 30, "ticks again")
    finally:
        feed.close()
