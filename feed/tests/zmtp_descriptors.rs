//! A process without descriptors left. In a process of its own: the limit holds for all of it.

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};
    use std::sync::Arc;

    use mdhub_feed::zmtp::{Server, ServerConfig};
    use mdhub_spec::plane::FeedVitals;
    use mdhub_spec::settings::Publish;
    use mdhub_spec::time::Mono;
    use rustix::event::epoll::{self, CreateFlags, EventFlags};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use rustix::time::Timespec;

    const LISTENER: u64 = 7;

    /// Tokens that are ready within `wait_ms`.
    fn ready(epoll: &std::os::fd::OwnedFd, wait_ms: i64) -> Vec<(u64, EventFlags)> {
        let mut events = Vec::with_capacity(8);
        let wait = Timespec { tv_sec: 0, tv_nsec: wait_ms * 1_000_000 };
        epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)).expect("waits");
        events.iter().map(|e| (e.data.u64(), e.flags)).collect()
    }

    #[test]
    fn without_descriptors_the_listener_rests_instead_of_spinning_and_serves_again_later() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = ServerConfig { listen, ..ServerConfig::from(&Publish::default()) };
        let mut server = Server::bind(config.clone(), Arc::new(FeedVitals::default())).expect("a free port");
        let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC).expect("epoll"));
        server.register(Arc::clone(&epoll), LISTENER).expect("registers");
        let start = Mono(1_000_000_000);

        let _client = TcpStream::connect(server.local_addr()).expect("the kernel accepts");
        assert_eq!(ready(&epoll, 1_000), [(LISTENER, EventFlags::IN)]);
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), maximum: before.maximum }).expect("lowers");
        server.ready(LISTENER, EventFlags::IN, start);
        assert_eq!(ready(&epoll, 20), [], "epoll would report it for ever");
        let again_at = server.tend(start).expect("it tries again");
        assert_eq!(again_at, start.plus_ms(100));

        // Still none: it rests again, each time it is tried.
        server.tend(again_at);
        assert_eq!(ready(&epoll, 1_000), [(LISTENER, EventFlags::IN)]);
        server.ready(LISTENER, EventFlags::IN, again_at);
        assert_eq!(ready(&epoll, 20), []);

        setrlimit(Resource::Nofile, before).expect("lifts");
        let again_at = server.tend(again_at).expect("it tries again");
        server.tend(again_at);
        assert_eq!(ready(&epoll, 1_000), [(LISTENER, EventFlags::IN)]);
        server.ready(LISTENER, EventFlags::IN, again_at);
        assert_eq!(server.tend(again_at), Some(again_at.plus_ms(config.handshake_timeout_ms)), "a peer is there");
    }
}
