//! A listener whose connections are limited in number and in silence, so that clients do not take the descriptors that
//! pipes and subscribers need.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Connections at once; more wait in the kernel.
const CONNECTIONS_MAX: usize = 128;

/// A connection that sends nothing for this long is closed.
const SILENCE: Duration = Duration::from_secs(30);

/// The listener.
pub(crate) struct Limited {
    listener: TcpListener,
    room: Arc<Semaphore>,
    silence: Duration,
}

impl Limited {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self::with(listener, CONNECTIONS_MAX, SILENCE)
    }

    fn with(listener: TcpListener, connections: usize, silence: Duration) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(connections)), silence }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let cut_at = Box::pin(tokio::time::sleep(self.silence));
        (Connection { stream, silence: self.silence, cut_at, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// One connection; its place is free again when it is dropped.
pub(crate) struct Connection {
    stream: TcpStream,
    silence: Duration,
    cut_at: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            let cut_at = Instant::now() + self.silence;
            self.cut_at.as_mut().reset(cut_at);
            return Poll::Ready(read);
        }
        self.cut_at.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_silent_client_is_cut_and_its_place_goes_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let limited = Limited::with(listener, 1, Duration::from_millis(200));
        let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let server = tokio::spawn(async move { axum::serve(limited, router).await });
        let mut silent = TcpStream::connect(address).await.expect("connects");
        silent.write_all(b"GET / HT").await.expect("writes");
        let mut next = TcpStream::connect(address).await.expect("connects");
        next.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.expect("writes");
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(10), next.read_to_string(&mut answer)).await;
        assert!(read.is_ok_and(|read| read.is_ok()) && answer.ends_with("hello"), "{answer}");
        server.abort();
    }
}
