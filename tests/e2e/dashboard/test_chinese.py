"""In Chinese the hub's own sentences are Chinese, too."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dashboard.conftest import Boards, dashboard_demo
from harness.api import get, send
from harness.hub import Hub
from harness.waiting import eventually
from harness.world import LiveWorld, scenario

MAIN = "tcp://ctp-main.sim:41213"
# What is written in no language: programs, lines of the log, what a worker printed, what a vendor wrote.
TEXTS = """() => {
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const at = node.parentElement;
        if (!at.closest('script, style, pre, code, [role=log], dl[tabindex]') && at.checkVisibility()) found.push(node.textContent.trim());
    }
    return found.filter(Boolean);
}"""
ENGLISH = re.compile(r"[A-Za-z']{2,} [A-Za-z']{2,} [A-Za-z']{2,}")


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[Hub]:
    """A demo of its own: what it rejects here is no other test's."""
    hub = dashboard_demo(tmp_path)
    hub.listening()
    yield hub
    hub.stop()
    hub.clear_away()


def test_no_english_sentence_of_the_hubs_is_on_a_chinese_page(boards: Boards, own_hub: Hub) -> None:
    hub = own_hub
    eventually(lambda: all(item["phase"] == "Healthy" for item in get(hub, "/api/gateways")[1]["items"]), 30, "all are well")
    board = boards(hub, language="zh-CN")
    page = board.open("/")

    def english() -> list[str]:
        return [text for text in page.evaluate(TEXTS) if ENGLISH.search(text)]

    worker = eventually(lambda: hub.worker("ctp-main"), 20, "a process of ctp-main")
    os.kill(worker.pid, signal.SIGKILL)
    expect(page.get_by_text(re.compile("合约改由 ctp-backup 承载")).first).to_be_visible()
    expect(page.locator("[data-gateway='ctp-main']").get_by_text(re.compile("秒后重启|已接受"))).to_be_visible()
    assert english() == []
    try:
        assert send(hub, "POST", "/api/accounts/ctp-backup/stop")[0] == 202
        expect(page.locator("[data-gateway='ctp-backup']").get_by_text("已手动停止")).to_be_visible()
        expect(page.get_by_text(re.compile("停止（手动），来自"))).to_be_visible()
        assert english() == []
    finally:
        assert send(hub, "POST", "/api/accounts/ctp-backup/start")[0] == 202
    assert send(hub, "POST", "/api/accounts/ctp-main/restart")[0] == 202
    page = board.open("/gateway?id=ctp-main")
    expect(page.locator("[data-condition='Ready']").get_by_text(re.compile("已接受 \\d+/\\d+ 个合约"))).to_be_visible(timeout=60_000)
    assert english() == []
    for path in ("/accounts", "/contracts", "/clients"):
        board.open(path)
        page.wait_for_timeout(300)
        assert english() == [], path
    with LiveWorld.beside(hub.data_dir / "world.json").playing(MAIN, scenario("junk_time", form="nines", instruments=["rb2701"], rate=0.5)):
        board.open("/quarantine")
        expect(page.get_by_text(re.compile("不是时间")).first).to_be_visible(timeout=20_000)
    assert english() == []
    board.shot("quarantine-zh")
