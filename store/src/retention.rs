//! How many events are kept, and for how long: the same in every backend.

/// Most events kept.
pub(crate) const KEPT_MAX: u32 = 10_000;

/// Oldest event kept, milliseconds: 90 days.
pub(crate) const AGE_MS_MAX: i64 = 90 * 24 * 3600 * 1000;

/// Old events go at every so many appends. What may gather between counts as part of [`KEPT_MAX`].
pub(crate) const PRUNE_EVERY: u32 = 128;

/// Longest text of an event, bytes; the rest is cut off.
const TEXT_BYTES_MAX: usize = 4096;

/// The text as far as it is kept.
pub(crate) fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}
