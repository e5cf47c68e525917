//! What an operator may do to an account. Each changes desired state only; the reconciler does the rest. One code path
//! for people and machines.

use thiserror::Error;

use crate::account::MarketDataAccount;

/// A change of desired state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Into the pool.
    Enable,
    /// Out of the pool; what was held down by hand is forgotten.
    Disable,
    /// No longer held down.
    Start,
    /// Held down by hand.
    Stop,
    /// A new process, even if the old one is well.
    Restart,
}

/// An operation that makes no sense now. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OperationRefused {
    /// Start, stop and restart are for accounts in the pool.
    #[error("it is disabled: enable it first (is_enabled)")]
    Disabled,
    /// It is held down by hand.
    #[error("it is stopped by hand: start it instead")]
    Suspended,
}

impl Operation {
    /// One word for events, CamelCase.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Enable => "Enabled",
            Self::Disable => "Disabled",
            Self::Start => "Started",
            Self::Stop => "Stopped",
            Self::Restart => "HardRestart",
        }
    }

    /// Applies the operation. Repeating one that already holds changes nothing, but for [`Operation::Restart`].
    ///
    /// # Errors
    /// When it makes no sense for the account as it is.
    pub fn apply(self, account: &mut MarketDataAccount) -> Result<(), OperationRefused> {
        match self {
            Self::Enable => account.is_enabled = true,
            Self::Disable => {
                account.is_enabled = false;
                account.suspended = false;
            }
            Self::Start | Self::Stop | Self::Restart if !account.is_enabled => return Err(OperationRefused::Disabled),
            Self::Start => account.suspended = false,
            Self::Stop => account.suspended = true,
            Self::Restart if account.suspended => return Err(OperationRefused::Suspended),
            Self::Restart => account.restart_generation += 1,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountSettings, GatewayKind, Secret};

    fn account(is_enabled: bool, suspended: bool) -> MarketDataAccount {
        MarketDataAccount {
            id: "ctp-main".parse().expect("a slug"),
            gateway: GatewayKind::Ctp,
            settings: AccountSettings::from_json(r#"{"md_address":"tcp://127.0.0.1:1","library":"sim"}"#)
                .expect("settings"),
            password: Secret::default(),
            priority: 1,
            is_enabled,
            suspended,
            restart_generation: 3,
            generation: 1,
            description: String::new(),
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }

    #[test]
    fn every_operation_on_every_state() {
        use Operation::{Disable, Enable, Restart, Start, Stop};
        use OperationRefused::{Disabled, Suspended};
        for (operation, enabled, suspended, expected) in [
            (Enable, false, false, Ok((true, false, 3))),
            (Enable, true, true, Ok((true, true, 3))),
            (Disable, true, true, Ok((false, false, 3))),
            (Disable, false, false, Ok((false, false, 3))),
            (Start, true, true, Ok((true, false, 3))),
            (Start, true, false, Ok((true, false, 3))),
            (Start, false, false, Err(Disabled)),
            (Stop, true, false, Ok((true, true, 3))),
            (Stop, false, false, Err(Disabled)),
            (Restart, true, false, Ok((true, false, 4))),
            (Restart, true, true, Err(Suspended)),
            (Restart, false, false, Err(Disabled)),
        ] {
            let mut a = account(enabled, suspended);
            let before = a.clone();
            let got = operation.apply(&mut a);
            assert_eq!(
                got.map(|()| (a.is_enabled, a.suspended, a.restart_generation)),
                expected,
                "{operation:?} on enabled={enabled} suspended={suspended}"
            );
            assert!(got.is_ok() || a == before);
        }
    }
}
