"""Fixtures: hubs that always end, and whose logs are shown when a test fails."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import desired
from harness.hub import Hub
from harness.places import missing_builds
from harness.subscriber import Subscriber
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, OPTION_FRONT, OPTIONS, live_world, settings

_LOG_CHARACTERS_MAX = 12_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come last; the rest keeps its order."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Puts the logs of the hubs that a failed test used into its report."""
    report = yield
    if report.failed:
        for name in ("hubs", "demo"):
            user = getattr(item, "funcargs", {}).get(name)
            for hub in user.all() if user is not None else []:
                report.sections.append((f"stderr of hub {hub.pid}", hub.log()[-_LOG_CHARACTERS_MAX:]))
    return report


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """The programs that are tested exist."""
    missing = missing_builds()
    assert not missing, f"not built: {missing}; run: cargo build -p mdhub -p mdhub-simapi --bins --lib --examples"


@dataclass
class Hubs:
    """Starts hubs in directories of their own."""

    directory: Path
    started: list[Hub] = field(default_factory=list)

    def demo(self) -> Hub:
        """A demo that listens."""
        return self._listening(Hub.demo(self.directory / "demo"))

    def run(self, settings_file: Path, name: str = "data", **environment: str) -> Hub:
        """A hub on a settings file that listens."""
        return self._listening(Hub.run(self.directory / name, settings_file, **environment))

    def empty(self) -> Hub:
        """A hub on the synthetic market, without accounts. Its fronts keep journals: see `journals`."""
        return self.run(settings(self.directory, live_world(self.journals), FUTURES + OPTIONS))

    @property
    def journals(self) -> tuple[Path, Path]:
        """Where the two futures fronts write down what they hand over."""
        return self.directory / "main.journal", self.directory / "backup.journal"

    def live(self) -> Hub:
        """A hub with ctp-main, ctp-backup and sopt-main on the synthetic market, all running."""
        return self.populate(self.empty())

    def populate(self, hub: Hub) -> Hub:
        """Adds the three accounts, and waits until they run."""
        desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
        desired.add(hub.data_dir, "ctp-backup", BACKUP_FRONT, priority=2)
        desired.add(hub.data_dir, "sopt-main", OPTION_FRONT, gateway="sopt")
        for account in ("ctp-main", "ctp-backup", "sopt-main"):
            hub.running(account)
        return hub

    def _listening(self, hub: Hub) -> Hub:
        self.started.append(hub)
        hub.listening()
        return hub

    def all(self) -> list[Hub]:
        """Every hub of this test."""
        return self.started


@pytest.fixture
def hubs(tmp_path: Path) -> Iterator[Hubs]:
    """Hubs for one test. Afterwards each is ended, and must leave no worker."""
    farm = Hubs(tmp_path)
    yield farm
    codes: dict[int, int | str] = {}
    left = []
    for hub in farm.started:
        if hub.process.poll() is None:
            try:
                codes[hub.pid] = hub.stop()
            except (AssertionError, subprocess.TimeoutExpired) as why:
                codes[hub.pid] = str(why)
        left += hub.clear_away()
    assert not left, f"workers outlived their hub: {left}"
    assert not any(codes.values()), f"exit codes after SIGTERM: {codes}"


@dataclass
class Demo:
    """A demo that runs through the whole session, with a subscriber to everything from its first moment."""

    hub: Hub
    subscriber: Subscriber

    @property
    def zmq(self) -> str:
        """Where its ticks are."""
        return self.hub.listening().zmq

    def all(self) -> list[Hub]:
        """The one hub."""
        return [self.hub]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo for tests that only look at it."""
    hub = Hub.demo(tmp_path_factory.mktemp("demo") / "data")
    try:
        with Subscriber(hub.listening().zmq) as subscriber:
            yield Demo(hub, subscriber)
        code = hub.stop()
    finally:
        left = hub.clear_away()
    assert not left, f"workers outlived their hub: {left}"
    assert code == 0, f"exit code {code} after SIGTERM:\n{hub.log()[-4000:]}"


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A TCP port on loopback that somebody else listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]
