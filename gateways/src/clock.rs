//! The one place in this crate that reads clocks.

use mdhub_spec::time::{Mono, Now};
use rustix::time::ClockId;

/// Both clocks, read one after the other.
pub(crate) fn now() -> Now {
    Now { mono: Mono(read(ClockId::Monotonic)), wall_ns: read(ClockId::Realtime) }
}

/// `CLOCK_MONOTONIC` alone.
pub(crate) fn mono() -> Mono {
    Mono(read(ClockId::Monotonic))
}

#[expect(clippy::disallowed_methods, reason = "the edge at which instants enter this crate")]
fn read(clock: ClockId) -> u64 {
    let at = rustix::time::clock_gettime(clock);
    at.tv_sec.cast_unsigned() * 1_000_000_000 + at.tv_nsec.cast_unsigned()
}
