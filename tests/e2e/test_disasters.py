"""Disasters at a front's connection, login, subscription and stream: where the hub's word on a source ends up, what it
does, and that a client notices nothing while another source is healthy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import desired, status
from harness.disasters import LONE, LONE_FRONT, Source, Stage, stage
from harness.waiting import always, eventually
from harness.world import scenario

# The worker's exit codes: spec/src/process.rs.
NO_FRONT, DISCONNECTS, LOGIN_UNANSWERED = "exit code 8", "exit code 9", "exit code 10"


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One hub for every disaster of this file."""
    with stage(tmp_path_factory.mktemp("stage")) as ready:
        yield ready


def test_where_nothing_listens_a_worker_leaves_and_is_tried_again_until_somebody_does(on: Stage) -> None:
    with on.victim("ctp-refused", scenario("refused")) as victim:
        victim.condition("FrontConnected", "False", "Connecting")
        assert "front" in victim.exited(NO_FRONT)["last_exit"]["bye"]
        victim.phase("CoolingDown", "Connecting")
        victim.play()
        process = victim.healthy()
        victim.play(scenario("refused"))
        victim.condition("FrontConnected", "False", "Disconnected")
        victim.replaced(process)
        victim.play()
        victim.healthy()


@pytest.mark.parametrize(("kind", "code"), [("drop_storm", "0x1001"), ("junk_storm", "0x2003")])
def test_a_storm_of_lost_connections_ends_the_worker_and_its_backoff_calms_it(on: Stage, kind: str, code: str) -> None:
    with on.victim(f"ctp-{kind.replace('_', '-')}") as victim:
        process = victim.healthy()
        victim.play(scenario(kind))  # type: ignore[arg-type]
        ended = victim.exited(DISCONNECTS)
        assert code in str(ended["last_exit"]["bye"]) + str(ended["last_exit"]["stderr"])
        victim.phase("CoolingDown")
        victim.replaced(process)
        victim.play()
        victim.healthy()


def test_a_login_refused_for_good_is_tried_twice_and_then_waits_for_a_changed_account(on: Stage) -> None:
    with on.victim("ctp-wrong", scenario("login_refused")) as victim:
        blocked = victim.phase("Blocked")
        assert "3, 不合法的登录" in blocked["why"]
        assert "不合法的登录" in victim.condition("Blocked", "True", "LoginRefused")
        assert blocked["pid"] is None
        tries = status.events(on.hub, "ProcessExited", victim.account)
        assert len(tries) == 2, f"two tries, not {tries}"
        always(lambda: on.hub.worker(victim.account) is None, 3.0, "no third try")
        eventually(lambda: len(status.events(on.hub, "LoginRefused", victim.account)) == 1, 5, "one event of it")
        victim.play()
        always(lambda: on.hub.worker(victim.account) is None, 1.0, "no try before the account changes")
        plain = '{"password":"another"}'
        assert desired.by_hand(on.hub.data_dir, "UPDATE accounts SET secrets = ? WHERE id = ?", plain, victim.account)
        victim.healthy()
        victim.condition("Blocked", "False")


def test_a_front_that_is_not_initialised_is_waited_for(on: Stage) -> None:
    with on.victim("ctp-early", scenario("not_initialised")) as victim:
        eventually(lambda: len(status.events(on.hub, "ProcessExited", victim.account)) >= 3, 40, "a third try")
        assert all("还没有初始化" in text for text in status.events(on.hub, "ProcessExited", victim.account))
        assert status.condition(on.hub, victim.account, "Blocked")["status"] == "False"
        victim.play()
        victim.healthy()


def test_a_login_that_is_never_answered_ends_the_worker(on: Stage) -> None:
    with on.victim("ctp-mute", scenario("login_silent")) as victim:
        victim.condition("LoggedIn", "False", "LoggingIn")
        victim.exited(LOGIN_UNANSWERED)
        victim.play()
        victim.healthy()


def test_a_broken_connection_comes_back_in_the_same_process_whatever_the_reason(on: Stage) -> None:
    with on.victim("ctp-broken") as victim:
        process = victim.healthy()
        for reason in (0x1001, 0x1002, 0x2001, 0x2002, 0x2003):
            victim.play(scenario("disconnect", reason=reason, reconnect_ms=1_500))
            assert f"{reason:#x}" in victim.condition("FrontConnected", "False", "Disconnected")
            assert status.of_account(on.hub, victim.account)["phase"] == "Connecting"
            victim.condition("Ready", "True")
            assert victim.healthy() == process, "a new process was not needed"
        assert not status.events(on.hub, "ProcessExited", victim.account)


def test_a_stalled_source_is_left_out_and_restarted_until_it_ticks(on: Stage) -> None:
    with on.victim("ctp-stalled") as victim:
        process = victim.healthy()
        victim.play(scenario("stall"))
        assert "none of its watched exchanges ticks" in victim.phase("Unhealthy")["why"]
        victim.condition("CanaryFresh", "False", "NoTicks")
        victim.routed("rb2701.SHFE", False)
        again = victim.replaced(process)
        eventually(lambda: status.events(on.hub, "Failover", victim.account), 5, "an event of the failover")
        assert "ctp-well" in status.events(on.hub, "Failover", victim.account)[0]
        victim.play()
        eventually(lambda: on.hub.worker(victim.account), 20, "a process")
        victim.healthy()
        assert again.incarnation != process.incarnation


def test_a_lone_source_that_stalls_keeps_its_routes_and_is_restarted(on: Stage) -> None:
    lone = Source(on, LONE, LONE_FRONT)
    process = lone.healthy()
    lone.play(scenario("stall"))
    assert "none of its watched exchanges ticks" in lone.phase("Unhealthy")["why"]
    assert status.routes(on.hub, "10009123.SSE") == [LONE]
    lone.replaced(process)
    lone.play()
    lone.healthy()


def test_one_exchange_that_falls_silent_leaves_the_routes_alone_and_comes_back(on: Stage) -> None:
    with on.victim("ctp-partly") as victim:
        process = victim.healthy()
        victim.condition("CanaryFresh", "True")
        victim.play(scenario("stall", exchanges=["DCE"]))
        assert "silent: DCE" in victim.phase("Degraded")["why"]
        victim.condition("CanaryFresh", "False", "ExchangeSilent")
        victim.routed("m2705.DCE", False)
        assert victim.account in status.routes(on.hub, "rb2701.SHFE")
        victim.play()
        victim.phase("Healthy")
        victim.routed("m2705.DCE", True)
        assert on.hub.running(victim.account) == process


def test_late_missing_and_refused_acknowledgements_are_counted_and_keep_nobody_from_ready(on: Stage) -> None:
    lame = [
        scenario("ack_late", instruments=["au2612"], by_ms=700),
        scenario("ack_missing", instruments=["rb2701"], ticks=True),
        scenario("ack_missing", instruments=["si2701"]),
        scenario("subscription_refused", instruments=["MA701"]),
    ]
    with on.victim("ctp-unacknowledged", *lame) as victim:
        victim.healthy()
        accepted = victim.condition("Ready", "True")
        assert "5 of 8" in accepted, accepted
        assert status.of_account(on.hub, victim.account)["acknowledged"] == 5
