#!/usr/bin/env python3
"""One-minute bars of a hub's ticks, published on a socket of their own.

    pip install -r ../python/requirements.txt
    python publish.py rb2701.SHFE au --hub tcp://127.0.0.1:5555 --listen tcp://127.0.0.1:5556

A process beside the hub: it may come and go without the hub's knowing. What it publishes: README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from http.client import HTTPException
from pathlib import Path
from typing import Any

import msgpack
import zmq
from zmq.utils.monitor import recv_monitor_message

from bars import Bar, Builder, Clock

TOPIC = "bar.1m."
_WAITING_MAX = 100_000
_CONTRACTS_MAX = 20_000
_TURN_MAX = 1_000
_POLL_MS = 200
_FILL_WITHIN_S = 3.0
# Ticks wait while a gap is filled: after a failure none is tried for so long.
_FILL_PAUSE_S = 10.0
_FILL_MAX = 1_000
_BODY_BYTES_MAX = 16 << 20
_LINE = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected to",
    zmq.EVENT_DISCONNECTED: "lost",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the token is not taken by",
}
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH
_NO_MESSAGE = (ValueError, LookupError, TypeError, AttributeError)

# Straight to the hub: a proxy of the environment's is for the world outside.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def say(text: str) -> None:
    """A line for people."""
    print(text, file=sys.stderr, flush=True)


class Fills:
    """Ticks that were missed, from the hub's control port."""

    def __init__(self, control: str, token: str) -> None:
        """`control` as `http://127.0.0.1:8080`; empty: nothing is ever filled."""
        self._control, self._token = control, token
        self._not_before_s = 0.0

    def fetch(self, vt_symbol: str, epoch: int, after: int, up_to: int) -> list[dict[str, Any]]:
        """Those with `after < seq <= up_to`, oldest first; none where they cannot be had."""
        if not self._control or up_to - after > _FILL_MAX or time.monotonic() < self._not_before_s:
            return []
        query = urllib.parse.urlencode({"epoch": epoch, "after_seq": after, "limit": up_to - after})
        url = f"{self._control}/api/ticks/{urllib.parse.quote(vt_symbol)}?{query}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with _OPENER.open(request, timeout=_FILL_WITHIN_S) as answer:
                items = json.loads(answer.read(_BODY_BYTES_MAX))["items"]
            return [from_json(item) for item in items if item["seq"] <= up_to]
        except (OSError, HTTPException, *_NO_MESSAGE) as error:
            # What has left the log says nothing of the next contract's.
            has_left = isinstance(error, urllib.error.HTTPError) and error.code == 410
            self._not_before_s = 0.0 if has_left else time.monotonic() + _FILL_PAUSE_S
            say(f"{vt_symbol}: {up_to - after} ticks were missed and could not be had: {error}")
            return []


def from_json(item: dict[str, Any]) -> dict[str, Any]:
    """A tick of the control port as the stream would have brought it, as far as bars need it."""
    since = datetime.fromisoformat(item["datetime"]) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return {**item, "datetime": since // timedelta(microseconds=1) * 1_000, "epoch": int(item["epoch"])}


def checked(topic: bytes, tick: dict[str, Any]) -> dict[str, Any]:
    """A tick of which nothing is amiss that bars stand on: half of one would be counted otherwise.

    Raises TypeError that names the field.
    """
    for name in ("datetime", "epoch", "seq", "flags", "volume"):
        if type(tick[name]) is not int:
            raise TypeError(f"{name} {tick[name]!r}: an integer is expected")
    for name in ("last_price", "turnover", "open_interest"):
        if tick[name] is not None and (type(tick[name]) not in (int, float) or not math.isfinite(tick[name])):
            raise TypeError(f"{name} {tick[name]!r}: a number or nil is expected")
    if tick["vt_symbol"] != topic.decode():
        raise TypeError(f"vt_symbol {tick['vt_symbol']!r} on topic {topic!r}: the topic is expected")
    return tick


class Publisher:
    """Ticks in, bars out."""

    def __init__(self, out: zmq.Socket[bytes], fills: Fills) -> None:
        """Publishes on `out`."""
        self._out, self._fills = out, fills
        self._contracts: dict[str, tuple[Builder, Clock]] = {}

    def tick(self, tick: dict[str, Any]) -> None:
        """A message of the hub's."""
        vt_symbol = tick["vt_symbol"]
        contract = self._contracts.get(vt_symbol)
        if contract is None:
            if len(self._contracts) >= _CONTRACTS_MAX:
                return
            contract = self._contracts[vt_symbol] = Builder(vt_symbol), Clock()
        builder, clock = contract
        believed = clock.believed(tick, time.monotonic_ns())
        for wrong in clock.wrong:
            say(f"{vt_symbol}: a tick is left out, its time is ahead of those around it: seq {wrong['seq']}")
            builder.skip(wrong)
        for each in believed:
            self._take(builder, each)

    def time_passes(self) -> None:
        """Closes the bars whose minute is over, whether or not another tick has come."""
        steady_ns = time.monotonic_ns()
        for builder, clock in self._contracts.values():
            for each in clock.due(steady_ns):
                self._take(builder, each)
            self._publish(builder.close_by(clock.now_ns(steady_ns)))

    def _take(self, builder: Builder, tick: dict[str, Any]) -> None:
        """A tick that counts, and before it those that were missed."""
        vt_symbol, missing = tick["vt_symbol"], builder.missing(tick)
        for filled in self._fills.fetch(vt_symbol, tick["epoch"], *missing) if missing else []:
            self._publish(builder.take(filled))
        self._publish(builder.take(tick))

    def _publish(self, bar: Bar | None) -> None:
        if bar is not None:
            message = bar.message()
            message["datetime"] = msgpack.Timestamp.from_unix_nano(message["datetime"])
            self._out.send_multipart([f"{TOPIC}{bar.vt_symbol}".encode(), msgpack.packb(message)])


def connected(context: zmq.Context[Any], given: argparse.Namespace, token: str) -> zmq.Socket[bytes]:
    """A socket that the hub's ticks come out of."""
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, _WAITING_MAX)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15_000)
    if token:
        socket.setsockopt_string(zmq.PLAIN_USERNAME, given.user)
        socket.setsockopt_string(zmq.PLAIN_PASSWORD, token)
    for topic in given.topics or [""]:
        socket.setsockopt_string(zmq.SUBSCRIBE, topic)
    return socket


def run(given: argparse.Namespace) -> None:
    """For ever."""
    token = given.token_file.read_text().strip() if given.token_file else ""
    with zmq.Context() as context, context.socket(zmq.PUB) as out, connected(context, given, token) as ticks:
        out.setsockopt(zmq.SNDHWM, _WAITING_MAX)
        out.setsockopt(zmq.LINGER, 0)
        out.bind(given.listen)
        monitor = ticks.get_monitor_socket(sum(_LINE))
        ticks.connect(given.hub)
        say(f"bars on {out.getsockopt_string(zmq.LAST_ENDPOINT)}")
        publisher = Publisher(out, Fills(given.control, token))
        told, garbage_told_s = 0, float("-inf")
        while True:
            ticks.poll(_POLL_MS)
            for _ in range(_TURN_MAX):
                if not ticks.poll(0):
                    break
                try:
                    topic, payload = ticks.recv_multipart()
                    if not topic.startswith(b"_hub."):
                        publisher.tick(checked(topic, msgpack.unpackb(payload, timestamp=2)))
                except _NO_MESSAGE as error:
                    if time.monotonic() - garbage_told_s >= 1.0:
                        garbage_told_s = time.monotonic()
                        say(f"{given.hub} sent what is no tick: {error!r}")
            publisher.time_passes()
            while monitor.poll(0):
                event = recv_monitor_message(monitor)["event"]
                # libzmq tries again and again, and as often it is lost: once is enough to say so.
                if event in _LINE and event != told and (event, told) != (zmq.EVENT_DISCONNECTED, _REFUSED):
                    told = event
                    say(f"{_LINE[event]} {given.hub}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Publish one-minute bars of a hub's ticks.")
    parser.add_argument("topics", nargs="*", help="vt_symbols or prefixes of them; without any: every contract")
    parser.add_argument("--hub", default="tcp://127.0.0.1:5555", help="the hub's tick socket (%(default)s)")
    parser.add_argument("--listen", default="tcp://127.0.0.1:5556", help="where bars are published (%(default)s)")
    parser.add_argument("--control", default="", help="the hub's control port, for ticks that were missed")
    parser.add_argument("--user", default="bars", help="the name in the hub's publish.tokens (%(default)s)")
    parser.add_argument("--token-file", type=Path, help="a file with the token that belongs to the name")
    run(parser.parse_args())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
