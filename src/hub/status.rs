//! What every account is at, for people and scripts: `status.json` in the data directory, rewritten when something changes,
//! at most four times a second. Its fields: docs/status.md.

mod lives;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mdhub_reconciler::plan::{AccountStatus, DesiredAccount, Observed, Plan};
use mdhub_spec::account::AccountId;
use mdhub_spec::condition::{ConditionStatus, ConditionType};
use mdhub_spec::contract::Exchange;
use mdhub_spec::process::{Ending, GatewayView, ProcessView};
use mdhub_spec::time::{Mono, Now};
use serde_json::{Value, json};
use tokio::sync::watch as tokio_watch;
use tracing::warn;

use crate::data_dir::DataDir;
use crate::logging;

use super::desired::DesiredState;

/// Between two writes.
const EVERY_AT_MOST: Duration = Duration::from_millis(250);

/// Version of the document. What a field means never changes within it; fields may come.
const VERSION: u32 = 1;

/// Before the first plan.
pub(crate) fn nothing() -> Value {
    json!({"v": VERSION, "accounts": {}, "routes": {}, "silent_markets": []})
}

/// Puts a plan, and what it was made for, into one document.
pub(crate) fn document(
    epoch: u64,
    accounts: &BTreeMap<AccountId, Value>,
    plan: &Plan,
    desired: &Value,
    settings: &Value,
    sections: &Value,
) -> Value {
    let routes: BTreeMap<String, Vec<&str>> =
        plan.routes.iter().map(|(c, ids)| (c.vt_symbol(), ids.iter().map(AccountId::as_str).collect())).collect();
    json!({
        "v": VERSION,
        "epoch": epoch.to_string(),
        "desired": desired,
        "settings": settings,
        "accounts": accounts,
        "routes": routes,
        "sections": sections,
        "silent_markets": plan.silent_markets.keys().collect::<Vec<_>>(),
    })
}

/// What a plan does not say, since it knows no past: since when something is so.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Since when each condition has its status, milliseconds since the epoch.
    conditions: BTreeMap<(AccountId, ConditionType), (ConditionStatus, i64)>,
    /// The newest generation beside which no process runs with anything else.
    observed: BTreeMap<AccountId, u64>,
    /// Exchanges in their section that a process brings nothing of, with when it last did, milliseconds since the epoch.
    silent: BTreeMap<(AccountId, Exchange), i64>,
    lives: lives::Register,
}

impl Ledger {
    /// Takes note of a plan that was made at `now`.
    pub(crate) fn note(&mut self, desired: &DesiredState, observed: &Observed, plan: &Plan, now: Now) {
        self.lives.note(&observed.gateways, now);
        self.conditions.retain(|(id, _), _| plan.statuses.contains_key(id));
        for (id, condition) in plan.statuses.iter().flat_map(|(id, s)| s.conditions.iter().map(move |c| (id, c))) {
            let stated =
                self.conditions.entry((id.clone(), condition.kind)).or_insert((condition.status, now.wall_ms()));
            if stated.0 != condition.status {
                *stated = (condition.status, now.wall_ms());
            }
        }
        self.observed.retain(|id, _| desired.accounts.contains_key(id));
        for (id, account) in &desired.accounts {
            let process = observed.gateways.get(id).and_then(|view| view.process.as_ref());
            let wanted = desired.desired.accounts.get(id);
            if wanted.is_none_or(|wanted| process.is_none_or(|process| runs_as_wanted(wanted, process))) {
                self.observed.insert(id.clone(), account.generation);
            }
        }
        let silence_ms = desired.desired.policy.canary_silence_ms;
        let mut silent = BTreeMap::new();
        for (id, exchange, at) in watched(desired, observed) {
            let quiet_ms = now.mono.ms_since(at);
            if quiet_ms > silence_ms {
                let since_ms = now.wall_ms().saturating_sub_unsigned(quiet_ms);
                let known = self.silent.get(&(id.clone(), exchange)).copied();
                silent.insert((id.clone(), exchange), known.unwrap_or(since_ms));
            }
        }
        self.silent = silent;
    }

    /// Every account of a plan.
    pub(crate) fn accounts(
        &self,
        desired: &DesiredState,
        observed: &Observed,
        plan: &Plan,
    ) -> BTreeMap<AccountId, Value> {
        let one = |(id, status): (&AccountId, &AccountStatus)| {
            let mut value = account(status, observed.gateways.get(id));
            value["conditions"] = self.conditions_of(id, status);
            value["exchanges"] = watched(desired, observed)
                .filter(|(of, ..)| *of == id)
                .map(|(_, exchange, _)| {
                    let since_ms = self.silent.get(&(id.clone(), exchange));
                    (exchange.to_string(), json!({"silent_since_ms": since_ms}))
                })
                .collect();
            value["started_at_ms"] = json!(self.lives.started_ms(id));
            value["restarts"] = self.lives.ended(id).into();
            value["incarnations"] = self.lives.of(id);
            let account = desired.accounts.get(id);
            value["kind"] = json!(account.map(|a| a.gateway));
            value["dialect"] = json!(desired.dialect(id));
            value["priority"] = json!(account.map(|a| a.priority));
            value["is_enabled"] = json!(account.map(|a| a.is_enabled));
            value["suspended"] = json!(account.map(|a| a.suspended));
            value["generation"] = json!(account.map(|a| a.generation));
            value["observed_generation"] = json!(self.observed.get(id));
            value["restart_generation"] = json!(account.map(|a| a.restart_generation));
            // A front may say in its own words what nobody is to know.
            logging::SECRETS.hide_in_value(&mut value);
            (id.clone(), value)
        };
        plan.statuses.iter().map(one).collect()
    }

    fn conditions_of(&self, id: &AccountId, status: &AccountStatus) -> Value {
        let one = |condition| {
            let mut value = json!(condition);
            let kind: &mdhub_spec::condition::Condition = condition;
            value["since_ms"] = json!(self.conditions.get(&(id.clone(), kind.kind)).map(|(_, since_ms)| since_ms));
            value["observed_generation"] = json!(self.observed.get(id));
            value
        };
        status.conditions.iter().map(one).collect()
    }
}

/// Whether the process is what the account asks for now.
fn runs_as_wanted(wanted: &DesiredAccount, process: &ProcessView) -> bool {
    wanted.is_enabled
        && !wanted.suspended
        && process.ending == Ending::No
        && process.fingerprint == wanted.fingerprint
        && process.restart_generation == wanted.restart_generation
}

/// The exchanges that a running process is to tick on now, each with when it last did or could first have.
fn watched<'a>(
    desired: &'a DesiredState,
    observed: &'a Observed,
) -> impl Iterator<Item = (&'a AccountId, Exchange, Mono)> {
    let running = observed.gateways.iter().filter_map(|(id, view)| {
        let process = view.process.as_ref().filter(|process| process.ready_at.is_some())?;
        Some((id, desired.desired.accounts.get(id)?.dialect, process.ready_at?))
    });
    running.flat_map(move |(id, dialect, ready_at)| {
        let served = observed.open.iter().filter(move |(exchange, _)| dialect.serves(**exchange));
        served.map(move |(exchange, open_since)| {
            let last = observed.deliveries.get(id).and_then(|of| of.get(exchange)).copied().unwrap_or_default();
            (id, *exchange, last.max(ready_at).max(*open_since).max(observed.watching_since))
        })
    })
}

fn account(status: &AccountStatus, view: Option<&GatewayView>) -> Value {
    let process = view.and_then(|v| v.process.as_ref());
    json!({
        "phase": status.phase,
        "why": status.why,
        "pid": process.map(|p| p.pid),
        "incarnation": process.map(|p| p.incarnation.to_string()),
        "acknowledged": process.map(|p| p.acknowledged),
        "refused": process.map(|p| &p.refused),
        "unanswered": process.map(|p| p.unanswered),
        "ring_dropped": process.map(|p| p.ring_dropped),
        "last_exit": view.and_then(|v| v.exits.last()).map(lives::told),
    })
}

/// Writes whatever is new until the hub ends.
pub(crate) async fn run(
    data: DataDir,
    mut documents: tokio_watch::Receiver<Arc<Value>>,
    mut stopped: tokio_watch::Receiver<bool>,
) {
    let mut failing = false;
    loop {
        let text = documents.borrow_and_update().to_string();
        let to = data.clone();
        // A disk that hangs holds up this task alone.
        let written = tokio::task::spawn_blocking(move || to.replace("status.json", &text)).await;
        let failure = written.map_err(std::io::Error::other).flatten().err();
        if let (Some(error), false) = (&failure, failing) {
            warn!(%error, "status.json cannot be written; everything else goes on");
        }
        failing = failure.is_some();
        tokio::time::sleep(EVERY_AT_MOST).await;
        tokio::select! {
            changed = documents.changed() => if changed.is_err() { return },
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}
