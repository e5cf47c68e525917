"""Converted ticks as records: what vnpy's TickData does not say is absent, and the date is Beijing's."""

from __future__ import annotations

import datetime as dt
import os
import struct
import sys
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from harness.places import REPOSITORY
from harness.waiting import eventually

sys.path.insert(0, str(REPOSITORY / "gateways" / "vnpy"))

from mdhub_worker import frames, record, ticks, words  # noqa: E402
from mdhub_worker.log import Gate  # noqa: E402
from mdhub_worker.pace import LoginPace  # noqa: E402

# By hand from the table of spec/src/raw_tick.rs, as offsets of the record.
INSTRUMENT, EXCHANGE, TRADING_DAY, ACTION_DAY, TIME = (16, 81), (97, 9), (106, 9), (115, 9), (124, 9)
UPDATE_MS, VOLUME, TURNOVER, LAST, OPEN, SETTLEMENT, LIMIT_UP, AVERAGE, LEVELS = (
    133,
    137,
    141,
    157,
    165,
    221,
    229,
    245,
    253,
)


def tick(**fields: Any) -> Any:
    """vnpy's TickData, by its attributes."""
    book = {f"{side}_{what}_{n}": 0 for side in ("bid", "ask") for what in ("price", "volume") for n in range(1, 6)}
    at = dt.datetime(2026, 11, 24, 21, 0, 0, 45_000, tzinfo=ZoneInfo("Asia/Shanghai"))
    plain = dict.fromkeys(("last_price", "open_price", "high_price", "low_price", "pre_close"), 0.0)
    plain |= dict.fromkeys(("limit_up", "limit_down", "turnover", "open_interest", "volume"), 0)
    return SimpleNamespace(
        **{"symbol": "m2705", "exchange": SimpleNamespace(value="DCE"), "datetime": at, **plain, **book, **fields}
    )


def text(body: bytes, place: tuple[int, int]) -> str:
    """A text field up to its first zero byte."""
    return body[place[0] : sum(place)].split(b"\0")[0].decode("gb18030")


def number(body: bytes, at: int) -> float:
    """An f64."""
    return float(struct.unpack_from("<d", body, at)[0])


def test_each_value_of_the_vendors_record_has_its_place_and_goes_untouched() -> None:
    numbers = (
        "Turnover OpenInterest LastPrice OpenPrice HighestPrice LowestPrice PreClosePrice PreSettlementPrice "
        "PreOpenInterest ClosePrice SettlementPrice UpperLimitPrice LowerLimitPrice AveragePrice"
    ).split()
    book = [f"{side}{what}{n}" for n in range(1, 6) for side in ("Bid", "Ask") for what in ("Price", "Volume")]
    data: dict[str, Any] = {name: float(place) for place, name in enumerate(numbers, 1)}
    data |= {name: 100 + place if "Volume" in name else 100.5 + place for place, name in enumerate(book)}
    data |= {"UpdateMillisec": 45, "Volume": 7, "InstrumentID": "SPD MA701&MA705", "ExchangeID": "交易所"}
    data |= {"TradingDay": "20261125", "ActionDay": "", "UpdateTime": "99:99:99", "BandingUpperPrice": 1.0}
    data["LastPrice"] = float("nan")
    body = record.vendor_frame(data, 3, 4)[5:]
    assert (text(body, INSTRUMENT), text(body, EXCHANGE)) == ("SPD MA701&MA705", "交易所")
    assert (text(body, TRADING_DAY), text(body, ACTION_DAY), text(body, TIME)) == ("20261125", "", "99:99:99")
    assert struct.unpack_from("<QQ", body) == (3, 4)
    assert struct.unpack_from("<ii", body, UPDATE_MS) == (45, 7)
    found = struct.unpack_from("<14d", body, TURNOVER)
    assert [n for n in found if n == n] == [1, 2, *range(4, 15)]  # noqa: PLR0124 - NaN is not itself
    assert struct.unpack_from("<" + "didi" * 5, body, LEVELS) == tuple(data[name] for name in book)


def test_a_converted_tick_has_its_beijing_date_and_no_trading_day() -> None:
    utc = dt.datetime(2026, 11, 24, 16, 0, 0, 999_000, tzinfo=dt.timezone.utc)
    frame = record.converted_frame(tick(datetime=utc, volume=7.0), 1, 2)
    body = frame[5:]
    assert struct.unpack_from("<IB", frame) == (len(body) + 1, 1)
    assert struct.unpack_from("<QQ", body) == (1, 2)
    assert (text(body, INSTRUMENT), text(body, EXCHANGE)) == ("m2705", "DCE")
    assert (text(body, TRADING_DAY), text(body, ACTION_DAY), text(body, TIME)) == ("", "20261125", "00:00:00")
    assert struct.unpack_from("<ii", body, UPDATE_MS) == (999, 7)


def test_a_time_without_a_zone_is_beijings_and_no_number_is_too_odd_for_a_record() -> None:
    odd = tick(datetime=dt.datetime(2026, 11, 24, 9, 30), volume=float("nan"), bid_volume_1=float("inf"), last_price=None)
    body = record.converted_frame(odd, 1, 2)[5:]
    assert (text(body, ACTION_DAY), text(body, TIME)) == ("20261124", "09:30:00")
    assert struct.unpack_from("<ii", body, UPDATE_MS) == (0, 0)
    assert number(body, LAST) == sys.float_info.max
    assert struct.unpack_from("<di", body, LEVELS)[1] == 0
    huge = record.converted_frame(tick(volume=9e12, symbol="x" * 200), 1, 2)[5:]
    assert struct.unpack_from("<i", huge, VOLUME) == (2**31 - 1,)
    assert text(huge, INSTRUMENT) == "x" * 81


def test_zero_is_absent_where_vnpy_means_so_and_real_where_there_is_a_size() -> None:
    body = record.converted_frame(
        tick(last_price=3_200.0, bid_price_1=0.0, bid_volume_1=5, ask_price_1=0.0, turnover=None), 1, 2
    )[5:]
    assert number(body, LAST) == 3_200.0
    for absent in (OPEN, SETTLEMENT, LIMIT_UP, AVERAGE, LEVELS + 12):
        assert number(body, absent) == sys.float_info.max
    assert struct.unpack_from("<di", body, LEVELS) == (0.0, 5), "a bid of zero that somebody makes"
    assert number(body, TURNOVER) == 0.0
    assert len(body) == 373


def test_a_command_is_taken_whole_however_it_is_cut_and_nonsense_is_named() -> None:
    stream = b"\x17\0\0\0\x03\x81\xa9Subscribe\x91\xa9m2705.DCE" + b"\x06\0\0\0\x03\xa4Stop"
    buffer, taken = bytearray(), []
    for byte in stream:
        buffer.append(byte)
        if command := frames.take_command(buffer):
            taken.append(command)
    assert taken == [("Subscribe", ["m2705.DCE"]), ("Stop", None)]
    for junk in (b"\0\0\0\0\x03", b"\x02\0\0\0\x03\xc1", b"\x03\0\0\0\x03\x92\x01"):
        with pytest.raises(frames.BadFrame):
            frames.take_command(bytearray(junk))


def test_reports_have_the_bytes_of_the_hubs_golden_vectors() -> None:
    unanswered = {"Unanswered": {"count": 1, "first": ["rb2701"]}}
    body = b"\x81\xaaUnanswered\x82\xa5count\x01\xa5first\x91\xa6rb2701"
    assert frames.report_frame(unanswered) == bytes([len(body) + 1, 0, 0, 0, 2]) + body


def test_a_full_queue_gives_up_its_oldest_counts_them_and_keeps_the_order_and_every_frame_whole() -> None:
    reading, waiting = os.pipe()
    direct = os.open(f"/proc/self/fd/{waiting}", os.O_WRONLY | os.O_NONBLOCK)
    broken: list[str] = []
    pipe = ticks.TickPipe(waiting, direct, broken.append)
    pushed = ticks.RING_TICKS + 3_000
    frame = lambda n: struct.pack("<IBQ", record.TICK_FRAME_BYTES - 4, 1, n).ljust(record.TICK_FRAME_BYTES, b"x")  # noqa: E731
    for n in range(pushed):
        pipe.push(frame(n))
    assert pipe.received == pushed
    assert 2_000 < pipe.dropped < 3_000, "the pipe itself holds some"
    stream = b""
    while len(stream) < (pushed - pipe.dropped) * record.TICK_FRAME_BYTES:
        stream += os.read(reading, 1 << 20)
    pipe.push(frame(pushed))
    stream += os.read(reading, 1 << 20)
    came = [stream[at : at + record.TICK_FRAME_BYTES] for at in range(0, len(stream), record.TICK_FRAME_BYTES)]
    numbers = [struct.unpack_from("<IBQ", one)[2] for one in came]
    assert came == [frame(n) for n in numbers]
    assert numbers == sorted(numbers)
    assert numbers[-pushed // 2 :] == list(range(numbers[-pushed // 2], pushed + 1)), "the newest are all there"
    gap = [n for n, following in zip(numbers, numbers[1:], strict=False) if following != n + 1]
    assert len(gap) == 1, "the oldest of the queue are gone, behind what the pipe held"
    os.close(reading)
    pipe.push(frame(0))
    eventually(lambda: broken, 5, "the broken pipe to be told")


def test_words_are_cut_at_a_character_and_a_flood_of_lines_is_counted() -> None:
    assert words.clean("CTP:不合法的登录\r\n\x1b[31m\0", 100) == "CTP:不合法的登录[31m"
    assert words.clean("不合法", 4) == "不…"
    words.hide("ab")
    assert words.clean("ab c") == "ab c", "too short to be hidden without harm"
    words.hide("abcd")
    assert words.clean("no abcd here") == "no [secret] here"
    words.hide("")
    gate = Gate("the library prints")
    passed = [line for n in range(500) for line in gate.pass_line(f"line {n}", 5.0 + n / 1000)]
    assert (len(passed), passed[0]) == (10, "the library prints: line 0")
    assert gate.pass_line("next", 6.0) == ["the library prints 490 more lines in one second", "the library prints: next"]


def test_however_often_the_front_comes_back_there_is_one_login_a_second() -> None:
    pace, sent = LoginPace(), []
    for now in range(0, 5_000, 2):
        (pace.connected if now % 4 == 0 else pace.disconnected)()
        due_at = pace.due_at()
        if due_at is not None and due_at <= now:
            pace.tried(is_sent=True, now=now)
            sent.append(now)
    assert sent == [0, 1_000, 2_000, 3_000, 4_000]
