//! How the hub is, in a word: open to everybody.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Sources;

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/health", get(health)).route("/ready", get(ready))
}

/// How it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// In a word.
    status: &'static str,
    /// Why it is not well.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Whether the hub is well.
#[utoipa::path(get, path = "/health", tag = "hub", security(()), responses(
    (status = 200, body = Health, description = "`ok`"),
    (status = 503, body = Health, description = "`stale`, with the reason"),
))]
pub(crate) async fn health(State(sources): State<Sources>) -> Response {
    said((sources.health)(), "ok", "stale")
}

/// Whether the hub does its work.
#[utoipa::path(get, path = "/ready", tag = "hub", security(()), responses(
    (status = 200, body = Health, description = "`ready`"),
    (status = 503, body = Health, description = "`not ready`, with the reason"),
))]
pub(crate) async fn ready(State(sources): State<Sources>) -> Response {
    said((sources.ready)(), "ready", "not ready")
}

fn said(found: Result<(), String>, yes: &'static str, no: &'static str) -> Response {
    let (code, status) = if found.is_ok() { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) };
    (code, Json(Health { status, reason: found.err() })).into_response()
}
