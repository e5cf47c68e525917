//! Calendar and clock may be wrong, and the ticks flow: flagged, and told.

use std::collections::HashSet;

use mdhub_spec::plane::FeedEvent;

use crate::days::{MINUTE, SECOND};
use crate::hub::Hub;
use crate::market::sections;
use crate::oracle::{CALENDAR_DOUBT, Oracle, judge, messages, stream_faults, tid};
use crate::scenario::{Plan, Scenario, Skew};
use crate::stream::Density;

/// Two sources and more that lose nothing, and a contract of every exchange.
fn plan(seed: u64, days: &'static [u32]) -> Plan {
    let density = Density { bursts: 2, ticks: 60 };
    Plan { days, products: 8, density, is_lossy: false, ..Plan::new(seed, Skew::BelowGap) }
}

/// The time that the hub is given to doubt, after a contract's first section has opened.
const DOUBTS_WITHIN_MS: i64 = 10 * SECOND;

/// Plays it without dirt; what is wrong with the flow, and what the hub told.
fn flow(scenario: &Scenario) -> (Vec<String>, Vec<FeedEvent>) {
    let mut hub = Hub::start(scenario, |config| config);
    let fates = hub.play();
    let published = messages(&fates);
    let mut faults = stream_faults(scenario, &published);
    let found: HashSet<u64> = published.iter().map(|message| message.tid).collect();
    for tick in &scenario.ticks {
        let product = &scenario.products[tick.product];
        let doubts = sections(product, scenario.days[0])[0].opens + DOUBTS_WITHIN_MS;
        if tick.happened_ms > doubts && !found.contains(&tid(tick, &product.vt_symbol())) {
            faults.push(format!("{} is lost: {tick:?}", product.vt_symbol()));
        }
    }
    for message in published {
        if message.flags.is_none_or(|flags| flags & CALENDAR_DOUBT == 0) {
            faults.push(format!("without the flag: {message:?}"));
        }
    }
    (faults, hub.news)
}

fn none(faults: &[String], news: &[FeedEvent]) {
    let shown = &faults[..faults.len().min(5)];
    assert!(faults.is_empty(), "{} faults, the first are {shown:#?}\n{news:#?}", faults.len());
}

#[test]
fn a_clock_that_is_ten_minutes_off_stops_nothing_and_is_told() {
    for off_ms in [-10 * MINUTE, 10 * MINUTE] {
        let mut scenario = Scenario::of(plan(5, &[20_261_119, 20_261_120]));
        for arrival in &mut scenario.arrivals {
            let at_ns = arrival.raw.ingress_real_ns.get().cast_signed() + off_ms * 1_000_000;
            arrival.raw.ingress_real_ns = at_ns.cast_unsigned().into();
        }
        let (faults, news) = flow(&scenario);
        none(&faults, &news);
        assert!(news.contains(&FeedEvent::CalendarDoubt { product: None, is_on: true }), "{news:?}");
    }
}

#[test]
fn a_day_that_the_calendar_takes_for_a_holiday_flows_flagged_and_is_told() {
    let scenario = Scenario::of(plan(7, &[20_261_007]));
    let (faults, news) = flow(&scenario);
    none(&faults, &news);
    let is_told = |event: &FeedEvent| matches!(event, FeedEvent::CalendarDoubt { product: Some(_), is_on: true });
    assert!(news.iter().any(is_told), "{news:?}");
}

#[test]
fn beyond_the_end_of_the_calendar_every_tick_flows_flagged() {
    let scenario = Scenario { is_doubted: true, ..Scenario::of(plan(6, &[20_270_105, 20_270_106])) };
    let fates = Hub::start(&scenario, |config| config).play();
    let (_, objections) = judge(&scenario, &Oracle::follow(&scenario, &fates), &fates);
    none(&objections, &[]);
}

/// What the flow is judged by can fail.
#[test]
fn without_a_doubt_there_is_no_flag() {
    let scenario = Scenario::of(plan(8, &[20_261_119]));
    let (faults, news) = flow(&scenario);
    assert!(faults.len() > 1_000 && faults.iter().all(|fault| fault.starts_with("without the flag")), "{faults:?}");
    let is_doubt = |event: &FeedEvent| matches!(event, FeedEvent::CalendarDoubt { .. });
    assert!(!news.iter().any(is_doubt), "{news:?}");
}
