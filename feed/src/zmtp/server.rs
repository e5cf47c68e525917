//! The PUB server: one listener, its peers, their subscriptions, and what waits for them.

mod admit;
mod snapshots;
mod status;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::plane::FeedVitals;
use mdhub_spec::time::Mono;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::access::Guesses;
use super::command;
use super::config::ServerConfig;
use super::fault::Fault;
use super::frame;
use super::greeting;
use super::listener::Listener;
use super::log_gate::LogGate;
use super::out_buffer::Pool;
use super::peer::{Due, End, Peer, Peers};
use super::session::Event;
use super::subscriptions::Subscriptions;
use super::topics::{TopicId, Topics};

pub use status::{Named, PeerRef};

/// Most bytes read from one peer in one turn.
const READ_BYTES: usize = 2 * 1024;
/// Most connections whose time is up that are looked at in one turn.
const DUE_A_TURN: usize = 16;
/// Most subscriptions of those who are gone that are forgotten in one turn.
const FORGOTTEN_A_TURN: usize = 64;
/// PONGs may go this far beyond a peer's budget: a subscriber that lags is not to be thought dead.
const PONG_RESERVE_BYTES: usize = 4 * 1024;
/// A server that closes reads this often from a peer: with bytes unread, closing would be a reset, which takes from the peer
/// what is still on its way.
const LAST_READS_MAX: usize = 16;

#[derive(Debug)]
struct Registration {
    epoll: Arc<OwnedFd>,
    token_base: u64,
}

impl Registration {
    const fn listener(&self) -> u64 {
        self.token_base
    }

    const fn peer(&self, index: u32) -> u64 {
        self.token_base + 1 + index as u64
    }
}

/// A ZMTP 3.1 PUB server on the caller's thread. It never blocks.
///
/// Memory for what waits: at most [`ServerConfig::total_buffer_bytes_max`], and no peer may hold more than is still free
/// of it, so that those who stall leave room for those who do not.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    vitals: Arc<FeedVitals>,
    local_addr: SocketAddr,
    listener: Option<Listener>,
    registration: Option<Registration>,
    /// When the listener is to be watched again.
    accept_again_at: Option<Mono>,
    peers: Peers,
    /// Connections so far.
    serial: u64,
    /// Who is gone, and whose subscriptions are not all forgotten.
    leaving: VecDeque<u32>,
    /// Unfinished handshakes, oldest first, and some that are done: index and serial.
    handshakes: VecDeque<(u32, u64)>,
    guesses: Guesses,
    subscriptions: Subscriptions,
    topics: Topics,
    /// Messages so far.
    message: u64,
    /// Flags a payload as a snapshot; without it no last payload is kept.
    mark: Option<fn(&mut [u8])>,
    /// Peers that are to get snapshots and have room for them.
    scanning: VecDeque<u32>,
    /// No snapshot is sent before.
    snapshots_at: Mono,
    /// What was subscribed lately and looks like a contract.
    named: Vec<Named>,
    pool: Pool,
    /// Bytes that wait, over all peers.
    buffered: usize,
    /// Peers to flush.
    dirty: Vec<u32>,
    /// The message or command in the making.
    scratch: Vec<u8>,
    inbound: Box<[u8]>,
    /// The caller's latest instant.
    now: Mono,
    next_deadline: Option<Mono>,
    gate: LogGate,
}

impl Server {
    /// Listens at `config.listen`. Nobody is served before [`Server::register`].
    ///
    /// # Errors
    /// When the address cannot be had; the message names it and says what to do.
    pub fn bind(config: ServerConfig, vitals: Arc<FeedVitals>) -> io::Result<Self> {
        let listener = Listener::bind(config.listen)?;
        Ok(Self {
            config,
            vitals,
            local_addr: listener.address,
            listener: Some(listener),
            registration: None,
            accept_again_at: None,
            peers: Peers::default(),
            serial: 0,
            leaving: VecDeque::new(),
            handshakes: VecDeque::new(),
            guesses: Guesses::default(),
            subscriptions: Subscriptions::new(),
            topics: Topics::default(),
            message: 0,
            mark: None,
            scanning: VecDeque::new(),
            snapshots_at: Mono::default(),
            named: Vec::new(),
            pool: Pool::default(),
            buffered: 0,
            dirty: Vec::new(),
            scratch: Vec::new(),
            inbound: vec![0; READ_BYTES].into_boxed_slice(),
            now: Mono::default(),
            next_deadline: None,
            gate: LogGate::default(),
        })
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Has the caller's epoll watch this server's descriptors, level-triggered. Their tokens begin at `token_base`: the
    /// caller hands every event with such a token to [`Server::ready`].
    ///
    /// # Errors
    /// When epoll refuses the listener.
    pub fn register(&mut self, epoll: Arc<OwnedFd>, token_base: u64) -> io::Result<()> {
        let registration = Registration { epoll, token_base };
        if let Some(listener) = &self.listener {
            let token = EventData::new_u64(registration.listener());
            epoll::add(&*registration.epoll, &listener.fd, token, EventFlags::IN)?;
        }
        self.registration = Some(registration);
        Ok(())
    }

    /// Accepts, reads or writes what an event of epoll says is ready. A stale event does no harm.
    pub fn ready(&mut self, token: u64, flags: EventFlags, now: Mono) {
        self.now = now;
        let Some(base) = self.registration.as_ref().map(Registration::listener) else { return };
        let Some(offset) = token.checked_sub(base) else { return };
        let Some(index) = offset.checked_sub(1) else { return self.accept() };
        let Ok(index) = u32::try_from(index) else { return };
        if flags.contains(EventFlags::OUT) {
            self.write(index);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read(index);
        }
    }

    /// The topic of this name; made when it is new. For changes of routes, not for ticks: it may allocate.
    pub fn topic(&mut self, name: &str) -> TopicId {
        self.topics.id(name.as_bytes())
    }

    /// Puts the message `[topic][payload]` into the buffer of every peer that subscribed it; whole, or for lack of room
    /// not at all. [`Server::flush`] sends it. Where [`Server::send_snapshots`] was asked for, it is kept as the topic's
    /// last one.
    pub fn publish(&mut self, topic: TopicId, payload: &[u8]) {
        if self.mark.is_some() {
            self.keep(topic, payload);
        }
        self.announce(topic, payload);
    }

    /// Like [`Server::publish`], for news that newcomers are not told again.
    pub fn announce(&mut self, topic: TopicId, payload: &[u8]) {
        self.message += 1;
        let Some(topic) = self.topics.matched(topic, &self.subscriptions) else { return };
        topic.published = self.message;
        if topic.prefixes.is_empty() {
            return;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&topic.head);
        frame::put_part(&mut self.scratch, payload, true);
        let size = self.scratch.len();
        let (mut delivered, mut dropped) = (0, 0);
        for &index in topic.prefixes.iter().flat_map(|place| self.subscriptions.peers_of(*place)) {
            let Some(peer) = self.peers.get_mut(index).filter(|peer| peer.offered != self.message) else { continue };
            peer.offered = self.message;
            let free = self.config.total_buffer_bytes_max.saturating_sub(self.buffered);
            if peer.out.len() + size > free.min(self.config.peer_buffer_bytes_max) {
                dropped += 1;
                peer.dropped += 1;
                if peer.starved_since.is_none() && !peer.out.is_empty() {
                    peer.starved_since = Some(self.now);
                    let cut_at = self.now.plus_ms(self.config.slow_consumer_ms);
                    self.next_deadline = earlier(self.next_deadline, cut_at);
                }
                continue;
            }
            peer.out.push(&self.scratch, &mut self.pool);
            self.buffered += size;
            delivered += 1;
            peer.delivered += 1;
            if !peer.is_dirty && !peer.waits_for_room {
                peer.is_dirty = true;
                self.dirty.push(index);
            }
        }
        add(&self.vitals.delivered, delivered);
        add(&self.vitals.dropped, dropped);
    }

    /// Sends what waits, to every peer whose socket takes it: one call of the system each.
    pub fn flush(&mut self, now: Mono) {
        self.now = now;
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            if self.peers.get(index).is_some_and(|peer| peer.is_dirty) {
                self.write(index);
            }
        }
        self.dirty = dirty;
    }

    /// Sends a turn of snapshots, asks the silent whether they live, and ends what has run out of time: handshakes, silent
    /// peers, slow consumers. To be called at the instant that it returned last, and once more after any other call; it
    /// costs nothing while nothing is due.
    pub fn tend(&mut self, now: Mono) -> Option<Mono> {
        self.now = now;
        self.snapshots();
        if self.next_deadline.is_some_and(|at| at <= now) {
            self.deadlines();
        }
        self.forget();
        self.vitals.waiting_bytes.store(self.buffered as u64, Relaxed);
        self.vitals.subscriptions.store(self.subscriptions.len() as u64, Relaxed);
        let snapshots_at = (!self.scanning.is_empty()).then(|| self.snapshots_at.max(now));
        let forget_at = (!self.leaving.is_empty()).then_some(now);
        [self.next_deadline, snapshots_at, forget_at].into_iter().flatten().min()
    }

    /// Forgets some of what those subscribed who are gone.
    fn forget(&mut self) {
        let mut limit = FORGOTTEN_A_TURN;
        while let Some(index) = self.leaving.front().copied() {
            if !self.subscriptions.forget(index, &mut limit) {
                return;
            }
            self.leaving.pop_front();
            self.peers.release(index);
        }
    }

    fn deadlines(&mut self) {
        if self.accept_again_at.is_some_and(|at| at <= self.now) {
            self.accept_again_at = None;
            self.watch_listener(EventFlags::IN);
        }
        let mut next = self.accept_again_at;
        let mut looked_at = 0;
        for index in self.peers.indices() {
            if self.is_due(index) {
                if looked_at == DUE_A_TURN {
                    // The others have their turn after the ticks.
                    next = Some(self.now);
                    break;
                }
                looked_at += 1;
                // If this thread was late, the peer may have spoken or made room long ago: look before judging.
                self.read(index);
                self.write(index);
            }
            match self.due(index) {
                Some((at, Due::End(end))) if at <= self.now => self.end(index, &end),
                Some((at, Due::Ping)) if at <= self.now => {
                    self.ping(index);
                    next = self.due(index).map_or(next, |(at, _)| earlier(next, at));
                }
                Some((at, _)) => next = earlier(next, at),
                None => {}
            }
        }
        self.next_deadline = next;
    }

    fn due(&self, index: u32) -> Option<(Mono, Due)> {
        self.peers.get(index)?.due(&self.config)
    }

    fn is_due(&self, index: u32) -> bool {
        self.due(index).is_some_and(|(at, _)| at <= self.now)
    }

    fn ping(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        peer.pinged_at = Some(self.now);
        self.scratch.clear();
        command::put_ping(&mut self.scratch);
        peer.out.push(&self.scratch, &mut self.pool);
        self.buffered += self.scratch.len();
        self.write(index);
    }

    /// Sends what the sockets take at once, then closes every connection and the listener.
    pub fn close(&mut self) {
        for index in self.peers.indices() {
            self.write(index);
            if let Some(peer) = self.peers.get(index) {
                let _ = shutdown(&peer.fd, Shutdown::Write);
                let more = |_: &usize| matches!(recv(&peer.fd, &mut *self.inbound, RecvFlags::DONTWAIT), Ok((1.., _)));
                (0..LAST_READS_MAX).take_while(more).for_each(drop);
            }
            self.end(index, &End::Shutdown);
        }
        self.listener = None;
        self.accept_again_at = None;
        self.next_deadline = None;
    }

    fn read(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        add(&self.vitals.reads, 1);
        let size = match recv(&peer.fd, &mut *self.inbound, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return self.end(index, &End::Left),
            Ok((size, _)) => size,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(errno) => return self.end(index, &End::Broken(errno)),
        };
        let was_open = peer.session.is_open();
        let (waited, frames) = (peer.out.len(), peer.session.frames());
        let outcome = self.listen(index, size);
        let Some(peer) = self.peers.get_mut(index) else { return };
        peer.heard(frames, self.now);
        let replied = peer.out.len() - waited;
        self.buffered += replied;
        if let Some((at, _)) = peer.due(&self.config) {
            self.next_deadline = earlier(self.next_deadline, at);
        }
        if !was_open && peer.session.is_open() {
            add(&self.vitals.peers, 1);
            if let Some(unlogged) = self.gate.pass(self.now) {
                let token = peer.token.as_ref().map(|(name, _)| &**name);
                tracing::info!(peer = %peer.address, token, unlogged, "subscriber connected");
            }
        }
        match outcome {
            Err(fault) => self.end(index, &End::Fault(fault)),
            Ok(()) => {
                self.scan_soon(index);
                if replied > 0 {
                    self.write(index);
                }
            }
        }
    }

    /// Does what the first `size` bytes of `inbound` say; answers go into the peer's buffer.
    fn listen(&mut self, index: u32, size: usize) -> Result<(), Fault> {
        let Self { config, guesses, subscriptions, scratch, pool, named, message, now, .. } = self;
        let keeps_last = self.mark.is_some();
        let Some(peer) = self.peers.get_mut(index) else { return Ok(()) };
        let reference = PeerRef { index, serial: peer.serial };
        let address = peer.address.ip();
        let pong_room = config.peer_buffer_bytes_max + PONG_RESERVE_BYTES;
        let offer = peer.session.offer();
        let Peer { session, out, ttl_ms, token, scans, .. } = peer;
        session.receive(&self.inbound[..size], &mut |event| {
            scratch.clear();
            match event {
                Event::Greeted(mechanism) => scratch.extend(greeting::rest(offer, mechanism)),
                Event::Hello { password, .. } => {
                    if !guesses.may(address, *now) {
                        return Err(Fault::TokenGuesses);
                    }
                    *token = config.access.token(password);
                    if token.is_none() {
                        guesses.wrong(address, *now);
                        return Err(Fault::Token);
                    }
                    command::put_welcome(scratch);
                }
                // The tokens may have changed since it was greeted.
                Event::Ready if !config.access.keeps(token.as_ref(), address) => return Err(Fault::Token),
                Event::Ready => command::put_ready(scratch),
                Event::Subscribe(prefix) => {
                    subscriptions.subscribe(index, prefix)?;
                    if keeps_last {
                        snapshots::ask(scans, prefix, *message, subscriptions, index);
                    }
                    named.extend(Named::new(prefix, reference, token.is_some()));
                }
                Event::Cancel(prefix) => {
                    subscriptions.cancel(index, prefix);
                }
                Event::Ping { ttl_ms: promised_ms, context } => {
                    *ttl_ms = promised_ms;
                    command::put_pong(scratch, context);
                }
            }
            if out.len() + scratch.len() <= pong_room {
                out.push(scratch, pool);
            }
            Ok(())
        })
    }

    /// Sends what waits for one peer, and has epoll tell when its socket takes more.
    fn write(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        if peer.out.is_empty() {
            return;
        }
        add(&self.vitals.writes, 1);
        let taken = match peer.send(&mut self.pool, self.now) {
            Ok(taken) => taken,
            Err(errno) => return self.end(index, &End::Broken(errno)),
        };
        self.buffered -= taken;
        let waits = !peer.out.is_empty();
        if waits != peer.waits_for_room {
            peer.waits_for_room = waits;
            let Some(registration) = &self.registration else { return };
            let flags = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            let token = EventData::new_u64(registration.peer(index));
            if let Err(errno) = epoll::modify(&*registration.epoll, &peer.fd, token, flags) {
                return self.end(index, &End::Broken(errno));
            }
        }
        // Who took nothing has no more room than before: to look again at once would spin.
        if taken > 0 {
            self.scan_soon(index);
        }
    }

    fn end(&mut self, index: u32, why: &End) {
        let Some(mut peer) = self.peers.remove(index) else { return };
        let subscriptions = self.subscriptions.of_peer(index);
        self.leaving.push_back(index);
        self.tell_fault(&mut peer, why);
        let waiting_bytes = peer.out.len();
        self.buffered -= waiting_bytes;
        peer.out.clear(&mut self.pool);
        self.pool.peers = self.peers.len();
        let is_open = peer.session.is_open();
        if is_open {
            self.vitals.peers.fetch_sub(1, Relaxed);
        }
        match why {
            End::Fault(Fault::Token | Fault::TokenGuesses) => add(&self.vitals.tokens_refused, 1),
            End::Fault(_) | End::Handshake | End::Crowded | End::Trickles => add(&self.vitals.peers_refused, 1),
            End::Slow => add(&self.vitals.peers_cut, 1),
            // Somebody looked whether the port is open: no event.
            End::Left | End::Broken(_) if !is_open => return,
            End::Left | End::Broken(_) | End::Silent | End::Mute | End::Shutdown => {}
        }
        let Some(unlogged) = self.gate.pass(self.now) else { return };
        let Peer { address, delivered, dropped, .. } = peer;
        if matches!(why, End::Left | End::Shutdown) {
            tracing::info!(peer = %address, delivered, dropped, subscriptions, unlogged, "subscriber left: {why}");
        } else {
            tracing::warn!(peer = %address, delivered, dropped, waiting_bytes, subscriptions, unlogged, "subscriber cut: {why}");
        }
    }

    /// An ERROR, where the protocol has one for this end, and as far as the socket takes it at once.
    fn tell_fault(&mut self, peer: &mut Peer, why: &End) {
        let End::Fault(fault) = why else { return };
        self.scratch.clear();
        match (fault, fault.reason()) {
            _ if peer.session.is_open() => return,
            // Who guesses too often is told nothing: libzmq comes back after that, and never after an ERROR.
            (Fault::Token, _) => command::put_wrong_password(&mut self.scratch),
            (_, Some(reason)) => command::put_error(&mut self.scratch, reason),
            (_, None) => return,
        }
        let Ok(taken) = peer.send(&mut self.pool, self.now) else { return };
        self.buffered -= taken;
        if !peer.out.is_empty() {
            return;
        }
        // The connection is closed next, whether or not this arrived.
        let _ = send(&peer.fd, &self.scratch, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}

/// Adds to a counter. It has one writer, so this needs no locked instruction.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

fn earlier(a: Option<Mono>, b: Mono) -> Option<Mono> {
    Some(a.map_or(b, |a| a.min(b)))
}
