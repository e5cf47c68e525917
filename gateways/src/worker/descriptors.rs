//! Which descriptor is what, and the tie to the parent.

use std::fs::{File, OpenOptions};
use std::io;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// A worker's way out to the hub.
#[derive(Debug)]
pub(super) struct Descriptors {
    /// Tick frames.
    pub(super) ticks: File,
    /// Control frames.
    pub(super) control: File,
}

impl Descriptors {
    /// Takes the descriptors over, and ties this process to its parent's life.
    pub(super) fn take(parent_pid: u32) -> io::Result<Self> {
        // Once the kernel knows that this process goes with its parent, the parent is looked at: it may have gone before.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get().cast_unsigned());
        if parent != parent_pid {
            return Err(io::Error::other(format!("parent process is {parent}, the hub is {parent_pid}")));
        }
        // Descriptor 1 becomes a second stderr, so that a stray print of the library cannot land among frames.
        let ticks = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 4)?;
        rustix::stdio::dup2_stdout(io::stderr())?;
        // Owning an inherited descriptor needs `unsafe`, which this module does not have. Opening it by its name in
        // /proc gives the same pipe anew; the inherited one just stays open as long as the process.
        let control = OpenOptions::new().write(true).open("/proc/self/fd/3")?;
        Ok(Self { ticks: ticks.into(), control })
    }
}
