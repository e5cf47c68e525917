"""Dirt from a front that is always first, while an honest one follows: none of it reaches the client, every true tick
does, and the counters tell what it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import status
from harness.disasters import LONE, LONE_FRONT, WELL_FRONT, Source, Stage, key_of_row, key_of_tick, stage
from harness.waiting import always, eventually
from harness.world import Scenario, read_tape, scenario

HONEST_DELAY_MS = 60.0
# Beside each true record: two of three are rejected.
RUBBISH = [scenario("junk_time", form="nines"), scenario("junk_time", form="empty_time")]

# What each is caught by. A share of the records only: a source that sends mostly rubbish is another story.
CAUGHT: list[tuple[str, Scenario]] = [
    ("bad_time", scenario("junk_time", form="nines", instruments=["rb2701"], rate=0.3, instead=True)),
    ("bad_date", scenario("junk_time", form="impossible_date", instruments=["au2612"], rate=0.3, instead=True)),
    ("no_time", scenario("junk_time", form="empty_time", instruments=["sc2701"], rate=0.3, instead=True)),
    ("volume_backwards", scenario("backwards_volume", lots=9_000_000, instruments=["m2705"], rate=0.3, instead=True)),
    ("crossed_book", scenario("crossed_book", instruments=["IF2612"], rate=0.3, instead=True)),
    ("price_not_positive", scenario("negative_price", instruments=["si2701"], rate=0.3, instead=True)),
]
ALSO_CAUGHT: list[tuple[str, Scenario]] = [
    ("absurd", scenario("jump", percent=400, instruments=["IF2612", "MA701"], rate=0.3, instead=True)),
    ("turnover_backwards", scenario("backwards_turnover", percent=90, instruments=["rb2701"], rate=0.3, instead=True)),
    ("price_not_positive", scenario("absent_values", value="zero", instruments=["m2705"], rate=0.3)),
]


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One hub for all the dirt."""
    with stage(tmp_path_factory.mktemp("stage")) as ready:
        ready.world.change(WELL_FRONT, delay_ms=HONEST_DELAY_MS)
        yield ready


@pytest.mark.parametrize("dirt", [CAUGHT, ALSO_CAUGHT], ids=["one of a kind", "and others"])
def test_dirt_is_caught_by_its_rule_and_the_honest_copy_is_published(
    on: Stage, dirt: list[tuple[str, Scenario]]
) -> None:
    with on.victim("ctp-dirty") as victim:
        process = victim.healthy()
        before = {rule: victim.rejected_by(rule) for rule, _ in dirt}
        victim.play(*(what for _, what in dirt))
        for rule, n in before.items():
            eventually(lambda r=rule, n=n: victim.rejected_by(r) >= n + 3, 20, f"{rule} rejects")  # type: ignore[misc]
        victim.phase("Healthy")
        assert on.hub.running(victim.account) == process


def test_what_is_absent_is_nil_and_no_impossible_number_reaches_the_client(on: Stage) -> None:
    with on.victim("ctp-absent") as victim:
        victim.healthy()
        begin = len(on.subscriber.ticks())
        # A snapshot's identity stays: the honest copy is the same tick.
        fields = ["open", "high", "low", "close", "settlement", "pre_close", "average"]
        victim.play(scenario("absent_values", value="dbl_max", fields=fields, instead=True))
        eventually(lambda: _sent(victim, "absent_values") >= 30, 20, "absent values")
        on.subscriber.wait_for_ticks(20, 10)
        ticks = on.subscriber.ticks()[begin:]
        assert any(tick.payload["open_price"] is None for tick in ticks)
        for tick in ticks:
            numbers = [value for value in tick.payload.values() if isinstance(value, float)]
            assert all(abs(value) < 1e300 for value in numbers), tick.payload


def test_records_of_other_times_and_of_contracts_that_nobody_asked_for_stay_out(on: Stage) -> None:
    dirt = [
        scenario("junk_time", form="stale", hours=5, instruments=["rb2701"], rate=0.3),
        scenario("closing_resend", time="00:00:00", instruments=["m2705"], every_ms=1_000),
        scenario("night_replay", records=40, instruments=["au2612"]),
        scenario("stray_instrument", instruments=["IF2612"], rate=0.5),
    ]
    with on.victim("ctp-ghosts") as victim:
        victim.healthy()
        begin = {name: on.hub.counter(victim.account, name) for name in ("late_unique", "unknown_contract")}
        victim.play(*dirt)
        for name in begin:
            more = lambda n=name: on.hub.counter(victim.account, n) >= begin[n] + 5  # type: ignore[misc]
            eventually(more, 20, f"{name} to count")
        for what in dirt:
            eventually(lambda k=what["kind"]: _sent(victim, k), 20, f"{what['kind']} on the tape")  # type: ignore[misc]
        on.subscriber.wait_for_ticks(30, 10)
        assert not [topic for topic in on.subscriber.by_topic() if topic.startswith("zz")]


def test_several_true_ticks_of_one_second_all_come_through(on: Stage) -> None:
    with on.victim("ctp-czce") as victim:
        victim.healthy()
        victim.legitimate.append(on.tape(victim.account))
        victim.play(scenario("same_second", exchanges=["CZCE"], copies=3))
        eventually(lambda: _sent(victim, "same_second") >= 24, 20, "several ticks of a second")
        victim.play()
        sent = {key_of_row(row) for row in read_tape(on.tape(victim.account)) if row.kind == "same_second"}
        on.subscriber.wait_for_ticks(20, 10)
        missing = sent - {key_of_tick(tick) for tick in on.subscriber.ticks()}
        assert not missing, f"{len(missing)} of {len(sent)}: {list(missing)[:3]}"


def test_a_source_that_says_something_else_is_counted_told_of_and_not_believed(on: Stage) -> None:
    behind = HONEST_DELAY_MS + 240
    with on.victim("ctp-liar", scenario("disagree", rate=0.2), delay_ms=behind) as victim:
        victim.phase("Healthy")
        eventually(lambda: on.hub.counter(victim.account, "disagreed") >= 10, 20, "disagreements to be counted")
        told = lambda: [event for event in status.events(on.hub, "Disagreement") if victim.account in event]
        eventually(told, 10, "an event of it")


def test_a_source_that_sends_mostly_rubbish_is_fenced_and_restarted_until_it_does_not(on: Stage) -> None:
    with on.victim("ctp-garbage") as victim:
        process = victim.healthy()
        victim.play(*RUBBISH)
        assert "most of its ticks are rejected" in victim.phase("Unhealthy")["why"]
        victim.condition("CanaryFresh", "False", "Garbage")
        victim.routed("rb2701.SHFE", False)
        victim.replaced(process)
        victim.play()
        victim.healthy()


def test_the_only_source_of_an_exchange_is_not_taken_away_for_its_rubbish(on: Stage) -> None:
    lone = Source(on, LONE, LONE_FRONT)
    process = lone.healthy()
    lone.play(*RUBBISH)
    lone.condition("CanaryFresh", "False", "Garbage", within_s=30)
    assert "since nobody else delivers" in lone.phase("Unhealthy")["why"]
    always(lambda: on.hub.worker(LONE) == process, 4.0, "it goes on")
    assert status.routes(on.hub, "10009123.SSE") == [LONE]
    lone.play()
    assert lone.healthy(within_s=40) == process, "good again, by itself"


def _sent(victim: Source, kind: str) -> int:
    return sum(row.kind == kind for row in read_tape(victim.stage.tape(victim.account)))
