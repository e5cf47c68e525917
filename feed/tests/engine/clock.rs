//! Calendar and clock: what is not of this moment is kept from the stream, and what every source says is believed.

use mdhub_feed::engine::EngineConfig;
use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::plane::FeedEvent;
use mdhub_spec::settings::{Calendar, Cleansing, Clock, Rule};
use mdhub_spec::tick::flags;

use crate::desk::{DOUBTED, Desk, Fate, HOUR_MS, PUBLISHED, SECOND_MS, at, record};

#[test]
fn a_tick_is_flagged_by_what_its_product_does_then() {
    for (time_ms, settlement, expected) in [
        (at(9, 0, 0), f64::MAX, PUBLISHED),
        (at(10, 15, 0) + 500, f64::MAX, PUBLISHED),
        (at(10, 17, 0), f64::MAX, Fate::Rejected(Rule::OutOfSession)),
        (at(11, 32, 0), f64::MAX, Fate::Rejected(Rule::OutOfSession)),
        (at(15, 0, 0) + 500, f64::MAX, PUBLISHED),
        (at(15, 30, 48), 3_210.0, Fate::Published(flags::POST_CLOSE)),
        (at(15, 30, 48), f64::MAX, Fate::Rejected(Rule::OutOfSession)),
        (at(18, 31, 0), 3_210.0, Fate::Rejected(Rule::OutOfSession)),
        (at(19, 12, 0), f64::MAX, Fate::Rejected(Rule::OutOfSession)),
        (at(20, 59, 0), f64::MAX, Fate::Published(flags::AUCTION)),
        (at(21, 0, 0), f64::MAX, PUBLISHED),
        (at(23, 2, 0), f64::MAX, Fate::Rejected(Rule::OutOfSession)),
        (at(8, 56, 0), f64::MAX, Fate::Rejected(Rule::OutOfSession)),
        (at(7, 31, 0), f64::MAX, Fate::Rejected(Rule::OutOfSession)),
    ] {
        let mut raw = record("rb2701", time_ms, 5);
        raw.settlement = settlement.into();
        assert_eq!(Desk::live(1).receive(0, raw, time_ms + 20), expected, "{} ms", time_ms - at(0, 0, 0));
    }
}

#[test]
fn a_closing_snapshot_that_comes_again_is_no_news() {
    let mut desk = Desk::live(2);
    assert_eq!(desk.news(0, at(14, 59, 59), 9_000), PUBLISHED);
    let alive_ns = desk.last_good_ns(0);
    // Again in the evening: as it was, and under the next trading day.
    let again = record("rb2701", at(14, 59, 59), 9_000);
    assert_eq!(desk.receive(0, again, at(19, 10, 0)), Fate::Rejected(Rule::Replayed), "nothing newer to show");
    let mut tomorrow = again;
    tomorrow.trading_day = record("rb2701", at(21, 0, 0), 0).trading_day;
    assert_eq!(desk.receive(1, tomorrow, at(20, 50, 0)), Fate::Rejected(Rule::ClockSkew));
    assert_eq!((desk.last_good_ns(0), desk.last_good_ns(1)), (alive_ns, 0), "no sign of life");
    // The night goes on as if nothing had come, and begins its volume anew.
    assert_eq!(desk.news(1, at(21, 0, 0), 10), PUBLISHED);
    assert_eq!(desk.news(0, at(21, 0, 1), 20), PUBLISHED);
    assert!(desk.last_good_ns(1) > alive_ns);
}

#[test]
fn a_hub_that_starts_in_the_evening_shows_the_close_and_is_not_bound_by_it() {
    let mut desk = Desk::live(1);
    assert_eq!(desk.receive(0, record("rb2701", at(14, 59, 58), 8_990), at(19, 10, 0)), Fate::Snapshot);
    assert_eq!(desk.receive(0, record("rb2701", at(14, 59, 59), 9_000), at(19, 10, 0)), Fate::Snapshot);
    assert_eq!(desk.receive(0, record("rb2701", at(14, 59, 58), 8_990), at(19, 11, 0)), Fate::Rejected(Rule::Replayed));
    assert_eq!(desk.news(0, at(20, 59, 0), 3), Fate::Published(flags::AUCTION));
    assert_eq!(desk.news(0, at(21, 0, 0), 5), PUBLISHED);
}

#[test]
fn a_hub_that_starts_in_the_middle_of_a_section_goes_on_from_there() {
    let mut desk = Desk::live(2);
    // What was last known of a quiet contract, at subscribing.
    assert_eq!(desk.receive(0, record("rb2701", at(9, 5, 0), 40), at(10, 0, 0)), Fate::Snapshot);
    assert_eq!(desk.receive(1, record("rb2701", at(9, 59, 59), 50), at(10, 0, 0)), PUBLISHED);
    assert_eq!(desk.news(0, at(10, 0, 0), 50), PUBLISHED);
}

#[test]
fn a_night_that_is_brought_again_in_a_burst_stays_out_whoever_brings_it() {
    for sources in [&[0][..], &[0, 1]] {
        let mut desk = Desk::live(2);
        for i in 0..4_000i64 {
            let time_ms = at(21, 0, 0) - 24 * HOUR_MS + i * 500;
            for source in sources {
                let fate = desk.receive(*source, record("rb2701", time_ms, i as i32), at(8, 57, 0) + i * 5);
                assert!(matches!(fate, Fate::Snapshot | Fate::Rejected(Rule::Replayed)), "{i}: {fate:?}");
            }
        }
        assert_eq!(desk.news(0, at(9, 0, 0), 4_100), PUBLISHED);
        assert_eq!(desk.events(), []);
    }
}

/// Ticks of two sources for two minutes from 09:30, twice a second, and how many of them were lost before the rest came out.
fn lost_at_first(desk: &mut Desk) -> usize {
    let fates: Vec<Fate> = (0..240)
        .map(|i| {
            let time_ms = at(9, 30, 0) + i * 500;
            let fate = desk.news((i % 2) as u8, time_ms, i as i32);
            let _ = desk.receive(((i + 1) % 2) as u8, record("rb2701", time_ms, i as i32), time_ms + 60);
            fate
        })
        .collect();
    let lost = fates.iter().take_while(|fate| **fate != DOUBTED).count();
    assert!(fates[lost..].iter().all(|fate| *fate == DOUBTED), "{:?}", &fates[lost..]);
    lost
}

#[test]
fn a_host_clock_that_is_off_by_ten_minutes_is_doubted_and_ticks_flow_flagged() {
    for clock_error_ms in [-10 * 60 * SECOND_MS, 10 * 60 * SECOND_MS] {
        let mut desk = Desk::live(2);
        desk.clock_error_ms = clock_error_ms;
        let lost = lost_at_first(&mut desk);
        assert!(lost <= 10, "{lost} ticks were lost before the clock was doubted");
        assert_eq!(desk.events(), [FeedEvent::CalendarDoubt { product: None, is_on: true }]);
        // Somebody sets the clock right.
        desk.clock_error_ms = 0;
        for i in 0..100 {
            assert_eq!(desk.news(0, at(9, 40, 0) + i * 500, 1_000 + i as i32), PUBLISHED);
        }
        assert_eq!(desk.events(), [FeedEvent::CalendarDoubt { product: None, is_on: false }]);
    }
}

#[test]
fn a_calendar_that_is_wrong_about_a_day_is_doubted_and_ticks_flow_flagged() {
    let settings = r#"{"holidays": ["2026-11-18"]}"#;
    let settings: Calendar = serde_json::from_str(settings).expect("valid");
    let config = EngineConfig { calendar: MarketCalendar::of(&settings), ..EngineConfig::new(1) };
    let mut desk = Desk::new(config, 2, &["rb2701.SHFE"]);
    let lost = lost_at_first(&mut desk);
    assert!(lost <= 10, "{lost} ticks were lost before the calendar was doubted");
    assert_eq!(desk.events(), [FeedEvent::CalendarDoubt { product: Some("rb.SHFE".into()), is_on: true }]);
    assert_eq!(desk.engine.rule_vitals().doubted(), 480 - 2 * lost as u64);
}

#[test]
fn one_source_whose_ticks_are_of_this_moment_keeps_the_clock_from_being_doubted() {
    let mut desk = Desk::live(2);
    for i in 0..200i64 {
        let time_ms = at(9, 30, 0) + i * 500;
        assert_eq!(desk.news(0, time_ms, i as i32), PUBLISHED);
        let fate = desk.receive(1, record("rb2701", time_ms - 1_200_000, i as i32), time_ms + 30);
        assert_eq!(fate, Fate::Rejected(Rule::Replayed));
    }
    assert_eq!(desk.events(), []);
}

#[test]
fn past_the_calendars_end_every_weekday_trades_and_ticks_flow_flagged() {
    let mut desk = Desk::live(1);
    // 2027-02-08, the Monday after a spring festival that the calendar does not know.
    let time_ms = at(9, 30, 0) + (82 * 24) * HOUR_MS;
    let mut raw = record("rb2701", at(9, 30, 0), 5);
    (raw.trading_day, raw.action_day) =
        (mdhub_spec::raw_tick::field(b"20270208"), mdhub_spec::raw_tick::field(b"20270208"));
    assert_eq!(desk.receive(0, raw, time_ms + 20), DOUBTED);
    let valid_until = jiff::civil::date(2026, 12, 31);
    assert_eq!(desk.events(), [FeedEvent::CalendarEnded { valid_until }]);
}

#[test]
fn no_clock_applies_to_replays_and_no_calendar_to_a_market_that_never_closes() {
    let replay =
        EngineConfig { cleansing: Cleansing { clock: Clock::Replay, ..Cleansing::default() }, ..EngineConfig::new(1) };
    let always_open = EngineConfig { always_open: true, ..EngineConfig::new(1) };
    for (config, at_night) in [(replay, Fate::Rejected(Rule::OutOfSession)), (always_open, PUBLISHED)] {
        let mut desk = Desk::new(config, 1, &["rb2701.SHFE"]);
        let years = 5 * 365 * 24 * HOUR_MS;
        assert_eq!(desk.receive(0, record("rb2701", at(9, 30, 0), 5), at(9, 30, 0) + years), PUBLISHED);
        assert_eq!(desk.receive(0, record("rb2701", at(12, 30, 0), 6), at(9, 30, 0) - years), at_night);
    }
}
