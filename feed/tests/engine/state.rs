//! What the rules remember of a contract, and how they forget what was wrong.

use mdhub_feed::engine::{Engine, EngineConfig, Outcome};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::FeedEvent;
use mdhub_spec::raw_tick::RawTick;
use mdhub_spec::settings::Rule;

use crate::desk::{Desk, Fate, HOUR_MS, PUBLISHED, at, record, slot};

#[test]
fn yesterdays_volume_does_not_make_the_night_go_backwards() {
    let mut desk = Desk::live(1);
    assert_eq!(desk.news(0, at(14, 59, 59), 900_000), PUBLISHED);
    assert_eq!(desk.news(0, at(21, 0, 0), 12), PUBLISHED);
    assert_eq!(desk.news(0, at(21, 0, 1), 11), Fate::Rejected(Rule::VolumeBackwards));
    assert_eq!(desk.news(0, at(21, 0, 2), 12), PUBLISHED);
}

#[test]
fn a_tick_of_yesterday_does_not_pass() {
    let mut desk = Desk::live(2);
    assert_eq!(desk.news(0, at(9, 30, 0), 50), PUBLISHED);
    let yesterday = at(9, 30, 1) - 24 * HOUR_MS;
    assert_eq!(
        desk.receive(1, record("rb2701", yesterday, 60), at(9, 30, 1)),
        Fate::Rejected(Rule::TradingDayBackwards)
    );
    assert_eq!(desk.news(1, at(9, 30, 1), 51), PUBLISHED);
}

#[test]
fn a_volume_that_was_wrong_once_does_not_silence_the_contract() {
    let mut desk = Desk::live(1);
    assert_eq!(desk.news(0, at(9, 30, 0), 50), PUBLISHED);
    assert_eq!(desk.news(0, at(9, 30, 1), 50_000), PUBLISHED, "nothing tells that it is wrong");
    let fates: Vec<Fate> = (0..20).map(|i| desk.news(0, at(9, 30, 2 + i), 52 + i as i32)).collect();
    assert_eq!(fates[..7], [Fate::Rejected(Rule::VolumeBackwards); 7]);
    assert_eq!(fates[7..], [PUBLISHED; 13]);
}

#[test]
fn a_rule_that_rejects_much_of_what_every_source_sends_falls_to_shadow() {
    let mut desk = Desk::live(2);
    // The day's reference price is a hundred times too small: every price is absurd.
    let wrong = |time_ms, volume| RawTick { pre_settlement: 32.0.into(), ..record("rb2701", time_ms, volume) };
    let mut fates = Vec::new();
    for i in 0..100i64 {
        let time_ms = at(9, 30, 0) + i * 500;
        fates.push(desk.receive(0, wrong(time_ms, i as i32), time_ms + 20));
        for again in 0..3 {
            desk.receive(1, wrong(time_ms, i as i32), time_ms + 30 + again);
            desk.receive(0, wrong(time_ms, i as i32), time_ms + 30 + again);
        }
    }
    let lost = fates.iter().take_while(|fate| **fate == Fate::Rejected(Rule::Absurd)).count();
    assert!((10..=42).contains(&lost), "{lost} ticks were lost, at two a second");
    assert!(fates[lost..].iter().all(|fate| *fate == PUBLISHED));
    assert_eq!(desk.events(), [FeedEvent::RuleFell { rule: Rule::Absurd, is_fallen: true }]);
}

#[test]
fn the_average_price_is_given_where_the_multiplier_is_known() {
    let average = |engine: &mut Engine, instrument: &str| {
        let (vitals, account) = (std::sync::Arc::default(), "ctp".parse().expect("an id"));
        let dialect = Dialect::Ctp;
        let mut source = mdhub_feed::engine::Source::new(&account, slot(0), dialect, vitals);
        let outcome = engine.admit(&record(instrument, at(9, 30, 0), 5), &mut source, mdhub_spec::time::Now::default());
        let Outcome::Forward(admitted) = outcome else { panic!("{outcome:?}") };
        admitted.tick.average_price
    };
    let contracts = ["rb2701.SHFE", "zz2701.SHFE", "rb2701C3200.SHFE"];
    let mut desk = Desk::new(EngineConfig { always_open: true, ..EngineConfig::new(1) }, 1, &contracts);
    assert_eq!(average(&mut desk.engine, "rb2701"), 3_200.0);
    assert!(average(&mut desk.engine, "zz2701").is_nan());
    assert!(average(&mut desk.engine, "rb2701C3200").is_nan());
}
