//! How long ticks take through the hub: from the instant at which the worker had one from the vendor's library to that at which it is
//! handed to the publisher.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Two an octave; the last one begins at twelve seconds and takes all that is above.
pub const LATENCY_BUCKETS: usize = 48;

/// Counted by the feed thread alone, read by anybody. The numbers only grow.
#[derive(Debug)]
pub struct LatencyVitals {
    buckets: [AtomicU64; LATENCY_BUCKETS],
    sum_us: AtomicU64,
}

impl Default for LatencyVitals {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl LatencyVitals {
    /// Counts a tick that came in at `ingress_ns` and went out at `egress_ns`, both CLOCK_REALTIME. A worker that does not say when,
    /// and a clock that was set back in between, count nothing.
    pub(crate) fn record(&self, ingress_ns: u64, egress_ns: u64) {
        let Some(ns) = egress_ns.checked_sub(ingress_ns).filter(|_| ingress_ns > 0) else { return };
        let us = ns / 1_000;
        let bucket = &self.buckets[bucket_of(us)];
        bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
        self.sum_us.store(self.sum_us.load(Relaxed).wrapping_add(us), Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Latencies {
        Latencies {
            buckets: self.buckets.each_ref().map(|bucket| bucket.load(Relaxed)),
            sum_us: self.sum_us.load(Relaxed),
        }
    }
}

/// Ticks by their time through the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    /// The number at `i` is of those below [`bound_us`]`(i)` that no earlier one counts.
    pub buckets: [u64; LATENCY_BUCKETS],
    /// All of them together, microseconds.
    pub sum_us: u64,
}

impl Latencies {
    /// Those that came after `before` was read.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let buckets = std::array::from_fn(|i| self.buckets[i].wrapping_sub(before.buckets[i]));
        Self { buckets, sum_us: self.sum_us.wrapping_sub(before.sum_us) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// An upper bound of what `percent` of them stayed within, microseconds; `None` where there are none.
    #[must_use]
    pub fn percentile_us(&self, percent: u8) -> Option<u64> {
        let wanted = self.count().saturating_mul(u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut sum = 0;
        let bucket = self.buckets.iter().position(|n| {
            sum += n;
            sum >= wanted
        })?;
        Some(bound_us(bucket))
    }
}

/// What a bucket's ticks stayed below, microseconds: 1, 2, 3, 4, 6, 8, 12, 16 and so on.
#[must_use]
pub const fn bound_us(bucket: usize) -> u64 {
    match bucket {
        0 => 1,
        1 => 2,
        _ => {
            let octave = 1 << (bucket / 2);
            if bucket.is_multiple_of(2) { octave + octave / 2 } else { octave * 2 }
        }
    }
}

fn bucket_of(us: u64) -> usize {
    if us < 2 {
        return us as usize;
    }
    let octave = us.ilog2() as usize;
    let half = (us >> (octave - 1)) & 1;
    (2 * octave + half as usize).min(LATENCY_BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_below_the_bound_of_its_bucket_and_not_of_the_one_before() {
        for us in (0..5_000).chain([1 << 20, (1 << 22) + 77, 12_582_911]) {
            let bucket = bucket_of(us);
            assert!(us < bound_us(bucket), "{us} in {bucket}");
            assert!(bucket == 0 || us >= bound_us(bucket - 1), "{us} in {bucket}");
        }
        assert_eq!((bucket_of(u64::MAX), bucket_of(13_000_000)), (47, 47));
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(bound_us), [1, 2, 3, 4, 6, 8, 12, 16]);
    }

    #[test]
    fn percentiles_are_of_what_came_since_the_last_look() {
        let vitals = LatencyVitals::default();
        for _ in 0..100 {
            vitals.record(1_000, 1_000 + 900_000_000);
        }
        let before = vitals.read();
        for us in 1..=100 {
            vitals.record(5, 5 + us * 1_000);
        }
        let late = vitals.read().since(&before);
        assert_eq!((late.count(), late.sum_us), (100, 5_050));
        assert_eq!(
            [0, 50, 99, 100].map(|percent| late.percentile_us(percent)),
            [Some(2), Some(64), Some(128), Some(128)]
        );
        assert_eq!(before.since(&before).percentile_us(50), None);
    }

    #[test]
    fn a_clock_that_was_set_back_and_a_worker_that_does_not_say_when_count_nothing() {
        let vitals = LatencyVitals::default();
        vitals.record(0, 5);
        vitals.record(10, 5);
        assert_eq!(vitals.read().count(), 0);
    }
}
