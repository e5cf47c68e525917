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

/// What this thread has had of a processor, microseconds: other threads, and other processes, do not count.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "how much work a round is shows in no other way")]
pub(crate) fn worked_us() -> u64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec.unsigned_abs() * 1_000_000 + t.tv_nsec.unsigned_abs() / 1_000
}
