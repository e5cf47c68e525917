//! Whether the running sources deliver: exchange by exchange, by their canaries, while the sections are open.
//!
//! | what is seen | what follows |
//! |---|---|
//! | one exchange silent, another ticks | Degraded: the silent exchange's routes leave where another source ticks |
//! | the same for long, after the process had it | ended once, while others deliver everything else that it does |
//! | every watched exchange silent, another source ticks | Unhealthy: ended after the cool-down |
//! | the only source silent | the same |
//! | all sources of a kind silent | perhaps the market is: they are held for a while, then ended one at a time |
//! | mostly rubbish | fenced and ended, unless it is the last |

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::AccountId;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{Ending, FrontState, Incarnation, ProcessView};
use mdhub_spec::time::Mono;

use super::assign::Subscribed;
use super::state::{Desired, DesiredAccount, Observed};
use super::verdict;

/// Why a running source is to be ended though its process works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ailment {
    /// None of its watched exchanges ticks.
    NoTicks,
    /// It had an exchange and lost it; others tick.
    LostExchange,
    /// Most of what it sends is rejected.
    Garbage,
}

/// What keeps a sick source from being ended now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nothing, from this instant on.
    Until(Mono),
    /// The market may be silent, up to this instant at least.
    MarketSilent(Mono),
    /// Another source is ended first.
    Turn,
    /// It still delivers on an exchange where nobody else does.
    OnlyDeliverer(Exchange),
}

/// The health of one running source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// It is not logged in, or no canary of its exchanges is in its section: nothing can be said.
    Unknown,
    /// Every watched exchange ticks, or has some time left to.
    Well {
        /// Whether each has ticked lately, rather than just begun.
        is_proven: bool,
    },
    /// Some exchanges are silent, others tick.
    Degraded {
        /// Those.
        silent: BTreeSet<Exchange>,
        /// What is waited for, where a new process may help: this one had one of them, and has lost it.
        hold: Option<Hold>,
    },
    /// It is to be replaced.
    Sick {
        /// What it suffers from.
        ailment: Ailment,
        /// What is waited for.
        hold: Hold,
    },
}

impl Health {
    /// Whether the process is to be ended now.
    pub(super) fn is_over(&self, now: Mono) -> bool {
        let (Self::Sick { hold, .. } | Self::Degraded { hold: Some(hold), .. }) = self else { return false };
        matches!(hold, Hold::Until(at) if *at <= now)
    }
}

/// One source that could deliver.
struct Source<'a> {
    id: &'a AccountId,
    account: &'a DesiredAccount,
    process: Option<&'a ProcessView>,
    /// From when on each watched exchange counts as silent. Only of one that is ready.
    silent_at: BTreeMap<Exchange, Mono>,
    garbage_since: Option<Mono>,
}

impl Source<'_> {
    /// From when on nothing that is watched ticks.
    fn silent_since(&self) -> Option<Mono> {
        self.silent_at.values().max().copied()
    }

    fn ailment(&self, now: Mono) -> Option<(Ailment, Mono)> {
        let garbage = self.garbage_since.map(|since| (Ailment::Garbage, since));
        garbage.or_else(|| self.silent_since().filter(|at| *at <= now).map(|since| (Ailment::NoTicks, since)))
    }
}

/// Every source, as far as its ticks tell.
pub(super) struct Ward<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    sources: Vec<Source<'a>>,
    now: Mono,
}

impl<'a> Ward<'a> {
    pub(super) fn new(desired: &'a Desired, observed: &'a Observed, now: Mono) -> Self {
        let wanted = desired.accounts.iter().filter(|(_, account)| account.is_enabled && !account.suspended);
        let sources = wanted.map(|(id, account)| source(desired, observed, id, account)).collect();
        Self { desired, observed, sources, now }
    }

    /// The health of an account's process.
    pub(super) fn health(&self, id: &AccountId) -> Health {
        let Some(source) = self.sources.iter().find(|s| s.id == id) else { return Health::Unknown };
        if source.process.is_none() {
            return Health::Unknown;
        }
        if let Some((ailment, since)) = source.ailment(self.now) {
            return Health::Sick { ailment, hold: self.hold(source, ailment, since) };
        }
        if source.silent_at.is_empty() {
            return Health::Unknown;
        }
        let silent: BTreeSet<Exchange> =
            source.silent_at.iter().filter(|(_, at)| **at <= self.now).map(|(exchange, _)| *exchange).collect();
        if silent.is_empty() {
            return Health::Well { is_proven: source.silent_at.keys().all(|e| self.ticks(source, *e)) };
        }
        let hold = self.lost_since(source).map(|since| self.hold_degraded(source, since));
        Health::Degraded { silent, hold }
    }

    /// Whether this source has brought ticks of `exchange` lately, and good ones.
    pub(super) fn is_proven_on(&self, id: &AccountId, exchange: Exchange) -> bool {
        let ticks = |source: &&Source<'_>| source.garbage_since.is_none() && self.ticks(source, exchange);
        self.sources.iter().find(|s| s.id == id).filter(ticks).is_some()
    }

    /// Whether this source's ticks on `exchange` are to be left out where another has them.
    pub(super) fn is_doubtful(&self, id: &AccountId, exchange: Exchange) -> bool {
        self.sources.iter().find(|s| s.id == id).is_some_and(|source| {
            source.garbage_since.is_some() || source.silent_at.get(&exchange).is_some_and(|at| *at <= self.now)
        })
    }

    /// The kinds whose sources, on fronts that have nothing to do with each other, are all silent at once; since when.
    pub(super) fn silent_markets(&self) -> BTreeMap<Dialect, Mono> {
        Dialect::ALL.into_iter().filter_map(|dialect| Some((dialect, self.silent_market(dialect)?))).collect()
    }

    /// Pairs of accounts that share a front: they fall together.
    pub(super) fn shared_fronts(&self) -> BTreeSet<(AccountId, AccountId)> {
        let pairs = self.sources.iter().flat_map(|a| self.sources.iter().map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| a.id < b.id && a.account.dialect == b.account.dialect && !are_independent(a, b))
            .map(|(a, b)| (a.id.clone(), b.id.clone()))
            .collect()
    }

    /// When the mere passing of time changes a health.
    pub(super) fn due(&self) -> Option<Mono> {
        let policy = &self.desired.policy;
        let silences = self.sources.iter().flat_map(|s| s.silent_at.values().copied());
        let holds = self.sources.iter().filter_map(|s| match self.health(s.id) {
            Health::Sick { hold: Hold::Until(at) | Hold::MarketSilent(at), .. }
            | Health::Degraded { hold: Some(Hold::Until(at)), .. } => Some(at),
            _ => None,
        });
        let fresh = self.observed.deliveries.values().flat_map(BTreeMap::values);
        let stale = fresh.flat_map(|at| [at.plus_ms(policy.canary_silence_ms), at.plus_ms(policy.delivering_ms)]);
        silences.chain(holds).chain(stale).filter(|at| *at > self.now).min()
    }

    fn hold(&self, source: &Source<'_>, ailment: Ailment, since: Mono) -> Hold {
        let policy = &self.desired.policy;
        if let Some(exchange) = self.only_deliverer_on(source) {
            return Hold::OnlyDeliverer(exchange);
        }
        let cooled = since.plus_ms(policy.cool_down_ms);
        let dialect = source.account.dialect;
        let has_others = self.of_dialect(dialect).any(|s| s.id != source.id);
        if ailment == Ailment::Garbage || !has_others || self.of_dialect(dialect).any(|s| self.is_proven(s)) {
            return Hold::Until(cooled);
        }
        let silent_since = self.silent_market(dialect);
        let held = silent_since.map_or(cooled, |since| since.plus_ms(policy.market_silent_hold_ms));
        if held > self.now && held > cooled {
            return Hold::MarketSilent(held);
        }
        if self.next_in_turn(dialect, silent_since.unwrap_or(since)) != Some(source.id) {
            return Hold::Turn;
        }
        let spaced = self.last_ended_sick(dialect).map_or(cooled, |at| at.plus_ms(policy.restart_spacing_ms));
        Hold::Until(cooled.max(held).max(spaced))
    }

    /// Since when this process has lost an exchange that it had, while another still ticks. The longest loss counts.
    fn lost_since(&self, source: &Source<'_>) -> Option<Mono> {
        let started_at = source.process?.started_at;
        let had = |exchange: Exchange| self.last_tick(source.id, exchange).is_some_and(|at| at >= started_at);
        let lost = source.silent_at.iter().filter(|(exchange, at)| **at <= self.now && had(**exchange));
        lost.map(|(_, at)| *at).min()
    }

    fn hold_degraded(&self, source: &Source<'_>, since: Mono) -> Hold {
        let policy = &self.desired.policy;
        if let Some(exchange) = self.only_deliverer_on(source) {
            return Hold::OnlyDeliverer(exchange);
        }
        let dialect = source.account.dialect;
        let others_are_up = self.of_dialect(dialect).filter(|s| s.id != source.id).all(|s| !s.silent_at.is_empty());
        let also_lost = self.of_dialect(dialect).filter(|s| self.lost_since(s).is_some());
        let next = also_lost.max_by_key(|s| (s.account.priority, s.id)).map(|s| s.id);
        if !others_are_up || next != Some(source.id) {
            return Hold::Turn;
        }
        let spaced = self.last_ended_sick(dialect).map(|at| at.plus_ms(policy.restart_spacing_ms));
        Hold::Until(since.plus_ms(policy.market_silent_hold_ms).max(spaced.unwrap_or_default()))
    }

    fn of_dialect(&self, dialect: Dialect) -> impl Iterator<Item = &Source<'a>> {
        self.sources.iter().filter(move |s| s.account.dialect == dialect)
    }

    /// Whether it has sent anything on a watched exchange lately.
    fn is_proven(&self, source: &Source<'_>) -> bool {
        source.garbage_since.is_none() && source.silent_at.keys().any(|exchange| self.ticks(source, *exchange))
    }

    fn ticks(&self, source: &Source<'_>, exchange: Exchange) -> bool {
        self.last_tick(source.id, exchange)
            .is_some_and(|at| at.plus_ms(self.desired.policy.canary_silence_ms) > self.now)
    }

    fn last_tick(&self, id: &AccountId, exchange: Exchange) -> Option<Mono> {
        self.observed.deliveries.get(id)?.get(&exchange).copied()
    }

    /// Whether it brought a tick of this exchange lately. Where the exchange is watched, it is the process of now that counts,
    /// and that it is up; elsewhere a tick may be long in coming, and what the one before brought tells too.
    fn brings(&self, source: &Source<'_>, exchange: Exchange) -> bool {
        let is_watched = self.observed.open.contains_key(&exchange);
        let is_up = |p: &&ProcessView| !is_watched || (p.ready_at.is_some() && p.ending == Ending::No);
        let Some(process) = source.process.filter(is_up) else { return false };
        let lately = |at: Mono| {
            at.plus_ms(self.desired.policy.delivering_ms) > self.now && (!is_watched || at > process.started_at)
        };
        let is_silent = source.silent_at.get(&exchange).is_some_and(|at| *at <= self.now);
        self.last_tick(source.id, exchange).is_some_and(lately) && !is_silent
    }

    /// Whether `other` goes on with this exchange if `source` is ended. Of two that send rubbish the lower one may be ended
    /// first.
    fn replaces(&self, other: &Source<'_>, source: &Source<'_>, exchange: Exchange) -> bool {
        let rank = |s: &Source<'_>| (s.account.priority, s.id.clone());
        let is_good_enough =
            other.garbage_since.is_none() || (source.garbage_since.is_some() && rank(other) < rank(source));
        is_good_enough && self.brings(other, exchange)
    }

    /// An exchange that would fall silent with this source. Rubbish is a delivery too while there is nothing better.
    fn only_deliverer_on(&self, source: &Source<'_>) -> Option<Exchange> {
        let lately = |at: &Mono| at.plus_ms(self.desired.policy.delivering_ms) > self.now;
        let mut own = self.observed.deliveries.get(source.id)?.iter();
        own.find(|(exchange, at)| {
            let is_silent = source.silent_at.get(exchange).is_some_and(|at| *at <= self.now);
            let others = self.sources.iter().filter(|other| other.id != source.id);
            let goes_on: Vec<&Source<'a>> = others.filter(|other| self.replaces(other, source, **exchange)).collect();
            lately(at) && !is_silent && (goes_on.is_empty() || self.has_alone(source, &goes_on, **exchange))
        })
        .map(|(exchange, _)| *exchange)
    }

    /// Whether it has a contract of this exchange that none of the others has had for long enough to begin with.
    fn has_alone(&self, source: &Source<'_>, others: &[&Source<'_>], exchange: Exchange) -> bool {
        if self.desired.spread.is_everything() {
            return false;
        }
        let told = |source: &Source<'_>| {
            let incarnation = source.process.map(|process| process.incarnation);
            self.observed.subscribed.get(source.id).filter(|told| Some(told.incarnation) == incarnation)
        };
        let has = |other: &&Source<'_>, contract: &Contract| {
            let begun = |told: &&Subscribed| told.grown_at.plus_ms(self.desired.policy.handover_ms) <= self.now;
            told(other).filter(begun).is_some_and(|told| told.contracts.contains(contract))
        };
        let wanted =
            |contract: &&Contract| contract.exchange() == exchange && self.desired.contracts.contains(*contract);
        let mut own = told(source).into_iter().flat_map(|told| told.contracts.iter()).filter(wanted);
        own.any(|contract| !others.iter().any(|other| has(other, contract)))
    }

    /// Since when every source of this kind is silent, where two of them have nothing to do with each other. One that was ended
    /// for its silence in vain counts among them until it ticks.
    fn silent_market(&self, dialect: Dialect) -> Option<Mono> {
        let silent: Vec<&Source<'a>> =
            self.of_dialect(dialect).filter(|s| !s.silent_at.is_empty() || self.is_ended_in_vain(s)).collect();
        let independent = silent.iter().any(|a| silent.iter().any(|b| are_independent(a, b)));
        let is_silent = |s: &&Source<'_>| s.silent_since().is_some_and(|at| at <= self.now) || self.is_ended_in_vain(s);
        if !independent || !silent.iter().all(is_silent) || silent.iter().any(|s| self.is_proven(s)) {
            return None;
        }
        // Counted from what the market last did, so that restarts in vain do not prolong it.
        let watched = || self.observed.open.iter().filter(|(exchange, _)| dialect.serves(**exchange));
        let since = silent.iter().flat_map(|s| {
            let ready_at = s.process.filter(|_| !self.is_ended_in_vain(s)).and_then(|p| p.ready_at);
            watched().map(move |(exchange, opened)| self.last_tick(s.id, *exchange).max(Some(*opened)).max(ready_at))
        });
        let since = since.max()??.max(self.observed.watching_since);
        Some(since.plus_ms(self.desired.policy.canary_silence_ms)).filter(|at| *at <= self.now)
    }

    /// Whether it was ended for being sick, and has not ticked since on an exchange that is watched now: a settlement tick of
    /// another one says nothing.
    fn is_ended_in_vain(&self, source: &Source<'_>) -> bool {
        let last_tick = self.observed.open.keys().filter_map(|exchange| self.last_tick(source.id, *exchange)).max();
        self.last_ended(source.id) > last_tick
    }

    /// Whose turn it is to be ended: first those that were not since the silence began, of these the lowest priority.
    fn next_in_turn(&self, dialect: Dialect, silent_since: Mono) -> Option<&AccountId> {
        let sick = self
            .of_dialect(dialect)
            .filter_map(|s| Some((s, s.process?)))
            .filter(|(s, process)| process.ending == Ending::No && s.silent_since().is_some_and(|at| at <= self.now));
        let key = |(s, process): &(&Source<'a>, &ProcessView)| {
            let again = (process.started_at > silent_since).then_some(process.started_at);
            (again, std::cmp::Reverse((s.account.priority, s.id)))
        };
        sick.min_by(|a, b| key(a).cmp(&key(b))).map(|(s, _)| s.id)
    }

    /// When a source of this kind was last ended for its silence.
    fn last_ended_sick(&self, dialect: Dialect) -> Option<Mono> {
        self.of_dialect(dialect).filter_map(|s| self.last_ended(s.id)).max()
    }

    fn last_ended(&self, id: &AccountId) -> Option<Mono> {
        let view = self.observed.gateways.get(id)?;
        let is_sick = |incarnation: Incarnation| self.observed.ended_sick.contains(&incarnation);
        let ended = view.exits.iter().filter(|e| is_sick(e.incarnation)).map(|e| e.at);
        let leaving = view.process.iter().filter(|p| is_sick(p.incarnation)).filter_map(|p| match p.ending {
            Ending::No => None,
            Ending::Terminating { since } | Ending::Killing { since, .. } => Some(since),
        });
        ended.chain(leaving).max()
    }
}

fn are_independent(a: &Source<'_>, b: &Source<'_>) -> bool {
    a.account.fronts.is_disjoint(&b.account.fronts)
}

fn source<'a>(desired: &Desired, observed: &'a Observed, id: &'a AccountId, account: &'a DesiredAccount) -> Source<'a> {
    let view = observed.gateways.get(id);
    let process = view.and_then(|view| view.process.as_ref());
    let incarnations = view.iter().flat_map(|view| {
        let drained = view.exits.iter().map(|e| e.incarnation).filter(|i| observed.attached.contains(i));
        view.process.iter().map(|p| p.incarnation).chain(drained)
    });
    let garbage_since = incarnations.filter_map(|i| observed.garbage.get(&i).copied()).min();
    let silent_at = process.map(|p| silent_at(desired, observed, id, account, p)).unwrap_or_default();
    Source { id, account, process, silent_at, garbage_since }
}

fn silent_at(
    desired: &Desired,
    observed: &Observed,
    id: &AccountId,
    account: &DesiredAccount,
    process: &ProcessView,
) -> BTreeMap<Exchange, Mono> {
    let is_logged_in = matches!(process.front, FrontState::LoggedIn { .. });
    let stays = process.ending == Ending::No && verdict::fits(account, process);
    let Some(ready_at) = process.ready_at.filter(|_| is_logged_in && stays) else {
        return BTreeMap::new();
    };
    let ticks = observed.deliveries.get(id);
    let watched = observed.open.iter().filter(|(exchange, _)| account.dialect.serves(**exchange));
    watched
        .map(|(exchange, open_since)| {
            let last_tick = ticks.and_then(|t| t.get(exchange)).copied().unwrap_or_default();
            let counted_from = last_tick.max(*open_since).max(ready_at).max(observed.watching_since);
            (*exchange, counted_from.plus_ms(desired.policy.canary_silence_ms))
        })
        .collect()
}
