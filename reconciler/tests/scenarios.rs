//! The planner by example: what is wanted, what is there, and what it makes of it.
//!
//! `UPDATE_EXPECT=1 cargo test -p mdhub-reconciler --test scenarios` writes the plans anew; read the difference.

#![expect(clippy::expect_used, reason = "a test fails by it")]

#[path = "support/scenario.rs"]
mod scenario;
#[path = "support/views.rs"]
mod views;

use std::collections::BTreeSet;

use expect_test::expect;
use mdhub_reconciler::plan::DesiredAccount;
use mdhub_spec::account::{AccountId, Fingerprint};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{EXIT_LOGIN_REFUSED, Ending, Exit, ExitReason, FrontState, ProcessView};
use scenario::{Scenario, ago, asked_exit, ready};
use views::{account, exit, incarnation, process};

#[test]
fn an_account_in_the_pool_gets_a_process() {
    Scenario::new().check(&expect![[r#"
        action  start ctp-main, its first
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
    "#]]);
}

#[test]
fn a_process_that_fits_is_left_alone() {
    let scenario = Scenario::new().process("ctp-main", ready(1));
    scenario.check(&expect![[r#"
        status  ctp-main Healthy: 1 of 1 contracts accepted
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    scenario.check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn True LoggedIn: trading day 20261123
        Subscribed True Acknowledged: 1 of 1 contracts accepted
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready True Ready: 1 of 1 contracts accepted
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
}

#[test]
fn the_way_up_from_start_to_ready_is_told_step_by_step() {
    let hello = ProcessView { hello_at: Some(ago(900)), ..process(1, ago(1_000)) };
    let connected = ProcessView { front: FrontState::Connected, ..hello.clone() };
    let subscribing = ProcessView { ready_at: None, acknowledged: 0, heartbeat_at: Some(ago(0)), ..ready(1) };
    for (process, expected) in [
        (
            process(1, ago(1_500)),
            expect![[r#"
            status  ctp-main Starting: the worker has not said Hello; it was started 2 s ago
            route   rb2701.SHFE <- [ctp-main]
            wake    in 8500 ms
        "#]],
        ),
        (
            hello.clone(),
            expect![[r#"
            status  ctp-main Connecting: no front has answered yet
            route   rb2701.SHFE <- [ctp-main]
            wake    in 9100 ms
        "#]],
        ),
        (
            connected,
            expect![[r#"
            status  ctp-main Connecting: the front has not answered the login
            route   rb2701.SHFE <- [ctp-main]
            wake    in 9100 ms
        "#]],
        ),
        (
            subscribing,
            expect![[r#"
            status  ctp-main Connecting: 0 of 1 contracts accepted so far
            route   rb2701.SHFE <- [ctp-main]
            wake    in 10000 ms
        "#]],
        ),
    ] {
        Scenario::new().process("ctp-main", process).check(&expected);
    }
    Scenario::new().check_conditions(&expect![[r#"
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
    Scenario::new().process("ctp-main", process(1, ago(0))).check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected Unknown NoHello: the worker has not said Hello
        LoggedIn Unknown NoHello: the worker has not said Hello
        Subscribed Unknown NoHello: the worker has not said Hello
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False NoHello: the worker has not said Hello
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
}

#[test]
fn what_the_front_says_is_passed_on() {
    let lost = ProcessView { front: FrontState::Disconnected { reason: 0x1001 }, ..ready(1) };
    let refused = FrontState::Refused { code: 3, message: "CTP:不合法的登录".to_owned() };
    let refused = ProcessView { front: refused, ready_at: None, ..ready(1) };
    Scenario::new().process("ctp-main", lost.clone()).check(&expect![[r#"
        status  ctp-main Connecting: the front went away: 0x1001, reading failed
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    Scenario::new().process("ctp-main", lost).check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected False Disconnected: the front went away: 0x1001, reading failed
        LoggedIn False NotConnected: it comes after the connection
        Subscribed False NotLoggedIn: it comes after the login
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False Disconnected: the front went away: 0x1001, reading failed
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
    Scenario::new().process("ctp-main", refused.clone()).check(&expect![[r#"
        status  ctp-main Connecting: the front refused the login: 3, CTP:不合法的登录
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    Scenario::new().process("ctp-main", refused).check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn False Refused: the front refused the login: 3, CTP:不合法的登录
        Subscribed False NotLoggedIn: it comes after the login
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False Refused: the front refused the login: 3, CTP:不合法的登录
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
}

#[test]
fn out_of_the_pool_held_down_or_deleted_nothing_runs() {
    let disabled = DesiredAccount { is_enabled: false, ..account() };
    let suspended = DesiredAccount { suspended: true, ..account() };
    let crashed = [exit(1, ago(100))];
    let rest = Scenario::new().account("ctp-main", disabled.clone()).exits("ctp-main", crashed.clone());
    rest.check(&expect![[r#"
        status  ctp-main Stopped: the account is disabled
        route   rb2701.SHFE <- []
        wake    in 599900 ms
    "#]]);
    Scenario::new().account("ctp-main", suspended.clone()).check(&expect![[r#"
        status  ctp-main Stopped: it is stopped by hand
        route   rb2701.SHFE <- []
    "#]]);
    Scenario::default().exits("gone", crashed).check(&expect![[""]]);
    let disabled = Scenario::new().account("ctp-main", disabled).process("ctp-main", ready(1));
    disabled.check(&expect![[r#"
        action  terminate ctp-main 7.1
        status  ctp-main Stopping: the account is disabled; TERM now
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    let suspended = Scenario::new().account("ctp-main", suspended).process("ctp-main", ready(1));
    suspended.check(&expect![[r#"
        action  terminate ctp-main 7.1
        status  ctp-main Stopping: it is stopped by hand; TERM now
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    Scenario::default().process("gone", ready(1)).check(&expect![[r#"
        action  terminate gone 7.1
        status  gone Stopping: the account was deleted; TERM now
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_process_that_ignores_term_is_killed_and_again_until_its_group_is_empty() {
    let stopped = DesiredAccount { suspended: true, ..account() };
    let leaving = |ending| {
        let process = ProcessView { ending, ..ready(1) };
        Scenario::new().account("ctp-main", stopped.clone()).process("ctp-main", process)
    };
    leaving(Ending::Terminating { since: ago(1_000) }).check(&expect![[r#"
        status  ctp-main Stopping: it is stopped by hand; KILL in 4 s
        route   rb2701.SHFE <- [ctp-main]
        wake    in 4000 ms
    "#]]);
    leaving(Ending::Terminating { since: ago(5_000) }).check(&expect![[r#"
        action  kill ctp-main 7.1
        status  ctp-main Stopping: it is stopped by hand; KILL now
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    leaving(Ending::Killing { since: ago(2_000), last: ago(2_000) }).check(&expect![[r#"
        status  ctp-main Stopping: it is stopped by hand; KILL again in 3 s
        route   rb2701.SHFE <- [ctp-main]
        wake    in 3000 ms
    "#]]);
    leaving(Ending::Killing { since: ago(5_000), last: ago(5_000) }).check(&expect![[r#"
        action  kill ctp-main 7.1
        status  ctp-main Stopping: it is stopped by hand; KILL again now
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    let stuck = leaving(Ending::Killing { since: ago(9_000), last: ago(4_000) });
    stuck.check(&expect![[r#"
        status  ctp-main Stopping: it is stopped by hand; KILL again in 1 s
        route   rb2701.SHFE <- [ctp-main]
        wake    in 1000 ms
    "#]]);
    stuck.check_conditions(&expect![[r#"
        ProcessRunning True Running: process 4000, incarnation 7.1
        FrontConnected True Connected: the front holds the connection
        LoggedIn True LoggedIn: trading day 20261123
        Subscribed True Acknowledged: 1 of 1 contracts accepted
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False Ending: it is stopped by hand
        Blocked False NotBlocked: nothing keeps it from running
        CrashLoop False NoLoop: it does not end again and again
        Stuck True SurvivesKill: process group 4000 survives KILL; it waits in the kernel
    "#]]);
}

#[test]
fn an_edit_and_a_restart_by_hand_relaunch_without_a_backoff() {
    let edited = DesiredAccount { fingerprint: Fingerprint(2), ..account() };
    let restarted = DesiredAccount { restart_generation: 2, ..account() };
    let running = |account| Scenario::new().account("ctp-main", account).process("ctp-main", ready(1));
    let crashing = |account| {
        let exits = [exit(1, ago(9)), exit(2, ago(6)), exit(3, ago(3))];
        Scenario::new().account("ctp-main", account).exits("ctp-main", exits)
    };
    running(edited.clone()).check(&expect![[r#"
        action  terminate ctp-main 7.1
        status  ctp-main Stopping: the account has changed; TERM now
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    running(restarted.clone()).check(&expect![[r#"
        action  terminate ctp-main 7.1
        status  ctp-main Stopping: a restart was asked for; TERM now
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
    crashing(edited).check(&expect![[r#"
        action  start ctp-main after 7.3
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
    "#]]);
    crashing(restarted).check(&expect![[r#"
        action  start ctp-main after 7.3
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
    "#]]);
}

#[test]
fn a_changed_priority_only_moves_routes() {
    let both = |main: u32| {
        Scenario::new()
            .account("ctp-main", DesiredAccount { priority: main, ..account() })
            .account("ctp-backup", DesiredAccount { priority: 2, ..account() })
            .process("ctp-main", ready(1))
            .process("ctp-backup", ready(2))
    };
    both(1).check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 1 contracts accepted
        status  ctp-main Healthy: 1 of 1 contracts accepted
        route   rb2701.SHFE <- [ctp-main ctp-backup]
        wake    in 9000 ms
    "#]]);
    both(3).check(&expect![[r#"
        status  ctp-backup Healthy: 1 of 1 contracts accepted
        status  ctp-main Healthy: 1 of 1 contracts accepted
        route   rb2701.SHFE <- [ctp-backup ctp-main]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn exits_back_off_from_the_last_one_and_the_delay_doubles() {
    let crashes = |n: u64| (1..=n).map(|i| exit(i, ago(500)));
    Scenario::new().exits("ctp-main", crashes(1)).check(&expect![[r#"
        status  ctp-main CoolingDown: signal 11; restarts in 1 s
        route   rb2701.SHFE <- []
        wake    in 500 ms
    "#]]);
    Scenario::new().exits("ctp-main", crashes(4)).check(&expect![[r#"
        status  ctp-main CoolingDown: signal 11, exit 4 in a row; restarts in 8 s
        route   rb2701.SHFE <- []
        wake    in 7500 ms
    "#]]);
    let jittered = Exit { jitter_permille: 999, bye: Some("the front is silent".to_owned()), ..exit(5, ago(500)) };
    Scenario::new().exits("ctp-main", crashes(4).chain([jittered])).check(&expect![[r#"
        status  ctp-main CoolingDown: signal 11 (the front is silent), exit 5 in a row; restarts in 20 s
        route   rb2701.SHFE <- []
        wake    in 19496 ms
    "#]]);
    Scenario::new().exits("ctp-main", [exit(1, ago(1_000))]).check(&expect![[r#"
        action  start ctp-main after 7.1
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
        wake    in 599000 ms
    "#]]);
}

#[test]
fn a_process_that_was_ready_for_long_begins_the_backoff_anew() {
    let crashes = || (1..=3).map(|i| exit(i, ago(400_000)));
    let stable = Exit { ready_at: Some(ago(300_500)), ..exit(4, ago(500)) };
    let unstable = Exit { ready_at: Some(ago(300_499)), ..exit(4, ago(500)) };
    Scenario::new().exits("ctp-main", crashes().chain([stable])).check(&expect![[r#"
        status  ctp-main CoolingDown: signal 11; restarts in 1 s
        route   rb2701.SHFE <- []
        wake    in 500 ms
    "#]]);
    Scenario::new().exits("ctp-main", crashes().chain([unstable])).check(&expect![[r#"
        status  ctp-main CoolingDown: signal 11, exit 4 in a row; restarts in 8 s
        route   rb2701.SHFE <- []
        wake    in 7500 ms
    "#]]);
}

#[test]
fn a_refused_login_is_not_repeated_for_half_a_minute() {
    let refused = Exit {
        reason: ExitReason::Code(EXIT_LOGIN_REFUSED),
        bye: Some("the front refused the login, code 3: 不合法的登录".to_owned()),
        ..exit(1, ago(500))
    };
    Scenario::new().exits("ctp-main", [refused]).check(&expect![[r#"
        status  ctp-main CoolingDown: exit code 6 (the front refused the login, code 3: 不合法的登录); restarts in 30 s
        route   rb2701.SHFE <- []
        wake    in 29500 ms
    "#]]);
}

#[test]
fn after_a_stop_by_hand_a_start_comes_at_once() {
    let exits = [exit(1, ago(300)), exit(2, ago(200)), asked_exit(3, ago(1))];
    Scenario::new().exits("ctp-main", exits).check(&expect![[r#"
        action  start ctp-main after 7.3
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
        wake    in 599700 ms
    "#]]);
    let stopping = ProcessView { ending: Ending::Terminating { since: ago(100) }, ..ready(1) };
    Scenario::new().process("ctp-main", stopping).check(&expect![[r#"
        status  ctp-main Stopping: it was asked to leave; a new one follows; KILL in 5 s
        route   rb2701.SHFE <- [ctp-main]
        wake    in 4900 ms
    "#]]);
}

#[test]
fn a_silent_process_loses_routes_and_pipe_at_once_and_counts_as_an_exit() {
    let no_hello = process(1, ago(10_000));
    let no_heartbeat = ProcessView { heartbeat_at: Some(ago(10_000)), ..ready(1) };
    Scenario::new().process("ctp-main", no_hello).check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-main Stopping: the worker is not heard of; TERM now
        route   rb2701.SHFE <- []
        detach  7.1
    "#]]);
    Scenario::new().process("ctp-main", no_heartbeat).check(&expect![[r#"
        action  terminate ctp-main 7.1, which is sick
        status  ctp-main Stopping: the worker is not heard of; TERM now
        route   rb2701.SHFE <- []
        detach  7.1
    "#]]);
    let ended = Exit { heard_at: ago(12_500), ..asked_exit(1, ago(500)) };
    let mut drained = Scenario::new().exits("ctp-main", [ended]);
    drained.observed.attached.insert(incarnation(1));
    drained.check(&expect![[r#"
        status  ctp-main CoolingDown: ended by the hub for being sick, signal 11; restarts in 1 s
        route   rb2701.SHFE <- []
        detach  7.1
        wake    in 500 ms
    "#]]);
}

#[test]
fn after_a_pause_of_the_hub_nobody_is_to_blame_for_silence() {
    let mut paused = Scenario::new().process("ctp-main", ProcessView { heartbeat_at: Some(ago(50_000)), ..ready(1) });
    paused.observed.watching_since = ago(2_000);
    paused.check(&expect![[r#"
        status  ctp-main Healthy: 1 of 1 contracts accepted
        route   rb2701.SHFE <- [ctp-main]
        wake    in 8000 ms
    "#]]);
}

#[test]
fn another_protocol_version_blocks_until_the_account_changes() {
    let stranger = ProcessView { protocol_mismatch: Some(9), ..process(1, ago(100)) };
    let runs = Scenario::new().process("ctp-main", stranger);
    runs.check(&expect![[r#"
        action  terminate ctp-main 7.1
        status  ctp-main Stopping: the worker speaks protocol version 9, the hub 2; TERM now
        route   rb2701.SHFE <- []
        detach  7.1
        wake    in 9900 ms
    "#]]);
    let gone = Exit { protocol_mismatch: Some(9), ..asked_exit(1, ago(100)) };
    let blocked = Scenario::new().exits("ctp-main", [gone]);
    blocked.check(&expect![[r#"
        status  ctp-main Blocked: the worker speaks protocol version 9, the hub 2; it waits for a restart by hand
        route   rb2701.SHFE <- []
    "#]]);
    blocked.check_conditions(&expect![[r#"
        ProcessRunning False NoProcess: there is no process
        FrontConnected False NoProcess: there is no process
        LoggedIn False NoProcess: there is no process
        Subscribed False NoProcess: there is no process
        CanaryFresh Unknown NotWatched: no canary is to tick now
        Ready False NoProcess: there is no process
        Blocked True ProtocolMismatch: the worker speaks protocol version 9, the hub 2
        CrashLoop False NoLoop: it does not end again and again
        Stuck False NotStuck: no process survives its KILL
    "#]]);
    let by_hand = DesiredAccount { restart_generation: 2, ..account() };
    blocked.account("ctp-main", by_hand).check(&expect![[r#"
        action  start ctp-main after 7.1
        status  ctp-main Starting: a process is started
        route   rb2701.SHFE <- []
    "#]]);
}

#[test]
fn an_account_that_cannot_be_launched_is_blocked_and_what_runs_is_not_ended_for_it() {
    let problem = r#"settings.library "ctp9" is not in libraries: of mdhub.yaml: ctp, sopt"#.to_owned();
    let problem = DesiredAccount { problem: Some(problem), ..account() };
    Scenario::new().account("ctp-main", problem.clone()).check(&expect![[r#"
        status  ctp-main Blocked: settings.library "ctp9" is not in libraries: of mdhub.yaml: ctp, sopt
        route   rb2701.SHFE <- []
    "#]]);
    Scenario::new().account("ctp-main", problem).process("ctp-main", ready(1)).check(&expect![[r#"
        status  ctp-main Healthy: 1 of 1 contracts accepted
        route   rb2701.SHFE <- [ctp-main]
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_contract_is_fed_by_all_who_serve_its_exchange_and_by_the_dead_until_their_pipe_is_drained() {
    let backup = DesiredAccount { priority: 2, ..account() };
    let sopt = DesiredAccount { dialect: Dialect::Sopt, ..account() };
    let mut scenario = Scenario::new()
        .contracts(&["rb2701.SHFE", "10009123.SSE"])
        .account("ctp-a-backup", backup)
        .account("sopt-main", sopt)
        .process("ctp-a-backup", ready(2))
        .process("sopt-main", ready(3))
        .exits("ctp-main", [exit(1, ago(10))]);
    scenario.observed.attached.insert(incarnation(1));
    scenario.check(&expect![[r#"
        status  ctp-a-backup Healthy: 1 of 1 contracts accepted
        status  ctp-main CoolingDown: signal 11; restarts in 1 s
        status  sopt-main Healthy: 1 of 1 contracts accepted
        route   10009123.SSE <- [sopt-main]
        route   rb2701.SHFE <- [ctp-a-backup ctp-main]
        wake    in 990 ms
    "#]]);
    scenario.observed.attached = BTreeSet::new();
    scenario.check(&expect![[r#"
        status  ctp-a-backup Healthy: 1 of 1 contracts accepted
        status  ctp-main CoolingDown: signal 11; restarts in 1 s
        status  sopt-main Healthy: 1 of 1 contracts accepted
        route   10009123.SSE <- [sopt-main]
        route   rb2701.SHFE <- [ctp-a-backup]
        wake    in 990 ms
    "#]]);
}

#[test]
fn a_source_of_converted_ticks_feeds_what_no_other_one_brings_and_nothing_else() {
    let converted = DesiredAccount { is_low_precision: true, ..account() };
    let exact = DesiredAccount { priority: 2, ..account() };
    let mut scenario = Scenario::new()
        .contracts(&["m2705.DCE", "rb2701.SHFE"])
        .account("a-converted", converted)
        .account("b-exact", exact)
        .process("a-converted", ready(1))
        .process("b-exact", ready(2));
    let routes = |scenario: &Scenario| {
        let plan = scenario.plan();
        let names = |ids: &Vec<AccountId>| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        plan.routes.iter().map(|(contract, ids)| (contract.to_string(), names(ids))).collect::<Vec<_>>()
    };
    let both = |m: &[&str], rb: &[&str]| {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        vec![("m2705.DCE".to_owned(), owned(m)), ("rb2701.SHFE".to_owned(), owned(rb))]
    };
    assert_eq!(routes(&scenario), both(&["b-exact"], &["b-exact"]));
    let fails = BTreeSet::from(["m2705.DCE".parse().expect("a contract")]);
    scenario.observed.fails.insert("b-exact".parse().expect("a slug"), fails);
    assert_eq!(routes(&scenario), both(&["a-converted", "b-exact"], &["b-exact"]), "what it does not bring");
    scenario.observed.gateways.retain(|id, _| id.as_str() != "b-exact");
    assert_eq!(routes(&scenario), both(&["a-converted"], &["a-converted"]), "nobody else is there");
}
