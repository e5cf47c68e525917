//! A subscriber on a bare socket: ZMTP 3.1, no library. It reads any PUB, ours and libzmq's, and costs next to nothing, so
//! that what is measured is the publisher.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::Failure;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// After so long without a byte a read gives up.
const SILENCE: Duration = Duration::from_millis(200);

/// A connection that has subscribed.
pub(crate) struct ZmtpClient {
    stream: TcpStream,
    /// Whether the publisher speaks 3.1.
    by_command: bool,
    buffer: Vec<u8>,
    /// The bytes from `from` to `to` of the buffer are read and not used yet.
    from: usize,
    to: usize,
}

impl ZmtpClient {
    /// Connects to `host:port` and subscribes `prefix`.
    pub(crate) fn subscribe(address: &str, prefix: &[u8]) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| format!("{address}: {e}");
        let mut stream = TcpStream::connect(address).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(SILENCE)).map_err(failed)?;
        let mut hello = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
        hello.extend_from_slice(b"NULL");
        hello.resize(64, 0);
        stream.write_all(&hello).map_err(failed)?;
        let mut greeting = [0; 64];
        stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(failed)?;
        stream.read_exact(&mut greeting).map_err(failed)?;
        stream.write_all(&command(b"READY", b"\x0bSocket-Type\0\0\0\x03SUB")).map_err(failed)?;
        let by_command = greeting[11] >= 1;
        stream.write_all(&subscription(by_command, prefix)).map_err(failed)?;
        stream.set_read_timeout(Some(SILENCE)).map_err(failed)?;
        Ok(Self { stream, by_command, buffer: vec![0; READ_BYTES], from: 0, to: 0 })
    }

    /// Subscribes another prefix.
    pub(crate) fn also(&mut self, prefix: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(&subscription(self.by_command, prefix)).map_err(|e| e.to_string())
    }

    /// Reads once, and hands the payload of each whole message to `take`. Whether anything came before the silence was too
    /// long.
    pub(crate) fn read(&mut self, mut take: impl FnMut(&[u8])) -> Result<bool, Failure> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        match self.stream.read(&mut self.buffer[self.to..]) {
            Ok(0) => return Err("the publisher has closed the connection".into()),
            Ok(size) => self.to += size,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(e) => return Err(e.to_string()),
        }
        while let Some((flags, body, size)) = first_frame(&self.buffer[self.from..self.to]) {
            if flags & (MORE | COMMAND) == 0 {
                take(&self.buffer[self.from + body..self.from + size]);
            }
            self.from += size;
        }
        Ok(true)
    }
}

/// Flags, where the body begins, and the size of the frame at the beginning of `bytes`, once it is whole.
fn first_frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&flags, rest) = bytes.split_first()?;
    let (head, size) = if flags & LONG == 0 {
        (2, usize::from(*rest.first()?))
    } else {
        (9, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?)
    };
    (bytes.len() >= head + size).then_some((flags, head, head + size))
}

/// A command, or from version 3.0 a message, that subscribes.
fn subscription(by_command: bool, prefix: &[u8]) -> Vec<u8> {
    if by_command { command(b"SUBSCRIBE", prefix) } else { short_frame(0, &[&[1], prefix].concat()) }
}

fn command(name: &[u8], data: &[u8]) -> Vec<u8> {
    short_frame(COMMAND, &[&[name.len() as u8], name, data].concat())
}

fn short_frame(flags: u8, body: &[u8]) -> Vec<u8> {
    [&[flags, body.len() as u8], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_where_they_end() {
        let long = [&[LONG][..], &300u64.to_be_bytes(), &[7; 300]].concat();
        assert_eq!(first_frame(b""), None);
        assert_eq!(first_frame(b"\x01\x03ab"), None);
        assert_eq!(first_frame(b"\x01\x03abc\x00"), Some((MORE, 2, 5)));
        assert_eq!(first_frame(&long), Some((LONG, 9, 309)));
        assert_eq!(first_frame(&long[..308]), None);
        assert_eq!(command(b"READY", b"x"), b"\x04\x07\x05READYx");
        assert_eq!(subscription(false, b"rb"), b"\x00\x03\x01rb");
    }
}
