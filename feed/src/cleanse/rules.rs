//! The rules, one function each: whether it condemns the tick.

use mdhub_spec::calendar::Phase;
use mdhub_spec::contract::Exchange;
use mdhub_spec::product::Kind;
use mdhub_spec::settings::Rule;
use mdhub_spec::tick::{Tick, flags};

use super::{Circumstances, Standing};
use crate::normalise::TimeFault;

/// Dearer than anything that is traded.
const PRICE_MAX: f64 = 1e7;
/// More lots, or contracts held, than any future or option has seen in a day.
const LOTS_MAX: i64 = 100_000_000;
/// A hundred times the turnover of the largest contract's largest day.
const TURNOVER_MAX: f64 = 1e14;
/// No future moves by this factor in a day, or is allowed to be quoted so.
const FACTOR_MAX: f64 = 3.0;
/// Prices are written in decimals and kept in binary.
const PRICE_SLACK: f64 = 1e-6;
/// Turnover is a sum of floating-point numbers.
const TURNOVER_SLACK: f64 = 1e-9;

/// The rule that rejects what has no exchange time.
#[must_use]
pub const fn of_fault(fault: TimeFault) -> Rule {
    match fault {
        TimeFault::NoTime => Rule::NoTime,
        TimeFault::TimeOfDay | TimeFault::Millisecond => Rule::BadTime,
        TimeFault::Date => Rule::BadDate,
    }
}

/// Whether `rule` condemns a tick that has a contract and a time.
#[must_use]
pub fn condemns(rule: Rule, c: &Circumstances<'_>) -> bool {
    match rule {
        Rule::UnknownContract | Rule::NoTime | Rule::BadTime | Rule::BadDate => false,
        Rule::TradingDayBackwards => trading_day_backwards(c),
        Rule::OutOfSession => out_of_session(c),
        Rule::ClockSkew => clock_skew(c),
        Rule::Replayed => replayed(c),
        Rule::VolumeBackwards => volume_backwards(c),
        Rule::TurnoverBackwards => turnover_backwards(c),
        Rule::PriceNotPositive => price_not_positive(c),
        Rule::BeyondLimits => beyond_limits(c),
        Rule::OffTickSize => off_tick_size(c),
        Rule::CrossedBook => crossed_book(c),
        Rule::Absurd => absurd(c),
        Rule::Jump => jump(c),
        // Arbitration knows what the other sources say.
        Rule::Disagreement => false,
    }
}

/// Of an earlier trading day than the last published tick.
#[must_use]
pub fn trading_day_backwards(c: &Circumstances<'_>) -> bool {
    c.phase.is_some() && c.tick.trading_day != 0 && c.last.is_some_and(|last| c.tick.trading_day < last.trading_day)
}

/// At a time at which the product neither trades nor holds an auction nor settles. Where a clock applies, [`clock_skew`] and
/// [`replayed`] see to it that the receipt is near that time too.
#[must_use]
pub fn out_of_session(c: &Circumstances<'_>) -> bool {
    match c.phase {
        None | Some(Phase::Open | Phase::Auction) => false,
        Some(Phase::PostClose) => !settles(c.tick, c.listing.kind),
        Some(Phase::Closed) => true,
    }
}

/// Whether it says how the day ended. Some fronts write zero for what there is not yet; only a difference may settle there.
#[must_use]
pub fn settles(tick: &Tick, kind: Kind) -> bool {
    let may_be_zero = matches!(kind, Kind::Spread | Kind::Tas);
    [tick.settlement, tick.close_price].into_iter().any(|price| price.abs() > 0.0 || (may_be_zero && price == 0.0))
}

/// Ahead of its receipt: the closing snapshot of today under tomorrow's date, or a wrong clock.
#[must_use]
pub fn clock_skew(c: &Circumstances<'_>) -> bool {
    let ahead_ms = |received_ms: i64| c.tick.exchange_time_ms.saturating_sub(received_ms);
    c.received_ms.is_some_and(|received_ms| ahead_ms(received_ms) > c.thresholds.ahead_ms_max)
}

/// Far behind its receipt. Between two sections lie more than [`behind_ms_max`](super::Thresholds::behind_ms_max), so this
/// is also every tick of an earlier section.
#[must_use]
pub fn replayed(c: &Circumstances<'_>) -> bool {
    let behind_ms = |received_ms: i64| received_ms.saturating_sub(c.tick.exchange_time_ms);
    c.received_ms.is_some_and(|received_ms| behind_ms(received_ms) > c.thresholds.behind_ms_max)
}

/// The last published tick, where this one is later and of the same day.
fn earlier<'a>(c: &Circumstances<'a>) -> Option<&'a Standing> {
    c.last.filter(|last| last.trading_day == c.tick.trading_day && c.tick.exchange_time_ms > last.exchange_time_ms)
}

/// Later than the last published tick, and of less volume.
#[must_use]
pub fn volume_backwards(c: &Circumstances<'_>) -> bool {
    earlier(c).is_some_and(|last| c.tick.volume < last.volume)
}

/// Later than the last published tick, and of less turnover. CZCE makes its turnover of a rounded average, and what is traded
/// at negative prices takes turnover away.
#[must_use]
pub fn turnover_backwards(c: &Circumstances<'_>) -> bool {
    let falls = |last: &Standing| c.tick.turnover < last.turnover - last.turnover.abs() * TURNOVER_SLACK;
    c.exchange != Exchange::Czce && has_positive_prices(c) && earlier(c).is_some_and(falls)
}

fn has_positive_prices(c: &Circumstances<'_>) -> bool {
    !matches!(c.listing.kind, Kind::Spread | Kind::Tas)
}

/// Last price and the first level: those that are there.
fn prices(tick: &Tick) -> impl Iterator<Item = f64> {
    [tick.last_price, tick.bids[0].price, tick.asks[0].price].into_iter().filter(|price| !price.is_nan())
}

/// Zero or less, where the product forbids it: neither for spreads and TAS, nor for products that nobody knows.
#[must_use]
pub fn price_not_positive(c: &Circumstances<'_>) -> bool {
    c.listing.is_known && has_positive_prices(c) && prices(c.tick).any(|price| price <= 0.0)
}

/// Beyond the day's limits, where there are any.
#[must_use]
pub fn beyond_limits(c: &Circumstances<'_>) -> bool {
    let (limit_down, limit_up) = c.limits;
    limit_up > limit_down
        && prices(c.tick).any(|price| price > limit_up + PRICE_SLACK || price < limit_down - PRICE_SLACK)
}

/// Between two steps of the price.
#[must_use]
pub fn off_tick_size(c: &Circumstances<'_>) -> bool {
    let Some(step) = c.listing.price_tick else { return false };
    prices(c.tick).any(|price| {
        let steps = price / step;
        (steps - steps.round()).abs() > 1e-3
    })
}

/// A bid above the ask, outside auctions.
#[must_use]
pub fn crossed_book(c: &Circumstances<'_>) -> bool {
    let Tick { bids: [bid, ..], asks: [ask, ..], .. } = c.tick;
    c.tick.flags & flags::AUCTION == 0 && bid.price > ask.price
}

/// A number that cannot be, by what the contract is.
#[must_use]
pub fn absurd(c: &Circumstances<'_>) -> bool {
    let Tick { volume, turnover, open_interest, .. } = *c.tick;
    // Volumes of funds are in shares, and exceed a billion.
    let lots_max = if c.listing.kind == Kind::Etf { i64::MAX } else { LOTS_MAX };
    let sizes = c.tick.bids.iter().chain(&c.tick.asks).map(|quote| i64::from(quote.volume));
    let reference = if c.listing.kind == Kind::Future && c.listing.is_known { c.tick.pre_settlement } else { f64::NAN };
    !(0..=lots_max).contains(&volume)
        || sizes.into_iter().any(|size| !(0..=lots_max).contains(&size))
        || open_interest < 0.0
        || open_interest > lots_max as f64
        || (has_positive_prices(c) && turnover < 0.0)
        || turnover > TURNOVER_MAX
        || prices(c.tick).any(|price| price.abs() > PRICE_MAX)
        || (reference > 0.0
            && prices(c.tick).any(|price| price > reference * FACTOR_MAX || price < reference / FACTOR_MAX))
}

/// Far from the last published price of the day. Differences are near zero, where a share of the price means nothing.
#[must_use]
pub fn jump(c: &Circumstances<'_>) -> bool {
    let last = c.last.filter(|last| last.trading_day == c.tick.trading_day && last.last_price > 0.0);
    let is_far =
        |last: &Standing| (c.tick.last_price - last.last_price).abs() > last.last_price * c.thresholds.jump_share_max;
    has_positive_prices(c) && last.is_some_and(is_far)
}

#[cfg(test)]
pub(crate) mod tests;
