"""Fixtures: a demo hub with its dashboard, and a real Chromium to look at it with."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from harness.api import initial_password
from harness.hub import Hub
from harness.places import REPOSITORY

PAGES = REPOSITORY / "web" / "dashboard" / "out"
AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = REPOSITORY / "target" / "dashboard" / "shots"

# What an operator waits for before they think that it is broken.
WITHIN_MS = 20_000


def chromium() -> str | None:
    """The browser that is installed."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser or pages these tests say so by name."""
    lacking = [
        what
        for what, is_there in (
            ("chromium (get it with: sudo make deps)", chromium() is not None),
            ("the dashboard's pages (build them with: make dashboard)", (PAGES / "index.html").is_file()),
        )
        if not is_there
    ]
    here = str(Path(__file__).parent)
    for item in items:
        if lacking and str(item.path).startswith(here):
            item.add_marker(pytest.mark.skip(reason=f"not here: {', '.join(lacking)}"))


def dashboard_demo(directory: Path, http: str = "127.0.0.1:0") -> Hub:
    """`mdhub demo` with the dashboard, on a free port unless one is given."""
    words = ["demo", "--http", http, "--zmq", "tcp://127.0.0.1:0", "--dashboard", str(PAGES)]
    return Hub(directory / "data", words)


@dataclass
class Board:
    """A page that somebody has logged in to, and what the browser complained about meanwhile."""

    hub: Hub
    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the hub answers."""
        return self.hub.listening().http

    def expect_complaint(self, pattern: str) -> None:
        """The browser may complain of this: it is what the test is about."""
        self.expected.append(pattern)

    def unexpected(self) -> list[str]:
        """Complaints that no test has announced."""
        return [text for text in self.complaints if not any(re.search(pattern, text) for pattern in self.expected)]

    def open(self, path: str) -> Page:
        """Goes to a page and waits until it shows what the hub is at."""
        self.page.goto(self.url + path)
        self.page.get_by_text("Live", exact=True).or_(self.page.get_by_text("实时", exact=True)).wait_for(timeout=WITHIN_MS)
        return self.page

    def turn(self, path: str) -> Page:
        """Goes on to another page, as a press on its link does: nothing is loaded anew."""
        self.page.evaluate("path => window.next.router.push(path)", path)
        self.page.wait_for_url(self.url + path)
        self.page.locator("main [aria-hidden], main section, main table").first.wait_for()
        return self.page

    def shot(self, name: str) -> None:
        """Keeps a picture, for people to look at."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def axe(self) -> list[str]:
        """What axe finds against WCAG 2.1 A and AA on the page as it is."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
        found: dict[str, Any] = self.page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
        return [
            f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A demo with its dashboard, for all tests; whoever changes something puts it back."""
    hub = dashboard_demo(tmp_path_factory.mktemp("dashboard"))
    hub.listening()
    yield hub
    hub.stop()
    hub.clear_away()


Boards = Callable[..., Board]


@pytest.fixture
def boards(browser: Browser) -> Iterator[Boards]:
    """Opens pages of a hub in contexts of their own; a complaint of the browser's that no test announced fails the test."""
    opened: list[tuple[Board, BrowserContext]] = []

    def of(hub: Hub, theme: str = "dark", language: str = "en", logged_in: bool = True, **context_options: Any) -> Board:
        options = {"viewport": {"width": 1440, "height": 900}, **context_options}
        context = browser.new_context(**options)
        context.set_default_timeout(WITHIN_MS)
        base = hub.listening().http
        choices = json.dumps({"state": {"theme": theme, "language": language}, "version": 0})
        remember = "localStorage.setItem('mdhub-user', 'admin');" if logged_in else ""
        context.add_init_script(
            f"if (!sessionStorage.begun) {{ sessionStorage.begun = 1; localStorage.setItem('mdhub-choices', {choices!r}); {remember} }}"
        )
        if logged_in:
            login = {"username": "admin", "password": initial_password(hub)}
            answer = context.request.post(f"{base}/api/session", data=login, headers={"Origin": base})
            assert answer.ok, answer.text()
        page = context.new_page()
        board = Board(hub, page)

        def console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                board.complaints.append(f"console {message.type}: {message.text}")

        def failed(request: Request) -> None:
            # What a new page makes pointless is given up by the browser itself.
            if "ERR_ABORTED" not in (request.failure or ""):
                board.complaints.append(f"failed: {request.url}: {request.failure}")

        def answered(response: Response) -> None:
            if response.status >= 400:
                board.complaints.append(f"{response.status}: {response.request.method} {response.url}")

        def asked(request: Request) -> None:
            if not request.url.startswith((base, "blob:", "data:")):
                board.complaints.append(f"something that is not the hub: {request.url}")

        page.on("request", asked)
        page.on("console", console)
        page.on("requestfailed", failed)
        page.on("response", answered)
        page.on("pageerror", lambda error: board.complaints.append(f"error: {error}"))
        opened.append((board, context))
        return board

    yield of
    for board, context in opened:
        unexpected = board.unexpected()
        context.close()
        assert unexpected == [], unexpected


@pytest.fixture
def board(boards: Boards, hub: Hub) -> Board:
    """Somebody who is logged in to the demo."""
    return boards(hub)
