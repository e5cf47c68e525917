#!/usr/bin/env python3
"""Several trading days on a real hub, accelerated: nights, breaks and closes by a replay's clock, a start before and a
stop after each day as cron does them, a kill -9 of the hub in each, and faults of one source after the other, under the
eyes of a libzmq client and of the fronts' tapes. Not a part of `make test`."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import soak_days
from chaos_oracle import AVAILABILITY_MIN, Verdict, judge
from chaos_stage import Measure, Source, Watch
from harness import desired, status
from harness.hub import Hub
from harness.places import REPOSITORY
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import BACKUP_FRONT, MAIN_FRONT, Front, LiveWorld, World, scenario, settings

LEAD_S = 4.0
WELL_WITHIN_S = 40.0
# What the tapes have not been told yet when everything is killed at once.
EDGE_NS = 400_000_000
RSS_GROWTH_KIB_MAX = 16 * 1024
DESCRIPTORS_GROWTH_MAX = 8
FRONTS = {"ctp-main": MAIN_FRONT, "ctp-backup": BACKUP_FRONT}
FAULTS = ("kill -9", "SIGSTOP", "stall", "garbage", "disconnect", "database locked")


@dataclass
class Life:
    """One process of the hub: from its start to its end."""

    day: dt.date
    verdict: Verdict
    first: Measure
    last: Measure
    seconds: float
    faults: int


@dataclass
class Soak:
    """What a soak has shown."""

    lives: list[Life] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    recovered_s: list[float] = field(default_factory=list)
    outages_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def intervals(self) -> int:
        """Of all lives."""
        return sum(life.verdict.intervals for life in self.lives)

    @property
    def share(self) -> float:
        """Of the intervals while a hub was there, those in which the newest tick was with the client in time."""
        return sum(life.verdict.available for life in self.lives) / max(1, self.intervals)

    @property
    def availability(self) -> float:
        """The same of section time: a restart takes the seconds that it takes, of a day that is not accelerated."""
        days = max(1, len({life.day for life in self.lives}))
        return self.share * (1 - sum(self.outages_s) / (days * soak_days.SECTION_S))

    def wrong(self) -> list[str]:
        """Every bound that is broken."""
        found = list(self.broken)
        for life in self.lives:
            found += [f"{life.day}: {fault}" for fault in life.verdict.faults()]
            if life.last.descriptors > life.first.descriptors + DESCRIPTORS_GROWTH_MAX:
                found.append(f"{life.day}: descriptors grew: {life.first} -> {life.last}")
            if life.last.rss_kib > life.first.rss_kib + RSS_GROWTH_KIB_MAX:
                found.append(f"{life.day}: memory grew: {life.first} -> {life.last}")
        if self.lives and self.lives[-1].last.rss_kib > self.lives[0].last.rss_kib + RSS_GROWTH_KIB_MAX:
            found.append("memory grew from the first process to the last one")
        if self.availability <= AVAILABILITY_MIN:
            found.append(f"availability in section {self.availability:.4%}")
        return found


class Days:
    """The hub on its volume, day after day."""

    def __init__(self, directory: Path, seed: int, speed: float, soak: Soak) -> None:
        self._directory, self._seed, self._speed, self._soak = directory, seed, speed, soak
        self._dice = random.Random(seed)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._zmq = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self._client = Subscriber(self._zmq)
        self._begin = time.monotonic()
        self._ticked: set[str] = set()
        self._gone_s = 0.0

    def day(self, day: dt.date) -> None:
        """From before the first section to after the last one; the hub is killed once meanwhile."""
        files = soak_days.write(self._directory / "days", day, self._seed)
        start_s = time.time() + LEAD_S
        market = {"kind": "replay", "files": [str(file) for file in files], "speed": self._speed}
        market |= {"start_at_ms": int(start_s * 1000), "gap_ms_max": soak_days.GAP_MS_MAX}
        world = World({at: Front(tape=self._tape(account, day)) for account, at in FRONTS.items()}, market)
        publish = {"listen": self._zmq, "recent_bytes": 1 << 20}
        clock = {"calendar": {"always_open": False}, "cleansing": {"clock": "replay"}}
        file = settings(self._directory, world, list(soak_days.CONTRACTS), publish=publish, **clock)
        end_s = start_s + soak_days.SECTION_S / self._speed
        killed_s = start_s + (end_s - start_s) * self._dice.uniform(0.3, 0.6)
        first = self._life(file, day, killed_s, self._kill)
        second = self._life(file, day, end_s - 1.0, self._stop_after(end_s + 2.0), self._back)
        for hub, judged in (first, second):
            judged()
            assert not hub.workers(), "workers outlived their hub"

    def close(self) -> None:
        """The client, too."""
        self._client.close()

    def _tape(self, account: str, day: dt.date) -> Path:
        return self._directory / f"{account}-{day:%Y%m%d}.tape"

    def _kill(self, hub: Hub) -> None:
        ticks, now_s = self._client.ticks()[-200:], time.monotonic()
        self._ticked = {tick.topic for tick in ticks if tick.at_mono > now_s - 0.5}
        hub.kill()
        self._gone_s = time.monotonic()

    def _back(self, epoch: int) -> None:
        """Waits for every contract that ticked before the kill."""

        def first() -> dict[str, float]:
            ticks = [t for t in self._client.ticks()[-2_000:] if t.payload["epoch"] == epoch]
            return {tick.topic: tick.at_mono for tick in reversed(ticks)}

        eventually(lambda: set(first()) >= self._ticked, WELL_WITHIN_S, "ticks of the hub that was started again")
        outage_s = max(at for topic, at in first().items() if topic in self._ticked) - self._gone_s
        self._soak.outages_s.append(outage_s)
        self._say(f"hub killed: ticks of all {len(self._ticked)} contracts again after {outage_s:.2f} s")

    def _stop_after(self, until_s: float) -> Callable[[Hub], None]:
        def stop(hub: Hub) -> None:
            time.sleep(max(0.0, until_s - time.time()))
            code = hub.stop()
            assert code == 0, f"exit code {code} after the day"

        return stop

    def _life(
        self,
        file: Path,
        day: dt.date,
        until_s: float,
        end: Callable[[Hub], None],
        begun: Callable[[int], None] | None = None,
    ) -> tuple[Hub, Callable[[], None]]:
        """A process of the hub from start to end; and what judges it, for later: another one is to start at once."""
        hub = Hub.run(self._directory / "data", file)
        try:
            epoch = int(hub.listening().epoch)
            known = set(desired.listed(hub.data_dir))
            for priority, (account, front) in enumerate(FRONTS.items(), 1):
                if account not in known:
                    desired.add(hub.data_dir, account, front, priority=priority)
            if begun is not None:
                begun(epoch)
            sources = [Source(a, "ctp", front, self._tape(a, day)) for a, front in FRONTS.items()]
            for source in sources:
                self._wait_until_well(hub, source)
            watch, begin_ns, first = Watch(hub), time.monotonic_ns(), Measure.of(hub.pid)
            faults = self._suffer_until(hub, LiveWorld.beside(file), sources, until_s)
            end_ns, last = time.monotonic_ns() - EDGE_NS, Measure.of(hub.pid)
            watch.close()
            end(hub)
        except BaseException:
            hub.clear_away()
            raise

        def judged() -> None:
            ticks = [tick for tick in self._client.ticks() if tick.payload["epoch"] == epoch]
            verdict = judge(sources, ticks, begin_ns, end_ns, watch.standstills_ns)
            self._soak.lives.append(Life(day, verdict, first, last, (end_ns - begin_ns) / 1e9, faults))
            self._soak.broken += [f"{day}: zombie {pid}" for pid in watch.zombies]
            self._soak.broken += [f"{day}: two live processes: {double}" for double in watch.doubles]
            self._soak.broken += [line for line in hub.log().splitlines() if "panicked" in line][:3]
            self._say(f"{day}: {verdict.true_records} ticks, {len(verdict.lost)} lost, {faults} faults, {last}")

        return hub, judged

    def _suffer_until(self, hub: Hub, world: LiveWorld, sources: list[Source], until_s: float) -> int:
        """Faults, one at a time, while there is room for one more."""
        count = 0
        # The last snapshots of a day come out of a replay that is well; so do those before a kill.
        while time.time() < until_s - 9.0:
            source, name = self._dice.choice(sources), self._dice.choice(FAULTS)
            since, until = source.healthy_ns[-1]
            assert until is None
            if name != "database locked":
                source.healthy_ns[-1] = (since, time.monotonic_ns() - 20_000_000)
            self._suffer(hub, world, source, name)
            begin = time.monotonic()
            if name != "database locked":
                self._wait_until_well(hub, source)
                self._soak.recovered_s.append(time.monotonic() - begin)
            self._soak.faults[name] += 1
            count += 1
            time.sleep(self._dice.uniform(0.5, 2.0))
        time.sleep(max(0.0, until_s - time.time()))
        return count

    def _suffer(self, hub: Hub, world: LiveWorld, source: Source, name: str) -> None:
        span_s = self._dice.uniform(0.5, 2.5)
        if name == "database locked":
            connection = sqlite3.connect(hub.data_dir / "mdhub.db", timeout=5.0, isolation_level=None)
            connection.execute("BEGIN EXCLUSIVE")
            time.sleep(span_s)
            connection.execute("ROLLBACK")
            connection.close()
            return
        worker = hub.running(source.account)
        if name == "kill -9":
            os.kill(worker.pid, signal.SIGKILL)
            hub.replaced(worker, WELL_WITHIN_S)
        elif name == "SIGSTOP":
            os.kill(worker.pid, signal.SIGSTOP)
            time.sleep(span_s)
            os.kill(worker.pid, signal.SIGCONT)
        else:
            kinds = {
                "stall": scenario("stall"),
                "garbage": scenario("junk_time", form="nines"),
                "disconnect": scenario("disconnect", reconnect_ms=50),
            }
            with world.playing(source.front, kinds[name]):
                time.sleep(span_s)

    def _wait_until_well(self, hub: Hub, source: Source) -> None:
        """Its worker has every contract, and its front's records reach the tape."""
        contracts = soak_days.CONTRACTS

        def is_well() -> bool:
            document = status.document(hub)
            now = document.get("accounts", {}).get(source.account, {})
            routed = all(source.account in document.get("routes", {}).get(c, []) for c in contracts)
            ready = {c["type"]: c["status"] for c in now.get("conditions", [])}.get("Ready") == "True"
            return ready and now.get("acknowledged") == len(contracts) and routed and _is_fresh(source.tape)

        try:
            eventually(is_well, WELL_WITHIN_S, "", 0.04)
        except AssertionError:
            now = status.of_account(hub, source.account)
            raise AssertionError(f"{source.account} is not well within {WELL_WITHIN_S} s: {now}") from None
        source.healthy_ns.append((time.monotonic_ns(), None))

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begin:7.1f} s  {text}", flush=True)


def _is_fresh(tape: Path) -> bool:
    """Whether a record has just been handed over."""
    try:
        with tape.open("rb") as file:
            file.seek(max(0, tape.stat().st_size - 4_096))
            rows = [row for row in file.read().split(b"\n")[1:-1] if row.count(b",") == 15]
    except FileNotFoundError:
        return False
    return bool(rows) and time.monotonic_ns() - int(rows[-1].split(b",")[1]) < 500_000_000


def report(soak: Soak, speed: float) -> str:
    """What a soak has shown, in Markdown."""
    v = [life.verdict for life in soak.lives]
    took = sorted(second for verdict in v for second in verdict.took_s) or [0.0]
    lines = [
        f"# Soak: {len({life.day for life in soak.lives})} trading days at speed {speed:.0f}",
        "",
        f"- availability in section **{soak.availability:.4%}**: {soak.share:.4%} of {soak.intervals} intervals "
        f"(newest tick with the client within 3 s; slowest {took[-1]:.3f} s), {len(soak.outages_s)} kills of the hub,"
        f" ticks again after {', '.join(f'{s:.2f}' for s in soak.outages_s)} s",
        f"- {sum(x.true_records for x in v)} true ticks by healthy fronts: {sum(len(x.lost) for x in v)} lost, "
        f"{sum(x.overtaken for x in v)} overtaken, {sum(len(x.dirt) for x in v)} that no front said; "
        f"{sum(len(x.gaps) for x in v)} gaps in seq, {sum(len(x.twice) for x in v)} twice",
        f"- faults: {', '.join(f'{count} {name}' for name, count in sorted(soak.faults.items()))}; a source well again "
        f"at the latest after {max(soak.recovered_s, default=0.0):.2f} s",
        "",
        "| day | s | ticks | faults | RSS KiB, begin | end | descriptors, begin | end |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for life in soak.lives:
        a, b = life.first, life.last
        lines.append(
            f"| {life.day} | {life.seconds:.0f} | {life.verdict.true_records} | {life.faults} | {a.rss_kib} |"
            f" {b.rss_kib} | {a.descriptors} | {b.descriptors} |"
        )
    return "\n".join([*lines, "", *(f"**FAULT: {fault}**" for fault in soak.wrong())])


def main() -> int:
    """Runs it, writes target/soak/report.md, and fails if a bound is broken."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--days", type=int, default=5, help="trading days (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=200.0, help="of the market's clock (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same days and faults")
    given = parser.parse_args()
    out = REPOSITORY / "target" / "soak"
    out.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=out))
    soak = Soak()
    days = Days(directory, given.seed, given.speed, soak)
    try:
        for day in soak_days.trading_days(given.days):
            days.day(day)
    except AssertionError as error:
        soak.broken.append(str(error))
    finally:
        days.close()
    text = report(soak, given.speed)
    (out / "report.md").write_text(text + "\n")
    print(f"\n{text}\n\nreport: {out / 'report.md'}")
    if soak.wrong():
        print(f"hub, world and tapes: {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
