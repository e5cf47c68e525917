//! `POST /api/accounts/validate`: tries an account's login in a throw-away process, and tells each step as it happens.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body::Frame;
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::ports::StoreError;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::draft::{Change, Draft, invalid};
use super::vnpy::Spoken;
use super::{id, note};
use crate::Sources;
use crate::actor::Actor;
use crate::problem::{Problem, ProblemDetails};

/// Tries accounts.
pub trait Trials: Send + Sync {
    /// Begins to try one. The steps come as they happen; when they are no longer taken, the trial ends. `check_password` has a wrong
    /// password tried, too, which brokers count.
    ///
    /// # Errors
    /// Why it is not begun.
    fn begin(&self, account: MarketDataAccount, check_password: bool) -> Result<mpsc::Receiver<TrialStep>, NoTrial>;
}

/// Why an account is not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTrial {
    /// As many as are allowed are being tried.
    Busy,
    /// The settings have no library of that name; those that they have.
    NoLibrary(String),
    /// The system does not let it.
    Failed(String),
}

/// A step of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrialStep {
    /// `library`, `address`, `tcp`, `front`, `login`, `password`, `subscription`, `tick`, `worker`, and at the end `result`.
    pub step: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// A sentence.
    pub message: String,
    /// Milliseconds since the beginning.
    pub at_ms: u64,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should.
    Ok,
    /// Somebody should look at it.
    Warn,
    /// It does not work so.
    Failed,
}

/// Whoever is refused for want of a place may ask again after so many seconds: a trial that goes well takes no longer.
const RETRY_AFTER_S: &str = "10";
/// Steps that may wait for a client.
const STEPS_WAITING_MAX: usize = 64;

/// The steps as lines of JSON. Dropping it, as when the client goes away, ends the trial.
struct Lines(mpsc::Receiver<TrialStep>);

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|step| {
            let line = serde_json::to_string(&step?).unwrap_or_default() + "\n";
            Some(Ok(Frame::data(line.into())))
        })
    }
}

/// Tries a login, step by step: an account as `POST /api/accounts` takes it, or the `id` of one that there is and what is to be
/// otherwise. `check_password` has a wrong password tried, too: brokers count those. Each line of the answer is a `TrialStep`.
#[utoipa::path(post, path = "/api/accounts/validate", tag = "accounts", request_body = Change, responses(
    (status = 200, body = TrialStep, content_type = "application/x-ndjson", description = "a line for each step as it happens; the last one is the `result`"),
    (status = 422, body = ProblemDetails, content_type = "application/problem+json", description = "a field is missing, wrong or unknown"),
    (status = 429, body = ProblemDetails, content_type = "application/problem+json", description = "two are being tried, or too many passwords are being checked"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the database is away, or no process can be made"),
))]
pub(crate) async fn validate(
    State(sources): State<Sources>,
    Extension(actor): Extension<Actor>,
    Spoken(mut document): Spoken<Value>,
) -> Result<Response, Problem> {
    let members = document.as_object_mut().ok_or_else(|| invalid("account", "it is no JSON object"))?;
    let check_password = match members.remove("check_password") {
        None => false,
        Some(Value::Bool(yes)) => yes,
        Some(other) => return Err(invalid("check_password", &format!("{other} is not allowed: true or false"))),
    };
    let named = members.get("id").and_then(Value::as_str).ok_or_else(|| invalid("id", "it is missing"))?;
    let named = id(named).map_err(|_| invalid("id", "lower-case letters, digits and inner hyphens are allowed"))?;
    let unread = |error: serde_json::Error| invalid("account", &error.to_string());
    let account = match sources.store.get(&named).await {
        Ok(stored) => serde_json::from_value::<Change>(document).map_err(unread)?.apply(&stored)?,
        Err(StoreError::NotFound(_)) => serde_json::from_value::<Draft>(document).map_err(unread)?.account()?,
        Err(error) => return Err(error.into()),
    };
    let steps = match sources.trials.begin(account, check_password) {
        Ok(steps) => steps,
        Err(NoTrial::Busy) => {
            let why = "two accounts are being tried already: try again when one is done";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, why).into_response();
            return Ok(([(header::RETRY_AFTER, RETRY_AFTER_S)], problem).into_response());
        }
        Err(NoTrial::NoLibrary(why)) => return Err(invalid("settings.library", &why)),
        Err(NoTrial::Failed(why)) => return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why)),
    };
    let (told, taken) = mpsc::channel(STEPS_WAITING_MAX);
    tokio::spawn(follow(sources, actor, named, steps, told));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(taken))).into_response())
}

/// Hands the steps on, and writes down who tried and how it ended before the client is told the end.
async fn follow(
    sources: Sources,
    actor: Actor,
    account: AccountId,
    mut steps: mpsc::Receiver<TrialStep>,
    told: mpsc::Sender<TrialStep>,
) {
    loop {
        let step = tokio::select! {
            step = steps.recv() => step,
            () = told.closed() => None,
        };
        let Some(step) = step else { break };
        if step.step != "result" {
            let _ = told.send(step).await;
            continue;
        }
        let outcome = match step.outcome {
            Outcome::Ok => "well",
            Outcome::Warn => "with a doubt",
            Outcome::Failed => "in vain",
        };
        let end = format!("its login was tried {outcome}: {}", step.message);
        note(&sources, &actor, Some(&account), "LoginTried", &end).await;
        let _ = told.send(step).await;
        return;
    }
    // The trial ends at once: nobody takes its steps.
    drop(steps);
    let end = "its login was tried, and who asked left before the result";
    note(&sources, &actor, Some(&account), "LoginTried", end).await;
}
