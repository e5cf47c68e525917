//! The socket where subscribers connect.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, acceptfrom_with, bind, getsockname, listen, socket_with};
use rustix::net::{sockopt, sockopt::set_socket_reuseaddr};

/// Connections that the kernel holds for us: as many as all subscribers who come back at once after a restart.
const BACKLOG: i32 = 1024;

/// A silent peer is probed after this long, by the kernel, then at these intervals, so often: a peer whose machine is
/// gone leaves within a minute, whether or not it speaks heartbeats.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_COUNT: u32 = 3;

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) fd: OwnedFd,
    pub(crate) address: SocketAddr,
}

impl Listener {
    /// Listens at `address`.
    ///
    /// # Errors
    /// What the system says, with the address and what to do.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let explain = |errno: Errno| {
            let advice = match errno {
                Errno::ADDRINUSE => "another process listens there; stop it, or choose another publish.listen",
                Errno::ADDRNOTAVAIL => "this machine does not have that address; choose another publish.listen",
                Errno::ACCESS => "ports below 1024 need a privilege; choose another publish.listen",
                _ => "nobody can subscribe",
            };
            let error = io::Error::from(errno);
            io::Error::new(error.kind(), format!("cannot listen at tcp://{address}: {error}: {advice}"))
        };
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(family, SocketType::STREAM, flags, None).map_err(explain)?;
        set_socket_reuseaddr(&fd, true).map_err(explain)?;
        bind(&fd, &address).map_err(explain)?;
        listen(&fd, BACKLOG).map_err(explain)?;
        let address = getsockname(&fd).and_then(SocketAddr::try_from).map_err(explain)?;
        Ok(Self { fd, address })
    }

    /// The next connection; `None` when there is none.
    ///
    /// # Errors
    /// When the system cannot give one now, most often for want of descriptors. Trying again at once would spin.
    pub(crate) fn accept(&self) -> Result<Option<(OwnedFd, SocketAddr)>, Errno> {
        match acceptfrom_with(&self.fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok((fd, address)) => {
                let address = address.ok_or(Errno::INVAL).and_then(SocketAddr::try_from);
                // Where even this fails the peer is gone already.
                Ok(prepare(&fd).and(address).ok().map(|address| (fd, address)))
            }
            // Gone before we came; whatever is behind it comes with the next turn.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

fn prepare(fd: &OwnedFd) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(fd, true)?;
    sockopt::set_socket_keepalive(fd, true)?;
    sockopt::set_tcp_keepidle(fd, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(fd, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(fd, KEEPALIVE_COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_that_names_the_address() {
        let first = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let error = Listener::bind(first.address).map(|_| ()).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(text.contains(&format!("tcp://{}", first.address)) && text.contains("publish.listen"), "{text}");
    }
}
