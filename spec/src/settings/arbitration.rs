//! Section `arbitration`: which of several copies is published.

use serde::{Deserialize, Serialize};

/// Section `arbitration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arbitration {
    /// Who may bring what is published.
    pub mode: ArbitrationMode,
}

/// Who may bring what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArbitrationMode {
    /// Every source that may feed the contract races.
    #[default]
    FirstArrival,
    /// The contract's primary alone; failover moves it.
    PrimaryOnly,
}
