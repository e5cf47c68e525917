"""Forty faults on a real hub, each beside a healthy source of its kind; the client notices none. See `make chaos`."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from chaos import Run, gaps_of_a_lone_source, rage, report
from chaos_faults import FAULTS, deal
from chaos_stage import SOURCES

SEED, FAULTS_MIN, KILLS = 20_261_123, 40, 5
KINDS = {account: kind for account, (kind, _) in SOURCES.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run for every claim."""
    run = rage(tmp_path_factory.mktemp("chaos"), SEED, FAULTS_MIN)
    print(report(run, []))
    return run


def test_forty_faults_of_every_kind_are_noticed_and_recovered_from(run: Run) -> None:
    assert not run.broken
    assert len(run.done) == FAULTS_MIN
    assert {done.dealt.fault.name for done in run.done} >= {fault.name for fault in FAULTS}


def test_not_one_true_tick_is_lost_and_no_other_is_published(run: Run) -> None:
    assert run.verdict.true_records > 300
    assert not run.verdict.truth_holes, "the oracle knows what a client must have got"
    assert not run.verdict.lost
    assert not run.verdict.dirt


def test_no_number_is_left_out_and_no_tick_comes_twice(run: Run) -> None:
    assert not run.verdict.gaps
    assert not run.verdict.twice


def test_more_than_999_of_1000_canary_intervals_are_available(run: Run) -> None:
    assert run.verdict.intervals > 100
    assert run.verdict.availability > 0.999


def test_memory_descriptors_and_processes_stay_bounded(run: Run) -> None:
    assert run.looks > 100
    assert not run.faults(), "neither these nor anything else"


def test_a_lone_source_that_is_killed_leaves_a_gap_of_seconds(tmp_path: Path) -> None:
    begin = time.monotonic()
    gaps, faults = gaps_of_a_lone_source(tmp_path, KILLS, SEED)
    took_s = time.monotonic() - begin
    print(f"{KILLS} kills in {took_s:.0f} s: gap median {statistics.median(gaps):.2f} s, worst {max(gaps):.2f} s")
    assert len(gaps) == KILLS
    assert not faults
    # Backoff, start and login, and as long again for a busy machine.
    assert max(gaps) < 20.0


def test_a_seed_deals_the_same_faults_again() -> None:
    assert deal(3, 100, KINDS) == deal(3, 100, KINDS)
    assert deal(3, 100, KINDS) != deal(4, 100, KINDS)
