//! Other rules while ticks flow: they are in force from the next tick on, and nothing else has changed.

use mdhub_feed::engine::EngineConfig;
use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::plane::FeedEvent;
use mdhub_spec::settings::{Calendar, Cleansing, Rule, RuleMode};

use crate::desk::{DOUBTED, Desk, Fate, PUBLISHED, SECOND_MS, at, record};

fn with(rule: Rule, mode: RuleMode) -> Cleansing {
    Cleansing { rules: [(rule, mode)].into(), ..Cleansing::default() }
}

#[test]
fn a_rule_that_is_switched_off_stops_rejecting_and_the_numbers_go_on() {
    let mut desk = Desk::live(1);
    let crossed = |time_ms, volume| {
        let mut raw = record("rb2701", time_ms, volume);
        raw.levels[0].bid_price = 3_210.0.into();
        raw
    };
    assert_eq!(desk.news(0, at(10, 0, 0), 1), PUBLISHED);
    assert_eq!(desk.receive(0, crossed(at(10, 0, 1), 2), at(10, 0, 1)), Fate::Rejected(Rule::CrossedBook));
    desk.set_rules(with(Rule::CrossedBook, RuleMode::Off), MarketCalendar::shipped());
    assert_eq!(desk.receive(0, crossed(at(10, 0, 2), 3), at(10, 0, 2)), PUBLISHED);
    assert_eq!(desk.receive(0, crossed(at(10, 0, 2), 3), at(10, 0, 2)), Fate::Duplicate, "what was published is known");
    desk.set_rules(Cleansing::default(), MarketCalendar::shipped());
    assert_eq!(desk.receive(0, crossed(at(10, 0, 3), 4), at(10, 0, 3)), Fate::Rejected(Rule::CrossedBook));
    assert_eq!(desk.news(0, at(10, 0, 4), 5), PUBLISHED);
}

#[test]
fn another_calendar_rules_from_the_next_tick_on() {
    let mut desk = Desk::live(1);
    assert_eq!(desk.news(0, at(10, 0, 0), 1), PUBLISHED);
    let holiday = Calendar {
        holidays: vec!["2026-11-18".to_owned().try_into().expect("a day")],
        valid_until: Some("2026-12-31".to_owned().try_into().expect("a day")),
        ..Calendar::default()
    };
    desk.set_rules(Cleansing::default(), MarketCalendar::of(&holiday));
    assert_eq!(desk.news(0, at(10, 0, 1), 2), Fate::Rejected(Rule::OutOfSession));
    desk.set_rules(Cleansing::default(), MarketCalendar::shipped());
    assert_eq!(desk.news(0, at(10, 0, 2), 3), PUBLISHED);
}

#[test]
fn what_the_former_calendar_made_doubtful_is_taken_back_and_told() {
    let holiday = Calendar {
        holidays: vec!["2026-11-18".to_owned().try_into().expect("a day")],
        valid_until: Some("2026-12-31".to_owned().try_into().expect("a day")),
        ..Calendar::default()
    };
    let config = EngineConfig { calendar: MarketCalendar::of(&holiday), ..EngineConfig::new(1) };
    let mut desk = Desk::new(config, 2, &["rb2701.SHFE"]);
    let mut last = PUBLISHED;
    for second in 0..60 {
        for source in 0..2 {
            last = desk.news(source, at(10, 0, 0) + second * SECOND_MS, 1 + i32::try_from(second).expect("small"));
        }
        if last == DOUBTED {
            break;
        }
    }
    assert!(matches!(last, DOUBTED | Fate::Duplicate), "every source is believed before the calendar: {last:?}");
    desk.events();
    desk.set_rules(Cleansing::default(), MarketCalendar::shipped());
    let over = |event: &FeedEvent| matches!(event, FeedEvent::CalendarDoubt { product: Some(p), is_on: false } if p == "rb.SHFE");
    assert_eq!(desk.events().iter().filter(|e| over(e)).count(), 1);
    assert_eq!(desk.news(0, at(10, 5, 0), 500), PUBLISHED, "without a flag");
}
