//! Which source subscribes which contract, where not every source is to subscribe everything: `redundancy` sources for each
//! contract, and no more contracts at a source than it may carry. Canaries are subscribed everywhere, and first.
//!
//! A contract stays where it is as long as that source can deliver it. It moves when its source dies, falls silent, is about
//! to be ended, or does not bring this contract; the former source lets go only after a while, so that there is no gap.

use std::collections::{BTreeMap, BTreeSet, btree_set};
use std::iter::Peekable;
use std::sync::Arc;

use mdhub_spec::account::AccountId;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{FrontState, GatewayView, Incarnation};
use mdhub_spec::time::Mono;

use super::health::{Health, Hold, Ward};
use super::state::{Desired, Observed};
use super::verdict::{self, Verdict};

/// How contracts are spread over the sources of a dialect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spread {
    /// So many sources subscribe each contract; 0 for all.
    pub redundancy: u32,
    /// Most contracts of these accounts, canaries among them.
    pub contracts_max: BTreeMap<AccountId, u32>,
    /// Subscribed at every source, whatever the above says.
    pub canaries: BTreeSet<Contract>,
}

impl Spread {
    /// Whether every source subscribes everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.redundancy == 0 && self.contracts_max.is_empty()
    }
}

/// What a process was told to subscribe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Which process.
    pub incarnation: Incarnation,
    /// What.
    pub contracts: Arc<BTreeSet<Contract>>,
    /// When it was last told of more.
    pub grown_at: Mono,
}

/// Who is to subscribe what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// Of every account that is wanted, also of one whose process is yet to start. It has what another source is still to
    /// take over from it, too.
    pub subscriptions: BTreeMap<AccountId, Arc<BTreeSet<Contract>>>,
    /// Of these, those that others are about to take over.
    pub leaving: BTreeMap<AccountId, BTreeSet<Contract>>,
    /// Those that no source has room for.
    pub homeless: BTreeSet<Contract>,
    /// When the mere passing of time changes it.
    pub due: Option<Mono>,
}

/// Looks up contracts that come in their order: as cheap as the next one.
pub(super) struct InOrder<'a>(Option<Peekable<btree_set::Iter<'a, Contract>>>);

impl<'a> InOrder<'a> {
    pub(super) fn of(contracts: Option<&'a BTreeSet<Contract>>) -> Self {
        Self(contracts.map(|contracts| contracts.iter().peekable()))
    }

    /// Whether this one is among them. Those before it are not asked for any more.
    pub(super) fn has(&mut self, contract: &Contract) -> bool {
        let Some(rest) = &mut self.0 else { return false };
        while rest.next_if(|next| *next < contract).is_some() {}
        rest.peek() == Some(&contract)
    }
}

/// How much can be expected of a source. Smaller is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It delivers.
    Up,
    /// It has just been started, or is about to be.
    Starting,
    /// It has a process that does not deliver, or is about to be ended.
    Poor,
    /// It has no process.
    Down,
}

/// A source and one contract.
#[derive(Debug, Clone, Copy)]
struct Place {
    standing: Standing,
    holds: bool,
    given: bool,
}

/// A source, as far as contracts are given out.
struct Candidate<'a> {
    id: &'a AccountId,
    priority: u32,
    /// One that is not ready is believed to come up until then.
    proven_by: Option<Mono>,
    /// From then on it has had time to begin with what it holds.
    begun_at: Option<Mono>,
    /// What it holds.
    holds: Option<&'a Arc<BTreeSet<Contract>>>,
    /// How many it may carry beside the canaries.
    room: usize,
    /// How many it was given.
    load: usize,
    /// In the order of the contracts that are given out.
    places: Vec<Place>,
}

/// Gives the contracts out. `None` where every source subscribes everything.
pub(super) fn assign(desired: &Desired, observed: &Observed, ward: &Ward<'_>, now: Mono) -> Option<Assignment> {
    if desired.spread.is_everything() {
        return None;
    }
    let mut assignment = Assignment::default();
    for dialect in Dialect::ALL {
        let (canaries, contracts): (Vec<&Contract>, Vec<&Contract>) =
            desired.contracts_of(dialect).partition(|contract| desired.spread.canaries.contains(*contract));
        let wanted = desired.accounts.iter().filter(|(_, a)| a.dialect == dialect && a.is_enabled && !a.suspended);
        let mut candidates: Vec<Candidate<'_>> =
            wanted.map(|(id, _)| candidate(desired, observed, ward, id, &contracts, canaries.len(), now)).collect();
        let starting = candidates.iter().filter_map(|c| c.proven_by).filter(|at| *at > now);
        assignment.due = assignment.due.into_iter().chain(starting).min();
        give_out(&mut candidates, contracts.len(), desired.spread.redundancy);
        // Where there is no source at all, that is what is wrong, and not room.
        let is_given = |index: usize| candidates.is_empty() || candidates.iter().any(|c| c.places[index].given);
        let homeless = contracts.iter().enumerate().filter(|(index, _)| !is_given(*index));
        assignment.homeless.extend(homeless.map(|(_, contract)| (*contract).clone()));
        for candidate in &candidates {
            let (kept, due) = handed_over(candidate, &candidates, now);
            assignment.due = assignment.due.into_iter().chain(due).min();
            let subscriptions = subscriptions(candidate, &kept, &contracts, &canaries);
            assignment.subscriptions.insert(candidate.id.clone(), subscriptions);
            if !kept.is_empty() {
                let leaving = kept.iter().map(|index| contracts[*index].clone()).collect();
                assignment.leaving.insert(candidate.id.clone(), leaving);
            }
        }
    }
    Some(assignment)
}

/// Everything that a source is to have; the same set as it holds, where nothing changes.
fn subscriptions(
    candidate: &Candidate<'_>,
    kept: &BTreeSet<usize>,
    contracts: &[&Contract],
    canaries: &[&Contract],
) -> Arc<BTreeSet<Contract>> {
    let is_to_have = |index: usize| candidate.places[index].given || kept.contains(&index);
    if let Some(holds) = candidate.holds {
        let mut held = InOrder::of(Some(holds));
        let is_same = (0..contracts.len()).all(|index| is_to_have(index) == candidate.places[index].holds)
            && canaries.iter().all(|canary| held.has(canary))
            && holds.len() == candidate.load + kept.len() + canaries.len();
        if is_same {
            return Arc::clone(holds);
        }
    }
    let given = contracts.iter().enumerate().filter(|(index, _)| is_to_have(*index)).map(|(_, contract)| contract);
    Arc::new(given.chain(canaries).map(|contract| (*contract).clone()).collect())
}

/// Every contract gets one source before any gets two, and whoever delivers a contract keeps it before others get it.
fn give_out(candidates: &mut [Candidate<'_>], contracts: usize, redundancy: u32) {
    let rounds = match usize::try_from(redundancy).unwrap_or(usize::MAX) {
        0 => candidates.len(),
        n => n.min(candidates.len()),
    };
    let keeps = |place: &Place| place.holds && place.standing == Standing::Up;
    give(candidates, contracts, 1, keeps);
    give(candidates, contracts, 1, |_| true);
    for round in 2..=rounds {
        give(candidates, contracts, round, keeps);
    }
    for round in 2..=rounds {
        give(candidates, contracts, round, |_| true);
    }
}

/// Gives every contract of less than `most` sources to one more: the best with room of those that may have it.
fn give(candidates: &mut [Candidate<'_>], contracts: usize, most: usize, may_have: impl Fn(&Place) -> bool) {
    for index in 0..contracts {
        if candidates.iter().filter(|c| c.places[index].given).count() >= most {
            continue;
        }
        let is_able = |c: &&mut Candidate<'_>| {
            let place = &c.places[index];
            c.load < c.room && !place.given && may_have(place)
        };
        let able = candidates.iter_mut().filter(is_able);
        if let Some(best) = able.min_by_key(|c| (c.places[index].standing, !c.places[index].holds, c.priority, c.id)) {
            best.places[index].given = true;
            best.load += 1;
        }
    }
}

/// What this source goes on with though others are to have it: until they have had time to begin, as far as there is room.
/// With it, when that is over.
fn handed_over(candidate: &Candidate<'_>, all: &[Candidate<'_>], now: Mono) -> (BTreeSet<usize>, Option<Mono>) {
    let mut kept = BTreeSet::new();
    let mut due = None;
    let surplus = candidate.places.iter().enumerate().filter(|(_, place)| place.holds && !place.given);
    for (index, _) in surplus {
        let takers = || all.iter().filter(|taker| taker.places[index].given);
        let begun = takers().filter(|taker| taker.places[index].holds).filter_map(|taker| taker.begun_at);
        let at = begun.max().filter(|at| *at > now);
        let is_waited_for = at.is_some() || takers().any(|taker| !taker.places[index].holds);
        if is_waited_for && candidate.load + kept.len() < candidate.room {
            kept.insert(index);
            due = due.into_iter().chain(at).min();
        }
    }
    (kept, due)
}

fn candidate<'a>(
    desired: &'a Desired,
    observed: &'a Observed,
    ward: &Ward<'_>,
    id: &'a AccountId,
    contracts: &[&Contract],
    canaries: usize,
    now: Mono,
) -> Candidate<'a> {
    let none = GatewayView::default();
    let view = observed.gateways.get(id).unwrap_or(&none);
    let process = view.process.as_ref();
    let told = observed.subscribed.get(id).filter(|told| process.is_some_and(|p| p.incarnation == told.incarnation));
    let verdict = verdict::judge(desired, observed, desired.accounts.get(id), view, ward.health(id), now);
    let proven_by = process.filter(|p| p.ready_at.is_none()).map(|p| p.started_at.plus_ms(desired.policy.handover_ms));
    let standing = Exchange::ALL.map(|exchange| standing(&verdict, exchange, proven_by, now));
    let most = desired.spread.contracts_max.get(id).map_or(usize::MAX, |most| *most as usize);
    let holds = told.map(|told| &told.contracts);
    let (mut held, mut failed) = (InOrder::of(holds.map(|holds| &**holds)), InOrder::of(observed.fails.get(id)));
    let places = contracts.iter().map(|contract| {
        let holds = held.has(contract);
        let standing = match standing[contract.exchange() as usize] {
            standing if failed.has(contract) => standing.max(Standing::Poor),
            // What it was started with is not taken from it before it had time to come up.
            Standing::Starting if holds => Standing::Up,
            standing => standing,
        };
        Place { standing, holds, given: false }
    });
    Candidate {
        id,
        priority: desired.accounts.get(id).map_or(u32::MAX, |account| account.priority),
        proven_by,
        begun_at: told.map(|told| told.grown_at.plus_ms(desired.policy.handover_ms)),
        holds,
        room: most.saturating_sub(canaries),
        load: 0,
        places: places.collect(),
    }
}

/// What can be expected of a source on this exchange.
fn standing(verdict: &Verdict<'_>, exchange: Exchange, proven_by: Option<Mono>, now: Mono) -> Standing {
    match verdict {
        Verdict::Rest(_) | Verdict::CoolDown { .. } | Verdict::Blocked(_) => Standing::Down,
        Verdict::Start => Standing::Starting,
        Verdict::End { .. } | Verdict::Leaving { .. } => Standing::Poor,
        Verdict::Keep(process, health) => match health {
            // Before it is ended, others take its contracts over.
            Health::Sick { .. } | Health::Degraded { hold: Some(Hold::Until(_) | Hold::OnlyDeliverer(_)), .. } => {
                Standing::Poor
            }
            Health::Degraded { silent, .. } if silent.contains(&exchange) => Standing::Poor,
            Health::Degraded { .. } | Health::Unknown | Health::Well { .. } => match process.front {
                FrontState::LoggedIn { .. } if process.ready_at.is_some() => Standing::Up,
                FrontState::Disconnected { .. } | FrontState::Refused { .. } => Standing::Poor,
                _ if proven_by.is_some_and(|at| at > now) => Standing::Starting,
                _ => Standing::Poor,
            },
        },
    }
}
