//! The clocks.

use rustix::time::ClockId;

/// Nanoseconds since the epoch, `CLOCK_REALTIME`: what several processes have in common.
pub(crate) fn real_ns() -> i64 {
    read(ClockId::Realtime)
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn mono_ns() -> i64 {
    read(ClockId::Monotonic)
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads a clock; it hands time on as an argument")]
fn read(clock: ClockId) -> i64 {
    let time = rustix::time::clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
