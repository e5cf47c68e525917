//! Sick sources by example: who is silent, since when, who else delivers, and what the planner makes of it.
//!
//! `UPDATE_EXPECT=1 cargo test -p mdhub-reconciler --test health` writes the plans anew; read the difference.

#![expect(clippy::expect_used, reason = "a test fails by it")]

#[path = "support/scenario.rs"]
mod scenario;
#[path = "support/views.rs"]
mod views;

use expect_test::expect;
use mdhub_reconciler::plan::DesiredAccount;
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{EXIT_LOGIN_REFUSED, Ending, Exit, ExitReason, FrontState, ProcessView};
use scenario::{Scenario, ago, asked_exit, ready};
use views::{account, exit, incarnation};

/// Two CTP accounts on fronts of their own, both long ready; canaries on SHFE and DCE, which opened an hour ago.
fn two() -> Scenario {
    let backup = DesiredAccount { priority: 2, fronts: ["tcp://b:1".to_owned()].into(), ..account() };
    let mut scenario = Scenario::new()
        .contracts(&["m2705.DCE", "rb2701.SHFE"])
        .account("ctp-main", DesiredAccount { fronts: ["tcp://a:1".to_owned()].into(), ..account() })
        .account("ctp-backup", backup)
        .process("ctp-main", ProcessView { ready_at: Some(ago(900_000)), ..ready(1) })
        .process("ctp-backup", ProcessView { ready_at: Some(ago(900_000)), ..ready(2) });
    scenario.observed.open = [(Exchange::Shfe, ago(3_600_000)), (Exchange::Dce, ago(3_600_000))].into();
    scenario
}

impl Scenario {
    /// The last ticks of SHFE and DCE came this long ago.
    fn ticked(mut self, id: &str, shfe_ms: u64, dce_ms: u64) -> Self {
        let ticks = [(Exchange::Shfe, ago(shfe_ms)), (Exchange::Dce, ago(dce_ms))].into();
        self.observed.deliveries.insert(id.parse().expect("a slug"), ticks);
        self
    }

    fn without(mut self, id: &str) -> Self {
        let id: AccountId = id.parse().expect("a slug");
        self.desired.accounts.remove(&id);
        self.observed.gateways.remove(&id);
        self
    }
}

#[test]
fn sources_that_tick_are_well() {
    two().ticked("ctp-main", 500, 9_000).ticked("ctp-backup", 500, 500).check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn True LoggedIn: trading day 20261123
        Subscribed True Acknowledged: 1 of 2 contracts accepted
        CanaryFresh True Fresh: every watched exchange ticks
        Ready True Ready: 1 of 2 contracts accepted
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
    two().ticked("ctp-main", 500, 9_000).ticked("ctp-backup", 500, 500).check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Healthy: 1 of 2 contracts accepted
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 1000 ms
    "#]]);
}

#[test]
fn one_silent_exchange_degrades_a_source_and_only_its_routes_leave() {
    let scenario = two().ticked("ctp-main", 500, 10_000).ticked("ctp-backup", 500, 500);
    scenario.check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Degraded: 1 of 2 contracts accepted; silent: DCE; restarts in 120 s
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
    scenario.check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn True LoggedIn: trading day 20261123
        Subscribed True Acknowledged: 1 of 2 contracts accepted
        CanaryFresh False ExchangeSilent: silent: DCE; others tick
        Ready True Ready: 1 of 2 contracts accepted
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
}

#[test]
fn an_exchange_that_is_silent_everywhere_keeps_all_its_routes() {
    two().ticked("ctp-main", 500, 30_000).ticked("ctp-backup", 500, 20_000).check(&expect![[r#"
        status  ctp-backup Degraded: 1 of 2 contracts accepted; silent: DCE; restarts in 110 s
        status  ctp-main Degraded: 1 of 2 contracts accepted; silent: DCE; another source is restarted first
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_silent_source_is_left_out_at_once_and_ended_after_its_cool_down_while_another_ticks() {
    let silent = |ms| two().ticked("ctp-main", ms, ms).ticked("ctp-backup", 500, 500);
    silent(10_000).check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; restarts in 10 s
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 9000 ms
    "#]]);
    silent(10_000).check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn True LoggedIn: trading day 20261123
        Subscribed True Acknowledged: 1 of 2 contracts accepted
        CanaryFresh False NoTicks: it is logged in, but none of its watched exchanges ticks
        Ready True Ready: 1 of 2 contracts accepted
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
    silent(20_000).check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn what_was_ended_for_being_sick_backs_off_like_any_crash() {
    let mut scenario = two().ticked("ctp-backup", 500, 500);
    scenario.observed.gateways.clear();
    let mut scenario = scenario.process("ctp-backup", ready(2)).exits("ctp-main", [asked_exit(1, ago(100))]);
    scenario.check(&expect![[r#"
        action  start ctp-main after 7.1
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Starting: a process is started
        route   m2705.DCE <- [ctp-backup ctp-main]
        route   rb2701.SHFE <- [ctp-backup ctp-main]
        wake    in 9000 ms
    "#]]);
    scenario.observed.ended_sick.insert(incarnation(1));
    scenario.check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main CoolingDown: ended by the hub for being sick, signal 11; restarts in 1 s
        route   m2705.DCE <- [ctp-backup ctp-main]
        route   rb2701.SHFE <- [ctp-backup ctp-main]
        wake    in 900 ms
    "#]]);
}

#[test]
fn a_lone_source_that_falls_silent_keeps_its_routes_and_is_ended() {
    let lone = |ms| two().without("ctp-backup").ticked("ctp-main", ms, ms);
    lone(15_000).check(&expect![[r#"
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; restarts in 5 s
        route   m2705.DCE <- [ctp-main]
        route   rb2701.SHFE <- [ctp-main]
        wake    in 5000 ms
    "#]]);
    lone(20_000).check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-main Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        route   m2705.DCE <- [ctp-main]
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn all_silent_on_independent_fronts_may_be_the_market_and_nobody_is_ended_for_a_while() {
    let silent = |ms| two().ticked("ctp-main", ms, ms).ticked("ctp-backup", ms, ms);
    silent(30_000).check(&expect![[r#"
        status  ctp-backup Unhealthy: it is logged in, but none of its watched exchanges ticks; nor do the others, so perhaps the market is silent; held for 100 s
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; nor do the others, so perhaps the market is silent; held for 100 s
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
    assert_eq!(silent(30_000).plan().silent_markets, [(Dialect::Ctp, ago(20_000))].into());
    silent(129_999).check(&expect![[r#"
        status  ctp-backup Unhealthy: it is logged in, but none of its watched exchanges ticks; nor do the others, so perhaps the market is silent; held for 1 s
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; nor do the others, so perhaps the market is silent; held for 1 s
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 1 ms
    "#]]);
    silent(130_000).check(&expect![[r#"
        action  terminate ctp-backup 7.2, which is sick
        status  ctp-backup Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; another source is restarted first
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn after_the_hold_silent_sources_are_ended_one_at_a_time_the_lowest_priority_first() {
    let silent = two().ticked("ctp-main", 140_000, 140_000).ticked("ctp-backup", 140_000, 140_000);
    // The backup was ended ten seconds ago, and is up again.
    let again = ProcessView { started_at: ago(8_000), ready_at: Some(ago(7_000)), ..ready(3) };
    let mut restarted = silent.process("ctp-backup", again).exits("ctp-backup", [asked_exit(2, ago(10_000))]);
    restarted.observed.ended_sick.insert(incarnation(2));
    restarted.check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; restarts in 50 s
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 3000 ms
    "#]]);
    let mut later = two().ticked("ctp-main", 200_000, 200_000).ticked("ctp-backup", 200_000, 200_000);
    let again = ProcessView { started_at: ago(58_000), ready_at: Some(ago(57_000)), ..ready(3) };
    later = later.process("ctp-backup", again).exits("ctp-backup", [asked_exit(2, ago(60_000))]);
    later.observed.ended_sick.insert(incarnation(2));
    later.check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-backup Unhealthy: it is logged in, but none of its watched exchanges ticks; another source is restarted first
        status  ctp-main Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_silent_market_is_silent_still_while_a_source_is_restarted() {
    let mut silent = two().ticked("ctp-main", 140_000, 140_000).ticked("ctp-backup", 140_000, 140_000);
    let since = silent.plan().silent_markets;
    assert_eq!(since, [(Dialect::Ctp, ago(130_000))].into());
    silent.observed.gateways.remove(&"ctp-backup".parse().expect("a slug"));
    let mut restarting = silent.exits("ctp-backup", [asked_exit(2, ago(100))]);
    restarting.observed.ended_sick.insert(incarnation(2));
    assert_eq!(restarting.plan().silent_markets, since, "it is down");
    let starting = ProcessView { started_at: ago(50), ready_at: None, ..ready(3) };
    let starting = restarting.process("ctp-backup", starting);
    assert_eq!(starting.plan().silent_markets, since, "it is not ready");
    assert_eq!(starting.ticked("ctp-backup", 10, 10).plan().silent_markets, [].into());
}

#[test]
fn where_everything_stopped_at_once_the_second_is_restarted_too_though_nobody_ticks_on_what_is_not_watched() {
    let mut silent = two().ticked("ctp-main", 40_000, 40_000).ticked("ctp-backup", 40_000, 40_000);
    (silent.desired.policy.market_silent_hold_ms, silent.desired.policy.restart_spacing_ms) = (5_000, 2_000);
    for ticks in silent.observed.deliveries.values_mut() {
        ticks.insert(Exchange::Czce, ago(40_000));
    }
    let again = ProcessView { started_at: ago(8_000), ready_at: Some(ago(7_000)), ..ready(3) };
    let mut restarted = silent.process("ctp-backup", again).exits("ctp-backup", [asked_exit(2, ago(10_000))]);
    restarted.observed.ended_sick.insert(incarnation(2));
    restarted.check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 3000 ms
    "#]]);
}

#[test]
fn a_tick_of_an_exchange_that_is_not_watched_does_not_end_the_silence_of_a_market() {
    // The backup was ended for the silence and is down; a settlement tick of CZCE came after, and SHFE is what is watched.
    let mut silent = two().ticked("ctp-main", 140_000, 140_000).ticked("ctp-backup", 140_000, 140_000);
    let since = silent.plan().silent_markets;
    silent.observed.gateways.remove(&"ctp-backup".parse().expect("a slug"));
    let mut restarting = silent.exits("ctp-backup", [asked_exit(2, ago(2_000))]);
    restarting.observed.ended_sick.insert(incarnation(2));
    let ticks = restarting.observed.deliveries.get_mut(&"ctp-backup".parse().expect("a slug")).expect("known");
    ticks.insert(Exchange::Czce, ago(1_000));
    assert_eq!(restarting.plan().silent_markets, since);
}

#[test]
fn a_source_that_brings_no_first_tick_of_a_section_in_time_is_silent_from_then_on() {
    let opened = |ms: u64| {
        let mut scenario = two().ticked("ctp-backup", 500, 500);
        scenario.observed.open = [(Exchange::Shfe, ago(ms)), (Exchange::Dce, ago(ms))].into();
        scenario
    };
    opened(9_999).check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Healthy: 1 of 2 contracts accepted
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 1 ms
    "#]]);
    opened(10_000).check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; restarts in 10 s
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 9000 ms
    "#]]);
    opened(20_000).check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn silent_sources_on_one_front_are_not_held_back_but_take_turns() {
    let mut scenario = two().ticked("ctp-main", 30_000, 30_000).ticked("ctp-backup", 30_000, 30_000);
    for account in scenario.desired.accounts.values_mut() {
        account.fronts = ["tcp://a:1".to_owned()].into();
    }
    scenario.check(&expect![[r#"
        action  terminate ctp-backup 7.2, which is sick
        status  ctp-backup Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; another source is restarted first
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
    let shared = scenario.plan().shared_fronts.into_iter().map(|(a, b)| format!("{a} {b}")).collect::<Vec<_>>();
    assert_eq!(shared, ["ctp-backup ctp-main"]);
}

#[test]
fn one_that_ticks_again_ends_the_silence_of_the_market() {
    two().ticked("ctp-main", 140_000, 140_000).ticked("ctp-backup", 100, 100).check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Stopping: it is logged in, but none of its watched exchanges ticks; TERM now
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn nobody_is_silent_before_its_first_tick_is_due_or_where_the_section_is_closed() {
    let mut opened = two().ticked("ctp-main", 7_200_000, 7_200_000).ticked("ctp-backup", 7_200_000, 7_200_000);
    opened.observed.open = [(Exchange::Shfe, ago(9_000)), (Exchange::Dce, ago(9_000))].into();
    opened.check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Healthy: 1 of 2 contracts accepted
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 1000 ms
    "#]]);
    opened.check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn True LoggedIn: trading day 20261123
        Subscribed True Acknowledged: 1 of 2 contracts accepted
        CanaryFresh Unknown Waiting: the first ticks are waited for
        Ready True Ready: 1 of 2 contracts accepted
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
    opened.observed.open.clear();
    opened.check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Healthy: 1 of 2 contracts accepted
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
    opened.check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn True LoggedIn: trading day 20261123
        Subscribed True Acknowledged: 1 of 2 contracts accepted
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready True Ready: 1 of 2 contracts accepted
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
}

#[test]
fn a_source_of_rubbish_is_left_out_and_ended_unless_it_is_the_last() {
    let mut scenario = two().ticked("ctp-main", 100, 100).ticked("ctp-backup", 100, 100);
    scenario.observed.garbage.insert(incarnation(1), ago(4_000));
    scenario.check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Unhealthy: most of its ticks are rejected; restarts in 6 s
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 6000 ms
    "#]]);
    scenario.observed.garbage.insert(incarnation(1), ago(10_000));
    scenario.check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Stopping: most of its ticks are rejected; TERM now
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 9000 ms
    "#]]);
    let alone = scenario.without("ctp-backup");
    alone.check(&expect![[r#"
        status  ctp-main Unhealthy: most of its ticks are rejected; it goes on, since nobody else delivers SHFE
        route   m2705.DCE <- [ctp-main]
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_silent_source_that_alone_delivers_an_unwatched_exchange_goes_on() {
    let mut scenario = two().ticked("ctp-main", 30_000, 30_000).ticked("ctp-backup", 100, 100);
    let main: AccountId = "ctp-main".parse().expect("a slug");
    scenario.observed.deliveries.entry(main).or_default().insert(Exchange::Gfex, ago(20_000));
    scenario.check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Unhealthy: it is logged in, but none of its watched exchanges ticks; it goes on, since nobody else delivers GFEX
        route   m2705.DCE <- [ctp-backup]
        route   rb2701.SHFE <- [ctp-backup]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn credentials_that_are_refused_twice_block_until_the_account_changes() {
    let refused = |counter, code, at| Exit {
        reason: ExitReason::Code(EXIT_LOGIN_REFUSED),
        front: FrontState::Refused { code, message: "不合法的登录".to_owned() },
        ..exit(counter, at)
    };
    let scenario = |code| {
        let exits = [refused(1, code, ago(130_000)), refused(2, code, ago(95_000))];
        let mut scenario = Scenario::new().exits("ctp-main", exits);
        scenario.desired.refused_codes = [3, 140].into();
        scenario
    };
    scenario(3).check(&expect![[r#"
        status  ctp-main Blocked: the front refuses the login for good: 3, 不合法的登录; it waits until the account changes
        route   rb2701.SHFE <- []
        wake    in 470000 ms
    "#]]);
    scenario(3).check_conditions(&expect![[r#"
        ProcessRunning False NoProcess: there is no process
        FrontConnected False NoProcess: there is no process
        LoggedIn False NoProcess: there is no process
        Subscribed False NoProcess: there is no process
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False NoProcess: there is no process
        Blocked True LoginRefused: the front refuses the login for good: 3, 不合法的登录
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
    // "Not initialised": it is tried again.
    scenario(7).check(&expect![[r#"
        action  start ctp-main after 7.2
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
        wake    in 470000 ms
    "#]]);
    let changed = DesiredAccount { fingerprint: mdhub_spec::account::Fingerprint(2), ..account() };
    scenario(3).account("ctp-main", changed).check(&expect![[r#"
        action  start ctp-main after 7.2
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
    "#]]);
}

#[test]
fn five_exits_in_ten_minutes_are_a_crash_loop_and_it_goes_on_trying() {
    let crashes = |n: u64| Scenario::new().exits("ctp-main", (1..=n).map(|i| exit(i, ago((n + 1 - i) * 61_000))));
    crashes(5).check(&expect![[r#"
        action  start ctp-main after 7.5
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
        wake    in 295000 ms
    "#]]);
    crashes(5).check_conditions(&expect![[r#"
        ProcessRunning False NoProcess: there is no process
        FrontConnected False NoProcess: there is no process
        LoggedIn False NoProcess: there is no process
        Subscribed False NoProcess: there is no process
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False NoProcess: there is no process
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop True TooManyExits: 5 or more unwanted exits in 10 min; it goes on trying
        Stuck False NotStuck: no process survives its KILL
    "#]]);
    crashes(4).check_conditions(&expect![[r#"
        ProcessRunning False NoProcess: there is no process
        FrontConnected False NoProcess: there is no process
        LoggedIn False NoProcess: there is no process
        Subscribed False NoProcess: there is no process
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False NoProcess: there is no process
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
}

#[test]
fn where_the_market_is_closed_nothing_runs_and_nothing_is_wrong() {
    let mut scenario = two();
    scenario.observed.closed = [(Dialect::Ctp, Some(ago(0).plus_ms(90_000)))].into();
    scenario.check(&expect![[r#"
        action  terminate ctp-backup 7.2
        action  terminate ctp-main 7.1
        status  ctp-backup Stopping: its market is closed; TERM now
        status  ctp-main Stopping: its market is closed; TERM now
        route   m2705.DCE <- [ctp-main ctp-backup]
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
    let leaving = ProcessView { ending: Ending::Terminating { since: ago(10) }, ..ready(1) };
    scenario = scenario.without("ctp-backup").process("ctp-main", leaving);
    scenario.check(&expect![[r#"
        status  ctp-main Stopping: its market is closed; KILL in 5 s
        route   m2705.DCE <- [ctp-main]
        route   rb2701.SHFE <- [ctp-main]
        wake    in 4990 ms
    "#]]);
    scenario.observed.gateways.clear();
    scenario.check(&expect![[r#"
        status  ctp-main Stopped: its market is closed; it starts in 90 s
        route   m2705.DCE <- []
        route   rb2701.SHFE <- []
        wake    in 90000 ms
    "#]]);
}

#[test]
fn a_process_that_lost_its_tick_pipe_is_ended() {
    let lost = |ms| Scenario::new().process("ctp-main", ProcessView { ticks_ended_at: Some(ago(ms)), ..ready(1) });
    lost(500).check(&expect![[r#"
        status  ctp-main Healthy: 1 of 1 contracts accepted
        route   rb2701.SHFE <- [ctp-main]
        wake    in 1500 ms
    "#]]);
    lost(2_000).check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-main Stopping: its tick pipe has ended; TERM now
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_primary_whose_front_went_away_stands_behind_the_one_that_is_ready() {
    let lost = ProcessView { front: FrontState::Disconnected { reason: 0x1001 }, ..ready(1) };
    two().process("ctp-main", lost).ticked("ctp-main", 100, 100).ticked("ctp-backup", 100, 100).check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 2 contracts accepted
        status  ctp-main Connecting: the front went away: 0x1001, reading failed
        route   m2705.DCE <- [ctp-backup ctp-main]
        route   rb2701.SHFE <- [ctp-backup ctp-main]
        wake    in 9000 ms
    "#]]);
}
