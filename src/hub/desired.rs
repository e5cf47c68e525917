//! From the stored accounts to what the planner wants to know.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_gateways::manager::Library;
use mdhub_reconciler::plan::{Desired, DesiredAccount, Policy};
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::SOURCES_MAX;

use crate::settings_file::LoadedSettings;

use super::slots::Slots;

/// What comes from the settings file and does not change while the hub runs.
pub(crate) struct Fixed {
    pub(crate) contracts: BTreeSet<Contract>,
    pub(crate) libraries: BTreeMap<String, Library>,
    pub(crate) policy: Policy,
}

impl From<&LoadedSettings> for Fixed {
    fn from(loaded: &LoadedSettings) -> Self {
        Self {
            contracts: loaded.contracts.clone(),
            libraries: loaded.libraries.clone(),
            policy: Policy::from(&loaded.settings.health),
        }
    }
}

/// Desired state: the accounts whole, for launching, and the planner's view of them.
pub(crate) struct DesiredState {
    pub(crate) accounts: BTreeMap<AccountId, MarketDataAccount>,
    pub(crate) desired: Desired,
}

impl DesiredState {
    pub(crate) fn new(fixed: &Fixed, slots: &Slots, accounts: Vec<MarketDataAccount>) -> Self {
        let accounts: BTreeMap<_, _> = accounts.into_iter().map(|a| (a.id.clone(), a)).collect();
        let planned = accounts.values().map(|account| {
            let problem = problem(fixed, slots, account);
            (account.id.clone(), DesiredAccount { problem, ..DesiredAccount::from(account) })
        });
        let desired = Desired { accounts: planned.collect(), contracts: fixed.contracts.clone(), policy: fixed.policy };
        Self { accounts, desired }
    }
}

/// Why this account cannot be launched as it is; `None` when it can.
fn problem(fixed: &Fixed, slots: &Slots, account: &MarketDataAccount) -> Option<String> {
    let name = &account.settings.library;
    if !fixed.libraries.contains_key(name) {
        let known: Vec<&str> = fixed.libraries.keys().map(String::as_str).collect();
        return Some(format!(
            "library {name:?} is not in `libraries:` of the settings; known are: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ));
    }
    slots.get(&account.id).is_none().then(|| format!("there are already {SOURCES_MAX} accounts: no more can run"))
}
