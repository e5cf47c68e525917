//! Who comes in.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::{Server, add, earlier};
use crate::zmtp::greeting;
use crate::zmtp::peer::{End, Peer};

/// Most connections taken in one turn.
const ACCEPTS_A_TURN: usize = 4;
/// The listener rests so long when the system has no descriptor left.
const ACCEPT_PAUSE_MS: u64 = 100;

impl Server {
    pub(super) fn accept(&mut self) {
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

    pub(super) fn watch_listener(&self, flags: EventFlags) {
        let (Some(listener), Some(registration)) = (&self.listener, &self.registration) else { return };
        let token = EventData::new_u64(registration.listener());
        if let Err(errno) = epoll::modify(&*registration.epoll, &listener.fd, token, flags) {
            tracing::error!("epoll no longer watches for subscribers: {errno}");
        }
    }

    fn admit(&mut self, fd: OwnedFd, address: SocketAddr) {
        let Some(epoll) = self.registration.as_ref().map(|registration| Arc::clone(&registration.epoll)) else {
            return;
        };
        if !self.config.access.allows(address.ip()) {
            return self.turn_away(address, "its address is not in publish.allow");
        }
        if self.peers.len() >= self.config.peers_max && !self.make_room() {
            return self.turn_away(address, "publish.peers_max are connected");
        }
        self.serial += 1;
        let offer = self.config.access.offer();
        let index = self.peers.insert(Peer::new(fd, address, self.serial, offer, self.now));
        self.tidy_handshakes();
        self.handshakes.push_back((index, self.serial));
        let Some((registration, peer)) = self.registration.as_ref().zip(self.peers.get_mut(index)) else { return };
        let token = EventData::new_u64(registration.peer(index));
        if let Err(errno) = epoll::add(&*epoll, &peer.fd, token, EventFlags::IN) {
            return self.end(index, &End::Broken(errno));
        }
        let (hello, size) = greeting::opening(offer);
        peer.out.push(&hello[..size], &mut self.pool);
        self.buffered += size;
        self.pool.peers = self.peers.len();
        self.next_deadline = earlier(self.next_deadline, self.now.plus_ms(self.config.handshake_timeout_ms));
        self.write(index);
    }

    fn turn_away(&mut self, address: SocketAddr, why: &str) {
        add(&self.vitals.peers_refused, 1);
        if let Some(unlogged) = self.gate.pass(self.now) {
            tracing::warn!(peer = %address, unlogged, "subscriber refused: {why}");
        }
    }

    /// Ends the oldest unfinished handshake; says whether there was one. A flood of connections that never say anything
    /// so pushes itself out, and whoever does shake hands gets a place.
    fn make_room(&mut self) -> bool {
        while let Some((index, serial)) = self.handshakes.pop_front() {
            if self.peers.get(index).is_some_and(|peer| peer.serial == serial && !peer.session.is_open()) {
                self.end(index, &End::Crowded);
                return true;
            }
        }
        false
    }

    /// Forgets handshakes that are done.
    fn tidy_handshakes(&mut self) {
        if self.handshakes.len() > 2 * self.config.peers_max {
            let Self { handshakes, peers, .. } = self;
            let unfinished = |peer: &Peer, serial| peer.serial == serial && !peer.session.is_open();
            handshakes.retain(|(index, serial)| peers.get(*index).is_some_and(|peer| unfinished(peer, *serial)));
        }
    }
}
