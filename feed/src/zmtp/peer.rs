//! One connection, and the table of all of them.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use mdhub_spec::time::Mono;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::access::Token;
use super::config::ServerConfig;
use super::fault::Fault;
use super::greeting::Offer;
use super::out_buffer::{OutBuffer, Pool};
use super::session::Session;

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed it.
    Left,
    /// The system says it is broken.
    Broken(Errno),
    /// The peer broke the protocol or a limit.
    Fault(Fault),
    /// The handshake was not done in time.
    Handshake,
    /// Its handshake was the oldest unfinished one when every place was taken.
    Crowded,
    /// The peer was silent for longer than the time to live that it had announced.
    Silent,
    /// The peer did not answer a PING.
    Mute,
    /// The peer began a frame and did not end it in time.
    Trickles,
    /// The peer took nothing while ticks were dropped for it.
    Slow,
    /// The hub leaves.
    Shutdown,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("it closed the connection"),
            Self::Broken(errno) => write!(f, "the connection broke: {errno}"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Handshake => f.write_str("its handshake was not done in time"),
            Self::Crowded => f.write_str("its handshake was not done and others needed its place"),
            Self::Mute => f.write_str("it did not answer a PING"),
            Self::Silent => f.write_str("it was silent for longer than it had promised"),
            Self::Trickles => f.write_str("it began a frame and did not end it in time"),
            Self::Slow => f.write_str("it took nothing while ticks were dropped for it"),
            Self::Shutdown => f.write_str("the hub leaves"),
        }
    }
}

/// What is due for a peer at some instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// A PING.
    Ping,
    /// Its end.
    End(End),
}

/// Last ticks that a newcomer is still to get.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) prefix: Box<[u8]>,
    /// The last topic that was looked at.
    pub(crate) after: Option<Arc<[u8]>>,
    /// The server's last message when it subscribed: what was published since it has got live.
    pub(crate) since: u64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// No other connection ever has it.
    pub(crate) serial: u64,
    pub(crate) fd: OwnedFd,
    pub(crate) address: SocketAddr,
    pub(crate) session: Session,
    pub(crate) out: OutBuffer,
    pub(crate) accepted_at: Mono,
    /// By what it came in.
    pub(crate) token: Option<Token>,
    /// When bytes last came from it.
    pub(crate) heard_at: Mono,
    /// Since when the frame that it sends now is not whole.
    pub(crate) in_frame_since: Option<Mono>,
    /// When it last took bytes.
    pub(crate) took_at: Mono,
    /// When it was sent a PING that it has not answered.
    pub(crate) pinged_at: Option<Mono>,
    /// The time to live of its last PING; 0 for none.
    pub(crate) ttl_ms: u64,
    /// When the first tick was dropped for it since it last took a byte.
    pub(crate) starved_since: Option<Mono>,
    /// Ticks put into its buffer.
    pub(crate) delivered: u64,
    /// Ticks dropped for it.
    pub(crate) dropped: u64,
    /// On the list of what to flush.
    pub(crate) is_dirty: bool,
    /// Its socket was full: epoll tells when it takes more.
    pub(crate) waits_for_room: bool,
    /// The last message that it was offered: what it subscribed twice it gets once.
    pub(crate) offered: u64,
    /// In the order in which it subscribed.
    pub(crate) scans: VecDeque<Scan>,
    /// On the list of those who are to get snapshots.
    pub(crate) is_scanning: bool,
}

impl Peer {
    pub(crate) fn new(fd: OwnedFd, address: SocketAddr, serial: u64, offer: Offer, now: Mono) -> Self {
        Self {
            serial,
            fd,
            address,
            session: Session::new(offer),
            out: OutBuffer::default(),
            accepted_at: now,
            token: None,
            heard_at: now,
            in_frame_since: None,
            took_at: now,
            pinged_at: None,
            ttl_ms: 0,
            starved_since: None,
            delivered: 0,
            dropped: 0,
            is_dirty: false,
            waits_for_room: false,
            offered: 0,
            scans: VecDeque::new(),
            is_scanning: false,
        }
    }

    /// Bytes came from it, after so many whole frames.
    pub(crate) fn heard(&mut self, frames_before: u64, now: Mono) {
        self.heard_at = now;
        self.pinged_at = None;
        let since = self.in_frame_since.filter(|_| self.session.frames() == frames_before).unwrap_or(now);
        self.in_frame_since = self.session.is_in_a_frame().then_some(since);
    }

    /// When something is due for this connection if nothing more happens, and what; the earliest.
    pub(crate) fn due(&self, config: &ServerConfig) -> Option<(Mono, Due)> {
        let is_open = self.session.is_open();
        let handshake = (!is_open).then(|| (self.accepted_at.plus_ms(config.handshake_timeout_ms), End::Handshake));
        let silent = (self.ttl_ms > 0).then(|| (self.heard_at.plus_ms(self.ttl_ms), End::Silent));
        let slow = self.starved_since.map(|since| (since.plus_ms(config.slow_consumer_ms), End::Slow));
        let in_frame = self.in_frame_since.filter(|_| is_open);
        let trickles = in_frame.map(|since| (since.plus_ms(config.frame_timeout_ms), End::Trickles));
        // A PING that is still on its way cannot be answered: then the peer is slow at most.
        let pinged = self.pinged_at.filter(|_| self.out.is_empty());
        let mute = pinged.map(|at| (at.plus_ms(config.ping_idle_ms), End::Mute));
        let may_ping = is_open && self.session.knows_heartbeats() && self.pinged_at.is_none() && self.out.is_empty();
        let ping = may_ping.then(|| (self.heard_at.plus_ms(config.ping_idle_ms), Due::Ping));
        let ends = [handshake, silent, slow, trickles, mute].into_iter().flatten().map(|(at, end)| (at, Due::End(end)));
        ends.chain(ping).min_by_key(|(at, _)| *at)
    }

    /// Sends what the socket takes; how much that was.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(crate) fn send(&mut self, pool: &mut Pool, now: Mono) -> Result<usize, Errno> {
        self.is_dirty = false;
        let fd = &self.fd;
        let sent = self.out.send(pool, |slices| {
            sendmsg(fd, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
        });
        match sent {
            Ok(taken) => {
                self.starved_since = None;
                self.took_at = now;
                Ok(taken)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(errno) => Err(errno),
        }
    }
}

/// All connections, each at an index that it keeps.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    slots: Vec<Option<Peer>>,
    free: Vec<u32>,
    count: usize,
}

impl Peers {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// One past the largest index in use.
    pub(crate) fn indices(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn insert(&mut self, peer: Peer) -> u32 {
        self.count += 1;
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(peer);
            return index;
        }
        self.slots.push(Some(peer));
        self.indices().end - 1
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Peer> {
        self.slots.get(index as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Peer> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    /// Takes a peer out. Nobody gets its index before it is [released](Self::release).
    pub(crate) fn remove(&mut self, index: u32) -> Option<Peer> {
        let peer = self.slots.get_mut(index as usize)?.take()?;
        self.count -= 1;
        Some(peer)
    }

    /// Nothing is known any more of whoever had this index.
    pub(crate) fn release(&mut self, index: u32) {
        self.free.push(index);
    }
}
