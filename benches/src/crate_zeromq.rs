//! The peer: the crate `zeromq` as publisher.

use tokio::runtime::Builder;
use zeromq::{PubSocket, Socket as _, SocketSend as _, ZmqMessage};

use crate::clock::{paced, real_ns, sleep_until};
use crate::{Failure, PAYLOAD_BYTES, TOPIC};

/// The sending process: `count` payloads that begin with the time, from the instant `go_ns` on.
pub(crate) fn send(address: &str, rate: u32, count: u64, go_ns: u64) -> Result<(), Failure> {
    let failed = |e: zeromq::ZmqError| format!("zeromq: {e}");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|e| e.to_string())?;
    // It spawns a task as soon as it is made.
    let _context = runtime.enter();
    let mut socket = PubSocket::new();
    runtime.block_on(socket.bind(&format!("tcp://{address}"))).map_err(failed)?;
    sleep_until(go_ns);
    let mut payload = vec![7; PAYLOAD_BYTES];
    paced(rate, count, || {
        payload[..8].copy_from_slice(&real_ns().to_le_bytes());
        let mut message = ZmqMessage::from(payload.clone());
        message.prepend(&ZmqMessage::from(TOPIC));
        runtime.block_on(socket.send(message)).map_err(failed)
    })
}
