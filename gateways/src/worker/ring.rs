//! The bounded ring between the vendor's thread and the tick pipe.
//!
//! While nothing waits, the vendor's thread writes its tick to the pipe itself, which saves waking another thread. What
//! the pipe does not take at once goes into the ring, and the writer's thread brings it there. When the hub does not read,
//! the pipe fills, then the ring, and then the oldest ticks go, counted: a late tick is worth less than a fresh one, and
//! the vendor's thread must never wait.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use crossbeam_queue::ArrayQueue;
use mdhub_spec::frame::{TICK_FRAME_BYTES, put_tick};
use mdhub_spec::raw_tick::{RawTick, text};

use super::descriptors::TickPipe;
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
    outlet: Mutex<Outlet>,
}

/// What leads to the pipe. Whoever holds it is the only one that writes; the vendor's thread takes it if it is free, and
/// never waits for it.
#[derive(Debug, Default)]
struct Outlet {
    /// The pipe, opened so that a write never waits; none where there is only the writer's thread.
    direct: Option<File>,
    /// Frames on their way: the first may have lost its beginning to a write that took a part.
    buffer: Vec<u8>,
    first_ticks: FirstTicks,
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
        Self { queue: ArrayQueue::new(ticks), received, dropped, writer: OnceLock::new(), outlet: Mutex::default() }
    }

    /// Takes a tick. Never waits: a full ring gives up its oldest.
    pub fn push(&self, tick: RawTick) {
        self.received.fetch_add(1, Ordering::Relaxed);
        if self.is_written_at_once(&tick) {
            return;
        }
        if self.queue.force_push(tick).is_some() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.wake_writer();
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

    /// Whether the tick went straight into the pipe. It does not overtake: nothing is in the ring, and nobody else writes.
    /// Ticks that are logged leave it to the writer's thread.
    fn is_written_at_once(&self, tick: &RawTick) -> bool {
        let Ok(mut outlet) = self.outlet.try_lock() else { return false };
        let Outlet { direct: Some(pipe), buffer, first_ticks } = &mut *outlet else { return false };
        if !buffer.is_empty() || !self.queue.is_empty() || first_ticks.are_to_hear_of(tick) {
            return false;
        }
        put_tick(buffer, tick);
        // A pipe takes a frame whole or not at all. When it is full or broken, the writer's thread waits, or says so.
        let written = pipe.write(buffer).unwrap_or(0);
        if written == 0 {
            buffer.clear();
            return false;
        }
        buffer.drain(..written);
        if !buffer.is_empty() {
            drop(outlet);
            self.wake_writer();
        }
        true
    }

    fn outlet(&self) -> MutexGuard<'_, Outlet> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_writer(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Starts the thread that writes to `pipe`; it ends, with an event, when the pipe breaks. `direct` is the same pipe,
    /// opened so that a write never waits.
    pub(super) fn write_to(self: &Arc<Self>, pipe: TickPipe, events: SyncSender<Event>) -> io::Result<()> {
        let ring = Arc::clone(self);
        let TickPipe { mut waiting, direct } = pipe;
        {
            let mut outlet = self.outlet();
            outlet.direct = Some(direct);
            outlet.first_ticks.trace = std::env::var(LOG_VARIABLE).is_ok_and(|level| level == "trace");
        }
        let thread = std::thread::Builder::new().name("ticks".into()).spawn(move || {
            let Err(e) = ring.drain(&mut waiting);
            // A full queue means that the worker is leaving anyway.
            let _ = events.try_send(Event::TickPipeBroken(e.to_string()));
        })?;
        // Set before the library is started, so before the first push.
        let _ = self.writer.set(thread.thread().clone());
        Ok(())
    }

    fn drain(&self, pipe: &mut impl Write) -> io::Result<std::convert::Infallible> {
        loop {
            let mut outlet = self.outlet();
            self.fill(&mut outlet);
            if outlet.buffer.is_empty() {
                drop(outlet);
                // A push between the look and this call leaves a token, and the call returns at once.
                std::thread::park();
            } else {
                pipe.write_all(&outlet.buffer)?;
                outlet.buffer.clear();
                outlet.first_ticks.write();
            }
        }
    }

    /// Takes what is there, up to one write's worth.
    fn fill(&self, outlet: &mut Outlet) {
        while outlet.buffer.len() + TICK_FRAME_BYTES <= WRITE_BYTES_MAX {
            let Some(tick) = self.queue.pop() else { return };
            put_tick(&mut outlet.buffer, &tick);
            outlet.first_ticks.see(&tick);
        }
    }
}

/// A line, and the level that it is logged at.
type Line = (fn(&str), String);

/// Logs each contract's first tick, once the ticks themselves are on their way: whoever reads the log may be slow.
#[derive(Debug, Default)]
struct FirstTicks {
    seen: HashSet<[u8; 81]>,
    trace: bool,
    /// Lines of ticks that are not written yet; at most two for each tick of one write.
    lines: Vec<Line>,
}

impl FirstTicks {
    /// Whether a line is due for the tick.
    fn are_to_hear_of(&self, tick: &RawTick) -> bool {
        self.trace || self.is_first(tick)
    }

    fn is_first(&self, tick: &RawTick) -> bool {
        !self.seen.contains(&tick.instrument) && self.seen.len() < FIRST_TICKS_MAX
    }

    fn see(&mut self, tick: &RawTick) {
        let is_first = self.is_first(tick);
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
        let mut outlet = Outlet::default();
        (0..2).for_each(|n| ring.push(tick(n)));
        ring.fill(&mut outlet);
        assert_eq!(
            outlet.first_ticks.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>(),
            ["first tick rb2701 .000 last 0"]
        );
        outlet.first_ticks.write();
        ring.push(tick(2));
        ring.fill(&mut outlet);
        assert!(outlet.first_ticks.lines.is_empty());
    }

    #[test]
    fn a_full_ring_gives_up_its_oldest_and_counts() {
        let ring = TickRing::with_room(4);
        (0..10).for_each(|n| ring.push(tick(n)));
        let mut outlet = Outlet::default();
        ring.fill(&mut outlet);
        assert_eq!(volumes(&outlet.buffer), [6, 7, 8, 9]);
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
        assert!(ring.drain(&mut writes).is_err());
        assert!(writes.0.len() < 10, "{} writes", writes.0.len());
        assert!(writes.0.iter().all(|w| w.len() % TICK_FRAME_BYTES == 0 && w.len() <= WRITE_BYTES_MAX));
        assert_eq!(volumes(&writes.0.concat()), (0..1000).collect::<Vec<_>>());
    }

    fn pipe() -> (io::PipeReader, TickPipe) {
        let (reading, writing) = io::pipe().expect("a pipe");
        let waiting = File::from(std::os::fd::OwnedFd::from(writing));
        (reading, TickPipe::open(waiting).expect("the pipe anew"))
    }

    #[test]
    fn a_broken_pipe_ends_the_writer_with_an_event() {
        let (reading, pipe) = pipe();
        drop(reading);
        let (events, inbox) = std::sync::mpsc::sync_channel(1);
        let ring = Arc::new(TickRing::with_room(4));
        ring.write_to(pipe, events).expect("a thread");
        ring.push(tick(1));
        let event = inbox.recv_timeout(std::time::Duration::from_secs(10));
        assert!(matches!(event, Ok(Event::TickPipeBroken(_))), "{event:?}");
    }

    #[test]
    fn a_tick_that_nothing_waits_before_is_written_by_the_thread_that_brings_it() {
        let (mut reading, TickPipe { direct, .. }) = pipe();
        let ring = TickRing::with_room(4);
        ring.outlet().direct = Some(direct);
        // The first of its contract is logged, so it is left to the writer, and what comes next waits behind it.
        (0..2).for_each(|n| ring.push(tick(n)));
        let mut outlet = ring.outlet();
        ring.fill(&mut outlet);
        assert_eq!(volumes(&outlet.buffer), [0, 1]);
        // While somebody writes, nobody else does.
        ring.push(tick(2));
        outlet.buffer.clear();
        ring.fill(&mut outlet);
        assert_eq!(volumes(&outlet.buffer), [2]);
        outlet.buffer.clear();
        drop(outlet);
        (3..6).for_each(|n| ring.push(tick(n)));
        let mut stream = vec![0; 3 * TICK_FRAME_BYTES];
        io::Read::read_exact(&mut reading, &mut stream).expect("three frames");
        assert_eq!(volumes(&stream), [3, 4, 5]);
        assert_eq!((ring.queue.len(), ring.received(), ring.dropped()), (0, 6, 0));
    }

    #[test]
    fn a_full_pipe_fills_the_ring_and_every_tick_that_is_left_comes_in_order() {
        const ROOM: usize = 64;
        let (mut reading, pipe) = pipe();
        let (events, _inbox) = std::sync::mpsc::sync_channel(1);
        let ring = Arc::new(TickRing::with_room(ROOM));
        ring.write_to(pipe, events).expect("a thread");
        // Far more than a pipe, the writer's buffer and the ring hold: nobody reads yet, and nobody waits.
        let all = 2_000;
        (0..all).for_each(|n| ring.push(tick(n)));
        let dropped = ring.dropped();
        assert!(dropped > 0, "nothing was dropped");
        let mut stream = vec![0; (all as usize - usize::try_from(dropped).expect("few")) * TICK_FRAME_BYTES];
        io::Read::read_exact(&mut reading, &mut stream).expect("the rest");
        let volumes = volumes(&stream);
        assert!(volumes.windows(2).all(|pair| pair[0] < pair[1]), "{volumes:?}");
        assert_eq!(volumes.last(), Some(&(all - 1)));
        // Once it has drained, ticks go straight into the pipe again.
        (all..all + 100).for_each(|n| ring.push(tick(n)));
        let mut stream = vec![0; 100 * TICK_FRAME_BYTES];
        io::Read::read_exact(&mut reading, &mut stream).expect("a hundred");
        assert_eq!(self::volumes(&stream), (all..all + 100).collect::<Vec<_>>());
    }
}
