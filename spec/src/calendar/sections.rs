//! A product's day as a list of sections, and what a moment of it is.

use jiff::civil::{Date, date};

use super::TradingCalendar;
use super::hours::{Hours, Span};

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 24 * 60 * MS_PER_MINUTE;
/// Beijing is eight hours ahead of UTC, all year.
const BEIJING_AHEAD_MS: i64 = 8 * 60 * MS_PER_MINUTE;
/// Settlement data come until then, minutes since midnight.
const POST_CLOSE_UNTIL: u16 = 18 * 60;
/// Most sections around one day: a night, two auctions or three, three by day, what follows them, and the next night.
const SECTIONS_MAX: usize = 32;

/// What a product does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Closed,
    /// A call auction.
    Auction,
    /// It trades.
    Open,
    /// It has closed for the day, and settles.
    PostClose,
}

/// A stretch of time that is all one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// What it is.
    pub phase: Phase,
    /// The trading day that it belongs to, `YYYYMMDD`; while closed, the next one. 0 beyond the calendar's time.
    pub trading_day: u32,
    /// Its first millisecond, since the epoch.
    pub from_ms: i64,
    /// The millisecond behind its last one.
    pub until_ms: i64,
}

impl Section {
    /// Whether `ms` lies in it.
    #[must_use]
    pub const fn holds(&self, ms: i64) -> bool {
        self.from_ms <= ms && ms < self.until_ms
    }
}

/// The sections around one moment, in their order of precedence: auctions, then what is open, then what settles.
struct Sections {
    all: [Section; SECTIONS_MAX],
    len: usize,
}

impl Sections {
    /// Of the day before, the day, and the day after `today`, since nights reach over midnight.
    fn around<'h>(today: Date, hours_of: &dyn Fn(Date) -> Option<&'h Hours>, days: &TradingCalendar) -> Self {
        let nothing = Section { phase: Phase::Closed, trading_day: 0, from_ms: 0, until_ms: 0 };
        let mut found = Self { all: [nothing; SECTIONS_MAX], len: 0 };
        for date in [today.yesterday().ok(), Some(today), today.tomorrow().ok()].into_iter().flatten() {
            found.add_date(date, hours_of, days);
        }
        let rank = |phase| match phase {
            Phase::Auction => 0,
            Phase::Open => 1,
            Phase::PostClose => 2,
            Phase::Closed => 3,
        };
        found.all[..found.len].sort_unstable_by_key(|section| (rank(section.phase), section.from_ms));
        found
    }

    fn add_date<'h>(&mut self, date: Date, hours_of: &dyn Fn(Date) -> Option<&'h Hours>, days: &TradingCalendar) {
        if !days.is_trading_day(date) {
            return;
        }
        if let Some(hours) = hours_of(date) {
            let had_night = hours.night.is_some() && days.before(date).is_some_and(|eve| days.has_night(eve));
            for span in hours.auctions.iter().chain(hours.morning_auction.iter().filter(|_| !had_night)) {
                self.add(Phase::Auction, date, *span, date);
            }
            for span in hours.day.iter() {
                self.add(Phase::Open, date, *span, date);
            }
            if let Some(last) = hours.day.last() {
                self.add(Phase::PostClose, date, Span { from: last.to, to: POST_CLOSE_UNTIL }, date);
            }
        }
        let Some(next) = days.after(date).filter(|_| days.has_night(date)) else { return };
        if let Some(hours) = hours_of(next) {
            if let Some(span) = hours.night_auction {
                self.add(Phase::Auction, date, span, next);
            }
            if let Some(span) = hours.night {
                self.add(Phase::Open, date, span, next);
            }
        }
    }

    fn add(&mut self, phase: Phase, on: Date, span: Span, trading_day: Date) {
        let Some(place) = self.all.get_mut(self.len) else { return };
        let midnight_ms = midnight_ms(on);
        *place = Section {
            phase,
            trading_day: compact(trading_day),
            from_ms: midnight_ms + i64::from(span.from) * MS_PER_MINUTE,
            until_ms: midnight_ms + i64::from(span.to) * MS_PER_MINUTE,
        };
        self.len += 1;
    }

    fn iter(&self) -> impl Iterator<Item = &Section> {
        self.all[..self.len].iter()
    }
}

/// What the product is at `ms`, and from when until when it is that. With a `margin_ms` an auction or a section begins
/// that much earlier and ends that much later: behind an auction still as the auction.
pub(super) fn at<'h>(
    ms: i64,
    margin_ms: i64,
    hours_of: &dyn Fn(Date) -> Option<&'h Hours>,
    days: &TradingCalendar,
) -> Section {
    let Some(today) = date_of(ms) else {
        return Section { phase: Phase::Closed, trading_day: 0, from_ms: ms, until_ms: ms.saturating_add(1) };
    };
    let sections = Sections::around(today, hours_of, days);
    let is_of_trade = |s: &&Section| s.phase != Phase::PostClose;
    let exact = sections.iter().filter(is_of_trade).find(|s| s.holds(ms));
    let behind =
        || sections.iter().filter(is_of_trade).find(|s| s.until_ms <= ms && ms < s.until_ms.saturating_add(margin_ms));
    let before = || sections.iter().filter(is_of_trade).find(|s| s.from_ms - margin_ms <= ms && ms < s.from_ms);
    let post_close = || sections.iter().find(|s| s.holds(ms));
    let found = exact.or_else(behind).or_else(before).or_else(post_close);
    // Between two neighbouring edges nothing changes.
    let (mut from_ms, mut until_ms) = (midnight_ms(today), midnight_ms(today) + MS_PER_DAY);
    let edges = sections.iter().flat_map(|s| [s.from_ms - margin_ms, s.from_ms, s.until_ms, s.until_ms + margin_ms]);
    for edge in edges {
        if edge <= ms {
            from_ms = from_ms.max(edge);
        } else {
            until_ms = until_ms.min(edge);
        }
    }
    let next_trading_day = || {
        let soon = sections.iter().filter(|s| s.from_ms > ms).map(|s| s.trading_day).min();
        soon.or_else(|| days.after(today).map(compact)).unwrap_or(0)
    };
    let (phase, trading_day) =
        found.map_or_else(|| (Phase::Closed, next_trading_day()), |section| (section.phase, section.trading_day));
    Section { phase, trading_day, from_ms, until_ms }
}

/// The Beijing date of a moment; `None` beyond jiff's time.
pub(super) fn date_of(ms: i64) -> Option<Date> {
    let days = i32::try_from((ms.checked_add(BEIJING_AHEAD_MS)?).div_euclid(MS_PER_DAY)).ok()?;
    date(1970, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

/// Beijing midnight at the beginning of `day`, ms since the epoch.
#[must_use]
pub fn midnight_ms(day: Date) -> i64 {
    let days = i64::from((day - date(1970, 1, 1)).get_days());
    days * MS_PER_DAY - BEIJING_AHEAD_MS
}

/// `YYYYMMDD`.
#[must_use]
pub fn compact(day: Date) -> u32 {
    let (year, month, day) = (day.year().unsigned_abs(), day.month().unsigned_abs(), day.day().unsigned_abs());
    u32::from(year) * 10_000 + u32::from(month) * 100 + u32::from(day)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{DateTime, date};

    use super::super::{MarketCalendar, TradingCalendar};
    use super::*;
    use crate::contract::Contract;
    use crate::product::ProductId;

    fn ms(text: &str) -> i64 {
        let at: DateTime = text.parse().expect("a time");
        let of_day = at.time().duration_since(jiff::civil::Time::midnight()).as_millis();
        midnight_ms(at.date()) + i64::try_from(of_day).expect("fits")
    }

    fn product(calendar: &MarketCalendar, vt_symbol: &str) -> ProductId {
        calendar.listing(&vt_symbol.parse::<Contract>().expect("a contract")).product
    }

    #[test]
    fn every_product_trades_when_its_exchange_says() {
        use Phase::{Auction, Closed, Open, PostClose};
        let calendar = MarketCalendar::shipped();
        for (vt_symbol, at, phase, trading_day) in [
            // Wednesday 2026-11-18.
            ("rb2701.SHFE", "2026-11-18T09:00:00", Open, 20_261_118),
            ("rb2701.SHFE", "2026-11-18T10:14:59.999", Open, 20_261_118),
            ("rb2701.SHFE", "2026-11-18T10:15:00", Closed, 20_261_118),
            ("rb2701.SHFE", "2026-11-18T13:15:00", Closed, 20_261_118),
            ("rb2701.SHFE", "2026-11-18T15:30:00", PostClose, 20_261_118),
            ("rb2701.SHFE", "2026-11-18T18:30:00", Closed, 20_261_119),
            ("rb2701.SHFE", "2026-11-18T20:55:00", Auction, 20_261_119),
            ("rb2701.SHFE", "2026-11-18T22:59:59.999", Open, 20_261_119),
            ("rb2701.SHFE", "2026-11-18T23:00:00", Closed, 20_261_119),
            // A night precedes: no auction in the morning.
            ("rb2701.SHFE", "2026-11-18T08:56:00", Closed, 20_261_118),
            ("cu2701.SHFE", "2026-11-19T00:59:59", Open, 20_261_119),
            ("cu2701.SHFE", "2026-11-19T01:00:00", Closed, 20_261_119),
            ("sc2701.INE", "2026-11-21T02:29:59", Open, 20_261_123),
            ("ru2701.SHFE", "2026-11-18T23:30:00", Closed, 20_261_119),
            ("si2701.GFEX", "2026-11-18T08:56:00", Auction, 20_261_118),
            ("si2701.GFEX", "2026-11-18T21:30:00", Closed, 20_261_119),
            ("IF2612.CFFEX", "2026-11-18T09:29:00", Auction, 20_261_118),
            ("IF2612.CFFEX", "2026-11-18T15:00:00", PostClose, 20_261_118),
            ("IF2612.CFFEX", "2026-11-18T10:20:00", Open, 20_261_118),
            ("T2612.CFFEX", "2026-11-18T09:15:00", Closed, 20_261_118),
            ("T2612.CFFEX", "2026-11-18T15:14:59", Open, 20_261_118),
            ("10009123.SSE", "2026-11-18T09:20:00", Auction, 20_261_118),
            ("10009123.SSE", "2026-11-18T14:57:00", Auction, 20_261_118),
            ("159919.SZSE", "2026-11-18T14:56:59", Open, 20_261_118),
            // Friday night is Monday's; on Saturday nothing goes on.
            ("m2705.DCE", "2026-11-20T21:30:00", Open, 20_261_123),
            ("m2705.DCE", "2026-11-21T10:00:00", Closed, 20_261_123),
            // The eve of the National Day: no night, and the first morning has its auction again.
            ("m2705.DCE", "2026-09-30T14:00:00", Open, 20_260_930),
            ("m2705.DCE", "2026-09-30T21:30:00", Closed, 20_261_008),
            ("m2705.DCE", "2026-10-05T10:00:00", Closed, 20_261_008),
            ("m2705.DCE", "2026-10-08T08:56:00", Auction, 20_261_008),
            // The list ends with 2026: then every weekday trades.
            ("m2705.DCE", "2027-02-08T10:00:00", Open, 20_270_208),
        ] {
            let section = calendar.section_at(product(&calendar, vt_symbol), ms(at));
            assert_eq!((section.phase, section.trading_day), (phase, trading_day), "{vt_symbol} at {at}");
            assert!(section.holds(ms(at)), "{vt_symbol} at {at}: {section:?}");
        }
    }

    #[test]
    fn with_a_margin_a_section_begins_earlier_and_ends_later() {
        use Phase::{Auction, Closed, Open, PostClose};
        let calendar = MarketCalendar::shipped();
        for (vt_symbol, at, phase) in [
            ("rb2701.SHFE", "2026-11-18T08:58:59.999", Closed),
            ("rb2701.SHFE", "2026-11-18T08:59:00", Open),
            ("rb2701.SHFE", "2026-11-18T10:15:59.999", Open),
            ("rb2701.SHFE", "2026-11-18T10:16:00", Closed),
            ("rb2701.SHFE", "2026-11-18T15:00:30", Open),
            ("rb2701.SHFE", "2026-11-18T15:01:00", PostClose),
            ("rb2701.SHFE", "2026-11-18T20:54:00", Auction),
            ("rb2701.SHFE", "2026-11-18T20:59:30", Auction),
            ("rb2701.SHFE", "2026-11-18T21:00:00", Open),
        ] {
            let section = calendar.section_near(product(&calendar, vt_symbol), ms(at), 60_000);
            assert_eq!(section.phase, phase, "{vt_symbol} at {at}");
        }
    }

    #[test]
    fn a_stretch_is_one_phase_from_its_first_moment_to_its_last() {
        let calendar = MarketCalendar::shipped();
        for vt_symbol in ["rb2701.SHFE", "sc2701.INE", "si2701.GFEX", "T2612.CFFEX", "10009123.SSE"] {
            let product = product(&calendar, vt_symbol);
            for margin_ms in [0, 60_000] {
                let mut at = ms("2026-09-29T00:00:00");
                while at < ms("2026-10-09T00:00:00") {
                    let found = calendar.section_near(product, at, margin_ms);
                    for inside in [found.from_ms, found.until_ms - 1, (found.from_ms + found.until_ms) / 2] {
                        assert_eq!(calendar.section_near(product, inside, margin_ms), found, "{vt_symbol}");
                    }
                    assert!(found.until_ms > at);
                    at = found.until_ms;
                }
            }
        }
    }

    #[test]
    fn boundaries_are_the_moments_at_which_the_phase_changes() {
        let calendar = MarketCalendar::shipped();
        for (vt_symbol, at, previous, next) in [
            ("rb2701.SHFE", "2026-11-18T09:30:00", "2026-11-18T09:00:00", "2026-11-18T10:15:00"),
            ("rb2701.SHFE", "2026-11-18T22:00:00", "2026-11-18T21:00:00", "2026-11-18T23:00:00"),
            ("sc2701.INE", "2026-11-19T00:30:00", "2026-11-18T21:00:00", "2026-11-19T02:30:00"),
            ("m2705.DCE", "2026-10-03T12:00:00", "2026-09-30T18:00:00", "2026-10-08T08:55:00"),
        ] {
            let product = product(&calendar, vt_symbol);
            assert_eq!(calendar.next_boundary(product, ms(at)), Some(ms(next)), "{vt_symbol} after {at}");
            assert_eq!(calendar.previous_boundary(product, ms(at)), Some(ms(previous)), "{vt_symbol} before {at}");
        }
        let rb = product(&calendar, "rb2701.SHFE");
        assert_eq!(calendar.section_at(rb, i64::MAX).phase, Phase::Closed);
        assert_eq!(calendar.section_at(rb, i64::MIN).phase, Phase::Closed);
    }

    #[test]
    fn nights_are_on_trading_days_with_no_holiday_behind_them() {
        let days = TradingCalendar::shipped();
        for (day, expected) in [
            (date(2026, 11, 18), true),
            (date(2026, 11, 20), true),
            (date(2026, 11, 21), false),
            (date(2026, 9, 24), false),
            (date(2026, 9, 30), false),
            (date(2026, 10, 8), true),
            (date(2026, 6, 18), false),
            (date(2026, 4, 3), false),
            (date(2024, 6, 7), false),
            (date(2024, 4, 3), false),
        ] {
            assert_eq!(days.has_night(day), expected, "{day}");
        }
        let without = days.with([], [date(2026, 11, 18)], None);
        assert!(!without.has_night(date(2026, 11, 18)));
    }

    #[test]
    fn the_settings_add_holidays_and_change_products_from_a_day_on() {
        let text = r#"
            apiVersion: mdhub/v1
            kind: Hub
            calendar:
              holidays: [2027-01-01]
              valid_until: 2027-12-31
              products:
                - {product: rb.SHFE, from: 2026-11-19, hours: {day: ["09:00-11:30", "13:30-15:00"]}}
                - {product: zz.GFEX, multiplier: 7, hours: {day: ["09:00-15:00"], night: "21:00-02:00"}}
        "#;
        let settings = crate::settings::Settings::parse("f", text).expect("valid");
        let calendar = MarketCalendar::of(&settings.calendar);
        assert!(!calendar.days.is_trading_day(date(2027, 1, 1)));
        assert_eq!(calendar.days.days_left(date(2027, 12, 1)), 30);
        for (vt_symbol, at, phase) in [
            ("rb2701.SHFE", "2026-11-18T10:20:00", Phase::Closed),
            ("rb2701.SHFE", "2026-11-19T10:20:00", Phase::Open),
            ("rb2701.SHFE", "2026-11-17T22:00:00", Phase::Open),
            ("rb2701.SHFE", "2026-11-18T22:00:00", Phase::Closed),
            ("zz2701.GFEX", "2026-11-19T01:59:59", Phase::Open),
        ] {
            let section = calendar.section_at(product(&calendar, vt_symbol), ms(at));
            assert_eq!(section.phase, phase, "{vt_symbol} at {at}");
        }
        let zz = calendar.listing(&"zz2701.GFEX".parse().expect("a contract"));
        assert_eq!((zz.is_known, zz.multiplier), (true, Some(7.0)));
        for (rest, part) in [
            ("calendar: {holidays: [2027-13-01]}", "YYYY-MM-DD"),
            ("calendar: {products: [{product: rb}]}", "rb.SHFE"),
            ("calendar: {products: [{product: rb.SHFE, multiplier: 0}]}", "above zero"),
            ("calendar: {products: [{product: rb.SHFE, hours: {day: [\"9-10\"]}}]}", "HH:MM-HH:MM"),
            ("calendar: {products: [{product: rb.SHFE, hours: {day: []}}]}", "1 to 4"),
            (
                "calendar: {products: [{product: rb.SHFE, hours: {day: [\"10:00-11:00\", \"09:00-10:30\"]}}]}",
                "in order",
            ),
            ("cleansing: {behind_ms_max: 5}", "1000 to 86400000"),
        ] {
            let text = format!("apiVersion: mdhub/v1\nkind: Hub\n{rest}\n");
            let error = crate::settings::Settings::parse("f", &text).map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(part)), "{rest}: {error:?}");
        }
    }
}
