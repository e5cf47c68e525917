//! The contracts that trade, and when: sections, auctions and nights as MARKET's section 5 gives them.

use mdhub_spec::contract::Exchange::{self, Cffex, Czce, Dce, Gfex, Ine, Shfe, Sse, Szse};

use crate::days::{Day, HOUR, MINUTE};

/// What a contract's numbers look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) symbol: &'static str,
    pub(crate) exchange: Exchange,
    pub(crate) hours: Hours,
    /// Yesterday's settlement.
    pub(crate) price: f64,
    pub(crate) tick_size: f64,
    pub(crate) multiplier: f64,
    /// Whether prices may be zero or negative.
    pub(crate) is_spread: bool,
}

/// When a product trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hours {
    /// Commodities, with a night section that ends so long after 21:00, if it has one.
    Commodity { night_ms: i64 },
    /// Stock-index futures and options.
    Index,
    /// Treasury futures.
    Bond,
    /// SSE and SZSE options.
    Option,
}

const DAY_ONLY: Hours = Hours::Commodity { night_ms: 0 };
const TO_23: Hours = Hours::Commodity { night_ms: 2 * HOUR };
const TO_01: Hours = Hours::Commodity { night_ms: 4 * HOUR };
const TO_0230: Hours = Hours::Commodity { night_ms: 5 * HOUR + 30 * MINUTE };

const fn product(
    symbol: &'static str,
    exchange: Exchange,
    hours: Hours,
    price: f64,
    tick_size: f64,
    multiplier: f64,
    is_spread: bool,
) -> Product {
    Product { symbol, exchange, hours, price, tick_size, multiplier, is_spread }
}

/// Of every exchange and every kind of hours.
pub(crate) const PRODUCTS: [Product; 22] = [
    product("rb2701", Shfe, TO_23, 3_140.0, 1.0, 10.0, false),
    product("ru2701", Shfe, TO_23, 15_200.0, 5.0, 10.0, false),
    product("cu2701C70000", Shfe, TO_01, 1_510.0, 2.0, 5.0, false),
    product("cu2701", Shfe, TO_01, 71_230.0, 10.0, 5.0, false),
    product("au2702", Shfe, TO_0230, 780.02, 0.02, 1_000.0, false),
    product("sc2701", Ine, TO_0230, 520.1, 0.1, 1_000.0, false),
    product("nr2701", Ine, TO_23, 12_100.0, 5.0, 10.0, false),
    product("m2701", Dce, TO_23, 2_890.0, 1.0, 10.0, false),
    product("m2701-C-3000", Dce, TO_23, 61.5, 0.5, 10.0, false),
    product("SP m2701&m2705", Dce, TO_23, 2.0, 1.0, 10.0, true),
    product("jd2701", Dce, DAY_ONLY, 3_655.0, 1.0, 10.0, false),
    product("MA701", Czce, TO_23, 2_410.0, 1.0, 10.0, false),
    product("MA701C2500", Czce, TO_23, 33.5, 0.5, 10.0, false),
    product("SPD MA701&MA705", Czce, TO_23, -3.0, 1.0, 10.0, true),
    product("AP701", Czce, DAY_ONLY, 7_810.0, 1.0, 10.0, false),
    product("IF2703", Cffex, Hours::Index, 4_120.2, 0.2, 300.0, false),
    product("IO2703-C-4000", Cffex, Hours::Index, 155.4, 0.2, 100.0, false),
    product("T2703", Cffex, Hours::Bond, 108.325, 0.005, 10_000.0, false),
    product("si2701", Gfex, DAY_ONLY, 8_905.0, 5.0, 5.0, false),
    product("lc2701", Gfex, DAY_ONLY, 74_500.0, 50.0, 1.0, false),
    product("10009123", Sse, Hours::Option, 0.1234, 0.0001, 10_000.0, false),
    product("90004321", Szse, Hours::Option, 0.0871, 0.0001, 10_000.0, false),
];

impl Product {
    pub(crate) fn vt_symbol(&self) -> String {
        format!("{}.{}", self.symbol, self.exchange.as_str())
    }

    /// Whether its ticks come through SOPT.
    pub(crate) fn is_stock_option(&self) -> bool {
        self.hours == Hours::Option
    }

    /// The calendar day on which the night section of this trading day begins, and how long the section is.
    pub(crate) fn night(&self, trading_day: Day) -> Option<(Day, i64)> {
        match self.hours {
            Hours::Commodity { night_ms } if night_ms > 0 && trading_day.has_night() => {
                Some((trading_day.preceding(), night_ms))
            }
            _ => None,
        }
    }
}

/// A stretch of trading, and the moment of the auction before it, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section {
    /// When the auction begins and when it is struck, ms since the epoch.
    pub(crate) auction: Option<(i64, i64)>,
    /// Ms since the epoch.
    pub(crate) opens: i64,
    pub(crate) closes: i64,
    /// Whether the trading day ends with it.
    pub(crate) is_last: bool,
}

const fn hm(hour: i64, minute: i64) -> i64 {
    hour * HOUR + minute * MINUTE
}

/// The sections of one trading day, in order.
pub(crate) fn sections(product: &Product, trading_day: Day) -> Vec<Section> {
    let at = |of_day| trading_day.plus(of_day);
    let section = |auction: Option<(i64, i64)>, opens, closes, is_last| Section {
        auction: auction.map(|(from, to)| (at(from), at(to))),
        opens: at(opens),
        closes: at(closes),
        is_last,
    };
    let rest =
        |auction, close| vec![section(auction, hm(9, 30), hm(11, 30), false), section(None, hm(13, 0), close, true)];
    match product.hours {
        Hours::Index => rest(Some((hm(9, 25), hm(9, 29))), hm(15, 0)),
        Hours::Bond => rest(Some((hm(9, 25), hm(9, 29))), hm(15, 15)),
        Hours::Option => rest(Some((hm(9, 15), hm(9, 25))), hm(15, 0)),
        Hours::Commodity { .. } => {
            let night = product.night(trading_day).map(|(evening, night_ms)| Section {
                auction: Some((evening.plus(hm(20, 55)), evening.plus(hm(20, 59)))),
                opens: evening.plus(hm(21, 0)),
                closes: evening.plus(hm(21, 0)) + night_ms,
                is_last: false,
            });
            let morning = night.is_none().then_some((hm(8, 55), hm(8, 59)));
            let mut found: Vec<_> = night.into_iter().collect();
            found.push(section(morning, hm(9, 0), hm(10, 15), false));
            found.push(section(None, hm(10, 30), hm(11, 30), false));
            found.push(section(None, hm(13, 30), hm(15, 0), true));
            found
        }
    }
}

#[test]
fn sections_follow_the_rules_of_nights_and_eves() {
    let product = |symbol: &str| PRODUCTS.into_iter().find(|p| p.symbol == symbol).expect("listed");
    let first = |symbol: &str, day: u32| sections(&product(symbol), Day::of(day))[0];
    let friday = Day::of(20_261_120);
    let gold = first("au2702", 20_261_123);
    assert_eq!((gold.opens, gold.closes), (friday.plus(hm(21, 0)), friday.next().plus(hm(2, 30))));
    assert_eq!(gold.auction, Some((friday.plus(hm(20, 55)), friday.plus(hm(20, 59)))));
    let after_a_holiday = Day::of(20_261_008);
    let steel = first("rb2701", 20_261_008);
    assert_eq!(
        (steel.opens, steel.auction.map(|a| a.0)),
        (after_a_holiday.plus(hm(9, 0)), Some(after_a_holiday.plus(hm(8, 55))))
    );
    assert_eq!(sections(&product("T2703"), friday).last().map(|s| s.closes), Some(friday.plus(hm(15, 15))));
    assert_eq!(sections(&product("si2701"), friday).len(), 3);
    assert_eq!(sections(&product("m2701"), friday).len(), 4);
}
