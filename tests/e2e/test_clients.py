"""What ships for reading ticks: `mdhub subscribe`, the examples, and the README's lines. Each runs for real."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conftest import Demo
from harness.hub import clean_environment, mdhub
from harness.payload import FIELDS
from harness.places import MDHUB, PYTHON_EXAMPLE, README, RUST_EXAMPLE
from harness.subscriber import Subscriber
from harness.waiting import lines_of

LINES = 5
WITHIN_S = 30.0


@pytest.fixture(scope="module")
def busiest(demo: Demo) -> str:
    """The contract of which most ticks come."""
    demo.subscriber.wait_for_ticks(20, WITHIN_S)
    return Counter(tick.topic for tick in demo.subscriber.ticks()).most_common(1)[0][0]


def test_subscribe_prints_json_with_every_field_and_leaves_after_its_count(demo: Demo, busiest: str) -> None:
    done = mdhub("subscribe", busiest, "--zmq", demo.zmq, "--json", "--count", str(LINES), within_s=WITHIN_S)
    assert done.returncode == 0, done.stderr
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ticks) == LINES
    for tick in ticks:
        assert set(FIELDS) <= set(tick), set(FIELDS) - set(tick)
        assert tick["vt_symbol"] == busiest
        for exact in ("tid", "epoch", "ingress_ns", "egress_ns"):
            assert isinstance(tick[exact], str) and tick[exact].isdigit(), f"{exact} = {tick[exact]!r}"
    published = {str(message.payload["tid"]) for message in demo.subscriber.received()}
    assert ticks[0]["tid"] in published, "the JSON shows another tid than the socket"


def test_subscribe_prints_lines_for_people(demo: Demo, busiest: str) -> None:
    lines = lines_of([str(MDHUB), "subscribe", busiest, "--zmq", demo.zmq], LINES, WITHIN_S, clean_environment())
    assert all(busiest in line and "seq" in line for line in lines), lines


def test_a_prefix_subscribes_every_contract_that_begins_with_it(demo: Demo, busiest: str) -> None:
    prefix = busiest[:2]
    done = mdhub("subscribe", prefix, "--zmq", demo.zmq, "--json", "--count", str(LINES), within_s=WITHIN_S)
    assert done.returncode == 0, done.stderr
    assert all(json.loads(line)["vt_symbol"].startswith(prefix) for line in done.stdout.splitlines())


def test_the_python_example_prints_ticks(demo: Demo, busiest: str) -> None:
    lines = lines_of([sys.executable, "-u", str(PYTHON_EXAMPLE), busiest, "--zmq", demo.zmq], LINES, WITHIN_S)
    assert all(busiest in line for line in lines), lines


def test_the_rust_example_prints_ticks(demo: Demo, busiest: str) -> None:
    lines = lines_of([str(RUST_EXAMPLE), busiest, demo.zmq], LINES, WITHIN_S)
    assert all(busiest in line for line in lines), lines


def test_the_lines_of_the_readme_print_ticks(demo: Demo, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    block = next((text for text in blocks if "zmq" in text and "msgpack" in text), None)
    assert block is not None, "README.md shows no Python block with zmq and msgpack"
    assert len([line for line in block.splitlines() if line.strip()]) <= 8, f"the README's lines have grown:\n{block}"
    at_this_port, places = re.subn(r"tcp://(127\.0\.0\.1|localhost):5555", demo.zmq, block)
    assert places == 1, f"the README's lines name {places} addresses of the default port:\n{block}"
    # The README's contract may be any; what matters is that its own lines work.
    script = tmp_path / "readme.py"
    script.write_text(at_this_port)
    lines = lines_of([sys.executable, "-u", str(script)], LINES, WITHIN_S)
    assert all(line.strip() for line in lines), lines


def test_a_newcomer_gets_the_last_tick_at_once_and_never_again(demo: Demo, busiest: str) -> None:
    with Subscriber(demo.zmq, busiest) as newcomer:
        newcomer.wait_for(lambda s: len(s.ticks()) >= 2, WITHIN_S, "a snapshot and two ticks")
        messages = newcomer.received()
    flagged = [message.is_snapshot for message in messages]
    # A live tick that comes first takes the snapshot's place.
    assert sum(flagged) <= 1 and not any(flagged[1:]), flagged
    numbers = [message.payload["seq"] for message in messages]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    known = {message.payload["tid"] for message in demo.subscriber.received() if message.topic == busiest}
    assert messages[0].payload["tid"] in known


def test_news_of_the_hub_goes_to_those_who_ask_for_it(demo: Demo) -> None:
    with Subscriber(demo.zmq, "_hub") as news:
        news.wait_for(lambda s: len(of(s, "_hub.heartbeat")) >= 2, WITHIN_S, "two heartbeats")
        beats = of(news, "_hub.heartbeat")
    assert {beat["epoch"] for beat in beats} == {demo.subscriber.ticks()[0].payload["epoch"]}
    assert beats[0]["sources"] == ["ctp-backup", "ctp-main", "sopt-main"]
    assert beats[1]["published"] > beats[0]["published"] and beats[0]["peers"] >= 2
    assert 0.5e9 < beats[1]["egress_ns"] - beats[0]["egress_ns"] < 10e9
    assert not [m for m in demo.subscriber.received() if m.topic.startswith("_hub")], "who wants all ticks got news"


def test_a_contract_that_cannot_be_is_answered_with_the_nearest_one(demo: Demo, busiest: str) -> None:
    symbol, exchange = busiest.split(".")
    typo = f"{symbol}.{exchange[:-2]}{exchange[-1]}{exchange[-2]}"
    with Subscriber(demo.zmq, "_hub.contract").connected() as news, Subscriber(demo.zmq, typo):
        news.wait_for(lambda s: of(s, "_hub.contract"), WITHIN_S, "an answer")
        answer = of(news, "_hub.contract")[0]
    assert (answer["vt_symbol"], answer["state"], answer["nearest"]) == (typo, "unknown", busiest)


def of(subscriber: Subscriber, topic: str) -> list[dict[str, Any]]:
    """The payloads of one topic of news."""
    return [payload for name, payload in subscriber.messages() if name == topic]
