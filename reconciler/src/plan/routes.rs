//! Who may feed which contract.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::AccountId;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{Ending, Exit, FrontState, GatewayView, Incarnation};
use mdhub_spec::time::Now;

use super::assign::{Assignment, InOrder};
use super::health::Ward;
use super::state::{Desired, DesiredAccount, Observed};
use super::{backoff, verdict};

/// Who may feed which contract: who is ready first, then by priority, then id, so that the first of all is the primary. Every
/// desired contract has an entry, if an empty one.
///
/// A source that dies keeps its routes until its pipe is drained, since its last ticks may be the only copies. A sick one
/// loses them at once. One that is silent on an exchange, or that sends rubbish, is left out where others deliver: the last
/// one never is. One that does not bring this contract comes after those that do; where contracts are spread, only those that
/// have it, or are to have it, feed it. One whose ticks are converted feeds what no other source brings.
pub(super) fn routes(
    desired: &Desired,
    observed: &Observed,
    ward: &Ward<'_>,
    assignment: Option<&Assignment>,
    now: Now,
) -> BTreeMap<Contract, Vec<AccountId>> {
    let mut sources: Vec<(&AccountId, &DesiredAccount)> = desired
        .accounts
        .iter()
        .filter(|(id, _)| observed.gateways.get(id).is_some_and(|view| feeds(desired, observed, view, now)))
        .collect();
    let is_up = |id: &AccountId| observed.gateways.get(id).is_some_and(is_up);
    sources.sort_by_key(|(id, account)| (!is_up(id), account.priority, *id));
    let of_dialect = |dialect| -> Vec<AccountId> {
        sources.iter().filter(|(_, account)| account.dialect == dialect).map(|(id, _)| (*id).clone()).collect()
    };
    let (ctp, sopt) = (of_dialect(Dialect::Ctp), of_dialect(Dialect::Sopt));
    let trusted: BTreeMap<Exchange, Vec<AccountId>> = Exchange::ALL
        .into_iter()
        .map(|exchange| {
            let all = if Dialect::Ctp.serves(exchange) { &ctp } else { &sopt };
            let trusted: Vec<AccountId> = all.iter().filter(|id| !ward.is_doubtful(id, exchange)).cloned().collect();
            let is_served = trusted.iter().any(|id| ward.is_proven_on(id, exchange));
            (exchange, if is_served { trusted } else { all.clone() })
        })
        .collect();
    let mut placed: BTreeMap<&AccountId, Placed<'_>> =
        sources.iter().map(|(id, _)| (*id, Placed::new(observed, assignment, id, is_up(id)))).collect();
    let is_plain = assignment.is_none() && observed.fails.is_empty();
    let mut served = |contract: &Contract| {
        let mut sources = trusted[&contract.exchange()].clone();
        if is_plain {
            leave_out_imprecise(desired, &mut sources, is_up);
            return sources;
        }
        let ranks: BTreeMap<&AccountId, Option<Rank>> =
            placed.iter_mut().map(|(id, placed)| (*id, placed.rank(contract))).collect();
        let rank = |id: &AccountId| ranks.get(id).copied().flatten();
        sources.retain(|id| rank(id).is_some());
        sources.sort_by_key(rank);
        leave_out_imprecise(desired, &mut sources, |id| rank(id).is_some_and(|(is_down, fails, _)| !is_down && !fails));
        sources
    };
    desired.contracts.iter().map(|contract| (contract.clone(), served(contract))).collect()
}

/// A converted tick is another tick than the vendor's record that it was made from: where a source of the vendor's own records
/// `brings` a contract, the converted ones would double it, or push its watermark ahead.
fn leave_out_imprecise(desired: &Desired, sources: &mut Vec<AccountId>, brings: impl Fn(&AccountId) -> bool) {
    let is_precise = |id: &AccountId| desired.accounts.get(id).is_none_or(|account| !account.is_low_precision);
    if sources.iter().any(|id| is_precise(id) && brings(id)) {
        sources.retain(is_precise);
    }
}

/// Who comes first: the ready, of these who brings it, of these who is to have it.
type Rank = (bool, bool, bool);

/// One source, as contracts are looked up in their order.
struct Placed<'a> {
    is_up: bool,
    is_spread: bool,
    fails: InOrder<'a>,
    /// What it has been told to have, what it is to have, and what of that others take over.
    has: InOrder<'a>,
    is_to_have: InOrder<'a>,
    leaves: InOrder<'a>,
}

impl<'a> Placed<'a> {
    fn new(observed: &'a Observed, assignment: Option<&'a Assignment>, id: &AccountId, is_up: bool) -> Self {
        Self {
            is_up,
            is_spread: assignment.is_some(),
            fails: InOrder::of(observed.fails.get(id)),
            has: InOrder::of(observed.subscribed.get(id).map(|told| &*told.contracts)),
            is_to_have: InOrder::of(assignment.and_then(|a| a.subscriptions.get(id)).map(|contracts| &**contracts)),
            leaves: InOrder::of(assignment.and_then(|a| a.leaving.get(id))),
        }
    }

    /// Its place among those that feed the contract; `None` where it does not.
    fn rank(&mut self, contract: &Contract) -> Option<Rank> {
        let (has, is_to_have) = (self.has.has(contract), self.is_to_have.has(contract));
        let is_given = is_to_have && !self.leaves.has(contract);
        let rank = (!self.is_up, self.fails.has(contract), self.is_spread && !is_given);
        (!self.is_spread || has || is_to_have).then_some(rank)
    }
}

/// The pipes that are still read though their writers are, or were, sick.
pub(super) fn detach(desired: &Desired, observed: &Observed, now: Now) -> BTreeSet<Incarnation> {
    let sick = |view: &GatewayView| -> Vec<Incarnation> {
        let process = view.process.iter();
        let running = process
            .filter(|p| verdict::is_sick(&desired.policy, p, observed.watching_since, now.mono))
            .map(|p| p.incarnation);
        let ended = view.exits.iter().filter(|e| was_sick(desired, e)).map(|e| e.incarnation);
        running.chain(ended).filter(|i| observed.attached.contains(i)).collect()
    };
    observed.gateways.values().flat_map(sick).collect()
}

/// Whether its front would bring ticks now.
fn is_up(view: &GatewayView) -> bool {
    view.process.as_ref().is_some_and(|p| {
        p.ready_at.is_some() && p.ending == Ending::No && matches!(p.front, FrontState::LoggedIn { .. })
    })
}

fn feeds(desired: &Desired, observed: &Observed, view: &GatewayView, now: Now) -> bool {
    let runs =
        view.process.as_ref().is_some_and(|p| !verdict::is_sick(&desired.policy, p, observed.watching_since, now.mono));
    runs || view.exits.iter().any(|e| observed.attached.contains(&e.incarnation) && !was_sick(desired, e))
}

fn was_sick(desired: &Desired, exit: &Exit) -> bool {
    exit.protocol_mismatch.is_some() || backoff::was_silent(&desired.policy, exit)
}
