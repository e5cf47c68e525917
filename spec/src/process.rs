//! What is observed of a gateway process, and how one is told to run.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::account::Fingerprint;
use crate::time::Mono;

/// One life of one process. Every action names it, so that a late action cannot hit a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation {
    /// The hub's start, nanoseconds since the epoch. Compared for equality only.
    pub epoch: u64,
    /// Counts the processes that this hub has started, from 1.
    pub counter: u64,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

impl FromStr for Incarnation {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let parts = s.split_once('.').and_then(|(e, c)| Some((e.parse().ok()?, c.parse().ok()?)));
        let (epoch, counter) = parts.ok_or_else(|| format!("incarnation {s:?}: write EPOCH.COUNTER, two numbers"))?;
        Ok(Self { epoch, counter })
    }
}

/// A worker's exit code: it was asked to leave, by Stop or TERM.
pub const EXIT_ASKED: i32 = 0;
/// The Start command is missing, or asks for something impossible.
pub const EXIT_START: i32 = 2;
/// The vendor library was refused, or made no API object.
pub const EXIT_LIBRARY: i32 = 3;
/// A pipe to the hub broke or was closed.
pub const EXIT_PIPE: i32 = 4;
/// The hub and the worker do not speak the same protocol.
pub const EXIT_PROTOCOL: i32 = 5;
/// The front refused the login.
pub const EXIT_LOGIN_REFUSED: i32 = 6;
/// More news came from the library than could be handled, or mdhub's own code failed in a callback.
pub const EXIT_INTERNAL: i32 = 7;
/// No front answered within `front_timeout_ms`. This limit and those below: [`crate::frame::Limits`].
pub const EXIT_NO_FRONT: i32 = 8;
/// More than `disconnects_max` connections were lost within `disconnects_window_ms`.
pub const EXIT_DISCONNECTS: i32 = 9;
/// The front took the connection, and has not answered the login within `login_timeout_ms`.
pub const EXIT_LOGIN_UNANSWERED: i32 = 10;
/// Not one subscription was answered within `subscribe_timeout_ms`.
pub const EXIT_UNANSWERED: i32 = 11;
/// Not one tick came for `silent_ms`, in an open session.
pub const EXIT_SILENT: i32 = 12;
/// The ring dropped ticks in each of `overflow_beats_max` heartbeats.
pub const EXIT_OVERFLOW: i32 = 13;
/// The hub has not read reports for `report_timeout_ms`.
pub const EXIT_REPORTS_UNREAD: i32 = 14;

/// How a process came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// It left with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It never ran; the text says why.
    NotStarted(String),
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::NotStarted(why) => write!(f, "not started: {why}"),
        }
    }
}

/// Most refused subscriptions of one process that are kept.
pub const REFUSED_MAX: usize = 1_000;

/// The end of one incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Which life ended.
    pub incarnation: Incarnation,
    /// What it was launched with.
    pub fingerprint: Fingerprint,
    /// The `restart_generation` that it was launched for.
    pub restart_generation: u64,
    /// How.
    pub reason: ExitReason,
    /// When it started.
    pub started_at: Mono,
    /// When it became ready, if it ever did.
    pub ready_at: Option<Mono>,
    /// When it was last heard of, [`ProcessView::heard_at`].
    pub heard_at: Mono,
    /// The protocol version of the worker, where it was not the hub's.
    pub protocol_mismatch: Option<u32>,
    /// The front, as last reported: a refusal's code decides whether a retry can help.
    pub front: FrontState,
    /// When its end was seen.
    pub at: Mono,
    /// Whether the hub had asked for it (TERM or KILL sent).
    pub asked: bool,
    /// The last message that it sent before it left.
    pub bye: Option<String>,
    /// Its last lines on stderr, oldest first; bounded.
    pub stderr: Vec<String>,
    /// 0 to 999, drawn when the end was seen: spreads the backoff, so that planning needs no randomness.
    pub jitter_permille: u16,
}

/// The connection to the front, as the worker reports it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FrontState {
    /// Nothing reported yet, or the library is still trying.
    #[default]
    Connecting,
    /// TCP and handshake stand.
    Connected,
    /// The front went away, with the vendor's reason code.
    Disconnected {
        /// `0x1001` and so on.
        reason: i32,
    },
    /// Logged in.
    LoggedIn {
        /// The front's trading day, `YYYYMMDD`, unchecked.
        trading_day: String,
    },
    /// The front refused the login.
    Refused {
        /// The vendor's code.
        code: i32,
        /// The broker's own words.
        message: String,
    },
}

/// How far the ending of a process has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nobody asked it to leave.
    No,
    /// TERM went to its group.
    Terminating {
        /// When.
        since: Mono,
    },
    /// KILL went to its group.
    Killing {
        /// When it first did.
        since: Mono,
        /// When it last did: a group that survives is sent KILL again at intervals.
        last: Mono,
    },
}

/// A process that exists (its group is not known to be empty).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessView {
    /// Which life.
    pub incarnation: Incarnation,
    /// Its process id and process group.
    pub pid: u32,
    /// What it was launched with.
    pub fingerprint: Fingerprint,
    /// The `restart_generation` that it was launched for.
    pub restart_generation: u64,
    /// When it was started.
    pub started_at: Mono,
    /// Whether and when TERM or KILL was sent.
    pub ending: Ending,
    /// When the worker said Hello with the hub's protocol version.
    pub hello_at: Option<Mono>,
    /// The protocol version of the worker, where it is not the hub's.
    pub protocol_mismatch: Option<u32>,
    /// The front, as last reported.
    pub front: FrontState,
    /// When the worker said that every subscription was acknowledged.
    pub ready_at: Option<Mono>,
    /// Last heartbeat that the hub's reader saw.
    pub heartbeat_at: Option<Mono>,
    /// Subscriptions that the front has acknowledged.
    pub acknowledged: u32,
    /// Those that it has refused, by symbol, with its code and words; the first [`REFUSED_MAX`].
    pub refused: BTreeMap<String, String>,
    /// Those that it has not answered in time.
    pub unanswered: u32,
    /// Ticks that the worker's ring dropped because the hub did not read.
    pub ring_dropped: u64,
    /// Lines on its stderr that did not reach the log, or not whole: too many in a second, or too long.
    pub log_lines_dropped: u64,
    /// When its tick pipe ended though it lives on. Such a process delivers nothing any more.
    pub ticks_ended_at: Option<Mono>,
}

impl ProcessView {
    /// When the hub last heard of it: a heartbeat, else its Hello, else its start.
    #[must_use]
    pub fn heard_at(&self) -> Mono {
        self.heartbeat_at.or(self.hello_at).unwrap_or(self.started_at)
    }
}

/// All that is observed of one account's processes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GatewayView {
    /// The process, if one exists.
    pub process: Option<ProcessView>,
    /// How the last ones ended, newest last; bounded.
    pub exits: Vec<Exit>,
}

impl GatewayView {
    /// The newest incarnation that there ever was.
    #[must_use]
    pub fn last_incarnation(&self) -> Option<Incarnation> {
        self.process.as_ref().map(|p| p.incarnation).or_else(|| self.exits.last().map(|e| e.incarnation))
    }
}
