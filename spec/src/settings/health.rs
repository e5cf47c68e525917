//! Section `health`: when processes are ended and restarted.

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
}

impl Default for Health {
    fn default() -> Self {
        Self { term_grace_ms: 5_000, backoff_min_ms: 1_000, backoff_max_ms: 60_000, stable_ms: 300_000 }
    }
}

impl Health {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("health.term_grace_ms", self.term_grace_ms, 10, 60_000)?;
        within("health.backoff_min_ms", self.backoff_min_ms, 10, 60_000)?;
        within("health.backoff_max_ms", self.backoff_max_ms, self.backoff_min_ms, 3_600_000)?;
        within("health.stable_ms", self.stable_ms, 100, 86_400_000)
    }
}
