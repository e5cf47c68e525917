//! Section `health.hub`: when the hub gives up by itself, or says that something is old.

use serde::{Deserialize, Serialize};

use super::{Fault, within};

/// Section `health.hub`. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HubLimits {
    /// The feed thread or the control loop has not gone round for this long: the hub ends itself, to be started again.
    pub still_ms_max: u64,
    /// One reconcile that takes longer is cut, and tried again.
    pub run_ms_max: u64,
    /// The database has not answered for this long: the desired state is called stale.
    pub desired_stale_ms: u64,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self { still_ms_max: 10_000, run_ms_max: 30_000, desired_stale_ms: 5_000 }
    }
}

impl HubLimits {
    pub(super) fn check(&self) -> Result<(), Fault> {
        // Both beat at least once a second.
        within("health.hub.still_ms_max", self.still_ms_max, 2_000, 600_000)?;
        within("health.hub.run_ms_max", self.run_ms_max, 1_000, 600_000)?;
        within("health.hub.desired_stale_ms", self.desired_stale_ms, 0, 3_600_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_checked_under_its_name_and_the_defaults_are_allowed() {
        let good = HubLimits::default();
        assert_eq!(good.check(), Ok(()));
        for (name, wrong) in [
            ("health.hub.still_ms_max", HubLimits { still_ms_max: 1_999, ..good }),
            ("health.hub.run_ms_max", HubLimits { run_ms_max: 0, ..good }),
            ("health.hub.desired_stale_ms", HubLimits { desired_stale_ms: 3_600_001, ..good }),
        ] {
            let (field, message) = wrong.check().expect_err(name);
            assert_eq!(field, name);
            assert!(message.contains("is not allowed"), "{message}");
        }
    }
}
