"""The pages about data: canaries, contracts, clients, quarantine."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from dashboard.conftest import Board
from harness.api import get
from harness.hub import Hub
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import LiveWorld, scenario

MAIN = "tcp://ctp-main.sim:41213"


def test_canaries_show_price_age_and_the_last_half_hour(board: Board, hub: Hub) -> None:
    page = board.open("/")
    card = page.locator("[data-canary='rb2701.SHFE']")
    expect(card.get_by_text("Active")).to_be_visible()
    expect(card.get_by_role("img")).to_have_accessible_name(re.compile(r"rb2701.SHFE: \d+ of 30 minutes in full"))
    # Beside the API, which the page asks every second.
    prices = {item["vt_symbol"]: item["last_price"] for item in get(hub, "/api/canaries")[1]["items"]}
    assert page.locator("[data-canary]").count() == len(prices)
    shown = lambda: float(card.locator("span.text-20").inner_text().replace(",", ""))
    asked = lambda: next(item for item in get(hub, "/api/canaries")[1]["items"] if item["vt_symbol"] == "rb2701.SHFE")
    eventually(lambda: shown() == asked()["last_price"], 20, "the price is the hub's", 0.1)
    # A quiet market keeps its price for a while, but no two looks are of the same age.
    first = card.inner_text()
    eventually(lambda: card.inner_text() != first, 20, "it is drawn anew")


def test_every_contract_is_listed_found_and_counted(board: Board, hub: Hub) -> None:
    page = board.open("/contracts")
    expect(page.get_by_text(re.compile(r"\d+ of \d+ ticking"))).to_be_visible()
    coverage = get(hub, "/api/contracts")[1]["coverage"]
    eventually(lambda: page.locator("[data-contract]").count() == coverage["desired"], 20, "a row for each")
    row = page.locator("[data-contract='rb2701.SHFE']")
    expect(row.get_by_text("Ticking")).to_be_visible()
    expect(row.get_by_text(re.compile("^ctp-(main|backup)$"))).to_be_visible()
    expect(row.locator("[role=cell]").nth(4)).to_have_text(re.compile(r"^\d+\.\d$"), timeout=20_000)
    chip = page.get_by_role("group", name="Exchange").get_by_role("button", name=re.compile("^CZCE"))
    chip.click()
    czce = [item["vt_symbol"] for item in get(hub, "/api/contracts?exchange=CZCE")[1]["items"]]
    expect(page.locator("[data-contract]")).to_have_count(len(czce))
    assert "exchange=CZCE" in page.url
    chip.click()
    expect(page.locator("[data-contract]")).to_have_count(coverage["desired"])
    page.keyboard.press("/")
    page.keyboard.type("510050")
    expect(page.locator("[data-contract]")).to_have_count(1)
    assert "q=510050" in page.url
    page.get_by_role("button", name="Missing").click()
    expect(page.get_by_text("No contract matches")).to_be_visible()
    assert board.axe() == []


def test_a_client_comes_and_goes_on_the_page(board: Board, hub: Hub) -> None:
    page = board.open("/clients")
    expect(page.get_by_text("Nobody is connected")).to_be_visible()
    assert board.axe() == []
    with Subscriber(hub.listening().zmq, "rb", "ag2702.SHFE").connected() as subscriber:
        subscriber.wait_for_ticks(5, 20)
        row = page.locator("[data-client]")
        expect(row.get_by_text("Keeping up")).to_be_visible()
        expect(row.get_by_text("ag2702.SHFE, rb", exact=True)).to_be_visible()
        eventually(lambda: row.locator("td").nth(6).inner_text() not in ("—", "0"), 20, "a rate")
        assert board.axe() == []
        board.shot("clients-connected")
    expect(page.get_by_text("Nobody is connected")).to_be_visible(timeout=20_000)


def test_a_rejected_tick_is_shown_as_the_vendor_wrote_it(board: Board, hub: Hub) -> None:
    page = board.open("/quarantine")
    expect(page.get_by_text("Nothing was rejected")).to_be_visible()
    with LiveWorld.beside(hub.data_dir / "world.json").playing(MAIN, scenario("junk_time", form="nines", instruments=["rb2701"], rate=0.5)):
        eventually(lambda: get(hub, "/api/quarantine")[1]["total"] > 2, 20, "rejected ticks")
    page.get_by_role("button", name="bad_time").click()
    expect(page).to_have_url(re.compile("rule=bad_time"))
    page.locator("tr[data-rule='bad_time'] button").first.click()
    expect(page.get_by_text('"99:99:99"', exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Its logs of then")).to_have_attribute("href", re.compile(r"/logs\?account=ctp-main&at_ms=\d+"))
    assert board.axe() == []
    # Beside it, what it was compared with.
    expect(page.locator("[data-compared='volume']")).to_be_visible()
    board.shot("quarantine-tick")
    expect(page.get_by_role("img", name=re.compile(r"^\d+ in the last 30 minutes, \d+ a minute at most$"))).to_be_visible()
    newest = page.url
    page.get_by_role("button", name="Older tick").click()
    page.wait_for_url(lambda url: url != newest)
    # The address says which tick is looked at.
    told = re.search(r"tick=(\d+)", page.url)
    assert told is not None and told.group(0) not in newest
    logs = page.get_by_role("link", name="Its logs of then")
    expect(logs).to_have_attribute("href", re.compile(f"at_ms={told.group(1)}$"))
    page = board.open(page.url.removeprefix(board.url))
    expect(logs).to_have_attribute("href", re.compile(f"at_ms={told.group(1)}$"))
    page.get_by_role("button", name="Newer tick").click()
    expect(logs).not_to_have_attribute("href", re.compile(f"at_ms={told.group(1)}$"))
    raw = get(hub, "/api/quarantine?rule=bad_time&limit=1")[1]["items"][0]["raw"]
    assert json.dumps(raw["update_time"]) == '"99:99:99"'
    page.get_by_label("Contract").fill("nothing.SHFE")
    expect(page.get_by_text("No rejected tick matches")).to_be_visible()
