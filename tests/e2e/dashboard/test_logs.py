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


def small_pages(board: Board, lines: int) -> None:
    """The page asks for so few lines at a time, so that the past takes it several questions."""
    few = f"limit={lines}"
    board.page.route("**/api/logs*", lambda route: route.continue_(url=route.request.url.replace("limit=500", few)))


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


def test_a_tab_out_of_sight_keeps_lines_and_draws_none(board: Board, hub: Hub) -> None:
    page = board.open("/logs?level=debug")
    expect(page.locator("[data-seq]").first).to_be_visible()

    def hide(hidden: bool) -> None:
        page.evaluate(
            """hidden => {
              Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});
              document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )

    hide(True)
    before = shown(board)
    newest = get(hub, "/api/logs?limit=1&level=debug")[1]["items"][0]["seq"]
    speak(hub)
    eventually(lambda: get(hub, "/api/logs?limit=1&level=debug")[1]["items"][0]["seq"] > newest + 3, 20, "lines are written")
    # The hub sends what there is four times a second.
    page.wait_for_timeout(600)
    assert shown(board) == before, "it drew them"
    hide(False)
    eventually(lambda: shown(board) > before + 3, 20, "they are there")
    items = get(hub, "/api/logs?limit=500&level=debug")[1]["items"]
    assert shown(board) <= len(items) or len(items) == 500


def test_a_link_to_an_instant_shows_its_lines(board: Board, hub: Hub) -> None:
    items = get(hub, "/api/logs?limit=1000&level=debug")[1]["items"]
    assert len(items) > 60, len(items)
    sought = items[len(items) * 3 // 4]
    small_pages(board, 20)
    page = board.open(f"/logs?level=debug&at_ms={sought['at_ms']}")
    expect(page.locator("[data-sought]")).to_be_in_viewport()
    found = int(page.locator("[data-sought]").get_attribute("data-seq") or 0)
    oldest_of_then = min(line["seq"] for line in items if line["at_ms"] >= sought["at_ms"])
    assert found == oldest_of_then
    expect(page.get_by_role("button", name=re.compile("Paused"))).to_be_visible()


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
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy line").click()
    copied: str = page.evaluate("navigator.clipboard.readText()")
    assert re.match(r"\d{4}-\d\d-\d\d [\d:.]+ INFO  ctp-main gateway started", copied), copied
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


def test_scrolling_up_pauses_and_brings_older_lines_above_what_is_read(board: Board, hub: Hub) -> None:
    small_pages(board, 60)
    page = board.open("/logs?level=debug")
    expect(page.locator("[data-seq]").first).to_be_visible()
    held = shown(board)
    # Lines are written all the while: where something stands is counted from the newest of now.
    newest = max(numbers(board))
    page.get_by_role("log").hover()
    page.mouse.wheel(0, -300)
    expect(page.get_by_role("button", name=re.compile("Paused"))).to_be_visible()
    top = "document.querySelector('[role=log]').getBoundingClientRect().top"

    def has_older() -> bool:
        if shown(board) >= min(held + 40, 100):
            return True
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(100)
        return False

    # A line that is written meanwhile counts, too, and is no older one.
    eventually(has_older, 20, "older lines")
    # What was at the top is still about there, and the oldest is far above.
    at: int = page.evaluate(f"[...document.querySelectorAll('[data-seq]')].find(e => e.getBoundingClientRect().bottom > {top} + 1).dataset.seq | 0")
    newest_first = [line["seq"] for line in get(hub, "/api/logs?limit=1000&level=debug")[1]["items"]]
    assert newest_first.index(at) - newest_first.index(newest) < 80, "it jumped to the oldest line"
    while True:
        held = shown(board)
        page.mouse.wheel(0, -4000)
        page.wait_for_timeout(300)
        if shown(board) == held:
            break
    seqs = numbers(board)
    assert seqs == sorted(set(seqs)) and newest_first[-1] in seqs, "the oldest that is kept is reached, each line once"
