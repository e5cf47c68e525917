//! How a front writes a true tick into a vendor's record, with each exchange's quirks.

use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::raw_tick::{RawLevel, RawTick, field};

use crate::days::{Day, clock_text, of_day};
use crate::market::Product;
use crate::stream::{Quote, TrueTick};

/// A front's manner of writing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) dialect: Dialect,
    /// What CTP writes for no price; SOPT writes zero.
    pub(crate) absent: f64,
    /// What stands for `TradingDay` where a login has none and `ActionDay` tells the date.
    pub(crate) lost_trading_day: Option<LostDay>,
    /// Whether `ExchangeID` is filled in.
    pub(crate) names_exchange: bool,
    /// Whether it is entitled to levels 2 to 5, where the exchange gives them.
    pub(crate) is_deep: bool,
    /// Whether limits are absent.
    pub(crate) omits_limits: bool,
    /// Whether a missing quote is zero with zero size, rather than `DBL_MAX`.
    pub(crate) zeroes_book: bool,
    /// Whether `ActionDay` is empty where the exchange's date follows from `TradingDay`.
    pub(crate) omits_action_day: bool,
}

/// What a login that has no trading day writes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LostDay {
    Empty,
    Zeros,
    /// The next Saturday.
    Saturday,
}

impl LostDay {
    fn field(self, action_day: Day) -> [u8; 9] {
        match self {
            Self::Empty => [0; 9],
            Self::Zeros => field(b"00000000"),
            Self::Saturday => day_field(action_day.saturday()),
        }
    }
}

impl Style {
    fn absent(self) -> f64 {
        match self.dialect {
            Dialect::Ctp => self.absent,
            _ => 0.0,
        }
    }

    fn price(self, price: Option<f64>) -> f64 {
        price.unwrap_or(self.absent())
    }

    fn level(self, bid: Quote, ask: Quote) -> RawLevel {
        let absent = if self.zeroes_book { 0.0 } else { self.absent() };
        let (bid, ask) = (bid.unwrap_or((absent, 0)), ask.unwrap_or((absent, 0)));
        RawLevel {
            bid_price: bid.0.into(),
            bid_volume: bid.1.into(),
            ask_price: ask.0.into(),
            ask_volume: ask.1.into(),
        }
    }

    /// The record, received at `at_ns` (nanoseconds since the epoch) by the worker's clock.
    pub(crate) fn write(self, tick: &TrueTick, product: &Product, at_ns: i64, mono_ns: u64) -> RawTick {
        let (trading_day, action_day) = written_days(product.exchange, tick.trading_day, tick.time_ms);
        let has_depth =
            self.is_deep && matches!(product.exchange, Exchange::Shfe | Exchange::Ine | Exchange::Sse | Exchange::Szse);
        let level = |i: usize| {
            let is_there = i == 0 || has_depth;
            self.level(tick.bids[i].filter(|_| is_there), tick.asks[i].filter(|_| is_there))
        };
        let volume = f64::from(tick.volume.max(1));
        let average = match product.exchange {
            Exchange::Czce => tick.turnover / volume,
            // The fronts round it in ways of their own.
            _ => (tick.turnover / volume * 100.0).round() / 100.0,
        };
        let limit = |price| self.price(Some(price).filter(|_| !self.omits_limits));
        let tells_date = !matches!(product.exchange, Exchange::Dce | Exchange::Gfex) && !self.omits_action_day;
        let lost = self.lost_trading_day.filter(|_| tells_date);
        let keeps_action_day = !self.omits_action_day || product.exchange == Exchange::Czce;
        RawTick {
            ingress_mono_ns: mono_ns.into(),
            ingress_real_ns: at_ns.cast_unsigned().into(),
            instrument: field(product.symbol.as_bytes()),
            exchange: if self.names_exchange { field(product.exchange.as_str().as_bytes()) } else { [0; 9] },
            trading_day: lost.map_or(day_field(trading_day), |lost| lost.field(action_day)),
            action_day: if keeps_action_day { day_field(action_day) } else { [0; 9] },
            update_time: field(clock_text(tick.time_ms).as_bytes()),
            update_ms: ((of_day(tick.time_ms) % 1000) as i32).into(),
            volume: tick.volume.into(),
            turnover: tick.turnover.into(),
            open_interest: tick.open_interest.into(),
            last_price: self.price(tick.last).into(),
            open_price: self.price(tick.open).into(),
            high_price: self.price(tick.high).into(),
            low_price: self.price(tick.low).into(),
            pre_close: tick.pre_settlement.into(),
            pre_settlement: tick.pre_settlement.into(),
            pre_open_interest: 10_000.0.into(),
            close_price: self.price(tick.settlement.and(tick.last)).into(),
            settlement: self.price(tick.settlement).into(),
            limit_up: limit(tick.limit_up).into(),
            limit_down: limit(tick.limit_down).into(),
            average_price: average.into(),
            levels: [level(0), level(1), level(2), level(3), level(4)],
        }
    }
}

/// What an exchange's fronts write as `TradingDay` and `ActionDay`.
pub(crate) fn written_days(exchange: Exchange, trading_day: Day, time_ms: i64) -> (Day, Day) {
    let today = Day::at(time_ms);
    match exchange {
        Exchange::Dce | Exchange::Gfex => (trading_day, trading_day),
        Exchange::Czce => (today, today),
        _ => (trading_day, today),
    }
}

pub(crate) fn day_field(day: Day) -> [u8; 9] {
    field(day.number().to_string().as_bytes())
}
