"""What two lossy fronts must lead to, computed from their journals alone.

It shares nothing with the hub but the rule: the first copy of a snapshot is published unless a later snapshot was
published before it. Each snapshot of these days has a time of its own, so a snapshot's place in the file orders it.

A journal says when a front handed a record over, not when the feed read it. On the way there a record may be held up,
as long as the ticks around it were; and longer, where the copy that was handed over first was not the one that was
published. Where that could turn the order round, the oracle does not know, and says so.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

NS_PER_MS = 1_000_000

# How far a hold-up is taken to reach, before and after the moment at which it was seen.
REACH_NS = 20 * NS_PER_MS


@dataclass(frozen=True)
class Journal:
    """What one front handed over: record index -> nanoseconds of the monotonic clock."""

    at_ns: dict[int, int]

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Reads lines `index,mono_ns`."""
        at_ns: dict[int, int] = {}
        for line in path.read_text().splitlines():
            index, moment = line.split(",")
            assert int(index) not in at_ns, f"{path}: record {index} was handed over twice"
            at_ns[int(index)] = int(moment)
        return cls(at_ns)

    @classmethod
    def read_growing(cls, path: Path) -> Journal:
        """Reads the whole lines of a journal that may still grow, and to which several workers may have written, one
        after another; a record counts from its first hand-over."""
        at_ns: dict[int, int] = {}
        for line in path.read_text().split("\n")[:-1] if path.is_file() else []:
            index, moment = line.split(",")
            at_ns.setdefault(int(index), int(moment))
        return cls(at_ns)

    @property
    def last_ns(self) -> int:
        """When the latest record was handed over; 0 before any was."""
        return max(self.at_ns.values(), default=0)


@dataclass(frozen=True)
class HoldUps:
    """How long ticks took from their worker through the hub: moments (ns, monotonic), in order, and durations."""

    moments_ns: list[int]
    durations_ns: list[int]

    @classmethod
    def of(cls, samples: list[tuple[int, int]]) -> HoldUps:
        """From (moment, duration) pairs in any order."""
        ordered = sorted(samples)
        return cls([moment for moment, _ in ordered], [took for _, took in ordered])

    def worst_around(self, moment_ns: int) -> int:
        """The longest that any tick took which came in within REACH_NS of `moment_ns`."""
        first = bisect.bisect_left(self.moments_ns, moment_ns - REACH_NS)
        end = bisect.bisect_right(self.moments_ns, moment_ns + REACH_NS)
        return max(self.durations_ns[first:end], default=REACH_NS)


def overtaken_copies(
    published_by: dict[int, int], journals: tuple[Journal, Journal], margin_ns: int
) -> list[tuple[int, int]]:
    """Samples for HoldUps from the copies that lost a race which they had led by more than `margin_ns`: they were held
    up, nobody knows for how long. `published_by` gives the front, 0 or 1, of each published record."""
    samples = []
    for index, front in published_by.items():
        winner, loser = journals[front].at_ns.get(index), journals[1 - front].at_ns.get(index)
        if winner is not None and loser is not None and loser + margin_ns < winner:
            samples.append((loser, REACH_NS))
    return samples


def overtaken_by_their_own_front(
    records: int, published_by: dict[int, int], journals: tuple[Journal, Journal]
) -> list[int]:
    """Records that were not published although nothing can have made them late, whatever the machine did: the front
    that brought the next published record had brought them before it, and its pipe keeps their order."""
    found = []
    overtaker: int | None = None
    for index in range(records - 1, -1, -1):
        if index in published_by:
            overtaker = published_by[index]
        elif overtaker is None or index in journals[overtaker].at_ns:
            found.append(index)
    return found[::-1]


@dataclass(frozen=True)
class Verdict:
    """Sets of record indices."""

    published: set[int]
    late: set[int]
    uncertain: set[int]
    lost_by_both: set[int]


def judge(records: int, first: Journal, second: Journal, hold_ups: HoldUps, margin_ns: int) -> Verdict:
    """What must become of each of `records` records."""
    verdict = Verdict(set(), set(), set(), set())
    overtaken = [_earliest_later(records, journal) for journal in (first, second)]
    for index in range(records):
        copies = [journal.at_ns[index] for journal in (first, second) if index in journal.at_ns]
        if not copies:
            verdict.lost_by_both.add(index)
            continue
        arrives = min(copies)
        overtakes = min(moments[index] for moments in overtaken)
        slack = overtakes - arrives
        doubt = margin_ns + hold_ups.worst_around(arrives)
        if slack > doubt:
            verdict.published.add(index)
        elif slack < -doubt:
            verdict.late.add(index)
        else:
            verdict.uncertain.add(index)
    return verdict


def _earliest_later(records: int, journal: Journal) -> list[int]:
    """For each record, when this front first handed over a later one; for ever where it did not."""
    never = 2**63
    moments = [never] * records
    for index in range(records - 2, -1, -1):
        moments[index] = min(moments[index + 1], journal.at_ns.get(index + 1, never))
    return moments


def first_hand_overs(journals: list[Journal]) -> list[int]:
    """When each record was first handed over by any front, in order."""
    first: dict[int, int] = {}
    for journal in journals:
        for index, moment in journal.at_ns.items():
            first[index] = min(moment, first.get(index, moment))
    return sorted(first.values())


def quiet_moment(moments_ns: list[int], reach_ns: int = 1_500 * NS_PER_MS) -> int:
    """The middle of the longest pause that began more than 200 ms and at most `reach_ns` before the last moment: a cut
    there counts the same on both sides of a pipe."""
    end = moments_ns[-1] - 200 * NS_PER_MS
    pauses = [(b - a, (a + b) // 2) for a, b in pairwise(moments_ns) if end - reach_ns < a and b < end]
    return max(pauses)[1]
