//! A finite world of one account for the explorer: what can be, what can happen, and what must never.
//!
//! Time counts in whole units and is stored as ages, which stop counting where no deadline can tell them apart any more; of
//! incarnations only the newest matters, of two settings only which one is wanted. So the world stays finite. It judges by
//! rules of its own: it shares no code with the planner, and keeps its own count of exits.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_reconciler::plan::{Action, Desired, DesiredAccount, Observed, Plan, Policy};
use mdhub_spec::account::{AccountId, Fingerprint};
use mdhub_spec::process::{Ending, Exit, FrontState, GatewayView, Incarnation, ProcessView};
use mdhub_spec::time::{Mono, Now};

use crate::views;

/// One unit of time, milliseconds.
const UNIT_MS: u64 = 1_000;
// Deadlines, in units.
const GRACE: u8 = 1;
const KILL_REPEAT: u8 = 1;
const SILENCE: u8 = 2;
const BACKOFF: [u8; 3] = [0, 1, 2];
const STABLE: u8 = 1;
/// The planner's instant, in units; only differences matter.
const NOW: u64 = 100;
/// The newest incarnation's counter; only differences matter.
const NEWEST: u64 = 10;

/// What the hub under test is made of.
pub(crate) struct Hub {
    /// The planner, or one with a planted bug.
    pub(crate) planner: fn(&Desired, &Observed, Now) -> Plan,
    /// Whether the manager refuses actions for another incarnation than the newest.
    pub(crate) fenced: bool,
}

/// What people want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wanted {
    Running,
    Disabled,
    Suspended,
    Deleted,
}

/// What a process was launched with, compared with what is wanted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fits {
    /// It is what is wanted.
    Yes,
    /// It has the account's other settings. An edit back makes it fit again.
    AfterAnEdit,
    /// A restart was asked for since.
    NeverAgain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Leaving {
    No,
    /// TERM was sent this long ago.
    Term(u8),
    /// KILL was last sent this long ago, and perhaps not for the first time.
    Kill(u8, Again),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Again {
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Fault {
    None,
    /// It ignores TERM.
    Deaf,
    /// It hangs: no Hello, no heartbeat, no answer to TERM.
    Hung,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    fits: Fits,
    /// Since it was last heard of.
    silent: u8,
    hello: bool,
    /// Since it was ready.
    ready: Option<u8>,
    leaving: Leaving,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Ended {
    fits: Fits,
    asked: bool,
    /// It was ended for its silence.
    silent: bool,
    /// It was ready for long enough when it ended.
    stable: bool,
}

impl Ended {
    /// What came before a restart by hand is nobody's business any more.
    const PAST: Self = Self { fits: Fits::NeverAgain, asked: false, silent: false, stable: false };

    fn change(self, change: impl Fn(Fits) -> Fits) -> Self {
        match change(self.fits) {
            Fits::NeverAgain => Self::PAST,
            fits => Self { fits, ..self },
        }
    }
}

/// Which process an action was planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whom {
    Newest,
    Older,
}

/// An action that was planned and is still under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Late {
    Start { after: Option<Whom>, fits: Fits },
    Terminate(Whom),
    Kill(Whom),
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A unit of time.
    Tick,
    /// The plan is made and done.
    Reconcile,
    /// The plan is made, but its action is delayed.
    Delay,
    /// The delayed action arrives.
    Arrive,
    /// The process takes its next step: Hello, Ready, or leaving as it was told. It is slow where this does not happen.
    Step,
    /// The process dies.
    Crash,
    /// From now on it ignores TERM.
    Deafen,
    /// From now on it hangs.
    Hang,
    /// The account changes to its other settings.
    Edit,
    /// Restart by hand.
    Restart,
    /// Enabled, started or created again.
    Want,
    /// Disabled.
    Disable,
    /// Stopped by hand.
    Suspend,
    /// Deleted.
    Delete,
    /// The hub ends, its workers with it, and starts anew.
    HubRestarts,
    /// What is wanted is read as it was before, or from somewhere that is behind.
    StaleRead,
}

impl Event {
    pub(crate) const ALL: [Self; 16] = [
        Self::Tick,
        Self::Reconcile,
        Self::Delay,
        Self::Arrive,
        Self::Step,
        Self::Crash,
        Self::Deafen,
        Self::Hang,
        Self::Edit,
        Self::Restart,
        Self::Want,
        Self::Disable,
        Self::Suspend,
        Self::Delete,
        Self::HubRestarts,
        Self::StaleRead,
    ];
}

/// All there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct World {
    wanted: Wanted,
    process: Option<Process>,
    /// What the manager keeps of them, oldest first.
    exits: [Option<Ended>; 2],
    /// Since the newest exit.
    exit_age: u8,
    late: Option<Late>,
    /// The judge's own count of unwanted exits in a row, and how long no start is allowed for them.
    row: u8,
    wait: u8,
}

type Checked = Result<(), &'static str>;

fn older(age: &mut u8, most: u8) {
    *age = (*age + 1).min(most);
}

impl World {
    /// An account that was just added.
    pub(crate) const fn new() -> Self {
        Self { wanted: Wanted::Running, process: None, exits: [None; 2], exit_age: 0, late: None, row: 0, wait: 0 }
    }

    /// The world after `event`, given the plan that was made in this one; the same one where nothing changes.
    pub(crate) fn after(&self, event: Event, hub: &Hub, plan: &Plan) -> Result<Self, &'static str> {
        let mut next = *self;
        match event {
            Event::Tick => next.tick(),
            Event::Reconcile => next.reconcile(hub, plan)?,
            Event::Delay => next.late = self.late.or_else(|| plan.actions.first().map(Late::of)),
            Event::Arrive => next.arrive(hub)?,
            Event::Step => next.step(),
            Event::Crash => next.end(),
            Event::Deafen => next.worsen(Fault::Deaf),
            Event::Hang => next.worsen(Fault::Hung),
            Event::Edit => next.change(|fits| match fits {
                Fits::Yes => Fits::AfterAnEdit,
                Fits::AfterAnEdit => Fits::Yes,
                Fits::NeverAgain => Fits::NeverAgain,
            }),
            Event::Restart => next.change(|_| Fits::NeverAgain),
            Event::Want => next.wanted = Wanted::Running,
            Event::Disable => next.wanted = Wanted::Disabled,
            Event::Suspend => next.wanted = Wanted::Suspended,
            Event::Delete => next.wanted = Wanted::Deleted,
            Event::HubRestarts => next = Self { wanted: self.wanted, ..Self::new() },
            Event::StaleRead => next.read_stale(hub)?,
        }
        Ok(next)
    }

    /// A round without faults: what is late arrives, the plan is done, the process does its part, time passes.
    pub(crate) fn round(&self, hub: &Hub) -> Result<Self, &'static str> {
        let mut next = *self;
        next.arrive(hub)?;
        let plan = hub.plan(&next);
        next.reconcile(hub, &plan)?;
        next.step();
        next.tick();
        Ok(next)
    }

    /// What is wanted is there, and nothing else.
    pub(crate) fn is_at_rest(&self) -> bool {
        let well = |p: &Process| p.ready.is_some() && p.leaving == Leaving::No && p.fault != Fault::Hung;
        self.late.is_none()
            && match self.wanted {
                Wanted::Running => self.process.is_some_and(|p| p.fits == Fits::Yes && well(&p)),
                Wanted::Disabled | Wanted::Suspended | Wanted::Deleted => self.process.is_none(),
            }
    }

    /// What holds of every plan in every state.
    pub(crate) fn check(&self, plan: &Plan) -> Checked {
        let running = self.wanted == Wanted::Running;
        let routed = plan.routes.values().any(|sources| !sources.is_empty());
        let heard_of = self.process.is_some_and(|p| p.silent < SILENCE);
        if routed && !heard_of {
            return Err("a sick source is routed");
        }
        if running && heard_of && !routed {
            return Err("a source that delivers is not routed");
        }
        if plan.actions.len() > 1 {
            return Err("two actions on one account");
        }
        let sleeps = plan.actions.is_empty() && plan.wake_at.is_none();
        if sleeps && (self.process.is_some() || running) {
            return Err("nobody wakes the planner when it is time");
        }
        Ok(())
    }

    /// The account changes: what there is fits differently, and the backoff begins anew.
    fn change(&mut self, change: impl Fn(Fits) -> Fits) {
        self.process.iter_mut().for_each(|p| p.fits = change(p.fits));
        self.exits = self.exits.map(|exit| exit.map(|e| e.change(&change)));
        if let Some(Late::Start { fits, .. }) = &mut self.late {
            *fits = change(*fits);
        }
        (self.row, self.wait) = (0, 0);
    }

    fn worsen(&mut self, fault: Fault) {
        self.process.iter_mut().for_each(|p| p.fault = p.fault.max(fault));
    }

    fn tick(&mut self) {
        self.wait = self.wait.saturating_sub(1);
        older(&mut self.exit_age, BACKOFF[2]);
        let Some(process) = &mut self.process else { return };
        let heartbeats = process.hello && process.fault != Fault::Hung;
        if heartbeats {
            process.silent = 0
        } else {
            older(&mut process.silent, SILENCE)
        }
        process.ready.iter_mut().for_each(|age| older(age, STABLE));
        match &mut process.leaving {
            Leaving::No => {}
            Leaving::Term(age) => older(age, GRACE),
            Leaving::Kill(age, _) => older(age, KILL_REPEAT),
        }
    }

    fn step(&mut self) {
        let Some(process) = &mut self.process else { return };
        match (process.leaving, process.fault) {
            (Leaving::Kill(..), _) | (Leaving::Term(_), Fault::None) => self.end(),
            (_, Fault::Hung) => {}
            _ if process.hello => process.ready = process.ready.or(Some(0)),
            _ => (process.hello, process.silent) = (true, 0),
        }
    }

    /// The process is gone.
    fn end(&mut self) {
        let Some(Process { fits, silent, ready, leaving, .. }) = self.process.take() else { return };
        let asked = leaving != Leaving::No;
        let silent = asked && silent >= SILENCE;
        let stable = ready.is_some_and(|ready| ready >= STABLE);
        self.exits = [self.exits[1], Some(Ended { fits, asked, silent, stable }.change(|fits| fits))];
        self.exit_age = 0;
        let unwanted = fits == Fits::Yes && (!asked || silent);
        self.row = match (unwanted, stable) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => (self.row + 1).min(2),
        };
        self.wait = BACKOFF[usize::from(self.row)];
    }

    fn reconcile(&mut self, hub: &Hub, plan: &Plan) -> Checked {
        plan.actions.iter().try_for_each(|action| {
            self.check_fresh(action)?;
            self.deliver(Late::of(action), hub)
        })
    }

    /// What holds of an action that is done as soon as it is planned.
    fn check_fresh(&self, action: &Action) -> Checked {
        let wanted = self.wanted == Wanted::Running;
        match (action, &self.process) {
            (Action::Start { .. }, _) if !wanted => Err("a start that nobody wants"),
            (Action::Start { .. }, _) => Ok(()),
            (_, None) => Err("an end of no process"),
            (Action::Terminate { .. }, Some(p)) if wanted && p.fits == Fits::Yes && p.silent < SILENCE => {
                Err("TERM for a process that is as it should be")
            }
            (Action::Terminate { .. }, Some(_)) => Ok(()),
            (Action::Kill { .. }, Some(process)) => match process.leaving {
                Leaving::Term(GRACE) | Leaving::Kill(KILL_REPEAT, _) => Ok(()),
                _ => Err("KILL before its time"),
            },
        }
    }

    /// What the plan for something that is not wanted does, nobody can call wrong, as long as it harms nobody.
    fn read_stale(&mut self, hub: &Hub) -> Checked {
        let wanted = if self.wanted == Wanted::Running { Wanted::Deleted } else { Wanted::Running };
        let plan = hub.plan(&Self { wanted, ..*self });
        plan.actions.iter().try_for_each(|action| self.deliver(Late::of(action), hub))
    }

    fn arrive(&mut self, hub: &Hub) -> Checked {
        self.late.take().map_or(Ok(()), |late| self.deliver(late, hub))
    }

    /// The manager does it, or refuses it as out of date.
    fn deliver(&mut self, action: Late, hub: &Hub) -> Checked {
        let newest = (self.process.is_some() || self.exits[1].is_some()).then_some(Whom::Newest);
        match action {
            Late::Start { after, .. } if hub.fenced && after != newest => {}
            Late::Terminate(Whom::Older) | Late::Kill(Whom::Older) if hub.fenced => {}
            Late::Terminate(Whom::Older) | Late::Kill(Whom::Older) if self.process.is_some() => {
                return Err("a late action hits a successor");
            }
            Late::Start { fits, .. } => return self.launch(fits),
            Late::Terminate(_) => {
                self.process.iter_mut().filter(|p| p.leaving == Leaving::No).for_each(|p| p.leaving = Leaving::Term(0));
            }
            Late::Kill(_) => {
                if let Some(process) = &mut self.process {
                    let again = if matches!(process.leaving, Leaving::Kill(..)) { Again::Yes } else { Again::No };
                    process.leaving = Leaving::Kill(0, again);
                }
            }
        }
        Ok(())
    }

    fn launch(&mut self, fits: Fits) -> Checked {
        if self.process.is_some() {
            return Err("two processes of one account");
        }
        if fits == Fits::Yes && self.wait > 0 {
            return Err("a start inside the backoff");
        }
        let (leaving, fault) = (Leaving::No, Fault::None);
        self.process = Some(Process { fits, silent: 0, hello: false, ready: None, leaving, fault });
        self.late = self.late.map(Late::overtaken);
        Ok(())
    }

    fn view(&self) -> GatewayView {
        let newest_exit = NEWEST - u64::from(self.process.is_some());
        let [before, last] = self.exits;
        // When the exit before the last one was does not matter to anybody.
        let before = before.map(|exit| exit.view(newest_exit - 1, self.exit_age + 1));
        let last = last.map(|exit| exit.view(newest_exit, self.exit_age));
        let exits = before.into_iter().chain(last).collect();
        GatewayView { process: self.process.as_ref().map(Process::view), exits }
    }
}

impl Late {
    fn of(action: &Action) -> Self {
        let whom = |i: &Incarnation| if i.counter == NEWEST { Whom::Newest } else { Whom::Older };
        match action {
            Action::Start { after, .. } => Self::Start { after: after.as_ref().map(whom), fits: Fits::Yes },
            Action::Terminate { incarnation, .. } => Self::Terminate(whom(incarnation)),
            Action::Kill { incarnation, .. } => Self::Kill(whom(incarnation)),
        }
    }

    /// The same action, now that there is a newer incarnation.
    fn overtaken(self) -> Self {
        match self {
            Self::Start { after, fits } => Self::Start { after: after.map(|_| Whom::Older), fits },
            Self::Terminate(_) => Self::Terminate(Whom::Older),
            Self::Kill(_) => Self::Kill(Whom::Older),
        }
    }
}

impl Hub {
    /// What the planner makes of `world`.
    pub(crate) fn plan(&self, world: &World) -> Plan {
        let id: AccountId = "ctp-main".parse().expect("a slug");
        let account = DesiredAccount {
            is_enabled: world.wanted != Wanted::Disabled,
            suspended: world.wanted == Wanted::Suspended,
            ..views::account()
        };
        let wanted = (world.wanted != Wanted::Deleted).then(|| (id.clone(), account));
        let ms = |units: u8| u64::from(units) * UNIT_MS;
        let desired = Desired {
            accounts: wanted.into_iter().collect(),
            contracts: BTreeSet::from(["rb2701.SHFE".parse().expect("a contract")]),
            policy: Policy {
                term_grace_ms: ms(GRACE),
                kill_repeat_ms: ms(KILL_REPEAT),
                silence_ms: ms(SILENCE),
                backoff_min_ms: ms(BACKOFF[1]),
                login_backoff_min_ms: 0,
                backoff_max_ms: ms(BACKOFF[2]),
                stable_ms: ms(STABLE),
                ..Policy::default()
            },
            ..Desired::default()
        };
        let observed = Observed { gateways: BTreeMap::from([(id, world.view())]), ..Observed::default() };
        (self.planner)(&desired, &observed, Now { mono: ago(0), wall_ns: 0 })
    }
}

/// The instant `age` units ago.
const fn ago(age: u8) -> Mono {
    Mono(0).plus_ms((NOW - age as u64) * UNIT_MS)
}

impl Fits {
    const fn launched_with(self) -> (Fingerprint, u64) {
        match self {
            Self::Yes => (Fingerprint(1), 1),
            Self::AfterAnEdit => (Fingerprint(2), 1),
            Self::NeverAgain => (Fingerprint(1), 0),
        }
    }
}

impl Process {
    fn view(&self) -> ProcessView {
        let (fingerprint, restart_generation) = self.fits.launched_with();
        let heard_at = self.hello.then(|| ago(self.silent));
        ProcessView {
            fingerprint,
            restart_generation,
            hello_at: heard_at,
            heartbeat_at: heard_at,
            ready_at: self.ready.map(ago),
            front: FrontState::LoggedIn { trading_day: "20261123".to_owned() },
            ending: match self.leaving {
                Leaving::No => Ending::No,
                Leaving::Term(age) => Ending::Terminating { since: ago(age) },
                Leaving::Kill(age, Again::No) => Ending::Killing { since: ago(age), last: ago(age) },
                Leaving::Kill(age, Again::Yes) => Ending::Killing { since: ago(age + KILL_REPEAT), last: ago(age) },
            },
            ..views::process(NEWEST, ago(self.silent))
        }
    }
}

impl Ended {
    fn view(&self, counter: u64, age: u8) -> Exit {
        let (fingerprint, restart_generation) = self.fits.launched_with();
        Exit {
            fingerprint,
            restart_generation,
            asked: self.asked,
            heard_at: ago(age + if self.silent { SILENCE } else { 0 }),
            ready_at: self.stable.then(|| ago(age + STABLE)),
            ..views::exit(counter, ago(age))
        }
    }
}
