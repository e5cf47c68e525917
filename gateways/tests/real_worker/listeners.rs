//! Fronts that are none: real TCP listeners that misbehave.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::net::{AddressFamily, SocketAddrAny, SocketType, bind, getsockname, socket};

/// What a listener does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Closes it.
    Close,
    /// Holds it and says nothing.
    Silence,
    /// Answers with bytes that mean nothing.
    Junk,
}

/// A listener that lives as long as the tests.
pub(super) struct Front {
    pub(super) address: String,
    accepted: Arc<AtomicU64>,
}

impl Front {
    pub(super) fn new(act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("tcp://{}", listener.local_addr().expect("bound"));
        let accepted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                serve(act, connection);
            }
        });
        Self { address, accepted }
    }

    /// Connections that it took.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

fn serve(act: Act, mut connection: TcpStream) {
    match act {
        Act::Close => drop(connection),
        Act::Silence | Act::Junk => {
            std::thread::spawn(move || {
                if act == Act::Junk {
                    let junk: Vec<u8> = (0..64u8).map(|n| n.wrapping_mul(151) ^ 0x5a).collect();
                    let _ = connection.write_all(&junk);
                }
                let mut sink = [0; 256];
                while matches!(connection.read(&mut sink), Ok(1..)) {}
            });
        }
    }
}

/// An address at which nothing listens, held so that nobody else does.
pub(super) fn nothing_listens() -> (String, OwnedFd) {
    let held = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&held, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let bound = getsockname(&held).map(SocketAddrAny::try_into).expect("bound");
    let bound: std::net::SocketAddr = bound.expect("an address");
    (format!("tcp://{bound}"), held)
}
