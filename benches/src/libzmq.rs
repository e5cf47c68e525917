//! The peer: libzmq's own PUB to libzmq's own SUB.

use crate::clock::{Running, paced, passed, real_ns};
use crate::{Failure, Latencies, PAYLOAD_BYTES, SECONDS, latencies};

const TOPIC: &str = "m2705.DCE";

fn failed(e: zmq::Error) -> Failure {
    format!("libzmq: {e}")
}

/// A subscriber that takes everything, and gives up after ten silent seconds.
pub(crate) fn subscriber(endpoint: &str) -> Result<zmq::Socket, Failure> {
    let socket = zmq::Context::new().socket(zmq::SUB).map_err(failed)?;
    socket.set_rcvhwm(0).map_err(failed)?;
    socket.set_rcvtimeo(10_000).map_err(failed)?;
    socket.set_subscribe(b"").map_err(failed)?;
    socket.connect(endpoint).map_err(failed)?;
    Ok(socket)
}

/// One message: its payload, and when it was there.
pub(crate) fn receive(socket: &zmq::Socket) -> Result<(zmq::Message, u64), Failure> {
    let _topic = socket.recv_msg(0).map_err(failed)?;
    let payload = socket.recv_msg(0).map_err(failed)?;
    Ok((payload, real_ns()))
}

/// Measures one repeat.
pub(crate) fn measure(rate: u32) -> Result<Latencies, Failure> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| e.to_string())?;
    let endpoint = format!("tcp://{port}");
    let _sender = Running::sender(&["libzmq-sender", &endpoint, &rate.to_string()])?;
    let socket = subscriber(&endpoint)?;
    let mut found = latencies()?;
    receive(&socket)?;
    let start = real_ns();
    while !passed(start, SECONDS) {
        let (payload, now) = receive(&socket)?;
        let sent = payload.first_chunk().copied().map_or(now, u64::from_le_bytes);
        found.saturating_record(now.saturating_sub(sent));
    }
    Ok(found)
}

/// The sending process.
pub(crate) fn send(endpoint: &str, rate: &str) -> Result<(), Failure> {
    let socket = zmq::Context::new().socket(zmq::PUB).map_err(failed)?;
    socket.set_sndhwm(0).map_err(failed)?;
    socket.bind(endpoint).map_err(failed)?;
    let mut payload = [7; PAYLOAD_BYTES];
    paced(rate, || {
        payload[..8].copy_from_slice(&real_ns().to_le_bytes());
        socket.send(TOPIC, zmq::SNDMORE).and_then(|()| socket.send(&payload[..], 0)).map_err(failed)
    })
}
