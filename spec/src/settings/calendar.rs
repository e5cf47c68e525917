//! Section `calendar`: which days trade.

use serde::{Deserialize, Serialize};

/// Section `calendar`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    /// For environments that run 7x24: no calendar applies, and a tick's date is its `ActionDay`.
    pub always_open: bool,
}
