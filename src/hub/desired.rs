//! From the stored accounts to what the planner wants to know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mdhub_gateways::program::Library;
use mdhub_reconciler::plan::{Desired, DesiredAccount, Policy, Spread};
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::SOURCES_MAX;
use mdhub_spec::ports::SetAside;
use mdhub_spec::settings::Clock;

use crate::settings_file::LoadedSettings;

use super::slots::Slots;

/// What comes from the settings file.
pub(crate) struct Configured {
    pub(crate) contracts: BTreeSet<Contract>,
    pub(crate) libraries: BTreeMap<String, Library>,
    pub(crate) policy: Policy,
    pub(crate) spread: Spread,
    pub(crate) refused_codes: BTreeSet<i32>,
    /// What always ticks in its section.
    pub(crate) canaries: Vec<Contract>,
    pub(crate) always_open: bool,
    /// Ticks are of another day, so that the clock says nothing of their sections.
    pub(crate) is_replay: bool,
    pub(crate) calendar: MarketCalendar,
}

impl From<&LoadedSettings> for Configured {
    fn from(loaded: &LoadedSettings) -> Self {
        Self {
            contracts: loaded.contracts.clone(),
            libraries: loaded.libraries.clone(),
            policy: Policy::from(&loaded.settings.health),
            spread: Spread {
                redundancy: loaded.settings.contracts.redundancy,
                contracts_max: loaded.settings.contracts.max_by_account.clone(),
                canaries: loaded.settings.canaries.list.iter().cloned().collect(),
            },
            refused_codes: loaded.settings.health.login_refused_codes.clone(),
            canaries: loaded.settings.canaries.list.clone(),
            always_open: loaded.settings.calendar.always_open,
            is_replay: loaded.settings.cleansing.clock == Clock::Replay,
            calendar: MarketCalendar::of(&loaded.settings.calendar),
        }
    }
}

/// Desired state: the accounts whole, for launching, and the planner's view of them.
pub(crate) struct DesiredState {
    pub(crate) accounts: BTreeMap<AccountId, MarketDataAccount>,
    pub(crate) desired: Desired,
    /// The contracts of `desired`, shared: that they are still the same is cheap to see.
    pub(crate) wanted: Arc<BTreeSet<Contract>>,
}

impl DesiredState {
    /// What runs of an account that can no longer be launched goes on as it was `before`.
    pub(crate) fn new(
        configured: &Configured,
        slots: &Slots,
        accounts: Vec<MarketDataAccount>,
        before: Option<&Self>,
    ) -> Self {
        let accounts: BTreeMap<_, _> = accounts.into_iter().map(|a| (a.id.clone(), a)).collect();
        let planned = accounts.values().map(|account| {
            let was = before.and_then(|before| before.desired.accounts.get(&account.id));
            let (dialect, is_low_precision, problem) = match library(configured, account) {
                Ok((library, dialect)) => (dialect, library.is_low_precision(), crowded(slots, account)),
                Err(why) => {
                    let dialect = was.map(|was| was.dialect).or_else(|| account.gateway.dialect());
                    let is_low_precision = was.is_some_and(|was| was.is_low_precision);
                    (dialect.unwrap_or(Dialect::Ctp), is_low_precision, Some(why))
                }
            };
            (account.id.clone(), DesiredAccount { problem, is_low_precision, ..DesiredAccount::new(account, dialect) })
        });
        let desired = Desired {
            accounts: planned.collect(),
            contracts: configured.contracts.clone(),
            spread: configured.spread.clone(),
            policy: configured.policy,
            refused_codes: configured.refused_codes.clone(),
        };
        let wanted = Arc::new(desired.contracts.clone());
        Self { accounts, desired, wanted }
    }

    /// Whose contracts this account carries; `None` where there is no such account.
    pub(crate) fn dialect(&self, id: &AccountId) -> Option<Dialect> {
        self.desired.accounts.get(id).map(|account| account.dialect)
    }

    /// The same, with these contracts.
    pub(crate) fn with_contracts(&self, contracts: BTreeSet<Contract>) -> Self {
        let wanted = Arc::new(contracts.clone());
        Self { accounts: self.accounts.clone(), desired: Desired { contracts, ..self.desired.clone() }, wanted }
    }
}

/// What a complete read asks for. A row that cannot be used says nothing, least of all that its account is to end: what
/// was `before` stays in force.
pub(crate) fn in_force(
    mut read: Vec<MarketDataAccount>,
    set_aside: &[SetAside],
    before: Option<&DesiredState>,
) -> Vec<MarketDataAccount> {
    let unusable = set_aside.iter().filter_map(|row| row.id.parse::<AccountId>().ok());
    read.extend(unusable.filter_map(|id| before?.accounts.get(&id).cloned()));
    read
}

/// What this account loads, and whose contracts it then carries; or why it cannot be launched as it is.
fn library<'a>(configured: &'a Configured, account: &MarketDataAccount) -> Result<(&'a Library, Dialect), String> {
    let name = &account.settings.library;
    let library = configured.libraries.get(name).ok_or_else(|| {
        let known: Vec<&str> = configured.libraries.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("library {name:?} is not in `libraries:` of the settings; known are: {known}")
    })?;
    let dialect = library.dialect(account.gateway).map_err(|why| format!("library {name:?}: {why}"))?;
    Ok((library, dialect))
}

/// Whether there is no place for this account.
fn crowded(slots: &Slots, account: &MarketDataAccount) -> Option<String> {
    slots
        .get(&account.id)
        .is_none()
        .then(|| format!("there are already {SOURCES_MAX} enabled accounts: no more can run"))
}

#[cfg(test)]
mod tests {
    use mdhub_spec::account::{AccountSettings, GatewayKind, Secret};
    use mdhub_spec::settings::VnpyClass;

    use super::*;

    fn account(id: &str) -> MarketDataAccount {
        MarketDataAccount {
            id: id.parse().expect("a slug"),
            gateway: GatewayKind::Ctp,
            settings: AccountSettings::from_json(r#"{"md_address":"tcp://a:1","library":"sim"}"#).expect("settings"),
            password: Secret::default(),
            priority: 1,
            is_enabled: true,
            suspended: false,
            restart_generation: 0,
            generation: 1,
            description: String::new(),
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }

    fn configured(libraries: BTreeMap<String, Library>) -> Configured {
        Configured {
            contracts: BTreeSet::new(),
            libraries,
            policy: Policy::default(),
            spread: Spread::default(),
            refused_codes: BTreeSet::new(),
            canaries: vec![],
            always_open: true,
            is_replay: false,
            calendar: MarketCalendar::shipped(),
        }
    }

    #[test]
    fn whose_contracts_a_vnpy_account_carries_its_library_says_and_a_running_one_keeps_it() {
        let class = VnpyClass {
            name: "desk.Ours".into(),
            dialect: Dialect::Sopt,
            is_low_precision: true,
            connect: BTreeMap::new(),
        };
        let ours = Library { path: "/v".into(), sha256: None, env: BTreeMap::new(), vnpy_class: Some(class) };
        let known = configured(BTreeMap::from([("ours".to_owned(), ours)]));
        let mut wanted = MarketDataAccount { gateway: GatewayKind::Vnpy, ..account("v") };
        wanted.settings.library = "ours".into();
        let slots = Slots::default();
        let state = DesiredState::new(&known, &slots, vec![wanted.clone()], None);
        let planned = &state.desired.accounts[&wanted.id];
        assert_eq!((planned.dialect, planned.is_low_precision), (Dialect::Sopt, true));
        wanted.settings.library = "gone".into();
        let later = DesiredState::new(&known, &slots, vec![wanted.clone()], Some(&state));
        let planned = &later.desired.accounts[&wanted.id];
        assert_eq!((planned.dialect, planned.is_low_precision), (Dialect::Sopt, true));
        assert!(planned.problem.as_ref().is_some_and(|why| why.contains("known are: ours")), "{planned:?}");
        (wanted.gateway, wanted.settings.library) = (GatewayKind::Ctp, "ours".into());
        let mixed = DesiredState::new(&known, &slots, vec![wanted.clone()], None);
        let why = mixed.desired.accounts[&wanted.id].problem.clone().unwrap_or_default();
        assert!(why.contains("vnpy's class desk.Ours") && why.contains("gateway is ctp"), "{why}");
    }

    #[test]
    fn a_row_that_cannot_be_used_leaves_its_account_as_it_was_and_a_missing_one_ends_it() {
        let configured = configured(BTreeMap::new());
        let three = vec![account("a"), account("b"), account("c")];
        let before = DesiredState::new(&configured, &Slots::default(), three, None);
        let aside = ["b", "never-read", "(row 7)"].map(|id| SetAside { id: id.into(), why: "nonsense".into() });
        let ids = |before| -> Vec<String> {
            in_force(vec![account("a")], &aside, before).iter().map(|a| a.id.to_string()).collect()
        };
        assert_eq!(ids(Some(&before)), ["a", "b"]);
        assert_eq!(ids(None), ["a"]);
    }
}
