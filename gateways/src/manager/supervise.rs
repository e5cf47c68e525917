//! One task for each process, from its first report until nothing of it lives.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use mdhub_spec::account::AccountId;
use mdhub_spec::frame;
use mdhub_spec::process::{ExitReason, Incarnation};
use rustix::process::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use super::children::MadeChild;
use super::commands::{self, Frame, Waiting};
use super::line::Line;
use super::spawner::Spawned;
use super::state::{Applied, Launching};
use super::stderr::{self, Budget, Lines};
use super::{Launched, Shared};
use crate::clock;

/// Room for one report, with much to spare. A longer one is a broken stream.
const REPORT_BYTES_MAX: usize = 64 * 1024;
/// Bytes taken in one read.
const READ_BYTES: usize = 8 * 1024;
/// Once the group is empty its pipes end, unless a descendant left the group and holds them: then nobody waits for it.
const DRAIN_WAIT: Duration = Duration::from_secs(2);
/// While a line has members it is swept after this, then after twice as long, up to [`KILL_INTERVAL_MAX`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause between two sweeps.
const KILL_INTERVAL_MAX: Duration = Duration::from_millis(512);
/// Sweeps in a row without a longer pause, while a line has members that were only just made.
const HUNTS_MAX: u32 = 500;
/// From one report that a line is still being killed to the next.
const TOLD_INTERVAL_MS: u64 = 1_000;

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
    start: Frame,
    spawned: Spawned,
) -> Result<Launched, String> {
    let Spawned { child, line, pidfd, commands, ticks, stderr, control } = spawned;
    let pipes = || -> io::Result<_> {
        let (commands, stderr) = (pipe::Sender::from_owned_fd(commands)?, pipe::Receiver::from_owned_fd(stderr)?);
        Ok((commands, stderr, pipe::Receiver::from_owned_fd(control)?, watched(pidfd)?))
    };
    let (pipe, stderr, control, pidfd) = match pipes() {
        Ok(pipes) => pipes,
        Err(e) => {
            child.end();
            return Err(format!("pipes: {e}"));
        }
    };
    let watch = Watch { shared: Arc::clone(shared), id: launching.account.clone(), incarnation: launching.incarnation };
    let (commands, waiting) = commands::queue();
    commands.put(start)?;
    shared.state().started(launching, child.pid(), commands);
    let pid = child.pid().as_raw_nonzero().get().cast_unsigned();
    tracing::info!(account = %watch.id, incarnation = %watch.incarnation, pid, "gateway started");
    tokio::spawn(async move {
        let feeding = tokio::spawn(watch.clone().feed(waiting, pipe));
        let mut reading = tokio::spawn(watch.clone().read_reports(control));
        let mut logging = tokio::spawn(watch.clone().read_log(stderr));
        // The task owns the only handle that can reap the child, and this descriptor outlives it.
        let _ = pidfd.readable().await;
        watch.empty(line, child.pid()).await;
        let drained = async { (&mut reading).await.and((&mut logging).await) };
        if tokio::time::timeout(DRAIN_WAIT, drained).await.is_err() {
            reading.abort();
            logging.abort();
        }
        feeding.abort();
        watch.end(child);
    });
    Ok(Launched { pid, ticks })
}

/// Does something with a line that reads much of `/proc`, on a thread that may block.
pub(super) async fn with<T: Send + 'static>(
    line: Line,
    work: impl FnOnce(&mut Line) -> T + Send + 'static,
) -> (Line, T) {
    let mut working = line;
    let done = tokio::task::spawn_blocking(move || {
        let outcome = work(&mut working);
        (working, outcome)
    });
    match done.await {
        Ok(done) => done,
        // Nothing in there panics, and a runtime that shuts down takes this task along.
        Err(_) => std::future::pending().await,
    }
}

/// Ends every member of a line, again and again until there is none. It does not give up: while a member lives, no other
/// process may be started for the account.
pub(super) async fn empty(shared: &Shared, id: &AccountId, mut line: Line) -> Line {
    let incarnation = line.incarnation;
    let (mut interval, mut hunts, mut told_at) = (FIRST_PAUSE, 0, None);
    loop {
        let (same, swept) = with(line, Line::sweep).await;
        line = same;
        match swept {
            Ok(true) => return line,
            Ok(false) => {}
            // Not knowing is no proof of emptiness.
            Err(e) => tracing::error!(account = %id, %incarnation, "its processes cannot be looked for: {e}"),
        }
        let now = clock::mono();
        // Told twice, it counts as stuck: so not before the first KILL had the time that a kernel takes.
        if told_at.is_none_or(|at| now.ms_since(at) >= TOLD_INTERVAL_MS) {
            told_at = Some(now);
            shared.state().kill_unasked(id, incarnation, None, now);
            shared.changed(id);
        }
        if line.is_fleeing && hunts < HUNTS_MAX {
            hunts += 1;
            tokio::time::sleep(FIRST_PAUSE).await;
        } else {
            pause(&mut interval).await;
        }
    }
}

/// Waits, twice as long the next time.
pub(super) async fn pause(interval: &mut Duration) {
    tokio::time::sleep(*interval).await;
    *interval = (*interval * 2).min(KILL_INTERVAL_MAX);
}

/// Registers a descriptor with the runtime.
#[expect(deprecated, reason = "it is unsound for types whose descriptor can change; that of an OwnedFd cannot")]
fn watched(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd)
}

impl Watch {
    /// Writes commands until the process is gone. One that does not read them is killed.
    async fn feed(self, waiting: Waiting, pipe: pipe::Sender) {
        if let Some(why) = waiting.write_to(pipe).await {
            tracing::error!(account = %self.id, incarnation = %self.incarnation, "{why}; the gateway is killed");
            self.shared.state().kill_unasked(&self.id, self.incarnation, Some(&why), clock::mono());
            self.shared.changed(&self.id);
        }
    }

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
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let read = pipe.read(&mut chunk).await.unwrap_or_default();
            let (mut kept, mut lost) = (Vec::new(), 0);
            let mut emit = |line: String| {
                let (may_pass, dropped) = budget.pass(clock::mono());
                if dropped > 0 {
                    tracing::warn!(
                        account,
                        incarnation,
                        dropped,
                        "log lines of the gateway dropped: too many in a second"
                    );
                }
                if may_pass {
                    stderr::log(&account, &incarnation, &line);
                }
                lost += u64::from(!may_pass);
                kept.push(line);
            };
            if read > 0 {
                lines.push(chunk.get(..read).unwrap_or_default(), &mut emit);
            } else {
                lines.finish(&mut emit);
            }
            self.shared.state().push_lines(&self.id, self.incarnation, kept, lost + lines.take_cut());
            if read == 0 {
                return;
            }
        }
    }

    /// Ends whatever the dead leader left behind. The leader is not reaped before, so its group's number stays its own.
    async fn empty(&self, line: Line, leader: Pid) {
        let line = Line { known: self.shared.children.kin(leader), ..line };
        let line = empty(&self.shared, &self.id, line).await;
        // Members that had no parent any more are the hub's children by now, and dead.
        let children = Arc::clone(&self.shared.children);
        with(line, move |_| children.look_after()).await;
    }

    /// Reaps the leader and records its end, in one step for all who look.
    fn end(self, child: MadeChild) {
        let mut state = self.shared.state();
        let reason = match child.reap() {
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
