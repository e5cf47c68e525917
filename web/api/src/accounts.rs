//! Desired state over HTTP: accounts are read, added, changed, removed, started, stopped and restarted. Nothing but the store is
//! written; the reconciler does the rest.
//!
//! | file | is about |
//! |---|---|
//! | `draft` | what a request may say of an account, and what comes of it |
//! | `pasted` | what vnpy keeps for its gateways, read for a form |
//! | `vnpy` | vnpy's words, turned into ours |

pub(crate) mod draft;
pub(crate) mod pasted;
pub(crate) mod trial;
mod vnpy;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount};
use mdhub_spec::operation::Operation;
use mdhub_spec::ports::{Event, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Sources;
use crate::actor::Actor;
use crate::problem::{Problem, ProblemDetails};
use draft::{Change, Draft};
use vnpy::Spoken;

/// How often a lost race with another writer is run again.
const RACES_MAX: u32 = 5;

pub(crate) fn routes() -> Router<Sources> {
    Router::new()
        .route("/accounts", get(list).post(create))
        .route("/accounts/parse", post(pasted::parse))
        .route("/accounts/validate", post(trial::validate))
        .route("/accounts/confirm-empty", post(confirm_empty))
        .route("/accounts/{id}", get(one).put(change).delete(remove))
        .route("/accounts/{id}/start", post(start))
        .route("/accounts/{id}/stop", post(stop))
        .route("/accounts/{id}/restart", post(restart))
}

/// An account, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    /// Its name: lower-case letters, digits and inner hyphens.
    #[schema(value_type = String)]
    id: AccountId,
    /// `ctp`, `sopt` or `vnpy`.
    #[schema(value_type = Kind)]
    gateway: GatewayKind,
    /// What its gateway needs beside the password.
    #[schema(value_type = Settings)]
    settings: AccountSettings,
    /// Whether it has a password; that never comes back.
    has_password: bool,
    /// 1 is the primary, larger numbers stand by.
    priority: u32,
    /// Whether it is in the pool.
    is_enabled: bool,
    /// Held down by hand.
    suspended: bool,
    /// Raised by every restart by hand.
    restart_generation: u64,
    /// The optimistic lock: also in the header `ETag`, for `If-Match`.
    generation: u64,
    /// Free text.
    description: String,
    /// Milliseconds since the epoch.
    created_at_ms: i64,
    /// Milliseconds since the epoch.
    updated_at_ms: i64,
}

/// What a gateway needs beside its password.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is documentation: `AccountSettings` is what is written")]
pub(crate) struct Settings {
    /// Login name at the broker.
    user_id: String,
    /// The broker's code.
    broker_id: String,
    /// Market-data fronts, each `tcp://HOST:PORT`.
    md_address: Vec<String>,
    /// Name of an entry of `libraries:` in the settings.
    library: String,
}

/// Which program drives it.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "it is documentation: `GatewayKind` is what is written")]
pub(crate) enum Kind {
    /// Futures and their options.
    Ctp,
    /// Options and ETFs of the stock exchanges.
    Sopt,
    /// A gateway class of vnpy; the library says which, and whose contracts.
    Vnpy,
}

/// Every account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Accounts {
    /// By id.
    items: Vec<Account>,
    /// Rows that cannot be used.
    set_aside: Vec<Aside>,
}

/// A row that cannot be used. What was last read of it stays in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Aside {
    /// Its id, as it is written there.
    id: String,
    /// What is wrong with it.
    why: String,
}

/// What was asked for, and is yet to reach the processes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operated {
    /// Whose.
    #[schema(value_type = String)]
    id: AccountId,
    /// That the processes are to reach: `GET /api/gateways/{id}?wait_generation=` waits for it.
    generation: u64,
    /// Raised by every restart by hand.
    restart_generation: u64,
}

impl From<MarketDataAccount> for Account {
    fn from(account: MarketDataAccount) -> Self {
        Self {
            has_password: !account.password.is_empty(),
            id: account.id,
            gateway: account.gateway,
            settings: account.settings,
            priority: account.priority,
            is_enabled: account.is_enabled,
            suspended: account.suspended,
            restart_generation: account.restart_generation,
            generation: account.generation,
            description: account.description,
            created_at_ms: account.created_at_ms,
            updated_at_ms: account.updated_at_ms,
        }
    }
}

/// An account as an answer.
fn answer(status: StatusCode, account: MarketDataAccount) -> Response {
    let tag = HeaderValue::from_str(&format!("\"{}\"", account.generation));
    let mut response = (status, Json(Account::from(account))).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, detail),
            StoreError::Taken(_) => Self::new(StatusCode::CONFLICT, detail),
            StoreError::Stale { found, .. } => Self::new(StatusCode::CONFLICT, detail).with("generation", found),
            StoreError::Invalid { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            _ => {
                let stays = "what was in force stays in force; nothing was changed";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("{detail}; {stays}"))
            }
        }
    }
}

/// The id in a path. One that cannot be is one that is not there.
fn id(given: &str) -> Result<AccountId, Problem> {
    given
        .parse()
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, format!("account {given:?}: there is none of that id")))
}

/// The generation that a header `If-Match` names; `None` where it names none, or any.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = given.to_str().unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let number = text.trim_matches('"').parse().map(Some);
    number.map_err(|_| {
        let message =
            format!("If-Match {text:?} is not allowed: write the account's generation, as ETag says it, or *");
        Problem::new(StatusCode::BAD_REQUEST, message)
    })
}

/// Every account, and the rows that cannot be used.
#[utoipa::path(get, path = "/api/accounts", tag = "accounts", responses(
    (status = 200, body = Accounts),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn list(State(sources): State<Sources>) -> Result<Json<Accounts>, Problem> {
    let loaded = sources.store.load().await?;
    let items = loaded.accounts.into_iter().map(Account::from).collect();
    let set_aside = loaded.set_aside.into_iter().map(|row| Aside { id: row.id, why: row.why }).collect();
    Ok(Json(Accounts { items, set_aside }))
}

/// One account.
#[utoipa::path(get, path = "/api/accounts/{id}", tag = "accounts", params(("id" = String, Path)), responses(
    (status = 200, body = Account, headers(("etag" = String, description = "its generation"))),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is none of that id"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "its row cannot be used"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn one(State(sources): State<Sources>, Path(given): Path<String>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, sources.store.get(&id(&given)?).await?))
}

/// Adds an account. vnpy's words for its settings, and its file as `connect_setting`, are understood as well.
#[utoipa::path(post, path = "/api/accounts", tag = "accounts", request_body = Draft, responses(
    (status = 201, body = Account, headers(("location" = String), ("etag" = String))),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "the id is taken"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "a field is missing, wrong or unknown"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn create(
    State(sources): State<Sources>,
    Extension(actor): Extension<Actor>,
    Spoken(draft): Spoken<Draft>,
) -> Result<Response, Problem> {
    let account = draft.account()?;
    let stored = sources.store.insert(account).await?;
    note(&sources, &actor, Some(&stored.id), "Added", "the account was added").await;
    let place = HeaderValue::from_str(&format!("/api/accounts/{}", stored.id));
    let mut response = answer(StatusCode::CREATED, stored);
    if let Ok(place) = place {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Changes what the document names; the rest stays. When `gateway`, `md_address` or `library` changes, the password must be given
/// again.
#[utoipa::path(put, path = "/api/accounts/{id}", tag = "accounts", request_body = Change,
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "a generation, as a condition")), responses(
    (status = 200, body = Account, headers(("etag" = String))),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "If-Match is not understood"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is none of that id"),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "somebody else wrote first, or it makes no sense now"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "a field is wrong or unknown, or the password is missing"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn change(
    State(sources): State<Sources>,
    Extension(actor): Extension<Actor>,
    Path(given): Path<String>,
    headers: HeaderMap,
    Spoken(change): Spoken<Change>,
) -> Result<Response, Problem> {
    let id = id(&given)?;
    let expected = if_match(&headers)?.or(change.generation());
    let apply = |account: &MarketDataAccount| change.apply(account);
    let (stored, before) = write(&sources, &id, expected, apply).await?;
    if let Some(before) = before {
        let what = draft::difference(&before, &stored);
        note(&sources, &actor, Some(&id), "Changed", &format!("changed: {what}")).await;
    }
    Ok(answer(StatusCode::OK, stored))
}

/// Deletes an account; its gateway ends.
#[utoipa::path(delete, path = "/api/accounts/{id}", tag = "accounts",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "a generation, as a condition")), responses(
    (status = 204),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "If-Match is not understood"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is none of that id"),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "somebody else wrote first"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "its row cannot be used"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn remove(
    State(sources): State<Sources>,
    Extension(actor): Extension<Actor>,
    Path(given): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let id = id(&given)?;
    sources.store.delete(&id, if_match(&headers)?).await?;
    note(&sources, &actor, Some(&id), "Deleted", "the account was deleted").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts an account that is held down.
#[utoipa::path(post, path = "/api/accounts/{id}/start", tag = "accounts",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "a generation, as a condition")), responses(
    (status = 202, body = Operated),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "If-Match is not understood"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is none of that id"),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "it makes no sense now, or somebody else wrote first"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "its row cannot be used"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn start(
    sources: State<Sources>,
    actor: Extension<Actor>,
    given: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    operate(sources, actor, given, headers, Operation::Start).await
}

/// Holds an account down by hand.
#[utoipa::path(post, path = "/api/accounts/{id}/stop", tag = "accounts",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "a generation, as a condition")), responses(
    (status = 202, body = Operated),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "If-Match is not understood"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is none of that id"),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "it makes no sense now, or somebody else wrote first"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "its row cannot be used"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn stop(
    sources: State<Sources>,
    actor: Extension<Actor>,
    given: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    operate(sources, actor, given, headers, Operation::Stop).await
}

/// Ends its process, and starts a new one.
#[utoipa::path(post, path = "/api/accounts/{id}/restart", tag = "accounts",
    params(("id" = String, Path), ("if-match" = Option<String>, Header, description = "a generation, as a condition")), responses(
    (status = 202, body = Operated),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "If-Match is not understood"),
    (status = 404, body = ProblemDetails, content_type = "application/problem+json", description = "there is none of that id"),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "it makes no sense now, or somebody else wrote first"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "its row cannot be used"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn restart(
    sources: State<Sources>,
    actor: Extension<Actor>,
    given: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    operate(sources, actor, given, headers, Operation::Restart).await
}

/// 202 with the generation that the processes are to reach: `GET /api/gateways/{id}?wait_generation=` waits for it.
async fn operate(
    State(sources): State<Sources>,
    Extension(actor): Extension<Actor>,
    Path(given): Path<String>,
    headers: HeaderMap,
    operation: Operation,
) -> Result<Response, Problem> {
    let id = id(&given)?;
    let apply = |account: &MarketDataAccount| {
        let mut wanted = account.clone();
        let refused = |e| Problem::new(StatusCode::CONFLICT, format!("account {id}: {e}; nothing was changed"));
        operation.apply(&mut wanted).map_err(refused)?;
        Ok(wanted)
    };
    let (stored, before) = write(&sources, &id, if_match(&headers)?, apply).await?;
    if before.is_some() {
        note(&sources, &actor, Some(&id), operation.reason(), &format!("{} by hand", operation.reason())).await;
    }
    let (generation, restart_generation) = (stored.generation, stored.restart_generation);
    Ok((StatusCode::ACCEPTED, Json(Operated { id, generation, restart_generation })).into_response())
}

/// Says that there are to be no accounts, where there are none.
#[utoipa::path(post, path = "/api/accounts/confirm-empty", tag = "accounts", responses(
    (status = 204),
    (status = 409, body = ProblemDetails, content_type = "application/problem+json", description = "there are accounts"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away"),
))]
pub(crate) async fn confirm_empty(
    State(sources): State<Sources>,
    Extension(actor): Extension<Actor>,
) -> Result<StatusCode, Problem> {
    let left = sources.store.load().await?;
    let rows = left.accounts.len() + left.set_aside.len();
    if rows > 0 {
        let message = format!("there are {rows} accounts: there is nothing to confirm; delete them by name");
        return Err(Problem::new(StatusCode::CONFLICT, message));
    }
    sources.store.confirm_empty().await?;
    note(&sources, &actor, None, "EmptyConfirmed", "there are to be no accounts").await;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes an account as `apply` says; a race that is lost to another writer is run again, unless a certain generation was
/// expected. Gives what is stored, and what was there before where it was something else.
async fn write(
    sources: &Sources,
    id: &AccountId,
    expected: Option<u64>,
    apply: impl Fn(&MarketDataAccount) -> Result<MarketDataAccount, Problem>,
) -> Result<(MarketDataAccount, Option<MarketDataAccount>), Problem> {
    let mut races = 0;
    loop {
        let before = sources.store.get(id).await?;
        if let Some(given) = expected.filter(|given| *given != before.generation) {
            return Err(StoreError::Stale { id: id.clone(), given, found: before.generation }.into());
        }
        let wanted = apply(&before)?;
        if wanted == before {
            return Ok((before, None));
        }
        match sources.store.update(wanted).await {
            Ok(stored) => return Ok((stored, Some(before))),
            Err(StoreError::Stale { .. }) if expected.is_none() && races < RACES_MAX => races += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes down who did what, and from where. The change itself is in force by then, so a failure here is only told.
async fn note(sources: &Sources, actor: &Actor, account: Option<&AccountId>, reason: &str, message: &str) {
    let event = Event {
        at_ms: (sources.clock)().wall_ms(),
        account: account.cloned(),
        actor: actor.name.clone(),
        reason: reason.into(),
        message: format!("{message}, from {}", actor.from),
    };
    tracing::info!(account = account.map(AccountId::as_str), actor = actor.name, from = %actor.from, reason, "{message}");
    if let Err(error) = sources.store.append_event(event).await {
        tracing::warn!(account = account.map(AccountId::as_str), reason, %error, "the change holds, but its event was not written");
    }
}
