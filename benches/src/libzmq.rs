//! The peer: libzmq's PUB, and its SUB.

use crate::clock::{paced, real_ns, sleep_until, soon};
use crate::{Failure, PAYLOAD_BYTES, PEER_BUFFER_MESSAGES, TOPIC};

fn failed(e: zmq::Error) -> Failure {
    format!("libzmq: {e}")
}

/// A subscriber that takes everything, and gives up after ten silent seconds.
pub(crate) fn subscriber(endpoint: &str) -> Result<zmq::Socket, Failure> {
    let socket = zmq::Context::new().socket(zmq::SUB).map_err(failed)?;
    socket.set_rcvhwm(0).map_err(failed)?;
    socket.set_rcvtimeo(10_000).map_err(failed)?;
    socket.set_reconnect_ivl(10).map_err(failed)?;
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

/// The sending process: `count` payloads that begin with the time, from the instant `go_ns` on.
pub(crate) fn send(address: &str, rate: u32, count: u64, go_ns: u64) -> Result<(), Failure> {
    let socket = zmq::Context::new().socket(zmq::PUB).map_err(failed)?;
    // As much may wait for a subscriber as at the hub.
    socket.set_sndhwm(PEER_BUFFER_MESSAGES).map_err(failed)?;
    socket.bind(&format!("tcp://{address}")).map_err(failed)?;
    sleep_until(go_ns);
    let mut payload = [7; PAYLOAD_BYTES];
    paced(rate, count, || {
        payload[..8].copy_from_slice(&real_ns().to_le_bytes());
        socket.send(TOPIC, zmq::SNDMORE).and_then(|()| socket.send(&payload[..], 0)).map_err(failed)
    })?;
    // Whoever started this ends it, once the subscribers have everything.
    sleep_until(soon(60_000));
    Ok(())
}
