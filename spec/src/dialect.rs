//! The vendor's interface behind a source: whose contracts it carries, and how it writes what it means.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::contract::Exchange;

/// Which of the vendor's interfaces a source's ticks come through, whatever program drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// CTP: futures and their options.
    Ctp,
    /// SOPT: options and ETFs of the stock exchanges.
    Sopt,
}

impl Dialect {
    /// Both, in the order in which they are planned and shown.
    pub const ALL: [Self; 2] = [Self::Ctp, Self::Sopt];

    /// The one through which this exchange's contracts come.
    #[must_use]
    pub const fn of(exchange: Exchange) -> Self {
        match exchange {
            Exchange::Sse | Exchange::Szse => Self::Sopt,
            _ => Self::Ctp,
        }
    }

    /// Whether sources of this dialect carry contracts of `exchange`.
    #[must_use]
    pub const fn serves(self, exchange: Exchange) -> bool {
        matches!(self, Self::Sopt) == matches!(Self::of(exchange), Self::Sopt)
    }

    /// The name in settings and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ctp => "ctp",
            Self::Sopt => "sopt",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_served_through_one_interface() {
        for exchange in Exchange::ALL {
            assert_ne!(Dialect::Ctp.serves(exchange), Dialect::Sopt.serves(exchange));
            assert!(Dialect::of(exchange).serves(exchange));
        }
        assert!(Dialect::Sopt.serves(Exchange::Sse));
    }
}
