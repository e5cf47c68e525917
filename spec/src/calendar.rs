//! Trading days and, for each product, its sections. A night section belongs to the next trading day, so dating a tick
//! needs to know the days around it.
//!
//! Everything here fails open: beyond the list of holidays every weekday trades, and a product that is not in the table has
//! the widest hours of its exchange.

mod holidays;
mod hours;
mod sections;

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};

use crate::contract::Contract;
use crate::product::{Listing, ProductId, Products};
use crate::settings;

pub use hours::{Hours, Span};
pub use sections::{Phase, Section, compact, midnight_ms};

/// Which days trade. Beyond [`TradingCalendar::valid_until`] every weekday does: the calendar fails open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingCalendar {
    holidays: BTreeSet<Date>,
    /// Evenings without a night section, beside those before holidays.
    no_night: BTreeSet<Date>,
    valid_from: Date,
    valid_until: Date,
}

impl TradingCalendar {
    /// A calendar of one's own. `holidays` are weekdays that do not trade.
    #[must_use]
    pub fn new(holidays: impl IntoIterator<Item = Date>, valid_until: Date) -> Self {
        Self { holidays: holidays.into_iter().collect(), no_night: BTreeSet::new(), valid_from: Date::MIN, valid_until }
    }

    /// What ships with mdhub: 2024 to 2026.
    #[must_use]
    pub fn shipped() -> Self {
        Self { valid_from: holidays::FROM, ..Self::new(holidays::shipped(), holidays::UNTIL) }
    }

    /// With these holidays too, with no night section in these evenings, and as far as the settings know.
    #[must_use]
    pub fn with(
        mut self,
        holidays: impl IntoIterator<Item = Date>,
        no_night: impl IntoIterator<Item = Date>,
        valid_until: Option<Date>,
    ) -> Self {
        self.holidays.extend(holidays);
        self.no_night.extend(no_night);
        self.valid_until = valid_until.unwrap_or(self.valid_until);
        self
    }

    /// Whether the list of holidays covers `day`. Where it does not, every weekday trades.
    #[must_use]
    pub fn knows(&self, day: Date) -> bool {
        (self.valid_from..=self.valid_until).contains(&day)
    }

    /// Days from `today` to [`Self::valid_until`]; below zero when it has passed.
    #[must_use]
    pub fn days_left(&self, today: Date) -> i32 {
        (self.valid_until - today).get_days()
    }

    /// Whether there are night sections in the evening of `day`: on a trading day with no holiday before the next one, so
    /// on an ordinary Friday too.
    #[must_use]
    pub fn has_night(&self, day: Date) -> bool {
        let next_weekday = match day.weekday() {
            Weekday::Friday => 3,
            Weekday::Saturday => 2,
            _ => 1,
        };
        self.is_trading_day(day)
            && !self.no_night.contains(&day)
            && self.after(day).is_some_and(|next| (next - day).get_days() == next_weekday)
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

/// Trading days, and what trades when on them.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketCalendar {
    /// Trading days.
    pub days: TradingCalendar,
    /// Products.
    pub products: Products,
}

impl MarketCalendar {
    /// What ships with mdhub.
    #[must_use]
    pub fn shipped() -> Self {
        Self { days: TradingCalendar::shipped(), products: Products::shipped() }
    }

    /// What ships, with what the settings add.
    #[must_use]
    pub fn of(settings: &settings::Calendar) -> Self {
        let days = TradingCalendar::shipped().with(
            settings.holidays.iter().map(|day| day.0),
            settings.no_night.iter().map(|day| day.0),
            settings.valid_until.map(|day| day.0),
        );
        Self { days, products: Products::shipped().with(&settings.products) }
    }

    /// What is known of a contract.
    #[must_use]
    pub fn listing(&self, contract: &Contract) -> Listing {
        self.products.listing(contract)
    }

    /// What the product does at `ms` (since the epoch), and from when until when.
    #[must_use]
    pub fn section_at(&self, product: ProductId, ms: i64) -> Section {
        self.section_near(product, ms, 0)
    }

    /// [`Self::section_at`] with sections and auctions that begin `margin_ms` earlier and end as much later.
    #[must_use]
    pub fn section_near(&self, product: ProductId, ms: i64, margin_ms: i64) -> Section {
        sections::at(ms, margin_ms, &|day| self.products.hours(product, day), &self.days)
    }

    /// The first moment after `ms` at which the product's phase changes, ms since the epoch; `None` when it does not
    /// within a month.
    #[must_use]
    pub fn next_boundary(&self, product: ProductId, ms: i64) -> Option<i64> {
        let now = self.section_at(product, ms);
        let mut at_ms = now.until_ms;
        (0..BOUNDARY_STEPS_MAX).find_map(|_| {
            let section = self.section_at(product, at_ms);
            let found = (section.phase != now.phase).then_some(at_ms);
            at_ms = section.until_ms;
            found
        })
    }

    /// The last moment until `ms` at which the product's phase changed, ms since the epoch; `None` when it did not within
    /// a month.
    #[must_use]
    pub fn previous_boundary(&self, product: ProductId, ms: i64) -> Option<i64> {
        let mut section = self.section_at(product, ms);
        let phase = section.phase;
        (0..BOUNDARY_STEPS_MAX).find_map(|_| {
            let at_ms = section.from_ms;
            section = self.section_at(product, at_ms - 1);
            (section.phase != phase).then_some(at_ms)
        })
    }
}

/// Stretches that a search for a boundary goes through: at most some ten a day.
const BOUNDARY_STEPS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use jiff::civil::date;

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
