//! Whatever a worker's processes do in order not to be ended with it, they are.

use std::collections::BTreeMap;
use std::time::Duration;

use mdhub_spec::process::ExitReason;

use super::harness::{Hub, SOON, Wanted, act, acting, is_there, mark, sleeping, wait_until};

const ID: &str = "ctp-main";

fn marked(act: &'static str, mark: &str) -> Wanted {
    Wanted { env: BTreeMap::from([("MARK".into(), mark.into())]), ..acting(act) }
}

#[tokio::test]
async fn one_that_left_its_group_ends_with_its_worker() {
    for act_name in ["escape", "orphan"] {
        let (hub, mark) = (Hub::new(act()), mark());
        let (launched, life) = hub.start(ID, &marked(act_name, &mark)).await.expect("starts");
        wait_until("an escaped one", SOON, || sleeping(&mark).iter().any(|pid| group(*pid) != launched.pid)).await;
        let exit = hub.kill(ID, life).await;
        assert_eq!(exit.reason, ExitReason::Signal(9));
        assert_eq!((sleeping(&mark).len(), is_there(launched.pid)), (0, false), "{act_name}");
    }
}

#[tokio::test]
async fn one_that_left_everything_but_was_seen_before_ends_with_its_worker() {
    let (hub, mark) = (Hub::new(act()), mark());
    let (launched, life) = hub.start(ID, &marked("stranger", &mark)).await.expect("starts");
    let is_alone = || sleeping(&mark).iter().any(|pid| command(*pid) == "sleep" && command(parent(*pid)) != "sh");
    wait_until("one without a parent of ours", SOON, is_alone).await;
    assert!(sleeping(&mark).iter().all(|pid| group(*pid) != launched.pid));
    hub.kill(ID, life).await;
    assert_eq!(sleeping(&mark), Vec::<u32>::new());
}

#[tokio::test]
async fn one_that_has_nothing_but_the_lock_is_found_by_it() {
    let (hub, mark) = (Hub::new(act()), mark());
    let (_launched, life) = hub.start(ID, &marked("heir", &mark)).await.expect("starts");
    let exit = hub.exit(ID, life).await;
    assert_eq!((exit.reason, exit.asked), (ExitReason::Code(7), false));
    assert_eq!(sleeping(&mark), Vec::<u32>::new());
    hub.start(ID, &acting("obey")).await.expect("the lock is free");
    hub.manager.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_fork_bomb_is_killed_whole() {
    let (hub, mark) = (Hub::new(act()), mark());
    let (_launched, life) = hub.start(ID, &marked("bomb", &mark)).await.expect("starts");
    // Each of a hundred is between two of its children now and then.
    wait_until("many processes", SOON, || sleeping(&mark).len() >= 50).await;
    let exit = hub.kill(ID, life).await;
    assert_eq!(exit.reason, ExitReason::Signal(9));
    assert_eq!(sleeping(&mark), Vec::<u32>::new());
    // None is left that could make another.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(sleeping(&mark), Vec::<u32>::new());
}

#[tokio::test]
async fn one_that_flees_from_process_to_process_is_caught() {
    let (hub, mark) = (Hub::new(act()), mark());
    let (_launched, life) = hub.start(ID, &marked("comet", &mark)).await.expect("starts");
    let exit = hub.exit(ID, life).await;
    assert_eq!(exit.reason, ExitReason::Code(7));
    let marked = || {
        let environ = |pid: &u32| std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |pid: &u32| environ(pid).split(|b| *b == 0).any(|v| v == format!("MARK={mark}").as_bytes());
        let entries = std::fs::read_dir("/proc").expect("/proc");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(has).collect::<Vec<_>>()
    };
    assert_eq!(marked(), Vec::<u32>::new());
}

fn field(pid: u32, index: usize) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    rest.split(' ').nth(index).and_then(|f| f.parse().ok()).unwrap_or_default()
}

fn parent(pid: u32) -> u32 {
    field(pid, 1)
}

fn group(pid: u32) -> u32 {
    field(pid, 2)
}

fn command(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
