//! A listener whose connections are limited: in number, in how long a request's head may take, in silence. So clients do not
//! take the descriptors that pipes and subscribers need, and nobody shuts out the others.
//!
//! | file | is about |
//! |---|---|
//! | `places` | how many connections, and who gives way |
//! | `progress` | whether a connection waits for a request or one is being answered |

mod places;
pub(crate) mod progress;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use mdhub_spec::settings::Network;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

use crate::tally::Tally;
use places::{Limits, Place, Places};
use progress::{GivingWay, Progress, Standing};

pub(crate) use places::share_of;

/// A descriptor each.
const PLACES: Limits = Limits { connections: 512, of_one: 256, reserved: 32 };

/// How long things may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// A request's head, whole, from its first byte or from the connection's beginning.
    head: Duration,
    /// Between two requests.
    idle: Duration,
    /// A client that takes nothing of its answer.
    stuck: Duration,
}

const TIMES: Times =
    Times { head: Duration::from_secs(10), idle: Duration::from_secs(30), stuck: Duration::from_secs(30) };

/// Of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The listener.
pub(crate) struct Limited {
    listener: TcpListener,
    places: Arc<Places>,
    times: Times,
    /// Each stands for many.
    proxies: Vec<Network>,
    turned_away: Tally,
}

impl Limited {
    pub(crate) fn new(listener: TcpListener, proxies: Vec<Network>) -> Self {
        Self::with(listener, PLACES, TIMES, proxies)
    }

    fn with(listener: TcpListener, places: Limits, times: Times, proxies: Vec<Network>) -> Self {
        let turned_away = Tally::new("connections to the control port were turned away: there are too many");
        Self { listener, places: Places::new(places), times, proxies, turned_away }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let has_share = !self.proxies.iter().any(|proxy| proxy.contains(address.ip()));
            let progress = Progress::new();
            if let Some(place) = self.places.admit(address.ip(), has_share, &progress) {
                return (Connection::new(stream, self.times, progress, place), address);
            }
            self.turned_away.count(address.ip());
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// One connection; its place is free again when it is dropped.
pub(crate) struct Connection {
    stream: TcpStream,
    times: Times,
    progress: Arc<Progress>,
    /// The number of the request that is waited for.
    awaited: Option<u64>,
    /// Bytes that have come of it.
    head_bytes: usize,
    cut_at: Pin<Box<Sleep>>,
    /// Set while the client takes nothing of its answer: until when that is endured. Meanwhile it gives way.
    stuck: Option<(Pin<Box<Sleep>>, GivingWay)>,
    _place: Place,
}

impl Connection {
    fn new(stream: TcpStream, times: Times, progress: Arc<Progress>, place: Place) -> Self {
        let cut_at = Box::pin(sleep(times.head));
        Self { stream, times, progress, awaited: None, head_bytes: 0, cut_at, stuck: None, _place: place }
    }

    /// What it is at, for the requests on it.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    fn cut_after(&mut self, time: Duration) {
        self.cut_at.as_mut().reset(Instant::now() + time);
    }

    /// Reads of a request's head.
    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, answered: u64) -> Poll<io::Result<()>> {
        if self.awaited != Some(answered) {
            self.awaited = Some(answered);
            self.head_bytes = 0;
            self.cut_after(if answered == 0 { self.times.head } else { self.times.idle });
        }
        if self.cut_at.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if self.head_bytes == 0 && read > 0 && answered > 0 {
            self.cut_after(self.times.head);
        }
        self.head_bytes += read;
        if self.head_bytes > HEAD_BYTES_MAX {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Fails when a client has taken nothing for long.
    fn poll_stuck<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        if self.progress.look(cx) == Standing::Evicted {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let Self { times, progress, .. } = &*self;
        let (time, progress) = (times.stuck, Arc::clone(progress));
        let (until, _) = self.stuck.get_or_insert_with(|| (Box::pin(sleep(time)), progress.give_way()));
        until.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.progress.look(cx) {
            Standing::Evicted => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            Standing::Answers => Pin::new(&mut self.stream).poll_read(cx, buf),
            Standing::Waits { answered } => self.poll_head(cx, buf, answered),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.poll_stuck(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_stuck(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
