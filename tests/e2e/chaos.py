#!/usr/bin/env python3
"""Chaos on a real hub: a seeded sequence of faults, each on a source beside a healthy one of its kind, under the eyes
of a client and of the fronts' tapes. `make chaos` runs it; ARGS="--help" shows how."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import chaos_faults
from chaos_faults import Dealt, Scene
from chaos_oracle import Verdict, judge, judge_numbers
from chaos_stage import POLL_S, SOURCES, Measure, Source, Stage, Watch, stage
from harness.hub import Hub
from harness.places import REPOSITORY
from harness.waiting import eventually

RSS_GROWTH_KIB_MAX = 64 * 1024
DESCRIPTORS_GROWTH_MAX = 8
ADMITTED_WITHIN_S = 240.0
# What was handed over so long ago is on the tapes and with the client.
EDGE_S = 2.0


@dataclass(frozen=True)
class Done:
    """A fault that is over. Detection counts from the fault, recovery from when nothing stood in its way any more."""

    dealt: Dealt
    detected_s: float | None
    recovered_s: float


@dataclass
class Run:
    """Everything that a run has shown."""

    seed: int
    done: list[Done] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    before: Measure | None = None
    after: Measure | None = None
    looks: int = 0
    still_s: float = 0.0
    seconds: float = 0.0

    def faults(self) -> list[str]:
        """What is wrong; empty after a good run."""
        found = [*self.broken, *self.verdict.faults()]
        if self.before and self.after:
            if self.after.rss_kib > self.before.rss_kib + RSS_GROWTH_KIB_MAX:
                found.append(f"the hub's memory grew: {self.before} -> {self.after}")
            if self.after.descriptors > self.before.descriptors + DESCRIPTORS_GROWTH_MAX:
                found.append(f"the hub's descriptors grew: {self.before} -> {self.after}")
        return found


def suffer(on: Stage, dealt: Dealt, seed: int, say: Callable[[str], None]) -> Done:
    """One fault, from the blow to full health."""
    source, fault = on.sources[dealt.account], dealt.fault
    scene = Scene(on, source, on.worker(source), random.Random(f"{seed}/{dealt.number}"))
    begin = time.monotonic()
    fault.inject(scene)
    detected_s = None
    if fault.is_noticed is not None:
        scene.until(lambda: fault.is_noticed(scene), f"noticed after {fault.name}")  # type: ignore[misc]
        detected_s = time.monotonic() - begin
    fault.cure(scene)
    free = time.monotonic() if fault.cure is not chaos_faults.nothing else begin
    on.wait_until_well(source)
    done = Done(dealt, detected_s, time.monotonic() - free)
    if fault.keeps_process:
        assert on.worker(source) == scene.old, f"{dealt.account}: {fault.name} ended its process"
    noticed = "not to be noticed" if detected_s is None else f"noticed after {detected_s:5.2f} s"
    say(f"#{dealt.number:<4}{dealt.account:<8}{fault.name:<26}{noticed}, recovered after {done.recovered_s:5.2f} s")
    return done


class Lane(threading.Thread):
    """The faults of one source, one after the other."""

    def __init__(self, on: Stage, run: Run, source: Source, faults: list[Dealt], stop: threading.Event) -> None:
        super().__init__(name=source.account, daemon=True)
        self.on, self.run_of, self.source, self.faults, self.stop = on, run, source, faults, stop
        self.begin = time.monotonic()

    def run(self) -> None:
        """To the end, or until something is wrong anywhere."""
        for dealt in self.faults:
            try:
                process = self.on.worker(self.source)
                admitted = lambda: self.stop.is_set() or self.on.admit(self.source)
                eventually(admitted, ADMITTED_WITHIN_S, f"{self.source.account}'s turn", POLL_S)
                if self.stop.is_set():
                    return
                now = self.on.worker(self.source)
                assert now == process, f"{self.source.account} was restarted while it was well: {process} -> {now}"
                self.run_of.done.append(suffer(self.on, dealt, self.run_of.seed, self.say))
            except Exception as error:  # noqa: BLE001
                self.run_of.broken.append(f"#{dealt.number} {dealt.fault.name} on {dealt.account}: {error}")
                self.say(self.run_of.broken[-1])
                self.stop.set()
                return

    def say(self, text: str) -> None:
        """With the second of the run."""
        print(f"{time.monotonic() - self.begin:7.1f} s  {text}", flush=True)


def rage(directory: Path, seed: int, count: int, soak_s: float = 0.0) -> Run:
    """`count` faults, or as many as go into `soak_s`."""
    run = Run(seed)
    # Nobody gets through three faults a second.
    all_faults = chaos_faults.deal(seed, 3 * int(soak_s) or count, {a: kind for a, (kind, _) in SOURCES.items()})
    with stage(directory) as on:
        begin_ns, run.before = time.monotonic_ns(), Measure.of(on.hub.pid)
        watch, stop = Watch(on.hub), threading.Event()
        of = lambda source: [dealt for dealt in all_faults if dealt.account == source.account]
        lanes = [Lane(on, run, source, of(source), stop) for source in on.sources.values()]
        for lane in lanes:
            lane.start()
        deadline = time.monotonic() + (soak_s or float("inf"))
        while any(lane.is_alive() for lane in lanes):
            lanes[0].join(0.2)
            time.sleep(0.05)
            if time.monotonic() > deadline:
                stop.set()
        end_ns = time.monotonic_ns()
        time.sleep(EDGE_S)
        run.after, run.seconds = Measure.of(on.hub.pid), (end_ns - begin_ns) / 1e9
        watch.close()
        run.looks, run.still_s = watch.looks, sum(b - a for a, b in watch.standstills_ns) / 1e9
        run.broken += [f"two live processes of {account}: {pids}" for account, pids in sorted(watch.doubles)]
        run.broken += [f"zombie {pid}" for pid in sorted(watch.zombies)]
        run.broken += ["the client was disconnected"] if on.subscriber.disconnects else []
        run.broken += _log_faults(on.hub)
        _keep(directory, on, begin_ns, end_ns)
        sources, ticks = list(on.sources.values()), on.subscriber.ticks()
        run.verdict = judge(sources, ticks, begin_ns, end_ns, watch.standstills_ns)
    return run


def _keep(directory: Path, on: Stage, begin_ns: int, end_ns: int) -> None:
    """Beside the tapes: what else a verdict is made of, for whoever wants to know why."""
    healthy = {source.account: source.healthy_ns for source in on.sources.values()}
    document = {"begin_ns": begin_ns, "end_ns": end_ns, "healthy_ns": healthy}
    (directory / "run.json").write_text(json.dumps(document, indent=1))
    rows = [f"{t.topic},{t.payload['seq']},{t.payload['source']},{t.at_mono:.6f}\n" for t in on.subscriber.ticks()]
    (directory / "client.csv").write_text("".join(rows))


def _log_faults(hub: Hub) -> list[str]:
    return [line for line in hub.log().splitlines() if "panicked" in line][:3]


def gaps_of_a_lone_source(directory: Path, kills: int, seed: int) -> tuple[list[float], list[str]]:
    """Redundancy 1: how long the client hears nothing of a canary when its only source is killed, for each kill; and
    what is wrong. Half a second of it is the market's own."""
    dice, spans = random.Random(seed), []
    kill = next(fault for fault in chaos_faults.FAULTS if fault.name == "kill -9")
    say = lambda text: print(f"redundancy 1: {text}", flush=True)
    with stage(directory, ["ctp-a"]) as on:
        source = on.sources["ctp-a"]
        for number in range(kills):
            time.sleep(dice.uniform(0.5, 1.5))
            begin = time.monotonic()
            suffer(on, Dealt(number, kill, source.account), seed, say)
            spans.append((begin, time.monotonic()))
        ticks = on.subscriber.ticks()
    at = [tick.at_mono for tick in ticks if tick.topic == "rb2701.SHFE"]
    gaps = [max(b - a for a, b in pairwise(at) if a < over and begin < b) for begin, over in spans]
    return gaps, [fault for found in judge_numbers(ticks) for fault in found]


def report(run: Run, lone: list[float]) -> str:
    """What a run has shown, in Markdown."""
    v, by_kind = run.verdict, defaultdict[str, list[Done]](list)
    for done in run.done:
        by_kind[done.dealt.fault.name].append(done)
    lines = [
        f"# Chaos: {len(run.done)} faults in {run.seconds:.0f} s, seed {run.seed}",
        "",
        f"- {v.true_records} true ticks by healthy fronts: **{len(v.lost)} lost**, "
        f"{v.overtaken} overtaken by later ones",
        f"- **{len(v.gaps)} gaps in seq, {len(v.twice)} tids twice**, {len(v.dirt)} ticks that no front said",
        f"- availability of canary intervals: **{v.availability:.3%}** of {v.intervals} (within 3 s; "
        f"{v.share_within(1.0):.3%} within 1 s; worst {max(v.took_s, default=0.0):.2f} s)",
        f"- the machine as a whole stood still for {run.still_s:.1f} s, which is not counted",
        f"- {run.looks} looks at /proc; before: {run.before}; after: {run.after}",
        f"- redundancy 1, the only source killed {len(lone)} times: gap at the client median "
        f"{statistics.median(lone):.2f} s, worst {max(lone):.2f} s" if lone else "- redundancy 1: not run",
        "",
        "| fault | times | detected, median s | worst | recovered, median s | worst |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, all_done in sorted(by_kind.items()):
        detected = [done.detected_s for done in all_done if done.detected_s is not None]
        found = [(f"{statistics.median(v):.2f}", f"{max(v):.2f}") if v else ("", "") for v in (
            detected, [done.recovered_s for done in all_done])]  # fmt: skip
        lines.append(f"| {name} | {len(all_done)} | {' | '.join(cell for pair in found for cell in pair)} |")
    lines += ["", *(f"**FAULT: {fault}**" for fault in run.faults())]
    return "\n".join(lines)


def main() -> int:
    """Runs it, writes target/chaos/report.md, and fails if anything was wrong."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__, epilog='flags go in ARGS="..."')
    parser.add_argument("--count", type=int, default=300, help="faults (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="the same seed, the same faults (default: by chance)")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="go on for so long")
    parser.add_argument("--kills", type=int, default=20, help="kills of the redundancy-1 run (default: %(default)s)")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else secrets.randbelow(1_000_000)
    print(f"seed {seed}: ARGS=\"--seed {seed} --count {given.count}\" repeats it", flush=True)
    out = REPOSITORY / "target" / "chaos"
    out.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="run-", dir=out))
    run = rage(directory / "all", seed, given.count, given.soak * 60)
    lone, lone_faults = gaps_of_a_lone_source(directory / "lone", given.kills, seed) if given.kills else ([], [])
    run.broken += lone_faults
    text = report(run, lone)
    (out / "report.md").write_text(text + "\n")
    print(f"\n{text}\n\nreport: {out / 'report.md'}")
    if run.faults():
        print(f"hub, world, tapes and what the client got: {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
