//! The bounded ring between the vendor's thread and the tick pipe.
//!
//! When the hub does not read, the pipe fills, then the ring, and then the oldest ticks go, counted: a late tick is worth
//! less than a fresh one, and the vendor's thread must never wait.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use crossbeam_queue::ArrayQueue;
use mdhub_spec::frame::{TICK_FRAME_BYTES, put_tick};
use mdhub_spec::raw_tick::{RawTick, text};

use super::{Event, log};

/// Ticks that may wait in the ring.
pub const RING_TICKS: usize = 16_384;
/// Bytes that go into one write.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// Contracts whose first tick is logged.
const FIRST_TICKS_MAX: usize = 65_536;
/// Set to `trace` in a library's environment, it makes its workers log every tick.
const LOG_VARIABLE: &str = "MDHUB_WORKER_LOG";

/// The ring.
#[derive(Debug)]
pub struct TickRing {
    queue: ArrayQueue<RawTick>,
    received: AtomicU64,
    dropped: AtomicU64,
    writer: OnceLock<Thread>,
}

impl Default for TickRing {
    fn default() -> Self {
        Self::with_room(RING_TICKS)
    }
}

impl TickRing {
    /// A ring of [`RING_TICKS`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with_room(ticks: usize) -> Self {
        let (received, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { queue: ArrayQueue::new(ticks), received, dropped, writer: OnceLock::new() }
    }

    /// Takes a tick. Never waits: a full ring gives up its oldest.
    pub fn push(&self, tick: RawTick) {
        self.received.fetch_add(1, Ordering::Relaxed);
        if self.queue.force_push(tick).is_some() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Ticks that came, so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Ticks that a full ring gave up, so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Starts the thread that writes to `pipe`; it ends, with an event, when the pipe breaks.
    pub(super) fn write_to(self: &Arc<Self>, mut pipe: File, events: SyncSender<Event>) -> io::Result<()> {
        let ring = Arc::clone(self);
        let trace = std::env::var(LOG_VARIABLE).is_ok_and(|level| level == "trace");
        let thread = std::thread::Builder::new().name("ticks".into()).spawn(move || {
            let Err(e) = ring.drain(&mut pipe, &mut FirstTicks::new(trace));
            // A full queue means that the worker is leaving anyway.
            let _ = events.try_send(Event::TickPipeBroken(e.to_string()));
        })?;
        // Set before the library is started, so before the first push.
        let _ = self.writer.set(thread.thread().clone());
        Ok(())
    }

    fn drain(&self, pipe: &mut impl Write, log: &mut FirstTicks) -> io::Result<std::convert::Infallible> {
        let mut buffer = Vec::with_capacity(WRITE_BYTES_MAX);
        loop {
            self.fill(&mut buffer, log);
            if buffer.is_empty() {
                // A push between the look and this call leaves a token, and the call returns at once.
                std::thread::park();
            } else {
                pipe.write_all(&buffer)?;
                buffer.clear();
                log.write();
            }
        }
    }

    /// Takes what is there, up to one write's worth.
    fn fill(&self, buffer: &mut Vec<u8>, log: &mut FirstTicks) {
        while buffer.len() + TICK_FRAME_BYTES <= WRITE_BYTES_MAX {
            let Some(tick) = self.queue.pop() else { return };
            put_tick(buffer, &tick);
            log.see(&tick);
        }
    }
}

/// A line, and the level that it is logged at.
type Line = (fn(&str), String);

/// Logs each contract's first tick, once the ticks themselves are on their way: whoever reads the log may be slow.
struct FirstTicks {
    seen: HashSet<[u8; 81]>,
    trace: bool,
    /// Lines of ticks that are not written yet; at most two for each tick of one write.
    lines: Vec<Line>,
}

impl FirstTicks {
    fn new(trace: bool) -> Self {
        Self { seen: HashSet::new(), trace, lines: Vec::new() }
    }

    fn see(&mut self, tick: &RawTick) {
        let is_first = !self.seen.contains(&tick.instrument) && self.seen.len() < FIRST_TICKS_MAX;
        if !is_first && !self.trace {
            return;
        }
        let show = |field: &[u8]| String::from_utf8_lossy(text(field)).into_owned();
        let (symbol, time, ms) = (show(&tick.instrument), show(&tick.update_time), tick.update_ms.get());
        if is_first {
            self.seen.insert(tick.instrument);
            let line = format!("first tick {symbol} {time}.{ms:03} last {}", tick.last_price.get());
            self.lines.push((log::info, line));
        }
        if self.trace {
            let (last, volume) = (tick.last_price.get(), tick.volume.get());
            self.lines.push((log::trace, format!("tick {symbol} {time}.{ms:03} last {last} volume {volume}")));
        }
    }

    fn write(&mut self) {
        self.lines.drain(..).for_each(|(log, line)| log(&line));
    }
}

#[cfg(test)]
mod tests {
    use mdhub_spec::frame;
    use mdhub_spec::raw_tick::field;

    use super::*;

    fn tick(number: i32) -> RawTick {
        RawTick { volume: number.into(), instrument: field(b"rb2701"), ..RawTick::default() }
    }

    fn volumes(mut stream: &[u8]) -> Vec<i32> {
        let mut all = Vec::new();
        while let Some(frame) = frame::first(stream).expect("frames") {
            all.push(frame::tick(&frame).expect("a tick").volume.get());
            stream = &stream[frame.stream_bytes()..];
        }
        assert!(stream.is_empty());
        all
    }

    #[test]
    fn a_first_tick_is_told_once_and_only_after_its_batch_was_taken() {
        let ring = TickRing::with_room(4);
        let mut log = FirstTicks::new(false);
        (0..2).for_each(|n| ring.push(tick(n)));
        ring.fill(&mut Vec::new(), &mut log);
        assert_eq!(
            log.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>(),
            ["first tick rb2701 .000 last 0"]
        );
        log.write();
        ring.push(tick(2));
        ring.fill(&mut Vec::new(), &mut log);
        assert!(log.lines.is_empty());
    }

    #[test]
    fn a_full_ring_gives_up_its_oldest_and_counts() {
        let ring = TickRing::with_room(4);
        (0..10).for_each(|n| ring.push(tick(n)));
        let mut buffer = Vec::new();
        ring.fill(&mut buffer, &mut FirstTicks::new(false));
        assert_eq!(volumes(&buffer), [6, 7, 8, 9]);
        assert_eq!((ring.received(), ring.dropped()), (10, 6));
    }

    #[test]
    fn ticks_are_coalesced_into_writes_of_whole_frames_and_none_is_lost() {
        struct Writes(Vec<Vec<u8>>, usize);
        impl Write for Writes {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(bytes.to_vec());
                let ticks: usize = self.0.iter().map(|w| w.len() / TICK_FRAME_BYTES).sum();
                if ticks >= self.1 { Err(io::Error::other("enough")) } else { Ok(bytes.len()) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let ring = TickRing::with_room(1000);
        (0..1000).for_each(|n| ring.push(tick(n)));
        let mut writes = Writes(Vec::new(), 1000);
        assert!(ring.drain(&mut writes, &mut FirstTicks::new(false)).is_err());
        assert!(writes.0.len() < 10, "{} writes", writes.0.len());
        assert!(writes.0.iter().all(|w| w.len() % TICK_FRAME_BYTES == 0 && w.len() <= WRITE_BYTES_MAX));
        assert_eq!(volumes(&writes.0.concat()), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_broken_pipe_ends_the_writer_with_an_event() {
        let (reading, writing) = std::io::pipe().expect("a pipe");
        drop(reading);
        let (events, inbox) = std::sync::mpsc::sync_channel(1);
        let ring = Arc::new(TickRing::with_room(4));
        ring.write_to(File::from(std::os::fd::OwnedFd::from(writing)), events).expect("a thread");
        ring.push(tick(1));
        let event = inbox.recv_timeout(std::time::Duration::from_secs(10));
        assert!(matches!(event, Ok(Event::TickPipeBroken(_))), "{event:?}");
    }
}
