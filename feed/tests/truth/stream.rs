//! The true stream: what happened at the exchanges, in order, before anybody wrote it down.

use mdhub_spec::contract::Exchange;

use crate::days::{Day, HOUR, MINUTE, SECOND};
use crate::draw::Draw;
use crate::market::{Hours, Product, Section, sections};

/// What part of the day a tick is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Auction,
    Continuous,
    /// Settlement data after the close.
    PostClose,
}

/// Price and size.
pub(crate) type Quote = Option<(f64, i32)>;

/// One snapshot as it truly was. Prices are absent as `None`.
#[derive(Debug, Clone)]
pub(crate) struct TrueTick {
    /// Index of the product in the scenario.
    pub(crate) product: usize,
    /// What the exchange's clock wrote, ms since the epoch: whole seconds on CZCE.
    pub(crate) time_ms: i64,
    /// When it happened, ms since the epoch.
    pub(crate) happened_ms: i64,
    pub(crate) trading_day: Day,
    pub(crate) phase: Phase,
    pub(crate) volume: i32,
    pub(crate) turnover: f64,
    pub(crate) open_interest: f64,
    pub(crate) last: Option<f64>,
    pub(crate) open: Option<f64>,
    pub(crate) high: Option<f64>,
    pub(crate) low: Option<f64>,
    pub(crate) settlement: Option<f64>,
    pub(crate) limit_up: f64,
    pub(crate) limit_down: f64,
    pub(crate) pre_settlement: f64,
    pub(crate) bids: [Quote; 5],
    pub(crate) asks: [Quote; 5],
}

/// How much of a day a stream shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Density {
    /// Bursts of ticks in a section, one of them at its start and one at its end.
    pub(crate) bursts: i64,
    /// Ticks in a burst.
    pub(crate) ticks: i64,
}

/// A contract's state as its day goes on.
struct Course<'a> {
    product: &'a Product,
    index: usize,
    trading_day: Day,
    /// In ticks of the price.
    last: i64,
    volume: i32,
    turnover: f64,
    open_interest: i64,
    open: Option<f64>,
    high: Option<f64>,
    low: Option<f64>,
    limits: (i64, i64),
    pre_settlement: f64,
    /// Makes snapshots of one second and volume differ, as they do on CZCE.
    size: i32,
    out: Vec<TrueTick>,
}

/// The ticks of one contract over these trading days.
pub(crate) fn course(
    index: usize,
    product: &Product,
    days: &[Day],
    density: Density,
    draw: &mut Draw,
) -> Vec<TrueTick> {
    let mut out = Vec::new();
    let mut price = (product.price / product.tick_size).round() as i64;
    for day in days {
        let spread = (price.abs() / 10).max(20);
        let mut course = Course {
            product,
            index,
            trading_day: *day,
            last: price,
            volume: 0,
            turnover: 0.0,
            open_interest: 10_000 + draw.between(0, 90_000),
            open: None,
            high: None,
            low: None,
            limits: (price - spread, price + spread),
            pre_settlement: rounded(price as f64 * product.tick_size),
            size: 0,
            out: Vec::new(),
        };
        if !product.is_spread {
            course.limits.0 = course.limits.0.max(1);
        }
        for section in sections(product, *day) {
            course.section(&section, density, draw);
        }
        price = course.last;
        out.append(&mut course.out);
    }
    out
}

/// So that three times 0.1 is 0.3, as a front writes it.
fn rounded(price: f64) -> f64 {
    (price * 1e6).round() / 1e6
}

impl Course<'_> {
    fn section(&mut self, section: &Section, density: Density, draw: &mut Draw) {
        if let Some((from, struck)) = section.auction {
            if draw.chance(60) {
                self.tick(from + 30 * SECOND + draw.between(0, 3) * SECOND, Phase::Auction, false, draw);
            }
            let trades = draw.chance(80);
            self.tick(struck + self.fraction(draw), Phase::Auction, trades, draw);
        }
        let span = section.closes - section.opens;
        let burst_ms = density.ticks * 1_200;
        for burst in 0..density.bursts {
            let from = match burst {
                0 => section.opens,
                _ if burst == density.bursts - 1 => section.closes - burst_ms,
                _ => section.opens + span * burst / density.bursts + draw.between(0, 20) * SECOND,
            };
            self.burst(from, density.ticks, section, draw);
        }
        // The last half second of a section belongs to it.
        self.tick(section.closes + self.fraction(draw), self.closing_phase(), draw.chance(80), draw);
        let is_settled = self.product.hours != Hours::Option && !self.product.is_spread;
        if section.is_last && is_settled && draw.chance(70) {
            let at = self.trading_day.plus(15 * HOUR + 27 * MINUTE + draw.between(0, 16 * 60) * SECOND);
            self.tick(at + self.fraction(draw), Phase::PostClose, false, draw);
        }
    }

    fn burst(&mut self, from: i64, ticks: i64, section: &Section, draw: &mut Draw) {
        let mut at = from + self.fraction(draw);
        for _ in 0..ticks {
            if at >= section.closes {
                return;
            }
            let phase = self.phase(at);
            let trades = draw.chance(78) && (phase == Phase::Continuous || !self.product.is_stock_option());
            self.tick(at, phase, trades, draw);
            at += self.gap(draw);
        }
    }

    /// Stock options close by an auction from 14:57.
    fn phase(&self, at: i64) -> Phase {
        let closing = self.trading_day.plus(14 * HOUR + 57 * MINUTE);
        if self.product.is_stock_option() && at >= closing { Phase::Auction } else { Phase::Continuous }
    }

    fn closing_phase(&self) -> Phase {
        self.phase(self.out.last().map_or(0, |tick| tick.happened_ms))
    }

    /// Where in its second an exchange takes snapshots.
    fn fraction(&self, draw: &mut Draw) -> i64 {
        match self.product.exchange {
            Exchange::Czce => 0,
            Exchange::Dce | Exchange::Gfex => draw.between(0, 499),
            Exchange::Cffex => 400,
            Exchange::Sse | Exchange::Szse => 10 * draw.between(0, 49),
            Exchange::Shfe | Exchange::Ine => 0,
        }
    }

    fn gap(&self, draw: &mut Draw) -> i64 {
        let many = match draw.below(10) {
            0 => draw.between(3, 9),
            1 | 2 => 2,
            _ => 1,
        };
        match self.product.exchange {
            Exchange::Czce => 250 * many,
            Exchange::Dce | Exchange::Gfex => 500 * many + draw.between(0, 30),
            _ => 500 * many,
        }
    }

    fn price(&self, ticks: i64) -> f64 {
        rounded(ticks as f64 * self.product.tick_size)
    }

    fn trade(&mut self, draw: &mut Draw) {
        self.last = (self.last + draw.between(-2, 2)).clamp(self.limits.0, self.limits.1);
        if draw.chance(1) {
            self.last = if draw.chance(50) { self.limits.0 } else { self.limits.1 };
        }
        let lots = draw.between(1, 60) as i32;
        self.volume += lots;
        self.open_interest += draw.between(-i64::from(lots), i64::from(lots)).max(1 - self.open_interest);
        let price = self.price(self.last);
        // A spread may trade below zero, and then its turnover goes down.
        self.turnover += price * f64::from(lots) * self.product.multiplier;
        self.open = self.open.or(Some(price));
        self.high = Some(self.high.map_or(price, |high| high.max(price)));
        self.low = Some(self.low.map_or(price, |low| low.min(price)));
    }

    /// The turnover that the exchange gives. CZCE's is a rounded average times the volume, and goes down at times.
    fn turnover_given(&self) -> f64 {
        if self.product.exchange != Exchange::Czce || self.volume == 0 {
            return self.turnover;
        }
        (self.turnover / self.product.multiplier / f64::from(self.volume)).round() * f64::from(self.volume)
    }

    fn tick(&mut self, happened_ms: i64, phase: Phase, trades: bool, draw: &mut Draw) {
        if trades {
            self.trade(draw);
        }
        self.size += 1;
        let time_ms = match self.product.exchange {
            Exchange::Czce => happened_ms - happened_ms.rem_euclid(SECOND),
            _ => happened_ms,
        };
        if self.out.last().is_some_and(|before| before.happened_ms >= happened_ms) {
            return;
        }
        let (bids, asks) = self.book(phase, draw);
        let has_traded = self.open.is_some();
        self.out.push(TrueTick {
            product: self.index,
            time_ms,
            happened_ms,
            trading_day: self.trading_day,
            phase,
            volume: self.volume,
            turnover: self.turnover_given(),
            open_interest: self.open_interest as f64,
            last: has_traded.then(|| self.price(self.last)),
            open: self.open,
            high: self.high,
            low: self.low,
            settlement: (phase == Phase::PostClose).then(|| self.price(self.last)),
            limit_up: self.price(self.limits.1),
            limit_down: self.price(self.limits.0),
            pre_settlement: self.pre_settlement,
            bids,
            asks,
        });
    }

    /// Five levels; at a limit one side is empty, and in an auction the sides may cross.
    fn book(&self, phase: Phase, draw: &mut Draw) -> ([Quote; 5], [Quote; 5]) {
        let (bid, ask) = match phase {
            Phase::Auction if draw.chance(50) => (self.last + 2, self.last - 1),
            _ if self.last == self.limits.1 => (self.last, i64::MAX),
            _ if self.last == self.limits.0 => (i64::MIN, self.last),
            _ if draw.chance(5) => (self.last, self.last),
            _ if draw.chance(50) => (self.last, self.last + 1),
            _ => (self.last - 1, self.last),
        };
        let steady = draw.chance(30) && self.product.exchange != Exchange::Czce;
        let size = if steady { 7 } else { self.size };
        let quote = |ticks: i64, level: i64| {
            let inside = (self.limits.0..=self.limits.1).contains(&ticks);
            inside.then(|| (self.price(ticks), size + level as i32))
        };
        let bids = [0, 1, 2, 3, 4].map(|level| quote(bid.saturating_sub(level), level));
        let asks = [0, 1, 2, 3, 4].map(|level| quote(ask.saturating_add(level), level));
        (bids, asks)
    }
}
