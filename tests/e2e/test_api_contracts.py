"""Which contracts are wanted, who brings them, and what is missing, over HTTP."""

from __future__ import annotations

import dataclasses
from typing import Any

from conftest import Hubs
from harness import desired
from harness.api import send
from harness.hub import Hub
from harness.live import LiveClient
from harness.subscriber import Subscriber
from harness.waiting import eventually
from harness.world import BACKUP_FRONT, FUTURES, MAIN_FRONT, LiveWorld, live_world, scenario, settings

ACCOUNTS = ["ctp-backup", "ctp-main"]
REFUSED, STALLED, CANARY = "si2701.GFEX", "m2705.DCE", "rb2701.SHFE"


def _page(hub: Hub, query: str = "") -> dict[str, Any]:
    code, page, _ = send(hub, "GET", f"/api/contracts?{query}")
    assert code == 200, page
    document: dict[str, Any] = page
    return document


def _items(hub: Hub, query: str = "") -> dict[str, dict[str, Any]]:
    return {item["vt_symbol"]: item for item in _page(hub, query)["items"]}


def test_contracts_tell_who_brings_them_what_is_silent_and_what_is_missing(hubs: Hubs) -> None:
    world = live_world()
    refusal = scenario("subscription_refused", instruments=["si2701"])
    fronts = {at: dataclasses.replace(front, scenarios=(refusal,)) for at, front in world.fronts.items()}
    world = dataclasses.replace(world, fronts=fronts)
    health = {"contract_silence_ms": 2_000}
    file = settings(hubs.directory, world, FUTURES, health=health, canaries={"list": [CANARY]})
    hub = hubs.run(file)
    empty = _page(hub)["coverage"]
    assert (empty["desired"], empty["missing_total"]) == (len(FUTURES), len(FUTURES)), "nobody is to bring them yet"
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    desired.add(hub.data_dir, "ctp-backup", BACKUP_FRONT, priority=2)
    with Subscriber(hub.listening().zmq, CANARY).connected() as subscriber:

        def covered() -> dict[str, Any] | None:
            page = _page(hub)
            of = page["coverage"]
            is_whole = (of["ticking"], of["acknowledged"], of["missing"]) == (7, 7, [REFUSED])
            return page if is_whole and all(i["sources"] == ACCOUNTS for i in page["items"] if i["vt_symbol"] != REFUSED) else None

        page = eventually(covered, 40, "all but one to tick, from both")
        items = {item["vt_symbol"]: item for item in page["items"]}
        assert list(items) == sorted(FUTURES) and page["next"] is None
        shown = items[CANARY]
        eventually(lambda: any(t.payload["seq"] == shown["seq"] for t in subscriber.ticks()), 20, "the tick that is shown")
        (told,) = [t.payload for t in subscriber.ticks() if t.payload["seq"] == shown["seq"]]
    assert (shown["last_price"], shown["winner"]) == (told["last_price"], told["source"])
    assert shown["forwarded"] == shown["seq"] > 0 and shown["last_tick_age_ms"] <= 2_000 and shown["is_canary"]
    assert shown["desired_by"] == shown["acknowledged_by"] == ACCOUNTS and (shown["product"], shown["exchange"]) == ("rb", "SHFE")
    assert sum(item["duplicate"] for item in items.values()) > 0
    paced = eventually(lambda: of if (of := _items(hub)[CANARY])["ticks_per_s"] else None, 20, "its rate")
    assert 0.5 < paced["ticks_per_s"] < 20
    missing = items[REFUSED]
    assert (missing["state"], missing["acknowledged_by"], missing["winner"], missing["seq"]) == ("missing", [], None, 0)
    assert missing["desired_by"] == ACCOUNTS

    live = LiveWorld.beside(file)
    for front in (MAIN_FRONT, BACKUP_FRONT):
        live.add(front, scenario("stall", instruments=["m2705"]))
    eventually(lambda: list(_items(hub, "state=silent")) == [STALLED], 30, "the stalled one to be silent")
    assert _items(hub, "state=silent")[STALLED]["acknowledged_by"] == ACCOUNTS


def test_contracts_are_paged_looked_for_and_for_nobody_but_the_administrator(hubs: Hubs) -> None:
    hub = hubs.empty()
    seen: list[str] = []
    after = ""
    while True:
        page = _page(hub, f"limit=3{after}")
        seen += [item["vt_symbol"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next'].replace('&', '%26').replace(' ', '%20')}"
    assert seen == sorted(seen) and len(seen) == page["coverage"]["desired"] == 10
    window = _page(hub, "offset=4&limit=3")
    assert ([item["vt_symbol"] for item in window["items"]], window["total"]) == (seen[4:7], 10)
    czce = _page(hub, "exchange=CZCE")
    assert czce["total"] == len([name for name in seen if name.endswith(".CZCE")]) == len(czce["items"]) > 0
    assert {of["exchange"]: of["desired"] for of in czce["exchanges"]}["CZCE"] == czce["total"]
    assert _page(hub, "account=nobody")["total"] == 0
    assert list(_items(hub, "query=ma7")) == ["MA701.CZCE", "SPD MA701&MA705.CZCE"]
    for wrong in ("state=lost", "limit=0", "limit=1001", "what=ever", "exchange=NYSE", "offset=-1"):
        assert send(hub, "GET", f"/api/contracts?{wrong}")[0] == 400, wrong
    assert send(hub, "GET", "/api/contracts", headers={"Authorization": ""})[0] == 401


def test_a_canary_is_active_until_it_is_stale_and_its_minutes_tell_of_the_gap(hubs: Hubs) -> None:
    health = {"canary_silence_ms": 1_000, "market_silent_hold_ms": 60_000}
    file = settings(hubs.directory, live_world(), FUTURES, health=health, canaries={"list": [CANARY, STALLED]})
    hub = hubs.run(file)
    desired.add(hub.data_dir, "ctp-main", MAIN_FRONT)
    desired.add(hub.data_dir, "ctp-backup", BACKUP_FRONT, priority=2)

    def canary(state: str) -> dict[str, Any] | None:
        code, page, _ = send(hub, "GET", "/api/canaries")
        assert code == 200 and [item["vt_symbol"] for item in page["items"]] == [CANARY, STALLED], page
        one: dict[str, Any] = page["items"][0]
        return one if one["state"] == state and len(one["sources"]) == 2 and (state == "stale" or one["ticks_per_s"] > 0) else None

    active = eventually(lambda: canary("active"), 30, "it to be active")
    assert active["last_price"] > 0 and active["last_tick_age_ms"] <= 1_000 and active["exchange"] == "SHFE"
    assert {source["account"] for source in active["sources"]} == set(ACCOUNTS)
    minutes = active["minutes"]
    assert [b["at_ms"] - a["at_ms"] for a, b in zip(minutes, minutes[1:], strict=False)] == [60_000] * 29
    assert {minute["state"] for minute in minutes[:25]} == {"down"} and minutes[-1]["state"] in ("full", "gap", "silent")
    client = LiveClient.open(hub)
    client.until(lambda c: c.rates and c.rates["canaries"] and c.rates["canaries"][0]["last_price"], 20, "the canaries")
    of = {canary["vt_symbol"]: canary for canary in client.rates["canaries"]}
    assert of[CANARY]["last_price"] > 0 and set(of[CANARY]["by_account"]) == set(ACCOUNTS) and of[STALLED]["exchange"] == "DCE"

    live = LiveWorld.beside(file)
    for front in (MAIN_FRONT, BACKUP_FRONT):
        live.add(front, scenario("stall", instruments=["rb2701"]))

    def told() -> bool:
        stale = canary("stale")
        now = stale["minutes"][-1] if stale else {}
        return now.get("state") in ("gap", "silent") and now["longest_gap_ms"] > 3_000 and stale["ticks_per_s"] == 0

    eventually(told, 30, "the gap to be told")
    assert send(hub, "GET", "/api/canaries", headers={"Authorization": ""})[0] == 401
