//! The log's newest lines.

mod filter;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use utoipa::{IntoParams, ToSchema};

use crate::Sources;
use crate::problem::{Problem, ProblemDetails};
pub(crate) use filter::LogFilter;

/// Lines in one answer, unless asked otherwise, and at most.
const LIMIT: u16 = 100;
const LIMIT_MAX: u16 = 1_000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Somebody has to do something.
    Error,
    /// Something is not as it should be; the hub copes.
    Warn,
    /// What happens.
    Info,
    /// What happens, in detail.
    Debug,
    /// All of it.
    Trace,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LogLine {
    /// Its number since the hub started, from 1, without a gap.
    pub seq: u64,
    /// Milliseconds since the epoch, `CLOCK_REALTIME`.
    pub at_ms: i64,
    /// How bad it is.
    pub level: LogLevel,
    /// The part of the program that says it.
    #[schema(value_type = String)]
    pub target: Cow<'static, str>,
    /// What it says.
    pub message: String,
    /// The account that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The life of that account's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// What else it says, by name: texts, numbers, truth values.
    #[serde(serialize_with = "as_map")]
    #[schema(value_type = Object)]
    pub fields: Vec<(Cow<'static, str>, Value)>,
}

fn as_map<S: Serializer>(fields: &[(Cow<'static, str>, Value)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(fields.len()))?;
    for (name, value) in fields {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// A line on its way to clients: its JSON is made once for all of them.
#[derive(Debug)]
pub struct LiveLine {
    line: Arc<LogLine>,
    json: OnceLock<String>,
}

impl LiveLine {
    /// Not yet as JSON.
    #[must_use]
    pub const fn new(line: Arc<LogLine>) -> Self {
        Self { line, json: OnceLock::new() }
    }

    /// The line itself.
    #[must_use]
    pub fn line(&self) -> &LogLine {
        &self.line
    }

    /// As JSON.
    pub fn json(&self) -> &str {
        // A line is made of texts and numbers: that cannot fail.
        self.json.get_or_init(|| serde_json::to_string(&*self.line).unwrap_or_default())
    }
}

/// Where the log's lines come from.
#[derive(Clone)]
pub struct LogSource {
    /// The lines that are kept, oldest first.
    pub kept: Arc<dyn Fn() -> Vec<Arc<LogLine>> + Send + Sync>,
    /// Every line from now on.
    pub live: broadcast::Sender<Arc<LiveLine>>,
}

impl LogSource {
    /// A log of two lines.
    #[cfg(test)]
    pub(crate) fn of_two() -> Self {
        Self { kept: Arc::new(tests::two), live: broadcast::Sender::new(4) }
    }
}

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/logs", get(list))
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Lines of this level and worse.
    level: Option<LogLevel>,
    /// Lines about this account.
    account: Option<String>,
    /// Lines that say this somewhere, however it is capitalised.
    text: Option<String>,
    /// Most lines in the answer.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u16>,
    /// Lines with a smaller `seq`: the former answer's `next`.
    before: Option<u64>,
}

/// Lines of the log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogPage {
    items: Vec<LogLine>,
    /// `before` of the next page; absent when there is no older line.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// The newest lines of the log. Passwords are not in it; what one place says again and again is one line with its count.
#[utoipa::path(get, path = "/api/logs", tag = "hub", params(Wanted), responses(
    (status = 200, body = LogPage),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "a parameter is wrong or unknown"),
))]
pub(crate) async fn list(State(sources): State<Sources>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = wanted.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("limit: {limit} is not allowed: 1 to {LIMIT_MAX}")));
    }
    let filter = LogFilter::new(wanted.level, wanted.account, wanted.text.as_deref());
    let searched =
        tokio::task::spawn_blocking(move || page(&(sources.logs.kept)(), &filter, usize::from(limit), wanted.before));
    let page =
        searched.await.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the log could not be searched"))?;
    Ok(Json(json!(page)))
}

/// The newest of `kept` (oldest first) that are wanted.
fn page(kept: &[Arc<LogLine>], filter: &LogFilter, limit: usize, before: Option<u64>) -> LogPage {
    let older = kept.iter().rev().filter(|line| before.is_none_or(|seq| line.seq < seq));
    let mut found = older.filter(|line| filter.matches(line));
    let items: Vec<LogLine> = found.by_ref().take(limit).map(|line| (**line).clone()).collect();
    let next = found.next().and(items.last()).map(|line| line.seq);
    LogPage { items, next }
}

#[cfg(test)]
mod tests;
