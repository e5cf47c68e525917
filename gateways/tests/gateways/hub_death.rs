//! A whole hub process, killed or made to restart its worker many times.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mdhub_spec::account::GatewayKind;

use super::harness::{act, program, vendor_library, wait_until};

#[expect(clippy::disallowed_methods, reason = "the test is the hub's parent")]
fn hub(mode: &str, worker: &Path, flow_root: &Path, library: &Path) -> Command {
    let mut command = Command::new(program("gateways-hub"));
    command.arg(mode).args([worker, flow_root, library]).env("ACT", "obey").stdout(Stdio::piped());
    command
}

#[expect(clippy::disallowed_methods, reason = "the test plays the kernel's part")]
fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("signalled");
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn when_the_hub_is_killed_even_a_stopped_worker_is_gone_within_a_second() {
    let Some(library) = vendor_library(GatewayKind::Ctp) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    for is_stopped in [false, true] {
        let mut parent = hub("hold", &program("gateways-worker"), dir.path(), &library).spawn().expect("starts");
        let mut line = String::new();
        let out = parent.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
        let worker: u32 = line.trim().parse().expect("a process id");
        // Three threads of ours and the library's: it is past its tie to the parent.
        let threads = || std::fs::read_dir(format!("/proc/{worker}/task")).map_or(0, Iterator::count);
        wait_until("a connecting worker", Duration::from_secs(10), || threads() > 3).await;
        if is_stopped {
            // It cannot see that its commands end: only the kernel can end it.
            signal(worker, rustix::process::Signal::STOP);
        }
        parent.kill().expect("killed");
        parent.wait().expect("reaped");
        wait_until("the worker's end", Duration::from_secs(1), || !lives(worker)).await;
    }
}

#[test]
fn fifty_restarts_leak_no_descriptor_and_no_child() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = hub("cycle", &act(), dir.path(), Path::new("/nonexistent.so")).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<usize> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [before, after, children] = numbers[..] else { panic!("{text:?}") };
    assert_eq!((after, children), (before, 0));
}
