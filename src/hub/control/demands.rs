//! Contracts that subscribers ask for beyond those of the settings: wanted like any other while somebody asks, and subscribed
//! and dropped at the running workers.

use std::collections::BTreeSet;
use std::sync::Arc;

use mdhub_gateways::manager::Refused;
use mdhub_reconciler::plan::Observed;
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::process::Incarnation;
use tracing::{info, warn};

use super::super::hooks::{self, Act};
use super::Control;

/// The contracts that a process was last told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subscribed {
    pub(super) incarnation: Option<Incarnation>,
    pub(super) wanted: Arc<BTreeSet<Contract>>,
}

impl Control {
    /// The feed's word on what subscribers ask for: all of it.
    pub(crate) fn demanded(&self, contracts: Vec<Contract>) {
        let configured = self.configured();
        let demanded: BTreeSet<Contract> =
            contracts.into_iter().filter(|c| !configured.contracts.contains(c)).collect();
        let mut state = self.state();
        if *state.demanded == demanded {
            return;
        }
        info!(contracts = demanded.len(), "contracts on demand");
        state.demanded = Arc::new(demanded);
        if let Some(desired) = &state.desired {
            let contracts = self.wanted_contracts(&state.demanded);
            state.desired = Some(Arc::new(desired.with_contracts(contracts)));
        }
        drop(state);
        self.told();
    }

    /// Those of the settings, and these.
    pub(super) fn wanted_contracts(&self, demanded: &BTreeSet<Contract>) -> BTreeSet<Contract> {
        self.configured().contracts.union(demanded).cloned().collect()
    }

    /// Tells every running worker what came and what went since it was last told.
    pub(super) fn tell_demands(&self, observed: &Observed) {
        for (id, view) in &observed.gateways {
            let Some(process) = view.process.as_ref().filter(|p| p.hello_at.is_some()) else { continue };
            if let Err(refused) = self.tell_demands_to(id, process.incarnation) {
                warn!("{refused}");
            }
        }
    }

    fn tell_demands_to(&self, id: &AccountId, incarnation: Incarnation) -> Result<(), Refused> {
        let mut state = self.state();
        let Some(desired) = state.desired.clone() else { return Ok(()) };
        let Some(kind) = desired.accounts.get(id).map(|account| account.gateway) else { return Ok(()) };
        let wanted = &desired.wanted;
        let told = state.subscribed.entry(id.clone()).or_default();
        // Of a process that this hub has not launched with a list nothing is known, and nothing is undone.
        if told.incarnation != Some(incarnation) || Arc::ptr_eq(&told.wanted, wanted) {
            return Ok(());
        }
        let before = std::mem::replace(&mut told.wanted, wanted.clone());
        drop(state);
        let mine = |contracts: Vec<&Contract>| -> Vec<Contract> {
            contracts.into_iter().filter(|c| kind.serves(c.exchange())).cloned().collect()
        };
        let (new, gone) = (mine(wanted.difference(&before).collect()), mine(before.difference(wanted).collect()));
        if !new.is_empty() {
            self.manager.subscribe(id, incarnation, &new)?;
            hooks::acted(Act::Subscribe);
        }
        if !gone.is_empty() {
            self.manager.unsubscribe(id, incarnation, &gone)?;
        }
        Ok(())
    }
}
