//! What workers are told, what they say on stderr, and what becomes of those that do not take part.

use std::collections::BTreeMap;

use mdhub_gateways::manager::Refused;
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{Ending, ExitReason, Incarnation, ProcessView};
use mdhub_spec::time::Mono;
use rustix::process::{Pid, Signal};

use super::harness::{
    Hub, PASSWORD, SOON, Wanted, act, acting, is_named, is_stopped, program, simulated_library, wait_until,
};

const ID: &str = "ctp-main";

fn id() -> AccountId {
    ID.parse().expect("a slug")
}

/// A worker on a market that is always open.
fn simulated(hub: &Hub) -> Option<Wanted> {
    let library = simulated_library()?;
    let address = "tcp://front.sim:41213".to_owned();
    let world = format!(
        r#"{{"seed":1,"market":{{"kind":"synthetic","interval_ms":100,"levels":5}},"fronts":{{"{address}":{{}}}}}}"#
    );
    let path = hub.flow_root.with_file_name("world.json");
    std::fs::write(&path, world).expect("written");
    let env = BTreeMap::from([("SIMAPI_WORLD".to_owned(), path.display().to_string())]);
    let contracts = vec!["rb2701.SHFE".parse().expect("valid")];
    Some(Wanted { kind: Dialect::Ctp, address, library, contracts, env, ..Wanted::default() })
}

#[tokio::test]
async fn a_healthy_worker_takes_commands_and_leaves_with_a_word_when_it_is_asked_to() {
    let hub = Hub::new(program("gateways-worker"));
    let Some(wanted) = simulated(&hub) else { return };
    let (_launched, life) = hub.start(ID, &wanted).await.expect("starts");
    hub.process(ID, "ready", |p| p.ready_at.is_some()).await;
    let more: Vec<Contract> = vec!["m2705.DCE".parse().expect("valid"), "au2702.SHFE".parse().expect("valid")];
    hub.manager.subscribe(&id(), life, &more).expect("running");
    hub.process(ID, "three acknowledged", |p| p.acknowledged == 3).await;
    hub.manager.unsubscribe(&id(), life, &more).expect("running");
    hub.manager.session(&id(), life, true).expect("running");
    hub.manager.stop(&id(), life).expect("running");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Code(0), true), "{:?}", exit.stderr);
    assert!(exit.bye.is_some() && exit.stderr.iter().all(|line| !line.contains(PASSWORD)), "{:?}", exit.stderr);
}

#[tokio::test]
async fn one_that_does_not_hear_the_command_gets_the_signal() {
    let hub = Hub::new(act());
    let (_launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    hub.manager.stop(&id(), life).expect("running");
    hub.process(ID, "asked", |p| matches!(p.ending, Ending::Terminating { .. })).await;
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(15), true));
}

#[tokio::test]
async fn every_command_is_fenced() {
    let hub = Hub::new(act());
    let (_launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    let stranger = Incarnation { counter: 99, ..life };
    let expected = Err(Refused::NotRunning { account: id(), given: stranger, found: Some(life) });
    let contracts = ["rb2701.SHFE".parse().expect("valid")];
    assert_eq!(hub.manager.subscribe(&id(), stranger, &contracts), expected);
    assert_eq!(hub.manager.unsubscribe(&id(), stranger, &contracts), expected);
    assert_eq!(hub.manager.session(&id(), stranger, true), expected);
    assert_eq!(hub.manager.stop(&id(), stranger), expected);
    assert_eq!(hub.process(ID, "untouched", |_| true).await.ending, Ending::No);
    hub.kill(ID, life).await;
}

/// More than a pipe holds.
fn many_contracts() -> Vec<Contract> {
    (0..20_000).map(|n| format!("rb{n:06}.SHFE").parse().expect("valid")).collect()
}

#[tokio::test]
async fn a_worker_that_never_reads_is_cut_within_seconds_and_its_exit_counts() {
    let hub = Hub::new(act());
    let (_launched, life) = hub.start(ID, &acting("stubborn")).await.expect("starts");
    hub.manager.subscribe(&id(), life, &many_contracts()).expect("the queue takes it");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(9), false));
    let why = "killed by the hub: it does not read its commands: one waits for 5 s";
    assert!(exit.stderr.contains(&why.to_owned()), "{:?}", exit.stderr);
}

#[tokio::test]
async fn commands_do_not_pile_up_for_a_worker_that_never_reads() {
    let hub = Hub::new(act());
    let (_launched, life) = hub.start(ID, &acting("stubborn")).await.expect("starts");
    hub.manager.subscribe(&id(), life, &many_contracts()).expect("the queue takes it");
    let refused = (0..100).find_map(|_| hub.manager.session(&id(), life, true).err());
    assert!(matches!(&refused, Some(Refused::Deaf { incarnation, .. }) if *incarnation == life), "{refused:?}");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(9), false));
    assert!(exit.stderr.iter().any(|line| line.ends_with("64 of them wait")), "{:?}", exit.stderr);
}

#[tokio::test]
async fn a_frozen_worker_is_seen_by_its_heartbeat_and_hears_term_all_the_same() {
    let hub = Hub::new(program("gateways-worker"));
    let Some(wanted) = simulated(&hub) else { return };
    let (launched, life) = hub.start(ID, &wanted).await.expect("starts");
    let (_other, other_life) = hub.start("other", &wanted).await.expect("starts");
    hub.process(ID, "a heartbeat", |p| p.heartbeat_at.is_some()).await;
    let pid = Pid::from_raw(launched.pid.cast_signed()).expect("positive");
    #[expect(clippy::disallowed_methods, reason = "the test is the disaster")]
    rustix::process::kill_process(pid, Signal::STOP).expect("frozen");
    wait_until("a stopped process", SOON, || is_stopped(launched.pid)).await;
    let beats = |since: Option<Mono>| move |p: &ProcessView| p.heartbeat_at > since;
    // What it sent before is read by the time that a later one of the other is.
    let seen = hub.process("other", "running", |_| true).await.heartbeat_at;
    let mut seen = hub.process("other", "a heartbeat of another", beats(seen)).await.heartbeat_at;
    let last = hub.process(ID, "still there", |_| true).await.heartbeat_at;
    for _ in 0..3 {
        seen = hub.process("other", "a later heartbeat of another", beats(seen)).await.heartbeat_at;
    }
    assert_eq!(hub.process(ID, "still there", |_| true).await.heartbeat_at, last, "a frozen one does not beat");
    hub.manager.terminate(&id(), life).expect("running");
    let exit = hub.exit(ID, life).await;
    assert!(exit.asked && exit.reason != ExitReason::Signal(9), "{:?}", exit.reason);
    hub.kill("other", other_life).await;
}

#[tokio::test]
async fn one_that_lives_on_without_its_tick_pipe_is_shown_and_killed() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("tickless")).await.expect("starts");
    let mut end = tokio::net::unix::pipe::Receiver::from_owned_fd(launched.ticks).expect("a pipe");
    let read = tokio::io::AsyncReadExt::read(&mut end, &mut [0; 8]).await;
    assert_eq!(read.ok(), Some(0), "the pipe ends though the process lives");
    hub.manager.ticks_ended(life);
    let seen = hub.process(ID, "without ticks", |p| p.ticks_ended_at.is_some()).await;
    assert_eq!(seen.ending, Ending::No);
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(9), false));
    let why = "killed by the hub: its tick pipe has ended, and it lives on";
    assert!(exit.stderr.contains(&why.to_owned()), "{:?}", exit.stderr);
}

#[tokio::test]
async fn a_flood_of_lines_is_bounded_cleaned_and_counted() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("flood")).await.expect("starts");
    let seen = hub.process(ID, "a loss", |p| p.log_lines_dropped > 0).await;
    assert!(seen.log_lines_dropped < 30_002, "{seen:?}");
    // By then it has written all, and what is in a pipe is read to its end.
    wait_until("the last line", SOON, || is_named(launched.pid, "sleep")).await;
    let exit = hub.kill(ID, life).await;
    assert_eq!(exit.stderr.len(), 50);
    assert_eq!(exit.stderr[49], "[31mred");
    assert_eq!((exit.stderr[48].chars().count(), exit.stderr[48].ends_with('…')), (4 * 1024 + 1, true));
}

#[tokio::test]
async fn a_worker_is_limited_before_its_first_command() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", launched.pid)).expect("readable");
    for (name, most) in [
        ("Max core file size", 0),
        ("Max open files", 1_024),
        ("Max address space", 8_u64 << 30),
        ("Max processes", 8_192),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("listed");
        let mut values = line.split_ascii_whitespace().take(2).map(|value| value.parse::<u64>());
        assert!(values.all(|value| value.is_ok_and(|value| value <= most)), "{name}: {line}");
    }
    hub.kill(ID, life).await;
}
