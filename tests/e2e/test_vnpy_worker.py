"""The worker of vnpy's gateways beside mdhub's own: the same records, the same reports, the same ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import vnpy_library
from harness.lone_worker import FRONT, PASSWORD, LoneWorker, Wanted, drained
from harness.waiting import eventually
from harness.world import Scenario, scenario

pytestmark = pytest.mark.skipif(not vnpy_library.is_made(), reason=vnpy_library.ABSENT)

CONTRACTS = {
    "ctp": ["rb2701.SHFE", "sc2701.INE", "m2705.DCE", "MA701.CZCE", "SPD MA701&MA705.CZCE", "IF2612.CFFEX"],
    "sopt": ["10009123.SSE", "510050.SSE", "159919.SZSE"],
}
QUIRKS = [
    scenario("absent_values", rate=0.3, instead=True),
    *(scenario("absent_values", value=value, name=value, rate=0.1) for value in ("flt_max", "nan", "infinity", "zero")),
    *(scenario("junk_time", form=f, name=f, rate=0.1) for f in ("empty_time", "nines", "empty_date", "empty_action_day")),
    scenario("same_second", exchanges=["CZCE"], copies=3, rate=0.5),
    scenario("wrong_action_day", exchanges=["DCE"]),
    scenario("wrong_trading_day", exchanges=["CZCE"]),
    scenario("negative_price", rate=0.1),
    scenario("backwards_volume", rate=0.1),
]
# Of a record: behind the two stamps of its receipt.
STAMPS = 16


def both(tmp_path: Path, **how: Any) -> list[Wanted]:
    """The native worker, and vnpy's."""
    return [Wanted(tmp_path / kind, kind=kind, **how) for kind in ("native", "vnpy")]


@pytest.mark.parametrize("dialect", ["ctp", "sopt"])
def test_every_record_is_byte_for_byte_that_of_the_native_worker(tmp_path: Path, dialect: str) -> None:
    native, vnpy = both(tmp_path, dialect=dialect, contracts=CONTRACTS[dialect], scenarios=QUIRKS)
    with LoneWorker(native) as one, LoneWorker(vnpy) as other:
        for worker in (one, other):
            worker.says("Ready")
        # What each has is only compared where both were there.
        begin = [len(worker.records) for worker in (one, other)]
        for worker, n in zip((one, other), begin, strict=True):
            worker.has_records(n + 600)
        left, right = ([record[STAMPS:] for record in list(worker.records)] for worker in (one, other))
    left, shared = left[begin[0] :], []
    # What falls due at once comes in any order of its contracts; each contract's own order is the market's.
    for symbol in (contract.rpartition(".")[0].encode() for contract in CONTRACTS[dialect]):
        ours, theirs = ([record for record in all_ if record[:81].rstrip(b"\0") == symbol] for all_ in (left, right))
        begins = next(place for place, record in enumerate(theirs) if record == ours[0])
        whole = min(len(ours), len(theirs) - begins)
        assert whole >= 40, f"{symbol!r}: {len(ours)}, {len(theirs)}"
        assert theirs[begins : begins + whole] == ours[:whole], f"{symbol!r}: the same records in the same order"
        shared += ours[:whole]
    assert len(set(shared)) > 300
    # The quirks were among them.
    assert any(b"\x00" * 9 == record[81 + 27 : 81 + 36] for record in shared), "an empty time"
    assert any(b"99:99:99" in record for record in shared)
    assert any(b"\x00\x00\x00\x00\x00\x00\xf8\x7f" in record for record in shared), "NaN"
    assert any(b"\x00\x00\x00\xe0\xff\xff\xef\x47" in record for record in shared), "FLT_MAX"


def plain(text: str) -> str:
    """A sentence without its numbers, which differ from run to run."""
    return re.sub(r"\d+(\.\d+)?", "N", text)


ENDS: dict[str, tuple[list[Scenario], dict[str, int], int]] = {
    "login refused": ([scenario("login_refused", error=3, text="不合法的登录")], {}, 6),
    "login unanswered": ([scenario("login_silent")], {"login_timeout_ms": 400}, 10),
    "nothing listens": ([scenario("refused")], {"front_timeout_ms": 600}, 8),
    "storm": ([scenario("drop_storm")], {}, 9),
    "subscriptions unanswered": ([scenario("ack_missing")], {"subscribe_timeout_ms": 400}, 11),
    "silent": ([scenario("stall")], {"silent_ms": 500}, 12),
}


@pytest.mark.parametrize("what", ENDS)
def test_it_gives_up_when_the_native_worker_does_with_its_code_and_its_words(tmp_path: Path, what: str) -> None:
    scenarios, limits, code = ENDS[what]
    said = []
    for wanted in both(tmp_path, scenarios=scenarios, limits=limits):
        with LoneWorker(wanted) as worker:
            ended, reason = worker.ends()
            names = [next(iter(report)) if isinstance(report, dict) else report for report in worker.reports]
            kept = [name for name in names if name not in ("Heartbeat", "FrontDisconnected")]
        assert ended == code, f"{reason} {worker.log}"
        said.append((plain(reason), kept))
    assert said[0] == said[1]


def test_reports_are_those_of_the_native_worker_field_by_field(tmp_path: Path) -> None:
    contracts = ["rb2701.SHFE", "m2705.DCE", "au2612.SHFE", "IF2612.CFFEX"]
    scenarios = [
        scenario("subscription_refused", instruments=["m2705"]),
        scenario("ack_missing", instruments=["au2612"], ticks=True),
    ]
    heard = []
    for wanted in both(tmp_path, contracts=contracts, scenarios=scenarios, limits={"subscribe_timeout_ms": 1_500}):
        with LoneWorker(wanted) as worker:
            worker.says("Unanswered")
            worker.tell({"Unsubscribe": ["rb2701.SHFE", "au2612.SHFE"]})
            worker.tell({"Subscribe": ["si2701.GFEX"]})
            eventually(lambda w=worker: len(w.named("Ready")) >= 2, 15, "ready again")  # type: ignore[misc]
            begin = len(worker.records)
            worker.has_records(begin + 40)
            gone = {record[STAMPS : STAMPS + 81].rstrip(b"\0") for record in worker.records[begin + 20 :]}
            assert b"si2701" in gone
            assert not gone & {b"rb2701", b"au2612", b"m2705"}
            worker.tell("Stop")
            assert worker.ends() == (0, "asked to stop")
            beats = worker.named("Heartbeat")
            assert beats[-1]["ring_dropped"] == 0
            assert beats[-1]["received"] > 0
            heard.append({name: worker.named(name) for name in ("Hello", "Ready", "Unanswered", "LoggedIn")})
            acks = sorted(worker.named("SubscribeAck"), key=lambda ack: (ack["symbol"], str(ack["refused"])))
            heard[-1] |= {"acks": acks, "connected": worker.reports.count("FrontConnected")}
    assert heard[0] == heard[1]
    assert heard[0]["Hello"] == [{"protocol_version": 2, "account": "lone", "incarnation": {"epoch": 7, "counter": 2}}]
    assert ["CTP:找不到合约"] == [ack["refused"][1] for ack in heard[1]["acks"] if ack["refused"]]


def test_a_hub_that_reads_no_tick_costs_the_oldest_and_at_last_the_worker_and_no_frame_is_torn(tmp_path: Path) -> None:
    crowd = [f"rb{2700 + month:04}.SHFE" for month in range(1, 10)] + [f"m{n:04}.DCE" for n in range(2705, 2799)]
    wanted = Wanted(
        tmp_path, contracts=crowd, interval_ms=10, reads_ticks=False, limits={"overflow_beats_max": 2}
    )
    with LoneWorker(wanted) as worker:
        code, reason = worker.ends(40)
        assert code == 13, f"{reason} {worker.log}"
        assert "the ring dropped ticks in each of 2 consecutive seconds" in reason
        kept: list[bytes] = []
        drained(worker.ticks, lambda _, body: kept.append(body))
        beats = worker.named("Heartbeat")
    assert beats[-1]["ring_dropped"] > 0
    assert len({len(record) for record in kept}) == 1
    assert len(kept) > 100


def test_a_hub_that_reads_no_report_is_left(tmp_path: Path) -> None:
    crowd = [f"rb{n:04}.SHFE" for n in range(2701, 2999)]
    wanted = Wanted(tmp_path, contracts=crowd, reads_reports=False, limits={"report_timeout_ms": 500})
    with LoneWorker(wanted) as worker:
        assert worker.ends()[0] == 14, worker.log
        assert "the hub has read no report for" in worker.log


def test_it_leaves_when_it_is_asked_to_when_its_hub_goes_and_when_nonsense_comes(tmp_path: Path) -> None:
    ends = {
        "term": (lambda w: w.process.send_signal(signal.SIGTERM), 0, "asked to leave by TERM"),
        "hub gone": (lambda w: w.close_commands(), 4, "the hub closed the commands"),
        "nonsense": (lambda w: os.write(w.commands, b"\x02\0\0\0\x09\x01"), 5, "commands: frame kind 9"),
        "no length": (lambda w: os.write(w.commands, b"\xff\xff\xff\xff\x03"), 5, "commands: frame length 4294967295"),
        "unknown": (lambda w: w.tell({"Dance": 1}), 5, "'Dance' is not known"),
        "no list": (lambda w: w.tell({"Subscribe": 7}), 5, "commands: Subscribe"),
        "no exchange": (lambda w: w.tell({"Subscribe": ["rb2701"]}), 5, "'rb2701' is no vt_symbol"),
        "again": (lambda w: w.tell({"Start": {}}), 2, "Start came a second time"),
        "no reader": (lambda w: os.close(w.ticks), 4, "tick pipe"),
    }
    for name, (act, code, part) in ends.items():
        wanted = Wanted(tmp_path / name.replace(" ", "-"), reads_ticks=name != "no reader")
        with LoneWorker(wanted) as worker:
            worker.says("Ready")
            act(worker)
            ended, reason = worker.ends()
            assert (ended, part in reason) == (code, True), f"{name}: {ended}, {reason}"


BAD_STARTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "another protocol": ({"protocol_version": 3}, 5, "the hub speaks protocol 3, this worker 2"),
    "no tcp": ({"md_address": ["127.0.0.1:1"]}, 2, "write tcp://HOST:PORT"),
    "no front": ({"md_address": []}, 2, "md_address is empty"),
    "long password": ({"password": "p" * 41}, 2, "password has 41 bytes: allowed are up to 40"),
    "no class": ({"gateway_class": "CtpGateway"}, 2, "MODULE.CLASS, for example vnpy_ctp.CtpGateway"),
    "no module": ({"gateway_class": "vnpy_xtp.XtpGateway"}, 3, "No module named 'vnpy_xtp'; run: gateways/vnpy/install"),
    "no such class": ({"gateway_class": "vnpy_ctp.Nothing"}, 3, "module vnpy_ctp has no Nothing"),
    "not a gateway": ({"gateway_class": "pathlib.Path"}, 3, "pathlib.Path cannot be made"),
    "no contracts": ({"contracts": None}, 5, "contracts is no list of texts"),
    "no exchange": ({"contracts": ["rb2701"]}, 5, "'rb2701', which is no vt_symbol"),
    "odd limits": ({"limits": {"silent_ms": "long"}}, 5, "Start"),
}


@pytest.mark.parametrize("what", BAD_STARTS)
def test_what_it_cannot_start_with_is_named(tmp_path: Path, what: str) -> None:
    start, code, part = BAD_STARTS[what]
    with LoneWorker(Wanted(tmp_path, start=start)) as worker:
        ended, reason = worker.ends()
        assert (ended, part in reason) == (code, True), f"{ended}: {reason}\n{worker.log}"


def test_without_a_package_it_says_what_to_run(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    made = [str(vnpy_library.ENVIRONMENT / "bin" / "python"), "-m", "venv", "--without-pip", str(bare)]
    subprocess.run(made, check=True, timeout=60)
    (bare / "bin" / "mdhub-worker").symlink_to(vnpy_library.ENVIRONMENT / "bin" / "mdhub-worker")
    with LoneWorker(Wanted(tmp_path, environment=bare)) as worker:
        assert worker.ends()[0] == 3
        assert f"error No module named 'mdhub_worker'; run: gateways/vnpy/install {bare}" in worker.log


def test_a_gateway_that_would_end_the_process_is_told_of_and_one_odd_tick_costs_no_other(tmp_path: Path) -> None:
    own = Path(vnpy_library.desks_own(tmp_path)["path"])
    start = {"connect": {"每日": "无"}}
    with LoneWorker(Wanted(tmp_path, environment=own, start={"gateway_class": "desk_gateway.Leaving"})) as worker:
        code, reason = worker.ends()
        assert (code, reason) == (3, "desk_gateway.Leaving cannot be made: SystemExit(7)")
    with LoneWorker(Wanted(tmp_path, environment=own, start={"gateway_class": "desk_gateway.OurGateway"})) as worker:
        code, reason = worker.ends()
        assert (code, reason) == (3, "desk_gateway.OurGateway.connect failed: ValueError('')"), "its own setting is missing"
    odd = {"gateway_class": "desk_gateway.Odd", **start}
    with LoneWorker(Wanted(tmp_path, environment=own, start=odd)) as worker:
        worker.has_records(30)
        told = "a tick that cannot be used: m2705.DCE: AttributeError"
        eventually(lambda: told in worker.log, 10, "the odd tick to be told")
        names = {record[STAMPS : STAMPS + 81].rstrip(b"\0") for record in worker.records}
        assert names == {b"rb2701"}
        worker.tell("Stop")
        assert worker.ends()[0] == 0


def test_a_flow_directory_that_the_library_has_no_room_for_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 180)
    with LoneWorker(Wanted(deep)) as worker:
        code, reason = worker.ends()
    assert code == 2
    assert "bytes: allowed are up to 200" in reason


def test_without_its_locale_it_says_what_to_run_instead_of_aborting(tmp_path: Path) -> None:
    with LoneWorker(Wanted(tmp_path, env={"LOCPATH": str(tmp_path)})) as worker:
        code, reason = worker.ends()
    assert code == 3
    assert "zh_CN.GB18030 is missing" in reason
    assert f"gateways/vnpy/install {vnpy_library.ENVIRONMENT}" in reason


def test_a_library_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path)
    broken = vnpy_library.chosen(tmp_path) / "libthostmduserapi_se.so"
    broken.unlink()
    broken.write_text("no library")
    with LoneWorker(wanted) as worker:
        code, reason = worker.ends()
    assert code == 3
    assert "vnpy_ctp.CtpGateway cannot be imported" in reason
    assert "libthostmduserapi_se.so" in reason


def test_a_worker_that_is_not_its_hubs_child_leaves_and_one_whose_hub_is_killed_dies(tmp_path: Path) -> None:
    with LoneWorker(Wanted(tmp_path / "stranger", parent_pid=1)) as worker:
        assert worker.ends()[0] == 4
        assert f"parent process is {os.getpid()}, the hub is 1" in worker.log
    hub = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from harness.lone_worker import LoneWorker, Wanted
worker = LoneWorker(Wanted(Path({str(tmp_path / "orphan")!r})))
worker.says("Ready")
print(worker.process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", hub], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker_pid = int(parent.stdout.readline())
        # One that stands still does not see its pipes end: the kernel alone can end it.
        os.kill(worker_pid, signal.SIGSTOP)
        parent.kill()
    eventually(lambda: not Path(f"/proc/{worker_pid}").exists(), 5, "the worker to die with its hub")


def test_no_secret_is_seen_and_what_libraries_print_lands_among_no_ticks(tmp_path: Path) -> None:
    flood = scenario("flood", stream="stdout", bytes=65_536, after_ticks=20)
    told = f"密码 {PASSWORD} 错误\n\x1b[31m"
    with LoneWorker(Wanted(tmp_path / "flood", scenarios=[flood])) as worker:
        worker.has_records(100)
        pid = worker.process.pid
        for name in ("environ", "cmdline"):
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        assert "the library prints" in worker.log
        assert len(worker.log) < 30_000
        worker.tell("Stop")
        assert worker.ends()[0] == 0
    with LoneWorker(Wanted(tmp_path / "told", scenarios=[scenario("login_refused", error=3, text=told)])) as worker:
        code, reason = worker.ends()
        assert code == 6
        assert PASSWORD not in worker.log + str(worker.reports)
        assert "密码 [secret] 错误" in reason
        assert "\x1b" not in reason


def test_each_start_takes_the_next_front_unless_the_last_one_was_well(tmp_path: Path) -> None:
    note = tmp_path / "flow" / "next-front"
    nowhere = "tcp://nothing.sim:1"
    start, limits = {"md_address": [nowhere, FRONT]}, {"front_timeout_ms": 400}
    with LoneWorker(Wanted(tmp_path, start=start, limits=limits)) as worker:
        assert worker.ends()[0] == 8, "nothing is there"
    for _ in range(2):
        assert note.read_text() == FRONT
        with LoneWorker(Wanted(tmp_path, start=start)) as worker:
            worker.has_records(10)
            worker.tell("Stop")
            assert worker.ends()[0] == 0
