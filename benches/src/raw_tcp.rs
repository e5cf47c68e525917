//! The floor: one process writes payloads of one size to a socket, the other reads them.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::clock::{Running, paced, passed, real_ns};
use crate::{Failure, Latencies, PAYLOAD_BYTES, latencies};

/// Measures one repeat.
pub(crate) fn measure(rate: u32, seconds: f64) -> Result<Latencies, Failure> {
    let failed = |e: std::io::Error| format!("raw TCP: {e}");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.to_string();
    let _sender = Running::sender(&["tcp-sender", &address, &rate.to_string()])?;
    let (stream, _) = listener.accept().map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let mut reader = BufReader::with_capacity(256 * 1024, stream);
    let mut found = latencies()?;
    let mut payload = [0; PAYLOAD_BYTES];
    let start = real_ns();
    while !passed(start, seconds) {
        reader.read_exact(&mut payload).map_err(failed)?;
        let now = real_ns();
        let sent = payload.first_chunk().copied().map_or(now, u64::from_le_bytes);
        found.saturating_record(now.saturating_sub(sent));
    }
    Ok(found)
}

/// The sending process.
pub(crate) fn send(address: &str, rate: u32) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let mut payload = [7; PAYLOAD_BYTES];
    paced(rate, u64::MAX, || {
        payload[..8].copy_from_slice(&real_ns().to_le_bytes());
        stream.write_all(&payload).map_err(|e| e.to_string())
    })
}
