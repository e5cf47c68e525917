//! What the server needs to know.

use std::net::SocketAddr;

use mdhub_spec::settings::Publish;

use super::access::Access;

/// A subscriber that was silent for so long is asked whether it is still there, and has as long again to answer.
const PING_IDLE_MS: u64 = 30_000;
/// Frames of subscribers are small: one that takes longer is sent byte by byte to hold the connection.
const FRAME_TIMEOUT_MS: u64 = 10_000;

/// The server's limits; section `publish` of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where subscribers connect. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Most connections at once, those still in their handshake included.
    pub peers_max: usize,
    /// Most bytes that wait for one subscriber.
    pub peer_buffer_bytes_max: usize,
    /// Most bytes that wait for all of them.
    pub total_buffer_bytes_max: usize,
    /// A connection that has not finished its handshake by then is closed.
    pub handshake_timeout_ms: u64,
    /// A subscriber that has begun a frame and not ended it by then is closed.
    pub frame_timeout_ms: u64,
    /// A subscriber that has taken nothing for this long while ticks were dropped for it is cut.
    pub slow_consumer_ms: u64,
    /// A subscriber of ZMTP 3.1 that was silent for so long is sent a PING, and has as long again to answer.
    pub ping_idle_ms: u64,
    /// Who may subscribe.
    pub access: Access,
}

impl From<&Publish> for ServerConfig {
    fn from(publish: &Publish) -> Self {
        Self {
            listen: publish.listen.0,
            peers_max: publish.peers_max,
            peer_buffer_bytes_max: publish.peer_buffer_bytes_max,
            total_buffer_bytes_max: publish.total_buffer_bytes_max,
            handshake_timeout_ms: publish.handshake_timeout_ms,
            frame_timeout_ms: FRAME_TIMEOUT_MS,
            slow_consumer_ms: publish.slow_consumer_ms,
            ping_idle_ms: PING_IDLE_MS,
            access: Access::from(publish),
        }
    }
}
