//! Section `cleansing`: which rules judge ticks, and by which thresholds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Fault, within};

/// Section `cleansing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cleansing {
    /// Rules that are not in their default mode.
    pub rules: BTreeMap<Rule, RuleMode>,
    /// Whether the sources' ticks are news when they come.
    pub clock: Clock,
    /// `out_of_session`: so much before an auction or section, and as much after it, still belongs to it.
    pub session_margin_ms: u64,
    /// `clock_skew`: a tick may be ahead of its receipt by this much.
    pub ahead_ms_max: u64,
    /// `replayed`: a tick may be behind its receipt by this much.
    pub behind_ms_max: u64,
    /// `jump`: the price may differ from the last one by so many thousandths of it.
    pub jump_permille_max: u64,
    /// Rejected ticks that are kept.
    pub quarantine_max: usize,
    /// A rule that rejects more than so many percent of every source's ticks in [`Self::window_ms`] falls to shadow.
    pub fall_percent: u64,
    /// How long a rule is watched before it falls.
    pub window_ms: u64,
    /// Calendar and clock are doubted when every source has sent so many ticks against them in a row.
    pub doubt_ticks_min: u64,
    /// And for this long.
    pub doubt_ms_min: u64,
}

impl Default for Cleansing {
    fn default() -> Self {
        Self {
            rules: BTreeMap::new(),
            clock: Clock::Live,
            session_margin_ms: 60_000,
            ahead_ms_max: 60_000,
            behind_ms_max: 120_000,
            jump_permille_max: 100,
            quarantine_max: 10_000,
            fall_percent: 20,
            window_ms: 10_000,
            doubt_ticks_min: 10,
            doubt_ms_min: 3_000,
        }
    }
}

impl Cleansing {
    /// What this rule does.
    #[must_use]
    pub fn mode(&self, rule: Rule) -> RuleMode {
        self.rules.get(&rule).copied().unwrap_or_else(|| rule.default_mode())
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        within("cleansing.session_margin_ms", self.session_margin_ms, 0, 300_000)?;
        within("cleansing.ahead_ms_max", self.ahead_ms_max, 100, 86_400_000)?;
        within("cleansing.behind_ms_max", self.behind_ms_max, 1_000, 86_400_000)?;
        within("cleansing.jump_permille_max", self.jump_permille_max, 1, 10_000)?;
        within("cleansing.quarantine_max", self.quarantine_max as u64, 100, 1_000_000)?;
        within("cleansing.fall_percent", self.fall_percent, 1, 100)?;
        within("cleansing.window_ms", self.window_ms, 100, 600_000)?;
        within("cleansing.doubt_ticks_min", self.doubt_ticks_min, 2, 10_000)?;
        within("cleansing.doubt_ms_min", self.doubt_ms_min, 100, 600_000)
    }
}

/// What a source's ticks have to do with the hub's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// They are news.
    #[default]
    Live,
    /// They are of another day, or come at another speed: nothing is compared with the clock.
    Replay,
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
    /// No date that makes sense.
    BadDate,
    /// Of an earlier trading day than the last tick.
    TradingDayBackwards,
    /// At a time at which the product does not trade.
    OutOfSession,
    /// Ahead of the hub's clock.
    ClockSkew,
    /// Of an earlier section, or far behind the hub's clock: not news.
    Replayed,
    /// Later than the last tick, and of less volume.
    VolumeBackwards,
    /// Later than the last tick, and of less turnover.
    TurnoverBackwards,
    /// A price of zero or less, where the product has none.
    PriceNotPositive,
    /// A price beyond the day's limits.
    BeyondLimits,
    /// A price between two steps.
    OffTickSize,
    /// A bid above the ask, outside auctions.
    CrossedBook,
    /// A number that cannot be.
    Absurd,
    /// Far from the last price.
    Jump,
    /// Another source has shown this snapshot, or the day's limits, otherwise.
    Disagreement,
}

impl Rule {
    /// Every rule, in the order in which they judge.
    pub const ALL: [Self; 17] = [
        Self::UnknownContract,
        Self::NoTime,
        Self::BadTime,
        Self::BadDate,
        Self::TradingDayBackwards,
        Self::OutOfSession,
        Self::ClockSkew,
        Self::Replayed,
        Self::VolumeBackwards,
        Self::TurnoverBackwards,
        Self::PriceNotPositive,
        Self::BeyondLimits,
        Self::OffTickSize,
        Self::CrossedBook,
        Self::Absurd,
        Self::Jump,
        Self::Disagreement,
    ];

    /// What it does where the settings do not name it: the rules that need exact product data only look on.
    #[must_use]
    pub const fn default_mode(self) -> RuleMode {
        match self {
            Self::BeyondLimits | Self::OffTickSize | Self::Jump => RuleMode::Shadow,
            _ => RuleMode::On,
        }
    }
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
