//! The clocks of the feed thread, the only ones that the feed reads.

use mdhub_spec::time::Mono;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The present of `CLOCK_MONOTONIC`: for ages and deadlines.
#[expect(clippy::disallowed_methods, reason = "the edge of the data plane")]
pub(crate) fn mono() -> Mono {
    Mono(nanoseconds(clock_gettime(ClockId::Monotonic)))
}

/// The present of `CLOCK_REALTIME`, nanoseconds since the epoch: a tick's egress.
#[expect(clippy::disallowed_methods, reason = "the edge of the data plane")]
pub(crate) fn real_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

fn nanoseconds(t: Timespec) -> u64 {
    t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs()
}
