//! Dirty records: what they look like to a client, that the true ones stay as they were, and that the tape tells which is
//! which.

use std::collections::BTreeMap;

use rustix::time::{ClockId, clock_gettime};

use crate::client::{Api, Event, Flavour, Tick};
use crate::world::{OTHER, World};

/// A dirty record and the true one before it.
type Check = fn(&Tick, &Tick) -> bool;

/// Plays until `enough` ticks came, and releases: each tick with its row of the tape.
fn played(world: &World, api: Api, enough: usize) -> Vec<(Tick, Vec<String>)> {
    let mut ticks: Vec<Tick> = (0..enough).map(|_| api.tick()).collect();
    ticks.extend(api.release().into_iter().filter_map(|event| match event {
        Event::Depth(tick) => Some(*tick),
        _ => None,
    }));
    let tape = world.tape("tape");
    assert_eq!(ticks.len(), tape.len(), "every record handed over is on the tape, and nothing else");
    ticks.into_iter().zip(tape).collect()
}

fn kind(row: &[String]) -> &str {
    &row[2]
}

/// The tape's row as an outsider computes it from the record.
fn row_of(tick: &Tick) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let (v, best) = (&tick.values, &tick.values.levels[0]);
    let texts = [&tick.instrument[..], &tick.trading_day, &tick.action_day, &v.update_time].map(text);
    let numbers = [v.update_ms.to_string(), v.volume.to_string()];
    let prices = [v.turnover, v.open_interest, v.last, best.bid_price].map(|p| format!("{p:e}"));
    let rest = [best.bid_volume.to_string(), format!("{:e}", best.ask_price), best.ask_volume.to_string()];
    [&texts[..], &numbers, &prices, &rest].concat()
}

fn same_but_book(dirty: &Tick, truth: &Tick) -> bool {
    let (d, t) = (&dirty.values, &truth.values);
    (d.update_time, d.update_ms, d.volume, d.last) == (t.update_time, t.update_ms, t.volume, t.last)
}

fn hour(tick: &Tick) -> i32 {
    String::from_utf8_lossy(&tick.values.update_time[..2]).parse().expect("an hour")
}

fn is_absent(tick: &Tick, absent: f64) -> bool {
    let v = &tick.values;
    let book = v.levels.iter().flat_map(|l| [l.bid_price, l.ask_price]);
    let prices = [v.last, v.open, v.high, v.low, v.close, v.settlement, v.pre_close, v.pre_settlement, v.limit_up];
    let sizes = v.levels.iter().all(|l| (l.bid_volume, l.ask_volume) == (0, 0));
    sizes && book.chain(prices).chain([v.limit_down, v.average]).all(|p| p.to_bits() == absent.to_bits())
}

const CASES: [(&str, Check); 20] = [
    (r#""absent_values","value":"dbl_max""#, |d, t| is_absent(d, f64::MAX) && d.values.volume == t.values.volume),
    (r#""absent_values","value":"flt_max""#, |d, _| is_absent(d, f64::from(f32::MAX))),
    (r#""absent_values","value":"nan""#, |d, _| d.values.last.is_nan() && d.values.limit_up.is_nan()),
    (r#""absent_values","value":"infinity""#, |d, _| is_absent(d, f64::INFINITY)),
    (r#""absent_values","value":"zero""#, |d, _| is_absent(d, 0.0)),
    (r#""absent_values","value":"dbl_max","fields":["limits","close"]"#, |d, t| {
        let v = &d.values;
        same_but_book(d, t) && [v.limit_up, v.limit_down, v.close] == [f64::MAX; 3] && v.open == t.values.open
    }),
    (r#""junk_time","form":"empty_time""#, |d, _| d.values.update_time == [0; 9]),
    (r#""junk_time","form":"nines""#, |d, _| &d.values.update_time == b"99:99:99\0"),
    (r#""junk_time","form":"impossible_date""#, |d, _| [&d.trading_day, &d.action_day] == [b"20260230"; 2]),
    (r#""junk_time","form":"empty_date""#, |d, _| d.trading_day.is_empty() && d.action_day.is_empty()),
    (r#""junk_time","form":"empty_action_day""#, |d, t| d.action_day.is_empty() && d.trading_day == t.trading_day),
    (r#""junk_time","form":"stale","hours":5"#, |d, t| {
        hour(d) == (hour(t) - 5).rem_euclid(24) && (d.action_day < t.action_day) == (hour(t) < 5)
    }),
    (r#""backwards_volume","lots":100"#, |d, t| {
        let (d, t) = (&d.values, &t.values);
        d.volume == t.volume - 100 && d.turnover < t.turnover && d.last == t.last
    }),
    (r#""backwards_turnover""#, |d, t| same_but_book(d, t) && d.values.turnover < t.values.turnover * 0.995),
    (r#""jump","percent":-20"#, |d, t| {
        let best = &d.values.levels[0];
        (d.values.last / t.values.last - 0.8).abs() < 0.01 && best.bid_price < t.values.levels[0].bid_price * 0.9
    }),
    (r#""crossed_book""#, |d, t| same_but_book(d, t) && d.values.levels[0].bid_price > d.values.levels[0].ask_price),
    (r#""negative_price""#, |d, t| d.values.last == -t.values.last && d.values.levels[0].ask_price < 0.0),
    (r#""same_second","copies":3"#, |d, t| {
        same_but_book(d, t) && (1..=3).contains(&(d.values.levels[0].bid_volume - t.values.levels[0].bid_volume))
    }),
    (r#""stray_instrument","code":"zz9901""#, |d, t| d.instrument == b"zz9901" && same_but_book(d, t)),
    (r#""disagree","field":"limits","instead":false"#, |d, t| {
        same_but_book(d, t) && d.values.limit_up > t.values.limit_up && d.values.limit_down < t.values.limit_down
    }),
];

#[test]
fn each_kind_of_dirt_comes_behind_its_true_record_and_is_told_from_it_on_the_tape() {
    for (i, (scenario, check)) in CASES.iter().enumerate() {
        let (flavour, code) = if i % 2 == 0 { (Flavour::Ctp, "rb2701") } else { (Flavour::Sopt, "510050") };
        let world = World::new(&format!(r#"[{{"kind":{scenario}}}]"#));
        let api = world.streaming(flavour, &[code]);
        let name = scenario.split('"').nth(1).expect("a kind");
        let (mut truth, mut dirty) = (None, 0);
        for (tick, row) in played(&world, api, 12) {
            assert_eq!(row[3..], row_of(&tick), "{scenario}");
            if kind(&row) == "true" {
                truth = Some((tick, row));
                continue;
            }
            let (truth, true_row) = truth.as_ref().expect("truth comes first");
            assert_eq!((kind(&row), &row[0]), (name, &true_row[0]), "{scenario}");
            assert!(check(&tick, truth), "{scenario}: {tick:?} beside {truth:?}");
            dirty += 1;
        }
        assert!(dirty >= 6, "{scenario}: {dirty}");
    }
}

#[test]
fn what_stands_for_an_absent_price_is_the_flavours_own() {
    for (flavour, code, absent) in [(Flavour::Ctp, "IF2612", f64::MAX), (Flavour::Sopt, "10009123", 0.0)] {
        let world = World::new(r#"[{"kind":"absent_values","instead":true}]"#);
        let api = world.streaming(flavour, &[code]);
        for (tick, row) in played(&world, api, 10) {
            assert!(kind(&row) == "absent_values" && is_absent(&tick, absent), "{tick:?}");
        }
    }
}

/// index -> values, of the true records.
fn truths(tape: &[Vec<String>]) -> BTreeMap<String, Vec<String>> {
    let of_truth = tape.iter().filter(|row| kind(row) == "true");
    of_truth.map(|row| (row[0].clone(), row[3..].to_vec())).collect()
}

#[test]
fn true_records_stay_as_they_are_and_the_journal_tells_of_them_alone() {
    let world =
        World::new(r#"[{"kind":"backwards_volume"},{"kind":"jump","rate":0.3},{"kind":"junk_time","times":3}]"#);
    let other = Api::start(Flavour::Ctp, world.directory(), Some(&world.path()), OTHER);
    other.connect_and_log_in();
    assert_eq!(other.subscribe(&["rb2701", "MA701"]), 0);
    let api = world.streaming(Flavour::Ctp, &["rb2701", "MA701"]);
    let all = played(&world, api, 500);
    other.release();
    let (here, there) = (truths(&world.tape("tape")), truths(&world.tape("other")));
    let shared = here.keys().filter(|index| there.contains_key(*index)).count();
    assert!(shared + 10 > here.len() && here.len() > 100, "{shared} of {}", here.len());
    assert!(here.iter().all(|(index, values)| there.get(index).is_none_or(|same| same == values)));
    let journal: Vec<String> = world.tape("journal").into_iter().map(|row| row[0].clone()).collect();
    let on_tape: Vec<String> =
        all.iter().filter(|(_, row)| kind(row) == "true").map(|(_, row)| row[0].clone()).collect();
    assert_eq!(journal, on_tape);
    let of = |name: &str| all.iter().filter(|(_, row)| kind(row) == name).count();
    assert_eq!((of("junk_time"), of("backwards_volume")), (3, on_tape.len()));
    let rate = of("jump") as f64 / on_tape.len() as f64;
    assert!((0.15..0.45).contains(&rate), "{rate}");
}

#[test]
fn fronts_that_disagree_say_something_else_of_the_same_snapshot() {
    for (field, columns) in [("last", &[11][..]), ("level1", &[12, 14])] {
        let world = World::new(&format!(r#"[{{"kind":"disagree","field":"{field}","ticks":3}}]"#));
        let other = Api::start(Flavour::Ctp, world.directory(), Some(&world.path()), OTHER);
        other.connect_and_log_in();
        assert_eq!(other.subscribe(&["rb2701"]), 0);
        let api = world.streaming(Flavour::Ctp, &["rb2701"]);
        let all = played(&world, api, 60);
        other.release();
        let there = truths(&world.tape("other"));
        let mut compared = 0;
        for (_, row) in &all {
            assert_eq!(kind(row), "disagree", "the truth is left out");
            let Some(truth) = there.get(&row[0]) else { continue };
            let differing: Vec<usize> = (3..row.len()).filter(|i| row[*i] != truth[i - 3]).collect();
            assert_eq!(differing, columns);
            compared += 1;
        }
        assert!(compared > 30 && world.tape("journal").is_empty());
    }
}

#[expect(clippy::disallowed_methods, reason = "to set the market's clock against the machine's")]
fn ms_until(hour: i64) -> i64 {
    let of_day_ms = (clock_gettime(ClockId::Realtime).tv_sec * 1_000 + 8 * 3_600_000) % 86_400_000;
    hour * 3_600_000 - of_day_ms
}

fn market_at(hour: i64) -> &'static str {
    format!(r#""interval_ms":10,"offset_ms":{}"#, ms_until(hour)).leak()
}

#[test]
fn at_night_dalian_dates_by_the_trading_day_and_zhengzhou_by_the_action_day() {
    let scenarios =
        r#"[{"kind":"wrong_action_day","exchanges":["DCE"]},{"kind":"wrong_trading_day","exchanges":["CZCE"]}]"#;
    for (hour, is_night) in [(22, true), (1, true), (10, false)] {
        let world = World::of(market_at(hour), scenarios);
        let api = world.streaming(Flavour::Ctp, &["rb2701", "m2705", "MA701"]);
        let login_day = api.trading_day();
        let all = played(&world, api, 60);
        let days = |code: &[u8]| {
            let (tick, row) = all.iter().find(|(tick, _)| tick.instrument == code).expect("one of each");
            (tick.trading_day.clone(), tick.action_day.clone(), kind(row).to_owned())
        };
        let (trading, action, _) = days(b"rb2701");
        assert_eq!(trading, login_day);
        assert_eq!(trading == action, hour != 22, "{hour}: the day begins at midnight, the trading day at 18:00");
        let kind = |name: &str| if is_night && hour == 22 { name.to_owned() } else { "true".to_owned() };
        assert_eq!(days(b"m2705"), (trading.clone(), trading, kind("wrong_action_day")));
        assert_eq!(days(b"MA701"), (action.clone(), action, kind("wrong_trading_day")));
    }
}

#[test]
fn closing_snapshots_come_again_once_under_the_next_trading_day() {
    for (hour, same_day) in [(16, false), (19, true)] {
        let world = World::of(market_at(hour), r#"[{"kind":"closing_resend"}]"#);
        let api = world.streaming(Flavour::Ctp, &["rb2701", "m2705"]);
        let all = played(&world, api, 60);
        let again: Vec<&Tick> = all.iter().filter(|(_, row)| kind(row) == "closing_resend").map(|(t, _)| t).collect();
        assert_eq!(again.len(), 2, "once for each contract");
        for tick in again {
            let mut of_contract = all.iter().filter(|(t, row)| t.instrument == tick.instrument && kind(row) == "true");
            let truth = &of_contract.next().expect("its snapshot").0;
            let (t, v) = (&truth.values, &tick.values);
            assert_eq!((&v.update_time, v.update_ms, v.settlement), (b"15:00:00\0", 0, t.last));
            assert!(v.volume > t.volume + 50_000 && (tick.trading_day == truth.trading_day) == same_day);
            assert!(tick.trading_day >= truth.trading_day);
        }
    }
}

#[test]
fn a_night_section_comes_again_after_each_subscription() {
    let world = World::of(market_at(23), r#"[{"kind":"night_replay","records":20}]"#);
    let api = world.streaming(Flavour::Ctp, &["rb2701"]);
    let mut ticks: Vec<Tick> = (0..40).map(|_| api.tick()).collect();
    assert_eq!((api.unsubscribe(&["rb2701"]), api.subscribe(&["rb2701"])), (0, 0));
    ticks.extend((0..40).map(|_| api.tick()));
    api.release();
    let tape = world.tape("tape");
    let replayed: Vec<usize> = (0..tape.len()).filter(|i| kind(&tape[*i]) == "night_replay").collect();
    assert_eq!(replayed.len(), 40, "twice");
    for section in replayed.chunks(20) {
        assert_eq!(section[19] - section[0], 19, "in one go, behind a true record");
        let (truth, night) = (&ticks[section[0] - 1], &ticks[section[0]..=section[19]]);
        assert_eq!(
            (&night[0].values.update_time[..5], &night[19].values.update_time[..8]),
            (&b"21:00"[..], &b"21:00:09"[..])
        );
        assert!(night.windows(2).all(|pair| pair[0].values.volume < pair[1].values.volume));
        assert!(night[19].values.volume < truth.values.volume && night[0].trading_day == truth.trading_day);
    }
}

#[test]
fn a_night_that_is_still_ahead_does_not_come_again() {
    let world = World::of(market_at(19), r#"[{"kind":"night_replay","records":20}]"#);
    let api = world.streaming(Flavour::Ctp, &["rb2701"]);
    let ticks: Vec<Tick> = (0..40).map(|_| api.tick()).collect();
    api.release();
    let tape = world.tape("tape");
    let replayed: Vec<usize> = (0..40).filter(|i| kind(&tape[*i]) == "night_replay").collect();
    let truth = &ticks[replayed[0] - 1];
    assert_eq!(replayed.len(), 20);
    for night in replayed.iter().map(|i| &ticks[*i]) {
        assert_eq!(&night.values.update_time[..5], &b"21:00"[..]);
        assert!(night.trading_day < truth.trading_day, "the night before");
    }
}
