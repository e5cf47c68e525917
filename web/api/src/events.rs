//! What happened: operator actions, failovers, changed conditions, newest first.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use mdhub_spec::account::AccountId;
use mdhub_spec::ports::Event;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Sources;
use crate::problem::{Problem, ProblemDetails};

/// Events that are looked through.
const READ_MAX: u32 = 1_000;
/// Events of one answer, at most and unless asked otherwise.
const LIMIT_MAX: usize = 500;
const LIMIT: usize = 100;

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/events", get(list))
}

/// Which ones.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// At most so many.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<usize>,
    /// Only those of this account.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// Only those before this instant, milliseconds since the epoch.
    before_ms: Option<i64>,
}

/// Events, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Events {
    items: Vec<Happened>,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct Happened {
    /// Milliseconds since the epoch.
    at_ms: i64,
    /// Which account it is about, if one.
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// Who did it: a user's name, `cli`, or `hub`.
    actor: String,
    /// One word for machines.
    reason: String,
    /// One sentence for people.
    message: String,
}

/// What happened, newest first: operator actions, failovers, conditions that changed.
#[utoipa::path(get, path = "/api/events", tag = "hub", params(Wanted), responses(
    (status = 200, body = Events),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "a parameter is wrong or unknown"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn list(
    State(sources): State<Sources>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Events>, Problem> {
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
    let shown = |Event { at_ms, account, actor, reason, message }| Happened { at_ms, account, actor, reason, message };
    Ok(Json(Events { items: events.into_iter().filter(fits).take(limit).map(shown).collect() }))
}
