#!/usr/bin/env python3
"""Runs every suite, whatever the ones before it did, and ends with the counts.

Whole output goes to target/test-logs/SUITE.log. What cannot be run is named and counted as skipped; with CI=true it is
a failure. The last line is always `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "target" / "test-logs"
VENV = ROOT / "target" / "e2e-venv"
REQUIREMENTS = ROOT / "tests" / "e2e" / "requirements.txt"
IN_CI = os.environ.get("CI") == "true"
# The benches have no tests, and need a C++ compiler.
EVERYTHING = ["--locked", "--workspace", "--exclude", "mdhub-bench"]
BUILD = ["cargo", "build", *EVERYTHING, "--lib", "--bins", "--examples"]
SUITE_SECONDS_MAX = 30 * 60
TAIL_LINES = 60


@dataclass
class Counts:
    """Outcomes of tests."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def cargo_counts(output: str) -> Counts:
    """Sums what every test binary said. A test that finds out by itself that it cannot run says `skipped: NAME: WHY`.

    >>> print(cargo_counts("test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s"
    ...     "\\ntest result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s"))
    8 passed, 2 failed, 1 skipped
    >>> print(cargo_counts("skipped: a::b: no library\\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured;"))
    1 passed, 0 failed, 1 skipped
    """
    found = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", output, re.MULTILINE)
    skipped = len(re.findall(r"^skipped: ", output, re.MULTILINE))
    return sum((Counts(*map(int, numbers)) for numbers in found), Counts(passed=-skipped, skipped=skipped))


def pytest_counts(output: str) -> Counts:
    """Reads pytest's last line.

    >>> print(pytest_counts("7 passed in a test's own words\\n== 1 failed, 12 passed, 3 skipped, 1 error in 9.20s =="))
    12 passed, 2 failed, 3 skipped
    >>> print(pytest_counts("== 4 passed, 1 xfailed, 1 xpassed in 61.02s (0:01:01) =="))
    4 passed, 1 failed, 1 skipped
    """
    lines = re.findall(r"^=* ?((?:\d+ \w+,? ?)+)in [\d.]+s", output, re.MULTILINE)
    number = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", lines[-1])} if lines else {}
    failed = sum(number.get(word, 0) for word in ("failed", "error", "errors", "xpassed"))
    return Counts(number.get("passed", 0), failed, number.get("skipped", 0) + number.get("xfailed", 0))


def vitest_counts(output: str) -> Counts:
    """Reads vitest's count of tests.

    >>> print(vitest_counts(" Test Files  1 failed | 2 passed (3)\\n      Tests  1 failed | 12 passed | 2 skipped (15)"))
    12 passed, 1 failed, 2 skipped
    """
    lines = re.findall(r"^ *Tests +(.+) \(\d+\)$", output, re.MULTILINE)
    number = {word: int(n) for n, word in re.findall(r"(\d+) (\w+)", lines[-1])} if lines else {}
    return Counts(*(number.get(word, 0) for word in ("passed", "failed", "skipped")))


def skips(output: str) -> list[str]:
    """The tests that were not run, with their reasons, as cargo and pytest name them.

    >>> skips("test slow::one ... ignored, takes an hour\\nSKIPPED [2] test_day.py:9: no recorded day\\nskipped: a: no b")
    ['slow::one: takes an hour', 'a: no b', 'test_day.py:9: no recorded day (2)']
    """
    said = re.findall(r"^skipped: (.+)$", output, re.MULTILINE)
    rust = re.findall(r"^test (.+?) \.\.\. ignored(?:, (.*))?$", output, re.MULTILINE)
    python = re.findall(r"^SKIPPED \[(\d+)\] (.+)$", output, re.MULTILINE)
    return [f"{name}: {why or 'ignored'}" for name, why in rust] + said + [f"{what} ({n})" for n, what in python]


def judged(counts: Counts, status: int) -> Counts:
    """What counts say once the exit status is known: a run that broke off, or that ran nothing, has failed.

    >>> print(judged(Counts(passed=3), 101))
    3 passed, 1 failed, 0 skipped
    >>> print(judged(Counts(), 0))
    0 passed, 1 failed, 0 skipped
    >>> print(judged(Counts(3, 2, 1), 101))
    3 passed, 2 failed, 1 skipped
    """
    nothing_ran = counts.passed + counts.failed + counts.skipped == 0
    if counts.failed == 0 and (status != 0 or nothing_ran):
        return counts + Counts(failed=1)
    return counts


@dataclass
class Suite:
    """One suite's log, and what came of it so far."""

    name: str
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0

    def run(self, command: list[str], environment: dict[str, str] | None = None) -> tuple[int, str]:
        """Runs a command to its end, its output going to the suite's log; gives exit status and output."""
        begin = time.monotonic()
        log = LOGS / f"{self.name}.log"
        with log.open("ab") as sink:
            sink.write(f"$ {' '.join(command)}\n".encode())
            sink.flush()
            start = sink.tell()
            # A group of its own, so that a suite that hangs is ended with all its processes.
            child = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=sink,
                stderr=subprocess.STDOUT, start_new_session=True,
            )
            try:
                status = child.wait(timeout=SUITE_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                status = 124
                sink.write(f"ended: it ran longer than {SUITE_SECONDS_MAX} s\n".encode())
            finally:
                end_group(child)
        self.seconds += time.monotonic() - begin
        with log.open("rb") as source:
            source.seek(start)
            output = source.read().decode(errors="replace")
        if status != 0:
            show_failure(self.name, output)
        for skip in skips(output):
            print(f"skipped: {self.name}: {skip}", flush=True)
        return status, output

    def cargo_test(self, *arguments: str, may_be_empty: bool = False) -> None:
        """Runs `cargo test` over the workspace and adds up what it says."""
        command = ["cargo", "test", *EVERYTHING, "--no-fail-fast", *arguments, "--", "--show-output"]
        status, output = self.run(command)
        counts = cargo_counts(output)
        empty = status == 0 and counts == Counts()
        self.counts += counts if may_be_empty and empty else judged(counts, status)

    def cannot(self, why: str) -> None:
        """Names what cannot be run here."""
        print(f"{'FAILED' if IN_CI else 'skipped'}: {self.name}: {why}", flush=True)
        self.counts += Counts(failed=1) if IN_CI else Counts(skipped=1)


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Ends whatever a command left behind."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def show_failure(name: str, output: str) -> None:
    """Prints which tests failed, and the end of the log."""
    failed = re.findall(r"^(?:test (.+) \.\.\. FAILED|FAILED (.+))$", output, re.MULTILINE)
    print(f"--- {name} failed; the end of target/test-logs/{name}.log:")
    print("\n".join(output.splitlines()[-TAIL_LINES:]))
    for rust, python in failed:
        print(f"--- failed: {rust or python}")
    sys.stdout.flush()


def build() -> Suite:
    """What the first suite would wait for: everything, compiled for tests."""
    suite = Suite("build")
    if suite.run(["cargo", "test", *EVERYTHING, "--lib", "--bins", "--no-run"])[0] != 0:
        suite.counts += Counts(failed=1)
    return suite


def unit() -> Suite:
    """Tests inside the crates, and the examples in their documentation."""
    suite = Suite("unit")
    suite.cargo_test("--lib", "--bins")
    suite.cargo_test("--doc", may_be_empty=True)
    return suite


# Tests beside the crates, by suite: no suite is to take more than five minutes.
BESIDE = {
    "gateways": ("gateways", "gateways/simapi"),
    "feed": ("feed",),
    "store": ("store",),
    "house": ("reconciler", "alerts", "."),
}


def beside(folders: tuple[str, ...]) -> list[str]:
    """The test targets in the `tests` of these folders."""
    found = [path for folder in folders for path in (ROOT / folder / "tests").glob("*.rs")]
    found += [path.parent for folder in folders for path in (ROOT / folder / "tests").glob("*/main.rs")]
    return sorted(path.stem for path in found)


def forgotten() -> list[str]:
    """Folders with test targets that belong to no suite."""
    known = {(ROOT / folder).resolve() for folders in BESIDE.values() for folder in folders} | {ROOT / "benches"}
    tracked = subprocess.run(["git", "ls-files", "*.rs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = [Path(line) for line in tracked.splitlines() if re.search(r"(^|/)tests/([^/]+|[^/]+/main)\.rs$", line)]
    # What stands in a crate's own sources is a unit test.
    targets = [path for path in targets if "src" not in path.parts]
    packages = {(ROOT / path).resolve().parent for path in targets}
    packages = {path.parent.parent if path.name != "tests" else path.parent for path in packages}
    return sorted(str(path) for path in packages - known)


def prepare_integration() -> Suite:
    """The vendors' libraries, a database server, and the programs that tests start."""
    suite = Suite("prepare")
    venv_first = {"PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
    status, _ = suite.run(["gateways/vendor.sh"], venv_first)
    if status != 0:
        suite.cannot("the vendor's libraries could not be fetched; the tests that load them do not run")
    # Without it, the tests that need a server say so by name.
    suite.run(["tests/servers/fetch"], venv_first)
    # Tests of processes start programs that `cargo test` alone does not build, and load the simulated library.
    if suite.run(BUILD)[0] != 0:
        suite.counts += Counts(failed=1)
    for folder in forgotten():
        print(f"FAILED: {folder}: its tests belong to no suite; scripts/run_tests.py: BESIDE", flush=True)
        suite.counts += Counts(failed=1)
    return suite


def integration(name: str) -> Suite:
    """Tests beside the crates: real processes, the real vendor libraries, real servers, and the rules of the house."""
    suite = Suite(name)
    suite.cargo_test(*(word for target in beside(BESIDE[name]) for word in ("--test", target)))
    return suite


def libzmq() -> Suite:
    """The tick socket by libzmq's own crate, which is built from source: nothing else takes a C++ compiler."""
    suite = Suite("libzmq")
    if shutil.which("c++") is None:
        print("skipped: libzmq: c++ is not installed; get it with: sudo apt-get install -y g++", flush=True)
        suite.counts += Counts(skipped=1)
        return suite
    command = ["cargo", "test", "--locked", "-p", "mdhub-bench", "--test", "interop", "--", "--show-output"]
    status, output = suite.run(command)
    suite.counts += judged(cargo_counts(output), status)
    return suite


def end_to_end(name: str, chosen: list[str], has_venv: bool) -> Suite:
    """Tests of the built programs, from outside, by clients that share no code with them; those so `chosen`."""
    suite = Suite(name)
    if not has_venv:
        suite.cannot("there is no virtual environment to run it in; get one with: sudo make deps")
        return suite
    if suite.run(BUILD)[0] != 0:
        suite.counts += Counts(failed=1)
        return suite
    status, output = suite.run([str(VENV / "bin" / "python3"), "-m", "pytest", *chosen])
    suite.counts += judged(pytest_counts(output), status)
    return suite


def dashboard(has_venv: bool) -> Suite:
    """The dashboard: its units, and its pages in a real browser."""
    suite = Suite("dashboard")
    if suite.run(["scripts/dashboard"])[0] != 0:
        suite.counts += Counts(failed=1)
        return suite
    status, output = suite.run(["npm", "run", "--silent", "test", "--workspace", "web/dashboard"], {"NO_COLOR": "1"})
    suite.counts += judged(vitest_counts(output), status)
    browsed = end_to_end("dashboard", ["tests/e2e/dashboard"], has_venv)
    return Suite(suite.name, suite.counts + browsed.counts, suite.seconds + browsed.seconds)


def prepare_vnpy() -> Suite:
    """The environment of vnpy's gateways, with which its desks are tested; without it those tests say so by name."""
    suite = Suite("prepare-vnpy")
    if shutil.which("g++") is None:
        print("skipped: prepare-vnpy: g++ is not installed; get it with: sudo apt-get install -y g++", flush=True)
        suite.counts += Counts(skipped=1)
    elif suite.run(["gateways/vnpy/install"])[0] != 0:
        suite.cannot("the environment of vnpy's gateways could not be made")
    return suite


def prepare_venv() -> bool:
    """Makes the virtual environment that the pinned requirements describe, unless it is there."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp = VENV / "requirements.sha256"
    if stamp.is_file() and stamp.read_text() == wanted:
        return True
    suite = Suite("prepare")
    python = str(VENV / "bin" / "python3")
    make = ["python3", "-m", "venv", "--clear", str(VENV)]
    fill = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
    if os.geteuid() == 0 and suite.run(["scripts/deps"])[0] != 0:
        return False
    if any(suite.run(command)[0] != 0 for command in (make, fill)):
        return False
    stamp.write_text(wanted)
    print(f"virtual environment made: {suite.seconds:.1f} s", flush=True)
    return True


def main() -> int:
    """Runs everything; the exit status is 0 when nothing failed."""
    os.chdir(ROOT)
    LOGS.mkdir(parents=True, exist_ok=True)
    for log in LOGS.glob("*.log"):
        log.unlink()
    has_venv = prepare_venv()
    suites = []
    files = lambda pattern: sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests/e2e").glob(pattern))
    disasters, databases, chaos = files("test_disasters*.py"), files("test_databases*.py"), files("test_chaos*.py")
    runtime = [path for name in ("runtime", "sieve", "alerts", "spread") for path in files(f"test_{name}*.py")]
    api = files("test_api*.py")
    cron = files("test_cron*.py")
    # What people build upon it: examples, vnpy's desks, and the programs that documents show.
    clients = [path for name in ("docs", "bars", "vnpy") for path in files(f"test_{name}*.py")]
    apart = disasters + databases + runtime + chaos + api + cron + clients
    others = ["tests/e2e", "-m", "not last", *(f"--ignore={path}" for path in (*apart, "tests/e2e/dashboard"))]
    runs = [build, unit, prepare_integration, *(partial(integration, name) for name in BESIDE), libzmq]
    tests = lambda name, paths: partial(end_to_end, name, paths, has_venv)
    # These wait most of the time, for a browser, servers and the next minute: side by side they take a third as long.
    runs += [(partial(dashboard, has_venv), tests("e2e-databases", databases), tests("e2e-cron", cron), prepare_vnpy)]
    runs += [tests("e2e", others), tests("e2e-disasters", disasters)]
    # So do these, for deadlines and for other people's ticks.
    runs += [(tests("e2e-runtime", runtime), tests("e2e-clients", clients))]
    runs += [tests("e2e-chaos", chaos), tests("e2e-api", api)]
    # Whole trading days take their time: a suite of their own.
    runs += [tests("e2e-replay", ["tests/e2e", "-m", "last"])]
    for run in runs:
        at_once = run if isinstance(run, tuple) else (run,)
        with ThreadPoolExecutor(len(at_once)) as pool:
            for suite in pool.map(lambda one: one(), at_once):
                suites.append(suite)
                print(f"{suite.name}: {suite.counts} in {suite.seconds:.1f} s", flush=True)
    print(f"\n{'suite':<14}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>10}")
    for suite in suites:
        c = suite.counts
        print(f"{suite.name:<14}{c.passed:>8}{c.failed:>8}{c.skipped:>9}{suite.seconds:>10.1f}")
    total = sum((suite.counts for suite in suites), Counts())
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
