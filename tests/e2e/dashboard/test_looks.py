"""How every page looks and reads: both themes, both languages, small and zoomed; nothing that axe objects to."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request

from dashboard.conftest import Boards
from harness.hub import Hub

PAGES = ["/", "/accounts", "/logs", "/contracts", "/clients", "/quarantine", "/gateway?id=ctp-main"]


def name(path: str) -> str:
    """The page's name, for its picture."""
    return path.strip("/").split("?")[0] or "status"


@pytest.mark.parametrize(("theme", "language"), [("dark", "en"), ("light", "zh-CN")])
def test_no_page_has_a_fault_that_axe_finds(boards: Boards, hub: Hub, theme: str, language: str) -> None:
    board = boards(hub, theme=theme, language=language)
    board.open("/")
    for path in PAGES:
        page = board.turn(path)
        board.shot(f"{name(path)}-{theme}-{language}")
        assert board.axe() == [], path
        inline = page.evaluate("[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length")
        assert inline == 0, "an inline event handler"


@pytest.mark.parametrize("size", [{"width": 768, "height": 1024}, {"width": 720, "height": 450}])
def test_nothing_is_lost_on_a_tablet_or_at_twice_the_size(boards: Boards, hub: Hub, size: dict[str, int]) -> None:
    # 1440 x 900 at 200 % is a page of 720 x 450.
    board = boards(hub, viewport=size)
    for path in PAGES:
        page = board.open(path)
        board.shot(f"{name(path)}-{size['width']}")
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{path} is wider than the window: {wide}"
        hidden = page.evaluate(
            """() => [...document.querySelectorAll('main button, main a, main input')].filter(e => {
              const box = e.getBoundingClientRect();
              // A table may be wider than the window if it can be scrolled.
              for (let around = e; around; around = around.parentElement)
                if (['auto', 'scroll'].includes(getComputedStyle(around).overflowX) && around.tagName !== 'MAIN') return false;
              return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
            }).map(e => e.outerHTML.slice(0, 120))"""
        )
        assert hidden == [], path


def test_the_first_load_is_small(boards: Boards, hub: Hub) -> None:
    board = boards(hub)
    sizes: dict[str, int] = {}

    def finished(request: Request) -> None:
        if request.url.endswith(".js"):
            sizes[request.url] = request.sizes()["responseBodySize"]

    board.page.on("requestfinished", finished)
    board.open("/")
    compressed = sum(sizes.values())
    print(f"first load: {compressed / 1024:.0f} KB of compressed JavaScript in {len(sizes)} files")
    assert 50_000 < compressed <= 250 * 1024
