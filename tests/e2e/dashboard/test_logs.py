"""The logs page: live, paused, filtered, kept."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from playwright.sync_api import expect

from dashboard.conftest import Board
from harness.api import get, send
from harness.hub import Hub
from harness.waiting import eventually


def speak(hub: Hub) -> None:
    """Has the hub write lines: a restart by hand is told by several of its parts."""
    assert send(hub, "POST", "/api/accounts/ctp-backup/restart")[0] == 202


def shown(board: Board) -> int:
    """How many lines the page holds."""
    return int(board.page.locator("[data-lines]").get_attribute("data-lines") or 0)


def numbers(board: Board) -> list[int]:
    """The lines in sight, by their number."""
    found: list[int] = board.page.evaluate("[...document.querySelectorAll('[data-seq]')].map(e => Number(e.dataset.seq))")
    return found


def test_lines_come_as_they_are_written_wait_while_paused_and_none_is_missing(board: Board, hub: Hub, tmp_path: Path) -> None:
    page = board.open("/logs?level=debug")
    expect(page.locator("[data-seq]").first).to_be_visible()
    speak(hub)
    eventually(lambda: page.get_by_text("a restart by hand").count() or page.locator("[data-seq]").count() > 3, 20, "live lines")
    seqs = numbers(board)
    assert seqs == sorted(set(seqs)), "twice, or out of order"
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name=re.compile("Paused"))).to_be_visible()
    before = shown(board)
    speak(hub)
    expect(page.get_by_text(re.compile(r"\d+ new"))).to_be_visible()
    assert shown(board) == before, "it grew while it was paused"
    page.keyboard.press("f")
    expect(page.get_by_role("button", name=re.compile("Following"))).to_be_visible()
    eventually(lambda: shown(board) > before, 20, "what waited is shown")
    # Against the hub's own count: everything from the first line shown to the last.
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "page.log")
    kept = [line for line in (tmp_path / "page.log").read_text().splitlines() if re.match(r"\d{4}-\d\d-\d\d \d\d:", line)]
    items = get(hub, "/api/logs?limit=1000&level=debug")[1]["items"]
    assert len(kept) >= 20 and len(items) >= len(kept)


def test_a_filter_is_in_the_address_and_finds_and_marks(board: Board, hub: Hub) -> None:
    page = board.open("/logs?account=ctp-main&level=info")
    first = page.locator("[data-seq]").first
    expect(first).to_be_visible()
    assert set(page.evaluate("[...document.querySelectorAll('[data-seq]')].map(e => e.children[2].innerText)")) == {"ctp-main"}
    page.keyboard.press("/")
    page.keyboard.type("gateway started")
    page.wait_for_url("**text=gateway+started**")
    expect(page.locator("mark").first).to_have_text(re.compile("gateway started", re.IGNORECASE))
    first.get_by_role("button", name=re.compile("fields?$")).click()
    expect(page.get_by_text("incarnation", exact=True).first).to_be_visible()
    assert board.axe() == []
    page.get_by_label("Search the log").fill("no line says this")
    expect(page.get_by_text("No line matches")).to_be_visible()


def test_what_a_row_says_leads_to_its_lines(board: Board, hub: Hub) -> None:
    page = board.open("/")
    expect(page.locator("[data-gateway='sopt-main']").get_by_text("Healthy")).to_be_visible()
    # A gateway that is ended and comes back is sick for a moment: its reason is a link to its lines of then.
    page.evaluate(
        """() => new MutationObserver(() => {
          const link = document.querySelector("[data-gateway='sopt-main'] a[href*='/logs']");
          if (link && !window.found) window.found = link.getAttribute('href');
        }).observe(document.body, {subtree: true, childList: true})"""
    )
    worker = hub.worker("sopt-main")
    assert worker is not None

    os.kill(worker.pid, signal.SIGKILL)
    href = eventually(lambda: page.evaluate("window.found"), 20, "a link to the logs")
    assert "account=sopt-main" in href and "at_ms=" in href, href
    board.open(href)
    expect(page.locator("[data-seq]").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Paused"))).to_be_visible()
    expect(page.get_by_label("Account")).to_have_value("sopt-main")
