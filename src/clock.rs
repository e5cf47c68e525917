//! The one place of the control plane that reads the clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use mdhub_spec::time::{Mono, Now};
use rustix::time::{ClockId, clock_gettime};

/// Both clocks, now.
#[expect(clippy::disallowed_methods, reason = "this is the edge that reads the clocks")]
pub(crate) fn now() -> Now {
    let mono = clock_gettime(ClockId::Monotonic);
    let mono_ns = mono.tv_sec.cast_unsigned() * 1_000_000_000 + mono.tv_nsec.cast_unsigned();
    // A clock before 1970 reads as 1970; nothing but the dates of events depends on it here.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Mono(mono_ns), wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX) }
}
