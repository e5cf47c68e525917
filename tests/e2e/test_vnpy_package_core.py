"""mdhub-vnpy without vnpy: numbers and gaps, two hubs as one, which ticks are wanted, what vnpy gets."""

from __future__ import annotations

import datetime as dt
import random
import sys
from typing import Any

import pytest

from harness.places import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "examples" / "vnpy"))

from mdhub_vnpy import settings  # noqa: E402
from mdhub_vnpy.convert import EXTRA, NUMBERS, extra_of, fields_of  # noqa: E402
from mdhub_vnpy.fill import from_json  # noqa: E402
from mdhub_vnpy.merge import WINDOW, Merge  # noqa: E402
from mdhub_vnpy.pulse import SILENT_S, Pulse  # noqa: E402
from mdhub_vnpy.sections import Snapshots, is_wanted  # noqa: E402
from mdhub_vnpy.sequence import FILL_MAX, HELD_MAX, Fill, Gap, Sequence, Step  # noqa: E402
from mdhub_vnpy.stream import Hub  # noqa: E402

RB = "rb2701.SHFE"
BEIJING = dt.timezone(dt.timedelta(hours=8))
NINE = dt.datetime(2026, 11, 18, 9, 0, tzinfo=BEIJING)


def tick(seq: int, *, epoch: int = 7, vt_symbol: str = RB, flags: int = 0, tid: int | None = None) -> dict[str, Any]:
    """The part of a tick that numbers and merging look at; its time and volume follow from `seq`."""
    symbol, _, exchange = vt_symbol.rpartition(".")
    at = NINE + dt.timedelta(milliseconds=500 * seq)
    identity = seq * 1000 + epoch if tid is None else tid
    head = {"vt_symbol": vt_symbol, "symbol": symbol, "exchange": exchange, "name": symbol, "localtime": at}
    return {**head, "seq": seq, "epoch": epoch, "flags": flags, "tid": identity, "datetime": at, "volume": seq}


def following(can_fill: bool = True) -> Sequence:
    sequence = Sequence(can_fill)
    sequence.follow(RB)
    return sequence


def numbers(step: Step) -> list[int]:
    return [t["seq"] for t in step.ticks]


def test_ticks_in_order_pass_at_once_and_those_of_others_do_not() -> None:
    sequence = following()
    assert [numbers(sequence.take(tick(seq))) for seq in (5, 6, 7)] == [[5], [6], [7]]
    assert sequence.take(tick(1, vt_symbol="rb2705.SHFE")) == Step()


def test_a_gap_is_asked_for_and_what_comes_behind_it_waits() -> None:
    sequence = following()
    sequence.take(tick(5))
    step = sequence.take(tick(9))
    assert (numbers(step), step.fills) == ([], [Fill(RB, 7, 5, 8)])
    assert sequence.take(tick(10)) == Step()
    done = sequence.filled(step.fills[0], [tick(seq) for seq in (6, 7, 8, 9)])
    assert (numbers(done), done.gaps) == ([6, 7, 8, 9, 10], [Gap(RB, 3, 3)])
    assert numbers(sequence.take(tick(11))) == [11]


def test_what_cannot_be_filled_is_told_and_the_rest_goes_on() -> None:
    sequence = following()
    sequence.take(tick(5))
    fill = sequence.take(tick(9)).fills[0]
    done = sequence.filled(fill, [tick(8)])
    assert (numbers(done), done.gaps) == ([8, 9], [Gap(RB, 3, 1)])
    assert sequence.filled(fill, [tick(6)]) == Step(), "an answer that comes twice"
    bare = following(can_fill=False)
    bare.take(tick(5))
    step = bare.take(tick(9))
    assert (numbers(step), step.fills, step.gaps) == ([9], [], [Gap(RB, 3, 0)])


def test_a_gap_among_what_waits_is_asked_for_next() -> None:
    sequence = following()
    sequence.take(tick(1))
    first = sequence.take(tick(3)).fills[0]
    for seq in (4, 7, 8):
        sequence.take(tick(seq))
    step = sequence.filled(first, [tick(2)])
    assert (numbers(step), step.fills) == ([2, 3, 4], [Fill(RB, 7, 4, 6)])
    assert numbers(sequence.filled(step.fills[0], [tick(5), tick(6)])) == [5, 6, 7, 8]


def test_what_waits_and_what_is_asked_for_has_a_limit() -> None:
    sequence = following()
    sequence.take(tick(1))
    sequence.take(tick(3))
    steps = [sequence.take(tick(seq)) for seq in range(4, HELD_MAX + 4)]
    assert [numbers(step) for step in steps[:-1]] == [[]] * (HELD_MAX - 1)
    assert (numbers(steps[-1]), steps[-1].gaps) == (list(range(3, HELD_MAX + 4)), [Gap(RB, 1, 0)])
    long = sequence.take(tick(10 * FILL_MAX))
    (fill,) = long.fills
    assert (fill.up_to_seq, fill.up_to_seq - fill.after_seq) == (10 * FILL_MAX - 1, FILL_MAX)
    assert long.gaps == [Gap(RB, 8 * FILL_MAX - 4 + FILL_MAX - HELD_MAX, 0)]


def test_a_hub_that_was_started_anew_counts_from_one() -> None:
    sequence = following()
    sequence.take(tick(5))
    assert numbers(sequence.take(tick(1, epoch=8))) == [1]
    step = sequence.take(tick(3, epoch=9))
    assert step.fills == [Fill(RB, 9, 0, 2)], "the first ones were published before we were back"
    done = sequence.filled(step.fills[0], [tick(1, epoch=9), tick(2, epoch=9)])
    assert [(t["epoch"], t["seq"]) for t in done.ticks] == [(9, 1), (9, 2), (9, 3)]


def test_a_restart_ends_the_waiting_for_the_old_numbers() -> None:
    sequence = following()
    sequence.take(tick(5))
    fill = sequence.take(tick(9)).fills[0]
    step = sequence.take(tick(1, epoch=8))
    assert ([(t["epoch"], t["seq"]) for t in step.ticks], step.gaps) == ([(7, 9), (8, 1)], [Gap(RB, 3, 0)])
    assert sequence.filled(fill, [tick(6)]) == Step()


def test_a_snapshot_is_a_newcomers_first_tick_and_else_shows_what_was_missed() -> None:
    sequence = following()
    assert numbers(sequence.take(tick(5, flags=1))) == [5]
    assert numbers(sequence.take(tick(6))) == [6]
    assert sequence.take(tick(6, flags=1)) == Step(), "after a reconnect: nothing was missed"
    fill = sequence.take(tick(8, flags=1)).fills[0]
    assert fill == Fill(RB, 7, 6, 8)
    news = sequence.filled(fill, [tick(7), tick(8)])
    assert [(t["seq"], t["flags"]) for t in news.ticks] == [(7, 0), (8, 0)]
    again = sequence.filled(sequence.take(tick(10, flags=1)).fills[0], [])
    assert [(t["seq"], t["flags"]) for t in again.ticks] == [(10, 1)], "as what it is"


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_lost_comes_once_and_in_order_when_the_hub_still_has_it(seed: int) -> None:
    draw = random.Random(seed)
    sequence, asked, passed = following(), list[Fill](), list[int]()

    def follow(step: Step) -> None:
        passed.extend(numbers(step))
        asked.extend(step.fills)

    def answer() -> None:
        fill = asked.pop(0)
        follow(sequence.filled(fill, [tick(seq) for seq in range(fill.after_seq + 1, fill.up_to_seq + 1)]))

    for seq in range(1, 400):
        if seq == 1 or draw.random() < 0.6:
            follow(sequence.take(tick(seq, flags=int(draw.random() < 0.1))))
        if asked and draw.random() < 0.3:
            answer()
    follow(sequence.take(tick(400)))
    while asked:
        answer()
    assert passed == list(range(1, 401))


def test_of_two_hubs_each_tick_is_passed_on_once_whichever_is_first() -> None:
    passed: list[int] = []
    merge = Merge(lambda t: passed.append(t["tid"]))
    draw = random.Random(1)
    first, second = ([tick(seq, epoch=epoch, tid=seq) for seq in range(1, 500)] for epoch in (7, 8))
    while first or second:
        side = first if not second or (first and draw.random() < 0.5) else second
        merge.take(side.pop(0))
    assert passed == list(range(1, 500))
    assert (merge.delivered, merge.duplicate, merge.late) == (499, 499, 0)


def test_of_two_hubs_one_started_anew_no_tick_comes_twice_and_none_is_lost() -> None:
    passed: list[int] = []
    merge = Merge(lambda t: passed.append(t["tid"]))
    first, second = following(), following()

    def take(sequence: Sequence, seq: int, epoch: int, tid: int, flags: int = 0) -> None:
        at = tick(tid)
        step = sequence.take({**at, "seq": seq, "epoch": epoch, "flags": flags, "tid": tid})
        log = [{**tick(n + 10), "seq": n, "epoch": epoch, "tid": n + 10} for n in range(1, seq + 1)]
        for each in [step, *[sequence.filled(fill, log) for fill in step.fills]]:
            for t in each.ticks:
                merge.take(t)

    for n in range(1, 11):
        take(first, n, 7, n)
        take(second, n, 8, n)
    for n in range(11, 16):
        take(first, n, 7, n)
    take(second, 4, 9, 14, flags=1)
    for n in range(16, 20):
        take(second, n - 10, 9, n)
        take(first, n, 7, n)
    assert passed == list(range(1, 20))


def test_a_tick_that_only_the_slower_hub_had_does_not_turn_time_back() -> None:
    passed: list[int] = []
    merge = Merge(lambda t: passed.append(t["tid"]))
    for seq in (1, 3, 2, 4):
        merge.take(tick(seq, tid=seq))
    assert (passed, merge.late) == ([1, 3, 4], 1)
    same_second = {**tick(4, tid=99), "volume": 4}
    merge.take(same_second)
    assert passed[-1] == 99, "an equal time and volume is no step back: CZCE has no milliseconds"


def test_what_a_merge_remembers_has_a_limit() -> None:
    merge = Merge(lambda t: None)
    for seq in range(3 * WINDOW):
        merge.take(tick(seq, tid=seq))
    (seen,) = merge._contracts.values()
    assert len(seen.tids) == len(seen.order) == WINDOW
    merge.forget(RB)
    assert not merge._contracts


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=BEIJING)


@pytest.mark.parametrize(
    ("exchange", "taken", "now", "is_current"),
    [
        ("SHFE", "2026-11-18 09:00:00", "2026-11-18 10:14:59", True),
        ("SHFE", "2026-11-18 10:14:59", "2026-11-18 10:30:01", False),
        ("SHFE", "2026-11-18 10:14:59", "2026-11-18 10:20:00", False),
        ("SHFE", "2026-11-18 23:59:59", "2026-11-19 00:00:01", True),
        ("SHFE", "2026-11-19 02:29:59", "2026-11-19 09:00:00", False),
        ("SHFE", "2026-11-18 21:00:00", "2026-11-19 21:00:00", False),
        ("SHFE", "2026-11-17 14:59:59", "2026-11-18 14:00:00", False),
        ("CFFEX", "2026-11-18 10:14:59", "2026-11-18 10:30:01", True),
        ("CFFEX", "2026-11-18 11:29:59", "2026-11-18 13:00:01", False),
        ("SHFE", "2026-11-18 22:59:59", "2026-11-18 23:00:30", True),
        ("SHFE", "2026-11-18 22:59:59", "2026-11-18 23:30:00", False),
        ("SHFE", "2026-11-18 23:00:00", "2026-11-19 00:30:00", False),
        ("INE", "2026-11-19 00:59:59", "2026-11-19 02:00:00", False),
        ("INE", "2026-11-19 01:30:00", "2026-11-19 02:00:00", True),
        ("GFEX", "2026-11-18 14:59:59", "2026-11-18 21:30:00", False),
        ("CFFEX", "2026-11-18 14:59:59", "2026-11-18 15:10:00", False),
        ("CFFEX", "2026-11-18 15:05:00", "2026-11-18 15:10:00", True),
        ("SSE", "2026-11-20 14:59:59", "2026-11-21 14:59:59", False),
    ],
)
def test_a_snapshot_counts_while_the_section_that_it_is_of_lasts(
    exchange: str, taken: str, now: str, is_current: bool
) -> None:
    snapshot = {**tick(1, vt_symbol=f"x.{exchange}", flags=1), "datetime": at(taken)}
    wanted = {choice: is_wanted(snapshot, at(now), choice, settlement=False) for choice in Snapshots}
    assert wanted == {Snapshots.SECTION: is_current, Snapshots.ALL: True, Snapshots.NONE: False}


def test_news_always_counts_and_settlement_ticks_only_on_request() -> None:
    saturday = at("2026-11-21 12:00:00")
    assert all(is_wanted(tick(1), saturday, choice, settlement=False) for choice in Snapshots)
    assert is_wanted(tick(1, flags=2 | 8 | 16), saturday, Snapshots.NONE, settlement=False), "doubts are no reason"
    assert not is_wanted(tick(1, flags=4), saturday, Snapshots.ALL, settlement=False)
    assert is_wanted(tick(1, flags=4), saturday, Snapshots.ALL, settlement=True)


def test_an_absent_number_is_zero_for_vnpy_and_none_beside_it() -> None:
    payload = {**dict.fromkeys((*NUMBERS, *EXTRA)), **tick(3), "last_price": -3, "settlement": None}
    payload["datetime"] = NINE.astimezone(dt.timezone.utc)
    fields, extra = fields_of(payload, "HUB"), extra_of(payload)
    assert fields["datetime"] == NINE
    assert {str(fields[name].tzinfo) for name in ("datetime", "localtime")} == {"Asia/Shanghai"}
    assert (fields["symbol"], fields["exchange"], fields["gateway_name"]) == ("rb2701", "SHFE", "HUB")
    assert (fields["last_price"], fields["volume"], fields["bid_price_5"]) == (-3.0, 3.0, 0.0)
    assert {type(fields[name]) for name in NUMBERS} == {float}
    assert extra["settlement"] is None and (extra["seq"], extra["tid"]) == (3, 3007)


def test_a_tick_of_the_control_port_is_that_of_the_stream() -> None:
    exact = {"tid": "18446744073709551615", "epoch": "7", "ingress_ns": "1795000000123456789"}
    told = {**exact, "seq": 3, "limit_up": None}
    read = from_json({**told, "datetime": "2026-11-18T09:00:00.500000+08:00", "vt_symbol": RB})
    assert (read["tid"], read["epoch"], read["ingress_ns"]) == (2**64 - 1, 7, 1_795_000_000_123_456_789)
    assert read["datetime"] == NINE + dt.timedelta(milliseconds=500) and read["limit_up"] is None


def test_a_hub_that_says_nothing_is_told_of_once_and_so_is_its_return() -> None:
    pulse = Pulse(100.0)
    assert pulse.heard(100.1, 7) == ["connected"] and pulse.heard(100.2, 7) == []
    assert pulse.beat(["a", "b"]) == []
    assert pulse.look(100.2 + SILENT_S - 0.1) == [] and pulse.look(100.2 + SILENT_S) != [] and pulse.look(200.0) == []
    assert pulse.heard(130.2, 7) == ["is back after 30 s"]
    (anew,) = pulse.heard(130.3, 8)
    assert "started anew" in anew and pulse.heard(130.4, 8) == []
    assert pulse.beat(["a"]) == ["has the sources a"]
    assert pulse.beat([]) == ["has no source: no ticks will come"]


def test_a_gateways_setting_is_read_as_a_window_or_a_hand_left_it() -> None:
    plain = settings.read({})
    assert (plain.hubs, plain.snapshots, plain.settlement) == ([Hub("tcp://127.0.0.1:5555")], Snapshots.SECTION, False)
    assert settings.read(settings.DEFAULTS) == plain
    two = settings.read(
        {
            "行情中枢": "tcp://a:1， tcp://b:2",
            "补缺地址": "http://a:8/, https://b:9",
            "令牌名称": "desk",
            "令牌密码": "x",
            "快照": "不要",
            "结算行情": "是",
        }
    )
    assert two.hubs == [Hub("tcp://a:1", "http://a:8", "desk", "x"), Hub("tcp://b:2", "https://b:9", "desk", "x")]
    assert (two.snapshots, two.settlement) == (Snapshots.NONE, True)
    assert "x" not in repr(two.hubs).replace("mdhub", ""), "no token in a log"
    assert settings.contracts({"合约": "rb2701.SHFE:10:1,SPD MA701&MA705.CZCE:10:1"}) == [
        ("rb2701", "SHFE", 10.0, 1.0),
        ("SPD MA701&MA705", "CZCE", 10.0, 1.0),
    ]


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"行情中枢": "127.0.0.1:5555"}, ("行情中枢", "127.0.0.1:5555", "tcp://")),
        ({"行情中枢": "tcp://a:1,tcp://b:2", "补缺地址": "http://a:8"}, ("补缺地址", "1", "2")),
        ({"补缺地址": "a:8"}, ("补缺地址", "a:8", "http")),
        ({"快照": "some"}, ("快照", "some", "当前小节")),
        ({"合约": "rb2701.SHFE"}, ("合约", "rb2701.SHFE", "SIZE")),
    ],
)
def test_a_setting_that_is_wrong_is_named_with_what_is_allowed(setting: dict[str, Any], named: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="is expected|is not allowed|are expected") as error:
        settings.read(setting)
        settings.contracts(setting)
    assert all(part in str(error.value) for part in named), error.value
