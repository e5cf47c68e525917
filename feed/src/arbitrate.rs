//! First arrival wins: which copy of a snapshot is published, and which is not.
//!
//! Per contract: a ring of the last [`RING`] published `tid`s and a watermark, (exchange time, volume) of the latest
//! published tick in lexicographic order. In the ring: a duplicate. Not ahead of the watermark: late. Otherwise it is
//! published at once. In-order beats complete, and nothing is held back.
//!
//! # Ticks that share time and volume
//!
//! CZCE sends up to four ticks a second without milliseconds, and many keep the volume, so (time, volume) cannot order
//! them. A source's own order can: a tick with exactly the watermark's time and volume is published when its source has
//! already brought the latest published tick, because then it comes after it there. So does the source that opened the
//! second, until another one overtakes it, which it can do only by bringing that same latest tick itself or a larger
//! volume. From any other source its place is unknown, and it is late. On the other exchanges, where time and volume
//! name a snapshot, the same rule keeps a front that shows it otherwise from publishing it a second time.
//!
//! # `late` or `late_unique`
//!
//! A late tick that was brought before, whether it was published or late itself, is [`Verdict::Late`]; the first copy of
//! one that was never brought is [`Verdict::LateUnique`]: lost to subscribers. The ring is too short to know that of a
//! copy that comes many ticks behind, so every `tid` is also kept in [`Known`], a memory that all contracts share. A copy
//! that has left even that counts as unique. So published + late_unique = what the sources brought between them.

mod known;

use mdhub_spec::plane::{SourceMask, SourceSlot};

pub use known::Known;

/// How many published `tid`s a contract remembers.
pub const RING: usize = 32;

/// What arbitration needs of a tick.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its identity.
    pub tid: u64,
    /// Exchange time, ms since the epoch.
    pub exchange_time_ms: i64,
    /// Lots since the start of the trading day.
    pub volume: i64,
    /// Who brought it.
    pub source: SourceSlot,
    /// Receipt in the worker, nanoseconds of `CLOCK_MONOTONIC`.
    pub ingress_mono_ns: u64,
}

/// What becomes of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the first of its kind and in order: publish it.
    Forward,
    /// A copy of one of the last published ticks.
    Duplicate {
        /// How much later than the published copy its worker received it, ns; 0 if it was not later.
        lag_ns: u64,
    },
    /// Not ahead of the watermark; brought before.
    Late,
    /// Not ahead of the watermark, and never brought before.
    LateUnique,
}

/// One contract's state.
#[derive(Debug, Clone)]
pub struct Arbiter {
    tids: [u64; RING],
    ingress_mono_ns: [u64; RING],
    /// Ticks published.
    published: usize,
    watermark: (i64, i64),
    /// The sources that have brought the latest published tick.
    in_step: SourceMask,
}

impl Default for Arbiter {
    fn default() -> Self {
        Self {
            tids: [0; RING],
            ingress_mono_ns: [0; RING],
            published: 0,
            watermark: (i64::MIN, i64::MIN),
            in_step: SourceMask::NONE,
        }
    }
}

impl Arbiter {
    /// Judges one tick of this contract, and remembers it.
    pub fn judge(&mut self, arrival: &Arrival, known: &mut Known) -> Verdict {
        if let Some(place) = self.place(arrival.tid) {
            if place == self.latest() {
                self.in_step = self.in_step.with(arrival.source);
            }
            return Verdict::Duplicate { lag_ns: arrival.ingress_mono_ns.saturating_sub(self.ingress_mono_ns[place]) };
        }
        let key = (arrival.exchange_time_ms, arrival.volume);
        let follows = key == self.watermark && self.in_step.contains(arrival.source);
        let is_new = known.insert(arrival.tid);
        if key > self.watermark || (follows && is_new) {
            self.publish(arrival, key);
            return Verdict::Forward;
        }
        if is_new { Verdict::LateUnique } else { Verdict::Late }
    }

    fn place(&self, tid: u64) -> Option<usize> {
        self.tids[..self.published.min(RING)].iter().position(|t| *t == tid)
    }

    /// Where the latest published tick stands in the ring.
    const fn latest(&self) -> usize {
        self.published.wrapping_sub(1) % RING
    }

    fn publish(&mut self, arrival: &Arrival, key: (i64, i64)) {
        self.published += 1;
        let place = self.latest();
        self.tids[place] = arrival.tid;
        self.ingress_mono_ns[place] = arrival.ingress_mono_ns;
        self.watermark = key;
        self.in_step = SourceMask::NONE.with(arrival.source);
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Forward, Late, LateUnique};
    use super::*;

    /// Judges (source, tid, time, volume) one after another, each 100 ns after the last.
    fn verdicts(arrivals: &[(u8, u64, i64, i64)]) -> Vec<Verdict> {
        let (mut arbiter, mut known) = (Arbiter::default(), Known::default());
        let judge = |(i, &(source, tid, exchange_time_ms, volume)): (usize, &(u8, u64, i64, i64))| {
            let source = SourceSlot::new(source).expect("a slot");
            let arrival = Arrival { tid, exchange_time_ms, volume, source, ingress_mono_ns: 100 * i as u64 };
            arbiter.judge(&arrival, &mut known)
        };
        arrivals.iter().enumerate().map(judge).collect()
    }

    const fn duplicate(lag: u64) -> Verdict {
        Verdict::Duplicate { lag_ns: 100 * lag }
    }

    #[test]
    fn the_first_copy_goes_out_and_a_later_one_is_timed_against_it() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 2, 20, 5), (1, 1, 10, 5), (0, 2, 20, 5), (0, 3, 20, 6)]);
        assert_eq!(found, [Forward, Forward, duplicate(2), duplicate(2), Forward]);
    }

    #[test]
    fn behind_the_watermark_is_late_and_unique_only_once() {
        let found = verdicts(&[(0, 1, 10, 5), (0, 3, 30, 6), (1, 2, 20, 5), (0, 2, 20, 5), (1, 2, 20, 5)]);
        assert_eq!(found, [Forward, Forward, LateUnique, Late, Late]);
    }

    #[test]
    fn a_copy_older_than_the_ring_is_late_and_not_unique() {
        let mut arrivals: Vec<_> = (1..=40).map(|i: u64| (0, i, i.cast_signed(), 0)).collect();
        arrivals.extend([(1, 9, 9, 0), (1, 8, 8, 0), (1, 100, 8, 0)]);
        let found = verdicts(&arrivals);
        assert!(found[..40].iter().all(|v| *v == Forward));
        assert_eq!(found[40..], [duplicate(32), Late, LateUnique]);
    }

    #[test]
    fn a_new_trading_day_starts_its_volume_anew() {
        assert_eq!(verdicts(&[(0, 1, 10, 9_000), (0, 2, 20, 3), (1, 3, 19, 9_001)]), [Forward, Forward, LateUnique]);
    }

    #[test]
    fn within_one_second_volume_orders() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 3, 10, 7), (0, 2, 10, 6)]);
        assert_eq!(found, [Forward, Forward, LateUnique]);
    }

    #[test]
    fn within_one_second_and_volume_the_source_that_opened_it_is_followed() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 2, 10, 5), (0, 3, 10, 5), (1, 3, 10, 5)]);
        assert_eq!(found, [Forward, LateUnique, Forward, duplicate(1)]);
    }

    #[test]
    fn a_source_that_has_caught_up_with_the_latest_may_overtake() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 1, 10, 5), (1, 2, 10, 5), (0, 2, 10, 5), (0, 3, 10, 5)]);
        assert_eq!(found, [Forward, duplicate(1), Forward, duplicate(1), Forward]);
    }

    #[test]
    fn a_book_that_turns_back_within_the_second_does_not_put_its_source_out_of_step() {
        let found = verdicts(&[(0, 1, 10, 5), (0, 2, 10, 5), (0, 1, 10, 5), (0, 3, 10, 5)]);
        assert_eq!(found, [Forward, Forward, duplicate(2), Forward]);
    }

    #[test]
    fn what_was_counted_as_lost_is_not_published_after_all() {
        let found = verdicts(&[(0, 1, 10, 5), (1, 2, 10, 5), (0, 2, 10, 5), (0, 3, 11, 5)]);
        assert_eq!(found, [Forward, LateUnique, Late, Forward]);
    }
}
