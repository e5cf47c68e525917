//! From a vendor's record to a [`Tick`]: absent values become NaN, and the exchange's own time becomes one integer.
//!
//! Everything is a function of record, calendar and dialect; nothing depends on when the record was received, so a replay
//! gives the same ticks.
//!
//! What means "there is none", by vendor habit:
//!
//! | where | means absent |
//! |---|---|
//! | any number | NaN, an infinity, or a magnitude of `FLT_MAX` and above (`DBL_MAX` and `FLT_MAX` are both in use) |
//! | a level of the book | price zero with size zero; also any absent price, and then the size is zero too |
//! | last, open, high, low | zero while nothing was traded |
//! | SOPT: limits, close, settlement, yesterday's prices | zero, which SOPT writes where CTP writes `DBL_MAX` |
//!
//! Elsewhere zero and negative prices are real: spreads and TAS have them.

pub mod exchange_time;

use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::raw_tick::{RawLevel, RawTick};
use mdhub_spec::tick::{Quote, Tick};

pub use exchange_time::{DateCache, DayRule, TimeFault};

/// The record as a tick of a contract on `exchange`, of so many units a lot. `cache` is the source's own.
///
/// # Errors
/// When the record's time of day or its dates give no exchange time.
pub fn normalise(
    raw: &RawTick,
    dialect: Dialect,
    exchange: Exchange,
    multiplier: Option<f64>,
    rule: &DayRule<'_>,
    cache: &mut DateCache,
) -> Result<Tick, TimeFault> {
    let stamp = exchange_time::stamp(raw, exchange, rule, cache)?;
    let traded = raw.volume.get() != 0;
    let of_trades = |price: f64| if traded { number(price) } else { nonzero(price) };
    let daily = |price: f64| match dialect {
        Dialect::Ctp => number(price),
        Dialect::Sopt => nonzero(price),
    };
    Ok(Tick {
        exchange_time_ms: stamp.exchange_time_ms,
        trading_day: stamp.trading_day,
        volume: raw.volume.get().into(),
        turnover: number(raw.turnover.get()),
        open_interest: number(raw.open_interest.get()),
        last_price: of_trades(raw.last_price.get()),
        open_price: of_trades(raw.open_price.get()),
        high_price: of_trades(raw.high_price.get()),
        low_price: of_trades(raw.low_price.get()),
        limit_up: daily(raw.limit_up.get()),
        limit_down: daily(raw.limit_down.get()),
        pre_close: daily(raw.pre_close.get()),
        pre_settlement: daily(raw.pre_settlement.get()),
        pre_open_interest: number(raw.pre_open_interest.get()),
        settlement: daily(raw.settlement.get()),
        close_price: daily(raw.close_price.get()),
        average_price: average(raw.average_price.get(), exchange, multiplier),
        bids: raw.levels.map(|level: RawLevel| quote(level.bid_price.get(), level.bid_volume.get())),
        asks: raw.levels.map(|level: RawLevel| quote(level.ask_price.get(), level.ask_volume.get())),
        flags: 0,
        ingress_mono_ns: raw.ingress_mono_ns.get(),
        ingress_real_ns: raw.ingress_real_ns.get(),
    })
}

/// The average price without the contract's multiplier. CZCE gives it so; elsewhere the multiplier is in it, and where that is
/// not known the price is absent rather than wrong.
fn average(value: f64, exchange: Exchange, multiplier: Option<f64>) -> f64 {
    let multiplier = if exchange == Exchange::Czce { Some(1.0) } else { multiplier };
    multiplier.map_or(f64::NAN, |multiplier| nonzero(value) / multiplier)
}

/// NaN for what vendors write where there is no number.
fn number(value: f64) -> f64 {
    // NaN compares as false.
    if value.abs() < f64::from(f32::MAX) { value } else { f64::NAN }
}

/// [`number`], where zero means absent too.
fn nonzero(value: f64) -> f64 {
    if value == 0.0 { f64::NAN } else { number(value) }
}

fn quote(price: f64, volume: i32) -> Quote {
    let price = if volume == 0 { nonzero(price) } else { number(price) };
    if price.is_nan() { Quote::ABSENT } else { Quote { price, volume } }
}

#[cfg(test)]
mod tests {
    use mdhub_spec::calendar::TradingCalendar;
    use mdhub_spec::raw_tick::field;

    use super::*;

    fn raw() -> RawTick {
        RawTick {
            trading_day: field(b"20261118"),
            action_day: field(b"20261118"),
            update_time: field(b"10:00:00"),
            update_ms: 5.into(),
            volume: 7.into(),
            ..RawTick::default()
        }
    }

    fn tick_of(raw: &RawTick, dialect: Dialect) -> Tick {
        normalised(raw, dialect, Exchange::Shfe, None).expect("has a time")
    }

    fn normalised(
        raw: &RawTick,
        dialect: Dialect,
        exchange: Exchange,
        multiplier: Option<f64>,
    ) -> Result<Tick, TimeFault> {
        let rule = DayRule { calendar: &TradingCalendar::shipped(), always_open: false, is_action_day_right: false };
        normalise(raw, dialect, exchange, multiplier, &rule, &mut DateCache::default())
    }

    #[test]
    fn what_vendors_write_for_nothing_becomes_absent_anywhere() {
        for nothing in [f64::MAX, f64::MIN, f64::from(f32::MAX), f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut raw = raw();
            raw.turnover = nothing.into();
            raw.last_price = nothing.into();
            raw.limit_up = nothing.into();
            raw.settlement = nothing.into();
            raw.close_price = nothing.into();
            raw.levels[0].bid_price = nothing.into();
            raw.levels[0].bid_volume = 3.into();
            let tick = tick_of(&raw, Dialect::Ctp);
            let values = [tick.turnover, tick.last_price, tick.limit_up, tick.settlement, tick.close_price];
            assert!(values.iter().all(|v| v.is_nan()), "{nothing}: {values:?}");
            assert!(tick.bids[0].price.is_nan() && tick.bids[0].volume == 0, "{nothing}: {:?}", tick.bids[0]);
        }
    }

    #[test]
    fn in_the_book_zero_is_absent_only_with_no_size() {
        for (price, volume, expected) in [
            (0.0, 0, None),
            (-0.0, 0, None),
            (0.0, 4, Some((0.0, 4))),
            (-2.0, 4, Some((-2.0, 4))),
            (-2.0, 0, Some((-2.0, 0))),
            (3142.0, 0, Some((3142.0, 0))),
        ] {
            let found = quote(price, volume);
            let found = (!found.price.is_nan()).then_some((found.price, found.volume));
            assert_eq!(found, expected, "{price} x {volume}");
        }
    }

    #[test]
    fn a_zero_price_of_trades_is_absent_only_while_nothing_was_traded() {
        let trades = |tick: &Tick| [tick.last_price, tick.open_price, tick.high_price, tick.low_price];
        for dialect in [Dialect::Ctp, Dialect::Sopt] {
            assert_eq!(trades(&tick_of(&raw(), dialect)), [0.0; 4]);
            let untraded = tick_of(&RawTick { volume: 0.into(), ..raw() }, dialect);
            assert!(trades(&untraded).iter().all(|p| p.is_nan()), "{untraded:?}");
            let carried = tick_of(&RawTick { volume: 0.into(), last_price: 3.5.into(), ..raw() }, dialect);
            assert_eq!(carried.last_price, 3.5);
        }
    }

    #[test]
    fn sopt_writes_zero_where_ctp_writes_dbl_max() {
        let daily = |t: &Tick| [t.limit_up, t.limit_down, t.close_price, t.settlement, t.pre_close, t.pre_settlement];
        assert_eq!(daily(&tick_of(&raw(), Dialect::Ctp)), [0.0; 6]);
        assert!(daily(&tick_of(&raw(), Dialect::Sopt)).iter().all(|p| p.is_nan()));
    }

    #[test]
    fn every_field_comes_from_its_own() {
        let mut raw = raw();
        let mut next = 100.0;
        let mut fresh = || {
            next += 1.0;
            next
        };
        raw.turnover = fresh().into();
        raw.open_interest = fresh().into();
        raw.last_price = fresh().into();
        raw.open_price = fresh().into();
        raw.high_price = fresh().into();
        raw.low_price = fresh().into();
        raw.limit_up = fresh().into();
        raw.limit_down = fresh().into();
        raw.pre_close = fresh().into();
        raw.pre_settlement = fresh().into();
        raw.pre_open_interest = fresh().into();
        raw.settlement = fresh().into();
        raw.close_price = fresh().into();
        raw.average_price = fresh().into();
        raw.levels[4].ask_price = fresh().into();
        raw.levels[4].ask_volume = 9.into();
        raw.ingress_mono_ns = 11.into();
        raw.ingress_real_ns = 12.into();
        let t = tick_of(&raw, Dialect::Sopt);
        let prices = [t.turnover, t.open_interest, t.last_price, t.open_price, t.high_price, t.low_price, t.limit_up];
        assert_eq!(prices, [101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0]);
        let prices = [t.limit_down, t.pre_close, t.pre_settlement, t.pre_open_interest, t.settlement, t.close_price];
        assert_eq!(prices, [108.0, 109.0, 110.0, 111.0, 112.0, 113.0]);
        assert_eq!(t.asks[4], Quote { price: 115.0, volume: 9 });
        let average =
            |exchange, multiplier| normalised(&raw, Dialect::Ctp, exchange, multiplier).map(|t| t.average_price);
        assert_eq!(average(Exchange::Czce, Some(10.0)), Ok(114.0));
        assert_eq!(average(Exchange::Dce, Some(10.0)), Ok(11.4));
        assert!(average(Exchange::Dce, None).is_ok_and(f64::is_nan), "its multiplier is not known");
        assert_eq!((t.volume, t.ingress_mono_ns, t.ingress_real_ns), (7, 11, 12));
        assert_eq!((t.exchange_time_ms, t.trading_day), (1_794_967_200_005, 20_261_118));
    }
}
