//! Section `cleansing`: which rules judge ticks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Section `cleansing`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cleansing {
    /// Rules that are not `on`.
    pub rules: BTreeMap<Rule, RuleMode>,
}

/// A cleansing rule, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Nobody asked for this contract.
    UnknownContract,
    /// No update time.
    NoTime,
    /// An update time that no clock shows.
    BadTime,
}

impl Rule {
    /// Every rule, in the order in which they judge.
    pub const ALL: [Self; 3] = [Self::UnknownContract, Self::NoTime, Self::BadTime];
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleMode {
    /// It does not look.
    Off,
    /// It counts and lets pass.
    Shadow,
    /// It rejects.
    #[default]
    On,
}
