//! Who subscribes what at the running workers: told when it changes, checked contract by contract, and told again where a
//! source stays silent on what others bring. What subscribers ask for beyond the settings is wanted like any other contract
//! while somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mdhub_gateways::manager::Refused;
use mdhub_reconciler::plan::{Observed, Plan, Subscribed};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::{Brought, FeedCommand, Reply, SourceMask};
use mdhub_spec::process::{GatewayView, Incarnation};
use mdhub_spec::time::Mono;
use tokio::sync::{oneshot, watch as tokio_watch};
use tracing::{info, warn};

use crate::clock;

use super::super::coverage::{Found, Holder};
use super::super::desired::DesiredState;
use super::super::hooks::{self, Act};
use super::{Control, State};

/// The feed is asked so often within the silence of a contract, at least.
const LOOKS_IN_SILENCE: u64 = 6;
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(5);
/// While a first tick is waited for.
const FIRST_TICK: Duration = Duration::from_millis(20);
/// Contracts that a line of the log names; more are counted.
const NAMES_MAX: usize = 8;

/// Who has brought what since the last look for silent contracts.
#[derive(Debug, Default)]
struct Since {
    at: Mono,
    brought: BTreeMap<Contract, SourceMask>,
}

impl Since {
    fn add(&mut self, brought: BTreeMap<Contract, SourceMask>) {
        for (contract, sources) in brought {
            let all = self.brought.entry(contract).or_default();
            *all = all.or(sources);
        }
    }
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
    pub(super) fn tell_subscriptions(&self, desired: &DesiredState, observed: &Observed, plan: &Plan) {
        for (id, view) in &observed.gateways {
            let Some(process) = view.process.as_ref().filter(|p| p.hello_at.is_some()) else { continue };
            let Some(dialect) = desired.dialect(id) else { continue };
            let Some(wanted) = wanted(desired, plan, id) else { continue };
            if let Err(refused) = self.tell_subscriptions_to(id, process.incarnation, dialect, wanted) {
                warn!("{refused}");
            }
        }
    }

    fn tell_subscriptions_to(
        &self,
        id: &AccountId,
        incarnation: Incarnation,
        dialect: Dialect,
        wanted: Arc<BTreeSet<Contract>>,
    ) -> Result<(), Refused> {
        let mut state = self.state();
        // Of a process that this hub has not launched with a list nothing is known, and nothing is undone.
        let Some(told) = state.subscribed.get_mut(id).filter(|told| told.incarnation == incarnation) else {
            return Ok(());
        };
        if Arc::ptr_eq(&told.contracts, &wanted) || told.contracts == wanted {
            return Ok(());
        }
        let before = std::mem::replace(&mut told.contracts, wanted.clone());
        let mine = |contracts: Vec<&Contract>| -> Vec<Contract> {
            contracts.into_iter().filter(|c| dialect.serves(c.exchange())).cloned().collect()
        };
        let (new, gone) = (mine(wanted.difference(&before).collect()), mine(before.difference(&wanted).collect()));
        if !new.is_empty() {
            told.grown_at = clock::now().mono;
        }
        drop(state);
        // First of all what goes: a front that counts is never asked for more than it allows. What others have yet to take over
        // is wanted still.
        if !gone.is_empty() {
            self.manager.unsubscribe(id, incarnation, &gone)?;
        }
        if !new.is_empty() {
            self.manager.subscribe(id, incarnation, &new)?;
            hooks::acted(Act::Subscribe);
        }
        Ok(())
    }

    /// Asks the feed who has brought what, again and again, until the hub ends: often while a failover's first tick is waited
    /// for.
    pub(crate) async fn check_coverage(self: Arc<Self>, mut stopped: tokio_watch::Receiver<bool>) {
        let settings = self.settings();
        let mut since_look = Since::default();
        loop {
            let silence_ms = settings.borrow().settings.health.contract_silence_ms;
            let look = Duration::from_millis(silence_ms / LOOKS_IN_SILENCE).clamp(LOOK_MIN, LOOK_MAX);
            let is_waited_for = self.is_first_tick_near(clock::now().mono);
            tokio::select! {
                () = tokio::time::sleep(if is_waited_for { FIRST_TICK } else { look }) => {}
                () = self.failed_over.notified() => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            let (reply, answer) = oneshot::channel();
            let reply = Reply::new(move |brought| drop(reply.send(brought)));
            // A feed that does not answer is the watchdog's business.
            let asked = self.ask_feed(FeedCommand::Brought(reply)).await;
            let (Ok(()), Ok(brought)) = (asked, answer.await) else { continue };
            let now = clock::now().mono;
            let Some(brought) = self.by_contract(&brought) else { continue };
            if is_waited_for || !self.state().pending.is_empty() {
                self.first_ticks(&brought, now);
            }
            since_look.add(brought);
            if now.ms_since(since_look.at) >= u64::try_from(look.as_millis()).unwrap_or(u64::MAX) {
                self.covered(&since_look.brought, silence_ms, now);
                since_look = Since { at: now, ..Since::default() };
            }
        }
    }

    /// `None` where other routes are in force by now.
    fn by_contract(&self, brought: &Brought) -> Option<BTreeMap<Contract, SourceMask>> {
        let state = self.state();
        let is_same = state.routes_revision == brought.revision && state.routed.len() == brought.sources.len();
        let of_contracts = state.routed.keys().zip(&brought.sources).filter(|(_, sources)| !sources.is_empty());
        is_same.then(|| of_contracts.map(|(contract, sources)| (contract.clone(), *sources)).collect())
    }

    fn covered(&self, brought: &BTreeMap<Contract, SourceMask>, silence_ms: u64, now: Mono) {
        let views = self.manager.observe();
        let mut state = self.state();
        let Some(desired) = state.desired.clone() else { return };
        let State { coverage, subscribed, slots, .. } = &mut *state;
        let ready = |id: &AccountId, told: &Subscribed| {
            let process = views.get(id).and_then(|view| view.process.as_ref());
            process.is_some_and(|p| p.incarnation == told.incarnation && p.ready_at.is_some())
        };
        let holders: Vec<Holder<'_>> = subscribed
            .iter()
            .filter(|(id, told)| ready(id, told))
            .filter_map(|(account, told)| {
                let (slot, dialect) = (slots.get(account)?, desired.dialect(account)?);
                Some(Holder { account, incarnation: told.incarnation, slot, dialect, contracts: &told.contracts })
            })
            .collect();
        let brought = brought.iter().map(|(contract, sources)| (contract, *sources));
        let found = coverage.look(brought, &holders, silence_ms, now);
        drop(state);
        self.tell_lacking(found);
    }

    fn tell_lacking(&self, found: Found) {
        let Found { tell_again, given_up } = found;
        for ((id, incarnation), contracts) in tell_again {
            warn!(account = %id, contracts = named(&contracts), "silent though others bring them: subscribed again");
            let told = self.manager.unsubscribe(&id, incarnation, &contracts);
            if let Err(refused) = told.and_then(|()| self.manager.subscribe(&id, incarnation, &contracts)) {
                warn!("{refused}");
            }
        }
        let is_new = !given_up.is_empty();
        for (id, contracts) in given_up {
            let names = named(&contracts);
            warn!(account = %id, contracts = names, "silent though others bring them, also after they were subscribed again");
            let message = format!("silent though others bring them, also after they were subscribed again: {names}");
            self.outbox.hub_event(Some(&id), "ContractsSilent", message);
        }
        if is_new {
            self.told();
        }
    }

    /// What the sources have subscribed and do not bring: refused by their fronts, or given up.
    pub(super) fn fails(
        state: &State,
        desired: &DesiredState,
        views: &BTreeMap<AccountId, GatewayView>,
    ) -> BTreeMap<AccountId, BTreeSet<Contract>> {
        let mut fails = state.coverage.given_up();
        for (id, view) in views {
            let Some(process) = view.process.as_ref().filter(|p| !p.refused.is_empty()) else { continue };
            let Some(dialect) = desired.dialect(id) else { continue };
            let refused = desired.desired.contracts_of(dialect).filter(|c| process.refused.contains_key(c.symbol()));
            fails.entry(id.clone()).or_default().extend(refused.cloned());
        }
        fails
    }
}

/// What this account is to subscribe.
pub(super) fn wanted(desired: &DesiredState, plan: &Plan, id: &AccountId) -> Option<Arc<BTreeSet<Contract>>> {
    match &plan.assignment {
        None => Some(desired.wanted.clone()),
        Some(assignment) => assignment.subscriptions.get(id).cloned(),
    }
}

/// The first few, and how many more there are.
pub(super) fn named(contracts: &[Contract]) -> String {
    let first = contracts.iter().take(NAMES_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match contracts.len().saturating_sub(NAMES_MAX) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
