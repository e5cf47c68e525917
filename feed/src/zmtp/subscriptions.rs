//! Who subscribed what. Finding the peers of a topic costs one look-up for each length that any prefix has, however many
//! subscriptions there are.

use std::collections::HashMap;
use std::sync::Arc;

use super::fault::Fault;

/// Longest prefix that may be subscribed; no topic is longer.
pub(crate) const PREFIX_BYTES_MAX: usize = 255;
/// Most different prefixes of one peer.
pub(crate) const PEER_SUBSCRIPTIONS_MAX: usize = 3_000;
/// Most subscriptions of all peers together.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 500_000;

/// Every peer's subscriptions. A peer is known by its index.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    /// The peers of each prefix.
    prefixes: HashMap<Arc<[u8]>, Vec<u32>>,
    /// By peer: how often it subscribed each prefix. 37/ZMTP: two SUBSCRIBE of one prefix take two CANCEL to undo.
    peers: Vec<HashMap<Arc<[u8]>, u32>>,
    /// How many different prefixes there are of each length.
    lengths: Vec<u32>,
    count: usize,
    generation: u64,
}

impl Subscriptions {
    pub(crate) fn new() -> Self {
        let lengths = vec![0; PREFIX_BYTES_MAX + 1];
        Self { prefixes: HashMap::new(), peers: Vec::new(), lengths, count: 0, generation: 1 }
    }

    /// Grows whenever the peers of some topic may have changed; never 0.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// How many different prefixes a peer has subscribed.
    pub(crate) fn of_peer(&self, peer: u32) -> usize {
        self.peers.get(peer as usize).map_or(0, HashMap::len)
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
        let own = &mut self.peers[at];
        if let Some(times) = own.get_mut(prefix) {
            *times = times.saturating_add(1);
            return Ok(());
        }
        if own.len() >= PEER_SUBSCRIPTIONS_MAX {
            return Err(Fault::PeerSubscriptions);
        }
        if self.count >= SUBSCRIPTIONS_MAX {
            return Err(Fault::Subscriptions);
        }
        let shared = match self.prefixes.get_key_value(prefix) {
            Some((shared, _)) => Arc::clone(shared),
            None => {
                self.lengths[prefix.len()] += 1;
                Arc::from(prefix)
            }
        };
        self.prefixes.entry(Arc::clone(&shared)).or_default().push(peer);
        own.insert(shared, 1);
        self.count += 1;
        self.generation += 1;
        Ok(())
    }

    /// Takes one subscription back; one that does not exist is ignored.
    pub(crate) fn cancel(&mut self, peer: u32, prefix: &[u8]) {
        let Some(own) = self.peers.get_mut(peer as usize) else { return };
        let Some(times) = own.get_mut(prefix) else { return };
        *times -= 1;
        if *times == 0 {
            own.remove(prefix);
            self.unlink(peer, prefix);
        }
    }

    /// Forgets a peer; its index may be given to another.
    pub(crate) fn remove_peer(&mut self, peer: u32) {
        let Some(own) = self.peers.get_mut(peer as usize).map(std::mem::take) else { return };
        for prefix in own.keys() {
            self.unlink(peer, prefix);
        }
    }

    fn unlink(&mut self, peer: u32, prefix: &[u8]) {
        let Some(peers) = self.prefixes.get_mut(prefix) else { return };
        if let Some(at) = peers.iter().position(|p| *p == peer) {
            peers.swap_remove(at);
            self.count -= 1;
            self.generation += 1;
        }
        if peers.is_empty() {
            self.prefixes.remove(prefix);
            self.lengths[prefix.len()] -= 1;
        }
    }

    /// Writes the peers that subscribed a prefix of `topic` to `matched`, ascending, each once.
    pub(crate) fn matching(&self, topic: &[u8], matched: &mut Vec<u32>) {
        matched.clear();
        for (length, _) in self.lengths.iter().enumerate().take(topic.len() + 1).filter(|(_, n)| **n > 0) {
            if let Some(peers) = self.prefixes.get(&topic[..length]) {
                matched.extend_from_slice(peers);
            }
        }
        matched.sort_unstable();
        matched.dedup();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matched(subscriptions: &Subscriptions, topic: &[u8]) -> Vec<u32> {
        let mut out = vec![99];
        subscriptions.matching(topic, &mut out);
        out
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
        let generation = s.generation();
        assert_eq!(s.subscribe(501, b"one more"), Err(Fault::Subscriptions));
        assert_eq!((s.generation(), s.of_peer(501), s.of_peer(1)), (generation, 0, 3_000));
        s.remove_peer(1);
        assert_eq!(s.subscribe(501, b"one more"), Ok(()));
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
                let before = (s.generation(), matched(&s, &topic));
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
                        s.remove_peer(peer);
                        list.retain(|(p, _)| *p != peer);
                    }
                }
                let mut expected: Vec<u32> =
                    list.iter().filter(|(_, p)| topic.starts_with(p)).map(|(peer, _)| *peer).collect();
                expected.sort_unstable();
                expected.dedup();
                let now = matched(&s, &topic);
                prop_assert!(now == before.1 || s.generation() > before.0, "a change that no cache would notice");
                prop_assert_eq!(now, expected);
            }
            for peer in 0..5 {
                s.remove_peer(peer);
            }
            prop_assert_eq!((s.prefixes.len(), s.count, s.lengths.iter().sum::<u32>()), (0, 0, 0));
        }
    }
}
