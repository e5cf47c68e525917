"""`mdhub demo`: one command from a built checkout to ticks on a ZeroMQ socket."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from conftest import Demo, Hubs
from harness.payload import FIELDS, faults
from harness.subscriber import Subscriber, assert_unbroken
from harness.tick_identity import tid_of

FIRST_TICK_TARGET_S = 3.0
LATENCY_TARGET_MS = 5.0
ACCOUNTS = {"ctp-main", "ctp-backup", "sopt-main"}


@pytest.fixture(scope="module")
def watched(demo: Demo) -> Subscriber:
    """The demo's subscriber once it has seen enough to judge: ticks of each kind of source, for some seconds."""
    demo.subscriber.wait_for(lambda s: {t.topic.rpartition(".")[2] for t in s.ticks()} >= {"SSE"}, 30, "SSE ticks")
    return demo.subscriber.wait_for_ticks(200, 30)


def test_the_first_tick_is_on_the_socket_within_seconds_of_the_process_start(hubs: Hubs) -> None:
    hub = hubs.demo()
    with Subscriber(hub.listening().zmq) as subscriber:
        subscriber.wait_for(len, 10 * FIRST_TICK_TARGET_S, "a first tick")
        took_s = subscriber.received()[0].at_mono - hub.started_mono
    print(f"process start -> first tick: {took_s:.2f} s (target {FIRST_TICK_TARGET_S} s)")
    assert took_s < 10 * FIRST_TICK_TARGET_S


def test_health_says_ok(demo: Demo) -> None:
    assert demo.hub.health() == (200, {"status": "ok"})


def test_it_prints_where_everything_is(demo: Demo) -> None:
    printed, info = demo.hub.printed(), demo.hub.listening()
    for part in (f"{info.http}/health", info.zmq, "subscribe"):
        assert part in printed, printed


def test_one_process_runs_for_each_of_its_three_accounts(demo: Demo) -> None:
    kinds = {demo.hub.running(account).account: demo.hub.running(account).kind for account in ACCOUNTS}
    assert kinds == {"ctp-main": "ctp", "ctp-backup": "ctp", "sopt-main": "sopt"}
    assert len(demo.hub.workers()) == len(ACCOUNTS)


def test_every_tick_has_every_field_with_the_right_type_and_its_vt_symbol_as_topic(watched: Subscriber) -> None:
    for message in watched.received():
        payload = message.payload
        assert not faults(payload), f"{message.topic}: {faults(payload)}"
        assert message.topic == payload["vt_symbol"] == f"{payload['symbol']}.{payload['exchange']}"
        assert payload["source"] in ACCOUNTS
        assert payload["ingress_ns"] <= payload["egress_ns"]
    unknown = {name for message in watched.received() for name in message.payload} - set(FIELDS)
    assert not unknown, f"keys that the README does not name: {unknown}"


def test_a_field_check_can_fail(watched: Subscriber) -> None:
    good = watched.received()[0].payload
    for name, bad in (("seq", 0), ("bid_price_1", "3142"), ("datetime", 1.5), ("v", 2), ("trading_day", "")):
        assert faults({**good, name: bad}), f"{name} = {bad!r} passed"
    assert faults({name: value for name, value in good.items() if name != "ask_volume_5"})


def test_seq_has_no_gap_and_no_tid_comes_twice(watched: Subscriber) -> None:
    assert_unbroken(watched.by_topic())


def test_epoch_is_the_hubs_own(demo: Demo, watched: Subscriber) -> None:
    assert {str(message.payload["epoch"]) for message in watched.received()} == {demo.hub.listening().epoch}


def test_contracts_of_several_exchanges_come_and_stock_options_too(watched: Subscriber) -> None:
    exchanges = {topic.rpartition(".")[2] for topic in watched.by_topic()}
    assert "SSE" in exchanges
    assert len(exchanges) >= 4, exchanges


def test_every_source_brings_its_own_kind_of_contract(watched: Subscriber) -> None:
    for message in watched.received():
        is_option_source = message.payload["source"] == "sopt-main"
        assert is_option_source == (message.payload["exchange"] in {"SSE", "SZSE"})


def test_tid_follows_from_the_payload_by_an_independent_computation(watched: Subscriber) -> None:
    wrong = [m.payload for m in watched.received() if tid_of(m.payload) != m.payload["tid"]]
    assert not wrong, f"{len(wrong)} of {len(watched.received())} differ, first: {wrong[0]}"


def test_a_changed_field_of_the_identity_changes_the_tid(watched: Subscriber) -> None:
    payload = watched.ticks()[-1].payload
    for name in ("last_price", "volume", "open_interest", "bid_price_1", "ask_volume_1"):
        changed = {**payload, name: (payload[name] or 0) + 1}
        assert tid_of(changed) != payload["tid"], name
    assert tid_of({**payload, "turnover": 1.0, "bid_price_2": 9.0, "source": "x"}) == payload["tid"]


def test_time_and_volume_only_grow_and_last_volume_is_the_difference(watched: Subscriber) -> None:
    for topic, ticks in watched.by_topic().items():
        for earlier, later in pairwise(tick.payload for tick in ticks):
            assert later["datetime"] >= earlier["datetime"], topic
            if later["volume"] >= earlier["volume"]:
                assert later["last_volume"] == later["volume"] - earlier["volume"], topic


def test_the_way_through_the_hub_takes_milliseconds(watched: Subscriber) -> None:
    took_ms = [(m.payload["egress_ns"] - m.payload["ingress_ns"]) / 1e6 for m in watched.ticks()]
    print(f"ingress -> egress: median {statistics.median(took_ms):.3f} ms (target {LATENCY_TARGET_MS} ms)")
    assert statistics.median(took_ms) < 10 * LATENCY_TARGET_MS
