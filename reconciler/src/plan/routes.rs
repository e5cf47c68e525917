//! Who may feed which contract.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::{AccountId, GatewayKind};
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::process::{Ending, Exit, FrontState, GatewayView, Incarnation};
use mdhub_spec::time::Now;

use super::assign::Assignment;
use super::health::Ward;
use super::state::{Desired, DesiredAccount, Observed};
use super::{backoff, verdict};

/// Who may feed which contract: who is ready first, then by priority, then id, so that the first of all is the primary. Every
/// desired contract has an entry, if an empty one.
///
/// A source that dies keeps its routes until its pipe is drained, since its last ticks may be the only copies. A sick one
/// loses them at once. One that is silent on an exchange, or that sends rubbish, is left out where others deliver: the last
/// one never is. One that does not bring this contract comes after those that do; where contracts are spread, only those that
/// have it, or are to have it, feed it.
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
    let of_kind = |kind| -> Vec<AccountId> {
        sources.iter().filter(|(_, account)| account.kind == kind).map(|(id, _)| (*id).clone()).collect()
    };
    let (ctp, sopt) = (of_kind(GatewayKind::Ctp), of_kind(GatewayKind::Sopt));
    let trusted: BTreeMap<Exchange, Vec<AccountId>> = Exchange::ALL
        .into_iter()
        .map(|exchange| {
            let all = if GatewayKind::Ctp.serves(exchange) { &ctp } else { &sopt };
            let trusted: Vec<AccountId> = all.iter().filter(|id| !ward.is_doubtful(id, exchange)).cloned().collect();
            let is_served = trusted.iter().any(|id| ward.is_proven_on(id, exchange));
            (exchange, if is_served { trusted } else { all.clone() })
        })
        .collect();
    let served = |contract: &Contract| {
        let mut sources = trusted[&contract.exchange()].clone();
        let fails = |id: &AccountId| observed.fails.get(id).is_some_and(|fails| fails.contains(contract));
        if let Some(assignment) = assignment {
            let is_to_have = |id: &AccountId| assignment.subscriptions.get(id).is_some_and(|s| s.contains(contract));
            let has =
                |id: &AccountId| observed.subscribed.get(id).is_some_and(|told| told.contracts.contains(contract));
            sources.retain(|id| is_to_have(id) || has(id));
            sources.sort_by_key(|id| (!is_up(id), fails(id), !assignment.is_given(id, contract)));
        } else if !observed.fails.is_empty() {
            sources.sort_by_key(|id| (!is_up(id), fails(id)));
        }
        sources
    };
    desired.contracts.iter().map(|contract| (contract.clone(), served(contract))).collect()
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
