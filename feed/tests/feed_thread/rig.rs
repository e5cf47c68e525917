//! A running feed, and fronts that write into its pipes as workers do.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use mdhub_feed::engine::EngineConfig;
use mdhub_feed::{FeedConfig, FeedHandle};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame;
use mdhub_spec::plane::{FeedCommand, FeedEvent, PipeEnd, Route, RouteTable, SourceMask, SourceSlot, SourceVitals};
use mdhub_spec::process::Incarnation;
use mdhub_spec::raw_tick::{RawTick, field};
use mdhub_spec::settings::{Cleansing, Clock, Endpoint, Publish};

const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for a condition; fails when it does not come in time.
#[expect(clippy::disallowed_methods, reason = "a deadline, so that a failure is a failure and no hang")]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn config() -> FeedConfig {
    FeedConfig {
        publish: Publish {
            listen: Endpoint(SocketAddr::from(([127, 0, 0, 1], 0))),
            recent_bytes: 1 << 20,
            ..Publish::default()
        },
        // The records are of a day that has passed.
        engine: EngineConfig {
            cleansing: Cleansing { clock: Clock::Replay, ..Cleansing::default() },
            ..EngineConfig::new(1_795_000_000_000_000_000)
        },
    }
}

pub(crate) fn slots(indices: &[u8]) -> SourceMask {
    indices.iter().fold(SourceMask::NONE, |mask, i| mask.with(SourceSlot::new(*i).expect("a slot")))
}

/// A valid record of 2026-11-18, `second` seconds after the opening at 09:30. Allocates nothing.
pub(crate) fn record(instrument: &str, second: u32, volume: i32) -> RawTick {
    let of_day = 9 * 3600 + 30 * 60 + second;
    let digits = |n: u32| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
    let [[h1, h2], [m1, m2], [s1, s2]] = [of_day / 3600, of_day / 60 % 60, of_day % 60].map(digits);
    let time = [h1, h2, b':', m1, m2, b':', s1, s2];
    RawTick {
        instrument: field(instrument.as_bytes()),
        trading_day: field(b"20261118"),
        action_day: field(b"20261118"),
        update_time: field(&time),
        volume: volume.into(),
        last_price: 5230.0.into(),
        ..RawTick::default()
    }
}

pub(crate) struct Rig {
    pub(crate) feed: Option<FeedHandle>,
    pub(crate) events: Receiver<FeedEvent>,
    revision: u64,
    processes: u64,
}

impl Rig {
    pub(crate) fn start(config: FeedConfig) -> Self {
        let (sender, events) = sync_channel(1000);
        let feed = mdhub_feed::spawn(config, Box::new(move |event| sender.try_send(event).is_ok()));
        Self { feed: Some(feed.expect("starts")), events, revision: 0, processes: 0 }
    }

    pub(crate) fn feed(&self) -> &FeedHandle {
        self.feed.as_ref().expect("running")
    }

    /// Swaps the routes; what is written to a pipe after this is judged by them.
    pub(crate) fn route(&mut self, routes: &[(&str, SourceMask)]) {
        self.revision += 1;
        let mut routes: Vec<_> = routes
            .iter()
            .map(|(c, sources)| Route {
                contract: c.parse().expect("a contract"),
                sources: *sources,
                primary: sources.first(),
            })
            .collect();
        routes.sort_by(|a, b| a.contract.cmp(&b.contract));
        let table = RouteTable { revision: self.revision, routes };
        self.feed().send(FeedCommand::Routes(Arc::new(table))).expect("room in the queue");
    }

    pub(crate) fn attach(&mut self, slot: u8, account: &str, dialect: Dialect) -> Front {
        self.processes += 1;
        let incarnation = Incarnation { epoch: 1, counter: self.processes };
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).expect("non-blocking");
        let vitals = Arc::new(SourceVitals::default());
        let command = FeedCommand::Attach {
            incarnation,
            account: account.parse().expect("an id"),
            slot: SourceSlot::new(slot).expect("a slot"),
            dialect,
            is_low_precision: false,
            ticks: reader,
            vitals: Arc::clone(&vitals),
        };
        self.feed().send(command).expect("room in the queue");
        Front { incarnation, vitals, writer, sent: 0, frame: Vec::new() }
    }

    pub(crate) fn ctp(&mut self, slot: u8) -> Front {
        self.attach(slot, &format!("ctp-{slot}"), Dialect::Ctp)
    }

    /// Waits until a pipe ends; how it did.
    pub(crate) fn end_of(&self, incarnation: Incarnation) -> PipeEnd {
        loop {
            match self.events.recv_timeout(PATIENCE).expect("an event in time") {
                FeedEvent::PipeEnded { incarnation: ended, end } if ended == incarnation => return end,
                _ => {}
            }
        }
    }

    pub(crate) fn published(&self) -> u64 {
        self.feed().vitals().published.load(Relaxed)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let Some(feed) = self.feed.take() else { return };
        if feed.send(FeedCommand::Shutdown).is_ok() {
            feed.join();
        }
    }
}

/// The writing end of a tick pipe.
pub(crate) struct Front {
    pub(crate) incarnation: Incarnation,
    pub(crate) vitals: Arc<SourceVitals>,
    writer: OwnedFd,
    sent: u64,
    frame: Vec<u8>,
}

impl Front {
    pub(crate) fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let size = rustix::io::write(&self.writer, bytes).expect("the feed reads");
            bytes = &bytes[size..];
        }
    }

    /// Whether the feed has closed its end.
    pub(crate) fn is_cut(&self) -> bool {
        rustix::io::write(&self.writer, b"x") == Err(rustix::io::Errno::PIPE)
    }

    /// Writes a tick.
    pub(crate) fn send(&mut self, raw: &RawTick) {
        self.frame.clear();
        frame::put_tick(&mut self.frame, raw);
        self.write(&self.frame);
        self.sent += 1;
    }

    /// Writes a tick, and waits until the feed has it: whatever is written next, to whichever pipe, comes after it.
    pub(crate) fn deliver(&mut self, raw: &RawTick) {
        self.send(raw);
        eventually("a tick that was written is received", || self.received() == self.sent);
    }

    fn received(&self) -> u64 {
        self.vitals.total(|e| &e.received) + self.vitals.unknown_contract.load(Relaxed)
    }
}
