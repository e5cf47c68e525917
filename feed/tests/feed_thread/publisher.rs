//! What subscribers get beside ticks: snapshots, what they missed, news, contracts that they ask for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use mdhub_spec::frame;
use mdhub_spec::plane::{FeedCommand, FeedEvent, PeerStatus, RecentQuery, RecentTicks, Reply};
use mdhub_spec::settings::{Publish, Sha256, Token};
use rmpv::Value;

use crate::client::{Client, command};
use crate::rig::{Rig, config, eventually, record, slots};

/// SHA-256 of `open sesame`, by another program.
const SESAME: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

fn decoded(payload: &[u8]) -> Value {
    let mut rest = payload;
    let value = rmpv::decode::read_value(&mut rest).expect("MessagePack");
    assert!(rest.is_empty(), "{} bytes behind the payload", rest.len());
    value
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str()
}

fn recent(
    rig: &Rig,
    vt_symbol: &str,
    epoch: Option<u64>,
    after_seq: impl Into<Option<u64>>,
    limit: usize,
) -> RecentTicks {
    let (sender, answer) = sync_channel(1);
    let reply = Reply::new(move |found| sender.send(found).expect("the test waits"));
    let after_seq = after_seq.into();
    let query = RecentQuery { vt_symbol: vt_symbol.into(), epoch, after_seq, limit, reply };
    rig.feed().send(FeedCommand::Recent(query)).expect("room");
    answer.recv_timeout(Duration::from_secs(10)).expect("an answer")
}

fn peers(rig: &Rig) -> Vec<PeerStatus> {
    let (sender, answer) = sync_channel(1);
    rig.feed().send(FeedCommand::Peers(Reply::new(move |found| sender.send(found).expect("waits")))).expect("room");
    answer.recv_timeout(Duration::from_secs(10)).expect("an answer")
}

#[test]
fn a_newcomer_gets_the_last_tick_flagged_and_otherwise_as_it_was() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0])), ("rb2701.SHFE", slots(&[0]))]);
    let mut front = rig.ctp(0);
    let mut old = Client::connect(rig.feed().listen_addr());
    old.subscribe("IF");
    front.deliver(&record("IF2612", 1, 1));
    front.deliver(&record("IF2612", 2, 2));
    old.message();
    let live = old.message();
    let mut newcomer = Client::connect(rig.feed().listen_addr());
    newcomer.send(&command("SUBSCRIBE", b""));
    let snapshot = newcomer.message();
    assert_eq!(snapshot[0], live[0]);
    let (live, snapshot) = (decoded(&live[1]), decoded(&snapshot[1]));
    for ((key, was), (also, is)) in live.as_map().expect("a map").iter().zip(snapshot.as_map().expect("a map")) {
        assert_eq!(key, also);
        let expected =
            if key.as_str() == Some("flags") { Value::from(was.as_u64().expect("bits") | 1) } else { was.clone() };
        assert_eq!(*is, expected, "{key}");
    }
    assert_eq!(snapshot["seq"].as_u64(), Some(2));
    front.deliver(&record("IF2612", 3, 3));
    assert_eq!(decoded(&newcomer.message()[1])["seq"].as_u64(), Some(3));
    assert_eq!(rig.published(), 3, "a snapshot is not published");
}

#[test]
fn what_was_missed_is_answered_or_said_to_be_gone() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0])), ("rb2701.SHFE", slots(&[0]))]);
    let mut front = rig.ctp(0);
    let mut client = Client::connect(rig.feed().listen_addr());
    client.subscribe("IF2612.CFFEX");
    let epoch = config().engine.epoch;
    let live: Vec<Vec<u8>> = (1..=3000u32)
        .map(|n| {
            front.deliver(&record("IF2612", n, n.cast_signed()));
            client.message()[1].clone()
        })
        .collect();
    assert_eq!(recent(&rig, "IF2612.CFFEX", None, 2_990, 100), RecentTicks::Ticks(live[2_990..].to_vec()));
    assert_eq!(recent(&rig, "IF2612.CFFEX", Some(epoch), 2_990, 2), RecentTicks::Ticks(live[2_990..2_992].to_vec()));
    assert_eq!(recent(&rig, "IF2612.CFFEX", Some(epoch), 3_000, 2), RecentTicks::Ticks(vec![]));
    let RecentTicks::Gone { epoch: now, oldest_seq } = recent(&rig, "IF2612.CFFEX", Some(epoch), 0, 9) else {
        panic!("a mebibyte holds no 3,000 ticks");
    };
    assert_eq!(now, epoch);
    assert!((1_500..2_500).contains(&oldest_seq), "{oldest_seq}");
    let RecentTicks::Ticks(all) = recent(&rig, "IF2612.CFFEX", None, oldest_seq - 1, 10_000) else {
        panic!("they are there")
    };
    assert_eq!(all[..], live[oldest_seq as usize - 1..][..all.len()]);
    assert_eq!(all.len(), 1_000);
    assert_eq!(
        recent(&rig, "IF2612.CFFEX", Some(epoch + 1), 2_990, 9),
        RecentTicks::Gone { epoch, oldest_seq },
        "another epoch's numbers mean nothing"
    );
    assert_eq!(recent(&rig, "IF2612.CFFEX", None, None, 2), RecentTicks::Ticks(live[2_998..].to_vec()), "the newest");
    assert_eq!(
        recent(&rig, "IF2612.CFFEX", Some(epoch + 1), None, 2),
        RecentTicks::Gone { epoch, oldest_seq },
        "whoever names an epoch means it"
    );
    assert_eq!(recent(&rig, "rb2701.SHFE", None, 0, 9), RecentTicks::Unknown);
    assert_eq!(recent(&rig, "nobody.SHFE", None, 0, 9), RecentTicks::Unknown);
}

#[test]
fn a_contract_that_nobody_feeds_is_demanded_and_what_cannot_be_is_said() {
    let mut rig = Rig::start(config());
    rig.route(&[("rb2701.SHFE", slots(&[0]))]);
    let mut client = Client::connect(rig.feed().listen_addr());
    client.subscribe("_hub.contract");
    for name in ["ag2702.SHFE", "rb2701.SHFE", "rb2701.SHEF"] {
        client.send(&command("SUBSCRIBE", name.as_bytes()));
    }
    let expected = FeedEvent::Demands(vec!["ag2702.SHFE".parse().expect("a contract")]);
    while rig.events.recv_timeout(Duration::from_secs(10)).expect("a demand in time") != expected {}
    let mut told: Vec<_> = (0..2).map(|_| decoded(&client.message()[1])).collect();
    told.sort_by_key(|news| text(news, "vt_symbol").map(str::to_owned));
    let said = |n: usize| ["vt_symbol", "state", "nearest"].map(|key| text(&told[n], key));
    assert_eq!(said(0), [Some("ag2702.SHFE"), Some("demanded"), None]);
    assert_eq!(said(1), [Some("rb2701.SHEF"), Some("unknown"), Some("rb2701.SHFE")]);
    assert!(text(&told[1], "why").is_some_and(|why| why.contains("SHEF")));
    assert_eq!(rig.feed().vitals().demands.load(Relaxed), 1);
    assert_eq!(rig.feed().vitals().demands_refused.load(Relaxed), 1);
    // The level is told again, once a second, even when control did what was asked.
    rig.route(&[("rb2701.SHFE", slots(&[0])), ("ag2702.SHFE", slots(&[0]))]);
    while rig.events.try_recv().is_ok() {}
    while rig.events.recv_timeout(Duration::from_secs(10)).expect("a report in time") != expected {}
}

#[test]
fn heartbeats_and_sources_are_told_to_those_who_ask() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let mut everything = Client::connect(rig.feed().listen_addr());
    everything.subscribe("");
    let mut client = Client::connect(rig.feed().listen_addr());
    client.subscribe("_hub.");
    let mut front = rig.ctp(0);
    front.deliver(&record("IF2612", 1, 1));
    drop(front);
    let (mut states, mut beats) = (Vec::new(), Vec::new());
    while beats.len() < 2 || states.len() < 2 {
        let parts = client.message();
        let news = decoded(&parts[1]);
        assert_eq!((news["v"].as_u64(), news["epoch"].as_u64()), (Some(1), Some(config().engine.epoch)));
        assert!(news["egress_ns"].as_u64().is_some_and(|ns| ns > 1_700_000_000_000_000_000));
        match parts[0].as_slice() {
            b"_hub.heartbeat" => beats.push(news),
            b"_hub.source" => states.push([text(&news, "source"), text(&news, "state")].map(|s| s.map(str::to_owned))),
            other => panic!("{other:?}"),
        }
    }
    let states: Vec<_> = states.iter().map(|[source, state]| (source.as_deref(), state.as_deref())).collect();
    assert_eq!(states, [(Some("ctp-0"), Some("attached")), (Some("ctp-0"), Some("ended"))]);
    let last = beats.last().expect("a heartbeat");
    assert_eq!((last["published"].as_u64(), last["peers"].as_u64()), (Some(1), Some(2)));
    assert!(last["sources"].as_array().is_some());
    assert_eq!(everything.until_pong().len(), 1, "the tick and no news");
}

#[test]
fn tokens_are_swapped_while_it_runs_and_peers_are_reported() {
    let rig = Rig::start(config());
    let address = rig.feed().listen_addr();
    let mut anonymous = Client::connect(address);
    anonymous.subscribe("rb");
    let [peer] = &peers(&rig)[..] else { panic!("one peer") };
    assert_eq!((peer.token.as_deref(), peer.subscriptions, peer.waiting_bytes), (None, 1, 0));
    let sha256 = Sha256::try_from(SESAME.to_owned()).expect("a digest");
    let tokens = vec![Token { name: "desk".into(), sha256 }];
    rig.feed().send(FeedCommand::Publish(Arc::new(Publish { tokens, ..config().publish }))).expect("room");
    anonymous.closed();
    let mut desk = Client::connect_by(address, "open sesame");
    desk.sync();
    let [peer] = &peers(&rig)[..] else { panic!("one peer") };
    assert_eq!(peer.token.as_deref(), Some("desk"));
}

#[test]
fn a_batch_of_ticks_costs_three_calls_of_the_system() {
    const BATCHES: u64 = 50;
    const TICKS: u64 = 60;
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let front = rig.ctp(0);
    let mut client = Client::connect(rig.feed().listen_addr());
    client.subscribe("");
    let calls = |rig: &Rig| {
        let vitals = rig.feed().vitals();
        [&vitals.waits, &vitals.reads, &vitals.writes].map(|calls| calls.load(Relaxed)).iter().sum::<u64>()
    };
    let before = calls(&rig);
    for batch in 0..BATCHES {
        let mut bytes = Vec::new();
        for n in 1..=TICKS as u32 {
            let second = batch as u32 * TICKS as u32 + n;
            frame::put_tick(&mut bytes, &record("IF2612", second, second.cast_signed()));
        }
        front.write(&bytes);
        for _ in 0..TICKS {
            client.message();
        }
    }
    let batched = calls(&rig) - before;
    println!(
        "{BATCHES} batches of {TICKS} ticks: {batched} calls, {} a thousand ticks",
        batched * 1_000 / (BATCHES * TICKS)
    );
    // A wait, a read and a write each, and the reports of each second; the bound has slack for batches that came in halves.
    assert!(batched <= BATCHES * 3 * 4, "{batched} calls for {} ticks", BATCHES * TICKS);
    eventually("it rests", || {
        let now = calls(&rig);
        std::thread::yield_now();
        now == calls(&rig)
    });
}
