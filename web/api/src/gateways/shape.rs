//! What an account's item looks like, for the API's document: the status document is what is sent.

#![expect(dead_code, reason = "it is documentation")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// Every account, and what concerns all of them.
#[derive(ToSchema)]
pub(crate) struct Gateways {
    /// By id.
    items: Vec<Gateway>,
    /// How the desired state stands to the database; null before the first look.
    desired: Option<Desired>,
    /// Kinds whose sources are all silent at once.
    silent_markets: Vec<String>,
}

/// How the desired state stands to the database.
#[derive(ToSchema)]
pub(crate) struct Desired {
    /// `unread`, `fresh`, `stale` or `suspicious`.
    state: String,
    /// Milliseconds since the epoch.
    since_ms: i64,
    /// Why.
    message: String,
    /// The database's revision at the last complete read.
    revision: Option<String>,
}

/// What an account is at.
#[derive(ToSchema)]
pub(crate) struct Gateway {
    /// Its name.
    id: String,
    /// `ctp`, `sopt` or `vnpy`; null, as the six below, for an account that the database has no more.
    kind: Option<String>,
    /// `ctp` (futures) or `sopt` (stock options): whose contracts it carries, whatever program drives it.
    dialect: Option<String>,
    /// The lower goes first.
    priority: Option<u32>,
    /// Whether it is in the pool.
    is_enabled: Option<bool>,
    /// Whether it was stopped by hand.
    suspended: Option<bool>,
    /// `Stopped`, `Starting`, `Connecting`, `Healthy`, `Degraded`, `Unhealthy`, `CoolingDown`, `Blocked` or `Stopping`.
    phase: String,
    /// One sentence: why, and what comes next.
    why: String,
    /// The truth behind the phase.
    conditions: Vec<Condition>,
    /// Of the account that is in force.
    generation: Option<u64>,
    /// The newest generation beside which no process runs with anything else.
    observed_generation: Option<u64>,
    /// Raised by every restart by hand.
    restart_generation: Option<u64>,
    /// Of its process, while there is one.
    pid: Option<u32>,
    /// Which life of its process.
    incarnation: Option<String>,
    /// When its process was started, milliseconds since the epoch.
    started_at_ms: Option<i64>,
    /// How many of its processes have ended since the hub's start.
    restarts: u64,
    /// The last ten lives of its process, newest first.
    incarnations: Vec<Life>,
    /// Contracts that the front has accepted.
    acknowledged: Option<u32>,
    /// Subscriptions that its front refused, by symbol, with its code and words.
    refused: Option<BTreeMap<String, String>>,
    /// Subscriptions that its front has not answered.
    unanswered: Option<u32>,
    /// Ticks that the worker dropped because the hub did not read.
    ring_dropped: Option<u64>,
    /// Exchanges that its process is to tick on now.
    exchanges: BTreeMap<String, Watched>,
    /// How its last process ended.
    last_exit: Option<Exit>,
    /// Counters since the hub started; null where there are none yet.
    counters: Option<Value>,
}

/// One statement about an account.
#[derive(ToSchema)]
pub(crate) struct Condition {
    /// For example `Ready`.
    #[schema(rename = "type")]
    kind: String,
    /// `True`, `False` or `Unknown`.
    status: String,
    /// A word.
    reason: String,
    /// A sentence.
    message: String,
    /// Since when it has this status, milliseconds since the epoch.
    since_ms: Option<i64>,
    /// The generation that it was observed for.
    observed_generation: Option<u64>,
}

/// An exchange that is watched.
#[derive(ToSchema)]
pub(crate) struct Watched {
    /// When the last tick came, once that is too long ago, milliseconds since the epoch.
    silent_since_ms: Option<i64>,
}

/// One life of an account's process. What says how it ended is absent while it lasts.
#[derive(ToSchema)]
pub(crate) struct Life {
    /// Which life.
    incarnation: String,
    /// Milliseconds since the epoch.
    started_at_ms: i64,
    /// Milliseconds since the epoch; null while it lasts.
    ended_at_ms: Option<i64>,
    /// Exit code or signal.
    reason: Option<String>,
    /// Whether the hub had asked for its end.
    asked: Option<bool>,
    /// Its last word.
    bye: Option<String>,
    /// Its last lines on stderr.
    stderr: Option<Vec<String>>,
}

/// How a process ended.
#[derive(ToSchema)]
pub(crate) struct Exit {
    /// Which life.
    incarnation: String,
    /// Exit code or signal.
    reason: String,
    /// Whether the hub had asked for it.
    asked: bool,
    /// Its last word.
    bye: Option<String>,
    /// Its last lines on stderr.
    stderr: Vec<String>,
}
