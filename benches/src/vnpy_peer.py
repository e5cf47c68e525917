"""The peer: vnpy's own EventEngine and RpcServer, as its RPC service joins them, and its RpcClient.

python vnpy_peer.py server ADDRESS RATE COUNT GO_NS    publishes COUNT ticks from the instant GO_NS on, RATE 0 as fast as it goes
python vnpy_peer.py client ADDRESS SECONDS             prints latencies: nanoseconds, eight bytes each, little endian
"""

from __future__ import annotations

import array
import os
import sys
import time
from datetime import datetime

from vnpy.event import Event, EventEngine
from vnpy.rpc import RpcClient, RpcServer
from vnpy.trader.constant import Exchange
from vnpy.trader.object import TickData

EVENT_TICK = "eTick."
SILENCE_S_MAX = 10


def tick(n: int) -> TickData:
    """One with all its numbers; when it was made is in `extra`."""
    made = TickData(
        gateway_name="CTP",
        symbol="m2705",
        exchange=Exchange.DCE,
        datetime=datetime.now(),
        name="m2705",
        volume=n,
        turnover=1.5e11,
        open_interest=7e4,
        last_price=2901.0,
        limit_up=3100.0,
        limit_down=2700.0,
        open_price=2900.0,
        high_price=2950.0,
        low_price=2890.0,
        pre_close=2895.0,
    )
    for level in range(1, 6):
        setattr(made, f"bid_price_{level}", 2901.0 - level)
        setattr(made, f"ask_price_{level}", 2901.0 + level)
        setattr(made, f"bid_volume_{level}", 10 * level)
        setattr(made, f"ask_volume_{level}", 11 * level)
    made.extra = {"ns": time.time_ns()}
    return made


def serve(address: str, rate: int, count: int, go_ns: int) -> None:
    engine, server = EventEngine(), RpcServer()
    server.start("tcp://127.0.0.1:*", f"tcp://{address}")
    engine.register(EVENT_TICK, lambda event: server.publish("", event))
    engine.start()
    burst = max(rate // 1000, 1) if rate else 256
    gap_s = burst / rate if rate else 0.0
    time.sleep(max(go_ns - time.time_ns(), 0) / 1e9)
    beat = time.monotonic()
    for n in range(0, count, burst):
        for i in range(n, min(n + burst, count)):
            engine.put(Event(EVENT_TICK, tick(i)))
        beat = max(beat + gap_s, time.monotonic())
        # The queue has no bound: as fast as it goes must not mean as much memory as there is.
        while not rate and engine._queue.qsize() > 2_000:
            time.sleep(0.001)
        time.sleep(max(beat - time.monotonic(), 0))
    time.sleep(600)


class Reader(RpcClient):
    def __init__(self) -> None:
        super().__init__()
        self.latencies_ns = array.array("Q")

    def callback(self, topic: str, data: object) -> None:
        assert isinstance(data, Event)
        self.latencies_ns.append(max(time.time_ns() - data.data.extra["ns"], 0))


def read(address: str, seconds: float) -> None:
    reader = Reader()
    reader.subscribe_topic("")
    reader.start("tcp://127.0.0.1:9", f"tcp://{address}")
    deadline = time.monotonic() + SILENCE_S_MAX
    while not reader.latencies_ns and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)
    sys.stdout.buffer.write(reader.latencies_ns.tobytes())
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(sys.argv[2], *map(int, sys.argv[3:6]))
    else:
        read(sys.argv[2], float(sys.argv[3]))
