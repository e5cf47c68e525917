//! Several sources: who may feed, who wins, and who disagrees.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::engine::EngineConfig;
use mdhub_spec::contract::Exchange;
use mdhub_spec::plane::FeedEvent;
use mdhub_spec::raw_tick::RawTick;
use mdhub_spec::settings::{Arbitration, ArbitrationMode, Rule};
use mdhub_spec::tick::flags;

use crate::desk::{Desk, Fate, HOUR_MS, PUBLISHED, at, mask, record, slot};

#[test]
fn in_mode_primary_only_the_primary_alone_is_published_and_failover_moves_it() {
    let arbitration = Arbitration { mode: ArbitrationMode::PrimaryOnly };
    let contracts = ["rb2701.SHFE"];
    let mut desk = Desk::new(EngineConfig { arbitration, ..EngineConfig::new(1) }, 2, &contracts);
    assert_eq!(desk.news(1, at(9, 30, 0), 5), Fate::Fenced);
    assert_eq!(desk.news(0, at(9, 30, 0), 5), PUBLISHED);
    assert_eq!(desk.news(1, at(9, 30, 1), 6), Fate::Fenced);
    assert!(desk.last_good_ns(1) > 0, "the other one is alive");
    desk.route(&contracts, &[0, 1], Some(1));
    assert_eq!(desk.news(0, at(9, 30, 2), 7), Fate::Fenced);
    assert_eq!(desk.news(1, at(9, 30, 0), 5), Fate::Duplicate, "what the former primary has brought");
    assert_eq!(desk.news(1, at(9, 30, 2), 7), PUBLISHED);
}

#[test]
fn a_fenced_source_shows_that_it_lives_by_good_ticks_alone() {
    let mut desk = Desk::live(2);
    desk.route(&["rb2701.SHFE"], &[0], Some(0));
    let replayed = record("rb2701", at(9, 0, 0), 5);
    assert_eq!(desk.receive(1, replayed, at(10, 0, 0)), Fate::Fenced);
    assert_eq!(desk.receive(1, RawTick { update_time: [0; 9], ..replayed }, at(10, 0, 0)), Fate::Fenced);
    assert_eq!(desk.last_good_ns(1), 0);
    assert_eq!(desk.news(1, at(10, 0, 0), 5), Fate::Fenced);
    assert!(desk.last_good_ns(1) > 0);
    assert_eq!(desk.engine.quarantine().total(), 0, "what is fenced is not judged");
}

#[test]
fn who_has_brought_what_is_told_contract_by_contract_and_begins_anew() {
    let mut desk = Desk::new(EngineConfig::new(1), 3, &["au2702.SHFE", "m2705.DCE", "rb2701.SHFE"]);
    assert_eq!(desk.news(0, at(9, 30, 0), 5), PUBLISHED);
    assert_eq!(desk.news(2, at(9, 30, 0), 5), Fate::Duplicate);
    let rubbish = RawTick { update_time: [0; 9], ..record("m2705", at(9, 30, 0), 5) };
    assert!(matches!(desk.receive(1, rubbish, at(9, 30, 0)), Fate::Rejected(_)));
    let brought = desk.engine.take_brought();
    assert_eq!((brought.revision, brought.sources), (1, vec![mask(&[]), mask(&[]), mask(&[0, 2])]));
    desk.route(&["m2705.DCE", "rb2701.SHFE"], &[1], Some(1));
    assert_eq!(desk.news(0, at(9, 30, 1), 6), Fate::Fenced);
    let brought = desk.engine.take_brought();
    assert_eq!((brought.revision, brought.sources), (2, vec![mask(&[]), mask(&[0])]), "in the table's order");
}

#[test]
fn a_converted_tick_is_flagged_and_dated_by_its_action_day_wherever_it_is_traded() {
    let contracts = ["m2705.DCE", "rb2701.SHFE"];
    let mut desk = Desk::new(EngineConfig::new(1), 2, &contracts);
    desk.converts(1);
    // Tuesday night: TradingDay is left out, ActionDay is Tuesday, as vnpy dates it. DCE itself would say Wednesday.
    let night = at(21, 30, 0) - 24 * HOUR_MS;
    let converted = |code: &str| RawTick { trading_day: [0; 9], ..record(code, night, 5) };
    let published = Fate::Published(flags::LOW_PRECISION);
    assert_eq!(desk.receive(1, converted("m2705"), night + 20), published);
    assert_eq!(desk.receive(1, converted("rb2701"), night + 20), published);
    assert_eq!(desk.news(0, at(9, 30, 0), 6), PUBLISHED, "the vendor's own record");
}

/// With another size at the ask.
fn otherwise(mut raw: RawTick) -> RawTick {
    raw.levels[0].ask_volume = 777.into();
    raw
}

#[test]
fn a_later_copy_that_shows_the_snapshot_otherwise_is_kept_and_both_are_told_of() {
    let mut desk = Desk::live(3);
    let time_ms = at(9, 30, 0);
    let (good, bad) = (record("rb2701", time_ms, 5), otherwise(record("rb2701", time_ms, 5)));
    assert_eq!(desk.receive(0, good, time_ms + 20), PUBLISHED);
    assert_eq!(desk.receive(1, bad, time_ms + 30), Fate::Rejected(Rule::Disagreement));
    let told = |agree: &[u8], outvoted: Option<u8>| FeedEvent::Disagreement {
        contract: "rb2701.SHFE".parse().expect("a contract"),
        agree: mask(agree),
        dissent: mask(&[1]),
        outvoted: outvoted.map(slot),
    };
    assert_eq!(desk.events(), [told(&[0], None)], "of two, neither can be named");
    assert_eq!(desk.receive(2, good, time_ms + 1_500), Fate::Duplicate);
    assert_eq!(desk.events(), [told(&[0, 2], Some(1))]);
    assert_eq!(desk.engine.lag_vitals().outvoted(slot(1)), 1);
    assert_eq!(desk.engine.lag_vitals().outvoted(slot(0)), 0);
    let shfe = desk.vitals(1).exchange(Exchange::Shfe);
    assert_eq!((shfe.disagreed.load(Relaxed), shfe.rejected.load(Relaxed)), (1, 0), "either may be wrong");
}

/// With neither last price nor book.
fn blank(mut raw: RawTick) -> RawTick {
    raw.last_price = f64::MAX.into();
    raw.levels[0].bid_price = f64::MAX.into();
    raw.levels[0].ask_price = f64::MAX.into();
    raw
}

#[test]
fn a_copy_without_prices_contradicts_nobody_and_the_one_with_them_reaches_the_client() {
    let mut desk = Desk::live(3);
    let (first, second) = (at(9, 30, 0), at(9, 30, 1));
    let full = |time_ms| record("rb2701", time_ms, 5);
    assert_eq!(desk.receive(0, blank(full(first)), first + 20), PUBLISHED);
    assert_eq!(desk.receive(1, full(first), first + 80), PUBLISHED);
    assert_eq!(desk.receive(2, otherwise(full(first)), first + 90), Fate::Rejected(Rule::Disagreement));
    assert_eq!(desk.events().len(), 1, "of what is there, and differs");
    assert_eq!(desk.receive(1, full(second), second + 20), PUBLISHED);
    assert_eq!(desk.receive(0, blank(full(second)), second + 80), Fate::Late);
    assert_eq!(desk.events(), []);
    let disagreed = |source| desk.vitals(source).exchange(Exchange::Shfe).disagreed.load(Relaxed);
    assert_eq!([0, 1, 2].map(disagreed), [0, 0, 1]);
}

#[test]
fn on_czce_two_snapshots_of_one_second_are_no_disagreement() {
    let mut desk = Desk::new(EngineConfig::new(1), 2, &["MA701.CZCE"]);
    let time_ms = at(9, 30, 0);
    let (first, second) = (record("MA701", time_ms, 5), otherwise(record("MA701", time_ms, 5)));
    assert_eq!(desk.receive(0, first, time_ms + 20), PUBLISHED);
    assert_eq!(desk.receive(1, second, time_ms + 30), Fate::LateUnique);
    assert_eq!(desk.receive(0, second, time_ms + 300), PUBLISHED, "there its place is known");
    assert_eq!(desk.receive(1, second, time_ms + 310), Fate::Duplicate);
    let counted = |source| desk.vitals(source).exchange(Exchange::Czce).redeemed.load(Relaxed);
    assert_eq!([0, 1].map(counted), [1, 0]);
    assert_eq!(desk.events(), []);
}

#[test]
fn other_limits_than_the_days_are_kept_and_the_last_source_is_never_silenced() {
    let mut desk = Desk::live(2);
    let limited =
        |time_ms, volume, limit_up: f64| RawTick { limit_up: limit_up.into(), ..record("rb2701", time_ms, volume) };
    let t = |i: i64| at(9, 30, 0) + i * 500;
    assert_eq!(desk.receive(0, limited(t(0), 1, 3_424.0), t(0) + 20), PUBLISHED);
    assert_eq!(desk.receive(1, limited(t(1), 2, 3_425.0), t(1) + 20), Fate::Rejected(Rule::Disagreement));
    assert_eq!(desk.receive(0, limited(t(1), 2, 3_424.0), t(1) + 30), PUBLISHED);
    assert_eq!(desk.receive(1, limited(t(2), 3, 3_425.0), t(2) + 20), Fate::Rejected(Rule::Disagreement));
    // Source 0 is gone: nobody contradicts.
    desk.route(&["rb2701.SHFE"], &[1], Some(1));
    assert_eq!(desk.receive(1, limited(t(3), 4, 3_425.0), t(3) + 20), PUBLISHED);
}

#[test]
fn what_a_source_alone_has_brought_is_counted_as_its_save() {
    let mut desk = Desk::live(2);
    for i in 0..100i64 {
        let time_ms = at(9, 30, 0) + i * 500;
        assert_eq!(desk.news(0, time_ms, i as i32), PUBLISHED);
        if i % 10 != 0 {
            assert_eq!(desk.receive(1, record("rb2701", time_ms, i as i32), time_ms + 90), Fate::Duplicate);
        }
    }
    // Of the first 68, which have left the ring.
    assert_eq!(desk.engine.lag_vitals().saves(slot(0)), 7);
    assert_eq!(desk.engine.lag_vitals().saves(slot(1)), 0);
    let histogram = desk.engine.lag_vitals().histogram(slot(1));
    // 70 ms later: below 2^17 us.
    assert_eq!((histogram[17], histogram.iter().sum::<u64>()), (90, 90));
}
