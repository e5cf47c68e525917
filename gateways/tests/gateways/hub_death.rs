//! A whole hub process, killed or made to restart its worker many times.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use mdhub_spec::dialect::Dialect;

use super::harness::{SOON, act, mark, program, vendor_library, wait_until};

#[expect(clippy::disallowed_methods, reason = "the test is the hub's parent")]
fn hub(mode: &str, worker: &Path, flow_root: &Path, library: &Path) -> Command {
    let mut command = Command::new(program("gateways-hub"));
    command.arg(mode).args([worker, flow_root, library]).env("ACT", "obey").stdout(Stdio::piped());
    command
}

fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn when_the_hub_is_killed_its_worker_goes_with_it_even_if_its_pipes_stay_open() {
    let Some(library) = vendor_library(Dialect::Ctp) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    for are_held in [false, true] {
        let mut parent = hub("hold", &program("gateways-worker"), dir.path(), &library).spawn().expect("starts");
        let mut line = String::new();
        let out = parent.stdout.take().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
        let worker: u32 = line.trim().parse().expect("a process id");
        // Three threads of ours and the library's: it is past its tie to the parent.
        let threads = || std::fs::read_dir(format!("/proc/{worker}/task")).map_or(0, Iterator::count);
        wait_until("a connecting worker", SOON, || threads() > 3).await;
        // With these the worker sees neither the end of its commands nor a broken pipe: only the kernel can end it.
        let pipe = |number| format!("/proc/{worker}/fd/{number}");
        let held = are_held.then(|| {
            let commands = File::options().write(true).open(pipe(0)).expect("another end of its commands");
            (commands, File::open(pipe(3)).expect("another end of its reports"))
        });
        parent.kill().expect("killed");
        parent.wait().expect("reaped");
        wait_until("the worker's end", SOON, || !lives(worker)).await;
        drop(held);
    }
}

/// Descriptors, threads, children and resident KiB of a hub after a tenth of its cycles, and after all.
fn costs(act_name: &str, cycles: u32) -> [[usize; 4]; 2] {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = hub("cycle", &act(), dir.path(), Path::new("/nonexistent.so"));
    let output =
        command.env("ACT", act_name).env("MARK", mark()).env("CYCLES", cycles.to_string()).output().expect("runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = |line: &str| line.split(' ').filter_map(|n| n.parse().ok()).collect::<Vec<usize>>().try_into();
    let lines: Vec<[usize; 4]> = text.lines().filter_map(|line| numbers(line).ok()).collect();
    assert!(lock_is_free(&dir.path().join("lock/ctp-main")), "{act_name}");
    lines.try_into().unwrap_or_else(|_| panic!("{text:?}"))
}

fn lock_is_free(path: &Path) -> bool {
    let file = File::open(path).expect("the lock's file");
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[test]
fn five_hundred_restarts_leave_no_zombie_descriptor_thread_lock_or_memory_behind() {
    for (act_name, cycles) in [("obey", 500), ("orphan", 60)] {
        let [early, late] = costs(act_name, cycles);
        let ([descriptors, threads, _, memory], [descriptors_late, threads_late, children_late, memory_late]) =
            (early, late);
        assert_eq!((descriptors_late, children_late), (descriptors, 0), "{act_name}: {early:?} {late:?}");
        // The runtime keeps idle threads for a while, as many as were busy at once.
        assert!(threads_late <= threads + 2, "{act_name}: {early:?} {late:?}");
        assert!(memory_late <= memory + 4 * 1024, "{act_name}: {early:?} {late:?}");
    }
}
