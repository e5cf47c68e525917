//! When a product trades on a day: sections, auctions and the night.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MINUTES_A_DAY: u16 = 24 * 60;

/// Part of a day, in minutes since Beijing midnight; what lies beyond 1440 is the next morning. Written `21:00-02:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// Its first minute.
    pub from: u16,
    /// The minute behind its last one.
    pub to: u16,
}

impl Span {
    /// From `h:m` to `h:m`; hours beyond 24 are the next morning's.
    #[must_use]
    pub const fn new(from: (u16, u16), to: (u16, u16)) -> Self {
        Self { from: from.0 * 60 + from.1, to: to.0 * 60 + to.1 }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let both = s.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        let (from, to) =
            both.ok_or_else(|| format!("{s:?} is not allowed: write HH:MM-HH:MM, for example 21:00-02:30"))?;
        // A span that ends before it begins ends on the next morning.
        Ok(Self { from, to: if to > from { to } else { to + MINUTES_A_DAY } })
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minute = |m: u16| (m / 60 % 24, m % 60);
        let (from, to) = (minute(self.from), minute(self.to));
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.0, from.1, to.0, to.1)
    }
}

/// A product's hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// Sections of the day, in their order.
    pub day: Cow<'static, [Span]>,
    /// Auctions of every day; where one lies inside a section, it is an auction.
    pub auctions: Cow<'static, [Span]>,
    /// The auction in the morning after an evening without a night section.
    pub morning_auction: Option<Span>,
    /// The night section, in the evening before.
    pub night: Option<Span>,
    /// The auction before the night section.
    pub night_auction: Option<Span>,
}

const MORNING_AUCTION: Span = Span::new((8, 55), (8, 59));
const NIGHT_AUCTION: Span = Span::new((20, 55), (20, 59));
const COMMODITY_DAY: &[Span] =
    &[Span::new((9, 0), (10, 15)), Span::new((10, 30), (11, 30)), Span::new((13, 30), (15, 0))];

const fn commodity(night: Option<Span>) -> Hours {
    Hours {
        day: Cow::Borrowed(COMMODITY_DAY),
        auctions: Cow::Borrowed(&[]),
        morning_auction: Some(MORNING_AUCTION),
        night_auction: if night.is_some() { Some(NIGHT_AUCTION) } else { None },
        night,
    }
}

const fn day_only(day: &'static [Span], auctions: &'static [Span]) -> Hours {
    Hours {
        day: Cow::Borrowed(day),
        auctions: Cow::Borrowed(auctions),
        morning_auction: None,
        night: None,
        night_auction: None,
    }
}

impl Hours {
    /// Commodities without a night section.
    pub const DAY: Self = commodity(None);
    /// Commodities with a night to 23:00.
    pub const NIGHT_2300: Self = commodity(Some(Span::new((21, 0), (23, 0))));
    /// Base metals: a night to 01:00.
    pub const NIGHT_0100: Self = commodity(Some(Span::new((21, 0), (25, 0))));
    /// Gold, silver, crude oil: a night to 02:30.
    pub const NIGHT_0230: Self = commodity(Some(Span::new((21, 0), (26, 30))));
    /// Stock indices.
    pub const INDEX: Self =
        day_only(&[Span::new((9, 30), (11, 30)), Span::new((13, 0), (15, 0))], &[Span::new((9, 25), (9, 30))]);
    /// Treasury bonds.
    pub const BOND: Self =
        day_only(&[Span::new((9, 30), (11, 30)), Span::new((13, 0), (15, 15))], &[Span::new((9, 25), (9, 30))]);
    /// Stock exchanges. The opening auction ends at 09:25; until 09:30 its result stands.
    pub const STOCK: Self = day_only(
        &[Span::new((9, 30), (11, 30)), Span::new((13, 0), (15, 0))],
        &[Span::new((9, 15), (9, 30)), Span::new((14, 57), (15, 0))],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_people_write_it() {
        for (text, from, to) in [("09:00-10:15", 540, 615), ("21:00-02:30", 1260, 1590), ("21:00-00:00", 1260, 1440)] {
            assert_eq!(text.parse(), Ok(Span { from, to }), "{text}");
            assert_eq!(Span { from, to }.to_string(), text);
        }
        for text in ["", "09:00", "9-10", "24:00-01:00", "09:60-10:00", "x:00-10:00"] {
            assert!(text.parse::<Span>().is_err_and(|e| e.contains("HH:MM-HH:MM")), "{text}");
        }
    }
}
