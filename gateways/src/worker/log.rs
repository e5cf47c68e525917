//! A worker's log: plain text on descriptor 2, the level first. The gateway manager reads it.

use std::io::Write as _;

/// Something that people should look at.
pub(super) fn error(text: &str) {
    line("error", text);
}

/// Something that may become an error.
pub(super) fn warn(text: &str) {
    line("warn", text);
}

/// A change of state.
pub(super) fn info(text: &str) {
    line("info", text);
}

/// A single tick.
pub(super) fn trace(text: &str) {
    line("trace", text);
}

fn line(level: &str, text: &str) {
    // Where nobody reads, there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{level} {text}");
}
