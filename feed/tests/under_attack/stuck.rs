//! One subscriber that takes nothing, beside seven that keep up, at more ticks than a market has.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use mdhub_spec::frame;
use mdhub_spec::plane::{FeedCommand, PeerStatus, Reply};

use crate::client::Client;
use crate::market::{alone, config_with, live_bytes, mono, snapshot};
use crate::rig::{Rig, eventually, slots};

/// Five seconds at 50,000 a second.
const TICKS: u64 = 250_000;
/// Of the exchange without a break in the morning.
const CONTRACTS: u64 = 20;
/// Ticks in one write to the pipe.
const BATCH: u64 = 100;
/// What may wait for one subscriber.
const BUDGET: usize = 8 * 1024 * 1024;
/// No healthy one is further behind: on a machine that does not let them keep up, the market waits.
const LAG_MAX: u64 = 4_000;

/// Counts messages in a stream of frames without looking into them.
struct Counter {
    stream: TcpStream,
    chunk: Box<[u8]>,
    held: usize,
}

impl Counter {
    fn new(stream: TcpStream) -> Self {
        Self { stream, chunk: vec![0; 256 * 1024].into(), held: 0 }
    }

    /// Reads once; how many messages have ended, and the bytes that were read.
    fn turn(&mut self) -> (u64, u64) {
        let size = self.stream.read(&mut self.chunk[self.held..]).expect("the feed sends in time");
        assert!(size > 0, "a healthy one was cut");
        self.held += size;
        let (mut messages, mut at) = (0, 0);
        while let Some((flags, next)) = self.frame(at) {
            messages += u64::from(flags & 1 == 0);
            at = next;
        }
        self.chunk.copy_within(at..self.held, 0);
        self.held -= at;
        (messages, size as u64)
    }

    /// The flags of the frame at `at`, and where it ends, if it does.
    fn frame(&self, at: usize) -> Option<(u8, usize)> {
        let bytes = &self.chunk[at..self.held];
        let flags = *bytes.first()?;
        let (head, length) = if flags & 2 == 0 {
            (2, usize::from(*bytes.get(1)?))
        } else {
            (9, u64::from_be_bytes(bytes.get(1..9)?.try_into().expect("eight")) as usize)
        };
        (bytes.len() >= head + length).then_some((flags, at + head + length))
    }
}

/// A subscriber to everything that counts until it has all; the bytes that they were.
fn reader(address: SocketAddr, read: Arc<AtomicU64>) -> std::thread::JoinHandle<u64> {
    let mut client = Client::connect(address);
    client.subscribe("");
    let mut counter = Counter::new(client.into_stream());
    std::thread::spawn(move || {
        let mut bytes = 0;
        while read.load(Relaxed) < TICKS {
            let (messages, size) = counter.turn();
            bytes += size;
            read.fetch_add(messages, Relaxed);
        }
        assert_eq!((read.load(Relaxed), counter.held), (TICKS, 0), "more came than was sent");
        bytes
    })
}

fn peers(rig: &Rig) -> Vec<PeerStatus> {
    let (sender, answer) = sync_channel(1);
    rig.feed().send(FeedCommand::Peers(Reply::new(move |found| sender.send(found).expect("waits")))).expect("room");
    answer.recv_timeout(Duration::from_secs(10)).expect("an answer")
}

#[test]
fn a_stuck_subscriber_beside_seven_healthy_ones_is_cut_and_they_lose_nothing() {
    let _alone = alone();
    let mut rig = Rig::start(config_with(|publish| {
        publish.peer_buffer_bytes_max = BUDGET;
        publish.slow_consumer_ms = 1_000;
    }));
    let names: Vec<String> = (0..CONTRACTS).map(|n| format!("IO2612-C-{}", 4_000 + 50 * n)).collect();
    let topics: Vec<String> = names.iter().map(|name| format!("{name}.CFFEX")).collect();
    let routes: Vec<_> = topics.iter().map(|name| (name.as_str(), slots(&[0]))).collect();
    rig.route(&routes);
    let mut front = rig.ctp(0);
    let address = rig.feed().listen_addr();
    let mut stuck = Client::connect(address);
    stuck.subscribe("");
    let read: Vec<Arc<AtomicU64>> = (0..7).map(|_| Arc::default()).collect();
    let readers: Vec<_> = read.iter().map(|read| reader(address, Arc::clone(read))).collect();

    let vitals = Arc::clone(rig.feed().vitals());
    let (began, before) = (mono(), live_bytes());
    let (mut waiting_max, mut bytes_max, mut healthy_dropped) = (0, 0, 0);
    let mut batch = Vec::new();
    for sent in (0..TICKS).step_by(BATCH as usize) {
        batch.clear();
        for n in sent..sent + BATCH {
            frame::put_tick(&mut batch, &snapshot(&names[(n % CONTRACTS) as usize], (n / CONTRACTS) as u32));
        }
        front.write(&batch);
        waiting_max = waiting_max.max(vitals.waiting_bytes.load(Relaxed));
        bytes_max = bytes_max.max(live_bytes().saturating_sub(before));
        if sent % 10_000 == 0 {
            let mut dropped: Vec<u64> = peers(&rig).iter().map(|peer| peer.dropped).collect();
            dropped.sort_unstable();
            // The worst is the one that is stuck, while it is there.
            healthy_dropped += dropped[..7].iter().sum::<u64>();
        }
        while read.iter().any(|r| r.load(Relaxed) + LAG_MAX < sent) {
            assert!(readers.iter().all(|r| !r.is_finished() || sent + LAG_MAX > TICKS), "a reader fell");
            std::thread::yield_now();
        }
    }
    let bytes: Vec<u64> = readers.into_iter().map(|reader| reader.join().expect("it gets every tick")).collect();
    let took_ms = mono().ms_since(began).max(1);
    assert_eq!((rig.published(), healthy_dropped), (TICKS, 0));
    // It counts as slow while ticks are dropped for it.
    let until = mono().plus_ms(20_000);
    for n in TICKS.. {
        if vitals.peers_cut.load(Relaxed) == 1 {
            break;
        }
        assert!(mono() < until, "it is never cut: {vitals:?}");
        front.send(&snapshot(&names[(n % CONTRACTS) as usize], (n / CONTRACTS) as u32));
        let next = mono().plus_ms(2);
        eventually("a tick every other millisecond", || rig.published() > n && mono() >= next);
    }
    stuck.closed();
    let (dropped, delivered) = (vitals.dropped.load(Relaxed), vitals.delivered.load(Relaxed));
    println!(
        "{} ticks a second to seven and one that is stuck: {dropped} dropped for it, at most {waiting_max} bytes waited, {bytes_max} bytes taken",
        TICKS * 1_000 / took_ms
    );
    assert!(bytes.iter().all(|b| *b == bytes[0]), "they did not get the same: {bytes:?}");
    assert!(dropped > 0 && delivered >= 7 * TICKS, "{delivered} {dropped}");
    assert!(waiting_max as usize <= 2 * BUDGET, "{waiting_max} bytes waited");
    assert!(bytes_max <= 4 * BUDGET, "{bytes_max} bytes were taken");
    assert!(peers(&rig).iter().all(|peer| peer.dropped == 0));
}
