//! What is known of every account's processes: the fences before an action, and the reports applied after it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use mdhub_spec::account::{AccountId, Fingerprint};
use mdhub_spec::frame::{PROTOCOL_VERSION, Report};
use mdhub_spec::process::{Ending, Exit, ExitReason, FrontState, GatewayView, Incarnation, ProcessView, REFUSED_MAX};
use mdhub_spec::time::Mono;
use rustix::process::{Pid, Signal};

use super::commands::{Commands, Frame};
use super::leftover::Leftover;
use super::{Refused, signal};

/// Ends that are kept for each account.
const EXITS_MAX: usize = 16;
/// Lines of stderr that are kept for each account's process, or for its last one.
const STDERR_LINES_MAX: usize = 50;
/// Accounts that are remembered; beyond it the one whose last process ended first is forgotten.
const ACCOUNTS_MAX: usize = 1024;

/// A start under way.
#[derive(Debug, Clone)]
pub(super) struct Launching {
    pub(super) account: AccountId,
    pub(super) incarnation: Incarnation,
    pub(super) fingerprint: Fingerprint,
    pub(super) restart_generation: u64,
    pub(super) started_at: Mono,
}

/// A process that exists.
#[derive(Debug)]
struct Running {
    view: ProcessView,
    /// Of a process that another hub made there is neither group nor pipe: whoever ends it knows its members.
    ours: Option<Ours>,
    is_asked: bool,
    bye: Option<String>,
    stderr: VecDeque<String>,
}

/// What is had of a process that this manager made.
#[derive(Debug)]
struct Ours {
    /// Leads its group, and is not reaped before this is gone.
    leader: Pid,
    commands: Commands,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Empty,
    Launching(Incarnation),
    Running(Box<Running>),
}

#[derive(Debug, Default)]
struct Entry {
    slot: Slot,
    exits: VecDeque<Exit>,
}

impl Entry {
    fn incarnation(&self) -> Option<Incarnation> {
        match &self.slot {
            Slot::Empty => None,
            Slot::Launching(incarnation) => Some(*incarnation),
            Slot::Running(running) => Some(running.view.incarnation),
        }
    }

    fn record(&mut self, exit: Exit) {
        self.slot = Slot::Empty;
        // The lines of the last end are what people look at; those of sixteen would be megabytes, copied with every look.
        if let Some(before) = self.exits.back_mut() {
            before.stderr.clear();
        }
        if self.exits.len() == EXITS_MAX {
            self.exits.pop_front();
        }
        self.exits.push_back(exit);
    }
}

/// What one batch of reports did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// Whether anything but a heartbeat came.
    pub(super) is_changed: bool,
    /// For the log.
    pub(super) notes: Vec<String>,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct State {
    entries: BTreeMap<AccountId, Entry>,
    is_closing: bool,
}

impl State {
    /// Takes an account's place for a start, if the fence lets it.
    pub(super) fn reserve(&mut self, launching: &Launching, after: Option<Incarnation>) -> Result<(), Refused> {
        let account = launching.account.clone();
        if self.is_closing {
            return Err(Refused::Closing(account));
        }
        self.forget_beyond_limit(&account);
        let entry = self.entries.entry(account.clone()).or_default();
        if let Some(found) = entry.incarnation() {
            return Err(Refused::Exists { account, found });
        }
        let found = entry.exits.back().map(|exit| exit.incarnation);
        if found != after || found == Some(launching.incarnation) {
            return Err(Refused::After { account, after, found });
        }
        entry.slot = Slot::Launching(launching.incarnation);
        Ok(())
    }

    fn forget_beyond_limit(&mut self, newcomer: &AccountId) {
        if self.entries.len() < ACCOUNTS_MAX || self.entries.contains_key(newcomer) {
            return;
        }
        let idle = self.entries.iter().filter(|(_, entry)| matches!(entry.slot, Slot::Empty));
        let oldest = idle.min_by_key(|(_, entry)| entry.exits.back().map(|exit| exit.at)).map(|(id, _)| id.clone());
        if let Some(id) = oldest {
            self.entries.remove(&id);
        }
    }

    /// A start has become a process.
    pub(super) fn started(&mut self, launching: &Launching, leader: Pid, commands: Commands) {
        let pid = leader.as_raw_nonzero().get().cast_unsigned();
        self.occupy(launching, pid, Ending::No, Some(Ours { leader, commands }));
    }

    /// A process that another hub made, and that is being ended. It has its account's place until it is
    /// [`Self::forgotten`].
    pub(super) fn left_over(&mut self, leftover: &Leftover, now: Mono) {
        let (account, incarnation, fingerprint) = (leftover.account.clone(), leftover.line.incarnation, Fingerprint(0));
        let launching = Launching { account, incarnation, fingerprint, restart_generation: 0, started_at: now };
        let pid = leftover.line.leader.map_or(0, |leader| leader.pid.cast_unsigned());
        self.occupy(&launching, pid, Ending::Terminating { since: now }, None);
    }

    /// Nothing of such a process lives any more. It was no life of this hub's, so no exit is recorded.
    pub(super) fn forgotten(&mut self, account: &AccountId, incarnation: Incarnation) {
        if self.running(account, incarnation).is_some_and(|running| running.ours.is_none()) {
            self.entries.remove(account);
        }
    }

    fn occupy(&mut self, launching: &Launching, pid: u32, ending: Ending, ours: Option<Ours>) {
        let view = ProcessView {
            incarnation: launching.incarnation,
            pid,
            fingerprint: launching.fingerprint,
            restart_generation: launching.restart_generation,
            started_at: launching.started_at,
            ending,
            hello_at: None,
            protocol_mismatch: None,
            front: FrontState::Connecting,
            ready_at: None,
            heartbeat_at: None,
            acknowledged: 0,
            refused: BTreeMap::new(),
            unanswered: 0,
            ring_dropped: 0,
            log_lines_dropped: 0,
            ticks_ended_at: None,
        };
        let running = Running { view, ours, is_asked: false, bye: None, stderr: VecDeque::new() };
        self.entries.entry(launching.account.clone()).or_default().slot = Slot::Running(Box::new(running));
    }

    /// A start has come to nothing.
    pub(super) fn not_started(&mut self, launching: &Launching, why: &str, now: Mono) {
        let exit = Exit {
            incarnation: launching.incarnation,
            fingerprint: launching.fingerprint,
            restart_generation: launching.restart_generation,
            reason: ExitReason::NotStarted(why.to_owned()),
            started_at: launching.started_at,
            ready_at: None,
            heard_at: launching.started_at,
            protocol_mismatch: None,
            front: FrontState::Connecting,
            at: now,
            asked: false,
            bye: None,
            stderr: Vec::new(),
            jitter_permille: jitter_permille(),
        };
        self.entries.entry(launching.account.clone()).or_default().record(exit);
    }

    /// A process is reaped and its group empty.
    pub(super) fn ended(&mut self, id: &AccountId, incarnation: Incarnation, reason: ExitReason, now: Mono) {
        let Some(running) = self.running(id, incarnation) else { return };
        let exit = Exit {
            incarnation,
            fingerprint: running.view.fingerprint,
            restart_generation: running.view.restart_generation,
            reason,
            started_at: running.view.started_at,
            ready_at: running.view.ready_at,
            heard_at: running.view.heard_at(),
            protocol_mismatch: running.view.protocol_mismatch,
            front: running.view.front.clone(),
            at: now,
            asked: running.is_asked,
            bye: running.bye.take(),
            stderr: std::mem::take(&mut running.stderr).into(),
            jitter_permille: jitter_permille(),
        };
        if let Some(entry) = self.entries.get_mut(id) {
            entry.record(exit);
        }
    }

    fn running(&mut self, id: &AccountId, incarnation: Incarnation) -> Option<&mut Running> {
        match &mut self.entries.get_mut(id)?.slot {
            Slot::Running(running) if running.view.incarnation == incarnation => Some(running),
            _ => None,
        }
    }

    /// Signals a group because the hub's planner asks for it. Under the lock, and so before the leader is reaped: the
    /// group's number cannot have been given to another.
    pub(super) fn signal(
        &mut self,
        id: &AccountId,
        incarnation: Incarnation,
        signal: Signal,
        now: Mono,
    ) -> Result<(), Refused> {
        let found = self.entries.get(id).and_then(Entry::incarnation);
        let refused = Refused::NotRunning { account: id.clone(), given: incarnation, found };
        let running = self.running(id, incarnation).ok_or(refused)?;
        // One that was condemned, or left before anybody asked, has ended by itself all the same.
        running.is_asked |= running.view.ending == Ending::No;
        running.signal(signal, now);
        Ok(())
    }

    /// Hands a command to the process. One that does not take them is killed.
    pub(super) fn command(
        &mut self,
        id: &AccountId,
        incarnation: Incarnation,
        frame: Frame,
        now: Mono,
    ) -> Result<(), Refused> {
        let found = self.entries.get(id).and_then(Entry::incarnation);
        let refused = Refused::NotRunning { account: id.clone(), given: incarnation, found };
        let running = self.running(id, incarnation).ok_or(refused)?;
        let Some(Err(why)) = running.ours.as_ref().map(|ours| ours.commands.put(frame)) else { return Ok(()) };
        self.kill_unasked(id, incarnation, Some(&why), now);
        Err(Refused::Deaf { account: id.clone(), incarnation, why })
    }

    /// The process is asked to leave by a command; the signals come later, if they must.
    pub(super) fn asked_to_leave(&mut self, id: &AccountId, incarnation: Incarnation, now: Mono) {
        let Some(running) = self.running(id, incarnation) else { return };
        if running.view.ending == Ending::No {
            running.is_asked = true;
            running.view.ending = Ending::Terminating { since: now };
        }
    }

    /// Its tick pipe has ended; it lives on so far.
    pub(super) fn ticks_ended(&mut self, incarnation: Incarnation, now: Mono) -> Option<AccountId> {
        let id = self.entries.iter().find(|(_, entry)| entry.incarnation() == Some(incarnation))?.0.clone();
        let view = &mut self.running(&id, incarnation)?.view;
        view.ticks_ended_at = view.ticks_ended_at.or(Some(now));
        Some(id)
    }

    /// Kills a group that broke the protocol, or whose leader has died.
    pub(super) fn kill_unasked(&mut self, id: &AccountId, incarnation: Incarnation, why: Option<&str>, now: Mono) {
        let Some(running) = self.running(id, incarnation) else { return };
        if let Some(why) = why {
            running.push_line(format!("killed by the hub: {why}"));
        }
        running.signal(Signal::KILL, now);
    }

    /// Signals every process, and names the accounts.
    pub(super) fn signal_all(&mut self, signal: Signal, now: Mono) -> Vec<AccountId> {
        let mut signalled = Vec::new();
        for (id, entry) in &mut self.entries {
            if let Slot::Running(running) = &mut entry.slot {
                running.is_asked = true;
                running.signal(signal, now);
                signalled.push(id.clone());
            }
        }
        signalled
    }

    /// Signals those that were never signalled.
    pub(super) fn signal_unasked(&mut self, signal: Signal, now: Mono) {
        for entry in self.entries.values_mut() {
            if let Slot::Running(running) = &mut entry.slot
                && running.view.ending == Ending::No
            {
                running.is_asked = true;
                running.signal(signal, now);
            }
        }
    }

    /// From now on nothing is started.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
    }

    /// Whether no process exists and none is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.values().all(|entry| matches!(entry.slot, Slot::Empty))
    }

    pub(super) fn observe(&self) -> BTreeMap<AccountId, GatewayView> {
        let view = |entry: &Entry| GatewayView {
            process: match &entry.slot {
                Slot::Running(running) => Some(running.view.clone()),
                Slot::Empty | Slot::Launching(_) => None,
            },
            exits: entry.exits.iter().cloned().collect(),
        };
        self.entries.iter().map(|(id, entry)| (id.clone(), view(entry))).collect()
    }

    /// Keeps lines of a worker's stderr; of that many something did not reach the log.
    pub(super) fn push_lines(&mut self, id: &AccountId, incarnation: Incarnation, lines: Vec<String>, dropped: u64) {
        if let Some(running) = self.running(id, incarnation) {
            running.view.log_lines_dropped += dropped;
            lines.into_iter().for_each(|line| running.push_line(line));
        }
    }

    /// Whether a process's reports can be read at all: a worker of another protocol cannot be understood.
    pub(super) fn understands(&mut self, id: &AccountId, incarnation: Incarnation) -> bool {
        self.running(id, incarnation).is_some_and(|running| running.view.protocol_mismatch.is_none())
    }

    /// Takes one report in.
    pub(super) fn apply(
        &mut self,
        id: &AccountId,
        incarnation: Incarnation,
        report: Report,
        now: Mono,
        applied: &mut Applied,
    ) -> Result<(), String> {
        let Some(running) = self.running(id, incarnation) else { return Ok(()) };
        applied.is_changed |= !matches!(report, Report::Heartbeat { .. });
        match report {
            Report::Hello { protocol_version, account, incarnation: said } => {
                if (&account, said) != (id, incarnation) {
                    return Err(format!("its Hello is {account}'s {said}"));
                }
                if protocol_version == PROTOCOL_VERSION {
                    running.view.hello_at = Some(now);
                } else {
                    running.view.protocol_mismatch = Some(protocol_version);
                    applied
                        .notes
                        .push(format!("the worker speaks protocol {protocol_version}, the hub {PROTOCOL_VERSION}"));
                }
                Ok(())
            }
            other if running.view.hello_at.is_none() => Err(format!("its first report must be Hello, not {other:?}")),
            other => {
                running.apply(other, now, applied);
                Ok(())
            }
        }
    }
}

impl Running {
    fn push_line(&mut self, line: String) {
        if self.stderr.len() == STDERR_LINES_MAX {
            self.stderr.pop_front();
        }
        self.stderr.push_back(line);
    }

    fn signal(&mut self, signal: Signal, now: Mono) {
        self.view.ending = match (self.view.ending, signal) {
            (Ending::Killing { since, .. }, Signal::KILL) => Ending::Killing { since, last: now },
            (_, Signal::KILL) => Ending::Killing { since: now, last: now },
            (Ending::No, _) => Ending::Terminating { since: now },
            (ending, _) => ending,
        };
        let Some(ours) = &self.ours else { return };
        // One that is stopped hears TERM only when it goes on.
        let signals = [Some(signal), (signal == Signal::TERM).then_some(Signal::CONT)];
        for signal in signals.into_iter().flatten() {
            if let Err(e) = signal::group(ours.leader, signal) {
                let (incarnation, pid) = (self.view.incarnation, self.view.pid);
                tracing::error!(%incarnation, "signal {signal:?} to process group {pid}: {e}");
            }
        }
    }

    fn apply(&mut self, report: Report, now: Mono, applied: &mut Applied) {
        let view = &mut self.view;
        match report {
            Report::Hello { .. } => {}
            Report::LibraryLoaded { version, known } => {
                if !known {
                    applied.notes.push(format!("library version {version:?} is none that mdhub was tested with"));
                }
            }
            Report::FrontConnected => view.front = FrontState::Connected,
            Report::FrontDisconnected { reason } => {
                view.front = FrontState::Disconnected { reason };
                unsubscribed(view);
            }
            Report::LoggedIn { trading_day } => {
                view.front = FrontState::LoggedIn { trading_day };
                unsubscribed(view);
            }
            Report::LoginRefused { code, message } => view.front = FrontState::Refused { code, message },
            Report::SubscribeAck { symbol, refused: None } => {
                view.acknowledged = view.acknowledged.saturating_add(1);
                view.refused.remove(&symbol);
            }
            Report::SubscribeAck { symbol, refused: Some((code, words)) } => {
                if view.refused.len() < REFUSED_MAX {
                    view.refused.insert(symbol, format!("{code}, {words}"));
                }
            }
            Report::Ready { accepted } => {
                view.ready_at = view.ready_at.or(Some(now));
                view.acknowledged = accepted;
            }
            Report::Unanswered { count, first } => {
                view.unanswered = count;
                if count > 0 {
                    applied.notes.push(format!("{count} subscriptions are unanswered: {}", first.join(", ")));
                }
            }
            Report::Heartbeat { ring_dropped, .. } => {
                view.heartbeat_at = Some(now);
                applied.is_changed |= view.ring_dropped != ring_dropped;
                view.ring_dropped = ring_dropped;
            }
            Report::Bye { reason, .. } => self.bye = Some(reason),
        }
    }
}

/// What a new connection begins with.
fn unsubscribed(view: &mut ProcessView) {
    (view.ready_at, view.acknowledged, view.unanswered) = (None, 0, 0);
    view.refused.clear();
}

/// 0 to 999, from the randomness that the standard library seeds its maps with.
fn jitter_permille() -> u16 {
    u16::try_from(RandomState::new().hash_one(0u8) % 1000).unwrap_or_default()
}

#[cfg(test)]
mod tests;
