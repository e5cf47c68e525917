//! A raw ZMTP client. It shares no code with the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

pub(crate) fn greeting(major: u8, minor: u8, mechanism: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, major, minor];
    bytes.extend(mechanism);
    bytes.resize(64, 0);
    bytes
}

pub(crate) fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags];
    match u8::try_from(body.len()) {
        Ok(short) => bytes.push(short),
        Err(_) => {
            bytes[0] |= 2;
            bytes.extend((body.len() as u64).to_be_bytes());
        }
    }
    bytes.extend(body);
    bytes
}

pub(crate) fn command(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::try_from(name.len()).expect("short")];
    body.extend(name.as_bytes());
    body.extend(data);
    frame(4, &body)
}

pub(crate) fn ready(socket_type: &str) -> Vec<u8> {
    let mut data = b"\x0bSocket-Type".to_vec();
    data.extend(u32::try_from(socket_type.len()).expect("short").to_be_bytes());
    data.extend(socket_type.as_bytes());
    command("READY", &data)
}

pub(crate) fn ping(ttl_ds: u16, context: &[u8]) -> Vec<u8> {
    command("PING", &[&ttl_ds.to_be_bytes(), context].concat())
}

/// PLAIN's HELLO.
pub(crate) fn hello(name: &str, token: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    command("HELLO", &[text(name), text(token)].concat())
}

/// PLAIN's READY.
pub(crate) fn initiate() -> Vec<u8> {
    command("INITIATE", b"\x0bSocket-Type\0\0\0\x03SUB")
}

impl Client {
    /// A TCP connection, nothing said yet.
    pub(crate) fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream.set_write_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, read: Vec::new() }
    }

    /// A subscriber, its handshake done.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::connect_as(address, 1, "SUB")
    }

    pub(crate) fn connect_as(address: SocketAddr, minor: u8, socket_type: &str) -> Self {
        let mut client = Self::dial(address);
        client.send(&greeting(3, minor, b"NULL"));
        client.expect_greeting();
        client.send(&ready(socket_type));
        assert_eq!(client.frame(), (4, b"\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB".to_vec()));
        client
    }

    pub(crate) fn expect_greeting(&mut self) {
        self.expect_greeting_of(b"NULL");
    }

    pub(crate) fn expect_greeting_of(&mut self, mechanism: &[u8]) {
        let mut expected = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1];
        expected.extend(mechanism);
        expected.resize(64, 0);
        expected[32] = u8::from(mechanism == b"PLAIN");
        assert_eq!(self.exactly(64), expected);
    }

    /// A subscriber by PLAIN, once it was welcomed.
    pub(crate) fn connect_by(address: SocketAddr, token: &str) -> Self {
        let mut client = Self::dial(address);
        client.send(&greeting(3, 1, b"PLAIN"));
        client.expect_greeting_of(b"PLAIN");
        client.send(&hello("me", token));
        assert_eq!(client.frame(), (4, b"\x07WELCOME".to_vec()));
        client.send(&initiate());
        assert_eq!(client.frame(), (4, b"\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB".to_vec()));
        client
    }

    /// Tries a token; what came before the connection was closed, or nothing if it is open: then it was right.
    pub(crate) fn guess(address: SocketAddr, token: &str) -> Option<Vec<u8>> {
        let mut client = Self::dial(address);
        client.send(&greeting(3, 1, b"PLAIN"));
        client.expect_greeting_of(b"PLAIN");
        client.send(&hello("", token));
        let mut chunk = [0; 64];
        while client.read.len() < 10 {
            match client.stream.read(&mut chunk) {
                Ok(got @ 1..) => client.read.extend(&chunk[..got]),
                Ok(0) => break,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
                other => panic!("no answer: {other:?}"),
            }
        }
        (client.read != b"\x04\x08\x07WELCOME").then_some(client.read)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sends");
    }

    /// Sends as far as the server listens; whether it still did.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(crate) fn subscribe(&mut self, prefix: &str) {
        self.send(&command("SUBSCRIBE", prefix.as_bytes()));
        self.sync();
    }

    /// Waits until the server has read all that was sent, and asserts that nothing else comes before its answer.
    pub(crate) fn sync(&mut self) {
        assert_eq!(self.until_pong(), Vec::<Vec<Vec<u8>>>::new(), "came unasked");
    }

    /// Every message that the server had for us when it answered.
    pub(crate) fn until_pong(&mut self) -> Vec<Vec<Vec<u8>>> {
        self.send(&ping(0, b"sync"));
        let mut messages = Vec::new();
        let mut parts = Vec::new();
        loop {
            match self.frame() {
                (4, body) => {
                    assert_eq!(body, b"\x04PONGsync");
                    assert!(parts.is_empty(), "a command inside a message");
                    return messages;
                }
                (1 | 3, body) => parts.push(body),
                (0 | 2, body) => {
                    parts.push(body);
                    messages.push(std::mem::take(&mut parts));
                }
                (flags, _) => panic!("flags {flags}"),
            }
        }
    }

    /// The answer to one more PING of [`Client::until_pong`].
    pub(crate) fn expect_pong(&mut self) {
        assert_eq!(self.frame(), (4, b"\x04PONGsync".to_vec()));
    }

    /// The next message, whole.
    pub(crate) fn message(&mut self) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        loop {
            let (flags, body) = self.frame();
            assert_eq!(flags & 4, 0, "a command where a message belongs");
            parts.push(body);
            if flags & 1 == 0 {
                return parts;
            }
        }
    }

    pub(crate) fn frame(&mut self) -> (u8, Vec<u8>) {
        let flags = self.exactly(1)[0];
        let length = if flags & 2 == 0 {
            u64::from(self.exactly(1)[0])
        } else {
            u64::from_be_bytes(self.exactly(8).try_into().expect("eight"))
        };
        (flags, self.exactly(usize::try_from(length).expect("fits")))
    }

    fn exactly(&mut self, n: usize) -> Vec<u8> {
        let mut chunk = [0; 64 * 1024];
        while self.read.len() < n {
            let got = self.stream.read(&mut chunk).expect("the server answers in time");
            assert!(got > 0, "the server closed the connection");
            self.read.extend(&chunk[..got]);
        }
        let rest = self.read.split_off(n);
        std::mem::replace(&mut self.read, rest)
    }

    /// Waits for the end of the connection; what came before it.
    pub(crate) fn closed(&mut self) -> Vec<u8> {
        let mut chunk = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return std::mem::take(&mut self.read),
                Ok(got) => self.read.extend(&chunk[..got]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return std::mem::take(&mut self.read),
                Err(e) => panic!("the server does not close the connection: {e}"),
            }
        }
    }

    /// Reads until it has said this, or has closed the connection; whether it said it.
    pub(crate) fn closes_or_says(&mut self, last: &[u8]) -> bool {
        let mut chunk = [0; 256];
        while !self.read.ends_with(last) {
            match self.stream.read(&mut chunk).unwrap_or(0) {
                0 => return false,
                size => self.read.extend(&chunk[..size]),
            }
        }
        true
    }

    /// The connection, for who reads it in its own way.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.read.is_empty(), "something was read already");
        self.stream
    }

    /// Leaves with a reset, so that thousands of clients use up no ports.
    pub(crate) fn abort(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).expect("lingers not");
    }
}
