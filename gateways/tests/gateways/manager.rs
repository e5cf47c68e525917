//! The manager with real processes that behave well, badly, and not at all.

use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mdhub_gateways::manager::{Refused, StartError};
use mdhub_spec::process::{Ending, ExitReason, Incarnation};

use super::harness::{Hub, PASSWORD, SOON, Wanted, act, acting, is_there, living, wait_until};

const ID: &str = "ctp-main";

#[tokio::test]
async fn a_process_that_obeys_ends_by_term_and_leaves_no_zombie() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    let seen = hub.process(ID, "running", |p| p.pid == launched.pid).await;
    assert_eq!((seen.incarnation, seen.restart_generation, seen.ending), (life, 4, Ending::No));
    hub.manager.terminate(&ID.parse().expect("a slug"), life).expect("running");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(15), true));
    assert_eq!((living(launched.pid), is_there(launched.pid)), (vec![], false));
    assert!(hub.view(&ID.parse().expect("a slug")).process.is_none());
    assert!(hub.changes.load(Ordering::Relaxed) >= 3, "start, signal and end are told");
}

#[tokio::test]
async fn a_process_that_is_deaf_to_term_ends_by_kill() {
    let hub = Hub::new(act());
    let id = ID.parse().expect("a slug");
    let (launched, life) = hub.start(ID, &acting("stubborn")).await.expect("starts");
    // TERM before the script is deaf would end it.
    wait_until("deaf", SOON, || ignores_term(launched.pid)).await;
    hub.manager.terminate(&id, life).expect("running");
    let seen = hub.process(ID, "terminating", |p| matches!(p.ending, Ending::Terminating { .. })).await;
    assert_eq!(seen.pid, launched.pid);
    hub.manager.kill(&id, life).expect("still running");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(9), true));
    assert_eq!((living(launched.pid), is_there(launched.pid)), (vec![], false));
}

#[tokio::test]
async fn a_condemned_process_ends_at_once_and_its_exit_counts_as_its_own() {
    let hub = Hub::new(act());
    let id = ID.parse().expect("a slug");
    let (_, life) = hub.start(ID, &acting("stubborn")).await.expect("starts");
    hub.manager.condemn(&id, life, "it sent rubbish");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(9), false));
    assert!(exit.stderr.contains(&"killed by the hub: it sent rubbish".to_owned()), "{:?}", exit.stderr);
}

fn ignores_term(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:")).map(str::trim);
    mask.and_then(|m| u64::from_str_radix(m, 16).ok()).is_some_and(|m| m & (1 << 14) != 0)
}

#[tokio::test]
async fn grandchildren_go_with_their_group() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("family")).await.expect("starts");
    wait_until("a family", SOON, || living(launched.pid).len() >= 4).await;
    let exit = hub.kill(ID, life).await;
    assert_eq!(exit.reason, ExitReason::Signal(9));
    assert_eq!((living(launched.pid), is_there(launched.pid)), (vec![], false));
}

#[tokio::test]
async fn what_a_dead_leader_leaves_behind_is_ended_before_the_exit_is_told() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("widow")).await.expect("starts");
    let exit = hub.exit(ID, life).await;
    assert_eq!((living(launched.pid), is_there(launched.pid)), (vec![], false));
    assert_eq!((exit.reason, exit.asked), (ExitReason::Code(7), false));
    assert_eq!(exit.stderr, ["error last words"]);
}

#[tokio::test]
async fn an_exit_keeps_the_last_fifty_lines() {
    let hub = Hub::new(act());
    let (_launched, life) = hub.start(ID, &acting("talk")).await.expect("starts");
    let exit = hub.exit(ID, life).await;
    let expected: Vec<String> = (10..60).map(|n| format!("info line {n}")).collect();
    assert_eq!((exit.reason, exit.stderr), (ExitReason::Code(9), expected));
    assert!(exit.at > exit.started_at && exit.jitter_permille < 1000);
}

#[tokio::test]
async fn random_bytes_on_a_control_pipe_end_that_worker_and_no_other() {
    let hub = Hub::new(act());
    let (quiet, quiet_life) = hub.start("quiet", &acting("obey")).await.expect("starts");
    let (_launched, life) = hub.start(ID, &acting("noise")).await.expect("starts");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Signal(9), false));
    assert!(exit.stderr.iter().any(|line| line.starts_with("killed by the hub: ")), "{:?}", exit.stderr);
    let other = hub.process("quiet", "untouched", |p| p.ending == Ending::No).await;
    assert_eq!((other.pid, other.incarnation), (quiet.pid, quiet_life));
    hub.manager.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_fence_refuses_a_second_process_and_a_stale_action() {
    let hub = Hub::new(act());
    let id = ID.parse().expect("a slug");
    let (_launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    let second = hub.start(ID, &acting("obey")).await.map(|_| ());
    let exists = Refused::Exists { account: ID.parse().expect("a slug"), found: life };
    assert_eq!(second, Err(StartError::Refused(exists)));
    let stranger = Incarnation { counter: 99, ..life };
    let refused = hub.manager.kill(&id, stranger).map_err(|e| e.to_string());
    assert_eq!(refused, Err(format!("account {ID}: incarnation {stranger} is not running, {life} is")));
    hub.kill(ID, life).await;
    let mut stale = hub.launch(ID, &acting("obey"));
    stale.after = None;
    let refused = hub.manager.start(stale).await.map(|_| ());
    assert!(matches!(refused, Err(StartError::Refused(Refused::After { .. }))), "{refused:?}");
    let (_launched, next) = hub.start(ID, &acting("obey")).await.expect("the fence is met");
    hub.kill(ID, next).await;
}

#[tokio::test]
async fn of_many_starts_at_once_one_wins() {
    let hub = Hub::new(act());
    let launches: Vec<_> = (0..16).map(|_| hub.launch(ID, &acting("obey"))).collect();
    let tasks: Vec<_> = launches
        .into_iter()
        .map(|launch| {
            let manager = std::sync::Arc::clone(&hub.manager);
            tokio::spawn(async move { manager.start(launch).await.map(|launched| launched.pid) })
        })
        .collect();
    let mut pids = Vec::new();
    for task in tasks {
        pids.extend(task.await.expect("no panic").ok());
    }
    assert_eq!(pids.len(), 1);
    hub.manager.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_start_that_fails_is_an_exit_so_that_backoff_applies() {
    let hub = Hub::new("/nonexistent/program".into());
    let failed = hub.start(ID, &Wanted::default()).await.map(|_| ()).map_err(|e| e.to_string());
    assert!(failed.as_ref().is_err_and(|e| e.contains("/nonexistent/program")), "{failed:?}");
    let view = hub.view(&ID.parse().expect("a slug"));
    assert!(matches!(&view.exits[0].reason, ExitReason::NotStarted(why) if why.contains("No such file")));
    assert_eq!(view.exits.len(), 1);
    assert!(hub.start(ID, &Wanted::default()).await.is_err(), "tried again");
    assert_eq!(hub.view(&ID.parse().expect("a slug")).exits.len(), 2);
}

#[tokio::test]
async fn a_start_that_fits_into_no_frame_makes_no_process() {
    let hub = Hub::new(act());
    let contracts = (0..400_000).map(|n| format!("rb{n:06}.SHFE").parse().expect("valid")).collect();
    let failed = hub.start(ID, &Wanted { contracts, ..acting("obey") }).await.map(|_| ()).map_err(|e| e.to_string());
    assert!(failed.as_ref().is_err_and(|e| e.contains("the Start command")), "{failed:?}");
    assert!(!hub.lock_root.join(ID).exists(), "nothing was begun");
    let (_launched, life) = hub.start(ID, &acting("obey")).await.expect("the account is free");
    hub.kill(ID, life).await;
}

#[tokio::test]
async fn no_secret_and_nothing_of_the_hub_reaches_environment_or_command_line() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    // Until the script has become `sleep`, its command line is the one that it was given.
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", launched.pid)).expect("readable");
    let (environ, cmdline) = (read("environ"), read("cmdline"));
    for text in [&environ, &cmdline] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
    let allowed = ["ACT", "MDHUB_INCARNATION", "LANG", "LC_ALL", "TZ", "PWD", "SHLVL", "OLDPWD", "_"];
    for variable in environ.split('\0').filter(|v| !v.is_empty()) {
        let name = variable.split('=').next().unwrap_or_default();
        assert!(allowed.contains(&name), "{variable}");
    }
    // While a program is loaded it has a file open for a moment. One that was inherited stays.
    let has_its_own_only = || {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", launched.pid)).expect("readable");
        let mut numbers: Vec<u32> =
            descriptors.filter_map(|d| d.ok()?.file_name().to_str()?.parse().ok()).filter(|n| *n < 10).collect();
        numbers.sort_unstable();
        numbers == [0, 1, 2, 3, 4]
    };
    wait_until("descriptors 0 to 4 and no others", SOON, has_its_own_only).await;
    let flow_dir = std::fs::metadata(hub.flow_root.join(ID)).expect("made");
    assert_eq!(flow_dir.permissions().mode() & 0o777, 0o700);
    hub.kill(ID, life).await;
}

#[tokio::test]
async fn the_tick_pipe_has_room_for_a_burst_and_never_blocks_its_reader() {
    let hub = Hub::new(act());
    let (launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    assert_eq!(rustix::pipe::fcntl_getpipe_size(launched.ticks.as_fd()), Ok(1024 * 1024));
    let read = rustix::io::read(&launched.ticks, &mut [0; 8]);
    assert_eq!(read, Err(rustix::io::Errno::AGAIN));
    hub.kill(ID, life).await;
}

#[tokio::test]
async fn shutdown_ends_the_obedient_by_term_and_the_deaf_by_kill() {
    let hub = Hub::new(act());
    let (_obedient, obedient_life) = hub.start("obedient", &acting("obey")).await.expect("starts");
    let (deaf, deaf_life) = hub.start("deaf", &acting("stubborn")).await.expect("starts");
    wait_until("deaf", SOON, || ignores_term(deaf.pid)).await;
    // Time enough for the obedient on a busy machine.
    hub.manager.shutdown(Duration::from_secs(5)).await;
    assert_eq!(hub.exit("obedient", obedient_life).await.reason, ExitReason::Signal(15));
    assert_eq!(hub.exit("deaf", deaf_life).await.reason, ExitReason::Signal(9));
    let late = hub.start("late", &acting("obey")).await.map(|_| ());
    assert!(matches!(late, Err(StartError::Refused(Refused::Closing(_)))), "{late:?}");
}
