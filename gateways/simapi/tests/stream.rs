//! The synthetic market has the properties that were measured on the real one, and is the same wherever one looks.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::HashSet;

use mdhub_simapi::flavour::Flavour;
use mdhub_simapi::instrument::Instrument;
use mdhub_simapi::record::Snapshot;
use mdhub_simapi::synthetic::Stream;
use proptest::prelude::*;

/// 2026-09-21 17:00 in Beijing: a trading day's last hour, and the next one's first follow.
const START_MS: i64 = 1_789_981_200_000;
const TWO_HOURS_MS: i64 = 7_200_000;

const FUTURES: [&str; 16] = [
    "rb2701",
    "au2702",
    "sc2701",
    "m2705",
    "i2701",
    "lc2701",
    "MA701",
    "CF701",
    "IF2612",
    "T2612",
    "IM2612",
    "m2705-C-3000",
    "IO2612-C-4000",
    "MA701C2500",
    "SP m2705&m2709",
    "zz2701",
];
const STOCKS: [&str; 4] = ["10009123", "90001234", "510050", "159919"];

fn all() -> impl Iterator<Item = (&'static str, Flavour)> {
    FUTURES.into_iter().map(|c| (c, Flavour::Ctp)).chain(STOCKS.into_iter().map(|c| (c, Flavour::Sopt)))
}

fn stream(code: &str, flavour: Flavour, interval_ms: u32, levels: u8) -> Stream {
    Stream::new(1, code.as_bytes(), flavour, interval_ms, levels).expect("a known code")
}

/// The snapshots of two hours with their true times.
fn two_hours(stream: &mut Stream) -> Vec<(i64, Snapshot)> {
    let slots = stream.slot_at(START_MS)..stream.slot_at(START_MS + TWO_HOURS_MS);
    slots.filter_map(|n| Some((stream.time_ms(n), stream.snapshot(n)?))).collect()
}

fn is_czce(s: &Snapshot) -> bool {
    s.exchange.starts_with(b"CZCE")
}

fn share(of: &[(i64, Snapshot)], holds: impl Fn(&(i64, Snapshot), &(i64, Snapshot)) -> bool) -> f64 {
    of.windows(2).filter(|w| holds(&w[0], &w[1])).count() as f64 / (of.len() - 1) as f64
}

#[test]
fn gaps_quiet_snapshots_and_repetitions_have_the_measured_shares() {
    for (code, flavour) in all() {
        let snapshots = two_hours(&mut stream(code, flavour, 500, 1));
        let gaps = share(&snapshots, |a, b| b.0 - a.0 == 500);
        assert!((0.97..0.99).contains(&gaps), "{code}: {gaps} of the gaps are 500 ms");
        let quiet = share(&snapshots, |a, b| a.1.volume == b.1.volume);
        assert!((0.20..0.25).contains(&quiet), "{code}: {quiet} keep Volume");
        let repeated = share(&snapshots, |(_, a), (_, b)| {
            (a.last, a.volume, a.open_interest, a.levels[0]) == (b.last, b.volume, b.open_interest, b.levels[0])
        });
        // Zhengzhou repeats nothing within a second.
        let expected = if is_czce(&snapshots[0].1) { 0.02..0.035 } else { 0.05..0.065 };
        assert!(expected.contains(&repeated), "{code}: {repeated} repeat all");
    }
}

#[test]
fn no_two_snapshots_of_a_contract_are_alike_in_time_and_content() {
    for (code, flavour) in all() {
        let mut seen = HashSet::new();
        for (_, s) in two_hours(&mut stream(code, flavour, 500, 1)) {
            let bits = [s.last, s.levels[0].bid_price, s.levels[0].ask_price].map(f64::to_bits);
            let sizes = (s.levels[0].bid_volume, s.levels[0].ask_volume);
            assert!(seen.insert((s.action_day, s.update_time, s.update_ms, s.volume, bits, sizes)), "{code}: {s:?}");
        }
    }
}

#[test]
fn cumulative_values_never_fall_within_a_trading_day_and_start_again_in_the_next() {
    for (code, flavour) in all() {
        let snapshots = two_hours(&mut stream(code, flavour, 500, 1));
        let mut days = 1;
        for (a, b) in snapshots.windows(2).map(|w| (&w[0].1, &w[1].1)) {
            if a.trading_day == b.trading_day {
                assert!(a.volume <= b.volume, "{code}: {a:?} {b:?}");
                assert!(is_czce(a) || a.turnover <= b.turnover, "{code}: {a:?} {b:?}");
                assert!(a.high <= b.high && a.low >= b.low && a.open == b.open, "{code}: {a:?} {b:?}");
                let statics =
                    |s: &Snapshot| (s.pre_settlement, s.pre_close, s.pre_open_interest, s.limit_up, s.limit_down);
                assert_eq!(statics(a), statics(b), "{code}");
            } else {
                days += 1;
                assert!(b.volume < a.volume && a.trading_day < b.trading_day, "{code}: {a:?} {b:?}");
            }
        }
        assert_eq!(days, 2, "{code}");
    }
}

#[test]
fn zhengzhous_turnover_can_fall_and_lacks_the_multiplier() {
    let snapshots = two_hours(&mut stream("MA701", Flavour::Ctp, 500, 1));
    assert!(
        snapshots.windows(2).any(|w| w[1].1.turnover < w[0].1.turnover && w[0].1.trading_day == w[1].1.trading_day)
    );
    for (_, s) in snapshots {
        assert_eq!(s.turnover, s.average * f64::from(s.volume));
        assert!(s.average >= s.low && s.average <= s.high, "{s:?}");
        assert_eq!(s.update_ms, 0);
    }
    for (_, s) in two_hours(&mut stream("rb2701", Flavour::Ctp, 500, 1)) {
        let average = s.turnover / f64::from(s.volume) / 10.0;
        assert!(average >= s.low && average <= s.high && (s.average / 10.0 - average).abs() < 1e-6, "{s:?}");
    }
}

#[test]
fn prices_lie_on_the_tick_size_within_the_limits_and_in_their_order() {
    for (code, flavour) in all() {
        let instrument = Instrument::of(code.as_bytes(), flavour).expect("known");
        let (step, scale) = (f64::from(instrument.step), f64::from(instrument.scale));
        let on_tick = |p: f64| (p * scale / step - (p * scale / step).round()).abs() < 1e-6;
        for (_, s) in two_hours(&mut stream(code, flavour, 500, 5)) {
            let daily = [s.last, s.open, s.high, s.low, s.pre_close, s.pre_settlement, s.limit_up, s.limit_down];
            let book = s.levels.iter().flat_map(|l| [l.bid_price, l.ask_price]);
            for price in daily.into_iter().chain(book) {
                assert!(on_tick(price) && price >= s.limit_down && price <= s.limit_up, "{code}: {price} in {s:?}");
            }
            assert!(s.low <= s.last && s.last <= s.high && s.low <= s.open && s.open <= s.high, "{code}: {s:?}");
            assert!(s.levels.iter().all(|l| l.bid_volume > 0 && l.ask_volume > 0 && l.bid_price < l.ask_price));
            let outward =
                |w: &[mdhub_simapi::record::Level]| w[0].bid_price > w[1].bid_price && w[0].ask_price < w[1].ask_price;
            assert!(s.levels.windows(2).all(outward), "{code}: {s:?}");
        }
    }
}

#[test]
fn absent_values_are_the_flavours_own() {
    for (code, flavour, absent) in [("rb2701", Flavour::Ctp, f64::MAX), ("10009123", Flavour::Sopt, 0.0)] {
        let mut stream = stream(code, flavour, 500, 1);
        let (_, s) = two_hours(&mut stream)[0];
        assert_eq!([s.close, s.settlement], [absent; 2]);
        for level in &s.levels[1..] {
            assert_eq!((level.bid_price, level.ask_price, level.bid_volume, level.ask_volume), (absent, absent, 0, 0));
        }
    }
}

#[test]
fn each_exchange_stamps_its_milliseconds_in_its_own_way() {
    let stamps = |code, flavour| -> HashSet<i32> {
        two_hours(&mut stream(code, flavour, 500, 1)).iter().map(|(_, s)| s.update_ms).collect()
    };
    assert_eq!(stamps("rb2701", Flavour::Ctp), HashSet::from([0, 500]));
    assert_eq!(stamps("sc2701", Flavour::Ctp), HashSet::from([0, 500]));
    let cffex = stamps("IF2612", Flavour::Ctp);
    assert!(cffex.len() == 2 && cffex.iter().all(|ms| ms % 100 == 0), "{cffex:?}");
    let dce = stamps("m2705", Flavour::Ctp);
    assert!(dce.len() > 100 && dce.iter().any(|ms| *ms < 100) && dce.iter().all(|ms| *ms < 1_000), "{dce:?}");
}

#[test]
fn times_are_beijings_and_the_trading_day_turns_at_18_00() {
    let snapshots = two_hours(&mut stream("rb2701", Flavour::Ctp, 500, 1));
    let at = |i: usize| {
        let s = &snapshots[i].1;
        [s.trading_day, s.action_day, s.update_time].map(|t| String::from_utf8_lossy(&t[..8]).into_owned())
    };
    assert_eq!(at(0), ["20260921", "20260921", "17:00:00"]);
    let turn = snapshots.iter().position(|(ms, _)| *ms == START_MS + TWO_HOURS_MS / 2).expect("a block's first slot");
    assert_eq!(at(turn), ["20260922", "20260921", "18:00:00"]);
    assert!(snapshots.windows(2).all(|w| w[0].0 < w[1].0));
}

#[test]
fn another_seed_is_another_market() {
    let at = |seed| {
        let mut stream = Stream::new(seed, b"rb2701", Flavour::Ctp, 500, 1).expect("known");
        stream.snapshot(stream.slot_at(START_MS))
    };
    assert_eq!(at(1), at(1));
    assert_ne!(at(1), at(2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_depends_on_its_number_alone(
        which in 0_usize..20,
        interval_ms in prop::sample::select(vec![5_u32, 50, 500, 10_000]),
        visits in prop::collection::vec(0_i64..40_000, 1..12),
    ) {
        let (code, flavour) = all().nth(which).expect("one of twenty");
        let mut wanderer = stream(code, flavour, interval_ms, 5);
        // Around 18:00, so that a trading day's turn lies among them.
        let first = wanderer.slot_at(START_MS + TWO_HOURS_MS / 2) - 20_000;
        for visit in visits {
            let mut newcomer = stream(code, flavour, interval_ms, 5);
            prop_assert_eq!(wanderer.snapshot(first + visit), newcomer.snapshot(first + visit));
        }
        let last = wanderer.slot_at(wanderer.time_ms(first));
        prop_assert_eq!(last, first);
        prop_assert_eq!(wanderer.slot_at(wanderer.time_ms(first) - 1), first - 1);
    }
}
