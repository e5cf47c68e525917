//! The worker itself, run by the manager.

use std::net::TcpListener;
use std::path::PathBuf;

use mdhub_gateways::worker::{EXIT_LIBRARY, EXIT_PIPE};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{ExitReason, FrontState};

use super::harness::{Hub, Wanted, program, vendor_library};

const ID: &str = "ctp-main";
const KINDS: [Dialect; 2] = [Dialect::Ctp, Dialect::Sopt];

#[tokio::test]
async fn a_library_that_is_refused_ends_the_worker_with_its_own_code_and_words() {
    let hub = Hub::new(program("gateways-worker"));
    let (_launched, life) = hub.start(ID, &Wanted::default()).await.expect("starts");
    let exit = hub.exit(ID, life).await;
    assert_eq!(exit.reason, ExitReason::Code(EXIT_LIBRARY));
    let bye = exit.bye.expect("said");
    assert!(bye.contains("/nonexistent.so"), "{bye}");
    assert!(exit.stderr.iter().any(|line| line.contains("exit code 3")), "{:?}", exit.stderr);
}

#[tokio::test]
async fn a_path_cannot_forge_a_line_of_the_log() {
    let hub = Hub::new(program("gateways-worker"));
    let library = "/none\nerror forged\u{1b}[31m.so".into();
    let (_launched, life) = hub.start(ID, &Wanted { library, ..Wanted::default() }).await.expect("starts");
    let exit = hub.exit(ID, life).await;
    assert_eq!(exit.reason, ExitReason::Code(EXIT_LIBRARY));
    assert!(exit.bye.as_ref().is_some_and(|bye| bye.contains("forged") && !bye.contains('\n')), "{:?}", exit.bye);
    let forged = |line: &String| line.starts_with("error forged") || line.contains('\u{1b}');
    assert!(!exit.stderr.iter().any(forged), "{:?}", exit.stderr);
}

#[tokio::test]
async fn the_other_flavours_library_and_a_changed_one_are_refused() {
    let (Some(ctp), Some(sopt)) = (vendor_library(Dialect::Ctp), vendor_library(Dialect::Sopt)) else {
        return;
    };
    let hub = Hub::new(program("gateways-worker"));
    for (library, sha256, part) in
        [(sopt, None, "a sopt library"), (ctp, Some("0".repeat(64)), "the settings pin 0000")]
    {
        let wanted = Wanted { library, sha256, ..Wanted::default() };
        let (_launched, life) = hub.start(ID, &wanted).await.expect("starts");
        let exit = hub.exit(ID, life).await;
        assert_eq!(exit.reason, ExitReason::Code(EXIT_LIBRARY));
        assert!(exit.bye.as_ref().is_some_and(|bye| bye.contains(part)), "{:?}", exit.bye);
    }
}

/// A front that takes every connection and closes it at once. The vendor's own library then calls back: which proves
/// slots and callbacks against the real thing.
fn closing_front() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || listener.incoming().for_each(drop));
    format!("tcp://{address}")
}

#[tokio::test]
async fn the_vendors_own_libraries_call_back_through_our_vtable() {
    for kind in KINDS {
        let Some(library) = vendor_library(kind) else { return };
        let hub = Hub::new(program("gateways-worker"));
        let wanted = Wanted { kind, library, address: closing_front(), ..Wanted::default() };
        let (_launched, life) = hub.start(ID, &wanted).await.expect("starts");
        let lost = FrontState::Disconnected { reason: 0x1001 };
        let seen =
            hub.process(ID, "a lost front and a heartbeat", |p| p.front == lost && p.heartbeat_at.is_some()).await;
        assert!(seen.hello_at.is_some() && seen.ready_at.is_none());
        let exit = hub.kill(ID, life).await;
        assert!(exit.stderr.iter().any(|line| line.contains("front disconnected")), "{kind}: {:?}", exit.stderr);
    }
}

#[tokio::test]
async fn a_worker_whose_ticks_nobody_reads_any_more_stays_until_it_has_one() {
    let Some(library) = vendor_library(Dialect::Ctp) else { return };
    let hub = Hub::new(program("gateways-worker"));
    let (launched, life) = hub.start(ID, &Wanted { library, ..Wanted::default() }).await.expect("starts");
    drop(launched);
    hub.process(ID, "a heartbeat", |p| p.heartbeat_at.is_some()).await;
    assert_ne!(hub.kill(ID, life).await.reason, ExitReason::Code(EXIT_PIPE));
}

#[expect(clippy::disallowed_methods, reason = "the test is a wrong parent")]
fn worker_of_nobody() -> std::process::Output {
    let mut command = std::process::Command::new::<PathBuf>(program("gateways-worker"));
    command.args(["gateway", "ctp", "--account", ID, "--incarnation", "1.1", "--parent-pid", "1"]);
    command.output().expect("runs")
}

#[test]
fn a_worker_whose_parent_is_not_the_hub_leaves_at_once() {
    let output = worker_of_nobody();
    assert_eq!(output.status.code(), Some(EXIT_PIPE));
    assert!(output.stdout.is_empty());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("the hub is 1"), "{words}");
}
