//! A finite world of two sources that share one contract, each of them or both to have it, for the explorer of assignments.
//!
//! Time counts in whole units and is stored as ages that stop counting where no deadline can tell them apart. What the hub has
//! told a worker is its own memory, and gone with the hub and its workers. The judge looks at who really has the contract
//! and who really delivers, and shares no code with the planner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mdhub_reconciler::plan::{Action, Assignment, Desired, DesiredAccount, Observed, Plan, Policy, Spread, Subscribed};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::process::{FrontState, GatewayView, ProcessView};
use mdhub_spec::time::{Mono, Now};

use crate::views;

const UNIT_MS: u64 = 1_000;
// Deadlines, in units.
const SILENCE: u8 = 1;
const HANDOVER: u8 = 1;
const COOL_DOWN: u8 = 1;
/// The longest that counts from a tick; ages beyond it are one.
const SICK: u8 = SILENCE + COOL_DOWN;
const NOW: u64 = 100;
const CANARY: &str = "rb2701.SHFE";
const SHARED: &str = "au2702.SHFE";
pub(crate) const IDS: [&str; 2] = ["main", "sub"];

pub(crate) type Planner = fn(&Desired, &Observed, Now) -> Plan;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    /// Since its start, which is also when it was told of what it has from the start.
    started: u8,
    /// Since it was ready.
    ready: Option<u8>,
    /// Whether it was told to have the shared contract, and since when.
    has: Option<u8>,
    /// Its front delivers nothing any more.
    stalled: bool,
    /// Its front does not deliver the shared contract, and the hub knows it.
    fails: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source {
    process: Option<Process>,
    /// Since its last tick of the canary.
    ticked: Option<u8>,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Tick,
    /// The plan is made, and done.
    Reconcile,
    /// The plan is made; whoever carries it out is slow.
    Plan,
    /// The plan of before is done, whatever has happened since.
    CarryOut,
    /// The process becomes ready.
    Step(usize),
    Crash(usize),
    /// Its front delivers nothing any more.
    Stall(usize),
    /// Its front delivers everything but the shared contract.
    Fail(usize),
    /// The hub ends, and starts anew.
    Restart,
}

impl Event {
    pub(crate) const ALL: [Self; 13] = [
        Self::Tick,
        Self::Reconcile,
        Self::Plan,
        Self::CarryOut,
        Self::Step(0),
        Self::Step(1),
        Self::Crash(0),
        Self::Crash(1),
        Self::Stall(0),
        Self::Stall(1),
        Self::Fail(0),
        Self::Fail(1),
        Self::Restart,
    ];
}

/// Who was to have the shared contract, by a plan that is not done yet.
type Late = Option<[bool; 2]>;

/// All there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct World {
    redundancy: u32,
    sources: [Source; 2],
    late: Late,
}

fn older(age: &mut u8, most: u8) {
    *age = (*age + 1).min(most);
}

const fn ago(age: u8) -> Mono {
    Mono(0).plus_ms((NOW - age as u64) * UNIT_MS)
}

fn contract(name: &str) -> Contract {
    name.parse().expect("a contract")
}

fn id(index: usize) -> AccountId {
    IDS[index].parse().expect("a slug")
}

impl World {
    pub(crate) const fn new(redundancy: u32) -> Self {
        Self { redundancy, sources: [Source { process: None, ticked: None }; 2], late: None }
    }

    pub(crate) fn after(&self, event: Event, plan: &Plan) -> Result<Self, &'static str> {
        let mut next = *self;
        match event {
            Event::Tick => next.tick(),
            Event::Reconcile => next.reconcile(plan)?,
            Event::Plan => next.late = self.late.or_else(|| Some(given(plan.assignment.as_ref()))),
            Event::CarryOut => {
                if let Some(given) = next.late.take() {
                    next.tell(given);
                }
            }
            Event::Step(source) => next.step(source),
            Event::Crash(source) => next.sources[source] = Source { process: None, ..self.sources[source] },
            Event::Stall(source) => next.change(source, |process| process.stalled = true),
            // Only what it was told to have can fail.
            Event::Fail(source) => next.change(source, |process| process.fails |= process.has.is_some()),
            Event::Restart => next = Self::new(self.redundancy),
        }
        Ok(next)
    }

    /// A round without faults: what is late is done, the plan is made and done, the processes come up, time passes.
    pub(crate) fn round(&self, planner: Planner) -> Result<Self, &'static str> {
        let mut next = *self;
        if let Some(given) = next.late.take() {
            next.tell(given);
        }
        let plan = next.plan(planner);
        next.check(&plan)?;
        next.reconcile(&plan)?;
        (0..2).for_each(|source| next.step(source));
        next.tick();
        Ok(next)
    }

    /// As many as are to have the contract have it, no more, and whoever has it delivers it if anybody can.
    pub(crate) fn is_at_rest(&self) -> bool {
        let holders = self.sources.iter().filter(|s| s.process.is_some_and(|p| p.has.is_some()));
        let up = self.sources.iter().all(|s| s.process.is_some_and(|p| p.ready.is_some() && !p.stalled));
        let best = self.sources.iter().any(|s| s.delivers())
            || self.sources.iter().all(|s| s.process.is_some_and(|p| p.fails));
        up && best && holders.count() == self.redundancy as usize && self.late.is_none()
    }

    /// What holds of every plan in every state.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), &'static str> {
        let given = given(plan.assignment.as_ref());
        if given == [false, false] {
            return Err("the contract is given to nobody");
        }
        let able =
            |s: &Source| s.process.is_some_and(|p| p.ready.is_some() && !p.stalled && !p.fails) && s.ticked == Some(0);
        // One that has just been started with the contract is given time to come up.
        let late = |p: Process| p.ready.is_none() && (p.has.is_none() || p.started >= HANDOVER);
        let silent = |s: &Source, p: Process| p.ready.is_some_and(|age| age >= SILENCE) && s.ticked != Some(0);
        let down =
            |s: &Source| s.process.is_none_or(|p| p.fails || late(p) || (silent(s, p) && s.ticked >= Some(SILENCE)));
        let only_to_the_dead = (0..2).all(|i| !given[i] || down(&self.sources[i]));
        if only_to_the_dead && self.sources.iter().any(able) {
            return Err("failover to one that cannot deliver");
        }
        for (index, given) in given.into_iter().enumerate() {
            let (source, other) = (&self.sources[index], &self.sources[1 - index]);
            let has = source.process.is_some_and(|p| p.has.is_some());
            let other_has_begun = other.process.is_some_and(|p| p.has.is_some_and(|age| age >= HANDOVER));
            if has && able(source) && !given && !other_has_begun {
                return Err("it is taken from one before another has begun");
            }
        }
        Ok(())
    }

    fn change(&mut self, source: usize, change: impl Fn(&mut Process)) {
        self.sources[source].process.iter_mut().filter(|p| p.ready.is_some()).for_each(change);
    }

    fn step(&mut self, source: usize) {
        self.sources[source].process.iter_mut().for_each(|process| process.ready = process.ready.or(Some(0)));
    }

    fn tick(&mut self) {
        for source in &mut self.sources {
            source.ticked.iter_mut().for_each(|age| older(age, SICK));
            let Some(process) = &mut source.process else { continue };
            older(&mut process.started, HANDOVER);
            process.has.iter_mut().for_each(|age| older(age, HANDOVER));
            process.ready.iter_mut().for_each(|age| older(age, SICK));
            if process.ready.is_some() && !process.stalled {
                source.ticked = Some(0);
            }
        }
    }

    fn reconcile(&mut self, plan: &Plan) -> Result<(), &'static str> {
        let given = given(plan.assignment.as_ref());
        for action in &plan.actions {
            let index = IDS.iter().position(|id| *id == action.account().as_str()).ok_or("an action on nobody")?;
            let other = self.sources[1 - index];
            match action {
                Action::Start { .. } => {
                    let has = given[index].then_some(0);
                    let process = Process { started: 0, ready: None, has, stalled: false, fails: false };
                    self.sources[index].process = Some(process);
                }
                Action::Terminate { .. } => {
                    if self.sources[index].delivers() && !other.delivers() {
                        return Err("the only deliverer is ended");
                    }
                    self.sources[index].process = None;
                }
                Action::Kill { .. } => return Err("nobody is deaf here"),
            }
        }
        self.tell(given);
        Ok(())
    }

    /// The running workers are told. A worker forgets what failed when it is told to drop it.
    fn tell(&mut self, given: [bool; 2]) {
        for (source, given) in self.sources.iter_mut().zip(given) {
            let Some(process) = &mut source.process else { continue };
            match (process.has, given) {
                (None, true) => process.has = Some(0),
                (Some(_), false) => (process.has, process.fails) = (None, false),
                _ => {}
            }
        }
    }

    /// What the planner makes of it.
    pub(crate) fn plan(&self, planner: Planner) -> Plan {
        let mut desired = Desired {
            contracts: [contract(CANARY), contract(SHARED)].into(),
            spread: Spread {
                redundancy: self.redundancy,
                contracts_max: BTreeMap::new(),
                canaries: BTreeSet::from([contract(CANARY)]),
            },
            policy: Policy {
                silence_ms: 1_000 * UNIT_MS,
                backoff_min_ms: 0,
                backoff_max_ms: 0,
                canary_silence_ms: u64::from(SILENCE) * UNIT_MS,
                cool_down_ms: u64::from(COOL_DOWN) * UNIT_MS,
                market_silent_hold_ms: 0,
                restart_spacing_ms: 0,
                delivering_ms: u64::from(SILENCE) * UNIT_MS,
                handover_ms: u64::from(HANDOVER) * UNIT_MS,
                ..Policy::default()
            },
            ..Desired::default()
        };
        let mut observed =
            Observed { open: [(Exchange::Shfe, ago(50))].into(), watching_since: ago(50), ..Observed::default() };
        for (index, source) in self.sources.iter().enumerate() {
            let fronts = BTreeSet::from([format!("tcp://{}:1", IDS[index])]);
            let priority = u32::try_from(index).expect("few") + 1;
            desired.accounts.insert(id(index), DesiredAccount { priority, fronts, ..views::account() });
            source.observe(index, &mut observed);
        }
        planner(&desired, &observed, Now { mono: ago(0), wall_ns: 0 })
    }
}

/// Who is to have the shared contract.
fn given(assignment: Option<&Assignment>) -> [bool; 2] {
    let has = |index: usize| {
        assignment.is_none_or(|a| a.subscriptions.get(&id(index)).is_some_and(|has| has.contains(&contract(SHARED))))
    };
    [has(0), has(1)]
}

impl Source {
    fn delivers(&self) -> bool {
        self.process.is_some_and(|p| p.ready.is_some() && !p.stalled && !p.fails && p.has.is_some())
    }

    fn observe(&self, index: usize, observed: &mut Observed) {
        let counter = index as u64 + 1;
        if let Some(age) = self.ticked {
            observed.deliveries.insert(id(index), [(Exchange::Shfe, ago(age))].into());
        }
        let process = self.process.map(|process| {
            let shared = process.has.is_some().then(|| contract(SHARED));
            let contracts = Arc::new([contract(CANARY)].into_iter().chain(shared.clone()).collect());
            let grown_at = ago(process.has.unwrap_or(process.started));
            let told = Subscribed { incarnation: views::incarnation(counter), contracts, grown_at };
            observed.subscribed.insert(id(index), told);
            observed.attached.insert(views::incarnation(counter));
            if process.fails {
                observed.fails.insert(id(index), shared.into_iter().collect());
            }
            ProcessView {
                hello_at: Some(ago(0)),
                heartbeat_at: Some(ago(0)),
                ready_at: process.ready.map(ago),
                front: FrontState::LoggedIn { trading_day: "20261123".to_owned() },
                ..views::process(counter, ago(process.started))
            }
        });
        observed.gateways.insert(id(index), GatewayView { process, exits: Vec::new() });
    }
}
