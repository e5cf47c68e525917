//! A worker's log: plain text on descriptor 2, the level first. The gateway manager reads it.
//!
//! A line that finds the pipe full is dropped and counted: no thread ever waits for somebody to read the log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;

use super::words::clean;

/// Bytes of a line. A pipe takes so many at once or not at all.
const LINE_BYTES_MAX: usize = 4_000;

/// Descriptor 2 opened anew, so that it alone does not block.
static SINK: OnceLock<File> = OnceLock::new();
/// Lines that found the pipe full.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// From here on no line waits.
pub(super) fn never_wait() -> io::Result<()> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let sink = OpenOptions::new().append(true).custom_flags(flags).open("/proc/self/fd/2")?;
    // A second call finds the first one's.
    let _ = SINK.set(sink);
    Ok(())
}

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
    let text = clean(text, LINE_BYTES_MAX);
    let Some(mut sink) = SINK.get() else {
        // Where nobody reads, there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{level} {text}");
        return;
    };
    let dropped = DROPPED.load(Ordering::Relaxed);
    let lost = if dropped > 0 {
        format!("warn {dropped} log lines were dropped: the hub did not read\n")
    } else {
        String::new()
    };
    if sink.write_all(format!("{lost}{level} {text}\n").as_bytes()).is_ok() {
        DROPPED.fetch_sub(dropped, Ordering::Relaxed);
    } else {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}
