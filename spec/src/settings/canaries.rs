//! Section `canaries`: contracts that always tick while their section is open.

use serde::{Deserialize, Serialize};

use crate::contract::Contract;

/// Section `canaries`. An exchange is watched when a canary trades on it; any of its ticks then counts as a sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Canaries {
    /// The most active contracts, each a `vt_symbol`. They are subscribed on every source, listed under `contracts` or not.
    pub list: Vec<Contract>,
}
