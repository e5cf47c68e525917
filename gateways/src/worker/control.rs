//! Commands in, reports out.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::mpsc::SyncSender;

use mdhub_spec::frame::{self, Report};
use zeroize::Zeroizing;

use super::{EXIT_PIPE, Event, Leave};

/// Writes reports, each with one call.
#[derive(Debug)]
pub(super) struct Control {
    pipe: File,
    buffer: Vec<u8>,
}

impl Control {
    pub(super) const fn new(pipe: File) -> Self {
        Self { pipe, buffer: Vec::new() }
    }

    /// Sends one report.
    pub(super) fn send(&mut self, report: &Report) -> Result<(), Leave> {
        let broken = |e: String| Leave::new(EXIT_PIPE, format!("control pipe: {e}"));
        self.buffer.clear();
        frame::put_report(&mut self.buffer, report).map_err(|e| broken(e.to_string()))?;
        self.pipe.write_all(&self.buffer).map_err(|e| broken(e.to_string()))
    }
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
}
