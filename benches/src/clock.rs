//! Clocks and pace.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// Nanoseconds since the epoch, `CLOCK_REALTIME`: what the payload's `ingress_ns` is written in, and comparable between
/// processes.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn real_ns() -> u64 {
    let t = clock_gettime(ClockId::Realtime);
    t.tv_sec.cast_unsigned() * 1_000_000_000 + t.tv_nsec.cast_unsigned()
}

/// Calls `send` `rate` times a second until it fails: every millisecond its share, as the simulated market does, whose
/// snapshots have whole milliseconds. A beat that was missed is not made up for.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and keeps a pace")]
pub(crate) fn paced(rate: &str, mut send: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    let rate: u32 = rate.parse().map_err(|_| format!("rate {rate:?}: a number is needed"))?;
    let burst = (rate / 1_000).max(1);
    let gap = Duration::from_secs(1) * burst / rate;
    let mut next = Instant::now();
    loop {
        next += gap;
        let now = Instant::now();
        if next > now {
            std::thread::sleep(next - now);
        } else {
            next = now;
        }
        for _ in 0..burst {
            send()?;
        }
    }
}

/// Whether `seconds` have passed since `start`.
pub(crate) fn passed(start: u64, seconds: u32) -> bool {
    real_ns().saturating_sub(start) > u64::from(seconds) * 1_000_000_000
}

/// A process that ends with its owner.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `program`.
    #[expect(clippy::disallowed_methods, reason = "a benchmark starts the processes that it measures")]
    pub(crate) fn start(program: &std::path::Path, arguments: &[&str]) -> Result<Self, Failure> {
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
            .map_err(|e| format!("{}: {e}", program.display()))
    }

    /// Starts this program again, as a sender.
    pub(crate) fn sender(arguments: &[&str]) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        Self::start(&program, arguments)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
