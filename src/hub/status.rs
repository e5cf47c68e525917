//! What every account is at, for people and scripts: `status.json` in the data directory, rewritten when something changes,
//! at most four times a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mdhub_reconciler::plan::{AccountStatus, Observed, Plan};
use mdhub_spec::account::AccountId;
use mdhub_spec::process::{Exit, GatewayView};
use serde_json::{Value, json};
use tokio::sync::watch as tokio_watch;
use tracing::warn;

use crate::data_dir::DataDir;

/// Between two writes.
const EVERY_AT_MOST: Duration = Duration::from_millis(250);

/// Before the first plan.
pub(crate) fn nothing() -> Value {
    json!({"accounts": {}, "routes": {}, "silent_markets": []})
}

/// Puts a plan, and what it was made for, into one document.
pub(crate) fn document(observed: &Observed, plan: &Plan) -> Value {
    let accounts: BTreeMap<&AccountId, Value> =
        plan.statuses.iter().map(|(id, status)| (id, account(status, observed.gateways.get(id)))).collect();
    let routes: BTreeMap<String, Vec<&str>> =
        plan.routes.iter().map(|(c, ids)| (c.vt_symbol(), ids.iter().map(AccountId::as_str).collect())).collect();
    json!({"accounts": accounts, "routes": routes, "silent_markets": plan.silent_markets.keys().collect::<Vec<_>>()})
}

fn account(status: &AccountStatus, view: Option<&GatewayView>) -> Value {
    let process = view.and_then(|v| v.process.as_ref());
    json!({
        "phase": status.phase,
        "why": status.why,
        "conditions": status.conditions,
        "pid": process.map(|p| p.pid),
        "incarnation": process.map(|p| p.incarnation.to_string()),
        "acknowledged": process.map(|p| p.acknowledged),
        "ring_dropped": process.map(|p| p.ring_dropped),
        "last_exit": view.and_then(|v| v.exits.last()).map(exit),
    })
}

fn exit(exit: &Exit) -> Value {
    json!({
        "incarnation": exit.incarnation.to_string(),
        "reason": exit.reason.to_string(),
        "asked": exit.asked,
        "bye": exit.bye,
        "stderr": exit.stderr,
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
