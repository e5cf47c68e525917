//! Instants. Nobody here reads a clock: a caller at the edge does, and passes [`Now`] in.

use std::time::Duration;

/// Nanoseconds per millisecond.
pub const NS_PER_MS: u64 = 1_000_000;

/// An instant of `CLOCK_MONOTONIC`, in nanoseconds. For ages, backoff and deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// The instant `ms` milliseconds later; saturates at the end of time.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(NS_PER_MS)))
    }

    /// Whole milliseconds from `earlier` to `self`; zero when `earlier` is not earlier.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / NS_PER_MS
    }

    /// How long until `later`; zero when it has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// Both clocks, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// `CLOCK_MONOTONIC`.
    pub mono: Mono,
    /// Nanoseconds since the epoch, `CLOCK_REALTIME`.
    pub wall_ns: u64,
}

impl Now {
    /// Milliseconds since the epoch, `CLOCK_REALTIME`.
    #[must_use]
    pub const fn wall_ms(self) -> i64 {
        (self.wall_ns / NS_PER_MS).cast_signed()
    }
}
