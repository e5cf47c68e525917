//! The thread's loop, turn by turn, with a clock that the test sets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::sync::mpsc::{Receiver, SyncSender};

use mdhub_spec::settings::{Endpoint, Publish};

use super::*;
use crate::clock::worked_us;
use crate::engine::EngineConfig;

/// Greeting and READY of a subscriber.
fn opening() -> Vec<u8> {
    let mut bytes = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL".to_vec();
    bytes.resize(64, 0);
    bytes.extend(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB");
    bytes
}

struct Loop {
    feed: Feed,
    ready: Ready,
    events: Receiver<FeedEvent>,
    _commands: SyncSender<FeedCommand>,
}

impl Loop {
    fn new() -> Self {
        let listen = Endpoint(SocketAddr::from(([127, 0, 0, 1], 0)));
        let publish = Publish { listen, recent_bytes: 1 << 20, ..Publish::default() };
        let (commands, queue) = sync_channel(1);
        let (sender, events) = sync_channel(100);
        let config = FeedConfig { publish, engine: EngineConfig::new(1) };
        let feed = Feed::new(config, queue, Box::new(move |event| sender.try_send(event).is_ok())).expect("starts");
        Self { feed, ready: Ready::new(), events, _commands: commands }
    }

    /// Waits until something is ready.
    fn wait(&mut self) {
        self.ready.all.clear();
        self.feed.wait(Duration::from_secs(10), &mut self.ready).expect("waits");
        assert!(!self.ready.all.is_empty(), "nothing comes");
    }

    /// Rounds until somebody is connected.
    fn until_connected(&mut self) {
        while self.feed.vitals.peers.load(Relaxed) == 0 {
            self.wait();
            self.feed.round(&mut self.ready);
        }
    }

    /// Lets it do all that is due by then, and no report for a while.
    fn settled_at(&mut self, now: Mono) {
        self.feed.now = now;
        self.feed.report_at = now.plus_ms(60_000);
        let turns = (0..1_000).take_while(|_| self.feed.tend() <= now).count();
        assert!(turns < 1_000, "it never rests");
        self.demands();
    }

    fn demands(&self) -> Vec<Vec<String>> {
        let names = |event| match event {
            FeedEvent::Demands(contracts) => Some(contracts.iter().map(|c| c.vt_symbol()).collect()),
            _ => None,
        };
        self.events.try_iter().filter_map(names).collect()
    }
}

/// Level-triggered epoll would tell of it in the next round; but it has been read, so there is nothing to tell.
#[test]
fn a_contract_that_was_read_from_a_peer_whose_time_was_up_is_demanded_before_the_feed_sleeps() {
    let mut one = Loop::new();
    let mut peer = TcpStream::connect(one.feed.server.local_addr()).expect("connects");
    peer.write_all(&opening()).expect("sends");
    one.until_connected();
    let began = one.feed.now;
    one.settled_at(began.plus_ms(10_000));

    peer.write_all(b"\x04\x15\x09SUBSCRIBEag2702.SHFE").expect("sends");
    one.wait();
    one.feed.now = began.plus_ms(40_000);
    let turns = (0..1_000).take_while(|_| one.feed.tend() <= one.feed.now).count();
    assert_eq!(one.demands(), [["ag2702.SHFE"]], "after {turns} turns");
}

#[test]
fn however_many_subscribers_talk_a_few_of_them_have_their_turn_in_a_round() {
    let mut one = Loop::new();
    let address = one.feed.server.local_addr();
    let mut peers: Vec<_> = (0..20).map(|_| TcpStream::connect(address).expect("connects")).collect();
    for peer in &mut peers {
        peer.write_all(&opening()).expect("sends");
    }
    let connected = |one: &Loop| one.feed.vitals.peers.load(Relaxed);
    while connected(&one) < 20 {
        let (reads, before) = (one.feed.vitals.reads.load(Relaxed), connected(&one));
        one.wait();
        one.feed.round(&mut one.ready);
        assert!(one.feed.vitals.reads.load(Relaxed) - reads <= HEARD_A_ROUND as u64);
        assert!(connected(&one) - before <= HEARD_A_ROUND as u64);
    }
}

/// epoll tells of those who are always ready in the same order.
#[test]
fn everybody_is_heard_though_some_never_stop() {
    let mut one = Loop::new();
    let address = one.feed.server.local_addr();
    let mut peers: Vec<_> = (0..20).map(|_| TcpStream::connect(address).expect("connects")).collect();
    for peer in &mut peers {
        // A PONG that nobody asked for: read, and nothing said to it.
        peer.write_all(&[opening(), b"\x04\x05\x04PONG".repeat(8_000)].concat()).expect("sends");
    }
    let idle_ms = |one: &Loop| -> Vec<u64> { one.feed.server.peers().iter().map(|peer| peer.idle_ms).collect() };
    while one.feed.vitals.peers.load(Relaxed) < 20 {
        one.wait();
        one.feed.round(&mut one.ready);
    }
    let later = one.feed.now.plus_ms(1_000_000);
    for _ in 0..20 {
        one.feed.now = later;
        one.wait();
        one.feed.round(&mut one.ready);
    }
    assert_eq!(idle_ms(&one), [0; 20], "some of them were not heard in 20 rounds of {HEARD_A_ROUND}");
}

/// Sixty thousand subscriptions come from twenty peers as fast as they can, and go with them: the longest round.
fn longest_round_us() -> u64 {
    let mut one = Loop::new();
    let address = one.feed.server.local_addr();
    let all = Arc::new(Barrier::new(20));
    let talk = move |peer: u32, all: &Barrier| {
        let mut stream = TcpStream::connect(address).expect("connects");
        let subscribe = |n: u32| [&b"\x04\x12\x09SUBSCRIBE"[..], &peer.to_be_bytes(), &n.to_be_bytes()].concat();
        let bytes =
            [opening(), (0..3_000).flat_map(subscribe).collect(), b"\x04\x0b\x04PING\0\0sync".to_vec()].concat();
        stream.write_all(&bytes).expect("it is heard");
        let mut answer = vec![0; 64 + 27 + 11];
        stream.read_exact(&mut answer).expect("it is answered");
        assert!(answer.ends_with(b"PONGsync"));
        all.wait();
    };
    let peers: Vec<_> = (0..20)
        .map(|peer| {
            let (talk, all) = (talk, Arc::clone(&all));
            std::thread::spawn(move || talk(peer, &all))
        })
        .collect();
    let (mut worst_us, mut most, mut rounds) = (0, 0, 0u64);
    let until = mono().plus_ms(60_000);
    loop {
        let began = worked_us();
        one.feed.tend();
        one.ready.all.clear();
        one.feed.wait(Duration::from_millis(1), &mut one.ready).expect("waits");
        one.feed.now = mono();
        one.feed.round(&mut one.ready);
        worst_us = worst_us.max(worked_us() - began);
        rounds += 1;
        let (subscriptions, connected) =
            (one.feed.vitals.subscriptions.load(Relaxed), one.feed.vitals.peers.load(Relaxed));
        most = most.max(subscriptions);
        if (subscriptions, connected) == (0, 0) && peers.iter().all(std::thread::JoinHandle::is_finished) && most > 0 {
            break;
        }
        assert!(mono() < until, "{subscriptions} subscriptions and {connected} peers are left");
    }
    println!("{rounds} rounds, at most {most} subscriptions; the longest round was {worst_us} us of work");
    assert_eq!(most, 60_000);
    worst_us
}

#[test]
fn no_round_is_much_work_whatever_subscribers_do() {
    /// Some 4 ms are usual without optimisation.
    const WORK_US: u64 = 10_000;
    let rounds_us: Vec<u64> = (0..3).map(|_| longest_round_us()).take_while(|us| *us >= WORK_US).collect();
    assert!(rounds_us.len() < 3, "three times, a round was more than {WORK_US} us of work: {rounds_us:?}");
}

#[test]
fn what_is_demanded_is_told_in_the_same_round() {
    let mut one = Loop::new();
    let mut peer = TcpStream::connect(one.feed.server.local_addr()).expect("connects");
    peer.write_all(&opening()).expect("sends");
    one.until_connected();
    one.settled_at(one.feed.now.plus_ms(10_000));
    peer.write_all(b"\x04\x15\x09SUBSCRIBEag2702.SHFE").expect("sends");
    one.wait();
    one.feed.round(&mut one.ready);
    one.feed.tend();
    assert_eq!(one.demands(), [["ag2702.SHFE"]]);
}
