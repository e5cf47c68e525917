//! Who subscribed what.
//!
//! A topic is matched by the prefixes that there are, not by the subscriptions: one look-up for each length that any prefix
//! has. Topics remember which prefixes matched ([`Subscriptions::shape`] says until when), so that one more subscriber of a
//! known prefix is seen by every topic at once, and one of a new prefix costs each topic a few look-ups when it next ticks.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::fault::Fault;

/// Longest prefix that may be subscribed; no topic is longer.
pub(crate) const PREFIX_BYTES_MAX: usize = 255;
/// Most different prefixes of one peer.
pub(crate) const PEER_SUBSCRIPTIONS_MAX: usize = 3_000;
/// Most subscriptions of all peers together.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 500_000;

/// What topics with news of the hub itself begin with. Only a subscription that begins so matches them: whoever wants
/// everything wants every tick.
pub(crate) const NEWS: &[u8] = b"_hub";

/// Tables that prefixes are spread over.
const TABLES: usize = 256;

/// The place of each prefix, in many small tables: a large one holds up ticks for tens of milliseconds when it grows.
#[derive(Debug)]
struct Places {
    hasher: RandomState,
    tables: Vec<HashMap<Arc<[u8]>, u32>>,
}

impl Places {
    fn new() -> Self {
        Self { hasher: RandomState::new(), tables: vec![HashMap::new(); TABLES] }
    }

    fn table(&self, prefix: &[u8]) -> usize {
        self.hasher.hash_one(prefix) as usize % TABLES
    }

    fn get(&self, prefix: &[u8]) -> Option<u32> {
        self.tables[self.table(prefix)].get(prefix).copied()
    }

    fn insert(&mut self, prefix: Arc<[u8]>, place: u32) {
        let table = self.table(&prefix);
        self.tables[table].insert(prefix, place);
    }

    fn remove(&mut self, prefix: &[u8]) {
        let table = self.table(prefix);
        self.tables[table].remove(prefix);
    }
}

/// A prefix that somebody subscribed; its place is used again when nobody does any more.
#[derive(Debug)]
struct Prefix {
    bytes: Arc<[u8]>,
    peers: Vec<u32>,
}

/// Every peer's subscriptions. A peer is known by its index.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    prefixes: Vec<Option<Prefix>>,
    free: Vec<u32>,
    places: Places,
    /// By peer: how often it subscribed each prefix. 37/ZMTP: two SUBSCRIBE of one prefix take two CANCEL to undo.
    peers: Vec<HashMap<u32, u32>>,
    /// How many different prefixes there are of each length.
    lengths: Vec<u32>,
    count: usize,
    shape: u64,
}

impl Subscriptions {
    pub(crate) fn new() -> Self {
        Self {
            prefixes: Vec::new(),
            free: Vec::new(),
            places: Places::new(),
            peers: Vec::new(),
            lengths: vec![0; PREFIX_BYTES_MAX + 1],
            count: 0,
            shape: 1,
        }
    }

    /// Grows whenever there is a new prefix or one is gone; never 0.
    pub(crate) const fn shape(&self) -> u64 {
        self.shape
    }

    /// How many there are: each prefix of each peer once.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// How many different prefixes a peer has subscribed.
    pub(crate) fn of_peer(&self, peer: u32) -> usize {
        self.peers.get(peer as usize).map_or(0, HashMap::len)
    }

    /// Prefixes that a peer has subscribed, in no order; `limit` of them at most.
    pub(crate) fn some_of(&self, peer: u32, limit: usize) -> impl Iterator<Item = &[u8]> {
        let places = self.peers.get(peer as usize).into_iter().flat_map(HashMap::keys).take(limit);
        places.filter_map(|place| Some(&*self.prefixes.get(*place as usize)?.as_ref()?.bytes))
    }

    /// Whether this peer has subscribed this very prefix.
    pub(crate) fn has(&self, peer: u32, prefix: &[u8]) -> bool {
        let place = self.places.get(prefix);
        place.is_some_and(|place| self.peers.get(peer as usize).is_some_and(|own| own.contains_key(&place)))
    }

    /// The peers that subscribed this very prefix.
    pub(crate) fn exactly(&self, prefix: &[u8]) -> &[u32] {
        self.places.get(prefix).map_or(&[], |place| self.peers_of(place))
    }

    /// The prefixes at the places from `from` on, at most `limit` places; nothing when no place is left.
    pub(crate) fn prefixes(&self, from: usize, limit: usize) -> Option<impl Iterator<Item = &Arc<[u8]>>> {
        let end = self.prefixes.len().min(from.saturating_add(limit));
        let some = self.prefixes.get(from..end).filter(|some| !some.is_empty())?;
        Some(some.iter().flatten().map(|prefix| &prefix.bytes))
    }

    /// Adds one subscription.
    ///
    /// # Errors
    /// When a limit is reached; then nothing has changed.
    pub(crate) fn subscribe(&mut self, peer: u32, prefix: &[u8]) -> Result<(), Fault> {
        if prefix.len() > PREFIX_BYTES_MAX {
            return Err(Fault::PrefixLength(prefix.len()));
        }
        let at = peer as usize;
        if self.peers.len() <= at {
            self.peers.resize_with(at + 1, HashMap::new);
        }
        let known = self.places.get(prefix);
        if let Some(times) = known.and_then(|place| self.peers[at].get_mut(&place)) {
            *times = times.saturating_add(1);
            return Ok(());
        }
        if self.peers[at].len() >= PEER_SUBSCRIPTIONS_MAX {
            return Err(Fault::PeerSubscriptions);
        }
        if self.count >= SUBSCRIPTIONS_MAX {
            return Err(Fault::Subscriptions);
        }
        let place = known.unwrap_or_else(|| self.place(prefix));
        if let Some(prefix) = &mut self.prefixes[place as usize] {
            prefix.peers.push(peer);
        }
        self.peers[at].insert(place, 1);
        self.count += 1;
        Ok(())
    }

    /// A place for a prefix that has none.
    fn place(&mut self, prefix: &[u8]) -> u32 {
        let bytes: Arc<[u8]> = Arc::from(prefix);
        let new = Some(Prefix { bytes: Arc::clone(&bytes), peers: Vec::new() });
        let place = self.free.pop().unwrap_or_else(|| {
            self.prefixes.push(None);
            u32::try_from(self.prefixes.len() - 1).unwrap_or(u32::MAX)
        });
        self.prefixes[place as usize] = new;
        self.lengths[bytes.len()] += 1;
        self.places.insert(bytes, place);
        self.shape += 1;
        place
    }

    /// Takes one subscription back; one that does not exist is ignored. Says whether it was the peer's last of this prefix.
    pub(crate) fn cancel(&mut self, peer: u32, prefix: &[u8]) -> bool {
        let Some(place) = self.places.get(prefix) else { return false };
        let Some(own) = self.peers.get_mut(peer as usize) else { return false };
        let Some(times) = own.get_mut(&place) else { return false };
        *times -= 1;
        if *times > 0 {
            return false;
        }
        own.remove(&place);
        self.unlink(peer, place);
        true
    }

    /// Forgets some of what a peer subscribed, and takes as many from `limit`. Whether nothing is left: then its index may
    /// be given to another.
    pub(crate) fn forget(&mut self, peer: u32, limit: &mut usize) -> bool {
        let Some(own) = self.peers.get_mut(peer as usize) else { return true };
        if own.len() <= *limit {
            *limit -= own.len();
            for place in std::mem::take(own).into_keys() {
                self.unlink(peer, place);
            }
            return true;
        }
        let places: Vec<u32> = own.keys().take(std::mem::take(limit)).copied().collect();
        for place in &places {
            own.remove(place);
        }
        for place in places {
            self.unlink(peer, place);
        }
        false
    }

    fn unlink(&mut self, peer: u32, place: u32) {
        let slot = &mut self.prefixes[place as usize];
        let Some(prefix) = slot else { return };
        if let Some(at) = prefix.peers.iter().position(|p| *p == peer) {
            prefix.peers.swap_remove(at);
            self.count -= 1;
        }
        if prefix.peers.is_empty() {
            self.lengths[prefix.bytes.len()] -= 1;
            self.places.remove(&prefix.bytes);
            *slot = None;
            self.free.push(place);
            self.shape += 1;
        }
    }

    /// Writes the places of the prefixes of `topic` to `matched`: they hold until [`Subscriptions::shape`] changes.
    pub(crate) fn matching(&self, topic: &[u8], matched: &mut Vec<u32>) {
        matched.clear();
        let shortest = if topic.starts_with(NEWS) { NEWS.len() } else { 0 };
        let lengths = self.lengths.iter().enumerate().take(topic.len() + 1).skip(shortest);
        let places = lengths.filter(|(_, n)| **n > 0).filter_map(|(length, _)| self.places.get(&topic[..length]));
        matched.extend(places);
    }

    /// The peers of a place that [`Subscriptions::matching`] gave.
    pub(crate) fn peers_of(&self, place: u32) -> &[u32] {
        self.prefixes.get(place as usize).and_then(Option::as_ref).map_or(&[], |prefix| &prefix.peers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn remove_peer(subscriptions: &mut Subscriptions, peer: u32) {
        assert!(subscriptions.forget(peer, &mut usize::MAX.clone()), "there is no limit");
    }

    fn matched(subscriptions: &Subscriptions, topic: &[u8]) -> Vec<u32> {
        let mut places = vec![99];
        subscriptions.matching(topic, &mut places);
        let mut peers: Vec<u32> = places.iter().flat_map(|place| subscriptions.peers_of(*place)).copied().collect();
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    #[test]
    fn two_subscriptions_take_two_cancels_and_a_cancel_too_many_is_ignored() {
        let mut s = Subscriptions::new();
        s.subscribe(0, b"A").expect("within limits");
        s.subscribe(0, b"A").expect("within limits");
        s.cancel(0, b"A");
        assert_eq!(matched(&s, b"A1"), [0]);
        s.cancel(0, b"A");
        s.cancel(0, b"A");
        assert!(matched(&s, b"A1").is_empty());
        s.subscribe(0, b"A").expect("within limits");
        assert_eq!(matched(&s, b"A1"), [0]);
    }

    #[test]
    fn the_limits_hold_and_leave_everything_as_it_was() {
        let mut s = Subscriptions::new();
        assert_eq!(s.subscribe(0, &[b'x'; 256]), Err(Fault::PrefixLength(256)));
        assert_eq!(s.subscribe(0, &[b'x'; 255]), Ok(()));
        for peer in 1..=166u32 {
            for n in 0..3_000u32 {
                s.subscribe(peer, &n.to_be_bytes()).expect("within limits");
            }
            assert_eq!(s.subscribe(peer, b"one more"), Err(Fault::PeerSubscriptions));
            assert_eq!(s.subscribe(peer, &7u32.to_be_bytes()), Ok(()), "known already");
        }
        for n in 0..1_999u32 {
            s.subscribe(500, &n.to_be_bytes()).expect("within limits");
        }
        let shape = s.shape();
        assert_eq!(s.subscribe(501, b"one more"), Err(Fault::Subscriptions));
        assert_eq!((s.shape(), s.of_peer(501), s.of_peer(1), s.len()), (shape, 0, 3_000, SUBSCRIPTIONS_MAX));
        remove_peer(&mut s, 1);
        assert_eq!(s.subscribe(501, b"one more"), Ok(()));
    }

    #[test]
    fn a_peer_that_leaves_is_forgotten_a_little_at_a_time() {
        let mut s = Subscriptions::new();
        for n in 0..1_000u32 {
            s.subscribe(0, &n.to_be_bytes()).expect("within limits");
        }
        s.subscribe(1, b"x").expect("within limits");
        let mut left = Vec::new();
        loop {
            let mut limit = 300;
            let is_over = s.forget(0, &mut limit);
            left.push((s.len(), limit));
            if is_over {
                break;
            }
        }
        assert_eq!(left, [(701, 0), (401, 0), (101, 0), (1, 200)]);
        assert!(s.forget(7, &mut 0) && s.forget(0, &mut 0) && !s.forget(1, &mut 0));
    }

    #[test]
    fn news_of_the_hub_goes_to_those_who_ask_for_it() {
        let mut s = Subscriptions::new();
        for (peer, prefix) in [(0, &b""[..]), (1, b"_"), (2, b"_hub"), (3, b"_hub.heart"), (4, b"_hub.heartbeat.")] {
            s.subscribe(peer, prefix).expect("within limits");
        }
        assert_eq!(matched(&s, b"_hub.heartbeat"), [2, 3]);
        assert_eq!(matched(&s, b"_hu"), [0, 1]);
        assert_eq!(matched(&s, b"rb2701.SHFE"), [0]);
    }

    #[test]
    fn one_more_subscriber_of_a_known_prefix_is_no_news_to_topics() {
        let mut s = Subscriptions::new();
        s.subscribe(0, b"rb").expect("within limits");
        let shape = s.shape();
        for peer in 1..1_000 {
            s.subscribe(peer, b"rb").expect("within limits");
            s.cancel(peer, b"rb");
            s.subscribe(peer, b"rb").expect("within limits");
        }
        assert_eq!((s.shape(), matched(&s, b"rb2701.SHFE").len(), s.exactly(b"rb").len()), (shape, 1_000, 1_000));
        assert!(s.has(7, b"rb") && !s.has(7, b"r") && s.exactly(b"r").is_empty());
        assert_eq!(s.some_of(7, 16).collect::<Vec<_>>(), [b"rb"]);
        assert_eq!((s.some_of(7, 0).count(), s.some_of(5_000, 16).count()), (0, 0));
        assert_eq!(s.prefixes(0, 9).map(Iterator::count), Some(1));
        assert!(s.prefixes(1, 9).is_none());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Subscribe(u32, Vec<u8>),
        Cancel(u32, Vec<u8>),
        Remove(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let prefix = || proptest::collection::vec(b'a'..=b'b', 0..4);
        prop_oneof![
            4 => (0..5u32, prefix()).prop_map(|(p, s)| Step::Subscribe(p, s)),
            3 => (0..5u32, prefix()).prop_map(|(p, s)| Step::Cancel(p, s)),
            1 => (0..5u32).prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_list(
            steps in proptest::collection::vec(step(), 0..60),
            topic in proptest::collection::vec(b'a'..=b'b', 0..5),
        ) {
            let mut s = Subscriptions::new();
            let mut list: Vec<(u32, Vec<u8>)> = Vec::new();
            for step in steps {
                let (shape, mut before) = (s.shape(), Vec::new());
                s.matching(&topic, &mut before);
                match step {
                    Step::Subscribe(peer, prefix) => {
                        prop_assert_eq!(s.subscribe(peer, &prefix), Ok(()));
                        list.push((peer, prefix));
                    }
                    Step::Cancel(peer, prefix) => {
                        s.cancel(peer, &prefix);
                        if let Some(at) = list.iter().position(|x| *x == (peer, prefix.clone())) {
                            list.remove(at);
                        }
                    }
                    Step::Remove(peer) => {
                        remove_peer(&mut s, peer);
                        list.retain(|(p, _)| *p != peer);
                    }
                }
                let mut expected: Vec<u32> =
                    list.iter().filter(|(_, p)| topic.starts_with(p)).map(|(peer, _)| *peer).collect();
                expected.sort_unstable();
                expected.dedup();
                let mut now = Vec::new();
                s.matching(&topic, &mut now);
                prop_assert!(now == before || s.shape() > shape, "a change that no cache would notice");
                prop_assert_eq!(matched(&s, &topic), expected);
            }
            for peer in 0..5 {
                remove_peer(&mut s, peer);
            }
            prop_assert_eq!((s.places.tables.iter().map(HashMap::len).sum::<usize>(), s.count, s.lengths.iter().sum::<u32>()), (0, 0, 0));
            prop_assert_eq!(s.free.len(), s.prefixes.len());
        }
    }
}
