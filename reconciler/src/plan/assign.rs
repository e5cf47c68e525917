//! Which source subscribes which contract, where not every source is to subscribe everything: `redundancy` sources for each
//! contract, and no more contracts at a source than it may carry. Canaries are subscribed everywhere, and first.
//!
//! A contract stays where it is as long as that source can deliver it. It moves when its source dies, falls silent, is about
//! to be ended, or does not bring this contract; the former source lets go only after a while, so that there is no gap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mdhub_spec::account::{AccountId, GatewayKind};
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::process::{FrontState, GatewayView, Incarnation};
use mdhub_spec::time::Mono;

use super::health::{Health, Hold, Ward};
use super::state::{Desired, DesiredAccount, Observed};
use super::verdict::{self, Verdict};

/// How contracts are spread over the sources of a kind.
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
    pub subscriptions: BTreeMap<AccountId, BTreeSet<Contract>>,
    /// Of these, those that others are about to take over.
    pub leaving: BTreeMap<AccountId, BTreeSet<Contract>>,
    /// Those that no source has room for.
    pub homeless: BTreeSet<Contract>,
    /// When the mere passing of time changes it.
    pub due: Option<Mono>,
}

impl Assignment {
    /// Whether this source is to have the contract for good.
    pub(super) fn is_given(&self, id: &AccountId, contract: &Contract) -> bool {
        let has = |of: &BTreeMap<AccountId, BTreeSet<Contract>>| of.get(id).is_some_and(|has| has.contains(contract));
        has(&self.subscriptions) && !has(&self.leaving)
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

/// A source, as far as contracts are given out.
struct Candidate<'a> {
    id: &'a AccountId,
    priority: u32,
    standing: BTreeMap<Exchange, Standing>,
    /// One that is not ready is believed to come up until then.
    proven_by: Option<Mono>,
    /// From then on it has had time to begin with what it holds.
    begun_at: Option<Mono>,
    /// What it holds.
    holds: Option<&'a BTreeSet<Contract>>,
    /// What it holds, and does not bring.
    fails: Option<&'a BTreeSet<Contract>>,
    /// How many it may carry beside the canaries.
    room: usize,
    given: BTreeSet<&'a Contract>,
}

impl Candidate<'_> {
    fn standing(&self, contract: &Contract) -> Standing {
        match self.standing.get(&contract.exchange()).copied().unwrap_or(Standing::Down) {
            standing if self.fails.is_some_and(|fails| fails.contains(contract)) => standing.max(Standing::Poor),
            // What it was started with is not taken from it before it had time to come up.
            Standing::Starting if self.holds(contract) => Standing::Up,
            standing => standing,
        }
    }

    fn holds(&self, contract: &Contract) -> bool {
        self.holds.is_some_and(|holds| holds.contains(contract))
    }
}

/// Gives the contracts out. `None` where every source subscribes everything.
pub(super) fn assign(desired: &Desired, observed: &Observed, ward: &Ward<'_>, now: Mono) -> Option<Assignment> {
    if desired.spread.is_everything() {
        return None;
    }
    let mut assignment = Assignment::default();
    for kind in [GatewayKind::Ctp, GatewayKind::Sopt] {
        let wanted = desired.accounts.iter().filter(|(_, a)| a.kind == kind && a.is_enabled && !a.suspended);
        let candidates: Vec<Candidate<'_>> =
            wanted.map(|(id, account)| candidate(desired, observed, ward, id, account, now)).collect();
        let starting = candidates.iter().filter_map(|c| c.proven_by).filter(|at| *at > now);
        assignment.due = assignment.due.into_iter().chain(starting).min();
        let (canaries, contracts): (Vec<&Contract>, Vec<&Contract>) =
            desired.contracts_of(kind).partition(|contract| desired.spread.canaries.contains(*contract));
        let candidates = give_out(candidates, &contracts, desired.spread.redundancy, &mut assignment.homeless);
        for candidate in &candidates {
            let (kept, due) = handed_over(candidate, &candidates, &contracts, now);
            assignment.due = assignment.due.into_iter().chain(due).min();
            let all = candidate.given.iter().chain(&kept).chain(&canaries).map(|contract| (*contract).clone());
            assignment.subscriptions.insert(candidate.id.clone(), all.collect());
            if !kept.is_empty() {
                assignment.leaving.insert(candidate.id.clone(), kept.into_iter().cloned().collect());
            }
        }
    }
    Some(assignment)
}

/// Every contract gets one source before any gets two, and whoever delivers a contract keeps it before others get it.
fn give_out<'a>(
    mut candidates: Vec<Candidate<'a>>,
    contracts: &[&'a Contract],
    redundancy: u32,
    homeless: &mut BTreeSet<Contract>,
) -> Vec<Candidate<'a>> {
    let rounds = match usize::try_from(redundancy).unwrap_or(usize::MAX) {
        0 => candidates.len(),
        n => n.min(candidates.len()),
    };
    let keeps = |c: &Candidate<'a>, contract: &Contract| c.holds(contract) && c.standing(contract) == Standing::Up;
    give(&mut candidates, contracts, 1, keeps);
    give(&mut candidates, contracts, 1, |_, _| true);
    let is_given = |contract: &&&Contract| candidates.iter().any(|c| c.given.contains(*contract));
    homeless.extend(contracts.iter().filter(|contract| !is_given(contract)).map(|contract| (*contract).clone()));
    for round in 2..=rounds {
        give(&mut candidates, contracts, round, keeps);
    }
    for round in 2..=rounds {
        give(&mut candidates, contracts, round, |_, _| true);
    }
    candidates
}

/// Gives every contract of less than `most` sources to one more: the best with room of those that may have it.
fn give<'a>(
    candidates: &mut [Candidate<'a>],
    contracts: &[&'a Contract],
    most: usize,
    may_have: impl Fn(&Candidate<'a>, &Contract) -> bool,
) {
    for contract in contracts {
        if candidates.iter().filter(|c| c.given.contains(contract)).count() >= most {
            continue;
        }
        let able = candidates
            .iter_mut()
            .filter(|c| c.given.len() < c.room && !c.given.contains(contract) && may_have(c, contract));
        if let Some(best) = able.min_by_key(|c| (c.standing(contract), !c.holds(contract), c.priority, c.id)) {
            best.given.insert(contract);
        }
    }
}

/// What this source goes on with though others are to have it: until they have had time to begin, as far as there is room.
/// With it, when that is over.
fn handed_over<'a>(
    candidate: &Candidate<'a>,
    all: &[Candidate<'a>],
    contracts: &[&'a Contract],
    now: Mono,
) -> (Vec<&'a Contract>, Option<Mono>) {
    let mut kept = Vec::new();
    let mut due = None;
    for contract in contracts.iter().filter(|c| candidate.holds(c) && !candidate.given.contains(*c)) {
        let takers = || all.iter().filter(|taker| taker.given.contains(contract));
        let begun = takers().filter(|taker| taker.holds(contract)).filter_map(|taker| taker.begun_at);
        let at = begun.max().filter(|at| *at > now);
        if (at.is_some() || takers().any(|taker| !taker.holds(contract)))
            && candidate.given.len() + kept.len() < candidate.room
        {
            kept.push(*contract);
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
    account: &'a DesiredAccount,
    now: Mono,
) -> Candidate<'a> {
    let none = GatewayView::default();
    let view = observed.gateways.get(id).unwrap_or(&none);
    let process = view.process.as_ref();
    let told = observed.subscribed.get(id).filter(|told| process.is_some_and(|p| p.incarnation == told.incarnation));
    let verdict = verdict::judge(desired, observed, Some(account), view, ward.health(id), now);
    let proven_by = process.filter(|p| p.ready_at.is_none()).map(|p| p.started_at.plus_ms(desired.policy.handover_ms));
    let exchanges = Exchange::ALL.into_iter().filter(|exchange| account.kind.serves(*exchange));
    let canaries = desired.contracts_of(account.kind).filter(|c| desired.spread.canaries.contains(*c)).count();
    let most = desired.spread.contracts_max.get(id).map_or(usize::MAX, |most| *most as usize);
    Candidate {
        id,
        priority: account.priority,
        standing: exchanges.map(|exchange| (exchange, standing(&verdict, exchange, proven_by, now))).collect(),
        proven_by,
        begun_at: told.map(|told| told.grown_at.plus_ms(desired.policy.handover_ms)),
        holds: told.map(|told| &*told.contracts),
        fails: observed.fails.get(id),
        room: most.saturating_sub(canaries),
        given: BTreeSet::new(),
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
