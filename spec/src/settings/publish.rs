//! Section `publish`: the tick socket.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Endpoint, Fault, within};

/// Section `publish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// Where subscribers connect; loopback unless chosen otherwise.
    pub listen: Endpoint,
    /// Most connections at once.
    pub peers_max: usize,
    /// Most bytes that wait for one subscriber.
    pub peer_buffer_bytes_max: usize,
    /// Most bytes that wait for all of them.
    pub total_buffer_bytes_max: usize,
    /// A connection that has not finished its handshake by then is closed.
    pub handshake_timeout_ms: u64,
    /// A subscriber that has taken nothing for this long while ticks were dropped for it is cut.
    pub slow_consumer_ms: u64,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            listen: Endpoint(SocketAddr::from(([127, 0, 0, 1], 5555))),
            peers_max: 1100,
            peer_buffer_bytes_max: 16 * 1024 * 1024,
            total_buffer_bytes_max: 128 * 1024 * 1024,
            handshake_timeout_ms: 5_000,
            slow_consumer_ms: 10_000,
        }
    }
}

impl Publish {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("publish.peers_max", self.peers_max as u64, 1, 10_000)?;
        within("publish.peer_buffer_bytes_max", self.peer_buffer_bytes_max as u64, 65_536, 1 << 30)?;
        within("publish.total_buffer_bytes_max", self.total_buffer_bytes_max as u64, 65_536, 1 << 34)?;
        within("publish.handshake_timeout_ms", self.handshake_timeout_ms, 100, 60_000)?;
        within("publish.slow_consumer_ms", self.slow_consumer_ms, 100, 600_000)
    }
}
