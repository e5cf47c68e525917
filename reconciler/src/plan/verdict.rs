//! The one judgement on an account, from which action, status and wake-up are read.

use mdhub_spec::process::{Ending, Exit, GatewayView, ProcessView};
use mdhub_spec::time::Mono;

use super::backoff::{self, Backoff};
use super::state::{DesiredAccount, Policy};

/// Why a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its account is gone.
    Deleted,
    /// Its account is out of the pool.
    Disabled,
    /// A person stopped it.
    Suspended,
    /// It runs with what the account was before.
    Changed,
    /// A person asked for a new process.
    RestartAsked,
    /// It speaks another protocol version, this one.
    ProtocolMismatch(u32),
    /// It is not heard of.
    Silent,
}

/// Why an account cannot run until it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block<'a> {
    /// The wiring found that it cannot be launched.
    Problem(&'a str),
    /// The worker's protocol version, which is not the hub's.
    ProtocolMismatch(u32),
}

/// What is to be done about one account now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// Not wanted and not there.
    Rest,
    /// It runs as wanted.
    Keep(&'a ProcessView),
    /// TERM.
    End { process: &'a ProcessView, cause: Cause },
    /// It was asked to leave; KILL, or KILL again, at `kill_at`. The cause may be gone by now.
    Leaving { process: &'a ProcessView, cause: Option<Cause>, kill_at: Mono },
    /// A new process.
    Start,
    /// A new process when the backoff is over.
    CoolDown { last: &'a Exit, backoff: Backoff },
    /// No process until the account changes.
    Blocked(Block<'a>),
}

impl<'a> Verdict<'a> {
    /// The process, if one exists.
    pub(super) const fn process(&self) -> Option<&'a ProcessView> {
        match self {
            Self::Keep(process) | Self::End { process, .. } | Self::Leaving { process, .. } => Some(process),
            Self::Rest | Self::Start | Self::CoolDown { .. } | Self::Blocked(_) => None,
        }
    }

    /// When the mere passing of time changes something: the verdict, or whether the process is sick.
    pub(super) fn due(&self, policy: &Policy, watching_since: Mono, now: Mono) -> Option<Mono> {
        let step = match self {
            Self::Leaving { kill_at, .. } => Some(*kill_at),
            Self::CoolDown { backoff, .. } => Some(backoff.until),
            Self::Rest | Self::Keep(_) | Self::End { .. } | Self::Start | Self::Blocked(_) => None,
        };
        let silent = self.process().map(|process| silent_at(policy, process, watching_since));
        step.into_iter().chain(silent).filter(|due| *due > now).min()
    }
}

/// Judges.
pub(super) fn judge<'a>(
    policy: &Policy,
    wanted: Option<&'a DesiredAccount>,
    view: &'a GatewayView,
    watching_since: Mono,
    now: Mono,
) -> Verdict<'a> {
    let Some(process) = &view.process else { return without_process(policy, wanted, &view.exits, now) };
    let cause =
        cause(wanted, process).or_else(|| (silent_at(policy, process, watching_since) <= now).then_some(Cause::Silent));
    let kill_at = match process.ending {
        Ending::No => None,
        Ending::Terminating { since } => Some(since.plus_ms(policy.term_grace_ms)),
        Ending::Killing { last, .. } => Some(last.plus_ms(policy.kill_repeat_ms)),
    };
    match (kill_at, cause) {
        (Some(kill_at), cause) => Verdict::Leaving { process, cause, kill_at },
        (None, Some(cause)) => Verdict::End { process, cause },
        (None, None) => Verdict::Keep(process),
    }
}

/// Whether ticks of this process are not to be trusted any more.
pub(super) fn is_sick(policy: &Policy, process: &ProcessView, watching_since: Mono, now: Mono) -> bool {
    process.protocol_mismatch.is_some() || silent_at(policy, process, watching_since) <= now
}

fn silent_at(policy: &Policy, process: &ProcessView, watching_since: Mono) -> Mono {
    process.heard_at().max(watching_since).plus_ms(policy.silence_ms)
}

/// Why a process is to be ended, but for its silence.
fn cause(wanted: Option<&DesiredAccount>, process: &ProcessView) -> Option<Cause> {
    let Some(account) = wanted else { return Some(Cause::Deleted) };
    if !account.is_enabled {
        Some(Cause::Disabled)
    } else if account.suspended {
        Some(Cause::Suspended)
    } else if account.fingerprint != process.fingerprint {
        Some(Cause::Changed)
    } else if account.restart_generation != process.restart_generation {
        Some(Cause::RestartAsked)
    } else {
        process.protocol_mismatch.map(Cause::ProtocolMismatch)
    }
}

fn without_process<'a>(
    policy: &Policy,
    wanted: Option<&'a DesiredAccount>,
    exits: &'a [Exit],
    now: Mono,
) -> Verdict<'a> {
    let Some(account) = wanted.filter(|a| a.is_enabled && !a.suspended) else { return Verdict::Rest };
    if let Some(problem) = &account.problem {
        return Verdict::Blocked(Block::Problem(problem));
    }
    let last = exits.last();
    if let Some(version) = last.filter(|e| backoff::fits(account, e)).and_then(|e| e.protocol_mismatch) {
        return Verdict::Blocked(Block::ProtocolMismatch(version));
    }
    match (last, backoff::after(policy, account, exits)) {
        (Some(last), Some(backoff)) if backoff.until > now => Verdict::CoolDown { last, backoff },
        _ => Verdict::Start,
    }
}
