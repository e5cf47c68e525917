//! Who is to subscribe which contract, and whose front has accepted it, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mdhub_reconciler::plan::Plan;
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::SourceSlot;
use mdhub_spec::process::REFUSED_MAX;

use super::super::desired::{Configured, DesiredState};
use super::subscriptions::wanted;
use super::{Control, State};

/// What an account is to subscribe, by the last plan.
pub(super) type Assigned = BTreeMap<AccountId, Arc<BTreeSet<Contract>>>;

/// All that is wanted, and by whom.
pub(crate) struct Holdings {
    pub(crate) configured: Arc<Configured>,
    pub(crate) wanted: Arc<BTreeSet<Contract>>,
    pub(crate) holders: Vec<Holder>,
}

/// An account that is to run.
pub(crate) struct Holder {
    pub(crate) account: AccountId,
    pub(crate) slot: SourceSlot,
    pub(crate) dialect: Dialect,
    pub(crate) assigned: Option<Arc<BTreeSet<Contract>>>,
    /// What its process was told to subscribe, where there is one whose front has begun to answer.
    pub(crate) told: Option<Told>,
}

/// What a front was asked for.
pub(crate) struct Told {
    pub(crate) contracts: Arc<BTreeSet<Contract>>,
    /// Symbols.
    pub(crate) refused: BTreeSet<String>,
    /// Whether everything was answered, and every refusal is known.
    pub(crate) is_settled: bool,
}

/// Those who are to run, and what they are to subscribe.
pub(super) fn assigned(desired: &DesiredState, plan: &Plan) -> Assigned {
    let runs = desired.desired.accounts.iter().filter(|(_, a)| a.is_enabled && !a.suspended && a.problem.is_none());
    runs.filter_map(|(id, _)| Some((id.clone(), wanted(desired, plan, id)?))).collect()
}

impl Control {
    /// `None` before the accounts were read once.
    pub(crate) fn holdings(&self) -> Option<Holdings> {
        let views = self.manager.observe();
        let state = self.state();
        let desired = state.desired.clone()?;
        let State { slots, subscribed, assigned, .. } = &*state;
        let holder = |(account, slot): (&AccountId, SourceSlot)| {
            let process = views.get(account).and_then(|view| view.process.as_ref());
            let told = subscribed.get(account).and_then(|told| {
                let process = process.filter(|process| process.incarnation == told.incarnation)?;
                let knows_refusals = process.refused.len() < REFUSED_MAX;
                Some(Told {
                    contracts: told.contracts.clone(),
                    refused: process.refused.keys().cloned().collect(),
                    is_settled: process.ready_at.is_some() && process.unanswered == 0 && knows_refusals,
                })
            });
            let dialect = desired.dialect(account)?;
            Some(Holder { account: account.clone(), slot, dialect, assigned: assigned.get(account).cloned(), told })
        };
        let holders = slots.all().filter_map(holder).collect();
        Some(Holdings { configured: self.configured(), wanted: desired.wanted.clone(), holders })
    }
}
