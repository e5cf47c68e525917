//! The synthetic market at one front: every subscribed contract's stream, merged by due time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::feed::{Due, Link};
use crate::flavour::Flavour;
use crate::record::Snapshot;
use crate::synthetic::Stream;

/// Contracts that one client can have subscribed: more than the exchanges list.
const CONTRACTS_MAX: usize = 50_000;

/// How far back the last snapshot is looked for, slots.
const LOOK_BACK_SLOTS: i64 = 64;

const MS_NS: i64 = 1_000_000;

#[derive(Debug)]
struct Contract {
    code: Vec<u8>,
    stream: Stream,
    /// Raised by each subscription and its end: a planned slot of an earlier one is void.
    subscription: u32,
    is_subscribed: bool,
}

/// A slot in the plan. Ordered by due time, then by the order of subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Planned {
    due_ns: i64,
    contract: usize,
    subscription: u32,
    slot: i64,
}

/// The market at one front.
#[derive(Debug)]
pub struct Live {
    seed: u64,
    flavour: Flavour,
    interval_ms: u32,
    levels: u8,
    link: Link,
    /// The market's clock is so far ahead of `CLOCK_REALTIME`.
    offset_ns: i64,
    contracts: Vec<Contract>,
    by_code: HashMap<Vec<u8>, usize>,
    plan: BinaryHeap<Reverse<Planned>>,
    current: Snapshot,
}

impl Live {
    /// A market in which nothing is subscribed.
    #[must_use]
    pub fn new(seed: u64, flavour: Flavour, interval_ms: u32, levels: u8) -> Self {
        Self {
            seed,
            flavour,
            interval_ms,
            levels,
            link: Link::default(),
            offset_ns: 0,
            contracts: Vec::new(),
            by_code: HashMap::new(),
            plan: BinaryHeap::new(),
            current: Snapshot::default(),
        }
    }

    /// Sets its clock so far ahead of `CLOCK_REALTIME`.
    #[must_use]
    pub const fn ahead_by_ms(mut self, offset_ms: i64) -> Self {
        self.offset_ns = offset_ms.saturating_mul(MS_NS);
        self
    }

    /// How far its clock is ahead of `CLOCK_REALTIME`, nanoseconds.
    #[must_use]
    pub const fn ahead_ns(&self) -> i64 {
        self.offset_ns
    }

    /// Puts it behind a front.
    pub const fn put_behind(&mut self, link: Link) {
        self.link = link;
    }

    /// Whether the code is one that this market trades; its last snapshot is due at once, and the stream follows.
    pub fn subscribe(&mut self, code: &[u8], now_ns: i64) -> bool {
        let Some(contract) = self.contract(code) else { return false };
        if self.contracts[contract].is_subscribed {
            return true;
        }
        let slot = self.last_shown(contract, now_ns);
        let entry = &mut self.contracts[contract];
        entry.is_subscribed = true;
        entry.subscription += 1;
        self.plan(contract, slot);
        true
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, code: &[u8]) {
        if let Some(contract) = self.by_code.get(code) {
            self.contracts[*contract].is_subscribed = false;
        }
    }

    /// Ends every subscription.
    pub fn unsubscribe_all(&mut self) {
        self.contracts.iter_mut().for_each(|c| c.is_subscribed = false);
    }

    fn contract(&mut self, code: &[u8]) -> Option<usize> {
        if let Some(known) = self.by_code.get(code) {
            return Some(*known);
        }
        let stream = Stream::new(self.seed, code, self.flavour, self.interval_ms, self.levels)?;
        if self.contracts.len() == CONTRACTS_MAX {
            return None;
        }
        self.contracts.push(Contract { code: code.to_vec(), stream, subscription: 0, is_subscribed: false });
        self.by_code.insert(code.to_vec(), self.contracts.len() - 1);
        Some(self.contracts.len() - 1)
    }

    /// The last slot whose snapshot had come through this front by `now_ns`.
    fn last_shown(&mut self, contract: usize, now_ns: i64) -> i64 {
        let stream = &mut self.contracts[contract].stream;
        let latest = stream.slot_at((now_ns + self.offset_ns - self.link.delay_ns).div_euclid(MS_NS));
        let came = |n: &i64| stream.snapshot(*n).is_some() && !self.link.loses(stream.record_id(*n));
        (0..LOOK_BACK_SLOTS).map(|back| latest - back).find(came).unwrap_or(latest)
    }

    fn plan(&mut self, contract: usize, slot: i64) {
        let entry = &self.contracts[contract];
        let due_ns = entry.stream.time_ms(slot) * MS_NS - self.offset_ns + self.link.delay_ns;
        self.plan.push(Reverse(Planned { due_ns, contract, subscription: entry.subscription, slot }));
    }

    /// When the next slot is due, nanoseconds since the epoch.
    #[must_use]
    pub fn due_ns(&self) -> Option<i64> {
        self.plan.peek().map(|Reverse(planned)| planned.due_ns)
    }

    /// The next snapshot that is due and not lost.
    pub fn next(&mut self, now_ns: i64) -> Option<Due<'_>> {
        while let Some(Reverse(planned)) = self.plan.peek().copied().filter(|Reverse(p)| p.due_ns <= now_ns) {
            self.plan.pop();
            let Planned { contract, slot, .. } = planned;
            let entry = &mut self.contracts[contract];
            if !entry.is_subscribed || entry.subscription != planned.subscription {
                continue;
            }
            let snapshot = entry.stream.snapshot(slot);
            let index = entry.stream.record_id(slot);
            self.plan(contract, slot + 1);
            if let Some(snapshot) = snapshot.filter(|_| !self.link.loses(index)) {
                self.current = snapshot;
                return Some(Due { index, code: &self.contracts[contract].code, snapshot: &self.current });
            }
        }
        None
    }
}
