//! Which scenarios are in force at a front, and what they make of what happens there. Pure: time comes in as an argument,
//! nanoseconds since the epoch.

use std::collections::HashSet;

use crate::dirt::{self, Handed};
use crate::flavour::Flavour;
use crate::hash::{mix, unit};
use crate::instrument::Instrument;
use crate::record::Snapshot;
use crate::scenario::{Class, Kind, Moment, Place, Scenario, gb18030};

const MS_NS: i64 = 1_000_000;

/// The vendor's code for a front that is not ready.
const NOT_INITIALISED: i32 = 7;

/// One scenario, and what it has done so far.
#[derive(Debug)]
struct Act {
    scenario: Scenario,
    begins_ns: i64,
    begins_at_tick: u64,
    done: u64,
    last_ns: Option<i64>,
    /// Contracts that had their batch.
    served: HashSet<Vec<u8>>,
}

/// Connections that break as soon as they stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Storm {
    pub(crate) reason: i32,
    pub(crate) interval_ns: i64,
    pub(crate) connects: bool,
}

/// What becomes of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Granted,
    Refused(i32, Vec<u8>),
    Silent,
}

/// What becomes of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Now,
    /// Nanoseconds later.
    Late(i64),
    Never {
        ticks: bool,
    },
    Refused(i32, Vec<u8>),
}

/// The scenarios of one front.
#[derive(Debug)]
pub(crate) struct Play {
    seed: u64,
    flavour: Flavour,
    acts: Vec<Act>,
    ticks: u64,
    handed: Vec<Handed>,
}

impl Act {
    fn new(scenario: Scenario, now_ns: i64, ticks: u64) -> Self {
        let since_ns = scenario.when.since_ms.map_or(now_ns, |ms| ms.saturating_mul(MS_NS));
        Self {
            begins_ns: since_ns.saturating_add(ns(scenario.when.after_ms)),
            begins_at_tick: ticks.saturating_add(scenario.when.after_ticks),
            scenario,
            done: 0,
            last_ns: None,
            served: HashSet::new(),
        }
    }

    fn is_on(&self, now_ns: i64, ticks: u64) -> bool {
        let when = &self.scenario.when;
        let once = self.class() == Class::Event && when.every_ms.is_none();
        let times = when.times.unwrap_or(if once { 1 } else { u64::MAX });
        let ends_ns = when.for_ms.map_or(i64::MAX, |ms| self.begins_ns.saturating_add(ns(ms)));
        self.begins_ns <= now_ns && now_ns < ends_ns && self.begins_at_tick <= ticks && self.done < times
    }

    const fn class(&self) -> Class {
        self.scenario.kind.class()
    }

    fn concerns(&self, code: &[u8], flavour: Flavour) -> bool {
        let when = &self.scenario.when;
        if !when.instruments.is_empty() && !when.instruments.iter().any(|i| i.as_bytes() == code) {
            return false;
        }
        when.exchanges.is_empty()
            || Instrument::of(code, flavour).is_some_and(|i| when.exchanges.iter().any(|e| e == i.exchange.name()))
    }

    /// Whether the record is one of those that it befalls.
    fn befalls(&self, seed: u64, index: u64) -> bool {
        self.scenario.when.rate.is_none_or(|rate| unit(mix(seed ^ 0xd1e7, index)) < rate)
    }

    /// Whether `every_ms` has passed since it last fired.
    fn is_due(&self, now_ns: i64) -> bool {
        let every_ns = self.scenario.when.every_ms.map_or(0, ns);
        self.last_ns.is_none_or(|last| last.saturating_add(every_ns) <= now_ns)
    }
}

fn ns(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(MS_NS)
}

impl Play {
    pub(crate) const fn new(seed: u64, flavour: Flavour) -> Self {
        Self { seed, flavour, acts: Vec::new(), ticks: 0, handed: Vec::new() }
    }

    /// Takes a front's scenarios: one that was there already goes on.
    pub(crate) fn set(&mut self, scenarios: &[Scenario], now_ns: i64) {
        let mut before = std::mem::take(&mut self.acts);
        for scenario in scenarios {
            let known = before.iter().position(|act| act.scenario == *scenario);
            self.acts
                .push(known.map_or_else(|| Act::new(scenario.clone(), now_ns, self.ticks), |i| before.swap_remove(i)));
        }
    }

    pub(crate) const fn is_quiet(&self) -> bool {
        self.acts.is_empty()
    }

    fn on(&self, now_ns: i64) -> impl Iterator<Item = &Act> {
        self.acts.iter().filter(move |act| act.is_on(now_ns, self.ticks))
    }

    /// The first one in force that `wanted` takes; it has done it once more.
    fn first<T>(&mut self, now_ns: i64, mut wanted: impl FnMut(&Act) -> Option<T>) -> Option<T> {
        let ticks = self.ticks;
        self.acts.iter_mut().filter(|act| act.is_on(now_ns, ticks)).find_map(|act| {
            let found = wanted(act)?;
            act.done += 1;
            Some(found)
        })
    }

    pub(crate) fn is_refused(&self, now_ns: i64) -> bool {
        self.on(now_ns).any(|act| matches!(act.scenario.kind, Kind::Refused(_)))
    }

    /// Whether connections break at once.
    pub(crate) fn is_stormy(&self, now_ns: i64) -> bool {
        self.on(now_ns).any(|act| matches!(act.scenario.kind, Kind::DropStorm(_) | Kind::JunkStorm(_)))
    }

    /// The next connection that breaks at once.
    pub(crate) fn storm(&mut self, now_ns: i64) -> Option<Storm> {
        let storm =
            |reason, interval_ms: f64, connects| Storm { reason, interval_ns: (interval_ms * 1e6) as i64, connects };
        self.first(now_ns, |act| match &act.scenario.kind {
            Kind::DropStorm(drop) => Some(storm(0x1001, drop.interval_ms, drop.connects)),
            Kind::JunkStorm(junk) => Some(storm(0x2003, junk.interval_ms, junk.connects)),
            _ => None,
        })
    }

    pub(crate) fn login(&mut self, now_ns: i64) -> Login {
        let found = self.first(now_ns, |act| match &act.scenario.kind {
            Kind::LoginRefused(refused) => Some(Login::Refused(refused.error, gb18030(&refused.text))),
            Kind::NotInitialised(not) => Some(Login::Refused(NOT_INITIALISED, gb18030(&not.text))),
            Kind::LoginSilent(_) => Some(Login::Silent),
            _ => None,
        });
        found.unwrap_or(Login::Granted)
    }

    /// A contract is subscribed.
    pub(crate) fn subscription(&mut self, code: &[u8], now_ns: i64) -> Answer {
        for act in self.acts.iter_mut().filter(|act| act.scenario.kind.moment() == Some(Moment::Subscription)) {
            act.served.remove(code);
        }
        let flavour = self.flavour;
        let found = self.first(now_ns, |act| match &act.scenario.kind {
            _ if !act.concerns(code, flavour) => None,
            Kind::AckLate(late) => Some(Answer::Late(ns(late.by_ms))),
            Kind::AckMissing(missing) => Some(Answer::Never { ticks: missing.ticks }),
            Kind::SubscriptionRefused(refused) => Some(Answer::Refused(refused.error, gb18030(&refused.text))),
            _ => None,
        });
        found.unwrap_or(Answer::Now)
    }

    /// Whether the contract's ticks are held back.
    fn is_stalled(&self, code: &[u8], now_ns: i64) -> bool {
        let stalls = |act: &Act| matches!(act.scenario.kind, Kind::Stall(_)) && act.concerns(code, self.flavour);
        self.on(now_ns).any(stalls)
    }

    /// What is handed over where a true record is due: it, or nothing, or dirt behind it or in its place. The list may be
    /// given back to [`Play::reuse`].
    pub(crate) fn hand_over(&mut self, index: u64, code: &[u8], truth: &Snapshot, now_ns: i64) -> Vec<Handed> {
        let mut handed = std::mem::take(&mut self.handed);
        handed.clear();
        if self.is_stalled(code, now_ns) {
            return handed;
        }
        handed.push(Handed::truth(truth));
        let (seed, flavour, ticks) = (self.seed, self.flavour, self.ticks);
        let mut is_replaced = false;
        for act in self.acts.iter_mut().filter(|act| act.is_on(now_ns, ticks) && act.concerns(code, flavour)) {
            match act.class() {
                Class::Dirt if act.befalls(seed, index) => {
                    let before = handed.len();
                    dirt::make(&act.scenario.kind, code, truth, flavour, &mut handed);
                    if handed.len() > before {
                        act.done += 1;
                        is_replaced |= act.scenario.replaces();
                    }
                }
                Class::Batch => {
                    if act.is_due(now_ns) && act.scenario.when.every_ms.is_some() {
                        act.last_ns = Some(now_ns);
                        act.served.clear();
                    }
                    if act.served.insert(code.to_vec()) {
                        dirt::make(&act.scenario.kind, code, truth, flavour, &mut handed);
                        act.done += 1;
                    }
                }
                _ => {}
            }
        }
        if is_replaced {
            handed.remove(0);
        }
        self.ticks += handed.len() as u64;
        handed
    }

    /// Keeps a list's memory.
    pub(crate) fn reuse(&mut self, handed: Vec<Handed>) {
        self.handed = handed;
    }

    /// The next event that is due. What befalls a connection waits for one.
    pub(crate) fn event(&mut self, is_connected: bool, now_ns: i64) -> Option<Kind> {
        let ticks = self.ticks;
        let act = self.acts.iter_mut().find(|act| {
            let needs_one = matches!(act.scenario.kind, Kind::Disconnect(_) | Kind::HeartbeatWarning(_));
            let fires = act.class() == Class::Event && act.is_on(now_ns, ticks) && act.is_due(now_ns);
            fires && (is_connected || !needs_one)
        })?;
        act.done += 1;
        act.last_ns = Some(now_ns);
        Some(act.scenario.kind.clone())
    }

    /// Which calls never return, and whether they spin.
    pub(crate) fn endless(&self, place: Place, now_ns: i64) -> Option<bool> {
        self.on(now_ns).find_map(|act| match &act.scenario.kind {
            Kind::Endless(endless) if endless.at == place => Some(endless.spins),
            _ => None,
        })
    }

    /// Whether SIGTERM does nothing, by a handler or not.
    pub(crate) fn ignores_term(&self, now_ns: i64) -> Option<bool> {
        self.on(now_ns)
            .find_map(|act| if let Kind::IgnoreTerm(i) = &act.scenario.kind { Some(i.handler) } else { None })
    }

    /// How much memory has leaked by now, bytes.
    pub(crate) fn leaked(&self, now_ns: i64) -> usize {
        let leaked = |act: &Act| match &act.scenario.kind {
            Kind::Leak(leak) => {
                let seconds = (now_ns - act.begins_ns) as f64 / 1e9;
                ((seconds * leak.mib_per_s).min(f64::from(leak.mib_max)) * f64::from(1 << 20)) as usize
            }
            _ => 0,
        };
        self.on(now_ns).map(leaked).sum::<usize>().min(1 << 30)
    }
}
