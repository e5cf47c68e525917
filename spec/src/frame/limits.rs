//! How long a worker puts up with what before it leaves.

use serde::{Deserialize, Serialize};

/// When a worker gives up. Each limit ends the process with an exit code of its own (see [`crate::process`]): what a vendor
/// library does not get over by itself, a new process does, and *when* there is a new one the hub decides.
///
/// Comes in the Start command, from `health.worker` in `mdhub.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// No front has answered for so long. Where nothing listens, the vendor's library retries every 5 s and says nothing,
    /// for ever (measured): six tries.
    pub front_timeout_ms: u64,
    /// More lost connections than this within [`Self::disconnects_window_ms`] are a storm. At a front that closes at once
    /// or answers junk the vendor's library reconnects 500 times a second (measured).
    pub disconnects_max: u32,
    /// What [`Self::disconnects_max`] is counted within.
    pub disconnects_window_ms: u64,
    /// A front that took the connection has not answered the login for so long.
    pub login_timeout_ms: u64,
    /// So long after the last subscription was asked, what is not answered counts as unanswered: with some answered the
    /// worker is ready without the others, with none it leaves.
    pub subscribe_timeout_ms: u64,
    /// No tick of any contract for so long, while the session is open. A last resort: the hub judges silence earlier, per
    /// exchange, and against what other sources see.
    pub silent_ms: u64,
    /// The ring dropped ticks in so many consecutive heartbeats, of one second each: the hub does not keep up.
    pub overflow_beats_max: u32,
    /// Reports have waited so long for the hub to read them.
    pub report_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            front_timeout_ms: 30_000,
            disconnects_max: 20,
            disconnects_window_ms: 30_000,
            login_timeout_ms: 10_000,
            subscribe_timeout_ms: 10_000,
            silent_ms: 300_000,
            overflow_beats_max: 10,
            report_timeout_ms: 5_000,
        }
    }
}
