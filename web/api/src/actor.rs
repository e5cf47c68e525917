//! Who asks, and from where.

use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;

use crate::limited::Limited;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Connected<IncomingStream<'_, Limited>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Whoever was let in; an extension of every request that handlers under `/api` get.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// The administrator's name.
    pub(crate) name: String,
    /// Where they are.
    pub(crate) from: SocketAddr,
}
