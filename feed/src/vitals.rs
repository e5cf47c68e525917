//! Counters of the feed's own, beside those that `spec::plane` shares. Written by the feed thread alone, read by anyone.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::plane::{SOURCES_MAX, SourceSlot};
use mdhub_spec::settings::Rule;

/// Adds one. A counter has one writer, so this needs no locked instruction.
pub(crate) fn count(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

/// What each cleansing rule did. Each number only grows, but a slot's begin anew with another account.
#[derive(Debug)]
pub struct RuleVitals {
    rejected: [AtomicU64; Rule::ALL.len()],
    shadowed: [AtomicU64; Rule::ALL.len()],
    of_source: Box<[[AtomicU64; Rule::ALL.len()]; SOURCES_MAX]>,
    doubted: AtomicU64,
    unpublishable: AtomicU64,
}

impl Default for RuleVitals {
    fn default() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            rejected: zeros(),
            shadowed: zeros(),
            of_source: Box::new(std::array::from_fn(|_| zeros())),
            doubted: AtomicU64::new(0),
            unpublishable: AtomicU64::new(0),
        }
    }
}

impl RuleVitals {
    /// Ticks that this rule rejected.
    #[must_use]
    pub fn rejected(&self, rule: Rule) -> u64 {
        self.rejected[rule as usize].load(Relaxed)
    }

    /// Ticks that this rule would have rejected, had it not been in shadow.
    #[must_use]
    pub fn shadowed(&self, rule: Rule) -> u64 {
        self.shadowed[rule as usize].load(Relaxed)
    }

    /// Ticks that no rule rejected, since theirs is off or in shadow, and that have no contract or no exchange time.
    #[must_use]
    pub fn unpublishable(&self) -> u64 {
        self.unpublishable.load(Relaxed)
    }

    /// This source's ticks that this rule rejected.
    #[must_use]
    pub fn rejected_of(&self, source: SourceSlot, rule: Rule) -> u64 {
        self.of_source[source.index()][rule as usize].load(Relaxed)
    }

    /// Ticks published although calendar or clock were against them, since every source was.
    #[must_use]
    pub fn doubted(&self) -> u64 {
        self.doubted.load(Relaxed)
    }

    pub(crate) fn count_rejected(&self, source: SourceSlot, rule: Rule) {
        count(&self.rejected[rule as usize]);
        count(&self.of_source[source.index()][rule as usize]);
    }

    /// Another account has this slot from now on.
    pub(crate) fn reset(&self, source: SourceSlot) {
        self.of_source[source.index()].iter().for_each(|counter| counter.store(0, Relaxed));
    }

    pub(crate) fn count_doubted(&self) {
        count(&self.doubted);
    }

    pub(crate) fn count_shadowed(&self, rule: Rule) {
        count(&self.shadowed[rule as usize]);
    }

    pub(crate) fn count_unpublishable(&self) {
        count(&self.unpublishable);
    }
}

/// Bucket `i` counts lags below 2^i microseconds that no lower bucket takes; the last one takes the rest.
pub const LAG_BUCKETS: usize = 32;

/// How each source does in the race: how far its copies came in behind the published ones, between the two workers'
/// receipts (coarse, by powers of two), and what it alone has brought.
#[derive(Debug)]
pub struct LagVitals(Box<[Race; SOURCES_MAX]>);

#[derive(Debug)]
struct Race {
    lags: [AtomicU64; LAG_BUCKETS],
    saves: AtomicU64,
    outvoted: AtomicU64,
}

impl Default for LagVitals {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Race {
            lags: std::array::from_fn(|_| AtomicU64::new(0)),
            saves: AtomicU64::new(0),
            outvoted: AtomicU64::new(0),
        })))
    }
}

impl LagVitals {
    pub(crate) fn record(&self, source: SourceSlot, lag_ns: u64) {
        let lag_us = lag_ns / 1_000;
        let bucket = (u64::BITS - lag_us.leading_zeros()) as usize;
        count(&self.0[source.index()].lags[bucket.min(LAG_BUCKETS - 1)]);
    }

    /// Another account has this slot from now on.
    pub(crate) fn reset(&self, source: SourceSlot) {
        let Race { lags, saves, outvoted } = &self.0[source.index()];
        lags.iter().chain([saves, outvoted]).for_each(|counter| counter.store(0, Relaxed));
    }

    pub(crate) fn count_save(&self, source: SourceSlot) {
        count(&self.0[source.index()].saves);
    }

    pub(crate) fn count_outvoted(&self, source: SourceSlot) {
        count(&self.0[source.index()].outvoted);
    }

    /// Published ticks that nobody but this source has brought.
    #[must_use]
    pub fn saves(&self, source: SourceSlot) -> u64 {
        self.0[source.index()].saves.load(Relaxed)
    }

    /// Times that this source alone showed a snapshot, or the day's limits, otherwise than two or more others.
    #[must_use]
    pub fn outvoted(&self, source: SourceSlot) -> u64 {
        self.0[source.index()].outvoted.load(Relaxed)
    }

    /// The source's copies by their lag: the number at `i` is of those below 2^i microseconds that no earlier one counts.
    #[must_use]
    pub fn histogram(&self, source: SourceSlot) -> [u64; LAG_BUCKETS] {
        self.0[source.index()].lags.each_ref().map(|bucket| bucket.load(Relaxed))
    }

    /// An upper bound of the lag that `percent` of the source's copies stayed within, microseconds; `None` when it
    /// brought no copies.
    #[must_use]
    pub fn percentile_us(&self, source: SourceSlot, percent: u8) -> Option<u64> {
        let counts = self.histogram(source);
        let total: u64 = counts.iter().sum();
        let wanted = (total.saturating_mul(u64::from(percent.min(100)))).div_ceil(100).max(1);
        let mut sum = 0;
        let bucket = counts.iter().position(|n| {
            sum += n;
            sum >= wanted
        })?;
        Some(1 << bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_bounds_what_was_recorded() {
        let (lags, source) = (LagVitals::default(), SourceSlot::new(63).expect("a slot"));
        assert_eq!(lags.percentile_us(source, 50), None);
        for _ in 0..99 {
            lags.record(source, 300_000);
        }
        lags.record(source, u64::MAX);
        assert_eq!(lags.percentile_us(source, 50), Some(512));
        assert_eq!(lags.percentile_us(source, 99), Some(512));
        assert_eq!(lags.percentile_us(source, 100), Some(1 << 31));
        assert_eq!(lags.percentile_us(SourceSlot::new(0).expect("a slot"), 50), None);
    }

    #[test]
    fn a_lag_of_nothing_has_a_bucket_too() {
        let (lags, source) = (LagVitals::default(), SourceSlot::new(0).expect("a slot"));
        lags.record(source, 0);
        assert_eq!(lags.percentile_us(source, 50), Some(1));
    }

    #[test]
    fn a_slot_that_is_reset_has_no_counts_and_the_others_keep_theirs() {
        let (rules, lags) = (RuleVitals::default(), LagVitals::default());
        let [given, kept] = [3, 4].map(|index| SourceSlot::new(index).expect("a slot"));
        for source in [given, kept] {
            rules.count_rejected(source, Rule::BadTime);
            lags.record(source, 300_000);
            lags.count_save(source);
            lags.count_outvoted(source);
        }
        rules.reset(given);
        lags.reset(given);
        let counts = |source| {
            let copies: u64 = lags.histogram(source).iter().sum();
            [rules.rejected_of(source, Rule::BadTime), copies, lags.saves(source), lags.outvoted(source)]
        };
        assert_eq!((counts(given), counts(kept)), ([0; 4], [1; 4]));
        assert_eq!(lags.percentile_us(given, 50), None);
        assert_eq!(rules.rejected(Rule::BadTime), 2, "what the rule did stays");
    }
}
