"""All fronts hold their connections and say nothing; then one of them speaks again, and later the others."""

from __future__ import annotations

import time
from pathlib import Path

from chaos_oracle import judge_numbers
from chaos_stage import HEALTH, POLL_S, stage
from harness import status
from harness.processes import Worker, exists
from harness.waiting import always, eventually
from harness.world import scenario

CTP = ["ctp-a", "ctp-b", "ctp-c"]


def test_when_all_fronts_are_half_open_and_one_recovers_it_carries_everything_and_the_others_come_after(
    tmp_path: Path,
) -> None:
    with stage(tmp_path) as on:
        sources = [on.sources[account] for account in CTP]
        options = [on.worker(source) for source in on.sources.values() if source.kind == "sopt"]
        first = {source.account: on.worker(source) for source in sources}
        for source in sources:
            on.closes_healthy(source)
            on.play(source, scenario("stall"))
        silent = lambda: status.document(on.hub)["silent_markets"]
        eventually(lambda: silent() == ["ctp"], 30, "the market to seem silent", POLL_S)
        hold_s = HEALTH["market_silent_hold_ms"] / 1_000
        always(lambda: all(exists(worker.pid) for worker in first.values()), hold_s / 2, "nobody is restarted")
        # The hold is over, and the first one is restarted: a front that speaks again does so to whoever asks.
        eventually(lambda: _replaced(first) != [], 40, "a first restart", POLL_S)
        assert len(_replaced(first)) == 1, "one at a time"

        well, before = sources[0], len(on.subscriber.ticks())
        on.play(well)
        on.wait_until_well(well)
        eventually(lambda: silent() == [], 20, "the silence to be over", POLL_S)
        fresh = lambda: {tick.topic for tick in on.subscriber.ticks()[before:]}
        eventually(lambda: fresh() >= set(well.contracts), 20, "every contract to tick", POLL_S)
        process = on.worker(well)
        # The others have no excuse now, and are restarted each for itself; the one that delivers is left alone.
        eventually(lambda: status.routes(on.hub, "rb2701.SHFE") == [well.account], 30, "its routes", POLL_S)
        for source in sources[1:]:
            old = on.hub.worker(source.account) or first[source.account]
            eventually(lambda p=old.pid: not exists(p), 40, f"{source.account} to be restarted", POLL_S)
            on.play(source)
        for source in sources[1:]:
            on.wait_until_well(source)
        assert on.worker(well) == process, "the only one that delivered was touched"
        assert [on.worker(on.sources[w.account]) for w in options] == options, "another kind has nothing to do with it"
        assert len(status.events(on.hub, "MarketSilent")) == 1, "one alert"
        assert judge_numbers(on.subscriber.ticks()) == ([], [])


def test_when_every_front_of_every_kind_falls_silent_the_hub_comes_back_by_itself(tmp_path: Path) -> None:
    with stage(tmp_path) as on:
        for source in on.sources.values():
            on.closes_healthy(source)
            on.play(source, scenario("stall"))
        both = ["ctp", "sopt"]
        eventually(lambda: sorted(status.document(on.hub)["silent_markets"]) == both, 30, "both to seem silent", POLL_S)
        begin, seen = time.monotonic(), set[tuple[str, int]]()

        def look() -> bool:
            seen.update((worker.account, worker.pid) for worker in on.hub.workers())
            return time.monotonic() - begin > 15.0

        eventually(look, 30, "some rounds of restarts")
        # Held for five seconds, then one every four and a half of each kind: no storm.
        assert len(seen) - len(on.sources) <= 2 * 4, f"too many restarts: {sorted(seen)}"
        assert len(seen) > len(on.sources), "but somebody is tried"
        for source in on.sources.values():
            on.play(source)
        for source in on.sources.values():
            on.wait_until_well(source)
        assert len(status.events(on.hub, "MarketSilent")) == 2, "one alert for each kind"
        assert judge_numbers(on.subscriber.ticks()) == ([], [])


def _replaced(first: dict[str, Worker]) -> list[str]:
    return [account for account, worker in first.items() if not exists(worker.pid)]
