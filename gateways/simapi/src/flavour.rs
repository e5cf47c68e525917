//! What differs between the two flavours of the vendor's interface.

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// CTP 6.7.7: futures and their options.
    Ctp,
    /// SOPT 3.7.x: options and ETFs of the stock exchanges.
    Sopt,
}

impl Flavour {
    /// What stands for an absent price.
    #[must_use]
    pub const fn absent(self) -> f64 {
        match self {
            Self::Ctp => f64::MAX,
            Self::Sopt => 0.0,
        }
    }
}
