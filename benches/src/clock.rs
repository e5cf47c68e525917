//! Clocks, pace, and processes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

const NS_PER_S: u64 = 1_000_000_000;

/// Nanoseconds since the epoch, `CLOCK_REALTIME`: what the payload's `ingress_ns` is written in, and comparable between
/// processes.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn real_ns() -> u64 {
    let t = clock_gettime(ClockId::Realtime);
    t.tv_sec.cast_unsigned() * NS_PER_S + t.tv_nsec.cast_unsigned()
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn mono_ns() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    t.tv_sec.cast_unsigned() * NS_PER_S + t.tv_nsec.cast_unsigned()
}

/// Calls `send` `rate` times a second, `count` times in all: every millisecond its share, as the simulated market does,
/// whose snapshots have whole milliseconds. A beat that was missed is not made up for. Rate 0 is as fast as it goes.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and keeps a pace")]
pub(crate) fn paced(rate: u32, count: u64, mut send: impl FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
    let burst = if rate == 0 { count } else { u64::from(rate / 1_000).max(1) };
    let gap = if rate == 0 { Duration::ZERO } else { Duration::from_nanos(NS_PER_S * burst / u64::from(rate)) };
    let (mut next, mut sent) = (Instant::now(), 0);
    while sent < count {
        next += gap;
        let now = Instant::now();
        if next > now {
            std::thread::sleep(next - now);
        } else {
            next = now;
        }
        for _ in 0..burst.min(count - sent) {
            send()?;
        }
        sent += burst;
    }
    Ok(())
}

/// Whether `seconds` have passed since `start`.
pub(crate) fn passed(start: u64, seconds: f64) -> bool {
    real_ns().saturating_sub(start) as f64 > seconds * NS_PER_S as f64
}

/// Sleeps until `at`, nanoseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "senders and readers begin at one instant")]
pub(crate) fn sleep_until(at: u64) {
    std::thread::sleep(Duration::from_nanos(at.saturating_sub(real_ns())));
}

/// An instant that leaves everybody time to connect.
pub(crate) fn soon(ms: u64) -> u64 {
    real_ns() + ms * 1_000_000
}

/// Asks every half millisecond until there is an answer, or so many seconds have passed.
#[expect(clippy::disallowed_methods, reason = "it looks again, with a deadline")]
pub(crate) fn until<T>(seconds: u32, what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    let start = real_ns();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if passed(start, seconds.into()) {
            return Err(format!("waited {seconds} s in vain for {what}"));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// A process that ends with its owner.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `program`.
    #[expect(clippy::disallowed_methods, reason = "a benchmark starts the processes that it measures")]
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Result<Self, Failure> {
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

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `program` to its end; what it printed.
#[expect(clippy::disallowed_methods, reason = "a benchmark starts the processes that it measures")]
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| format!("{}: {why}", program.display());
    let done =
        Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|e| failed(e.to_string()))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(failed(said.lines().last().unwrap_or("it failed and said nothing").to_owned()))
}

/// `kill -9`.
#[expect(clippy::disallowed_methods, reason = "what happens when a worker is killed is measured")]
pub(crate) fn kill(pid: u32) -> Result<(), Failure> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no such process")?;
    kill_process(pid, Signal::KILL).map_err(|e| format!("kill: {e}"))
}

/// Whether a process is there, be it as a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap_or(false)
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_address() -> Result<String, Failure> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    listener.local_addr().map(|address| address.to_string()).map_err(|e| e.to_string())
}
