//! What Prometheus asks for; open, as `/health` is: it holds counters, and no secret.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::Sources;

/// The text format that Prometheus and all that understands it read.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/metrics", get(metrics))
}

/// Counters of everything, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "hub", security(()), responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(sources): State<Sources>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, KIND)], (sources.metrics)())
}
