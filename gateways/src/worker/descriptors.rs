//! Which descriptor is what, and the tie to the parent.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::process::{DumpableBehavior, Signal, getppid, set_dumpable_behavior, set_parent_process_death_signal};

use super::log;

/// A worker's way out to the hub.
#[derive(Debug)]
pub(super) struct Descriptors {
    /// Tick frames.
    pub(super) ticks: TickPipe,
    /// Control frames; does not block.
    pub(super) control: File,
    /// What the library prints.
    pub(super) printed: PipeReader,
}

/// The tick pipe, twice: a write to it waits, or does not.
#[derive(Debug)]
pub(super) struct TickPipe {
    pub(super) waiting: File,
    pub(super) direct: File,
}

impl TickPipe {
    /// Opens the pipe anew, since whether a write waits belongs to an opening, not to a descriptor.
    pub(super) fn open(waiting: File) -> io::Result<Self> {
        let direct = open_never_waiting(waiting.as_raw_fd())?;
        Ok(Self { waiting, direct })
    }
}

/// Opens what is behind a descriptor of this process anew, to be written without waiting.
fn open_never_waiting(descriptor: RawFd) -> io::Result<File> {
    let does_not_block = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().write(true).custom_flags(does_not_block).open(format!("/proc/self/fd/{descriptor}"))
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
        // Owning an inherited descriptor needs `unsafe`, which this module does not have. Opening it by its name in
        // /proc gives the same pipe anew; the inherited one just stays open as long as the process.
        let control = open_never_waiting(3)?;
        log::never_wait()?;
        let ticks = TickPipe::open(rustix::io::fcntl_dupfd_cloexec(io::stdout(), 4)?.into())?;
        // Descriptor 1 becomes a pipe to this process, so that what the library prints cannot land among frames. It does
        // not block: the library's thread must not wait for a reader, and loses its words instead.
        let (printed, print) = io::pipe()?;
        rustix::io::ioctl_fionbio(&print, true)?;
        rustix::stdio::dup2_stdout(&print)?;
        // No core file and no debugger: a password is in this memory.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        Ok(Self { ticks, control, printed })
    }
}
