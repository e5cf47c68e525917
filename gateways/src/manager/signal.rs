//! How processes are signalled: a group that cannot have changed hands, or a process that has not.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs::Born;

/// Signals every process of a group, at one stroke: none of them can fork away. A group without members is no error.
///
/// Only for the group of a leader that this process has not reaped: the number is then no other group's.
#[expect(clippy::disallowed_methods, reason = "the one place that signals groups")]
pub(super) fn group(leader: Pid, signal: Signal) -> io::Result<()> {
    gone_is_fine(rustix::process::kill_process_group(leader, signal))
}

/// Signals the very process that was seen, and none that has its number now. One that is gone is no error. Says whether this
/// process may signal it at all: one of another user's only looks as if it belonged to a worker.
pub(super) fn process(process: Born, signal: Signal) -> io::Result<bool> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(true) };
    // What the descriptor refers to was there before it is compared: if the number had changed hands, it shows.
    let outcome = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) if Born::now(pid) == Some(process) => pidfd_send_signal(pidfd, signal),
        Ok(_) => Ok(()),
        Err(e) => Err(e),
    };
    if outcome == Err(Errno::PERM) { Ok(false) } else { gone_is_fine(outcome).map(|()| true) }
}

fn gone_is_fine(outcome: Result<(), Errno>) -> io::Result<()> {
    match outcome {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
