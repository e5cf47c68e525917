"""What one hub's numbers tell: which ticks are next, which were missed, and what to ask for.

Nothing here waits, reads a clock or a socket. `seq` counts each contract's ticks from 1 without gaps for as long as the
hub runs; another `epoch` means that it was started anew. What comes behind a gap is held until the gap is filled or
given up, so that a strategy never sees time go backwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Tick = dict[str, Any]

FLAG_SNAPSHOT = 1
FLAG_POST_CLOSE = 4

# Of one contract: ticks that wait behind a gap, and ticks that are asked for. 500 s at two a second.
HELD_MAX = 1_000
FILL_MAX = 1_000


@dataclass(frozen=True)
class Fill:
    """Ticks of a contract to be asked for: those with `after_seq < seq <= up_to_seq`."""

    vt_symbol: str
    epoch: int
    after_seq: int
    up_to_seq: int


@dataclass(frozen=True)
class Gap:
    """Ticks that did not come by themselves: so many were missed, so many of those were filled."""

    vt_symbol: str
    missed: int
    filled: int


@dataclass
class Step:
    """What follows from what came: ticks to be passed on, in order; what to ask for; gaps that are over."""

    ticks: list[Tick] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


@dataclass
class _Topic:
    """Where a contract's numbers stand. `fill` is what was asked for, `held` what waits behind it."""

    epoch: int | None = None
    seq: int = 0
    fill: Fill | None = None
    held: list[Tick] = field(default_factory=list)


class Sequence:
    """One hub's numbers, contract by contract."""

    def __init__(self, can_fill: bool) -> None:
        """`can_fill`: there is somebody to ask for ticks that were missed."""
        self._can_fill = can_fill
        self._topics: dict[str, _Topic] = {}

    def follow(self, vt_symbol: str) -> None:
        """From now on this contract's ticks count."""
        self._topics.setdefault(vt_symbol, _Topic())

    def forget(self, vt_symbol: str) -> None:
        """No more."""
        self._topics.pop(vt_symbol, None)

    def take(self, tick: Tick) -> Step:
        """A tick came."""
        step = Step()
        topic = self._topics.get(tick["vt_symbol"])
        if topic is None:
            return step
        if topic.fill is not None and (tick["epoch"] != topic.epoch or len(topic.held) >= HELD_MAX):
            self._give_up(topic, step)
        if topic.fill is not None:
            topic.held.append(tick)
        else:
            self._next(topic, tick, step)
        return step

    def filled(self, fill: Fill, ticks: list[Tick]) -> Step:
        """What was asked for came, or as much of it as there is."""
        step = Step()
        topic = self._topics.get(fill.vt_symbol)
        if topic is not None and topic.fill == fill:
            self._close(topic, fill, ticks, step)
        return step

    def _next(self, topic: _Topic, tick: Tick, step: Step) -> None:
        """Passes the tick on, or finds out that others come first."""
        is_snapshot = bool(tick["flags"] & FLAG_SNAPSHOT)
        if topic.epoch is None:
            topic.epoch, topic.seq = tick["epoch"], tick["seq"]
            step.ticks.append(tick)
            return
        if tick["epoch"] != topic.epoch:
            topic.epoch, topic.seq = tick["epoch"], 0
        if tick["seq"] <= topic.seq:
            return
        # A snapshot that was not seen before was missed itself: as news it is among those that are asked for.
        up_to = tick["seq"] if is_snapshot else tick["seq"] - 1
        if up_to == topic.seq:
            topic.seq = tick["seq"]
            step.ticks.append(tick)
        elif self._can_fill:
            # Of a very long gap the newest are worth having.
            after = max(topic.seq, up_to - FILL_MAX)
            if after > topic.seq:
                step.gaps.append(Gap(tick["vt_symbol"], after - topic.seq, 0))
                topic.seq = after
            topic.fill = Fill(tick["vt_symbol"], tick["epoch"], after, up_to)
            topic.held = [tick]
            step.fills.append(topic.fill)
        else:
            step.gaps.append(Gap(tick["vt_symbol"], up_to - topic.seq, 0))
            topic.seq = tick["seq"]
            step.ticks.append(tick)

    def _give_up(self, topic: _Topic, step: Step) -> None:
        """Nobody waits for what was asked for any more, nor for gaps among what was held."""
        while topic.fill is not None:
            self._close(topic, topic.fill, [], step)
        step.fills.clear()

    def _close(self, topic: _Topic, fill: Fill, ticks: list[Tick], step: Step) -> None:
        """Passes on what came of a fill, and what was held behind it."""
        held, topic.held, topic.fill, topic.seq = topic.held, [], None, fill.up_to_seq
        found = {t["seq"]: t for t in ticks if t["epoch"] == fill.epoch and fill.after_seq < t["seq"] <= fill.up_to_seq}
        step.ticks += [found[seq] for seq in sorted(found)]
        step.gaps.append(Gap(fill.vt_symbol, fill.up_to_seq - fill.after_seq, len(found)))
        if held[0]["flags"] & FLAG_SNAPSHOT and fill.up_to_seq not in found:
            # What showed the gap could not be had as news: it is passed on as what it is.
            step.ticks.append(held[0])
        for place, tick in enumerate(held):
            self._next(topic, tick, step)
            if topic.fill is not None:
                topic.held += held[place + 1 :]
                break
