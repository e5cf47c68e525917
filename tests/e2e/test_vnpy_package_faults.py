"""mdhub-vnpy and the bars beside a hub that is none: garbage, control ports that are other programs, odd tokens."""

from __future__ import annotations

import datetime as dt
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from harness.places import REPOSITORY
from harness.waiting import eventually

sys.path.insert(0, str(REPOSITORY / "examples" / "vnpy"))

from mdhub_vnpy import settings  # noqa: E402
from mdhub_vnpy.convert import fields_of  # noqa: E402
from mdhub_vnpy.feed import HubFeed  # noqa: E402
from mdhub_vnpy.sections import Snapshots  # noqa: E402
from mdhub_vnpy.sequence import Fill, Gap, Step  # noqa: E402
from mdhub_vnpy.stream import Hub, HubStream  # noqa: E402

RB = "rb2701.SHFE"
NOW = dt.datetime(2026, 11, 18, 9, 0, tzinfo=dt.timezone.utc)


def tick(seq: int) -> dict[str, Any]:
    at = msgpack.Timestamp.from_datetime(NOW + dt.timedelta(seconds=seq))
    head = {"v": 1, "vt_symbol": RB, "symbol": "rb2701", "exchange": "SHFE", "name": "rb2701"}
    return {**head, "datetime": at, "localtime": at, "volume": seq, "seq": seq, "epoch": 7, "tid": seq, "flags": 0}


class StandIn:
    """A PUB socket in a hub's place."""

    def __init__(self, context: zmq.Context[Any]) -> None:
        self._socket = context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self.address = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"

    def send(self, payload: bytes | dict[str, Any]) -> None:
        self._socket.send_multipart([RB.encode(), payload if isinstance(payload, bytes) else msgpack.packb(payload)])

    def until(self, payload: bytes | dict[str, Any], is_seen: Callable[[], bool]) -> None:
        """Sends it again and again: the first ones go to nobody."""

        def sent() -> bool:
            self.send(payload)
            return is_seen()

        eventually(sent, 20, "a message that comes through")


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    context = zmq.Context()
    yield StandIn(context)
    context.destroy(linger=0)


@contextmanager
def follower(hub: Hub, on_tick: Callable[[dict[str, Any]], None], news: list[str]) -> Iterator[HubFeed]:
    feed = HubFeed([hub], on_tick, news.append, snapshots=Snapshots.ALL)
    feed.subscribe(RB)
    feed.start()
    try:
        yield feed
    finally:
        feed.close()


def test_garbage_is_told_of_and_interrupts_nothing(stand_in: StandIn) -> None:
    came, news = list[int](), list[str]()
    with follower(Hub(stand_in.address), lambda t: came.append(t["seq"]), news):
        stand_in.until(tick(1), lambda: 1 in came)
        for payload in (b"\xc1", b"", b"\x93\x01", b"\x05", b"\xc0", msgpack.packb({"v": 1}), *[b"\xc1"] * 500):
            stand_in.send(payload)
        stand_in.send(tick(2))
        eventually(lambda: 2 in came, 20, "the tick behind the garbage")
    assert any("no message" in sentence for sentence in news) and len(news) < 10, news
    assert not any("anew" in sentence for sentence in news), news


@pytest.mark.parametrize(
    "odd",
    [
        {"volume": None},
        {"datetime": None},
        {"datetime": msgpack.Timestamp(2**40)},
        {"seq": None},
        {"exchange": None},
        {"exchange": "NYMEX"},
        {"name": None},
        {"vt_symbol": "rb2705.SHFE"},
        {"epoch": [7]},
    ],
    ids=str,
)
def test_a_tick_with_an_odd_field_costs_itself_and_no_connection(stand_in: StandIn, odd: dict[str, Any]) -> None:
    came, news = list[int](), list[str]()
    with follower(Hub(stand_in.address), lambda t: came.append(t["tid"]), news):
        stand_in.until(tick(1), lambda: 1 in came)
        stand_in.send({**tick(2), "tid": 99, **odd})
        stand_in.send(msgpack.packb(tick(2))[:-3])
        stand_in.send(tick(2))
        eventually(lambda: 2 in came, 20, "the tick behind the odd one")
    assert any("no message" in sentence for sentence in news), news
    assert came == [1, 2] and not any("anew" in sentence for sentence in news), news


def test_a_control_port_that_is_another_program_ends_no_stream(stand_in: StandIn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"\xff no HTTP\r\n")

        threading.Thread(target=answer, daemon=True).start()
        came, news = list[int](), list[str]()
        control = f"http://127.0.0.1:{server.getsockname()[1]}"
        with follower(Hub(stand_in.address, control), lambda t: came.append(t["seq"]), news):
            stand_in.until(tick(1), lambda: 1 in came)
            for seq in (4, 9):
                stand_in.send(tick(seq))
                eventually(lambda seq=seq: seq in came, 20, f"{seq}, behind a gap")


def test_who_stumbles_over_a_tick_has_the_next_ones_and_the_gap_behind_them_is_asked_for() -> None:
    came = list[int]()

    def take(given: dict[str, Any]) -> None:
        if given["seq"] == 2:
            raise RuntimeError("a strategy's own")
        came.append(given["seq"])

    stream = HubStream(Hub("tcp://127.0.0.1:1", "http://127.0.0.1:1"), take, lambda news: None)
    fill = Fill(RB, 7, 3, 5)
    with pytest.raises(RuntimeError, match="own"):
        stream._step(Step([tick(2), tick(3)], [fill], [Gap(RB, 1, 1)]))
    assert (came, stream._fills.get_nowait()[1], stream._missed.missed) == ([3], fill, 1)


def test_a_strategy_may_stop_following_while_it_is_given_a_tick(stand_in: StandIn) -> None:
    came, feeds = list[int](), list[HubFeed]()

    def take(given: dict[str, Any]) -> None:
        feeds[0].unsubscribe(RB)
        came.append(given["seq"])

    feed = HubFeed([Hub(stand_in.address)], take, lambda news: None, snapshots=Snapshots.ALL)
    feeds.append(feed)
    feed.subscribe(RB)
    feed.start()
    stand_in.until(tick(1), lambda: bool(came))
    feed.close()
    assert not any(thread.is_alive() for stream in feed._streams for thread in stream._threads)


@pytest.mark.parametrize("token", ["SECRET\nX", "SECRET\x00", "密SECRET"])
def test_a_token_that_no_header_can_hold_is_refused_without_its_text(token: str) -> None:
    for make in (lambda: Hub("tcp://a:1", token=token), lambda: settings.read({"令牌密码": token})):
        with pytest.raises(ValueError, match="not allowed") as error:
            make()
        assert "SECRET" not in str(error.value)
    assert settings.read({"令牌密码": "SECRET\n"}).hubs[0].token == "SECRET", "a file's last line end is no part of it"


def test_a_field_that_is_not_there_is_as_one_that_is_absent() -> None:
    bare = {"symbol": "rb2701", "exchange": "SHFE", "name": "rb2701", "datetime": NOW, "localtime": NOW}
    fields = fields_of(bare, "HUB")
    assert (fields["bid_price_5"], fields["volume"]) == (0.0, 0.0)


def test_bars_outlive_what_is_no_tick(stand_in: StandIn, tmp_path: Path) -> None:
    log = tmp_path / "bars.log"
    arguments = [RB, "--hub", stand_in.address, "--listen", "tcp://127.0.0.1:0"]
    with log.open("w") as out:
        bars = subprocess.Popen([sys.executable, REPOSITORY / "examples/bars/publish.py", *arguments], stderr=out)
    try:
        odd = {**tick(1), "last_price": float("nan"), "turnover": None, "open_interest": None}
        garbage = (b"\xc1", "FormatError"), (msgpack.packb({"vt_symbol": RB}), "KeyError"), (msgpack.packb(odd), "nan")
        for payload, told in garbage:
            stand_in.until(payload, lambda told=told: told in log.read_text())
        assert bars.poll() is None
    finally:
        bars.kill()
        bars.wait()
