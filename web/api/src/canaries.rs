//! Contracts that always tick while their section is open: whether they do, and did in the last half hour.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Sources;

/// A canary.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Canary {
    /// Symbol, a dot, exchange.
    #[schema(value_type = String)]
    pub vt_symbol: Contract,
    /// Where it trades.
    pub exchange: String,
    /// In a word.
    pub state: CanaryState,
    /// Of its last published tick.
    pub last_price: Option<f64>,
    /// How long ago that was published, milliseconds.
    pub last_tick_age_ms: Option<u64>,
    /// Ticks published over the last second.
    pub ticks_per_s: f64,
    /// Accounts that have ever brought a tick of its exchange.
    pub sources: Vec<CanarySource>,
    /// The last thirty, oldest first; the last one is the present one.
    pub minutes: Vec<Minute>,
}

/// What a canary is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CanaryState {
    /// A tick was published within `health.canary_silence_ms`.
    Active,
    /// It is in its section, and none was.
    Stale,
    /// It is in no section.
    Closed,
}

/// A source of a canary's exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CanarySource {
    /// Who.
    #[schema(value_type = String)]
    pub account: AccountId,
    /// How long ago it brought a tick of any contract of the exchange, milliseconds.
    pub age_ms: u64,
}

/// A minute of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Minute {
    /// Its begin, milliseconds since the epoch.
    pub at_ms: i64,
    /// In a word.
    pub state: MinuteState,
    /// The longest silence that reached into it, milliseconds; null where it was in no section.
    pub longest_gap_ms: Option<u64>,
}

/// How a canary ticked in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MinuteState {
    /// No silence of over three seconds.
    Full,
    /// One, at least.
    Gap,
    /// Not a single tick.
    Silent,
    /// It was in no section.
    Closed,
    /// The hub did not run, or its feed did not answer.
    Down,
}

/// The canaries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Canaries {
    /// As the settings list them.
    #[schema(value_type = Vec<Canary>)]
    items: Arc<Vec<Canary>>,
}

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/canaries", get(list))
}

/// The canaries, and how each ticked in the last half hour.
#[utoipa::path(get, path = "/api/canaries", tag = "ticks", responses((status = 200, body = Canaries)))]
pub(crate) async fn list(State(sources): State<Sources>) -> Json<Canaries> {
    Json(Canaries { items: sources.canaries.borrow().clone() })
}
