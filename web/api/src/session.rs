//! Logins: `POST /api/session` opens one, `GET` shows it, `DELETE` ends it. The browser holds its id in a cookie.
//!
//! | file | is about |
//! |---|---|
//! | `ledger` | who is logged in, until when |

pub(crate) mod ledger;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdhub_spec::settings::Http;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::actor::{Actor, Client};
use crate::guard::{self, Guard};
use crate::problem::{Problem, ProblemDetails};
use crate::{Clock, Sources, door};
use ledger::{Digest, Ledger, Lifetimes, Open};

/// The cookie's name.
pub(crate) const COOKIE: &str = "mdhub_session";
/// Random bytes of an id.
const ID_BYTES: usize = 32;
/// Cookies of that name that are tried: another hub on another port of the same host has cookies of the same name.
const COOKIES_TRIED: usize = 4;

/// What an id is known by: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(Digest);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Everybody's logins.
#[derive(Clone)]
pub(crate) struct Sessions {
    ledger: Arc<Mutex<Ledger>>,
    clock: Clock,
    /// Where they are written down whenever one begins or ends.
    kept: watch::Sender<String>,
}

impl Sessions {
    /// With those that `kept` has from the hub before this one.
    pub(crate) fn new(http: &Http, clock: Clock, kept: watch::Sender<String>) -> Self {
        let lifetimes = Lifetimes { idle_ms: http.session_idle_ms, max_ms: http.session_max_ms };
        let mut ledger = Ledger::new(lifetimes);
        ledger.take_back(&kept.borrow(), clock());
        Self { ledger: Arc::new(Mutex::new(ledger)), clock, kept }
    }

    fn write_down(&self) {
        self.kept.send_replace(self.ledger().written((self.clock)()));
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login that a request's cookies name, and whether they name any. `of` is the digest of the password's hash.
    pub(crate) fn find(&self, headers: &HeaderMap, of: &Digest) -> (Option<(Key, Open)>, bool) {
        let mut ids = ids(headers).take(COOKIES_TRIED).peekable();
        let is_named = ids.peek().is_some();
        let now = (self.clock)().mono;
        let mut ledger = self.ledger();
        let mut keys = ids.map(|id| Key(Sha256::digest(id).into()));
        (keys.find_map(|key| ledger.used(&key.0, of, now).map(|open| (key, open))), is_named)
    }

    /// Whether a login has not ended yet.
    pub(crate) fn holds(&self, Key(id): &Key, of: &Digest) -> bool {
        self.ledger().holds(id, of, (self.clock)().mono)
    }

    /// A new login: the cookie's value, and when it ends by itself, milliseconds since the epoch.
    fn open(&self, name: &str, of: Digest) -> Result<(String, i64), Problem> {
        let mut random = [0; ID_BYTES];
        let failed = |e| Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the system's randomness: {e}"));
        getrandom::fill(&mut random).map_err(failed)?;
        let id = URL_SAFE_NO_PAD.encode(random);
        let now = (self.clock)();
        let left_ms = self.ledger().open(Sha256::digest(&id).into(), name, of, now.mono);
        self.write_down();
        Ok((id, now.wall_ms().saturating_add_unsigned(left_ms)))
    }

    fn close(&self, key: &Digest) {
        self.ledger().close(key);
        self.write_down();
    }

    fn ends_at_ms(&self, open: &Open) -> i64 {
        (self.clock)().wall_ms().saturating_add_unsigned(open.left_ms)
    }
}

/// The values of the cookies of our name.
fn ids(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Whoever logs in may be anybody; the rest is for those who are.
pub(crate) fn routes(guard: &Guard) -> Router<Sources> {
    let own = get(show).delete(end).layer(middleware::from_fn_with_state(guard.clone(), guard::admit));
    let session = own.post(begin).layer(middleware::from_fn(door::short_body));
    Router::new().route("/session", session).with_state(guard.clone())
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// The administrator's name.
    username: String,
    /// Their password.
    password: String,
}

/// A login.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct Shown {
    /// Whose it is.
    username: String,
    /// When it ends unless something is asked before, milliseconds since the epoch; null for HTTP Basic, which has no end.
    expires_at_ms: Option<i64>,
}

/// Logs in.
#[utoipa::path(post, path = "/api/session", tag = "session", request_body = Credentials, security(()), responses(
    (status = 200, body = Shown, headers(("set-cookie" = String, description = "the cookie `mdhub_session`"))),
    (status = 401, body = ProblemDetails, content_type = "application/problem+json", description = "name or password are wrong"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "a field is missing, wrong or unknown"),
))]
pub(crate) async fn begin(
    State(guard): State<Guard>,
    Extension(client): Extension<Client>,
    given: Result<Json<Credentials>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Credentials { username, password }) = given?;
    let of = guard.log_in(&username, password, &client).await?;
    let (id, expires_at_ms) = guard.sessions().open(&username, of)?;
    let secure = if client.is_tls { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={id}; HttpOnly; SameSite=Strict; Path=/{secure}");
    tracing::info!(name = username, from = %client.from, "a login at the control port");
    Ok(([(header::SET_COOKIE, cookie)], Json(Shown { username, expires_at_ms: Some(expires_at_ms) })).into_response())
}

/// The login.
#[utoipa::path(get, path = "/api/session", tag = "session", responses((status = 200, body = Shown)))]
pub(crate) async fn show(
    State(guard): State<Guard>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
) -> Json<Shown> {
    let (found, _) = guard.sessions().find(&headers, &guard.administrators_digest());
    let expires_at_ms = found.map(|(_, open)| guard.sessions().ends_at_ms(&open)).filter(|_| actor.session.is_some());
    Json(Shown { username: actor.name, expires_at_ms })
}

/// Logs out.
#[utoipa::path(delete, path = "/api/session", tag = "session", responses((status = 204)))]
pub(crate) async fn end(State(guard): State<Guard>, Extension(actor): Extension<Actor>) -> Response {
    if let Some(Key(key)) = actor.session {
        guard.sessions().close(&key);
        tracing::info!(name = actor.name, from = %actor.from, "a logout at the control port");
    }
    let gone = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response()
}
