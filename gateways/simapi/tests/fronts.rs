//! Fronts of one market: the same records, each with its own delay and losses.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use mdhub_simapi::feed::{Feed, Link};
use mdhub_simapi::flavour::Flavour;
use mdhub_simapi::record::Snapshot;
use mdhub_simapi::world::{Front, World};

const START_NS: i64 = 1_790_000_000_123_000_000;
const MS_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MS_NS;

fn front(delay_ms: f64, loss_rate: f64, loss_share: u32) -> Front {
    Front { delay_ms, loss_rate, loss_share, ..Front::default() }
}

fn feed(world: &World, front: &Front) -> Feed {
    let mut feed = Feed::open(world, Flavour::Ctp).expect("a market");
    feed.put_behind(Link::new(world.seed, front));
    feed
}

/// What comes until `until_ns`, when each record is taken as soon as it is due: index -> (when, code, values).
fn drain(feed: &mut Feed, until_ns: i64) -> BTreeMap<u64, (i64, Vec<u8>, Snapshot)> {
    let mut came = BTreeMap::new();
    let mut before_ns = i64::MIN;
    while let Some(due_ns) = feed.due_ns().filter(|due| *due <= until_ns) {
        assert!(due_ns >= before_ns, "out of order");
        before_ns = due_ns;
        if let Some(due) = feed.next(due_ns) {
            assert!(came.insert(due.index, (due_ns, due.code.to_vec(), *due.snapshot)).is_none(), "twice");
        }
    }
    came
}

#[test]
fn two_fronts_agree_on_every_record_and_never_lose_the_same_one() {
    let world = World::default();
    let codes: [&[u8]; 4] = [b"rb2701", b"m2705", b"MA701", b"IF2612"];
    let through = |front: &Front| {
        let mut feed = feed(&world, front);
        assert!(codes.iter().all(|code| feed.subscribe(code, START_NS)));
        drain(&mut feed, START_NS + 300 * SECOND_NS)
    };
    let (all, first, second) =
        (through(&front(0.0, 0.0, 0)), through(&front(0.0, 0.1, 0)), through(&front(3.0, 0.1, 1)));
    for (index, (due_ns, code, snapshot)) in &second {
        // The last snapshots of before the subscription may differ: each front sends the last that it had.
        if let Some((straight_ns, straight_code, straight)) = all.get(index) {
            assert_eq!((due_ns - straight_ns, code, snapshot), (3 * MS_NS, straight_code, straight));
        }
    }
    let live = || all.iter().filter(|(_, (due_ns, ..))| *due_ns > START_NS && *due_ns < START_NS + 299 * SECOND_NS);
    let lost = |came: &BTreeMap<u64, _>| live().filter(|(index, _)| !came.contains_key(index)).count();
    for came in [&first, &second] {
        let rate = lost(came) as f64 / live().count() as f64;
        assert!((0.07..0.13).contains(&rate), "{rate}");
    }
    assert!(live().all(|(index, _)| first.contains_key(index) || second.contains_key(index)));
    assert!(live().count() > 4 * 580, "{}", live().count());
}

#[test]
fn a_subscriber_first_gets_the_last_snapshot_and_nothing_after_it_unsubscribes() {
    let mut feed = feed(&World::default(), &front(2.0, 0.3, 0));
    assert!(!feed.subscribe(b"MA2701", START_NS) && !feed.subscribe(b"10009123", START_NS));
    assert_eq!(feed.due_ns(), None);
    assert!(feed.subscribe(b"rb2701", START_NS) && feed.subscribe(b"rb2701", START_NS));
    let snapshot = feed.next(START_NS).expect("the last snapshot");
    assert_eq!(snapshot.code, b"rb2701");
    assert_eq!(feed.next(START_NS), None, "only the last one");
    assert!(feed.due_ns().is_some_and(|due| due > START_NS && due <= START_NS + 500 * MS_NS));
    // Subscribed anew, it begins anew; what was planned for the first subscription is void (or would come twice).
    feed.unsubscribe(b"rb2701");
    assert!(feed.subscribe(b"rb2701", START_NS));
    assert!(!drain(&mut feed, START_NS + 5 * SECOND_NS).is_empty());
    feed.unsubscribe(b"rb2701");
    assert!(drain(&mut feed, START_NS + 6 * SECOND_NS).is_empty());
    assert!(feed.subscribe(b"rb2701", START_NS + 60 * SECOND_NS));
    let again = drain(&mut feed, START_NS + 70 * SECOND_NS);
    assert!((10..=21).contains(&again.len()), "{}", again.len());
}

const HEAD: &str = "TradingDay,InstrumentID,LastPrice,UpdateTime,UpdateMillisec,Volume,ActionDay\n";

/// A morning of `count` records half a second apart with a break of an hour in the middle, `LastPrice` telling the row.
fn morning(instrument: &str, count: usize, phase_ms: usize) -> String {
    let mut text = HEAD.to_owned();
    for i in 0..count {
        let ms = 500 * i + phase_ms;
        let (hour, seconds) = (if i < count / 2 { 9 } else { 10 }, ms / 1_000 % 3_600);
        let (minute, second) = (seconds / 60, seconds % 60);
        let _ =
            writeln!(text, "20260921,{instrument},{i},{hour:02}:{minute:02}:{second:02},{},{i},20260921", ms % 1_000);
    }
    text
}

fn replay(files: &[(&str, String)], rest: &str) -> (tempfile::TempDir, World) {
    let dir = tempfile::tempdir().expect("a directory");
    let names: Vec<String> = files.iter().map(|(name, _)| format!("{:?}", dir.path().join(name))).collect();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let world = format!(r#"{{"market":{{"kind":"replay","files":[{}],{rest}}}}}"#, names.join(","));
    (dir, World::parse(&world).expect("a world"))
}

#[test]
fn a_replay_hands_over_every_record_in_order_at_its_pace() {
    let (_dir, world) = replay(
        &[("a.csv", morning("rb2701", 200, 0)), ("b.csv", morning("m2705", 200, 250))],
        r#""speed":10.0,"gap_ms_max":2000"#,
    );
    let mut feed = feed(&world, &front(100.0, 0.0, 0));
    assert_eq!(feed.due_ns(), None, "it starts at the first subscription");
    assert!(feed.subscribe(b"rb2701", START_NS) && feed.subscribe(b"m2705", START_NS));
    assert!(!feed.subscribe(b"m2709", START_NS), "not in the files");
    let came = drain(&mut feed, i64::MAX);
    assert!(feed.is_over());
    assert_eq!(came.keys().copied().collect::<Vec<_>>(), (0..400).collect::<Vec<_>>());
    for (k, (due_ns, code, snapshot)) in &came {
        let row = i32::try_from(*k).expect("small") / 2;
        assert_eq!((code.as_slice(), snapshot.volume), (if k % 2 == 0 { &b"rb2701"[..] } else { b"m2705" }, row));
        // The hour's break takes the 2,000 ms that it may; the delay is market time too. The rest is 250 ms a record.
        let market_ms = 250 * i64::try_from(*k).expect("small") + if *k < 200 { 0 } else { 1_750 };
        assert_eq!((due_ns - START_NS) / MS_NS, (market_ms + 100) / 10, "record {k}");
    }
}

#[test]
fn two_replays_keep_step_and_skip_what_was_due_before_the_subscription() {
    let start_ms = START_NS / MS_NS;
    let (_dir, world) = replay(
        &[("a.csv", morning("rb2701", 100, 0))],
        &format!(r#""speed":5.0,"start_at_ms":{start_ms},"gap_ms_max":500"#),
    );
    let start_ns = start_ms * MS_NS;
    let early = {
        let mut feed = feed(&world, &front(0.0, 0.0, 0));
        assert!(feed.subscribe(b"rb2701", start_ns - SECOND_NS));
        drain(&mut feed, i64::MAX)
    };
    let late = {
        let mut feed = feed(&world, &front(0.0, 0.0, 0));
        assert!(feed.subscribe(b"rb2701", start_ns + 2 * SECOND_NS));
        // It is behind: all that came due meanwhile is handed over at once, in order, but for what was due before.
        let at_ns = start_ns + 3 * SECOND_NS;
        let at_once: Vec<u64> = std::iter::from_fn(|| feed.next(at_ns).map(|d| d.index)).collect();
        assert_eq!(at_once, (20..=30).collect::<Vec<_>>());
        drain(&mut feed, i64::MAX)
    };
    assert_eq!(early.len(), 100);
    assert_eq!(late.keys().copied().collect::<Vec<_>>(), (31..100).collect::<Vec<_>>());
    assert!(late.iter().all(|(k, due)| early.get(k) == Some(due)));
}

#[test]
fn a_replays_losses_are_disjoint_by_share() {
    let (_dir, world) = replay(&[("a.csv", morning("rb2701", 4_000, 0))], r#""gap_ms_max":500"#);
    let lost = |share| -> HashSet<u64> {
        let mut feed = feed(&world, &front(0.0, 0.1, share));
        assert!(feed.subscribe(b"rb2701", START_NS));
        let came = drain(&mut feed, i64::MAX);
        (0..4_000).filter(|k| !came.contains_key(k)).collect()
    };
    let (first, second) = (lost(0), lost(1));
    assert!(first.is_disjoint(&second));
    assert!([first, second].iter().all(|l| (320..480).contains(&l.len())));
}
