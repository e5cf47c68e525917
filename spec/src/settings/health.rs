//! Section `health`: when processes are ended and restarted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Fault, within};

/// Section `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// From TERM to KILL.
    pub term_grace_ms: u64,
    /// Backoff after the first exit; it doubles with each further one.
    pub backoff_min_ms: u64,
    /// Backoff grows no further than this.
    pub backoff_max_ms: u64,
    /// Ready for this long, and the backoff starts anew.
    pub stable_ms: u64,
    /// A source that brings nothing of an exchange that has a canary is silent there after this long in session.
    pub canary_silence_ms: u64,
    /// From sick to restart: it may recover.
    pub cool_down_ms: u64,
    /// All sources of a kind silent at once may be a silent market: none is restarted for it before this.
    pub market_silent_hold_ms: u64,
    /// Then they are restarted one at a time, with this between two.
    pub restart_spacing_ms: u64,
    /// Login codes that say that credentials, client or account are wrong: after two tries no third.
    pub login_refused_codes: BTreeSet<i32>,
}

/// Illegal login; unknown user or password; client or terminal refused; account frozen or to be activated. Public lists
/// of CTP's error codes.
const LOGIN_REFUSED_CODES: [i32; 9] = [3, 63, 75, 131, 140, 141, 142, 143, 144];

impl Default for Health {
    fn default() -> Self {
        Self {
            term_grace_ms: 5_000,
            backoff_min_ms: 1_000,
            backoff_max_ms: 60_000,
            stable_ms: 300_000,
            canary_silence_ms: 10_000,
            cool_down_ms: 10_000,
            market_silent_hold_ms: 120_000,
            restart_spacing_ms: 60_000,
            login_refused_codes: BTreeSet::from(LOGIN_REFUSED_CODES),
        }
    }
}

impl Health {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("health.term_grace_ms", self.term_grace_ms, 10, 60_000)?;
        within("health.backoff_min_ms", self.backoff_min_ms, 10, 60_000)?;
        within("health.backoff_max_ms", self.backoff_max_ms, self.backoff_min_ms, 3_600_000)?;
        within("health.stable_ms", self.stable_ms, 100, 86_400_000)?;
        within("health.canary_silence_ms", self.canary_silence_ms, 100, 3_600_000)?;
        within("health.cool_down_ms", self.cool_down_ms, 0, 600_000)?;
        within("health.market_silent_hold_ms", self.market_silent_hold_ms, 0, 3_600_000)?;
        within("health.restart_spacing_ms", self.restart_spacing_ms, 0, 3_600_000)
    }
}
