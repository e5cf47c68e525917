//! Each rule against its own table of examples.

use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::product::Listing;
use mdhub_spec::settings::Cleansing;
use mdhub_spec::tick::Quote;

use super::*;
use crate::cleanse::Thresholds;

/// Of rb2701.SHFE, 2026-11-18 10:00:00.
const TIME_MS: i64 = 1_794_967_200_000;

/// A tick that no rule has anything against.
pub(crate) fn tick() -> Tick {
    Tick {
        exchange_time_ms: TIME_MS,
        trading_day: 20_261_118,
        volume: 1_000,
        turnover: 32_000_000.0,
        open_interest: 5_000.0,
        last_price: 3_200.0,
        open_price: 3_190.0,
        high_price: 3_210.0,
        low_price: 3_180.0,
        limit_up: 3_424.0,
        limit_down: 2_976.0,
        pre_close: 3_199.0,
        pre_settlement: 3_200.0,
        pre_open_interest: 4_900.0,
        settlement: f64::NAN,
        close_price: f64::NAN,
        average_price: 3_200.0,
        bids: std::array::from_fn(|i| Quote { price: 3_199.0 - i as f64, volume: 10 }),
        asks: std::array::from_fn(|i| Quote { price: 3_200.0 + i as f64, volume: 10 }),
        flags: 0,
        ingress_mono_ns: 1,
        ingress_real_ns: 1,
    }
}

fn standing() -> Standing {
    Standing { exchange_time_ms: TIME_MS - 500, volume: 990, turnover: 31_680_000.0, ..Standing::from(&tick()) }
}

fn listing(vt_symbol: &str) -> Listing {
    MarketCalendar::shipped().listing(&vt_symbol.parse().expect("a contract"))
}

/// How an example differs from [`tick`] after [`standing`] in the middle of a section.
struct Example {
    vt_symbol: &'static str,
    tick: Tick,
    last: Option<Standing>,
    phase: Option<Phase>,
    received_ms: Option<i64>,
}

impl Default for Example {
    fn default() -> Self {
        Self {
            vt_symbol: "rb2701.SHFE",
            tick: tick(),
            last: Some(standing()),
            phase: Some(Phase::Open),
            received_ms: Some(TIME_MS + 20),
        }
    }
}

impl Example {
    fn of(vt_symbol: &'static str, tick: Tick) -> Self {
        Self { vt_symbol, tick, ..Self::default() }
    }
}

fn plain(tick: Tick) -> Example {
    Example::of("rb2701.SHFE", tick)
}

/// Holds a rule against its examples: whether it condemns each.
fn check(rule: Rule, examples: impl IntoIterator<Item = (Example, bool)>) {
    let thresholds = Thresholds::from(&Cleansing::default());
    let all = std::iter::once((Example::default(), false)).chain(examples);
    for (number, (example, expected)) in all.enumerate() {
        let (symbol, exchange) = example.vt_symbol.rsplit_once('.').expect("a dot");
        let circumstances = Circumstances {
            tick: &example.tick,
            exchange: exchange.parse().expect("an exchange"),
            listing: &listing(example.vt_symbol),
            phase: example.phase,
            received_ms: example.received_ms,
            last: example.last.as_ref(),
            limits: (example.tick.limit_down, example.tick.limit_up),
            thresholds: &thresholds,
        };
        assert_eq!(condemns(rule, &circumstances), expected, "example {number} of {rule:?}, {symbol}");
    }
}

#[test]
fn no_rule_has_anything_against_the_good_tick() {
    Rule::ALL.into_iter().for_each(|rule| check(rule, []));
}

#[test]
fn trading_day_backwards_examples() {
    let last = |trading_day| Some(Standing { trading_day, ..standing() });
    check(
        Rule::TradingDayBackwards,
        [
            (Example { last: last(20_261_119), ..Example::default() }, true),
            (Example { last: last(20_261_117), ..Example::default() }, false),
            (Example { last: None, ..Example::default() }, false),
            (plain(Tick { trading_day: 0, ..tick() }), false),
            (Example { last: last(20_261_119), phase: None, ..Example::default() }, false),
        ],
    );
}

#[test]
fn out_of_session_examples() {
    let at = |phase, tick| Example { phase: Some(phase), tick, ..Example::default() };
    check(
        Rule::OutOfSession,
        [
            (at(Phase::Closed, tick()), true),
            (at(Phase::Closed, Tick { settlement: 3_200.0, ..tick() }), true),
            (at(Phase::Auction, tick()), false),
            (at(Phase::PostClose, tick()), true),
            (at(Phase::PostClose, Tick { settlement: 0.0, ..tick() }), true),
            (at(Phase::PostClose, Tick { settlement: 3_200.0, ..tick() }), false),
            (at(Phase::PostClose, Tick { close_price: 3_200.0, ..tick() }), false),
            (
                Example {
                    phase: Some(Phase::PostClose),
                    ..Example::of("SP m2705&m2709.DCE", Tick { settlement: 0.0, ..tick() })
                },
                false,
            ),
            (Example { phase: None, ..Example::default() }, false),
        ],
    );
}

#[test]
fn clock_skew_and_replayed_examples() {
    let received = |after_ms| Example { received_ms: Some(TIME_MS + after_ms), ..Example::default() };
    check(
        Rule::ClockSkew,
        [
            (received(-60_000), false),
            (received(-60_001), true),
            (received(600_000), false),
            (received(-18 * 3_600_000), true),
            (Example { received_ms: None, ..Example::default() }, false),
        ],
    );
    check(
        Rule::Replayed,
        [
            (received(120_000), false),
            (received(120_001), true),
            (received(-600_000), false),
            (received(16 * 3_600_000), true),
            (Example { received_ms: None, ..Example::default() }, false),
        ],
    );
}

#[test]
fn volume_backwards_examples() {
    check(
        Rule::VolumeBackwards,
        [
            (plain(Tick { volume: 989, ..tick() }), true),
            (plain(Tick { volume: 990, ..tick() }), false),
            // Not ahead of the last one: that is for arbitration.
            (plain(Tick { volume: 989, exchange_time_ms: TIME_MS - 500, ..tick() }), false),
            (plain(Tick { volume: 1, trading_day: 20_261_119, ..tick() }), false),
            (Example { last: None, ..plain(Tick { volume: 1, ..tick() }) }, false),
        ],
    );
}

#[test]
fn turnover_backwards_examples() {
    let less = || Tick { turnover: 31_679_000.0, ..tick() };
    check(
        Rule::TurnoverBackwards,
        [
            (plain(less()), true),
            (plain(Tick { turnover: f64::NAN, ..tick() }), false),
            (plain(Tick { turnover: 31_679_999.99, ..tick() }), false),
            (Example::of("MA701.CZCE", less()), false),
            (Example::of("SP m2705&m2709.DCE", less()), false),
            (plain(Tick { exchange_time_ms: TIME_MS - 500, ..less() }), false),
        ],
    );
}

#[test]
fn price_not_positive_examples() {
    let bid = |price| Tick { bids: [Quote { price, volume: 3 }; 5], ..tick() };
    check(
        Rule::PriceNotPositive,
        [
            (plain(Tick { last_price: 0.0, ..tick() }), true),
            (plain(Tick { last_price: -3.0, ..tick() }), true),
            (plain(bid(-1.0)), true),
            (plain(Tick { last_price: f64::NAN, bids: [Quote::ABSENT; 5], asks: [Quote::ABSENT; 5], ..tick() }), false),
            (Example::of("SP m2705&m2709.DCE", Tick { last_price: -3.0, ..bid(0.0) }), false),
            (Example::of("sc2701TAS.INE", Tick { last_price: 0.0, ..tick() }), false),
            (Example::of("zz2701.SHFE", Tick { last_price: 0.0, ..tick() }), false),
            (Example::of("10009123.SSE", Tick { last_price: 0.0, ..tick() }), true),
        ],
    );
}

#[test]
fn beyond_limits_examples() {
    check(
        Rule::BeyondLimits,
        [
            (plain(Tick { last_price: 3_425.0, ..tick() }), true),
            (plain(Tick { last_price: 2_975.0, ..tick() }), true),
            (plain(Tick { last_price: 3_424.0, ..tick() }), false),
            (plain(Tick { asks: [Quote { price: 4_000.0, volume: 1 }; 5], ..tick() }), true),
            (plain(Tick { last_price: 3_425.0, limit_up: f64::NAN, ..tick() }), false),
            (plain(Tick { last_price: 3_425.0, limit_up: 0.0, limit_down: 0.0, ..tick() }), false),
        ],
    );
}

#[test]
fn off_tick_size_examples() {
    let last = |last_price| Tick { last_price, bids: [Quote::ABSENT; 5], asks: [Quote::ABSENT; 5], ..tick() };
    check(
        Rule::OffTickSize,
        [
            (plain(last(3_200.5)), true),
            (Example::of("au2702.SHFE", last(920.03)), true),
            (Example::of("au2702.SHFE", last(920.02)), false),
            (Example::of("TS2612.CFFEX", last(102.402)), false),
            (Example::of("IF2612.CFFEX", last(4_600.1)), true),
            (Example::of("lc2701.GFEX", last(92_020.0)), false),
            // Options' steps are others than futures'.
            (Example::of("m2705-C-3000.DCE", last(0.5)), false),
            (Example::of("zz2701.SHFE", last(0.123)), false),
        ],
    );
}

#[test]
fn crossed_book_examples() {
    let book = |bid, ask| Tick {
        bids: [Quote { price: bid, volume: 1 }; 5],
        asks: [Quote { price: ask, volume: 1 }; 5],
        ..tick()
    };
    check(
        Rule::CrossedBook,
        [
            (plain(book(3_201.0, 3_200.0)), true),
            (plain(book(3_200.0, 3_200.0)), false),
            (plain(Tick { flags: flags::AUCTION, ..book(3_201.0, 3_200.0) }), false),
            // One side alone, at a limit.
            (plain(Tick { asks: [Quote::ABSENT; 5], ..book(3_424.0, 0.0) }), false),
            (plain(Tick { bids: [Quote::ABSENT; 5], ..book(0.0, 2_976.0) }), false),
        ],
    );
}

#[test]
fn absurd_examples() {
    let size = |volume| Tick { bids: [Quote { price: 3_199.0, volume }; 5], ..tick() };
    check(
        Rule::Absurd,
        [
            (plain(Tick { volume: -1, ..tick() }), true),
            (plain(Tick { volume: 2_000_000_000, ..tick() }), true),
            (Example::of("510050.SSE", Tick { volume: 2_000_000_000, ..tick() }), false),
            (plain(size(-5)), true),
            (plain(size(500_000_000)), true),
            (Example::of("510050.SSE", size(500_000_000)), false),
            (plain(Tick { open_interest: -1.0, ..tick() }), true),
            (plain(Tick { turnover: -1.0, ..tick() }), true),
            (Example::of("SP m2705&m2709.DCE", Tick { turnover: -1.0, ..tick() }), false),
            (plain(Tick { turnover: 1e15, ..tick() }), true),
            (plain(Tick { last_price: 32_000.0, ..tick() }), true),
            (plain(Tick { last_price: 320.0, ..tick() }), true),
            (plain(Tick { last_price: 6_400.0, ..tick() }), false),
            (plain(Tick { last_price: 32_000.0, pre_settlement: f64::NAN, ..tick() }), false),
            (Example::of("rb2701C3200.SHFE", Tick { last_price: 0.5, ..tick() }), false),
            (plain(Tick { last_price: 9e9, pre_settlement: f64::NAN, ..tick() }), true),
            (Example::of("SP m2705&m2709.DCE", Tick { last_price: -9e9, ..tick() }), true),
        ],
    );
}

#[test]
fn jump_examples() {
    // From 16 to 20: a quarter of the price, and one or two steps.
    let near_zero = |vt_symbol| {
        let last = Some(Standing { last_price: 16.0, ..standing() });
        Example { last, ..Example::of(vt_symbol, Tick { last_price: 20.0, ..tick() }) }
    };
    check(
        Rule::Jump,
        [
            (plain(Tick { last_price: 3_521.0, ..tick() }), true),
            (plain(Tick { last_price: 3_519.0, ..tick() }), false),
            (plain(Tick { last_price: 2_879.0, ..tick() }), true),
            (plain(Tick { last_price: 1.0, trading_day: 20_261_119, ..tick() }), false),
            (Example { last: None, ..plain(Tick { last_price: 1.0, ..tick() }) }, false),
            (near_zero("SPD MA701&MA705.CZCE"), false),
            (near_zero("sc2701TAS.INE"), false),
            (near_zero("rb2701.SHFE"), true),
        ],
    );
}

#[test]
fn what_has_no_time_falls_under_the_rule_that_says_why() {
    for (fault, rule) in [
        (TimeFault::NoTime, Rule::NoTime),
        (TimeFault::TimeOfDay, Rule::BadTime),
        (TimeFault::Millisecond, Rule::BadTime),
        (TimeFault::Date, Rule::BadDate),
    ] {
        assert_eq!(of_fault(fault), rule);
    }
}
