//! The golden vectors of `tid`. They were computed in Python, from the recipe in the module's documentation.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use mdhub_feed::tid::Identity;
use mdhub_spec::tick::{Quote, Tick};
use serde_json::Value;

fn tick(vector: &Value) -> Tick {
    let number = |name: &str| vector[name].as_f64().unwrap_or(f64::NAN);
    let integer = |name: &str| vector[name].as_i64().unwrap_or_else(|| panic!("{name} of {vector}"));
    let level =
        |price: &str, volume: &str| Quote { price: number(price), volume: integer(volume).try_into().expect("lots") };
    let book = |best| [best, Quote::ABSENT, Quote::ABSENT, Quote::ABSENT, Quote::ABSENT];
    Tick {
        exchange_time_ms: integer("exchange_time_ms"),
        trading_day: 20_261_118,
        volume: integer("volume"),
        turnover: 1.0,
        open_interest: number("open_interest"),
        last_price: number("last_price"),
        open_price: 2.0,
        high_price: 3.0,
        low_price: 4.0,
        limit_up: 5.0,
        limit_down: 6.0,
        pre_close: 7.0,
        pre_settlement: 8.0,
        pre_open_interest: 9.0,
        settlement: 10.0,
        close_price: 11.0,
        average_price: 12.0,
        bids: book(level("bid_price_1", "bid_volume_1")),
        asks: book(level("ask_price_1", "ask_volume_1")),
        flags: 0,
        ingress_mono_ns: 13,
        ingress_real_ns: 14,
    }
}

fn vectors() -> Vec<Value> {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("tid_vectors.json")).expect("JSON");
    assert!(vectors.len() >= 12, "only {} vectors", vectors.len());
    vectors
}

#[test]
fn every_golden_vector_is_met() {
    for vector in vectors() {
        let vt_symbol = vector["vt_symbol"].as_str().expect("a vt_symbol");
        let found = Identity::new(vt_symbol).tid(&tick(&vector)).to_string();
        assert_eq!(Some(found.as_str()), vector["tid"].as_str(), "{vector}");
    }
}

#[test]
fn what_differs_between_fronts_does_not_count() {
    let vector = &vectors()[0];
    let mut identity = Identity::new("rb2701.SHFE");
    let first = tick(vector);
    let mut other = Tick {
        turnover: f64::NAN,
        trading_day: 0,
        average_price: 99.0,
        limit_up: f64::NAN,
        settlement: f64::NAN,
        flags: 1,
        ingress_mono_ns: 99,
        ..first.clone()
    };
    other.bids[1] = Quote { price: 1.0, volume: 1 };
    assert_eq!(identity.tid(&other), identity.tid(&first));
    other.asks[0].volume += 1;
    assert_ne!(identity.tid(&other), identity.tid(&first));
}
