//! Section `health`: when processes are ended and restarted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Fault, HubLimits, within};
use crate::frame::Limits;

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
    /// A source that brings nothing of a contract for this long while others do is told again to subscribe it; after as long
    /// once more, others are to bring it.
    pub contract_silence_ms: u64,
    /// From sick to restart: it may recover.
    pub cool_down_ms: u64,
    /// All sources of a kind silent at once may be a silent market: none is restarted for it before this.
    pub market_silent_hold_ms: u64,
    /// Then they are restarted one at a time, with this between two.
    pub restart_spacing_ms: u64,
    /// After a refused login the backoff is at least this: brokers lock accounts that knock too often.
    pub login_backoff_min_ms: u64,
    /// Login codes that say that credentials, client or account are wrong: after two tries no third.
    pub login_refused_codes: BTreeSet<i32>,
    /// When a worker gives up by itself; workers that are started from then on have it.
    pub worker: Limits,
    /// When the hub gives up by itself, or says that something is old.
    pub hub: HubLimits,
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
            contract_silence_ms: 30_000,
            cool_down_ms: 10_000,
            market_silent_hold_ms: 120_000,
            restart_spacing_ms: 60_000,
            login_backoff_min_ms: 30_000,
            login_refused_codes: BTreeSet::from(LOGIN_REFUSED_CODES),
            worker: Limits::default(),
            hub: HubLimits::default(),
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
        within("health.contract_silence_ms", self.contract_silence_ms, 500, 3_600_000)?;
        within("health.cool_down_ms", self.cool_down_ms, 0, 600_000)?;
        within("health.market_silent_hold_ms", self.market_silent_hold_ms, 0, 3_600_000)?;
        within("health.restart_spacing_ms", self.restart_spacing_ms, 0, 3_600_000)?;
        within("health.login_backoff_min_ms", self.login_backoff_min_ms, 100, 3_600_000)?;
        self.hub.check()?;
        check_worker(&self.worker)
    }
}

fn check_worker(limits: &Limits) -> Result<(), Fault> {
    within("health.worker.front_timeout_ms", limits.front_timeout_ms, 1_000, 600_000)?;
    within("health.worker.disconnects_max", limits.disconnects_max.into(), 1, 10_000)?;
    within("health.worker.disconnects_window_ms", limits.disconnects_window_ms, 1_000, 600_000)?;
    within("health.worker.login_timeout_ms", limits.login_timeout_ms, 1_000, 600_000)?;
    within("health.worker.subscribe_timeout_ms", limits.subscribe_timeout_ms, 1_000, 600_000)?;
    within("health.worker.silent_ms", limits.silent_ms, 10_000, 86_400_000)?;
    within("health.worker.overflow_beats_max", limits.overflow_beats_max.into(), 1, 3_600)?;
    within("health.worker.report_timeout_ms", limits.report_timeout_ms, 1_000, 600_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes one limit wrong.
    type Spoil = fn(&mut Limits);

    #[test]
    fn the_defaults_are_within_their_limits_and_each_limit_is_checked_under_its_name() {
        assert_eq!(Health::default().check(), Ok(()));
        let wrong: [(&str, Spoil); 8] = [
            ("front_timeout_ms", |l| l.front_timeout_ms = 0),
            ("disconnects_max", |l| l.disconnects_max = 0),
            ("disconnects_window_ms", |l| l.disconnects_window_ms = 0),
            ("login_timeout_ms", |l| l.login_timeout_ms = 0),
            ("subscribe_timeout_ms", |l| l.subscribe_timeout_ms = 0),
            ("silent_ms", |l| l.silent_ms = 9_999),
            ("overflow_beats_max", |l| l.overflow_beats_max = 0),
            ("report_timeout_ms", |l| l.report_timeout_ms = u64::MAX),
        ];
        for (name, spoil) in wrong {
            let mut health = Health::default();
            spoil(&mut health.worker);
            let (field, message) = health.check().expect_err(name);
            assert_eq!(field, format!("health.worker.{name}"));
            assert!(message.contains("is not allowed"), "{message}");
        }
    }
}
