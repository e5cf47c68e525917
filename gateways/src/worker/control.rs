//! Commands in, reports out.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::mpsc::SyncSender;

use mdhub_spec::frame::{self, Report};
use mdhub_spec::process::{EXIT_PIPE, EXIT_REPORTS_UNREAD};
use mdhub_spec::time::Mono;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroizing;

use super::words::cleaned;
use super::{Event, Leave};

/// Bytes of reports that may wait for the hub. The answers to 20,000 subscriptions fit.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// While reports wait, the pipe is looked at so often.
pub(super) const LOOK_MS: u64 = 20;
/// The last report is waited for so long.
const LAST_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// Writes reports. It never waits for the hub: what the pipe does not take is kept, for so long and no longer.
#[derive(Debug)]
pub(super) struct Control {
    pipe: File,
    /// Encoded reports, of which the first bytes may be gone already.
    pending: Vec<u8>,
    taken: usize,
    /// Since when the pipe has taken nothing.
    stuck_since: Option<Mono>,
}

impl Control {
    /// A writer to a pipe that does not block.
    pub(super) const fn new(pipe: File) -> Self {
        Self { pipe, pending: Vec::new(), taken: 0, stuck_since: None }
    }

    /// Sends one report, or keeps it until the pipe takes it.
    pub(super) fn send(&mut self, report: Report) -> Result<(), Leave> {
        frame::put_report(&mut self.pending, &cleaned(report)).map_err(|e| broken(&e.to_string()))?;
        self.flush()?;
        let waiting = self.waiting();
        if waiting > PENDING_BYTES_MAX {
            return Err(Leave::new(
                EXIT_REPORTS_UNREAD,
                format!("{waiting} bytes of reports wait for the hub to read them"),
            ));
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.pending.len() - self.taken
    }

    /// Whether reports wait.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting() > 0
    }

    /// Writes what waits; gives up where nothing could be for `limit_ms`.
    pub(super) fn look(&mut self, limit_ms: u64, now: Mono) -> Result<(), Leave> {
        let before = self.waiting();
        self.flush()?;
        let after = self.waiting();
        self.stuck_since = match self.stuck_since {
            _ if after == 0 => None,
            Some(since) if after == before => Some(since),
            _ => Some(now),
        };
        let stuck_ms = self.stuck_since.map_or(0, |since| now.ms_since(since));
        if self.stuck_since.is_none() || stuck_ms < limit_ms {
            return Ok(());
        }
        let text = format!("the hub has read no report for {stuck_ms} ms, {after} bytes wait");
        Err(Leave::new(EXIT_REPORTS_UNREAD, text))
    }

    fn flush(&mut self) -> Result<(), Leave> {
        while let Some(rest) = self.pending.get(self.taken..).filter(|rest| !rest.is_empty()) {
            match self.pipe.write(rest) {
                Ok(written) => self.taken += written,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(broken(&e.to_string())),
            }
        }
        // Everything, or so much that moving the rest is worth it.
        if self.taken == self.pending.len() || self.taken > PENDING_BYTES_MAX / 4 {
            self.pending.drain(..self.taken);
            self.taken = 0;
        }
        Ok(())
    }

    /// Sends the last report, and waits for the pipe to take it, but not for long: the pipe may be what broke.
    pub(super) fn send_last(&mut self, report: Report) {
        let _ = self.send(report);
        while self.is_waiting() {
            let mut fds = [PollFd::new(&self.pipe, PollFlags::OUT)];
            match poll(&mut fds, Some(&LAST_WAIT)) {
                Ok(1..) if self.flush().is_ok() => {}
                _ => return,
            }
        }
    }
}

fn broken(why: &str) -> Leave {
    Leave::new(EXIT_PIPE, format!("control pipe: {why}"))
}

/// Reads commands from standard input until it ends or breaks. Blocks while the main thread is busy.
pub(super) fn read_commands(events: &SyncSender<Event>) {
    let mut input = std::io::stdin().lock();
    // The first command carries the password.
    let mut buffer = Zeroizing::new(Vec::new());
    let mut chunk = Zeroizing::new([0; 16 * 1024]);
    loop {
        let last = match input.read(chunk.as_mut_slice()) {
            Ok(0) => Some(Event::CommandsEnded),
            Ok(n) => {
                buffer.extend_from_slice(chunk.get(..n).unwrap_or_default());
                take_commands(&mut buffer, events)
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => None,
            Err(e) => Some(Event::BadCommand(format!("commands: {e}"))),
        };
        if let Some(event) = last {
            // A main thread that is gone needs no telling.
            let _ = events.send(event);
            return;
        }
    }
}

/// Hands on every whole command in `buffer`; a broken one ends the reading.
fn take_commands(buffer: &mut Vec<u8>, events: &SyncSender<Event>) -> Option<Event> {
    loop {
        let command = match frame::first(buffer) {
            Ok(None) => return None,
            Ok(Some(frame)) => frame::command(&frame).map(|command| (command, frame.stream_bytes())),
            Err(e) => Err(e),
        };
        match command {
            Ok((command, taken)) => {
                buffer.drain(..taken);
                if events.send(Event::Command(command)).is_err() {
                    return Some(Event::CommandsEnded);
                }
            }
            Err(e) => return Some(Event::BadCommand(format!("commands: {e}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use mdhub_spec::frame::{Command, put_command};

    use super::*;

    #[test]
    fn commands_are_taken_whole_however_they_are_cut() {
        let mut stream = Vec::new();
        for command in [Command::Subscribe(vec!["m2705.DCE".parse().expect("valid")]), Command::Stop] {
            put_command(&mut stream, &command).expect("encodes");
        }
        let (events, inbox) = sync_channel(8);
        let mut buffer = Vec::new();
        for byte in stream {
            buffer.push(byte);
            assert!(take_commands(&mut buffer, &events).is_none());
        }
        assert!(matches!(inbox.try_recv(), Ok(Event::Command(Command::Subscribe(c))) if c.len() == 1));
        assert!(matches!(inbox.try_recv(), Ok(Event::Command(Command::Stop))));
        assert!(buffer.is_empty());
        buffer.extend([3, 0, 0, 0, 9, 1, 2]);
        assert!(matches!(take_commands(&mut buffer, &events), Some(Event::BadCommand(why)) if why.contains("kind 9")));
    }

    fn pipe() -> (std::io::PipeReader, Control) {
        let (reading, writing) = std::io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&writing, true).expect("a pipe");
        (reading, Control::new(File::from(std::os::fd::OwnedFd::from(writing))))
    }

    fn fill(control: &mut Control) -> u64 {
        let mut sent = 0;
        while !control.is_waiting() {
            control.send(Report::Heartbeat { received: sent, ring_dropped: 0 }).expect("taken or kept");
            sent += 1;
        }
        sent
    }

    #[test]
    fn a_hub_that_does_not_read_is_borne_for_so_long_and_nothing_is_lost_if_it_reads_again() {
        let (mut reading, mut control) = pipe();
        let sent = fill(&mut control);
        let at = |ms| Mono(0).plus_ms(ms);
        control.look(100, at(0)).expect("borne");
        control.look(100, at(99)).expect("borne");
        let stuck = control.look(100, at(100)).expect_err("gives up");
        assert_eq!(stuck.code, EXIT_REPORTS_UNREAD);
        assert!(stuck.reason.contains("no report for 100 ms"), "{}", stuck.reason);
        let mut stream = vec![0; 64 * 1024];
        let read = reading.read(&mut stream).expect("readable");
        stream.truncate(read);
        control.look(100, at(101)).expect("it reads again");
        assert!(!control.is_waiting());
        drop(control);
        reading.read_to_end(&mut stream).expect("readable");
        let mut reports = 0;
        while let Some(frame) = frame::first(&stream).expect("frames") {
            assert_eq!(frame::report(&frame), Ok(Report::Heartbeat { received: reports, ring_dropped: 0 }));
            reports += 1;
            let taken = frame.stream_bytes();
            stream.drain(..taken);
        }
        assert_eq!((reports, stream.len()), (sent, 0));
    }

    #[test]
    fn reports_that_wait_are_bounded() {
        let (_reading, mut control) = pipe();
        let message = "x".repeat(1_000);
        let ack = || Report::SubscribeAck { symbol: "s".into(), refused: Some((1, message.clone())) };
        let outcome = (0..10_000).map(|_| control.send(ack())).find(Result::is_err);
        let leave = outcome.expect("bounded").expect_err("bounded");
        assert_eq!(leave.code, EXIT_REPORTS_UNREAD);
        assert!(control.pending.len() < PENDING_BYTES_MAX + 4_000);
    }

    #[test]
    fn the_last_word_does_not_wait_for_ever_and_a_broken_pipe_says_so() {
        let (reading, mut control) = pipe();
        fill(&mut control);
        control.send_last(Report::Bye { code: 0, reason: String::new() });
        assert!(control.is_waiting());
        drop(reading);
        assert_eq!(control.look(100, Mono(0)).map_err(|leave| leave.code), Err(EXIT_PIPE));
    }
}
