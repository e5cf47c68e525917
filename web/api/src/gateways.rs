//! What every account is at.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::Sources;
use crate::problem::Problem;

/// A change that has not reached the processes by then is not waited for any longer.
const WAIT_MAX: Duration = Duration::from_secs(20);

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/gateways", get(list)).route("/gateways/{id}", get(one))
}

/// Every account: `{"items": [...]}`, by id.
async fn list(State(sources): State<Sources>) -> Json<Value> {
    let document = sources.status.borrow().clone();
    let known = document["accounts"].as_object();
    let items: Vec<Value> = known.into_iter().flatten().map(|(id, of)| shown(&sources, id, of)).collect();
    Json(json!({"items": items, "desired": document["desired"], "silent_markets": document["silent_markets"]}))
}

/// What may be asked of one account.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// Waits until this generation has reached the processes, for 20 s at most; the answer says which has.
    wait_generation: Option<u64>,
}

/// One account.
async fn one(
    State(sources): State<Sources>,
    Path(id): Path<String>,
    Query(Wait { wait_generation }): Query<Wait>,
) -> Result<Json<Value>, Problem> {
    let mut status = sources.status.clone();
    if let Some(wanted) = wait_generation {
        // An account that is not there, or is taken away meanwhile, is not waited for.
        let has_come = |document: &std::sync::Arc<Value>| {
            document["accounts"].get(&id).is_none_or(|of| of["observed_generation"].as_u64() >= Some(wanted))
        };
        // When it has not come in time, the answer says so by itself.
        let _ = tokio::time::timeout(WAIT_MAX, status.wait_for(has_come)).await;
    }
    let document = status.borrow().clone();
    let of = document["accounts"]
        .get(&id)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("account {id:?} is not known to the hub")))?;
    Ok(Json(shown(&sources, &id, of)))
}

/// An account as the status document has it.
pub(crate) fn item(id: &str, of: &Value) -> Value {
    let mut item = of.clone();
    item["id"] = id.into();
    item
}

fn shown(sources: &Sources, id: &str, of: &Value) -> Value {
    let mut item = item(id, of);
    item["counters"] = (sources.counters)(id);
    item
}
