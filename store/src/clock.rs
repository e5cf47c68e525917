//! The store's edge to time.

use std::time::SystemTime;

/// Milliseconds since the epoch, `CLOCK_REALTIME`: what rows are stamped with. Nothing is decided by it but which events
/// are too old to keep.
pub(crate) fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the store is an edge: it stamps rows with the time of the write")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis().try_into().unwrap_or(i64::MAX))
}
