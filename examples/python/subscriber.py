#!/usr/bin/env python3
"""Prints the ticks of a hub: pyzmq and msgpack are all it takes.

    pip install -r requirements.txt
    python subscriber.py rb2701.SHFE --zmq tcp://127.0.0.1:5555

The topic is a vt_symbol or any prefix of one; without it, everything is printed. A message has two frames: the
vt_symbol, and a MessagePack map with the field names of vnpy's TickData. An absent number is None.
"""

from __future__ import annotations

import argparse
from datetime import timedelta, timezone
from typing import Any

import msgpack
import zmq

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")

# The last known tick, which a newcomer may get on subscribing. It is not news: a strategy must not trade on it.
FLAG_SNAPSHOT = 1


def line(tick: dict[str, Any]) -> str:
    """One tick for people."""
    time = tick["datetime"].astimezone(BEIJING)
    return (
        f"{time:%H:%M:%S}.{time.microsecond // 1000:03} {tick['vt_symbol']:<16} last {tick['last_price']} "
        f"bid {tick['bid_price_1']} x {tick['bid_volume_1']} ask {tick['ask_price_1']} x {tick['ask_volume_1']} "
        f"volume {tick['volume']} seq {tick['seq']} from {tick['source']}"
    )


def main() -> None:
    """Subscribes and prints for ever, and says so when ticks were missed."""
    parser = argparse.ArgumentParser(description="Print the ticks of a hub.")
    parser.add_argument("topic", nargs="?", default="", help="a vt_symbol such as rb2701.SHFE, or any prefix of one")
    parser.add_argument("--zmq", default="tcp://127.0.0.1:5555", help="the hub's tick socket")
    arguments = parser.parse_args()

    socket = zmq.Context().socket(zmq.SUB)
    socket.setsockopt_string(zmq.SUBSCRIBE, arguments.topic)
    socket.connect(arguments.zmq)

    # seq counts each topic's ticks without gaps for as long as the hub runs; a new epoch means that it was restarted.
    seen: dict[str, tuple[int, int]] = {}
    while True:
        topic, payload = socket.recv_multipart()
        tick = msgpack.unpackb(payload, timestamp=3)
        if tick["flags"] & FLAG_SNAPSHOT:
            continue
        epoch, seq = seen.get(tick["vt_symbol"], (tick["epoch"], tick["seq"] - 1))
        if epoch == tick["epoch"] and tick["seq"] != seq + 1:
            print(f"{topic.decode()}: {tick['seq'] - seq - 1} ticks were missed")
        seen[tick["vt_symbol"]] = (tick["epoch"], tick["seq"])
        print(line(tick), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
