//! A finite world of two sources, two exchanges and one market, for the explorer of health.
//!
//! Time counts in whole units and is stored as ages that stop counting where no deadline can tell them apart. What a process
//! has stopped to deliver it delivers again only after a restart; the market can be silent as a whole. The judge looks at
//! what really ticks, which the planner cannot see: it shares no code with it.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_reconciler::plan::{Action, Desired, DesiredAccount, Observed, Plan, Policy};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Exchange;
use mdhub_spec::process::{Ending, Exit, FrontState, GatewayView, Incarnation, ProcessView};
use mdhub_spec::time::{Mono, Now};

use crate::views;

const UNIT_MS: u64 = 1_000;
// Deadlines, in units.
const SILENCE: u8 = 1;
const COOL_DOWN: u8 = 1;
const HOLD: u8 = 2;
const SPACING: u8 = 2;
/// Ages beyond the longest deadline that counts from there are one.
const AGE_MAX: u8 = SILENCE + HOLD;
const NOW: u64 = 100;
const EXCHANGES: [Exchange; 2] = [Exchange::Shfe, Exchange::Dce];
/// The backup has the lower priority.
pub(crate) const IDS: [&str; 2] = ["main", "sub"];

pub(crate) type Planner = fn(&Desired, &Observed, Now) -> Plan;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Process {
    started: u8,
    ready: Option<u8>,
    /// Which exchanges its front has stopped to deliver to it.
    stalled: [bool; 2],
    /// Since most of what it sends is rubbish.
    garbage: Option<u8>,
    /// Asked to leave.
    leaving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Source {
    process: Option<Process>,
    /// Since its last tick of each exchange.
    ticked: [Option<u8>; 2],
    /// Since a process was last ended for being sick, while that matters.
    ended_sick: Option<u8>,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Tick,
    Reconcile,
    /// The process becomes ready, or leaves as it was asked.
    Step(usize),
    Crash(usize),
    /// Its front delivers this exchange to it no more.
    Stall(usize, usize),
    /// Most of what it sends is rubbish from now on.
    Spoil(usize),
    /// The hub ends, its workers with it, and starts anew.
    HubRestarts,
    /// Nothing trades.
    MarketStops,
    MarketGoesOn,
}

/// What ails the sources of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ails {
    /// Fronts lose exchanges.
    Stalls,
    /// Rubbish, and one exchange that is lost. Both of them would be millions of states.
    Rubbish,
}

/// All there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct World {
    ails: Ails,
    sources: [Source; 2],
    /// How many sources there are.
    count: usize,
    market_is_silent: bool,
    /// Since the last time that a source was ended for being sick while nothing ticked at all.
    last_vain_end: u8,
}

fn older(age: &mut u8) {
    *age = (*age + 1).min(AGE_MAX);
}

const fn ago(age: u8) -> Mono {
    Mono(0).plus_ms((NOW - age as u64) * UNIT_MS)
}

impl World {
    pub(crate) const fn new(count: usize, ails: Ails) -> Self {
        let source = Source { process: None, ticked: [None; 2], ended_sick: None };
        Self { ails, sources: [source; 2], count, market_is_silent: false, last_vain_end: SPACING }
    }

    /// The exchanges are alike where either can be lost: of two worlds that differ by their names alone, one is looked at.
    pub(crate) fn canonical(self) -> Self {
        let mut swapped = self;
        for source in &mut swapped.sources {
            source.ticked.swap(0, 1);
            source.process.iter_mut().for_each(|process| process.stalled.swap(0, 1));
        }
        if self.ails == Ails::Stalls { self.min(swapped) } else { self }
    }

    pub(crate) fn alphabet(&self) -> Vec<Event> {
        let mut events = vec![Event::Tick, Event::Reconcile, Event::HubRestarts];
        for source in 0..self.count {
            events.extend([Event::Step(source), Event::Crash(source), Event::Stall(source, 0)]);
            events.push(match self.ails {
                Ails::Stalls => Event::Stall(source, 1),
                Ails::Rubbish => Event::Spoil(source),
            });
        }
        if self.ails == Ails::Stalls {
            events.extend([Event::MarketStops, Event::MarketGoesOn]);
        }
        events
    }

    pub(crate) fn after(&self, event: Event, plan: &Plan) -> Result<Self, &'static str> {
        let mut next = *self;
        match event {
            Event::Tick => next.tick(),
            Event::Reconcile => next.reconcile(plan)?,
            Event::Step(source) => next.sources[source].step(),
            Event::Crash(source) => next.sources[source].end(),
            Event::Stall(source, exchange) => next.sources[source].stall(exchange),
            Event::Spoil(source) => next.sources[source].spoil(),
            Event::HubRestarts => {
                next = Self { market_is_silent: self.market_is_silent, ..Self::new(self.count, self.ails) };
            }
            Event::MarketStops => next.market_is_silent = true,
            Event::MarketGoesOn => next.market_is_silent = false,
        }
        Ok(next)
    }

    /// A round without new faults: the market goes on, the plan is done, the processes do their part, time passes.
    pub(crate) fn round(&self, planner: Planner) -> Result<Self, &'static str> {
        let mut next = Self { market_is_silent: false, ..*self };
        next.reconcile(&next.plan(planner))?;
        next.sources.iter_mut().for_each(Source::step);
        next.tick();
        Ok(next)
    }

    /// Every source is up, and every exchange is delivered.
    pub(crate) fn is_at_rest(&self) -> bool {
        let sources = &self.sources[..self.count];
        let up = |s: &Source| s.process.is_some_and(|p| p.ready.is_some() && !p.leaving && p.stalled != [true, true]);
        // One that is alone is not ended for one exchange while it has the other.
        let delivered = |e: usize| self.count == 1 || sources.iter().any(|s| self.ticks(s, e));
        // Rubbish that nobody else has in clean is better than nothing.
        let is_clean = |s: &Source| s.process.is_some_and(|p| p.garbage.is_none());
        let needed = |s: &Source| {
            (0..2).any(|e| self.ticks(s, e) && !sources.iter().any(|other| is_clean(other) && self.ticks(other, e)))
        };
        sources.iter().all(up) && (0..2).all(delivered) && sources.iter().all(|s| is_clean(s) || needed(s))
    }

    /// What holds of every plan in every state.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), &'static str> {
        for (e, exchange) in EXCHANGES.iter().enumerate() {
            let routed: BTreeSet<&str> = plan
                .routes
                .iter()
                .filter(|(c, _)| c.exchange() == *exchange)
                .flat_map(|(_, ids)| ids)
                .map(AccountId::as_str)
                .collect();
            let fresh = |s: &Source| {
                s.process.is_some_and(|p| p.ready.is_some() && !p.leaving && p.garbage.is_none())
                    && s.ticked[e] == Some(0)
            };
            let rubbish = |s: &Source| s.process.is_some_and(|p| p.garbage.is_some());
            let silent = |s: &Source| {
                s.process.is_some_and(|p| !p.leaving && p.ready.is_some_and(|age| age >= SILENCE))
                    && s.ticked[e].is_none_or(|age| age >= SILENCE)
            };
            let named = || IDS.iter().zip(&self.sources[..self.count]);
            if named().any(|(id, s)| fresh(s) && !routed.contains(id)) {
                return Err("a source that ticks is not routed");
            }
            if named().any(|(_, s)| fresh(s)) && named().any(|(id, s)| silent(s) && routed.contains(id)) {
                return Err("failover to one that is silent");
            }
            if named().any(|(_, s)| fresh(s)) && named().any(|(id, s)| rubbish(s) && routed.contains(id)) {
                return Err("rubbish is routed beside good ticks");
            }
        }
        Ok(())
    }

    fn ticks(&self, source: &Source, exchange: usize) -> bool {
        !self.market_is_silent
            && source.process.is_some_and(|p| p.ready.is_some() && !p.stalled[exchange] && !p.leaving)
    }

    fn tick(&mut self) {
        self.last_vain_end = (self.last_vain_end + 1).min(SPACING);
        let is_silent = self.market_is_silent;
        for source in &mut self.sources {
            source.ticked.iter_mut().flatten().for_each(older);
            source.ended_sick.iter_mut().for_each(older);
            let Some(process) = &mut source.process else { continue };
            older(&mut process.started);
            process.garbage.iter_mut().for_each(|age| *age = (*age + 1).min(COOL_DOWN));
            let Some(ready) = &mut process.ready else { continue };
            older(ready);
            for exchange in 0..2 {
                if !is_silent && !process.stalled[exchange] {
                    source.ticked[exchange] = Some(0);
                }
            }
        }
    }

    fn reconcile(&mut self, plan: &Plan) -> Result<(), &'static str> {
        for action in &plan.actions {
            let index = IDS.iter().position(|id| *id == action.account().as_str()).ok_or("an action on nobody")?;
            match action {
                Action::Start { .. } => self.sources[index].start(),
                Action::Terminate { is_sick, .. } => self.terminate(index, *is_sick)?,
                Action::Kill { .. } => return Err("nobody is deaf here"),
            }
        }
        Ok(())
    }

    fn terminate(&mut self, index: usize, is_sick: bool) -> Result<(), &'static str> {
        let delivered = |s: &Source, e: usize| {
            s.process.is_some_and(|p| !p.leaving && p.ready.is_some()) && s.ticked[e].is_some_and(|age| age < SILENCE)
        };
        let clean = |s: &Source| s.process.is_some_and(|p| p.garbage.is_none());
        let others = || (0..self.count).filter(|other| *other != index);
        // Rubbish is replaced by other rubbish.
        let replaces = |other: &Source| clean(other) || !clean(&self.sources[index]);
        let alone = |e: usize| !others().any(|o| delivered(&self.sources[o], e) && replaces(&self.sources[o]));
        if (0..2).any(|e| delivered(&self.sources[index], e) && alone(e)) {
            return Err("the only deliverer is ended");
        }
        let ticks = self.sources[..self.count].iter().flat_map(|s| s.ticked);
        let last_tick = ticks.flatten().min().unwrap_or(AGE_MAX);
        if self.count > 1 && last_tick >= SILENCE {
            if self.last_vain_end < SPACING {
                return Err("a restart storm on a silent market");
            }
            let others_silent = others().all(|o| {
                self.sources[o].process.is_some_and(|p| p.ready.is_some_and(|age| age >= SILENCE) && !p.leaving)
            });
            if others_silent && last_tick < SILENCE + HOLD {
                return Err("a silent market is not waited for");
            }
            self.last_vain_end = 0;
        }
        if let Some(process) = &mut self.sources[index].process {
            if process.leaving || !is_sick {
                return Err("TERM without a cause");
            }
            process.leaving = true;
        }
        Ok(())
    }

    /// What the planner makes of it.
    pub(crate) fn plan(&self, planner: Planner) -> Plan {
        let mut desired = Desired {
            contracts: ["rb2701.SHFE", "m2705.DCE"].iter().map(|c| c.parse().expect("a contract")).collect(),
            policy: Policy {
                silence_ms: 1_000 * UNIT_MS,
                backoff_min_ms: 0,
                backoff_max_ms: 0,
                canary_silence_ms: u64::from(SILENCE) * UNIT_MS,
                cool_down_ms: u64::from(COOL_DOWN) * UNIT_MS,
                market_silent_hold_ms: u64::from(HOLD) * UNIT_MS,
                restart_spacing_ms: u64::from(SPACING) * UNIT_MS,
                delivering_ms: u64::from(SILENCE) * UNIT_MS,
                ..Policy::default()
            },
            ..Desired::default()
        };
        let mut observed = Observed {
            open: EXCHANGES.iter().map(|e| (*e, ago(50))).collect(),
            watching_since: ago(50),
            ..Observed::default()
        };
        for (index, id) in IDS.iter().enumerate().take(self.count) {
            let id: AccountId = id.parse().expect("a slug");
            let fronts = BTreeSet::from([format!("tcp://{id}:1")]);
            let priority = u32::try_from(index).expect("few") + 1;
            desired.accounts.insert(id.clone(), DesiredAccount { priority, fronts, ..views::account() });
            self.sources[index].observe(&id, index, &mut observed);
        }
        planner(&desired, &observed, Now { mono: ago(0), wall_ns: 0 })
    }
}

impl Source {
    fn start(&mut self) {
        self.process = Some(Process { started: 0, ready: None, stalled: [false; 2], garbage: None, leaving: false });
    }

    fn step(&mut self) {
        match &mut self.process {
            Some(process) if process.leaving => self.end(),
            Some(process) => process.ready = process.ready.or(Some(0)),
            None => {}
        }
    }

    fn end(&mut self) {
        if self.process.take().is_some_and(|process| process.leaving) {
            self.ended_sick = Some(0);
        }
    }

    /// Only what it had can be lost.
    fn stall(&mut self, exchange: usize) {
        let had = self.ticked[exchange] == Some(0);
        if let Some(process) = self.process.as_mut().filter(|p| p.ready.is_some() && had) {
            process.stalled[exchange] = true;
        }
    }

    fn spoil(&mut self) {
        if let Some(process) = self.process.as_mut().filter(|p| p.ready.is_some()) {
            process.garbage = process.garbage.or(Some(0));
        }
    }

    fn observe(&self, id: &AccountId, index: usize, observed: &mut Observed) {
        let counter = |is_process: bool| 10 * (index as u64 + 1) + u64::from(is_process);
        let exit = self.ended_sick.map(|age| Exit {
            asked: true,
            ready_at: Some(Mono(0)),
            ..views::exit(counter(false), ago(age))
        });
        observed.ended_sick.extend(exit.iter().map(|exit| exit.incarnation));
        let process = self.process.map(|p| p.view(counter(true)));
        if let Some(process) = &process {
            let garbage = self.process.and_then(|p| p.garbage);
            observed.garbage.extend(garbage.map(|age| (process.incarnation, ago(age))));
            observed.attached.insert(process.incarnation);
            if process.ending != Ending::No {
                observed.ended_sick.insert(process.incarnation);
            }
        }
        let ticks = EXCHANGES.iter().zip(self.ticked).filter_map(|(e, age)| Some((*e, ago(age?)))).collect();
        observed.deliveries.insert(id.clone(), ticks);
        observed.gateways.insert(id.clone(), GatewayView { process, exits: exit.into_iter().collect() });
    }
}

impl Process {
    fn view(&self, counter: u64) -> ProcessView {
        let incarnation: Incarnation = views::incarnation(counter);
        ProcessView {
            incarnation,
            hello_at: Some(ago(0)),
            heartbeat_at: Some(ago(0)),
            ready_at: self.ready.map(ago),
            front: FrontState::LoggedIn { trading_day: "20261123".to_owned() },
            ending: if self.leaving { Ending::Terminating { since: ago(0) } } else { Ending::No },
            ..views::process(counter, ago(self.started))
        }
    }
}

/// The deliveries of every source, for planted bugs.
pub(crate) fn silent_everywhere(observed: &Observed, now: Now) -> bool {
    let fresh = |ticks: &BTreeMap<Exchange, Mono>| {
        ticks.values().any(|at| now.mono.ms_since(*at) < u64::from(SILENCE) * UNIT_MS)
    };
    !observed.deliveries.values().any(fresh)
}
