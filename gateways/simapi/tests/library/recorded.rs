//! A generated day, replayed through two lossy fronts of both flavours' libraries, with their journals.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;

use mdhub_simapi::feed::Link;
use mdhub_simapi::world::Front;

use crate::client::{Api, Flavour, Tick, write_world};

const ROWS: usize = 600;

/// Every column with a value of its own in each row, so that a swap of any two would show.
fn day() -> String {
    let mut text = "TradingDay,InstrumentID,ExchangeID,LastPrice,PreSettlementPrice,PreClosePrice,PreOpenInterest,\
        OpenPrice,HighestPrice,LowestPrice,Volume,Turnover,OpenInterest,SettlementPrice,UpperLimitPrice,LowerLimitPrice,\
        UpdateTime,UpdateMillisec,BidPrice1,BidVolume1,AskPrice1,AskVolume1,ActionDay\n"
        .to_owned();
    for i in 0..ROWS {
        let (minute, second, ms) = (i / 120, i / 2 % 60, i % 2 * 500);
        let _ = writeln!(
            text,
            "20260921,IF2610,CFFEX,{i}.01,{i}.02,{i}.03,{i}.04,{i}.05,{i}.06,{i}.07,{i},{i}.08,{i}.09,{i}.10,{i}.11,{i}.12,\
             09:{:02}:{second:02},{ms},{i}.13,{},{i}.14,{},20260922",
            30 + minute,
            i + 1,
            i + 2,
        );
    }
    text
}

/// Whether a tick has the values of row `i`, each in its field.
fn is_row(tick: &Tick, i: usize, absent: f64) {
    let v = &tick.values;
    let n = i32::try_from(i).expect("small");
    let near = |value: f64, hundredths: f64| {
        assert_eq!(value, format!("{i}.{hundredths:02}").parse::<f64>().expect("a number"))
    };
    let values = [
        v.last,
        v.pre_settlement,
        v.pre_close,
        v.pre_open_interest,
        v.open,
        v.high,
        v.low,
        v.turnover,
        v.open_interest,
        v.settlement,
        v.limit_up,
        v.limit_down,
        v.levels[0].bid_price,
        v.levels[0].ask_price,
    ];
    for (hundredths, value) in (1..).zip(values) {
        near(value, f64::from(hundredths));
    }
    assert_eq!((v.volume, v.levels[0].bid_volume, v.levels[0].ask_volume), (n, n + 1, n + 2));
    assert_eq!([v.close, v.average, v.levels[1].bid_price, v.levels[4].ask_price], [absent; 4]);
    let time = format!("09:{:02}:{:02}", 30 + i / 120, i / 2 % 60);
    assert_eq!((&v.update_time[..8], v.update_ms), (time.as_bytes(), n % 2 * 500));
    assert_eq!((tick.instrument.as_slice(), tick.exchange.as_slice()), (&b"IF2610"[..], &b"CFFEX"[..]));
    assert_eq!((tick.trading_day.as_slice(), tick.action_day.as_slice()), (&b"20260921"[..], &b"20260922"[..]));
}

/// A journal's lines: index -> nanoseconds.
fn journal(path: &Path) -> BTreeMap<u64, i64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pair = |line: &str| line.split_once(',').and_then(|(k, ns)| Some((k.parse().ok()?, ns.parse().ok()?)));
    text.lines().map(|line| pair(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
}

#[test]
fn a_recorded_day_comes_through_whole_and_the_journals_tell_of_each_record() {
    for (flavour, absent) in [(Flavour::Ctp, f64::MAX), (Flavour::Sopt, 0.0)] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("day.csv"), day()).expect("written");
        let world = write_world(
            dir.path(),
            &format!(
                r#"{{"seed":{},"market":{{"kind":"replay","files":["day.csv"],"speed":1000.0}},"fronts":{{
                    "tcp://a:1":{{"loss_rate":0.2,"loss_share":0,"journal":"a.journal"}},
                    "tcp://b:1":{{"loss_rate":0.2,"loss_share":1,"journal":"b.journal"}}}}}}"#,
                seed_that_spares_the_last()
            ),
        );
        let mut seen = vec![0; ROWS];
        for name in ["a", "b"] {
            let api = Api::start(flavour, dir.path(), Some(&world), &format!("tcp://{name}:1"));
            api.connect_and_log_in();
            assert_eq!(api.subscribe(&["IF2610"]), 0);
            let path = dir.path().join(format!("{name}.journal"));
            // At the day's end the journal is whole, without a release.
            let noted = until_whole(&path, &api, |tick| {
                let i = usize::try_from(tick.values.volume).expect("a row");
                is_row(tick, i, absent);
                seen[i] += 1;
            });
            assert!(noted.values().zip(noted.values().skip(1)).all(|(a, b)| a <= b));
            assert!(api.release().is_empty());
        }
        assert!(seen.iter().all(|times| (1..=2).contains(times)), "none is lost by both: {seen:?}");
        let lost = seen.iter().filter(|times| **times == 1).count();
        assert!((ROWS * 3 / 10..ROWS / 2).contains(&lost), "{lost}");
    }
}

#[test]
fn release_waits_for_the_thread_so_that_nothing_comes_later_and_the_journal_is_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = write_world(
        dir.path(),
        r#"{"market":{"kind":"synthetic","interval_ms":5},"fronts":{"tcp://a:1":{"journal":"a.journal"}}}"#,
    );
    let api = Api::start(Flavour::Ctp, dir.path(), Some(&world), "tcp://a:1");
    api.connect_and_log_in();
    assert_eq!(api.subscribe(&["m2701", "m2705", "i2701", "lc2701"]), 0);
    let taken: Vec<Tick> = (0..100).map(|_| api.tick()).collect();
    let left = api.release().len();
    assert_eq!(journal(&dir.path().join("a.journal")).len(), taken.len() + left);
}

/// A seed by which neither front loses the last row: it tells the test that the day is over.
fn seed_that_spares_the_last() -> u64 {
    let lost = |seed, share| {
        let front = Front { loss_rate: 0.2, loss_share: share, ..Front::default() };
        Link::new(seed, &front).loses(ROWS as u64 - 1)
    };
    (1..).find(|seed| !lost(*seed, 0) && !lost(*seed, 1)).expect("most seeds")
}

/// Takes ticks, in order, until the journal holds as many; returns it.
fn until_whole(path: &Path, api: &Api, mut take: impl FnMut(&Tick)) -> BTreeMap<u64, i64> {
    let (mut taken, last) = (Vec::new(), ROWS as u64 - 1);
    while taken.last() != Some(&last) {
        let tick = api.tick();
        take(&tick);
        taken.push(u64::try_from(tick.values.volume).expect("a row"));
    }
    assert!(taken.is_sorted());
    for _ in 0..20_000 {
        let noted = journal(path);
        if noted.len() >= taken.len() {
            assert_eq!(noted.keys().copied().collect::<Vec<_>>(), taken);
            return noted;
        }
        thread::yield_now();
    }
    panic!("{} is not whole", path.display());
}
