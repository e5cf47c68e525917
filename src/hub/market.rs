//! What the calendar says about the markets of the hub's contracts: sources of which dialect are to run, and which exchanges
//! are watched by their canaries now.

use std::collections::BTreeMap;

use mdhub_spec::calendar::{MarketCalendar, Phase, midnight_ms};
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::product::ProductId;
use mdhub_spec::time::{Mono, NS_PER_MS, Now};
use serde_json::{Value, json};

/// Gateways are up so long before the first auction or section.
const LEAD_MS: i64 = 30 * 60_000;
/// A pause that is no longer than this is sat through: lunch, but not the afternoon.
const PAUSE_MS_MAX: i64 = 2 * 3_600_000;

/// The calendar's end is told daily from so many days ahead.
const DAYS_LEFT_MIN: i64 = 30;
const MS_PER_DAY: i64 = 86_400_000;
const BEIJING_AHEAD_MS: i64 = 8 * 3_600_000;

/// The markets, from one instant until another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Market {
    /// Exchanges with a canary in its section, since when.
    pub(crate) open: BTreeMap<Exchange, Mono>,
    /// Sources of these dialects are not to run, and when they are again.
    pub(crate) closed: BTreeMap<Dialect, Option<Mono>>,
    /// What each exchange's products are in, and until when, milliseconds since the epoch.
    pub(crate) sections: BTreeMap<(Exchange, &'static str, i64), Vec<String>>,
    /// Whether any is to run.
    pub(crate) runs: bool,
    /// Days since the epoch, in Beijing.
    pub(crate) today: i64,
    /// Days from today to the last one that the calendar knows; below zero when it has passed.
    pub(crate) days_left: i64,
    /// Milliseconds since the epoch from which this is out of date.
    pub(crate) until_ms: i64,
}

impl Market {
    /// The sections, for people and scripts. Where the market never closes there are none.
    pub(crate) fn shown(&self) -> Value {
        let one = |(section, products): (&(Exchange, &str, i64), &Vec<String>)| {
            let (exchange, phase, until_ms) = section;
            json!({"exchange": exchange.to_string(), "phase": phase, "until_ms": until_ms, "products": products})
        };
        let items: Vec<Value> = self.sections.iter().map(one).collect();
        let always_open = self.runs && items.is_empty();
        let days_left = (!always_open).then_some(self.days_left);
        json!({"always_open": always_open, "items": items, "calendar_days_left": days_left})
    }

    /// What there is to say of the calendar's end, from a month ahead.
    pub(crate) fn calendar_ends(&self) -> Option<String> {
        let what = "give calendar.holidays and calendar.valid_until for the time after it";
        match self.days_left {
            left if left > DAYS_LEFT_MIN => None,
            1 => Some(format!("the calendar ends in 1 day; {what}")),
            left if left >= 0 => Some(format!("the calendar ends in {left} days; {what}")),
            -1 => Some(format!("the calendar ended 1 day ago: every weekday trades; {what}")),
            left => Some(format!("the calendar ended {} days ago: every weekday trades; {what}", -left)),
        }
    }
}

/// The markets at `now`.
pub(crate) fn at<'a>(
    calendar: &MarketCalendar,
    contracts: impl Iterator<Item = &'a Contract>,
    canaries: &'a [Contract],
    now: Now,
) -> Market {
    let ms = now.wall_ms();
    let mut products: BTreeMap<Dialect, Vec<ProductId>> = BTreeMap::new();
    for contract in contracts.chain(canaries) {
        let known = products.entry(Dialect::of(contract.exchange())).or_default();
        let product = calendar.listing(contract).product;
        if !known.contains(&product) {
            known.push(product);
        }
    }
    let sections = sections(calendar, products.values().flatten().copied(), ms);
    let today = beijing_day(ms);
    let days_left = beijing_day(midnight_ms(calendar.days.valid_until())) - today;
    let mut market = Market { sections, today, days_left, until_ms: ms.saturating_add(LEAD_MS), ..Market::default() };
    for (dialect, products) in products {
        let looks: Vec<Look> = products.iter().map(|product| look(calendar, *product, ms)).collect();
        market.until_ms = looks.iter().map(|look| look.until_ms).chain([market.until_ms]).min().unwrap_or(ms);
        if !looks.iter().any(|look| look.runs) {
            let again = looks.iter().filter_map(|look| look.runs_from_ms).min();
            market.closed.insert(dialect, again.map(|at_ms| mono(now, at_ms)));
        } else {
            market.runs = true;
        }
    }
    for canary in canaries {
        let section = calendar.section_at(calendar.listing(canary).product, ms);
        market.until_ms = market.until_ms.min(section.until_ms);
        if section.phase == Phase::Open {
            let since = mono(now, section.from_ms);
            let known = market.open.entry(canary.exchange()).or_insert(since);
            *known = since.min(*known);
        }
    }
    market
}

/// What the products are in at `ms`, those of an exchange that are in the same together.
fn sections(
    calendar: &MarketCalendar,
    products: impl Iterator<Item = ProductId>,
    ms: i64,
) -> BTreeMap<(Exchange, &'static str, i64), Vec<String>> {
    let mut sections: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for product in products {
        let name = calendar.products.name(product);
        let (code, exchange) = name.rsplit_once('.').unwrap_or(("", name));
        let Ok(exchange) = exchange.parse::<Exchange>() else { continue };
        let section = calendar.section_at(product, ms);
        let phase = match section.phase {
            Phase::Closed => "closed",
            Phase::Auction => "auction",
            Phase::Open => "open",
            Phase::PostClose => "post_close",
        };
        // An exchange's stand-in has its name.
        let shown = if code.is_empty() { name } else { code };
        sections.entry((exchange, phase, section.until_ms)).or_default().push(shown.to_owned());
    }
    sections.values_mut().for_each(|products| products.sort());
    sections
}

const fn beijing_day(ms: i64) -> i64 {
    ms.saturating_add(BEIJING_AHEAD_MS).div_euclid(MS_PER_DAY)
}

/// What a product asks for.
struct Look {
    runs: bool,
    /// When it runs again, where it does not.
    runs_from_ms: Option<i64>,
    /// Until when this holds.
    until_ms: i64,
}

fn look(calendar: &MarketCalendar, product: ProductId, ms: i64) -> Look {
    let section = calendar.section_at(product, ms);
    if section.phase != Phase::Closed {
        return Look { runs: true, runs_from_ms: None, until_ms: section.until_ms };
    }
    let Some(opens_ms) = calendar.next_boundary(product, ms) else {
        return Look { runs: false, runs_from_ms: None, until_ms: section.until_ms };
    };
    let is_pause =
        calendar.previous_boundary(product, ms).is_some_and(|closed_ms| opens_ms - closed_ms <= PAUSE_MS_MAX);
    let runs_from_ms = opens_ms - LEAD_MS;
    if is_pause || runs_from_ms <= ms {
        Look { runs: true, runs_from_ms: None, until_ms: opens_ms }
    } else {
        Look { runs: false, runs_from_ms: Some(runs_from_ms), until_ms: runs_from_ms }
    }
}

/// The instant of `CLOCK_MONOTONIC` that `ms` (since the epoch) is, or was.
fn mono(now: Now, ms: i64) -> Mono {
    let ahead_ns = (ms - now.wall_ms()).saturating_mul(NS_PER_MS.cast_signed());
    Mono(now.mono.0.saturating_add_signed(ahead_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beijing time, as milliseconds since the epoch.
    fn beijing(day: i8, hour: i8, minute: i8) -> i64 {
        let midnight = mdhub_spec::calendar::midnight_ms(jiff::civil::date(2026, 11, day));
        midnight + (i64::from(hour) * 60 + i64::from(minute)) * 60_000
    }

    fn look_at(ms: i64) -> Market {
        let contracts: Vec<Contract> =
            ["rb2701.SHFE", "IF2612.CFFEX", "10009123.SSE"].iter().map(|c| c.parse().expect("a contract")).collect();
        let canaries: Vec<Contract> =
            ["rb2701.SHFE", "IF2612.CFFEX"].iter().map(|c| c.parse().expect("a contract")).collect();
        let now = Now { mono: Mono(1 << 60), wall_ns: ms.unsigned_abs() * NS_PER_MS };
        at(&MarketCalendar::shipped(), contracts.iter(), &canaries, now)
    }

    #[test]
    fn gateways_run_from_before_a_session_until_after_it_and_sit_through_lunch() {
        use Dialect::{Ctp, Sopt};
        // Wednesday 18 November 2026; the night before ends at 23:00 for rebar.
        for (hour, minute, closed) in [
            (4, 0, &[Ctp, Sopt][..]),
            (8, 20, &[Ctp, Sopt]),
            (8, 30, &[Sopt]),
            (8, 45, &[]),
            (9, 5, &[]),
            (10, 20, &[]),
            (12, 30, &[]),
            (15, 30, &[]),
            (18, 30, &[Ctp, Sopt]),
            (20, 20, &[Ctp, Sopt]),
            (20, 25, &[Sopt]),
            (22, 0, &[Sopt]),
            (23, 30, &[Ctp, Sopt]),
        ] {
            let market = look_at(beijing(18, hour, minute));
            assert_eq!(market.closed.keys().copied().collect::<Vec<_>>(), closed, "{hour}:{minute}");
            assert_eq!(market.runs, closed.len() < 2, "{hour}:{minute}");
        }
        // Saturday, and when it goes on: Monday half an hour before the first auction or section.
        let saturday = look_at(beijing(21, 12, 0));
        let wait_ms = saturday.closed[&Ctp].map(|at| at.ms_since(Mono(1 << 60)).cast_signed());
        assert_eq!(wait_ms, Some(beijing(23, 8, 30) - beijing(21, 12, 0)));
    }

    #[test]
    fn an_exchange_is_watched_while_the_section_of_its_canary_lasts() {
        for (hour, minute, open) in [
            (8, 58, &[][..]),
            (9, 0, &[Exchange::Shfe]),
            (9, 45, &[Exchange::Shfe, Exchange::Cffex]),
            (10, 20, &[Exchange::Cffex]),
            (12, 0, &[]),
            (21, 30, &[Exchange::Shfe]),
        ] {
            let market = look_at(beijing(18, hour, minute));
            assert_eq!(market.open.keys().copied().collect::<Vec<_>>(), open, "{hour}:{minute}");
        }
        let market = look_at(beijing(18, 9, 45));
        assert_eq!(Mono(1 << 60).ms_since(market.open[&Exchange::Shfe]), 45 * 60_000);
        assert_eq!(market.until_ms, beijing(18, 10, 15));
    }

    #[test]
    fn the_sections_are_shown_by_exchange_until_they_change() {
        let shown = look_at(beijing(18, 12, 0)).shown();
        let items = shown["items"].as_array().expect("a list");
        let of = |exchange: &str| items.iter().find(|item| item["exchange"] == exchange).expect("an exchange");
        assert_eq!((&of("SHFE")["phase"], &of("SHFE")["until_ms"]), (&json!("closed"), &json!(beijing(18, 13, 30))));
        assert_eq!(of("SHFE")["products"], json!(["rb"]));
        assert_eq!((&of("CFFEX")["phase"], &of("CFFEX")["until_ms"]), (&json!("closed"), &json!(beijing(18, 13, 0))));
        let night = look_at(beijing(18, 22, 0)).shown();
        let rebar = night["items"].as_array().into_iter().flatten().find(|item| item["exchange"] == "SHFE");
        let rebar = rebar.map(|item| (item["phase"].clone(), item["until_ms"].clone()));
        assert_eq!(rebar, Some((json!("open"), json!(beijing(18, 23, 0)))));
        let open = Market { runs: true, ..Market::default() }.shown();
        assert_eq!(open, json!({"always_open": true, "items": [], "calendar_days_left": null}));
        assert_eq!(shown["calendar_days_left"], 43, "to the end of 2026");
    }

    #[test]
    fn the_calendars_end_is_told_from_a_month_ahead() {
        let december = |day: i64| look_at(beijing(30, 12, 0) + day * MS_PER_DAY).calendar_ends();
        assert_eq!(december(0), None, "the 30th of November, 31 days ahead");
        assert!(
            december(1).is_some_and(|text| text.starts_with("the calendar ends in 30 days; give calendar.holidays"))
        );
        assert!(december(31).is_some_and(|text| text.starts_with("the calendar ends in 0 days")));
        assert!(
            december(33).is_some_and(|text| text.starts_with("the calendar ended 2 days ago: every weekday trades"))
        );
    }

    #[test]
    fn what_is_said_holds_until_the_moment_that_is_named() {
        let mut ms = beijing(18, 0, 0);
        while ms < beijing(25, 0, 0) {
            let market = look_at(ms);
            assert!(market.until_ms > ms);
            let last = look_at(market.until_ms - 1);
            assert_eq!(last.open.keys().collect::<Vec<_>>(), market.open.keys().collect::<Vec<_>>(), "{ms}");
            assert_eq!(last.closed.keys().collect::<Vec<_>>(), market.closed.keys().collect::<Vec<_>>(), "{ms}");
            ms = market.until_ms;
        }
    }
}
