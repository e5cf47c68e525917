//! Trading days. A night section belongs to the next trading day, so dating a tick needs to know the days around it.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday, date};

/// Which days trade. Beyond [`TradingCalendar::valid_until`] every weekday does: the calendar fails open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingCalendar {
    holidays: BTreeSet<Date>,
    valid_until: Date,
}

/// Weekdays of 2026 on which the mainland exchanges are shut. Source: the Shanghai calendar of PyPI's
/// `exchange_calendars` 4.13 (Apache-2.0), which ends with that year.
const HOLIDAYS_2026: [(i8, i8); 18] = [
    (1, 1),
    (1, 2),
    (2, 16),
    (2, 17),
    (2, 18),
    (2, 19),
    (2, 20),
    (2, 23),
    (4, 6),
    (5, 1),
    (5, 4),
    (5, 5),
    (6, 19),
    (9, 25),
    (10, 1),
    (10, 2),
    (10, 5),
    (10, 6),
];

impl TradingCalendar {
    /// A calendar of one's own. `holidays` are weekdays that do not trade.
    #[must_use]
    pub fn new(holidays: impl IntoIterator<Item = Date>, valid_until: Date) -> Self {
        Self { holidays: holidays.into_iter().collect(), valid_until }
    }

    /// What ships with mdhub: 2026.
    #[must_use]
    pub fn shipped() -> Self {
        let october_7 = date(2026, 10, 7);
        let days = HOLIDAYS_2026.into_iter().map(|(month, day)| date(2026, month, day));
        Self::new(days.chain([october_7]), date(2026, 12, 31))
    }

    /// The last day that the list of holidays covers.
    #[must_use]
    pub const fn valid_until(&self) -> Date {
        self.valid_until
    }

    /// Whether the exchanges trade on `day`. Make-up weekends do not.
    #[must_use]
    pub fn is_trading_day(&self, day: Date) -> bool {
        !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.holidays.contains(&day)
    }

    /// The last trading day before `day`; `None` at the beginning of the calendar's time.
    #[must_use]
    pub fn before(&self, day: Date) -> Option<Date> {
        self.walk(day, Date::yesterday)
    }

    /// The first trading day after `day`; `None` at the end of the calendar's time.
    #[must_use]
    pub fn after(&self, day: Date) -> Option<Date> {
        self.walk(day, Date::tomorrow)
    }

    fn walk(&self, mut day: Date, step: fn(Date) -> Result<Date, jiff::Error>) -> Option<Date> {
        loop {
            day = step(day).ok()?;
            if self.is_trading_day(day) {
                return Some(day);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_skip_weekends_and_holidays() {
        let calendar = TradingCalendar::shipped();
        for (day, before, after) in [
            (date(2026, 11, 18), date(2026, 11, 17), date(2026, 11, 19)),
            (date(2026, 11, 20), date(2026, 11, 19), date(2026, 11, 23)),
            (date(2026, 10, 8), date(2026, 9, 30), date(2026, 10, 9)),
            (date(2026, 2, 13), date(2026, 2, 12), date(2026, 2, 24)),
            (date(2026, 11, 22), date(2026, 11, 20), date(2026, 11, 23)),
        ] {
            assert_eq!(calendar.before(day), Some(before), "before {day}");
            assert_eq!(calendar.after(day), Some(after), "after {day}");
        }
    }

    #[test]
    fn past_its_end_every_weekday_trades() {
        let calendar = TradingCalendar::shipped();
        assert!(calendar.is_trading_day(date(2027, 1, 1)));
        assert!(!calendar.is_trading_day(date(2027, 1, 2)));
    }

    #[test]
    fn the_ends_of_time_have_no_neighbour() {
        let calendar = TradingCalendar::shipped();
        assert_eq!(calendar.before(Date::MIN), None);
        assert_eq!(calendar.after(Date::MAX), None);
    }
}
