//! A tick after normalisation.

/// Bits of [`Tick::flags`] and of the payload's `flags`.
pub mod flags {
    /// The last known tick, sent to a newcomer on subscribing; not news.
    pub const SNAPSHOT: u32 = 1;
    /// Taken during a call auction.
    pub const AUCTION: u32 = 1 << 1;
    /// Settlement data after the close.
    pub const POST_CLOSE: u32 = 1 << 2;
    /// Forwarded although calendar or clock disagree, since every source agrees.
    pub const CALENDAR_DOUBT: u32 = 1 << 3;
    /// From a source that rounds times or prices.
    pub const LOW_PRECISION: u32 = 1 << 4;
}

/// Price and size on one side of the book. `price` is NaN when absent, and then `volume` is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quote {
    /// Price; NaN is absent.
    pub price: f64,
    /// Lots.
    pub volume: i32,
}

impl Quote {
    /// No quote on this side.
    pub const ABSENT: Self = Self { price: f64::NAN, volume: 0 };
}

/// A normalised tick of a contract that the feed already knows. **Every `f64` is NaN when the value is absent.**
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// The exchange's time of the snapshot, ms since the epoch (UTC). A function of tick and calendar, never of receipt.
    pub exchange_time_ms: i64,
    /// The trading day as `YYYYMMDD`; 0 when unknown.
    pub trading_day: u32,
    /// Lots since the start of the trading day.
    pub volume: i64,
    /// Currency since the start of the trading day.
    pub turnover: f64,
    /// Lots.
    pub open_interest: f64,
    /// Last price.
    pub last_price: f64,
    /// Open of the trading day.
    pub open_price: f64,
    /// High of the trading day.
    pub high_price: f64,
    /// Low of the trading day.
    pub low_price: f64,
    /// Upper limit of the trading day.
    pub limit_up: f64,
    /// Lower limit of the trading day.
    pub limit_down: f64,
    /// Yesterday's close.
    pub pre_close: f64,
    /// Yesterday's settlement.
    pub pre_settlement: f64,
    /// Yesterday's open interest, lots.
    pub pre_open_interest: f64,
    /// Today's settlement; present after the close.
    pub settlement: f64,
    /// Today's close; present after the close.
    pub close_price: f64,
    /// Volume-weighted average price of the day, without the contract's multiplier.
    pub average_price: f64,
    /// Bids, best first.
    pub bids: [Quote; 5],
    /// Asks, best first.
    pub asks: [Quote; 5],
    /// [`flags`].
    pub flags: u32,
    /// Receipt in the worker, nanoseconds of `CLOCK_MONOTONIC`.
    pub ingress_mono_ns: u64,
    /// Receipt in the worker, nanoseconds since the epoch, `CLOCK_REALTIME`.
    pub ingress_real_ns: u64,
}
