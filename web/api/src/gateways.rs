//! What every account is at.

pub(crate) mod shape;

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use utoipa::IntoParams;

use crate::Sources;
use crate::problem::{Problem, ProblemDetails};
use shape::{Gateway, Gateways};

/// A change that has not reached the processes by then is not waited for any longer.
const WAIT_MAX: Duration = Duration::from_secs(20);

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/gateways", get(list)).route("/gateways/{id}", get(one))
}

/// What every account is at.
#[utoipa::path(get, path = "/api/gateways", tag = "gateways", responses((status = 200, body = Gateways)))]
pub(crate) async fn list(State(sources): State<Sources>) -> Json<Value> {
    let document = sources.status.borrow().clone();
    let known = document["accounts"].as_object();
    let items: Vec<Value> = known.into_iter().flatten().map(|(id, of)| shown(&sources, id, of)).collect();
    Json(json!({"items": items, "desired": document["desired"], "silent_markets": document["silent_markets"]}))
}

/// What may be asked of one account.
#[derive(Debug, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wait {
    /// Waits until this generation has reached the processes, for 20 s at most; the answer says which has.
    wait_generation: Option<u64>,
}

/// What one account is at.
#[utoipa::path(get, path = "/api/gateways/{id}", tag = "gateways", params(("id" = String, Path), Wait), responses(
    (status = 200, body = Gateway),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "a parameter is wrong or unknown"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is none of that id"),
))]
pub(crate) async fn one(
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
