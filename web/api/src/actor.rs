//! Who asks, and from where.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;

use crate::limited::Limited;
use crate::limited::progress::Progress;
use crate::session::Key;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// Whether a request on it is being answered.
    pub(crate) progress: Arc<Progress>,
}

impl Connected<IncomingStream<'_, Limited>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Self {
        Self { address: *stream.remote_addr(), progress: Arc::clone(stream.io().progress()) }
    }
}

/// Who sent a request, whoever may have passed it on; an extension of every request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Where they are.
    pub(crate) from: IpAddr,
    /// Whether they speak TLS, with a proxy that is trusted.
    pub(crate) is_tls: bool,
    /// Of the connection that it came by.
    pub(crate) progress: Arc<Progress>,
}

/// Whoever was let in; an extension of every request that handlers under `/api` get.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// The administrator's name.
    pub(crate) name: String,
    /// Where they are.
    pub(crate) from: IpAddr,
    /// Their login, where they came by one.
    pub(crate) session: Option<Key>,
}
