//! The one thread of the feed: epoll over tick pipes, subscribers and an eventfd for commands.
//!
//! A round: wait; obey commands; let every tick pipe that is ready have one bounded turn; flush; then let a few of the
//! subscribers that have something to say. So no source starves another, a batch of ticks costs a subscriber one system
//! call, and ticks wait for no more than a few subscribers, however many talk. Subscribers have an epoll of their own for
//! that: in a common one a tick pipe would stand in line behind all of them.

mod bulletin;
mod demand;
mod pipe;
mod publisher;
mod snapshot;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use mdhub_spec::account::AccountId;
use mdhub_spec::plane::{FeedCommand, FeedEvent, FeedVitals, PipeEnd, SOURCES_MAX};
use mdhub_spec::process::Incarnation;
use mdhub_spec::raw_tick::RawTick;
use mdhub_spec::time::{Mono, Now};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use crate::clock::{mono, real_ns};
use crate::engine::{Engine, Outcome, Source};
use crate::handle::{FeedConfig, FeedHandle};
use crate::latency::LatencyVitals;
use crate::recent::Recent;
use crate::vitals::count;
use crate::zmtp::{Server, ServerConfig};

use bulletin::Bulletin;
use demand::Demands;
use pipe::{Pipe, Turn};

/// Most commands that wait.
const COMMANDS_MAX: usize = 256;
/// Most tick pipes at once: an account's dead process may still be drained while its successor writes.
const PIPES_MAX: usize = 2 * SOURCES_MAX;
/// Most events taken from epoll at once.
const EPOLL_EVENTS: usize = 256;
/// Most subscribers that are written to in a round because they have room again.
const PEERS_A_ROUND: usize = 64;
/// Most of them that are heard in a round.
const HEARD_A_ROUND: usize = 4;
/// At least this often what was published is sent, however much input waits.
const TICKS_A_FLUSH: usize = 64;
/// The thread beats, and reports its pipes, at least this often.
const BEAT_MS: u64 = 1_000;

const WAKE_TOKEN: u64 = 0;
const PIPE_TOKENS: u64 = 1;
const SERVER_TOKEN: u64 = u64::MAX;

/// Where [`FeedEvent`]s go; says whether there was room.
pub type EventSink = Box<dyn FnMut(FeedEvent) -> bool + Send>;

/// Starts the feed on a thread of its own, named `feed`. `events` is called on it, so it must not block.
///
/// # Errors
/// When the address cannot be had, or the system refuses a descriptor or the thread.
pub fn spawn(config: FeedConfig, events: EventSink) -> io::Result<FeedHandle> {
    let (commands, queue) = sync_channel(COMMANDS_MAX);
    let feed = Feed::new(config, queue, events)?;
    let (wake, vitals, latency) = (Arc::clone(&feed.wake), Arc::clone(&feed.vitals), Arc::clone(&feed.latency));
    let (rule_vitals, lag_vitals) = (Arc::clone(feed.engine.rule_vitals()), Arc::clone(feed.engine.lag_vitals()));
    let listen_addr = feed.server.local_addr();
    let thread = std::thread::Builder::new().name("feed".into()).spawn(move || feed.run())?;
    Ok(FeedHandle { commands, wake, vitals, rule_vitals, lag_vitals, latency, listen_addr, thread })
}

/// A tick pipe and whose it is.
struct Attached {
    incarnation: Incarnation,
    account: AccountId,
    pipe: Pipe,
    source: Source,
}

/// What epoll says is ready.
struct Ready {
    all: Vec<epoll::Event>,
    peers: Vec<epoll::Event>,
}

impl Ready {
    fn new() -> Self {
        Self { all: Vec::with_capacity(EPOLL_EVENTS), peers: Vec::with_capacity(PEERS_A_ROUND) }
    }
}

struct Feed {
    engine: Engine,
    /// The hub's start.
    epoch: u64,
    server: Server,
    recent: Recent,
    demands: Demands,
    /// Whether control was last told of any demand.
    demanded: bool,
    bulletin: Bulletin,
    epoll: OwnedFd,
    /// Of the listener and the subscribers.
    peers: Arc<OwnedFd>,
    /// How many have been heard: who is heard first in a round moves on with it.
    heard: usize,
    wake: Arc<OwnedFd>,
    queue: Receiver<FeedCommand>,
    events: EventSink,
    vitals: Arc<FeedVitals>,
    latency: Arc<LatencyVitals>,
    /// Each at an index that it keeps; its token is [`PIPE_TOKENS`] and the index.
    pipes: Vec<Option<Attached>>,
    /// Ticks published since the last flush.
    unflushed: usize,
    now: Mono,
    /// When the next [`FeedEvent::Attached`] is due.
    report_at: Mono,
    is_ending: bool,
}

impl Feed {
    fn new(config: FeedConfig, queue: Receiver<FeedCommand>, events: EventSink) -> io::Result<Self> {
        let vitals = Arc::new(FeedVitals::default());
        let mut server = Server::bind(ServerConfig::from(&config.publish), Arc::clone(&vitals))?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &*wake, EventData::new_u64(WAKE_TOKEN), EventFlags::IN)?;
        let peers = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
        epoll::add(&epoll, &*peers, EventData::new_u64(SERVER_TOKEN), EventFlags::IN)?;
        server.register(Arc::clone(&peers), 0)?;
        server.send_snapshots(snapshot::mark);
        let now = mono();
        vitals.beat_mono_ns.store(now.0, Relaxed);
        Ok(Self {
            epoch: config.engine.epoch,
            recent: Recent::new(config.publish.recent_bytes),
            demands: Demands::new(&config.publish, config.engine.calendar.products.clone(), now),
            demanded: false,
            bulletin: Bulletin::new(&mut server, config.engine.epoch),
            engine: Engine::new(config.engine),
            server,
            epoll,
            peers,
            heard: 0,
            wake,
            queue,
            events,
            vitals,
            latency: Arc::default(),
            pipes: Vec::new(),
            unflushed: 0,
            now,
            report_at: Mono::default(),
            is_ending: false,
        })
    }

    fn run(mut self) {
        let mut ready = Ready::new();
        while !self.is_ending {
            let wait = self.now.until(self.tend());
            if let Err(errno) = self.wait(wait, &mut ready) {
                tracing::error!("the feed cannot wait for its descriptors and ends: {errno}");
                break;
            }
            self.now = mono();
            self.round(&mut ready);
        }
        self.server.close();
    }

    fn wait(&self, at_most: Duration, ready: &mut Ready) -> Result<(), Errno> {
        let at_most = Timespec { tv_sec: at_most.as_secs().cast_signed(), tv_nsec: at_most.subsec_nanos().into() };
        count(&self.vitals.waits);
        match epoll::wait(&self.epoll, spare_capacity(&mut ready.all), Some(&at_most)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Obeys commands, gives what is ready its turn, and sends what came of it.
    fn round(&mut self, ready: &mut Ready) {
        self.vitals.beat_mono_ns.store(self.now.0, Relaxed);
        let reports = self.now >= self.report_at;
        // Nobody wakes it when the handle is dropped: it looks with every report, however busy it is.
        if reports || ready.all.iter().any(|event| event.data.u64() == WAKE_TOKEN) {
            self.obey();
        }
        let mut peers_are_ready = false;
        for event in ready.all.drain(..) {
            match event.data.u64() {
                WAKE_TOKEN => {}
                SERVER_TOKEN => peers_are_ready = true,
                token => self.turn((token - PIPE_TOKENS) as usize),
            }
        }
        self.flush();
        if peers_are_ready {
            self.listen(&mut ready.peers);
        }
        self.news();
        if reports {
            self.report();
        }
    }

    /// Does what is due whether or not anything comes; when it is to be called again.
    fn tend(&mut self) -> Mono {
        let demands_at = self.demands.tend(&self.server, self.now);
        // Nobody waits for the next event to be told.
        self.demands();
        let server_at = self.server.tend(self.now);
        // It reads from those whose time has run out before it judges them.
        let named_at = self.take_named().then_some(self.now);
        [demands_at, server_at, named_at].into_iter().flatten().fold(self.report_at, Mono::min)
    }

    fn flush(&mut self) {
        if self.unflushed > 0 {
            self.unflushed = 0;
            self.server.flush(self.now);
        }
    }

    fn obey(&mut self) {
        // Reading it sets it to nothing; that it was nothing already is no fault.
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        loop {
            match self.queue.try_recv() {
                Ok(command) => self.command(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.is_ending = true,
            }
        }
    }

    fn command(&mut self, command: FeedCommand) {
        match command {
            FeedCommand::Attach { incarnation, account, slot, dialect, is_low_precision, ticks, vitals } => {
                let source = Source::new(&account, slot, dialect, vitals).with_low_precision(is_low_precision);
                self.attach(Attached { incarnation, account, pipe: Pipe::new(ticks), source });
            }
            FeedCommand::Detach { incarnation } => {
                let is_it = |a: &Option<Attached>| a.as_ref().is_some_and(|a| a.incarnation == incarnation);
                if let Some(index) = self.pipes.iter().position(is_it) {
                    self.end(index, PipeEnd::Detached);
                }
            }
            FeedCommand::Routes(table) => {
                let revision = table.revision;
                let Self { engine, server, recent, demands, now, .. } = self;
                demands.set_routes(Arc::clone(&table), *now);
                engine.route(table, &mut |vt_symbol| {
                    let topic = server.topic(vt_symbol);
                    recent.expect(topic);
                    topic
                });
                tracing::debug!(revision, "the routes were swapped");
            }
            FeedCommand::Publish(publish) => self.admission(&publish),
            FeedCommand::Rules(rules) => {
                self.demands.set_products(rules.calendar.products.clone());
                self.engine.set_rules(*rules);
                self.pipes.iter_mut().flatten().for_each(|attached| attached.source.forget_dates());
            }
            FeedCommand::Peers(reply) => reply.send(self.server.peers()),
            FeedCommand::Brought(reply) => reply.send(self.engine.take_brought()),
            FeedCommand::Recent(query) => self.answer(query),
            FeedCommand::Quarantine(query) => self.engine.answer(query),
            FeedCommand::Contracts(query) => self.engine.answer_contracts(query, self.now),
            FeedCommand::Shutdown => self.is_ending = true,
        }
    }

    fn attach(&mut self, attached: Attached) {
        let incarnation = attached.incarnation;
        if self.pipes.iter().flatten().any(|a| a.incarnation == incarnation) {
            tracing::warn!(%incarnation, "its tick pipe is read already: the second one is closed");
            return;
        }
        let index = self.pipes.iter().position(Option::is_none).unwrap_or(self.pipes.len());
        let token = EventData::new_u64(PIPE_TOKENS + index as u64);
        let added = if index < PIPES_MAX {
            epoll::add(&self.epoll, attached.pipe.fd(), token, EventFlags::IN).map_err(|errno| errno.to_string())
        } else {
            Err(format!("{PIPES_MAX} pipes are read already"))
        };
        if let Err(why) = added {
            tracing::error!(%incarnation, "its tick pipe is not read: {why}");
            self.tell(FeedEvent::PipeEnded { incarnation, end: PipeEnd::Detached });
            return;
        }
        if index == self.pipes.len() {
            self.pipes.push(None);
        }
        self.engine.seat(&attached.account, &attached.source);
        self.announce_source(&attached.account, incarnation, "attached", None);
        self.pipes[index] = Some(attached);
        tracing::debug!(%incarnation, "its ticks are read");
    }

    /// Reads once from one pipe, and publishes what it brought.
    fn turn(&mut self, index: usize) {
        let Self { engine, server, recent, pipes, vitals, latency, unflushed, now, .. } = self;
        let Some(Some(Attached { pipe, source, .. })) = pipes.get_mut(index) else { return };
        count(&vitals.reads);
        let read_at = Now { mono: *now, wall_ns: real_ns() };
        let turn = pipe.turn(&mut |raw: &RawTick| match engine.admit(raw, source, read_at) {
            Outcome::Forward(admitted) => {
                let seq = engine.next_seq(&admitted);
                let out_at = real_ns();
                let Some((topic, payload)) = engine.payload(&admitted, source, out_at) else { return };
                server.publish(topic, payload);
                latency.record(raw.ingress_real_ns.get(), out_at);
                recent.append(topic, seq, payload);
                count(&vitals.published);
                *unflushed += 1;
                if *unflushed >= TICKS_A_FLUSH {
                    *unflushed = 0;
                    server.flush(*now);
                }
            }
            Outcome::SnapshotOnly(admitted, _) => {
                if let Some((topic, payload)) = engine.payload(&admitted, source, real_ns()) {
                    server.keep(topic, payload);
                }
            }
            _ => {}
        });
        match turn {
            Turn::Open => {}
            Turn::Ended(end) => self.end(index, end),
        }
    }

    fn end(&mut self, index: usize, end: PipeEnd) {
        let Some(Attached { incarnation, account, pipe, .. }) = self.pipes.get_mut(index).and_then(Option::take) else {
            return;
        };
        if let Err(errno) = epoll::delete(&self.epoll, pipe.fd()) {
            tracing::warn!(%incarnation, "epoll did not know its tick pipe: {errno}");
        }
        // Whoever hears of the end finds the pipe closed.
        drop(pipe);
        let (state, why) = match &end {
            PipeEnd::BadFrame(why) => {
                tracing::error!(%incarnation, "its tick pipe is closed: {why}");
                ("ended", Some(why.as_str()))
            }
            PipeEnd::Drained => ("ended", None),
            PipeEnd::Detached => ("detached", None),
        };
        tracing::debug!(%incarnation, "its tick pipe is done with: {end:?}");
        self.announce_source(&account, incarnation, state, why);
        self.tell(FeedEvent::PipeEnded { incarnation, end });
    }

    fn report(&mut self) {
        self.report_at = self.now.plus_ms(BEAT_MS);
        let attached = self.pipes.iter().flatten().map(|a| a.incarnation).collect();
        self.tell(FeedEvent::Attached(attached));
        self.heartbeat();
    }

    /// Passes on what the engine has found out.
    fn news(&mut self) {
        let Self { engine, events, vitals, .. } = self;
        let dropped = engine.take_news(&mut |event| {
            if !events(event) {
                count(&vitals.events_dropped);
            }
        });
        (0..dropped).for_each(|_| count(&vitals.events_dropped));
    }

    fn tell(&mut self, event: FeedEvent) {
        if !(self.events)(event) {
            count(&self.vitals.events_dropped);
        }
    }
}

#[cfg(test)]
mod tests;
