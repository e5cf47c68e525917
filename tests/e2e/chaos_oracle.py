"""What a client must have got in a run of chaos, from the fronts' tapes alone: every record that a front handed over
while its source was beyond doubt, once, and nothing that no front said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from chaos_stage import CANARIES, CANARY_SILENCE_S, Source
from harness.disasters import Key, key_of_row, key_of_tick
from harness.subscriber import Received
from harness.world import TapeRow, read_tape

COLUMNS = 16
# Each contract has a snapshot every 500 ms: where the truth has a hole of this, it is no truth.
TRUTH_HOLE_S_MAX = 1.7
# A front that is half a second behind, on a machine that has other things to do.
OVERTAKEN_SHARE_MAX = 0.005
AVAILABILITY_MIN = 0.999


@dataclass
class Verdict:
    """The figures of a run. A *canary interval* is the time from one record of a canary contract, as the first healthy
    front hands it over, to the next: it is available when that record, or a later one of the contract, is with the
    client within CANARY_SILENCE_S, the silence after which the hub itself gives a source up. Time in which the whole
    machine stood still does not count."""

    true_records: int = 0
    published: int = 0
    lost: list[Key] = field(default_factory=list)
    # Not lost but given up, as the order of ticks demands: see `_overtaken`.
    overtaken: int = 0
    dirt: list[Key] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    truth_holes: list[str] = field(default_factory=list)
    intervals: int = 0
    available: int = 0
    # From the first healthy front to the client, of the canaries.
    took_s: list[float] = field(default_factory=list)

    @property
    def availability(self) -> float:
        """Share of the canary intervals."""
        return self.available / self.intervals if self.intervals else 0.0

    def share_within(self, seconds: float) -> float:
        """Share of the canaries' records that were with the client so soon."""
        return sum(took <= seconds for took in self.took_s) / max(1, self.intervals)

    def faults(self) -> list[str]:
        """What is wrong; empty after a good run."""
        found = {
            f"{len(self.lost)} of {self.true_records} true ticks are lost: {self.lost[:3]}": bool(self.lost),
            f"{len(self.dirt)} ticks are not true: {self.dirt[:3]}": bool(self.dirt),
            f"seq jumps: {self.gaps[:5]}": bool(self.gaps),
            f"a tid came twice: {self.twice[:5]}": bool(self.twice),
            f"the healthy fronts' tapes have holes: {self.truth_holes[:5]}": bool(self.truth_holes),
            f"availability {self.availability:.5f}": self.availability <= AVAILABILITY_MIN,
            f"{self.overtaken} ticks were overtaken": self.overtaken > OVERTAKEN_SHARE_MAX * self.true_records,
        }
        return [text for text, is_wrong in found.items() if is_wrong]


def judge(
    sources: list[Source],
    ticks: list[Received],
    begin_ns: int,
    end_ns: int,
    standstills_ns: Sequence[tuple[int, int]] = (),
) -> Verdict:
    """Judges what `ticks` (news, in order of arrival, from before `begin_ns` on) made of the records between the two
    moments of CLOCK_MONOTONIC; the machine stood still meanwhile from the one to the other of each pair."""
    verdict = Verdict()
    tapes = {source.account: _true_rows(source.tape) for source in sources}
    truth = _truth(sources, tapes, begin_ns, end_ns)
    verdict.true_records = len(truth)
    verdict.truth_holes = _holes(truth, tapes, begin_ns, end_ns)
    published: dict[Key, float] = {}
    for tick in ticks:
        published.setdefault(key_of_tick(tick), tick.at_mono)
    verdict.published = sum(key in published for key in truth)
    first = _first_hand_overs(tapes)
    for key, row in truth.items():
        if key in published:
            continue
        if _overtaken(row, first[row.instrument]):
            verdict.overtaken += 1
        else:
            verdict.lost.append(key)
    known = {key_of_row(row) for rows in tapes.values() for row in rows}
    verdict.dirt = [
        key_of_tick(tick) for tick in ticks
        if begin_ns < tick.at_mono * 1e9 < end_ns and key_of_tick(tick) not in known
    ]  # fmt: skip
    verdict.gaps, verdict.twice = judge_numbers(ticks)
    _judge_canaries(verdict, truth, published, standstills_ns)
    return verdict


def _true_rows(tape: Path) -> list[TapeRow]:
    """A tape that its front's process could not finish has a torn line where the next one began."""
    whole = tape.with_suffix(".whole")
    lines = [line for line in tape.read_text().splitlines(keepends=True) if line.endswith("\n")]
    whole.write_text("".join(line for line in lines if line.count(",") == COLUMNS - 1))
    return [row for row in read_tape(whole) if row.is_true]


def _truth(sources: list[Source], tapes: dict[str, list[TapeRow]], begin_ns: int, end_ns: int) -> dict[Key, TapeRow]:
    """Each record that a healthy front handed over, as the first of them did."""
    truth: dict[Key, TapeRow] = {}
    for source in sources:
        for since_ns, until_ns in source.healthy_ns:
            lower, upper = max(since_ns, begin_ns), min(until_ns or end_ns, end_ns)
            for row in tapes[source.account]:
                if lower < row.moment_ns < upper:
                    key = key_of_row(row)
                    if key not in truth or row.moment_ns < truth[key].moment_ns:
                        truth[key] = row
    return dict(sorted(truth.items(), key=lambda item: item[1].moment_ns))


def _holes(truth: dict[Key, TapeRow], tapes: dict[str, list[TapeRow]], begin_ns: int, end_ns: int) -> list[str]:
    """Spans without a word of a healthy front on a contract of which another one had news: a machine that stood still
    makes none."""
    moments: dict[str, list[int]] = defaultdict(lambda: [begin_ns])
    for row in truth.values():
        moments[row.instrument].append(row.moment_ns)
    untold: dict[str, list[int]] = defaultdict(list)
    for rows in tapes.values():
        for row in rows:
            if key_of_row(row) not in truth:
                untold[row.instrument].append(row.moment_ns)
    return [
        f"{instrument}: {(b - a) / 1e9:.2f} s"
        for instrument, of_others in untold.items()
        for a, b in pairwise([*moments[instrument], end_ns])
        if (b - a) / 1e9 > TRUTH_HOLE_S_MAX and any(a < moment < b for moment in of_others)
    ]


def _first_hand_overs(tapes: dict[str, list[TapeRow]]) -> dict[str, list[TapeRow]]:
    """Each contract's records by any front, each as it was first handed over, in the market's order."""
    first: dict[Key, TapeRow] = {}
    for rows in tapes.values():
        for row in rows:
            key = key_of_row(row)
            if key not in first or row.moment_ns < first[key].moment_ns:
                first[key] = row
    of: dict[str, list[TapeRow]] = defaultdict(list)
    for row in sorted(first.values(), key=lambda row: (row.trading_day, row.volume, row.update_time, row.update_ms)):
        of[row.instrument].append(row)
    return of


def _overtaken(row: TapeRow, of_contract: list[TapeRow]) -> bool:
    """Whether another front had handed over a later record before any did this one: in order beats complete."""
    return any(other.moment_ns < row.moment_ns and other.volume > row.volume for other in of_contract)


def judge_numbers(ticks: list[Received]) -> tuple[list[str], list[str]]:
    """Where `seq` jumps, and where a `tid` comes a second time."""
    by_topic: dict[str, list[Received]] = defaultdict(list)
    gaps, twice = [], []
    for tick in ticks:
        by_topic[tick.topic].append(tick)
    for topic, of_topic in by_topic.items():
        numbers = [tick.payload["seq"] for tick in of_topic]
        gaps += [f"{topic}: {a} -> {b}" for a, b in pairwise(numbers) if b != a + 1]
        seen: set[int] = set()
        for tick in of_topic:
            if tick.payload["tid"] in seen:
                twice.append(f"{topic}: seq {tick.payload['seq']}")
            seen.add(tick.payload["tid"])
    return gaps, twice


def _judge_canaries(
    verdict: Verdict,
    truth: dict[Key, TapeRow],
    published: dict[Key, float],
    standstills_ns: Sequence[tuple[int, int]],
) -> None:
    codes = {canary.rpartition(".")[0] for canary in CANARIES}
    arrivals: dict[str, list[float]] = defaultdict(list)
    for key, at_mono in published.items():
        arrivals[str(key[0])].append(at_mono)
    for key, row in truth.items():
        if row.instrument not in codes:
            continue
        verdict.intervals += 1
        handed = row.moment_ns / 1e9
        later = next((at for at in arrivals[row.instrument] if at >= handed), float("inf"))
        at = published.get(key, later)
        still = sum(max(0.0, min(at, b / 1e9) - max(handed, a / 1e9)) for a, b in standstills_ns)
        verdict.available += at - handed - still <= CANARY_SILENCE_S
        verdict.took_s.append(max(0.0, at - handed - still))
