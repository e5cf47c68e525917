//! The PUB server: one listener, its peers, their subscriptions, and what waits for them.

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
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::command;
use super::config::ServerConfig;
use super::frame;
use super::greeting::{Mechanism, greeting};
use super::listener::Listener;
use super::log_gate::LogGate;
use super::out_buffer::Pool;
use super::peer::{End, Peer, Peers};
use super::session::Event;
use super::subscriptions::Subscriptions;
use super::topics::{TopicId, Topics};

/// Most connections taken in one turn.
const ACCEPTS_A_TURN: usize = 8;
/// Most bytes read from one peer in one turn.
const READ_BYTES: usize = 8 * 1024;
/// PONGs may go this far beyond a peer's budget: a subscriber that lags is not to be thought dead.
const PONG_RESERVE_BYTES: usize = 4 * 1024;
/// The listener rests so long when the system has no descriptor left.
const ACCEPT_PAUSE_MS: u64 = 100;

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
    subscriptions: Subscriptions,
    topics: Topics,
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
            subscriptions: Subscriptions::new(),
            topics: Topics::default(),
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
    /// not at all. [`Server::flush`] sends it.
    pub fn publish(&mut self, topic: TopicId, payload: &[u8]) {
        let Some((head, audience)) = self.topics.audience(topic, &self.subscriptions) else { return };
        if audience.is_empty() {
            return;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(head);
        frame::put_part(&mut self.scratch, payload, true);
        let size = self.scratch.len();
        let (mut delivered, mut dropped) = (0, 0);
        for &index in audience {
            let Some(peer) = self.peers.get_mut(index) else { continue };
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
        self.vitals.delivered.fetch_add(delivered, Relaxed);
        self.vitals.dropped.fetch_add(dropped, Relaxed);
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

    /// Ends what has run out of time: handshakes, silent peers, slow consumers. To be called at the instant that it
    /// returned last, and once more after any other call; it costs nothing while nothing is due.
    pub fn tick_timers(&mut self, now: Mono) -> Option<Mono> {
        self.now = now;
        if self.next_deadline.is_none_or(|at| now < at) {
            return self.next_deadline;
        }
        if self.accept_again_at.is_some_and(|at| at <= now) {
            self.accept_again_at = None;
            self.watch_listener(EventFlags::IN);
        }
        let mut next = self.accept_again_at;
        for index in self.peers.indices() {
            if self.is_due(index) {
                // If this thread was late, the peer may have spoken or made room long ago: look before judging.
                self.read(index);
                self.write(index);
            }
            match self.peers.get(index).and_then(|peer| peer.deadline(&self.config)) {
                Some((at, end)) if at <= now => self.end(index, &end),
                Some((at, _)) => next = earlier(next, at),
                None => {}
            }
        }
        self.next_deadline = next;
        next
    }

    /// Sends what the sockets take at once, then closes every connection and the listener.
    pub fn close(&mut self) {
        for index in self.peers.indices() {
            self.write(index);
            self.end(index, &End::Shutdown);
        }
        self.listener = None;
        self.accept_again_at = None;
        self.next_deadline = None;
    }

    fn is_due(&self, index: u32) -> bool {
        self.peers.get(index).and_then(|peer| peer.deadline(&self.config)).is_some_and(|(at, _)| at <= self.now)
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_A_TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok(Some((fd, address))) => self.admit(fd, address),
                Ok(None) => return,
                Err(errno) => {
                    // The connection stays in the kernel's queue and epoll would report it for ever: rest.
                    self.watch_listener(EventFlags::empty());
                    let again_at = self.now.plus_ms(ACCEPT_PAUSE_MS);
                    self.accept_again_at = Some(again_at);
                    self.next_deadline = earlier(self.next_deadline, again_at);
                    if let Some(unlogged) = self.gate.pass(self.now) {
                        tracing::warn!(unlogged, "no subscriber can connect for {ACCEPT_PAUSE_MS} ms: {errno}");
                    }
                    return;
                }
            }
        }
    }

    fn watch_listener(&self, flags: EventFlags) {
        let (Some(listener), Some(registration)) = (&self.listener, &self.registration) else { return };
        let token = EventData::new_u64(registration.listener());
        if let Err(errno) = epoll::modify(&*registration.epoll, &listener.fd, token, flags) {
            tracing::error!("epoll no longer watches for subscribers: {errno}");
        }
    }

    fn admit(&mut self, fd: OwnedFd, address: SocketAddr) {
        let Some(registration) = &self.registration else { return };
        if self.peers.len() >= self.config.peers_max {
            count(&self.vitals.peers_refused);
            if let Some(unlogged) = self.gate.pass(self.now) {
                let peers_max = self.config.peers_max;
                tracing::warn!(peer = %address, unlogged, "subscriber refused: publish.peers_max is {peers_max}");
            }
            return;
        }
        let epoll = Arc::clone(&registration.epoll);
        let index = self.peers.insert(Peer::new(fd, address, self.now));
        let Some(peer) = self.peers.get_mut(index) else { return };
        let token = EventData::new_u64(registration.peer(index));
        if let Err(errno) = epoll::add(&*epoll, &peer.fd, token, EventFlags::IN) {
            return self.end(index, &End::Broken(errno));
        }
        self.pool.peers = self.peers.len();
        if let Some(peer) = self.peers.get_mut(index) {
            let hello = greeting(Mechanism::Null);
            peer.out.push(&hello, &mut self.pool);
            self.buffered += hello.len();
        }
        self.next_deadline = earlier(self.next_deadline, self.now.plus_ms(self.config.handshake_timeout_ms));
        self.write(index);
    }

    fn read(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        let size = match recv(&peer.fd, &mut *self.inbound, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return self.end(index, &End::Left),
            Ok((size, _)) => size,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(errno) => return self.end(index, &End::Broken(errno)),
        };
        let was_open = peer.session.is_open();
        let waited = peer.out.len();
        let pong_room = self.config.peer_buffer_bytes_max + PONG_RESERVE_BYTES;
        let Peer { session, out, ttl_ms, .. } = peer;
        let outcome = session.receive(&self.inbound[..size], &mut |event| {
            self.scratch.clear();
            match event {
                Event::Ready => command::put_ready(&mut self.scratch),
                Event::Subscribe(prefix) => return self.subscriptions.subscribe(index, prefix),
                Event::Cancel(prefix) => self.subscriptions.cancel(index, prefix),
                Event::Ping { ttl_ms: promised_ms, context } => {
                    *ttl_ms = promised_ms;
                    command::put_pong(&mut self.scratch, context);
                }
            }
            if out.len() + self.scratch.len() <= pong_room {
                out.push(&self.scratch, &mut self.pool);
            }
            Ok(())
        });
        peer.heard_at = self.now;
        let replied = peer.out.len() - waited;
        self.buffered += replied;
        if let Some((at, _)) = peer.deadline(&self.config) {
            self.next_deadline = earlier(self.next_deadline, at);
        }
        if !was_open && peer.session.is_open() {
            self.vitals.peers.fetch_add(1, Relaxed);
            if let Some(unlogged) = self.gate.pass(self.now) {
                tracing::info!(peer = %peer.address, unlogged, "subscriber connected");
            }
        }
        match outcome {
            Err(fault) => self.end(index, &End::Fault(fault)),
            Ok(()) if replied > 0 => self.write(index),
            Ok(()) => {}
        }
    }

    /// Sends what waits for one peer, and has epoll tell when its socket takes more.
    fn write(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(index) else { return };
        if peer.out.is_empty() {
            return;
        }
        match peer.send(&mut self.pool) {
            Ok(taken) => self.buffered -= taken,
            Err(errno) => return self.end(index, &End::Broken(errno)),
        }
        let waits = !peer.out.is_empty();
        if waits == peer.waits_for_room {
            return;
        }
        peer.waits_for_room = waits;
        let Some(registration) = &self.registration else { return };
        let flags = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        let token = EventData::new_u64(registration.peer(index));
        if let Err(errno) = epoll::modify(&*registration.epoll, &peer.fd, token, flags) {
            self.end(index, &End::Broken(errno));
        }
    }

    fn end(&mut self, index: u32, why: &End) {
        let Some(mut peer) = self.peers.remove(index) else { return };
        let subscriptions = self.subscriptions.of_peer(index);
        self.subscriptions.remove_peer(index);
        self.tell_fault(&peer, why);
        let waiting_bytes = peer.out.len();
        self.buffered -= waiting_bytes;
        peer.out.clear(&mut self.pool);
        self.pool.peers = self.peers.len();
        let is_open = peer.session.is_open();
        if is_open {
            self.vitals.peers.fetch_sub(1, Relaxed);
        }
        match why {
            End::Fault(_) | End::Handshake => count(&self.vitals.peers_refused),
            End::Slow => count(&self.vitals.peers_cut),
            // Somebody looked whether the port is open: no event.
            End::Left | End::Broken(_) if !is_open => return,
            End::Left | End::Broken(_) | End::Silent | End::Shutdown => {}
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
    fn tell_fault(&mut self, peer: &Peer, why: &End) {
        let End::Fault(fault) = why else { return };
        let Some(reason) = fault.reason().filter(|_| !peer.session.is_open() && peer.out.is_empty()) else { return };
        self.scratch.clear();
        command::put_error(&mut self.scratch, reason);
        // The connection is closed next, whether or not this arrived.
        let _ = send(&peer.fd, &self.scratch, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

fn earlier(a: Option<Mono>, b: Mono) -> Option<Mono> {
    Some(a.map_or(b, |a| a.min(b)))
}
