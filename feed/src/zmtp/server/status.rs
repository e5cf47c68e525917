//! What the server knows of its peers, for others.

use mdhub_spec::plane::{PeerStatus, TOPICS_TOLD};

use super::Server;
use crate::zmtp::access::Access;
use crate::zmtp::fault::Fault;
use crate::zmtp::peer::End;
use crate::zmtp::subscriptions::NEWS;
use crate::zmtp::topics::TopicId;

/// Longest subscription that may be the name of a contract.
const NAME_BYTES_MAX: usize = 96;

/// So many topics are told in one answer, of all peers together: those of a thousand peers would hold up ticks.
const TOPICS_AT_ONCE: usize = 640;

/// A connection; no later one is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerRef {
    pub(super) index: u32,
    pub(super) serial: u64,
}

#[cfg(test)]
impl PeerRef {
    /// Of no server.
    pub(crate) const fn for_tests(number: u32) -> Self {
        Self { index: number, serial: number as u64 }
    }
}

/// A subscription that looks like one contract rather than many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What was subscribed.
    pub name: String,
    /// By whom.
    pub peer: PeerRef,
    /// Whether that peer came in by a token.
    pub has_token: bool,
}

impl Named {
    pub(super) fn new(prefix: &[u8], peer: PeerRef, has_token: bool) -> Option<Self> {
        let name = str::from_utf8(prefix).ok().filter(|name| name.len() <= NAME_BYTES_MAX)?;
        let (_, exchange) = name.rsplit_once('.')?;
        let is_name = !exchange.is_empty() && !prefix.starts_with(NEWS);
        is_name.then(|| Self { name: name.to_owned(), peer, has_token })
    }
}

/// So many topics of each peer are told where there are so many peers.
fn topics_of_each(peers: usize) -> usize {
    TOPICS_TOLD.min(TOPICS_AT_ONCE / peers.max(1))
}

impl Server {
    /// From now on this says who may subscribe. Who came in by what is no longer there is cut.
    pub fn set_access(&mut self, access: Access) {
        self.config.access = access;
        for index in self.peers.indices() {
            let Some(peer) = self.peers.get(index).filter(|peer| peer.session.is_open()) else { continue };
            if !self.config.access.keeps(peer.token.as_ref(), peer.address.ip()) {
                self.end(index, &End::Fault(Fault::Revoked));
            }
        }
    }

    /// Everybody who is connected and past the handshake.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        let open = self.peers.indices().filter_map(|index| Some((index, self.peers.get(index)?)));
        let each = topics_of_each(self.peers.len());
        open.filter(|(_, peer)| peer.session.is_open())
            .map(|(index, peer)| PeerStatus {
                address: peer.address,
                token: peer.token.as_ref().map(|(name, _)| name.clone()),
                connected_ms: self.now.ms_since(peer.accepted_at),
                idle_ms: self.now.ms_since(peer.heard_at.max(peer.took_at)),
                subscriptions: self.subscriptions.of_peer(index),
                topics: self.topics_of(index, each),
                delivered: peer.delivered,
                dropped: peer.dropped,
                waiting_bytes: peer.out.len(),
            })
            .collect()
    }

    /// Some of them, since sorting thousands would hold up ticks.
    fn topics_of(&self, index: u32, limit: usize) -> Vec<String> {
        let some = self.subscriptions.some_of(index, limit);
        let mut topics: Vec<String> = some.map(|prefix| String::from_utf8_lossy(prefix).into_owned()).collect();
        topics.sort();
        topics
    }

    /// What was subscribed since the last call and looks like a contract.
    pub fn take_named(&mut self) -> Vec<Named> {
        std::mem::take(&mut self.named)
    }

    /// Subscriptions that look like a contract, at the places from `from` on, each with one of its peers; `None` when no
    /// place is left.
    #[must_use]
    pub fn named(&self, from: usize, places: usize) -> Option<Vec<Named>> {
        let prefixes = self.subscriptions.prefixes(from, places)?;
        let peer = |index: &u32| self.peers.get(*index).map(|p| (*index, p.serial, p.token.is_some()));
        let named = prefixes.filter_map(|prefix| {
            let peers = self.subscriptions.exactly(prefix).iter().filter_map(peer);
            let (index, serial, has_token) = peers.max_by_key(|(_, _, has_token)| *has_token)?;
            Named::new(prefix, PeerRef { index, serial }, has_token)
        });
        Some(named.collect())
    }

    /// Whether this peer is there and subscribes this very name.
    #[must_use]
    pub fn subscribes(&self, peer: PeerRef, name: &str) -> bool {
        let is_there = self.peers.get(peer.index).is_some_and(|p| p.serial == peer.serial);
        is_there && self.subscriptions.has(peer.index, name.as_bytes())
    }

    /// Some peer that subscribes this very name; one with a token, if only such count.
    #[must_use]
    pub fn subscriber(&self, name: &str, needs_token: bool) -> Option<PeerRef> {
        let mut peers = self.subscriptions.exactly(name.as_bytes()).iter();
        peers.find_map(|index| {
            let peer = self.peers.get(*index).filter(|peer| !needs_token || peer.token.is_some())?;
            Some(PeerRef { index: *index, serial: peer.serial })
        })
    }

    /// The topic of this name, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TopicId> {
        self.topics.find(name.as_bytes())
    }

    /// Up to `reach` topics on either side of where `name` is or would be.
    #[must_use]
    pub fn around(&self, name: &str, reach: usize) -> Vec<&str> {
        let names = self.topics.around(name.as_bytes(), reach).filter(|name| !name.starts_with(NEWS));
        names.filter_map(|name| str::from_utf8(name).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_peers_there_are_few_topics_are_told_at_once() {
        assert_eq!([0, 1, 40, 41, 200, 640, 641].map(topics_of_each), [16, 16, 16, 15, 3, 1, 0]);
        assert!((1..=10_000).all(|peers| peers * topics_of_each(peers) <= TOPICS_AT_ONCE));
    }
}
