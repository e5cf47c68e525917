"""The judges of chaos can say no: each wrong is planted into a run that was right, and each is named."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos_oracle import Verdict, judge
from chaos_stage import Source, Watch
from harness.subscriber import Received
from harness.waiting import eventually

RECORDS, STEP_NS = 40, 500_000_000
BEGIN_NS = 1_000_000_000_000
END_NS = BEGIN_NS + RECORDS * STEP_NS
AT = datetime(2026, 11, 23, 2, 0, tzinfo=timezone.utc)


def moment_ns(number: int) -> int:
    """When a record is handed over."""
    return BEGIN_NS + 1_000 + number * STEP_NS


def row(number: int) -> str:
    """A record on a tape; 10:00 in Shanghai is 02:00 UTC."""
    at = (AT + timedelta(seconds=number / 2)).strftime("%H:%M:%S").replace("02:", "10:", 1)
    prices = "1e0,1e0,3.15e3,3.149e3,7,3.151e3,9"
    ms = 500 * (number % 2)
    return f"{number},{moment_ns(number)},true,rb2701,20261123,20261123,{at},{ms},{100 + number},{prices}\n"


def tick(number: int, seq: int | None = None, delay_s: float = 0.01) -> Received:
    """The same record as published."""
    payload: dict[str, Any] = {
        "symbol": "rb2701", "datetime": AT + timedelta(seconds=number / 2), "volume": 100.0 + number, "tid": number,
        "seq": number + 1 if seq is None else seq, "last_price": 3150.0, "bid_price_1": 3149.0, "ask_price_1": 3151.0,
        "bid_volume_1": 7.0, "ask_volume_1": 9.0, "flags": 0,
    }  # fmt: skip
    return Received("rb2701.SHFE", payload, moment_ns(number) / 1e9 + delay_s)


def judged(directory: Path, ticks: list[Received]) -> Verdict:
    """One healthy front, and what a client got."""
    tape = directory / "ctp-a.tape"
    tape.write_text("".join(row(number) for number in range(RECORDS)))
    source = Source("ctp-a", "ctp", "tcp://127.0.0.1:1", tape, healthy_ns=[(BEGIN_NS, None)])
    return judge([source], ticks, BEGIN_NS, END_NS)


GOOD = [tick(number) for number in range(RECORDS)]
UNTRUE = replace(GOOD[9], payload={**GOOD[9].payload, "last_price": 1.0})


def test_a_run_in_which_everything_came_once_is_good(tmp_path: Path) -> None:
    verdict = judged(tmp_path, GOOD)
    assert verdict.faults() == []
    assert (verdict.true_records, verdict.published, verdict.intervals, verdict.availability) == (40, 40, 40, 1.0)


@pytest.mark.parametrize(
    ("ticks", "word"),
    [
        ([tick(n, n + 1 - (n > 9)) for n in range(RECORDS) if n != 9], "1 of 40 true ticks are lost"),
        ([tick(n, n + 1 + (n > 9)) for n in range(RECORDS)], "seq jumps: ['rb2701.SHFE: 10 -> 12']"),
        ([*GOOD, tick(9, RECORDS + 1)], "a tid came twice: ['rb2701.SHFE: seq 41']"),
        ([*GOOD[:9], UNTRUE, *GOOD[10:]], "ticks are not true"),
        ([tick(n, delay_s=4.0 if n == RECORDS - 1 else 0.01) for n in range(RECORDS)], "availability 0.97500"),
    ],
    ids=["lost", "gap", "twice", "untrue", "late"],
)
def test_each_wrong_is_seen(tmp_path: Path, ticks: list[Received], word: str) -> None:
    assert any(word in fault for fault in judged(tmp_path, ticks).faults()), judged(tmp_path, ticks).faults()


def test_what_takes_long_while_the_machine_stands_still_is_not_late(tmp_path: Path) -> None:
    ticks = [tick(n, delay_s=4.0 if n == RECORDS - 1 else 0.01) for n in range(RECORDS)]
    late = judged(tmp_path, ticks)
    source = Source("ctp-a", "ctp", "", tmp_path / "ctp-a.tape", healthy_ns=[(BEGIN_NS, None)])
    still = (moment_ns(RECORDS - 1) + 100_000_000, moment_ns(RECORDS - 1) + 3_800_000_000)
    excused = judge([source], ticks, BEGIN_NS, END_NS, [still])
    assert (late.available, excused.available) == (RECORDS - 1, RECORDS)


def test_a_truth_with_a_hole_is_no_truth(tmp_path: Path) -> None:
    tape = tmp_path / "ctp-a.tape"
    tape.write_text("".join(row(number) for number in range(RECORDS)))
    until_ns = moment_ns(10)
    source = Source("ctp-a", "ctp", "", tape, healthy_ns=[(BEGIN_NS, until_ns), (until_ns + 8 * STEP_NS, None)])
    assert judge([source], GOOD, BEGIN_NS, END_NS).truth_holes == ["rb2701: 5.00 s"]


def test_what_a_front_under_fault_alone_handed_over_is_not_asked_for(tmp_path: Path) -> None:
    tape = tmp_path / "ctp-a.tape"
    tape.write_text("".join(row(number) for number in range(RECORDS)) + "torn,12")
    source = Source("ctp-a", "ctp", "", tape, healthy_ns=[(BEGIN_NS, moment_ns(20))])
    verdict = judge([source], GOOD[:20], BEGIN_NS, moment_ns(20))
    assert (verdict.true_records, verdict.lost) == (20, [])


def test_two_live_processes_of_an_account_are_seen() -> None:
    words = ["gateway", "ctp", "--account", "ctp-twin", "--incarnation", "1.1", "--parent-pid", "1"]
    twins = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)", *words]) for _ in range(2)]
    watch = Watch(SimpleNamespace(pid=1))  # type: ignore[arg-type]
    try:
        eventually(lambda: watch.doubles, 10, "both to be seen")
        assert watch.doubles == {("ctp-twin", tuple(twin.pid for twin in twins))}
    finally:
        watch.close()
        for twin in twins:
            twin.kill()
            twin.wait()


def test_a_dead_child_that_nobody_waits_for_is_seen() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, time; subprocess.Popen(['true']); time.sleep(30)"]
    )
    watch = Watch(SimpleNamespace(pid=parent.pid))  # type: ignore[arg-type]
    try:
        begin = time.monotonic()
        eventually(lambda: watch.zombies, 15, "the zombie to be named")
        assert time.monotonic() - begin > Watch.ZOMBIE_S_MAX, "a moment is allowed"
    finally:
        watch.close()
        parent.kill()
        parent.wait()
