//! The one judgement on an account, from which action, status and wake-up are read.

use mdhub_spec::process::{Ending, Exit, GatewayView, ProcessView};
use mdhub_spec::time::Mono;

use super::backoff::{self, Backoff};
use super::health::{Ailment, Health};
use super::state::{Desired, DesiredAccount, Observed, Policy};

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
    /// Its tick pipe has ended, but it lives on.
    NoPipe,
    /// Its market is closed.
    Closed,
    /// Its worker lives, but what it delivers is nothing, or rubbish.
    Sick(Ailment),
}

impl Cause {
    /// Whether it is the process's own fault: its end then counts for the backoff.
    pub(super) const fn is_fault(self) -> bool {
        matches!(self, Self::Sick(_) | Self::Silent | Self::NoPipe)
    }
}

/// Why an account cannot run until it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block<'a> {
    /// The wiring found that it cannot be launched.
    Problem(&'a str),
    /// The worker's protocol version, which is not the hub's.
    ProtocolMismatch(u32),
    /// The front's code and words, twice: the credentials, the client or the account are wrong.
    Login(i32, &'a str),
}

/// What is to be done about one account now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// Not wanted and not there.
    Rest(Cause),
    /// It runs as wanted, and delivers so well.
    Keep(&'a ProcessView, Health),
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
            Self::Keep(process, _) | Self::End { process, .. } | Self::Leaving { process, .. } => Some(process),
            Self::Rest(_) | Self::Start | Self::CoolDown { .. } | Self::Blocked(_) => None,
        }
    }

    /// When the mere passing of time changes something: the verdict, or whether the process is sick.
    pub(super) fn due(&self, policy: &Policy, watching_since: Mono, now: Mono) -> Option<Mono> {
        let step = match self {
            Self::Leaving { kill_at, .. } => Some(*kill_at),
            Self::CoolDown { backoff, .. } => Some(backoff.until),
            Self::Rest(_) | Self::Keep(..) | Self::End { .. } | Self::Start | Self::Blocked(_) => None,
        };
        let silent = self.process().map(|process| silent_at(policy, process, watching_since));
        let pipe = self.process().and_then(|process| pipe_missed_at(policy, process));
        step.into_iter().chain(silent).chain(pipe).filter(|due| *due > now).min()
    }
}

/// Judges.
pub(super) fn judge<'a>(
    desired: &'a Desired,
    observed: &Observed,
    wanted: Option<&'a DesiredAccount>,
    view: &'a GatewayView,
    health: Health,
    now: Mono,
) -> Verdict<'a> {
    let policy = &desired.policy;
    let unwanted = unwanted(wanted, observed);
    let Some(process) = &view.process else {
        return match (unwanted, wanted) {
            (None, Some(account)) => without_process(desired, observed, account, &view.exits, now),
            (cause, _) => Verdict::Rest(cause.unwrap_or(Cause::Deleted)),
        };
    };
    let is_silent = silent_at(policy, process, observed.watching_since) <= now;
    let cause = unwanted
        .or_else(|| wanted.and_then(|account| misfit(account, process)))
        .or(is_silent.then_some(Cause::Silent))
        .or(pipe_missed_at(policy, process).is_some_and(|at| at <= now).then_some(Cause::NoPipe))
        .or_else(|| match health {
            _ if !health.is_over(now) => None,
            Health::Sick { ailment, .. } => Some(Cause::Sick(ailment)),
            _ => Some(Cause::Sick(Ailment::LostExchange)),
        });
    let kill_at = match process.ending {
        Ending::No => None,
        Ending::Terminating { since } => Some(since.plus_ms(policy.term_grace_ms)),
        Ending::Killing { last, .. } => Some(last.plus_ms(policy.kill_repeat_ms)),
    };
    match (kill_at, cause) {
        (Some(kill_at), cause) => Verdict::Leaving { process, cause, kill_at },
        (None, Some(cause)) => Verdict::End { process, cause },
        (None, None) => Verdict::Keep(process, health),
    }
}

/// Whether ticks of this process are not to be trusted any more.
pub(super) fn is_sick(policy: &Policy, process: &ProcessView, watching_since: Mono, now: Mono) -> bool {
    process.protocol_mismatch.is_some() || silent_at(policy, process, watching_since) <= now
}

fn silent_at(policy: &Policy, process: &ProcessView, watching_since: Mono) -> Mono {
    process.heard_at().max(watching_since).plus_ms(policy.silence_ms)
}

/// When a process that lives on without a tick pipe is no longer just about to end.
fn pipe_missed_at(policy: &Policy, process: &ProcessView) -> Option<Mono> {
    process.ticks_ended_at.map(|at| at.plus_ms(policy.pipe_grace_ms))
}

/// Whether a process was launched with what the account is now.
pub(super) fn fits(account: &DesiredAccount, process: &ProcessView) -> bool {
    misfit(account, process).is_none()
}

/// Why the account is to have no process.
fn unwanted(wanted: Option<&DesiredAccount>, observed: &Observed) -> Option<Cause> {
    let Some(account) = wanted else { return Some(Cause::Deleted) };
    if !account.is_enabled {
        Some(Cause::Disabled)
    } else if account.suspended {
        Some(Cause::Suspended)
    } else {
        observed.closed.contains_key(&account.dialect).then_some(Cause::Closed)
    }
}

/// Why the process is not the one that the account asks for.
fn misfit(account: &DesiredAccount, process: &ProcessView) -> Option<Cause> {
    if account.fingerprint != process.fingerprint {
        Some(Cause::Changed)
    } else if account.restart_generation != process.restart_generation {
        Some(Cause::RestartAsked)
    } else {
        process.protocol_mismatch.map(Cause::ProtocolMismatch)
    }
}

fn without_process<'a>(
    desired: &'a Desired,
    observed: &Observed,
    account: &'a DesiredAccount,
    exits: &'a [Exit],
    now: Mono,
) -> Verdict<'a> {
    if let Some(problem) = &account.problem {
        return Verdict::Blocked(Block::Problem(problem));
    }
    let last = exits.last();
    if let Some(version) = last.filter(|e| backoff::fits(account, e)).and_then(|e| e.protocol_mismatch) {
        return Verdict::Blocked(Block::ProtocolMismatch(version));
    }
    if let Some((code, words)) = backoff::refused_for_good(account, &desired.refused_codes, exits) {
        return Verdict::Blocked(Block::Login(code, words));
    }
    match (last, backoff::after(&desired.policy, account, &observed.ended_sick, exits)) {
        (Some(last), Some(backoff)) if backoff.until > now => Verdict::CoolDown { last, backoff },
        _ => Verdict::Start,
    }
}
