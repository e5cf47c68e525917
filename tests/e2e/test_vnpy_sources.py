"""vnpy's own gateways, unmodified, as sources of a hub beside mdhub's: the same records, so the same ticks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Hubs
from harness import desired, status, vnpy_library
from harness.disasters import HEALTH, WELL, WELL_FRONT, Stage, stage
from harness.hub import Hub
from harness.subscriber import Subscriber, assert_unbroken
from harness.tick_identity import tid_of
from harness.waiting import eventually
from harness.world import FUTURES, MAIN_FRONT, OPTION_FRONT, OPTIONS, Front, World, read_tape, scenario, settings

pytestmark = pytest.mark.skipif(not vnpy_library.is_made(), reason=vnpy_library.ABSENT)

# What real fronts send: absent values in each vendor's way, CZCE's several snapshots of one second, dates that are
# wrong by habit or left out. The world's seed draws the same records at every front.
QUIRKS = [
    scenario("absent_values", value="dbl_max", rate=0.2, instead=True),
    scenario("absent_values", value="flt_max", name="flt", rate=0.1, instead=True),
    scenario("absent_values", value="nan", name="nan", rate=0.1, instead=True, exchanges=["DCE", "GFEX"]),
    scenario("same_second", exchanges=["CZCE"], copies=3, rate=0.5),
    scenario("junk_time", form="empty_action_day", rate=0.1, instead=True, exchanges=["SHFE", "INE"]),
    scenario("wrong_action_day", exchanges=["DCE", "GFEX"]),
    scenario("wrong_trading_day", exchanges=["CZCE"]),
]


LOW_PRECISION = 1 << 4


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A hub whose healthy source is mdhub's own, and whose settings know vnpy's classes."""
    directory = tmp_path_factory.mktemp("stage")
    libraries = vnpy_library.libraries(directory)
    libraries["desk"] = vnpy_library.desks_own(directory)
    with stage(directory, {"libraries": libraries}) as ready:
        yield ready


def counters(hub: Hub, account: str, *names: str) -> dict[str, int]:
    """Some counters of an account."""
    return {name: hub.counter(account, name) for name in names}


def test_it_goes_through_what_a_native_source_goes_through(on: Stage) -> None:
    with on.victim("ctp-vnpy", vnpy="vnpy-ctp") as source:
        process = source.healthy()
        source.play(scenario("abort"))
        source.exited("signal 6")
        source.play()
        assert source.replaced(process).kind == "vnpy"
        source.healthy()
        source.play(scenario("stall"))
        assert "none of its watched exchanges ticks" in source.phase("Unhealthy")["why"]
        source.play()
        source.healthy(within_s=30)
        source.play(scenario("login_refused", error=3, text="不合法的登录"), scenario("disconnect"))
        source.exited("exit code 6")
        assert "不合法的登录" in status.of_account(on.hub, "ctp-vnpy")["why"]


def test_a_converted_source_feeds_what_no_other_one_brings_and_its_ticks_are_flagged(on: Stage) -> None:
    other = on.source("ctp-other", vnpy="desk")
    other.phase("Healthy")
    eventually(lambda: other.received() >= 40, 20, "converted ticks")
    assert status.routes(on.hub, "rb2701.SHFE") == [WELL], "mdhub's own source brings it"
    assert on.hub.counter("ctp-other", "forwarded") == 0
    desired.change(on.hub.data_dir, "stop", WELL)
    on.hub.stopped(WELL)
    other.routed("rb2701.SHFE", True)
    begin = len(on.subscriber.ticks())
    flagged = lambda: [t for t in on.subscriber.ticks()[begin:] if t.payload["source"] == "ctp-other"]  # noqa: E731
    eventually(lambda: len(flagged()) >= 20, 20, "ticks of the converted source")
    ticks = flagged()
    assert {tick.payload["flags"] & LOW_PRECISION for tick in ticks} == {LOW_PRECISION}
    came = {(t.payload["symbol"], int(t.payload["volume"]), t.payload["last_price"]) for t in ticks}
    sent = lambda: {(row.instrument, row.volume, row.last) for row in read_tape(on.tape("ctp-other"))}  # noqa: E731
    eventually(lambda: came <= sent(), 10, "all that came on the tape of what was sent")
    desired.change(on.hub.data_dir, "start", WELL)
    status.wait_for_phase(on.hub, WELL, "Healthy")
    other.routed("rb2701.SHFE", False)
    desired.change(on.hub.data_dir, "delete", "ctp-other", "--yes")
    on.hub.stopped("ctp-other")
    assert_unbroken(on.subscriber.by_topic())


def test_vnpys_gateway_beside_the_native_one_brings_the_same_ticks_and_none_twice(on: Stage) -> None:
    # From here on no front says what it said before: no other test may come after this one on the same stage.
    on.world.change(WELL_FRONT, scenarios=QUIRKS)
    with on.victim("ctp-equal", *QUIRKS, vnpy="vnpy-ctp") as source:
        source.legitimate += [on.tape(WELL), on.tape("ctp-equal")]
        worker = source.healthy()
        assert worker.kind == "vnpy"
        wins = lambda account: on.hub.counter(account, "forwarded")  # noqa: E731
        for slower, faster in ((source.front, WELL), (WELL_FRONT, "ctp-equal")):
            on.world.change(slower, delay_ms=80)
            before = wins(faster)
            eventually(lambda f=faster, b=before: wins(f) >= b + 60, 30, f"{faster} to be first")  # type: ignore[misc]
            on.world.change(slower, delay_ms=0)
        # Not one of its ticks was another tick than the native source's.
        wrong = counters(on.hub, "ctp-equal", "disagreed", "rejected", "unknown_contract")
        assert wrong == dict.fromkeys(wrong, 0)
        assert on.hub.counter("ctp-equal", "duplicate") >= 60
        said = status.of_account(on.hub, "ctp-equal")
        assert said["dialect"] == "ctp"
        assert said["kind"] == "vnpy"


def sole(hubs: Hubs, directory: Path, gateways: dict[str, tuple[str, str]]) -> tuple[Hub, Path]:
    """A hub with these two accounts alone, on fronts with every quirk; `gateways` has their kind and library."""
    fronts = {f: Front(tape=directory / f"{n}.tape") for n, f in (("ctp", MAIN_FRONT), ("sopt", OPTION_FRONT))}
    file = settings(
        directory,
        World({front: Front(tape=way.tape, scenarios=tuple(QUIRKS)) for front, way in fronts.items()}),
        FUTURES + OPTIONS,
        health=HEALTH,
        libraries=vnpy_library.libraries(directory),
    )
    hub = hubs.run(file, directory.name)
    for account, (gateway, library) in gateways.items():
        front = MAIN_FRONT if account == "ctp" else OPTION_FRONT
        desired.add(hub.data_dir, account, front, gateway=gateway, library=library)
    return hub, directory


def test_equal_records_have_equal_tids_whichever_program_drives_the_library(hubs: Hubs, tmp_path: Path) -> None:
    native, _ = sole(hubs, tmp_path / "native", {"ctp": ("ctp", "sim"), "sopt": ("sopt", "sim")})
    vnpy, _ = sole(hubs, tmp_path / "vnpy", {"ctp": ("vnpy", "vnpy-ctp"), "sopt": ("vnpy", "vnpy-sopt")})
    whole: dict[str, dict[str, dict[Any, Any]]] = {}
    with (
        Subscriber(native.listening().zmq).connected() as left,
        Subscriber(vnpy.listening().zmq).connected() as right,
    ):
        for subscriber in (left, right):
            everything = lambda s: all(len(s.by_topic().get(c, ())) >= 30 for c in FUTURES + OPTIONS)  # noqa: E731
            subscriber.wait_for(everything, 60, "thirty ticks of every contract")
        for name, subscriber in (("native", left), ("vnpy", right)):
            ticks = [tick for tick in subscriber.ticks() if not tick.is_snapshot]
            assert all(tid_of(tick.payload) == tick.payload["tid"] for tick in ticks)
            whole[name] = {
                tick.topic: {t.payload["tid"]: comparable(t.payload) for t in ticks if t.topic == tick.topic}
                for tick in ticks
            }
    for topic in FUTURES + OPTIONS:
        first, second = whole["native"][topic], whole["vnpy"][topic]
        shared = first.keys() & second.keys()
        assert len(shared) >= 20, f"{topic}: {len(shared)} of {len(first)} and {len(second)} tids are shared"
        # Each began and ended at its own moment: between, neither has a tick that the other lacks.
        for one, other in ((first, second), (second, first)):
            places = [place for place, tid in enumerate(one) if tid in other]
            inside = list(one)[places[0] : places[-1] + 1]
            assert [tid for tid in inside if tid not in other] == [], topic
        for tid in shared:
            assert first[tid] == second[tid], topic


def comparable(payload: dict[str, Any]) -> dict[str, Any]:
    """A tick without what tells of its way: when and through whom it came, and its number."""
    own = {"seq", "epoch", "source", "ingress_ns", "egress_ns", "localtime", "last_volume"}
    return {key: value for key, value in payload.items() if key not in own}


def test_without_its_environment_an_account_says_what_to_run(hubs: Hubs, tmp_path: Path) -> None:
    nowhere = {"path": str(tmp_path / "no-venv"), "gateway_class": "vnpy_ctp.CtpGateway"}
    file = settings(tmp_path, World({MAIN_FRONT: Front()}), FUTURES, libraries={"vnpy-ctp": nowhere})
    hub = hubs.run(file)
    desired.add(hub.data_dir, "ctp", MAIN_FRONT, gateway="vnpy", library="vnpy-ctp")
    told = lambda: status.of_account(hub, "ctp").get("last_exit")  # noqa: E731
    reason = eventually(told, 15, "the end of what did not start")["reason"]
    assert f"it has no bin/python; make it with: gateways/vnpy/install {tmp_path / 'no-venv'}" in reason
    desired.add(hub.data_dir, "mixed", MAIN_FRONT, library="vnpy-ctp")
    blocked = status.wait_for_phase(hub, "mixed", "Blocked", within_s=15)
    assert "vnpy's class vnpy_ctp.CtpGateway, and the account's gateway is ctp" in blocked["why"]
