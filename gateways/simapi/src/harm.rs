//! What a vendor's library does to its own process: plain libc, from the library's thread.
#![expect(unsafe_code, reason = "signals, processes and bad writes are what this imitates")]

use std::ffi::{c_int, c_ulong};
use std::{mem, ptr};

use crate::hash::mix;
use crate::scenario::{Flood, Fork, Stream};

/// `abort()`
pub(crate) fn abort() -> ! {
    eprintln!("mdhub-sim: aborts, as asked");
    std::process::abort()
}

/// Writes where nothing is mapped.
pub(crate) fn segfault() {
    eprintln!("mdhub-sim: writes to an address that is not mapped, as asked");
    // SAFETY: none: that is the point. The first page is never mapped, so the write ends the process.
    unsafe { ptr::without_provenance_mut::<u8>(8).write_volatile(1) }
}

/// Never returns.
pub(crate) fn stop_here(spins: bool) -> ! {
    loop {
        if spins { std::hint::spin_loop() } else { std::thread::park() }
    }
}

extern "C" fn nothing(_: c_int) {}

/// SIGTERM does nothing until this is dropped.
pub(crate) struct TermIgnored {
    before: libc::sigaction,
    /// By a handler, or ignored.
    pub(crate) handler: bool,
}

impl TermIgnored {
    pub(crate) fn new(handler: bool) -> Self {
        let action = if handler { nothing as extern "C" fn(c_int) as libc::sighandler_t } else { libc::SIG_IGN };
        // SAFETY: both structures are plain data, valid as zeroes; the handler does nothing, which is safe at any moment.
        unsafe {
            let mut new: libc::sigaction = mem::zeroed();
            let mut before: libc::sigaction = mem::zeroed();
            new.sa_sigaction = action;
            new.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGTERM, &raw const new, &raw mut before);
            Self { before, handler }
        }
    }
}

impl Drop for TermIgnored {
    fn drop(&mut self) {
        // SAFETY: the action that stood there before.
        unsafe {
            libc::sigaction(libc::SIGTERM, &raw const self.before, ptr::null_mut());
        }
    }
}

/// Forks processes that do nothing but be there. Nobody waits for them.
pub(crate) fn fork(fork: &Fork) {
    for _ in 0..fork.children {
        // SAFETY: the child of a process with threads may only do what is safe in a signal handler: `child` calls the
        // kernel and nothing else, and never returns.
        unsafe {
            if libc::fork() == 0 {
                child(fork)
            }
        }
    }
}

/// # Safety
/// Only in a process that was just forked.
unsafe fn child(fork: &Fork) -> ! {
    let mut left = fork.generations;
    // SAFETY: system calls alone, with arguments that live; each is safe in a signal handler.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, c"simapi-child".as_ptr() as c_ulong, 0, 0, 0);
        if fork.ignores_term {
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
        }
        if fork.closes_descriptors {
            libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        }
        loop {
            if fork.setsid {
                libc::setsid();
            }
            if left > 0 {
                left -= 1;
                rest(fork.hop_ms.unwrap_or(0));
                match libc::fork() {
                    0 => continue,
                    _ if fork.hop_ms.is_some() => libc::_exit(0),
                    _ => {}
                }
            }
            rest(fork.lives_ms);
            libc::_exit(0)
        }
    }
}

/// Sleeps, as far as no signal ends it: one system call, safe in a signal handler.
fn rest(ms: u64) {
    let time = libc::timespec { tv_sec: (ms / 1_000).cast_signed(), tv_nsec: (ms % 1_000 * 1_000_000).cast_signed() };
    // SAFETY: a duration that lives.
    unsafe {
        libc::nanosleep(&raw const time, ptr::null_mut());
    }
}

/// Lets the leaked memory be so many bytes: touched, so that it counts.
pub(crate) fn leak(leaked: &mut Vec<Vec<u8>>, bytes: usize) {
    const CHUNK: usize = 1 << 20;
    leaked.truncate(bytes / CHUNK);
    while leaked.len() < bytes / CHUNK {
        leaked.push(vec![0xa5; CHUNK]);
    }
}

/// Prints junk. A reader that does not read holds the library up, as it would the vendor's.
pub(crate) fn flood(flood: &Flood) {
    let descriptors: &[c_int] = match flood.stream {
        Stream::Stdout => &[libc::STDOUT_FILENO],
        Stream::Stderr => &[libc::STDERR_FILENO],
        Stream::Both => &[libc::STDOUT_FILENO, libc::STDERR_FILENO],
    };
    let mut junk = [0_u8; 4_096];
    let mut left = flood.bytes as usize;
    for k in 0_u64.. {
        for (i, word) in (0_u64..).zip(junk.chunks_mut(8)) {
            word.copy_from_slice(&mix(k, i).to_le_bytes());
        }
        let length = left.min(junk.len());
        for descriptor in descriptors {
            write(*descriptor, &junk[..length]);
        }
        left -= length;
        if left == 0 {
            return;
        }
    }
}

/// Writes all of it, or gives up where nobody can read any more.
fn write(descriptor: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes live, and are as many as is said.
        let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(written) => bytes = &bytes[written..],
            Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
