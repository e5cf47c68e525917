"""The page of one gateway."""

from __future__ import annotations

import os
import re
import signal

from playwright.sync_api import expect

from dashboard.conftest import Board
from harness.api import get
from harness.hub import Hub
from harness.waiting import eventually


def test_a_life_that_ends_is_told_with_its_signal_and_the_next_one_counts_up(board: Board, hub: Hub) -> None:
    page = board.open("/")
    page.get_by_role("link", name="ctp-backup", exact=True).click()
    page.wait_for_url("**/gateway?id=ctp-backup")
    expect(page.locator("[data-condition='Ready']")).to_contain_text("True")
    worker = eventually(lambda: hub.worker("ctp-backup"), 20, "a process of ctp-backup")
    newest = page.locator("[data-life]").first
    expect(newest.get_by_text("running")).to_be_visible()
    name = newest.get_attribute("data-life")
    assert name == worker.incarnation
    os.kill(worker.pid, signal.SIGKILL)
    ended = page.locator(f"[data-life='{name}']")
    expect(ended.get_by_text(re.compile("signal 9.*by itself"))).to_be_visible()
    expect(page.locator("[data-life]").first).not_to_have_attribute("data-life", name or "")
    expect(page.locator("[data-condition='Ready']")).to_contain_text("True", timeout=60_000)
    expect(page.locator("[data-seq]").first).to_be_visible()
    board.shot("gateway-restarted")
    # What the switch leaves is of that life alone: each line's own fields say so.
    page.get_by_label("Lines of").select_option("the previous incarnation")
    line = page.locator("[data-seq]").first
    expect(line).to_be_visible()
    line.get_by_role("button", name=re.compile("fields?$")).click()
    expect(line.get_by_text(name or "", exact=True)).to_be_visible()
    # What it is to bring, by exchange, and who brings it.
    of_shfe = page.locator("[data-exchange='SHFE']")
    expect(of_shfe.get_by_text(re.compile("^ctp-(main|backup)$"))).to_be_visible()
    own = {of["exchange"]: of["desired"] for of in get(hub, "/api/contracts?account=ctp-backup")[1]["exchanges"]}
    expect(of_shfe.locator("td").nth(2)).to_have_text(str(own["SHFE"]))
    expect(page.locator("[data-exchange]")).to_have_count(len(own))
    lag = get(hub, "/api/gateways/ctp-backup")[1]["counters"]["lag_histogram_us"]
    assert sum(lag) > 0
    expect(page.get_by_role("img", name=re.compile(r"[\d,]+ ticks came second"))).to_be_visible()


def test_an_account_that_is_not_there_is_said_so(board: Board) -> None:
    page = board.open("/gateway?id=nobody")
    expect(page.get_by_text("There is no account nobody")).to_be_visible()
    assert board.axe() == []


def test_an_old_address_leads_back(board: Board) -> None:
    board.expect_complaint("404")
    board.page.goto(board.url + "/no/such/page")
    expect(board.page.get_by_role("heading", name="There is no such page")).to_be_visible()
    board.page.get_by_role("link", name="Go to Status").click()
    expect(board.page.get_by_role("heading", name="Gateways")).to_be_visible()
