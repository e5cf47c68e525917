//! Exchanges, instrument codes and vnpy's `vt_symbol` (symbol, a dot, exchange).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest instrument code in bytes: CTP 6.7.7 gives the field 81 bytes with its terminating zero.
pub const SYMBOL_BYTES_MAX: usize = 80;

/// An exchange, named as vnpy's `Exchange` values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Exchange {
    /// Shanghai Futures Exchange.
    Shfe,
    /// Dalian Commodity Exchange.
    Dce,
    /// Zhengzhou Commodity Exchange.
    Czce,
    /// China Financial Futures Exchange.
    Cffex,
    /// Shanghai International Energy Exchange.
    Ine,
    /// Guangzhou Futures Exchange.
    Gfex,
    /// Shanghai Stock Exchange.
    Sse,
    /// Shenzhen Stock Exchange.
    Szse,
}

impl Exchange {
    /// Every exchange, in the order of their discriminants, so that `ALL[e as usize] == e`.
    pub const ALL: [Self; 8] =
        [Self::Shfe, Self::Dce, Self::Czce, Self::Cffex, Self::Ine, Self::Gfex, Self::Sse, Self::Szse];

    /// The name in a `vt_symbol`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shfe => "SHFE",
            Self::Dce => "DCE",
            Self::Czce => "CZCE",
            Self::Cffex => "CFFEX",
            Self::Ine => "INE",
            Self::Gfex => "GFEX",
            Self::Sse => "SSE",
            Self::Szse => "SZSE",
        }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Exchange {
    type Err = ContractError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|e| e.as_str() == s).ok_or_else(|| ContractError::Exchange { given: s.to_owned() })
    }
}

/// Why a `vt_symbol` was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContractError {
    /// No dot, so no exchange.
    #[error("contract {given:?} has no exchange: write symbol.EXCHANGE, for example rb2701.SHFE")]
    NoExchange {
        /// What was given.
        given: String,
    },
    /// An exchange that mdhub does not know.
    #[error("exchange {given:?} is not known: allowed are SHFE, DCE, CZCE, CFFEX, INE, GFEX, SSE, SZSE")]
    Exchange {
        /// What was given.
        given: String,
    },
    /// A code that cannot be an instrument of any exchange.
    #[error(
        "symbol {given:?} is not an instrument code: 1 to {SYMBOL_BYTES_MAX} letters, digits, spaces inside, and the signs & - _ are allowed"
    )]
    Symbol {
        /// What was given.
        given: String,
    },
}

/// One instrument of one exchange. Displays as its `vt_symbol`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Contract {
    symbol: String,
    exchange: Exchange,
}

impl Contract {
    /// A contract from its parts. Only the *shape* of the code is checked, since no expression knows all of them: the
    /// vendor's answer to the subscription decides.
    ///
    /// # Errors
    /// [`ContractError::Symbol`] when the code is empty, too long, or holds a byte that no exchange uses.
    pub fn new(symbol: &str, exchange: Exchange) -> Result<Self, ContractError> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'&' | b'-' | b'_');
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = symbol.as_bytes();
        let fits = bytes.len() <= SYMBOL_BYTES_MAX && bytes.iter().copied().all(inner);
        if fits && edge(bytes.first()) && edge(bytes.last()) {
            Ok(Self { symbol: symbol.to_owned(), exchange })
        } else {
            Err(ContractError::Symbol { given: symbol.to_owned() })
        }
    }

    /// The exchange's own code, `rb2701`.
    #[must_use]
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// The exchange.
    #[must_use]
    pub const fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// `rb2701.SHFE`: the topic under which its ticks are published.
    #[must_use]
    pub fn vt_symbol(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.symbol, self.exchange)
    }
}

impl FromStr for Contract {
    type Err = ContractError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (symbol, exchange) = s.rsplit_once('.').ok_or_else(|| ContractError::NoExchange { given: s.to_owned() })?;
        Self::new(symbol, exchange.parse()?)
    }
}

impl TryFrom<String> for Contract {
    type Error = ContractError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Contract> for String {
    fn from(c: Contract) -> Self {
        c.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_shape_of_code_is_accepted_and_comes_back_unchanged() {
        for s in [
            "rb2701.SHFE",
            "MA701.CZCE",
            "m2705-C-3000.DCE",
            "MA701C2500.CZCE",
            "IO2612-C-4000.CFFEX",
            "cu2701C70000.SHFE",
            "SP m2705&m2709.DCE",
            "SPD MA705&MA709.CZCE",
            "10009123.SSE",
            "159919.SZSE",
            "sc2701_TAS.INE",
        ] {
            assert_eq!(s.parse::<Contract>().map(|c| c.to_string()), Ok(s.to_owned()));
        }
    }

    #[test]
    fn a_code_that_cannot_be_one_is_refused_with_what_is_allowed() {
        for (s, part) in [
            ("rb2701", "has no exchange"),
            ("rb2701.shfe", "allowed are SHFE"),
            (".SHFE", "is not an instrument code"),
            ("rb/2701.SHFE", "is not an instrument code"),
            (" rb2701.SHFE", "is not an instrument code"),
            ("rb2701 .SHFE", "is not an instrument code"),
            ("螺纹.SHFE", "is not an instrument code"),
        ] {
            let error = s.parse::<Contract>().map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(part)), "{s}: {error:?}");
        }
        let long = format!("{}.DCE", "a".repeat(SYMBOL_BYTES_MAX + 1));
        assert!(long.parse::<Contract>().is_err());
    }

    #[test]
    fn an_exchange_stands_at_its_own_index() {
        for (i, e) in Exchange::ALL.into_iter().enumerate() {
            assert_eq!(e as usize, i);
        }
    }
}
