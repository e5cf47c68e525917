//! One connection, and the table of all of them.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use mdhub_spec::time::Mono;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::config::ServerConfig;
use super::fault::Fault;
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
    /// The peer was silent for longer than the time to live that it had announced.
    Silent,
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
            Self::Silent => f.write_str("it was silent for longer than it had promised"),
            Self::Slow => f.write_str("it took nothing while ticks were dropped for it"),
            Self::Shutdown => f.write_str("the hub leaves"),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) fd: OwnedFd,
    pub(crate) address: SocketAddr,
    pub(crate) session: Session,
    pub(crate) out: OutBuffer,
    pub(crate) accepted_at: Mono,
    /// When bytes last came from it.
    pub(crate) heard_at: Mono,
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
}

impl Peer {
    pub(crate) fn new(fd: OwnedFd, address: SocketAddr, now: Mono) -> Self {
        Self {
            fd,
            address,
            session: Session::new(),
            out: OutBuffer::default(),
            accepted_at: now,
            heard_at: now,
            ttl_ms: 0,
            starved_since: None,
            delivered: 0,
            dropped: 0,
            is_dirty: false,
            waits_for_room: false,
        }
    }

    /// When this connection ends if nothing more happens, and why; the earliest.
    pub(crate) fn deadline(&self, config: &ServerConfig) -> Option<(Mono, End)> {
        let handshake =
            (!self.session.is_open()).then(|| (self.accepted_at.plus_ms(config.handshake_timeout_ms), End::Handshake));
        let silent = (self.ttl_ms > 0).then(|| (self.heard_at.plus_ms(self.ttl_ms), End::Silent));
        let slow = self.starved_since.map(|since| (since.plus_ms(config.slow_consumer_ms), End::Slow));
        [handshake, silent, slow].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Sends what the socket takes; how much that was.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(crate) fn send(&mut self, pool: &mut Pool) -> Result<usize, Errno> {
        self.is_dirty = false;
        let fd = &self.fd;
        let sent = self.out.send(pool, |slices| {
            sendmsg(fd, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
        });
        match sent {
            Ok(taken) => {
                self.starved_since = None;
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
}

impl Peers {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// One past the largest index in use.
    pub(crate) fn indices(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn insert(&mut self, peer: Peer) -> u32 {
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

    pub(crate) fn remove(&mut self, index: u32) -> Option<Peer> {
        let peer = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(peer)
    }
}
