//! The last tick of each topic for those who have just subscribed, without haste: live ticks go first.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::{Server, add};
use crate::zmtp::frame;
use crate::zmtp::peer::{Peer, Scan};
use crate::zmtp::subscriptions::{PEER_SUBSCRIPTIONS_MAX, Subscriptions};
use crate::zmtp::topics::TopicId;

/// Most snapshots sent in one turn, over all peers.
const SNAPSHOTS_A_TURN: usize = 16;
/// Most topics looked at for them.
const TOPICS_A_TURN: usize = 256;
/// So many of what a peer asked for are not worth tidying.
const SCANS_KEPT: usize = 64;
/// When what waits for all peers leaves no room, snapshots rest so long.
const PAUSE_MS: u64 = 50;

/// What is left of a turn.
struct Turn {
    snapshots: usize,
    topics: usize,
}

/// Where a peer's snapshots stand after its share of a turn.
enum Progress {
    /// It has all of them.
    Done,
    /// The turn is over.
    More,
    /// It has no room: whoever writes to it wakes it.
    Full,
    /// All peers together have none.
    AllFull,
}

/// Asks for the last ticks behind a prefix that this peer has just subscribed.
pub(super) fn ask(scans: &mut VecDeque<Scan>, prefix: &[u8], since: u64, subscriptions: &Subscriptions, peer: u32) {
    let is_waiting = scans.back().is_some_and(|scan| scan.after.is_none() && *scan.prefix == *prefix);
    if is_waiting {
        return;
    }
    // What was taken back, or asked for again, does not pile up behind a peer that does not read.
    if scans.len() >= SCANS_KEPT.max(2 * subscriptions.of_peer(peer)) {
        let mut seen = HashSet::new();
        scans.retain(|scan| subscriptions.has(peer, &scan.prefix) && seen.insert(Box::clone(&scan.prefix)));
    }
    if scans.len() < PEER_SUBSCRIPTIONS_MAX {
        scans.push_back(Scan { prefix: prefix.into(), after: None, since });
    }
}

impl Server {
    /// From now on each topic's last payload is kept, and whoever subscribes it gets it, after `mark` has flagged it.
    pub fn send_snapshots(&mut self, mark: fn(&mut [u8])) {
        self.mark = Some(mark);
    }

    /// From now on this is the topic's last payload, though it is not published.
    pub fn keep(&mut self, topic: TopicId, payload: &[u8]) {
        if let Some(topic) = self.topics.matched(topic, &self.subscriptions) {
            topic.keep(payload);
        }
    }

    /// Has a peer get what it asked for, if it has room.
    pub(super) fn scan_soon(&mut self, index: u32) {
        let room = self.config.peer_buffer_bytes_max / 2;
        let Some(peer) = self.peers.get_mut(index) else { return };
        if !peer.is_scanning && !peer.scans.is_empty() && peer.out.len() < room {
            peer.is_scanning = true;
            self.scanning.push_back(index);
        }
    }

    /// A turn of snapshots.
    pub(super) fn snapshots(&mut self) {
        if self.now < self.snapshots_at {
            return;
        }
        let mut turn = Turn { snapshots: SNAPSHOTS_A_TURN, topics: TOPICS_A_TURN };
        for _ in 0..self.scanning.len() {
            let Some(index) = self.scanning.pop_front() else { return };
            let progress = self.scan(index, &mut turn);
            match progress {
                Progress::Done | Progress::Full => {
                    if let Some(peer) = self.peers.get_mut(index) {
                        peer.is_scanning = false;
                    }
                }
                Progress::More | Progress::AllFull => self.scanning.push_back(index),
            }
            self.write(index);
            match progress {
                Progress::Done | Progress::Full => {}
                Progress::More => return,
                Progress::AllFull => return self.snapshots_at = self.now.plus_ms(PAUSE_MS),
            }
        }
    }

    /// One peer's share.
    fn scan(&mut self, index: u32, turn: &mut Turn) -> Progress {
        let Self { config, peers, subscriptions, topics, pool, scratch, buffered, vitals, .. } = self;
        let Some(mark) = self.mark else { return Progress::Done };
        let Some(Peer { out, scans, delivered, .. }) = peers.get_mut(index) else { return Progress::Done };
        while let Some(scan) = scans.front_mut() {
            let mut after: Option<&Arc<[u8]>> = None;
            let mut progress = Progress::Done;
            if subscriptions.has(index, &scan.prefix) {
                for (name, id) in topics.behind(&scan.prefix, scan.after.as_deref()) {
                    if turn.snapshots == 0 || turn.topics == 0 {
                        progress = Progress::More;
                        break;
                    }
                    turn.topics -= 1;
                    let Some(topic) = topics.get(id) else { continue };
                    // What was published since it subscribed came live.
                    if topic.last.is_empty() || topic.published > scan.since {
                        after = Some(name);
                        continue;
                    }
                    scratch.clear();
                    scratch.extend_from_slice(&topic.head);
                    frame::put_part(scratch, &topic.last, true);
                    let size = scratch.len();
                    if *buffered + size > config.total_buffer_bytes_max / 2 {
                        progress = Progress::AllFull;
                        break;
                    }
                    if out.len() + size > config.peer_buffer_bytes_max / 2 {
                        progress = Progress::Full;
                        break;
                    }
                    mark(&mut scratch[size - topic.last.len()..]);
                    out.push(scratch, pool);
                    *buffered += size;
                    *delivered += 1;
                    add(&vitals.snapshots, 1);
                    turn.snapshots -= 1;
                    after = Some(name);
                }
            }
            if !matches!(progress, Progress::Done) {
                let after = after.map(Arc::clone);
                scan.after = after.or_else(|| scan.after.take());
                return progress;
            }
            scans.pop_front();
        }
        Progress::Done
    }
}
