//! What a killed hub leaves behind is ended by the next one, and nothing else is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mdhub_gateways::manager::StartError;
use mdhub_spec::process::{Ending, ExitReason};

use super::harness::{Hub, SOON, Wanted, act, acting, is_named, is_there, mark, program, sleeping, wait_until};

const ID: &str = "ctp-main";

#[expect(clippy::disallowed_methods, reason = "the test is the parent of hubs and bystanders")]
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::null());
    command
}

/// A hub of its own, with its files in `dir`.
fn hub(mode: &str, dir: &Path, act_name: &str, mark: &str) -> Child {
    let mut command = command(&program("gateways-hub"));
    command.arg(mode).args([act(), dir.to_owned()]).arg("/nonexistent.so");
    command.env("ACT", act_name).env("MARK", mark).env("PROOF", dir).spawn().expect("starts")
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

fn marked(act: &'static str, mark: &str) -> Wanted {
    Wanted { env: BTreeMap::from([("MARK".into(), mark.into())]), ..acting(act) }
}

#[tokio::test]
async fn an_account_waits_until_nothing_lives_that_a_killed_hub_left_behind() {
    for act_name in ["prove", "orphan"] {
        let (dir, mark) = (tempfile::tempdir().expect("a directory"), mark());
        let first = hub("hold", dir.path(), act_name, &mark);
        wait_until("a worker and its child", SOON, || !sleeping(&mark).is_empty()).await;
        end(first);
        assert!(!sleeping(&mark).is_empty(), "{act_name}: they are deaf, and nobody else ends them");
        let next = Hub::at(dir.path(), act());
        // What there was, is shown, and being ended; it lasts a while only where it is deaf to TERM.
        if act_name == "prove" {
            let seen = next.process(ID, "the leftover", |_| true).await;
            assert!(matches!(seen.ending, Ending::Terminating { .. }), "{seen:?}");
            let refused = next.start(ID, &acting("obey")).await.map(|_| ());
            assert!(matches!(refused, Err(StartError::Refused(_))), "{refused:?}");
        }
        next.until(ID, "an empty place", |view| view.process.is_none().then_some(())).await;
        assert_eq!(sleeping(&mark).len(), 0, "{act_name}");
        let (_launched, life) = next.start(ID, &acting("obey")).await.expect("the account is free");
        next.kill(ID, life).await;
    }
}

#[tokio::test]
async fn a_running_hubs_process_is_left_alone_and_its_lock_refuses_a_second_one() {
    let (dir, mark) = (tempfile::tempdir().expect("a directory"), mark());
    let first = hub("hold", dir.path(), "prove", &mark);
    wait_until("a worker and its child", SOON, || sleeping(&mark).len() == 2).await;
    let other = Hub::at(dir.path(), act());
    let refused = other.start(ID, &acting("obey")).await.map(|_| ()).map_err(|e| e.to_string());
    let told = format!("started by the hub {}", first.id());
    assert!(refused.as_ref().is_err_and(|e| e.contains("is held by incarnation") && e.contains(&told)), "{refused:?}");
    let view = other.view(&ID.parse().expect("a slug"));
    assert!(matches!(&view.exits[0].reason, ExitReason::NotStarted(why) if why.contains("is held by")), "it counts");
    assert_eq!(sleeping(&mark).len(), 2);
    end(first);
    drop(other);
    let next = Hub::at(dir.path(), act());
    next.until(ID, "an empty place", |view| view.process.is_none().then_some(())).await;
    assert_eq!(sleeping(&mark), Vec::<u32>::new());
}

#[tokio::test]
async fn a_process_that_has_the_number_of_a_leftover_is_not_hit() {
    let (dir, leftover, bystander) = (tempfile::tempdir().expect("a directory"), mark(), mark());
    let lock_root = dir.path().join("lock");
    fs::create_dir(&lock_root).expect("made");
    let innocent = command(Path::new("sleep")).arg(&bystander).process_group(0).spawn().expect("starts");
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("readable");
    // The hub's number and the worker's are both others' by now.
    let pid = innocent.id();
    let record = format!("{:<255}\n", format!("mdhub-lock-1 {} 77.1 {pid}@5 {pid}@6", boot_id.trim()));
    for (account, is_held) in [("ctp-main", true), ("ctp-free", false)] {
        let path = lock_root.join(account);
        fs::write(&path, &record).expect("written");
        if is_held {
            let script = r#"exec 4<"$0"; flock -n 4; exec sleep "$1""#;
            let holder =
                command(Path::new("sh")).args(["-c", script]).arg(&path).arg(&leftover).spawn().expect("starts");
            // The shell has the mark on its line before it has the lock.
            wait_until("a holder", SOON, || is_named(holder.id(), "sleep")).await;
            // Reaped when it has been ended: the test is its parent.
            std::thread::spawn(move || { holder }.wait());
        }
    }
    let hub = Hub::at(dir.path(), act());
    hub.until(ID, "an empty place", |view| view.process.is_none().then_some(())).await;
    wait_until("the holder's end", SOON, || sleeping(&leftover).is_empty()).await;
    for account in ["ctp-main", "ctp-free"] {
        let (_launched, life) = hub.start(account, &acting("obey")).await.expect("the account is free");
        hub.kill(account, life).await;
    }
    assert_eq!(sleeping(&bystander), vec![pid]);
    end(innocent);
}

#[tokio::test]
async fn lock_files_of_junk_and_what_is_no_file_hold_up_no_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let lock_root = dir.path().join("lock");
    fs::create_dir_all(lock_root.join("a-directory")).expect("made");
    fs::write(lock_root.join(ID), [0xff, b'@', 0, b'\n'].repeat(300_000)).expect("written");
    fs::write(lock_root.join("not a slug"), "mdhub-lock-1").expect("written");
    let pipe = lock_root.join("a-pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
    let hub = Hub::at(dir.path(), act());
    for account in ["a-directory", "a-pipe"] {
        assert!(hub.view(&account.parse().expect("a slug")).process.is_none(), "{account}");
    }
    let (_launched, life) = hub.start(ID, &acting("obey")).await.expect("the account is free");
    hub.kill(ID, life).await;
    assert!(hub.start("a-directory", &acting("obey")).await.is_err_and(|e| e.to_string().contains("a-directory")));
}

#[tokio::test]
async fn a_reader_of_the_lock_file_is_no_holder_of_the_lock() {
    let (hub, reader) = (Hub::new(act()), mark());
    let (_launched, life) = hub.start(ID, &acting("obey")).await.expect("starts");
    let script = r#"exec 4<"$0"; exec sleep "$1""#;
    let path = hub.lock_root.join(ID);
    let backup = command(Path::new("sh")).args(["-c", script]).arg(&path).arg(&reader).spawn().expect("starts");
    wait_until("a reader", SOON, || is_named(backup.id(), "sleep")).await;
    hub.kill(ID, life).await;
    assert_eq!(sleeping(&reader), vec![backup.id()]);
    end(backup);
}

#[tokio::test]
async fn a_hub_that_is_killed_under_load_and_started_at_once_never_has_two_processes_for_an_account() {
    let (dir, mark) = (tempfile::tempdir().expect("a directory"), mark());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    let started = || read("started").lines().count();
    for round in 0..10 {
        let before = started();
        let child = hub("load", dir.path(), "prove", &mark);
        // In another phase of its work each time.
        wait_until("some starts", Duration::from_secs(60), || started() >= before + 4 + round).await;
        end(child);
    }
    assert_eq!(read("doubled"), "");
    assert!(started() >= 85, "{}", started());
    let last = Hub::at(dir.path(), act());
    for account in ["load-0", "load-1", "load-2", "load-3"] {
        last.until(account, "an empty place", |view| view.process.is_none().then_some(())).await;
    }
    assert_eq!(sleeping(&mark), Vec::<u32>::new());
}

#[tokio::test]
async fn the_proof_of_two_processes_can_find_some() {
    let (dirs, mark) = ([(); 2].map(|()| tempfile::tempdir().expect("a directory")), mark());
    let proof = tempfile::tempdir().expect("a directory");
    let env = |mark: &str| {
        let proof = proof.path().display().to_string();
        BTreeMap::from([("MARK".into(), mark.into()), ("PROOF".into(), proof)])
    };
    // Two hubs that share no locks.
    let hubs = dirs.each_ref().map(|dir| Hub::at(dir.path(), act()));
    for hub in &hubs {
        hub.start(ID, &Wanted { env: env(&mark), ..marked("prove", &mark) }).await.expect("starts");
    }
    let doubled = || fs::read_to_string(proof.path().join("doubled")).unwrap_or_default();
    wait_until("a finding", SOON, || doubled().starts_with(ID)).await;
    for hub in &hubs {
        hub.manager.shutdown(Duration::from_millis(10)).await;
    }
    wait_until("an end of both", SOON, || sleeping(&mark).is_empty()).await;
    assert!(!is_there(0));
}
