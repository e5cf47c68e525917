//! One task for each process, from its first report to its empty group.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use mdhub_spec::account::AccountId;
use mdhub_spec::frame;
use mdhub_spec::process::{ExitReason, Incarnation};
use rustix::process::Pid;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use zeroize::Zeroizing;

use super::spawner::Spawned;
use super::state::{Applied, Launching};
use super::stderr::{self, Budget, Lines};
use super::{Launched, Shared, group};
use crate::clock;

/// Room for one report, with much to spare. A longer one is a broken stream.
const REPORT_BYTES_MAX: usize = 64 * 1024;
/// Bytes taken in one read.
const READ_BYTES: usize = 8 * 1024;
/// Once the group is empty its pipes end, unless a descendant left the group and holds them: then nobody waits for it.
const DRAIN_WAIT: Duration = Duration::from_millis(500);
/// KILL is repeated after 1 ms, 2 ms ... up to this, while the group has members.
const KILL_INTERVAL_MAX: Duration = Duration::from_millis(500);

/// One process.
#[derive(Clone)]
struct Watch {
    shared: Arc<Shared>,
    id: AccountId,
    incarnation: Incarnation,
}

/// Takes a new process under supervision: from here on it is observed.
pub(super) fn begin(
    shared: &Arc<Shared>,
    launching: &Launching,
    start: Zeroizing<Vec<u8>>,
    spawned: Spawned,
) -> Result<Launched, String> {
    let Spawned { mut child, pid, pidfd, commands, ticks, stderr, control } = spawned;
    let pipes = || -> io::Result<_> {
        let (commands, stderr) = (pipe::Sender::from_owned_fd(commands)?, pipe::Receiver::from_owned_fd(stderr)?);
        Ok((commands, stderr, pipe::Receiver::from_owned_fd(control)?, watched(pidfd)?))
    };
    let (commands, stderr, control, pidfd) = match pipes() {
        Ok(pipes) => pipes,
        Err(e) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("pipes: {e}"));
        }
    };
    let watch = Watch { shared: Arc::clone(shared), id: launching.account.clone(), incarnation: launching.incarnation };
    shared.state().started(launching, pid);
    let raw_pid = child.id();
    tracing::info!(account = %watch.id, incarnation = %watch.incarnation, pid = raw_pid, "gateway started");
    tokio::spawn(async move {
        let feeding = tokio::spawn(feed(commands, start));
        let mut reading = tokio::spawn(watch.clone().read_reports(control));
        let mut logging = tokio::spawn(watch.clone().read_log(stderr));
        // The task owns the only handle that can reap the child, and this descriptor outlives it.
        let _ = pidfd.readable().await;
        watch.empty_group(pid).await;
        let drained = async { (&mut reading).await.and((&mut logging).await) };
        if tokio::time::timeout(DRAIN_WAIT, drained).await.is_err() {
            reading.abort();
            logging.abort();
        }
        feeding.abort();
        watch.end(child);
    });
    Ok(Launched { pid: raw_pid, ticks })
}

/// Registers a descriptor with the runtime.
#[expect(deprecated, reason = "it is unsound for types whose descriptor can change; that of an OwnedFd cannot")]
fn watched(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd)
}

/// Writes the Start command, and holds the pipe open: its end would tell the worker to leave.
async fn feed(mut commands: pipe::Sender, start: Zeroizing<Vec<u8>>) {
    if let Err(e) = commands.write_all(&start).await {
        tracing::warn!("a gateway left before it read its Start command: {e}");
    }
    drop(start);
    std::future::pending::<()>().await;
}

impl Watch {
    async fn read_reports(self, mut control: pipe::Receiver) {
        let mut buffer = Vec::new();
        loop {
            buffer.reserve(READ_BYTES);
            match control.read_buf(&mut buffer).await {
                // A torn frame at the end is normal: its writer was killed.
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if let Err(why) = self.take_reports(&mut buffer) {
                tracing::error!(account = %self.id, incarnation = %self.incarnation, "control pipe: {why}; the gateway is killed");
                self.shared.state().kill_unasked(&self.id, self.incarnation, Some(&why), clock::mono());
                self.shared.changed(&self.id);
                return;
            }
        }
    }

    /// Applies every whole report in `buffer`.
    fn take_reports(&self, buffer: &mut Vec<u8>) -> Result<(), String> {
        let now = clock::mono();
        let (mut taken, mut applied) = (0, Applied::default());
        let mut outcome = Ok(());
        {
            let mut state = self.shared.state();
            while state.understands(&self.id, self.incarnation) {
                let frame = match frame::first(buffer.get(taken..).unwrap_or_default()) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(e) => {
                        outcome = Err(e.to_string());
                        break;
                    }
                };
                taken += frame.stream_bytes();
                let report = frame::report(&frame).map_err(|e| e.to_string());
                outcome = report.and_then(|r| state.apply(&self.id, self.incarnation, r, now, &mut applied));
                if outcome.is_err() {
                    break;
                }
            }
            if !state.understands(&self.id, self.incarnation) {
                taken = buffer.len();
            }
        }
        buffer.drain(..taken);
        for note in &applied.notes {
            tracing::warn!(account = %self.id, incarnation = %self.incarnation, "{note}");
        }
        if applied.is_changed {
            self.shared.changed(&self.id);
        }
        outcome?;
        if buffer.len() > REPORT_BYTES_MAX {
            return Err(format!("a report of over {REPORT_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    async fn read_log(self, mut pipe: pipe::Receiver) {
        let (account, incarnation) = (self.id.to_string(), self.incarnation.to_string());
        let (mut lines, mut budget) = (Lines::default(), Budget::default());
        let mut emit = |line: String| {
            let (may_pass, dropped) = budget.pass(clock::mono());
            if dropped > 0 {
                tracing::warn!(account, incarnation, dropped, "log lines of the gateway dropped: too many in a second");
            }
            if may_pass {
                stderr::log(&account, &incarnation, &line);
            }
            self.shared.state().push_line(&self.id, self.incarnation, line);
        };
        let mut chunk = vec![0; READ_BYTES];
        while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
            lines.push(chunk.get(..read).unwrap_or_default(), &mut emit);
        }
        lines.finish(&mut emit);
    }

    /// Ends whatever the dead leader left in its group. The leader is not reaped before, so the group's number stays its
    /// own.
    async fn empty_group(&self, pgid: Pid) {
        if let Err(e) = group::signal(pgid, rustix::process::Signal::KILL) {
            tracing::error!(account = %self.id, incarnation = %self.incarnation, "KILL to group {pgid:?}: {e}");
        }
        let mut interval = Duration::from_millis(1);
        while self.has_living(pgid).await {
            tokio::time::sleep(interval).await;
            interval = (interval * 2).min(KILL_INTERVAL_MAX);
            self.shared.state().kill_unasked(&self.id, self.incarnation, None, clock::mono());
        }
    }

    async fn has_living(&self, pgid: Pid) -> bool {
        match tokio::task::spawn_blocking(move || group::has_living(pgid)).await {
            Ok(Ok(has)) => has,
            // Not knowing is no proof of emptiness.
            Ok(Err(e)) => {
                tracing::error!(account = %self.id, "/proc cannot be read: {e}");
                true
            }
            Err(_) => true,
        }
    }

    /// Reaps the leader and records its end, in one step for all who look.
    fn end(self, mut child: Child) {
        let mut state = self.shared.state();
        let reason = match child.wait() {
            Ok(status) => exit_reason(status),
            Err(e) => ExitReason::NotStarted(format!("its exit status is lost: {e}")),
        };
        tracing::info!(account = %self.id, incarnation = %self.incarnation, "gateway ended: {reason}");
        state.ended(&self.id, self.incarnation, reason, clock::mono());
        drop(state);
        self.shared.gone.notify_waiters();
        self.shared.changed(&self.id);
    }
}

fn exit_reason(status: ExitStatus) -> ExitReason {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitReason::Code(code),
        (None, Some(signal)) => ExitReason::Signal(signal),
        (None, None) => ExitReason::Code(-1),
    }
}
