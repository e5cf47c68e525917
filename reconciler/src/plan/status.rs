//! What people are told about an account: conditions (the truth), a phase (one word) and why (one sentence).

use std::collections::BTreeSet;

use mdhub_spec::account::AccountId;
use mdhub_spec::condition::{Condition, ConditionStatus, ConditionType, Phase};
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::frame::PROTOCOL_VERSION;
use mdhub_spec::process::{Ending, Exit, FrontState, ProcessView};
use mdhub_spec::time::{Mono, NS_PER_MS};

use super::backoff::Backoff;
use super::health::{Ailment, Health, Hold};
use super::state::Desired;
use super::verdict::{Block, Cause, Verdict};

/// What people are told about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatus {
    /// Whose.
    pub id: AccountId,
    /// One word for the whole.
    pub phase: Phase,
    /// Every condition once, in the order of [`ConditionType`]. They change only when something happens, not with time.
    pub conditions: Vec<Condition>,
    /// One sentence: why this phase, and what comes next. It counts seconds down.
    pub why: String,
    /// When the next start is due, while one is waited for.
    pub next_start_at: Option<Mono>,
}

/// Contracts that a sentence names; more are counted.
const NAMES_MAX: usize = 5;

/// What a status is about.
pub(super) struct Subject<'a> {
    pub(super) id: &'a AccountId,
    pub(super) desired: &'a Desired,
    /// How many contracts it is to have.
    pub(super) subscribed: usize,
    /// Those of them that it does not bring.
    pub(super) fails: Option<&'a BTreeSet<Contract>>,
    /// Unwanted exits within the window.
    pub(super) crashes: u32,
    /// When its market is about to open.
    pub(super) reopens: Option<Mono>,
    pub(super) now: Mono,
}

/// Puts a verdict into words.
pub(super) fn status(subject: &Subject<'_>, verdict: &Verdict<'_>) -> AccountStatus {
    let rungs = rungs(verdict.process(), subject);
    let ready = ready(verdict, &rungs);
    let (phase, why) = phase_and_why(subject, verdict, &ready);
    let next_start_at = match verdict {
        Verdict::CoolDown { backoff, .. } => Some(backoff.until),
        _ => None,
    };
    let more = [canary(verdict), ready, blocked(verdict), crash_loop(subject), stuck(verdict)];
    let conditions = rungs.into_iter().chain(more).collect();
    AccountStatus { id: subject.id.clone(), phase, conditions, why, next_start_at }
}

fn condition(kind: ConditionType, status: ConditionStatus, reason: &str, message: impl Into<String>) -> Condition {
    Condition { kind, status, reason: reason.to_owned(), message: message.into() }
}

/// The ladder that a process climbs: each rung stands on the one before.
fn rungs(process: Option<&ProcessView>, subject: &Subject<'_>) -> [Condition; 4] {
    use ConditionStatus::{False, True, Unknown};
    use ConditionType::{FrontConnected, LoggedIn, ProcessRunning, Subscribed};
    let all = |first: Condition, status, reason, message: &str| {
        let rest = [FrontConnected, LoggedIn, Subscribed].map(|kind| condition(kind, status, reason, message));
        let [front, login, subscriptions] = rest;
        [first, front, login, subscriptions]
    };
    let Some(process) = process else {
        let none = condition(ProcessRunning, False, "NoProcess", "there is no process");
        return all(none, False, "NoProcess", "there is no process");
    };
    let runs = format!("process {}, incarnation {}", process.pid, process.incarnation);
    let running = condition(ProcessRunning, True, "Running", runs);
    if process.hello_at.is_none() {
        return all(running, Unknown, "NoHello", "the worker has not said Hello");
    }
    let [front, login] = front(&process.front);
    let subscriptions = match (process.ready_at, login.status) {
        (Some(_), True) => subscriptions(process, subject),
        (None, True) => {
            let message = format!("{} of {} contracts accepted so far", process.acknowledged, subject.subscribed);
            condition(Subscribed, False, "Subscribing", message)
        }
        _ => condition(Subscribed, False, "NotLoggedIn", "it comes after the login"),
    };
    [running, front, login, subscriptions]
}

/// Of a process that is ready. What is missing is named; the others go on.
fn subscriptions(process: &ProcessView, subject: &Subject<'_>) -> Condition {
    use ConditionStatus::{False, True};
    let refused = process.refused.iter().map(|(symbol, words)| format!("{symbol} ({words})"));
    let refused: Vec<String> = refused.collect();
    let silent = subject.fails.into_iter().flatten().filter(|c| !process.refused.contains_key(c.symbol()));
    let silent: Vec<String> = silent.map(ToString::to_string).collect();
    let mut message = format!("{} of {} contracts accepted", process.acknowledged, subject.subscribed);
    for (what, which) in [("refused", &refused), ("silent though others bring them", &silent)] {
        if !which.is_empty() {
            message += &format!("; {what}: {}", first(which));
        }
    }
    if process.unanswered > 0 {
        message += &format!("; unanswered: {}", process.unanswered);
    }
    let reason = match (refused.is_empty(), process.unanswered, silent.is_empty()) {
        (false, ..) => "Refused",
        (true, 1.., _) => "Unanswered",
        (true, 0, false) => "ContractsSilent",
        (true, 0, true) => "Acknowledged",
    };
    condition(ConditionType::Subscribed, if reason == "Acknowledged" { True } else { False }, reason, message)
}

/// The first few names, and how many more there are.
fn first(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn front(front: &FrontState) -> [Condition; 2] {
    use ConditionStatus::{False, True};
    use ConditionType::{FrontConnected, LoggedIn};
    let connected = || condition(FrontConnected, True, "Connected", "the front holds the connection");
    let no_login = || condition(LoggedIn, False, "NotConnected", "it comes after the connection");
    match front {
        FrontState::Connecting => {
            [condition(FrontConnected, False, "Connecting", "no front has answered yet"), no_login()]
        }
        FrontState::Disconnected { reason } => {
            let message = format!("the front went away: {reason:#x}, {}", disconnect_reason(*reason));
            [condition(FrontConnected, False, "Disconnected", message), no_login()]
        }
        FrontState::Connected => {
            [connected(), condition(LoggedIn, False, "LoggingIn", "the front has not answered the login")]
        }
        FrontState::LoggedIn { trading_day } => {
            [connected(), condition(LoggedIn, True, "LoggedIn", format!("trading day {trading_day}"))]
        }
        FrontState::Refused { code, message } => {
            let message = format!("the front refused the login: {code}, {message}");
            [connected(), condition(LoggedIn, False, "Refused", message)]
        }
    }
}

/// The vendor's reason codes for a lost front.
const fn disconnect_reason(reason: i32) -> &'static str {
    match reason {
        0x1001 => "reading failed",
        0x1002 => "writing failed",
        0x2001 => "its heartbeat timed out",
        0x2002 => "the heartbeat could not be sent",
        0x2003 => "it sent a bad packet",
        _ => "a reason that the vendor does not document",
    }
}

fn ready(verdict: &Verdict<'_>, rungs: &[Condition; 4]) -> Condition {
    use ConditionStatus::{False, True};
    if let Verdict::End { cause, .. } | Verdict::Leaving { cause: Some(cause), .. } = verdict {
        return condition(ConditionType::Ready, False, "Ending", cause_text(*cause));
    }
    if let Verdict::Leaving { cause: None, .. } = verdict {
        return condition(ConditionType::Ready, False, "Ending", CAUSE_GONE);
    }
    // One that is ready is so though some contracts are missing.
    let [.., subscribed] = rungs;
    let is_subscribed = !matches!(subscribed.reason.as_str(), "Subscribing" | "NotLoggedIn");
    match rungs.iter().find(|rung| rung.status != True && !(rung.kind == subscribed.kind && is_subscribed)) {
        Some(missing) => condition(ConditionType::Ready, False, &missing.reason, missing.message.clone()),
        None => condition(ConditionType::Ready, True, "Ready", rungs[3].message.clone()),
    }
}

fn blocked(verdict: &Verdict<'_>) -> Condition {
    use ConditionStatus::{False, True};
    let block = match verdict {
        Verdict::Blocked(block) => *block,
        Verdict::End { cause: Cause::ProtocolMismatch(version), .. }
        | Verdict::Leaving { cause: Some(Cause::ProtocolMismatch(version)), .. } => Block::ProtocolMismatch(*version),
        _ => return condition(ConditionType::Blocked, False, "NotBlocked", "nothing keeps it from running"),
    };
    match block {
        Block::Problem(problem) => condition(ConditionType::Blocked, True, "CannotLaunch", problem),
        Block::ProtocolMismatch(version) => {
            condition(ConditionType::Blocked, True, "ProtocolMismatch", mismatch_text(version))
        }
        Block::Login(code, words) => condition(ConditionType::Blocked, True, "LoginRefused", login_text(code, words)),
    }
}

fn canary(verdict: &Verdict<'_>) -> Condition {
    use ConditionStatus::{False, True, Unknown};
    let health = match verdict {
        Verdict::Keep(_, health) => health,
        _ => &Health::Unknown,
    };
    let (status, reason, message) = match health {
        Health::Unknown => (Unknown, "NotWatched", "no canary is to tick now".to_owned()),
        Health::Well { is_proven: true } => (True, "Fresh", "every watched exchange ticks".to_owned()),
        Health::Well { is_proven: false } => (Unknown, "Waiting", "the first ticks are waited for".to_owned()),
        Health::Degraded { silent, .. } => (False, "ExchangeSilent", format!("silent: {}; others tick", names(silent))),
        Health::Sick { ailment, .. } => (False, ailment_reason(*ailment), ailment_text(*ailment).to_owned()),
    };
    condition(ConditionType::CanaryFresh, status, reason, message)
}

fn crash_loop(subject: &Subject<'_>) -> Condition {
    use ConditionStatus::{False, True};
    let policy = &subject.desired.policy;
    if subject.crashes < policy.crash_exits {
        return condition(ConditionType::CrashLoop, False, "NoLoop", "it does not end again and again");
    }
    let minutes = policy.crash_window_ms / 60_000;
    let message = format!("{} or more unwanted exits in {minutes} min; it goes on trying", policy.crash_exits);
    condition(ConditionType::CrashLoop, True, "TooManyExits", message)
}

fn names(exchanges: &BTreeSet<Exchange>) -> String {
    exchanges.iter().map(|exchange| exchange.as_str()).collect::<Vec<_>>().join(", ")
}

const fn ailment_reason(ailment: Ailment) -> &'static str {
    match ailment {
        Ailment::NoTicks => "NoTicks",
        Ailment::LostExchange => "LostExchange",
        Ailment::Garbage => "Garbage",
    }
}

const fn ailment_text(ailment: Ailment) -> &'static str {
    match ailment {
        Ailment::NoTicks => "it is logged in, but none of its watched exchanges ticks",
        Ailment::LostExchange => "it has lost an exchange that it had",
        Ailment::Garbage => "most of its ticks are rejected",
    }
}

/// What a sick source waits for.
fn hold_text(hold: &Hold, now: Mono) -> String {
    match hold {
        Hold::Until(at) => format!("restarts in {}", seconds(*at, now)),
        Hold::MarketSilent(at) => {
            format!("nor do the others, so perhaps the market is silent; held for {}", seconds(*at, now))
        }
        Hold::Turn => "another source is restarted first".to_owned(),
        Hold::OnlyDeliverer(exchange) => format!("it goes on, since nobody else delivers {exchange}"),
    }
}

fn stuck(verdict: &Verdict<'_>) -> Condition {
    use ConditionStatus::{False, True};
    match verdict.process().map(|p| (p, p.ending)) {
        // A second KILL was needed: the first one had all the time that a kernel takes.
        Some((process, Ending::Killing { since, last })) if last > since => {
            let message = format!("process group {} survives KILL; it waits in the kernel", process.pid);
            condition(ConditionType::Stuck, True, "SurvivesKill", message)
        }
        _ => condition(ConditionType::Stuck, False, "NotStuck", "no process survives its KILL"),
    }
}

fn phase_and_why(subject: &Subject<'_>, verdict: &Verdict<'_>, ready: &Condition) -> (Phase, String) {
    let now = subject.now;
    match verdict {
        Verdict::Rest(cause) => {
            let opens = subject.reopens.filter(|_| *cause == Cause::Closed);
            let opens = opens.map_or_else(String::new, |at| format!("; it starts in {}", seconds(at, now)));
            (Phase::Stopped, cause_text(*cause) + &opens)
        }
        Verdict::Keep(process, _) if process.hello_at.is_none() => {
            (Phase::Starting, format!("{}; it was started {} ago", ready.message, seconds(now, process.started_at)))
        }
        Verdict::Keep(_, Health::Sick { ailment, hold }) => {
            (Phase::Unhealthy, format!("{}; {}", ailment_text(*ailment), hold_text(hold, now)))
        }
        Verdict::Keep(_, Health::Degraded { silent, hold }) => {
            let hold = hold.as_ref().map_or_else(String::new, |hold| format!("; {}", hold_text(hold, now)));
            (Phase::Degraded, format!("{}; silent: {}{hold}", ready.message, names(silent)))
        }
        Verdict::Keep(..) if ready.status == ConditionStatus::True => (Phase::Healthy, ready.message.clone()),
        Verdict::Keep(..) => (Phase::Connecting, ready.message.clone()),
        Verdict::End { cause, .. } => (Phase::Stopping, format!("{}; TERM now", cause_text(*cause))),
        Verdict::Leaving { process, cause, kill_at } => {
            let cause = cause.map_or_else(|| CAUSE_GONE.to_owned(), cause_text);
            let again = if matches!(process.ending, Ending::Killing { .. }) { "KILL again" } else { "KILL" };
            let when = if *kill_at <= now { "now".to_owned() } else { format!("in {}", seconds(*kill_at, now)) };
            (Phase::Stopping, format!("{cause}; {again} {when}"))
        }
        Verdict::Start => (Phase::Starting, "a process is started".to_owned()),
        Verdict::CoolDown { last, backoff } => (Phase::CoolingDown, cool_down_text(last, backoff, now)),
        Verdict::Blocked(Block::Problem(problem)) => (Phase::Blocked, (*problem).to_owned()),
        Verdict::Blocked(Block::ProtocolMismatch(version)) => {
            (Phase::Blocked, format!("{}; it waits for a restart by hand", mismatch_text(*version)))
        }
        Verdict::Blocked(Block::Login(code, words)) => {
            (Phase::Blocked, format!("{}; it waits until the account changes", login_text(*code, words)))
        }
    }
}

/// Of a process that was asked to leave, when the account has been changed back meanwhile.
const CAUSE_GONE: &str = "it was asked to leave; a new one follows";

fn cause_text(cause: Cause) -> String {
    match cause {
        Cause::Deleted => "the account was deleted".to_owned(),
        Cause::Disabled => "the account is disabled".to_owned(),
        Cause::Suspended => "it is stopped by hand".to_owned(),
        Cause::Changed => "the account has changed".to_owned(),
        Cause::RestartAsked => "a restart was asked for".to_owned(),
        Cause::ProtocolMismatch(version) => mismatch_text(version),
        Cause::Silent => "the worker is not heard of".to_owned(),
        Cause::NoPipe => "its tick pipe has ended".to_owned(),
        Cause::Closed => "its market is closed".to_owned(),
        Cause::Sick(ailment) => ailment_text(ailment).to_owned(),
    }
}

fn login_text(code: i32, words: &str) -> String {
    format!("the front refuses the login for good: {code}, {words}")
}

fn mismatch_text(version: u32) -> String {
    format!("the worker speaks protocol version {version}, the hub {PROTOCOL_VERSION}")
}

fn cool_down_text(last: &Exit, backoff: &Backoff, now: Mono) -> String {
    let row = if backoff.exits == 1 { String::new() } else { format!(", exit {} in a row", backoff.exits) };
    // Of those that were asked only the sick back off.
    let sick = if last.asked { "ended by the hub for being sick, " } else { "" };
    let bye = last.bye.as_ref().map(|bye| format!(" ({bye})")).unwrap_or_default();
    format!("{sick}{}{bye}{row}; restarts in {}", last.reason, seconds(backoff.until, now))
}

/// Whole seconds from `earlier` to `later`, rounded up.
fn seconds(later: Mono, earlier: Mono) -> String {
    format!("{} s", later.0.saturating_sub(earlier.0).div_ceil(1_000 * NS_PER_MS))
}
