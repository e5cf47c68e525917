//! One worker's tick pipe: read into a buffer of its own, frames parsed in place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mdhub_spec::frame::{self, FrameError, TICK_FRAME_BYTES};
use mdhub_spec::plane::PipeEnd;
use mdhub_spec::raw_tick::RawTick;
use rustix::io::Errno;

/// Most bytes that one turn reads: some 170 ticks.
const TURN_BYTES: usize = 64 * 1024;

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more.
    Open,
    /// The pipe is done with.
    Ended(PipeEnd),
}

/// The reading end of a tick pipe.
pub(super) struct Pipe {
    fd: OwnedFd,
    buffer: Box<[u8]>,
    /// Bytes at the buffer's head that are no whole frame yet.
    held: usize,
}

impl Pipe {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd, buffer: vec![0; TURN_BYTES + TICK_FRAME_BYTES].into_boxed_slice(), held: 0 }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads once, and gives every whole tick to `take`. A torn frame at the end of the stream is normal.
    pub(super) fn turn(&mut self, take: &mut dyn FnMut(&RawTick)) -> Turn {
        match rustix::io::read(&self.fd, &mut self.buffer[self.held..][..TURN_BYTES]) {
            Ok(0) => return Turn::Ended(PipeEnd::Drained),
            Ok(size) => self.held += size,
            Err(Errno::AGAIN | Errno::INTR) => return Turn::Open,
            Err(errno) => return Turn::Ended(PipeEnd::BadFrame(format!("reading it failed: {errno}"))),
        }
        match parse(&self.buffer[..self.held], take) {
            Ok(used) => {
                self.buffer.copy_within(used..self.held, 0);
                self.held -= used;
                Turn::Open
            }
            Err(error) => Turn::Ended(PipeEnd::BadFrame(error.to_string())),
        }
    }
}

/// Gives every whole tick at the head of `bytes` to `take`; how many bytes those were. Fewer than a frame's are left.
fn parse(bytes: &[u8], take: &mut dyn FnMut(&RawTick)) -> Result<usize, FrameError> {
    let mut used = 0;
    while let Some(frame) = frame::first(&bytes[used..])? {
        take(frame::tick(&frame)?);
        used += frame.stream_bytes();
    }
    let left = bytes.len() - used;
    if left < TICK_FRAME_BYTES {
        return Ok(used);
    }
    Err(FrameError::Body(format!("longer than a tick's {TICK_FRAME_BYTES} bytes: {left} came and it is not whole")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(volumes: std::ops::Range<i32>) -> Vec<u8> {
        let mut out = Vec::new();
        for volume in volumes {
            frame::put_tick(&mut out, &RawTick { volume: volume.into(), ..RawTick::default() });
        }
        out
    }

    fn parsed(bytes: &[u8]) -> (Vec<i32>, Result<usize, FrameError>) {
        let mut volumes = Vec::new();
        let result = parse(bytes, &mut |raw| volumes.push(raw.volume.get()));
        (volumes, result)
    }

    #[test]
    fn a_turn_is_bounded_and_the_end_comes_after_the_last_tick() {
        let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
        rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20).expect("a size");
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).expect("non-blocking");
        let mut pipe = Pipe::new(reader);
        let mut volumes = Vec::new();
        assert_eq!(pipe.turn(&mut |_| ()), Turn::Open, "nothing has come");
        let bytes = ticks(0..1000);
        assert_eq!(rustix::io::write(&writer, &bytes[..bytes.len() - 1]), Ok(bytes.len() - 1));
        drop(writer);
        assert_eq!(pipe.turn(&mut |raw| volumes.push(raw.volume.get())), Turn::Open);
        assert!(volumes.len() <= TURN_BYTES / TICK_FRAME_BYTES, "{} ticks in one turn", volumes.len());
        let end = loop {
            match pipe.turn(&mut |raw| volumes.push(raw.volume.get())) {
                Turn::Open => {}
                Turn::Ended(end) => break end,
            }
        };
        assert_eq!((end, volumes), (PipeEnd::Drained, (0..999).collect()));
    }

    #[test]
    fn whole_frames_are_taken_and_a_torn_one_is_left() {
        let bytes = ticks(0..3);
        for torn in [0, 1, 5, TICK_FRAME_BYTES - 1] {
            let found = parsed(&bytes[..2 * TICK_FRAME_BYTES + torn]);
            assert_eq!(found, (vec![0, 1], Ok(2 * TICK_FRAME_BYTES)), "{torn} bytes of the third");
        }
    }

    #[test]
    fn what_is_no_tick_is_refused_and_the_ticks_before_it_are_not() {
        let mut report = ticks(0..1);
        report.extend([2, 0, 0, 0, frame::KIND_REPORT, 0]);
        let mut short = ticks(0..1);
        short.extend([2, 0, 0, 0, frame::KIND_TICK, 0]);
        let mut nothing = ticks(0..1);
        nothing.extend([0; 4]);
        let mut endless = ticks(0..1);
        endless.extend(1_000_000u32.to_le_bytes());
        endless.resize(2 * TICK_FRAME_BYTES, frame::KIND_TICK);
        for (bytes, part) in
            [(report, "kind 2"), (short, "1 bytes"), (nothing, "length 0"), (endless, "longer than a tick")]
        {
            let (volumes, result) = parsed(&bytes);
            assert_eq!(volumes, [0]);
            assert!(result.as_ref().is_err_and(|e| e.to_string().contains(part)), "{part}: {result:?}");
        }
    }
}
