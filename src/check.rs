//! `mdhub check`: judges a settings file without running anything.

use std::collections::BTreeSet;

use jiff::civil::Date;
use mdhub_spec::calendar::{MarketCalendar, Phase, midnight_ms};
use mdhub_spec::product::ProductId;

use crate::cli::CheckArgs;
use crate::settings_file::LoadedSettings;
use crate::{Failure, logging, say, settings_file};

/// From midnight to the evening, when the next trading day begins.
const EVENING_MS: i64 = 18 * 3_600_000;

/// Reads the file and all that it points to, and says what it found.
///
/// # Errors
/// The first fault, with its place.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = settings_file::load(&args.config)?;
    logging::filter(&loaded.settings.logging).map_err(|e| format!("{}: {e}", args.config.display()))?;
    for (name, library) in &loaded.libraries {
        library.look().map_err(|why| format!("{}: libraries.{name}.path: {why}", args.config.display()))?;
    }
    say(format_args!(
        "{}: valid: {} contracts, {} libraries, ticks on {}, control on {}",
        args.config.display(),
        loaded.contracts.len(),
        loaded.libraries.len(),
        String::from(loaded.settings.publish.listen),
        loaded.settings.http.listen,
    ))?;
    args.trading_day.map_or(Ok(()), |day| sections(&loaded, day))
}

/// When each product of the configured contracts trades on `day`, its night in the evening before included.
fn sections(loaded: &LoadedSettings, day: Date) -> Result<(), Failure> {
    let calendar = MarketCalendar::of(&loaded.settings.calendar);
    let until = calendar.days.valid_until();
    if !calendar.days.knows(day) {
        say(format_args!("{day}: the calendar ends with {until}: beyond it every weekday trades"))?;
    }
    let Some(eve) = calendar.days.before(day).filter(|_| calendar.days.is_trading_day(day)) else {
        return say(format_args!("{day}: no trading day"));
    };
    let products: BTreeSet<ProductId> = loaded.contracts.iter().map(|c| calendar.listing(c).product).collect();
    for product in products {
        let stretches = stretches(&calendar, product, eve, day);
        say(format_args!("{day} {}: {}", calendar.products.name(product), stretches.join(", ")))?;
    }
    Ok(())
}

/// The auctions and sections of one product, as people write them.
fn stretches(calendar: &MarketCalendar, product: ProductId, eve: Date, day: Date) -> Vec<String> {
    let (mut at_ms, end_ms) = (midnight_ms(eve) + EVENING_MS, midnight_ms(day) + EVENING_MS);
    let mut found: Vec<(Phase, i64, i64)> = Vec::new();
    while at_ms < end_ms {
        let section = calendar.section_at(product, at_ms);
        match found.last_mut() {
            // Midnight parts a night in two.
            Some(last) if last.0 == section.phase && last.2 == section.from_ms => last.2 = section.until_ms,
            _ => found.push((section.phase, section.from_ms, section.until_ms)),
        }
        at_ms = section.until_ms;
    }
    let clock = |ms: i64| {
        let minute = (ms - midnight_ms(eve)) / 60_000;
        format!("{:02}:{:02}", minute / 60 % 24, minute % 60)
    };
    let text = |(phase, from_ms, until_ms): (Phase, i64, i64)| match phase {
        Phase::Auction => Some(format!("auction {}-{}", clock(from_ms), clock(until_ms))),
        Phase::Open => Some(format!("{}-{}", clock(from_ms), clock(until_ms))),
        Phase::Closed | Phase::PostClose => None,
    };
    found.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_day_is_written_as_people_write_it() {
        let calendar = MarketCalendar::shipped();
        let shown = |vt_symbol: &str, eve, day| {
            let product = calendar.listing(&vt_symbol.parse().expect("a contract")).product;
            stretches(&calendar, product, eve, day).join(", ")
        };
        assert_eq!(
            shown("cu2701.SHFE", date(2026, 11, 20), date(2026, 11, 23)),
            "auction 20:55-20:59, 21:00-01:00, 09:00-10:15, 10:30-11:30, 13:30-15:00"
        );
        assert_eq!(
            shown("cu2701.SHFE", date(2026, 9, 30), date(2026, 10, 8)),
            "auction 08:55-08:59, 09:00-10:15, 10:30-11:30, 13:30-15:00"
        );
    }
}
