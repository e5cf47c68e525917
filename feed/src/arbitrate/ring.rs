//! The last published ticks of one contract.

use std::cmp::Reverse;

use mdhub_spec::plane::SourceMask;

use super::passed::Passed;
use super::{RING, View};

/// What is remembered of a published tick.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) tid: u64,
    pub(super) ingress_mono_ns: u64,
    pub(super) key: (i64, i64),
    pub(super) view: View,
    /// Who has brought it.
    pub(super) sources: SourceMask,
}

/// The last [`RING`] of them. `tid`s stand together, since they are searched for every tick.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    tids: [u64; RING],
    entries: [Entry; RING],
    /// Ticks ever put in.
    published: usize,
    /// What was not put in for its place.
    pub(super) passed: Passed,
}

impl Default for Ring {
    fn default() -> Self {
        let nothing = Entry { tid: 0, ingress_mono_ns: 0, key: (0, 0), view: View::NOTHING, sources: SourceMask::NONE };
        Self { tids: [0; RING], entries: [nothing; RING], published: 0, passed: Passed::default() }
    }
}

impl Ring {
    const fn latest(&self) -> usize {
        self.published.wrapping_sub(1) % RING
    }

    /// The tick of this identity, and whether it is the latest one.
    pub(super) fn find(&mut self, tid: u64) -> Option<(&mut Entry, bool)> {
        let place = self.tids[..self.published.min(RING)].iter().position(|t| *t == tid)?;
        let is_latest = place == self.latest();
        Some((&mut self.entries[place], is_latest))
    }

    /// Of the ticks of this time and volume that are still here, the first of those that say most.
    pub(super) fn fullest_of_key(&mut self, key: (i64, i64)) -> Option<&mut Entry> {
        let held = self.entries[..self.published.min(RING)].iter_mut();
        held.filter(|entry| entry.key == key).min_by_key(|entry| Reverse(entry.view.statements()))
    }

    /// Puts one in; the one that leaves.
    pub(super) fn put(&mut self, entry: Entry) -> Option<Entry> {
        let is_full = self.published >= RING;
        self.published += 1;
        let place = self.latest();
        self.tids[place] = entry.tid;
        let leaves = std::mem::replace(&mut self.entries[place], entry);
        is_full.then_some(leaves)
    }
}
