//! A positive number in a settings file.

use serde::{Deserialize, Serialize};

/// A number above zero, finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Number(f64);

// It is never NaN.
impl Eq for Number {}

impl Number {
    /// Its value.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Number {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not allowed: a number above zero"))
        }
    }
}

impl From<Number> for f64 {
    fn from(number: Number) -> Self {
        number.0
    }
}
