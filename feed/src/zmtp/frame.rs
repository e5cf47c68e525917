//! Frames: `flags | length | body`, the length in one byte or, with `LONG`, in eight, big endian.

use super::fault::Fault;

/// Largest body that a peer may send. Subscriptions and heartbeats are far smaller.
pub(crate) const BODY_BYTES_MAX: usize = 4096;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// One frame of a peer, borrowed from what it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A part of a message. Whether more parts follow does not matter to a publisher: it judges each by itself, as
    /// libzmq does.
    Message(&'a [u8]),
    /// A command.
    Command(&'a [u8]),
}

/// The frame at the head of `bytes` and its size in the stream; `None` while it is incomplete.
///
/// # Errors
/// As soon as flags or length are impossible, before any of the body has come.
pub(crate) fn first(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Fault> {
    let Some((&flags, rest)) = bytes.split_first() else { return Ok(None) };
    if flags & !(MORE | LONG | COMMAND) != 0 || flags & (COMMAND | MORE) == COMMAND | MORE {
        return Err(Fault::Flags(flags));
    }
    let (length, rest) = if flags & LONG == 0 {
        let Some((&length, rest)) = rest.split_first() else { return Ok(None) };
        (u64::from(length), rest)
    } else {
        let Some((length, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
        (u64::from_be_bytes(*length), rest)
    };
    let fits = usize::try_from(length).ok().filter(|n| *n <= BODY_BYTES_MAX).ok_or(Fault::FrameLength(length))?;
    let Some(body) = rest.get(..fits) else { return Ok(None) };
    let frame = if flags & COMMAND == 0 { Frame::Message(body) } else { Frame::Command(body) };
    Ok(Some((frame, bytes.len() - rest.len() + fits)))
}

fn put_header(out: &mut Vec<u8>, flags: u8, length: usize) {
    if let Ok(short) = u8::try_from(length) {
        out.extend_from_slice(&[flags, short]);
    } else {
        out.push(flags | LONG);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Appends one part of a message.
pub(crate) fn put_part(out: &mut Vec<u8>, body: &[u8], is_last: bool) {
    put_header(out, if is_last { 0 } else { MORE }, body.len());
    out.extend_from_slice(body);
}

/// Appends a command's frame around `body`.
pub(crate) fn put_command(out: &mut Vec<u8>, body: &[u8]) {
    put_header(out, COMMAND, body.len());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes_of_short_and_long_frames() {
        let mut out = Vec::new();
        put_part(&mut out, b"rb2701.SHFE", false);
        put_part(&mut out, b"", true);
        put_command(&mut out, b"\x04PONG");
        assert_eq!(out, b"\x01\x0brb2701.SHFE\x00\x00\x04\x05\x04PONG");
        out.clear();
        put_part(&mut out, &[7; 256], true);
        assert_eq!(&out[..10], &[2, 0, 0, 0, 0, 0, 0, 1, 0, 7]);
        assert_eq!(out.len(), 265);
    }

    #[test]
    fn impossible_flags_and_lengths_are_refused_before_the_body() {
        for flags in [0x08, 0x80, 0x05, 0x07, 0xff] {
            assert_eq!(first(&[flags]), Err(Fault::Flags(flags)));
        }
        assert_eq!(first(&[2, 0, 0, 0, 0, 0, 0, 0x10, 1]), Err(Fault::FrameLength(4097)));
        assert_eq!(first(&[2, 255, 255, 255, 255, 255, 255, 255, 255]), Err(Fault::FrameLength(u64::MAX)));
        assert_eq!(first(&[2, 0, 0, 0, 0, 0, 0, 0x10, 0]), Ok(None));
    }

    #[test]
    fn a_short_length_in_long_form_is_read() {
        assert_eq!(first(b"\x06\0\0\0\0\0\0\0\x01x?"), Ok(Some((Frame::Command(b"x"), 10))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            body in proptest::collection::vec(any::<u8>(), 0..=BODY_BYTES_MAX),
            is_command: bool,
            is_last: bool,
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut out = Vec::new();
            if is_command { put_command(&mut out, &body) } else { put_part(&mut out, &body, is_last) }
            let expected = if is_command { Frame::Command(&body) } else { Frame::Message(&body) };
            prop_assert_eq!(first(&out), Ok(Some((expected, out.len()))));
            prop_assert_eq!(first(&out[..cut.index(out.len())]), Ok(None));
        }

        #[test]
        fn no_bytes_make_the_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Some((_, size))) = first(&bytes) {
                prop_assert!(size <= bytes.len());
            }
        }
    }
}
