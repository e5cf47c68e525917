"""docs/clients.md: its programs run as printed against a real hub, and its tables are what really comes."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
import zmq

from conftest import Hubs
from harness import desired, status
from harness.hub import Hub
from harness.places import REPOSITORY
from harness.subscriber import Subscriber
from harness.waiting import lines_of
from harness.world import FUTURES, MAIN_FRONT, live_world, settings

TOKEN = "a-token-of-a-desk"
CONTRACT = "rb2701.SHFE"
WITHIN_S = 40.0
LINES = 8

DOCUMENT = (REPOSITORY / "docs/clients.md").read_text()
# What each program is for: words that only it has.
PROGRAMS = {
    "connect": "RECONNECT_IVL",
    "gaps": "known_seq",
    "fill": "ticks_after",
    "two hubs": "OrderedDict",
    "heartbeat": "no heartbeat",
}
TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "time": (msgpack.Timestamp,),
    "integer": (int,),
    "number or nil": (float, type(None)),
    "text or nil": (str, type(None)),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that serves whoever comes, and knows one token; one simulated gateway."""
    directory = tmp_path_factory.mktemp("clients")
    token = {"name": "desk", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}
    publish = {"listen": "tcp://127.0.0.1:0", "tokens": [token], "anonymous": True}
    farm = Hubs(directory)
    try:
        one = farm.run(settings(directory, live_world(), FUTURES, publish=publish))
        desired.add(one.data_dir, "ctp-main", MAIN_FRONT)
        status.wait_for_condition(one, "ctp-main", "Ready", "True")
        (directory / "desk.token").write_text(f"{TOKEN}\n")
        yield one
        assert one.stop() == 0
    finally:
        left = [worker for started in farm.started for worker in started.clear_away()]
    assert not left, f"workers outlived their hub: {left}"


@pytest.fixture(scope="module")
def printed(hub: Hub) -> dict[str, list[str]]:
    """What each program of the document printed: all of them run at once, each as printed but for the addresses."""
    directory, at = hub.data_dir.parent, hub.listening()
    answers: dict[str, list[str] | BaseException] = {}

    def run(name: str, block: str) -> None:
        block = re.sub(r"tcp://[0-9.]+:5555", at.zmq, block).replace("http://127.0.0.1:8080", at.http)
        script = directory / f"{name.replace(' ', '_')}.py"
        script.write_text(f"import os\nos.chdir({str(directory)!r})\n{block}")
        try:
            answers[name] = lines_of([sys.executable, "-u", str(script)], LINES if name != "heartbeat" else 3, WITHIN_S)
        except AssertionError as error:
            answers[name] = error

    threads = [threading.Thread(target=run, args=item) for item in _programs().items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, answer in answers.items():
        assert isinstance(answer, list), f"{name}: {answer}"
    return {name: answer for name, answer in answers.items() if isinstance(answer, list)}


def _programs() -> dict[str, str]:
    """The document's Python blocks, by what they are for."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    assert len(blocks) == len(PROGRAMS), f"{len(blocks)} Python blocks: each needs its line in PROGRAMS and a test"
    return {name: next(block for block in blocks if word in block) for name, word in PROGRAMS.items()}


def _rows(table_after: str) -> list[list[str]]:
    """The cells of the first table behind these words, without its two rows of head."""
    lines = DOCUMENT.split(table_after, 1)[1].split("\n\n")
    table = next(part for part in lines if part.lstrip().startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]


def _fields() -> list[tuple[str, str]]:
    """Name and type of each field of the document's table, in its order."""
    fields = []
    for name, kind, _ in _rows("The map has these fields"):
        name = name.strip("`")
        names = [f"{name[:-4]}{level}" for level in range(1, 6)] if name.endswith("1..5") else [name]
        fields += [(each, kind) for each in names]
    return fields


def _raw(hub: Hub, topic: str) -> tuple[bytes, bytes]:
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.LINGER, 0)
    try:
        socket.subscribe(topic)
        socket.connect(hub.listening().zmq)
        assert socket.poll(int(WITHIN_S * 1000)), f"nothing came of {topic!r}"
        first, second = socket.recv_multipart()
        return first, second
    finally:
        socket.close()
        context.term()


def _faults(pairs: list[tuple[str, Any]], fields: list[tuple[str, str]]) -> list[str]:
    """Where a message is not as the table says: names, order, types."""
    if [name for name, _ in pairs] != [name for name, _ in fields]:
        return [f"fields {[name for name, _ in pairs]}, and the table says {[name for name, _ in fields]}"]
    return [f"{n} = {v!r} is no {kind}" for (n, v), (_, kind) in zip(pairs, fields) if type(v) not in TYPES[kind]]


def test_a_message_has_the_fields_of_the_table_in_its_order_with_its_types(hub: Hub) -> None:
    topic, payload = _raw(hub, CONTRACT)
    pairs = msgpack.unpackb(payload, timestamp=0, object_pairs_hook=list)
    assert topic == CONTRACT.encode()
    assert not _faults(pairs, _fields())
    assert len(pairs) == 52


def test_a_table_that_has_drifted_is_seen(hub: Hub) -> None:
    pairs = msgpack.unpackb(_raw(hub, CONTRACT)[1], timestamp=0, object_pairs_hook=list)
    fields = _fields()
    assert _faults(pairs, fields[1:]) and _faults(pairs[1:], fields)
    assert _faults(pairs, [fields[1], fields[0], *fields[2:]])
    assert _faults(pairs, [*fields[:-1], ("v", "text")])
    assert _faults(pairs, [(n, "integer" if n == "last_price" else kind) for n, kind in fields])


def test_the_bits_of_the_table_are_those_of_the_code() -> None:
    code = (REPOSITORY / "spec/src/tick.rs").read_text()
    found = re.findall(r"pub const (\w+): u32 = (1(?: << \d)?);", code)
    there = {name.lower().replace("_", " "): 1 << int(value[5:] or 0) for name, value in found}
    named = {name.replace("-", " "): int(bit) for bit, name, *_ in _rows("pandas' floats do not.")}
    assert named == there and len(there) == 5


def test_news_have_what_the_table_names(hub: Hub) -> None:
    rows = {topic.strip("`"): set(re.findall(r"`(\w+)`", text)) for topic, text in _rows("and:\n")}
    code = (REPOSITORY / "feed/src/thread/bulletin.rs").read_text()
    assert set(rows) == set(re.findall(r'server\.topic\("(\w+\.\w+)"\)', code))
    beat = msgpack.unpackb(_raw(hub, "_hub.heartbeat")[1], timestamp=3)
    assert set(beat) == rows["_hub.heartbeat"] | {"v", "epoch", "egress_ns"}
    with Subscriber(hub.listening().zmq, "_hub.contract").connected() as news:
        with Subscriber(hub.listening().zmq, "rb2701.SHEF"):
            news.wait_for(len, WITHIN_S, "an answer to a contract that cannot be")
        answer = news.messages()[0][1]
    assert set(answer) - {"v", "epoch", "egress_ns"} <= rows["_hub.contract"]
    assert answer["state"] in rows["_hub.contract"]


def test_the_defaults_that_the_document_names_are_those_in_force() -> None:
    code = (REPOSITORY / "spec/src/settings/publish.rs").read_text().split("impl Default", 1)[1].split("\n}", 1)[0]
    for line, words in [
        ("peer_buffer_bytes_max: 16 * 1024 * 1024", "`publish.peer_buffer_bytes_max` (16 MiB"),
        ("total_buffer_bytes_max: 128 * 1024 * 1024", "`publish.total_buffer_bytes_max` (128 MiB)"),
        ("slow_consumer_ms: 10_000", "`publish.slow_consumer_ms` (10 s)"),
        ("recent_bytes: 48 * 1024 * 1024", "48 MiB"),
    ]:
        assert line in code and words in DOCUMENT, (line, words)


def test_the_program_that_connects_prints_ticks_of_its_contract(printed: dict[str, list[str]]) -> None:
    assert all(line.startswith(f"{CONTRACT} 20") for line in printed["connect"]), printed["connect"]


def test_the_program_that_watches_seq_sees_no_gap_and_no_snapshot(printed: dict[str, list[str]]) -> None:
    lines = printed["gaps"]
    numbers = [int(match[1]) for line in lines if (match := re.fullmatch(rf"{CONTRACT} seq (\d+) last [\d.]+", line))]
    assert numbers == list(range(numbers[0], numbers[0] + LINES)), lines


def test_the_program_that_fills_gaps_gets_the_ticks_before_and_hears_of_another_epoch(
    printed: dict[str, list[str]]
) -> None:
    lines = printed["fill"]
    filled = [line.split(" ", 1) for line in lines if line[0].isdigit()]
    assert len(filled) >= 2 and "another epoch: begin anew" in lines, lines
    for number, found in filled:
        assert json.loads(found)[:3] == [int(number) - 2, int(number) - 1, int(number)], lines


def test_the_program_with_two_hubs_prints_no_tick_twice(printed: dict[str, list[str]]) -> None:
    tids = [line.split()[1] for line in printed["two hubs"]]
    assert len(set(tids)) == len(tids) == LINES, "each tick came over both connections and was to be shown once"


def test_the_program_with_heartbeats_hears_them(hub: Hub, printed: dict[str, list[str]]) -> None:
    for line in printed["heartbeat"]:
        assert line.startswith(hub.listening().epoch) and line.endswith("['ctp-main']"), line


def test_the_gap_program_tells_of_a_gap_and_of_another_epoch() -> None:
    """Its loop, fed by hand: what it says of missed ticks, of a snapshot that is ahead, and of a restart."""
    base = {"vt_symbol": CONTRACT, "last_price": 1.0, "flags": 0, "epoch": 5}
    come = [(5, 3, 1), (5, 4, 0), (5, 7, 0), (5, 9, 1), (5, 10, 0), (6, 1, 0), (6, 2, 0)]
    ticks = iter([{**base, "epoch": epoch, "seq": seq, "flags": flags} for epoch, seq, flags in come])
    said: list[str] = []
    loop = _programs()["gaps"].split("while True:", 1)[1]
    body = "for tick in ticks:\n" + "\n".join(line for line in loop.splitlines() if "recv_multipart" not in line)
    names = {"ticks": ticks, "last": {}, "SNAPSHOT": 1, "POST_CLOSE": 4, "print": lambda text, **_: said.append(text)}
    exec(body, names)
    gone = f"{CONTRACT}: missed what came after"
    assert [line for line in said if "last 1.0" not in line] == [f"{gone} 4", f"{gone} 7", f"{CONTRACT}: the hub was restarted"]
    assert [line.split()[2] for line in said if "last 1.0" in line] == ["4", "7", "10", "1", "2"]
