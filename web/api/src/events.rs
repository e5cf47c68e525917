//! What happened: operator actions, failovers, changed conditions, newest first.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use mdhub_spec::account::AccountId;
use mdhub_spec::ports::Event;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Sources;
use crate::problem::Problem;

/// Events that are looked through.
const READ_MAX: u32 = 1_000;
/// Events of one answer, at most and unless asked otherwise.
const LIMIT_MAX: usize = 500;
const LIMIT: usize = 100;

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/events", get(list))
}

/// Which ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// At most so many, 1 to 500.
    limit: Option<usize>,
    /// Only those of this account.
    account: Option<AccountId>,
    /// Only those before this instant, milliseconds since the epoch.
    before_ms: Option<i64>,
}

async fn list(
    State(sources): State<Sources>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let refused = |e: QueryRejection| Problem::new(StatusCode::BAD_REQUEST, e.body_text());
    let Query(Wanted { limit, account, before_ms }) = wanted.map_err(refused)?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let message = format!("limit: {limit} is not allowed: 1 to {LIMIT_MAX}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, message));
    }
    let fits = |event: &Event| {
        account.as_ref().is_none_or(|id| event.account.as_ref() == Some(id))
            && before_ms.is_none_or(|before| event.at_ms < before)
    };
    let events = sources.store.events(READ_MAX).await?;
    let items: Vec<Event> = events.into_iter().filter(fits).take(limit).collect();
    Ok(Json(json!({"items": items})))
}
