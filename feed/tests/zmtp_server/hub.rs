//! The server on a thread of its own, with the loop that the feed has around it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use mdhub_feed::zmtp::{Server, ServerConfig};
use mdhub_spec::plane::FeedVitals;
use mdhub_spec::settings::Publish;
use mdhub_spec::time::Mono;
use rustix::event::epoll;
use rustix::time::{ClockId, Timespec};

type Job = Box<dyn FnOnce(&mut Server) + Send>;

/// The other events of the loop have smaller tokens.
const TOKEN_BASE: u64 = 1000;

pub(crate) fn config() -> ServerConfig {
    ServerConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..ServerConfig::from(&Publish::default()) }
}

#[expect(clippy::disallowed_methods, reason = "this loop is the edge that reads the clock")]
pub(crate) fn mono() -> Mono {
    let t = rustix::time::clock_gettime(ClockId::Monotonic);
    Mono(u64::try_from(t.tv_sec).expect("after boot") * 1_000_000_000 + u64::try_from(t.tv_nsec).expect("positive"))
}

pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    pub(crate) vitals: Arc<FeedVitals>,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    pub(crate) fn start(config: ServerConfig) -> Self {
        let vitals = Arc::new(FeedVitals::default());
        let mut server = Server::bind(config, Arc::clone(&vitals)).expect("a free port");
        let address = server.local_addr();
        let (jobs, inbox) = channel();
        let thread = std::thread::spawn(move || run(&mut server, &inbox));
        Self { address, vitals, jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs `job` on the server's thread, flushes, and waits for both.
    pub(crate) fn run(&self, job: impl FnOnce(&mut Server) + Send + 'static) {
        let (done, wait) = channel();
        let job: Job = Box::new(move |server| {
            job(server);
            server.flush(mono());
            done.send(()).expect("the test waits");
        });
        self.jobs.as_ref().expect("running").send(job).expect("the server runs");
        wait.recv().expect("the server runs");
    }

    pub(crate) fn publish(&self, topic: &'static str, payload: &[u8]) {
        let payload = payload.to_vec();
        self.run(move |server| {
            let id = server.topic(topic);
            server.publish(id, &payload);
        });
    }

    /// Waits until a counter has a value; fails after ten seconds.
    pub(crate) fn wait_for(&self, what: &str, counter: impl Fn(&FeedVitals) -> &AtomicU64, value: u64) {
        let deadline = mono().plus_ms(10_000);
        while counter(&self.vitals).load(Relaxed) != value {
            assert!(mono() < deadline, "{what} is {:?}, not {value}", counter(&self.vitals));
            std::thread::yield_now();
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.jobs = None;
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the server's thread panicked");
        }
    }
}

fn run(server: &mut Server, inbox: &Receiver<Job>) {
    let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll"));
    server.register(Arc::clone(&epoll), TOKEN_BASE).expect("registers");
    let mut events = Vec::with_capacity(64);
    let mut patience = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        epoll::wait(&*epoll, rustix::buffer::spare_capacity(&mut events), Some(&patience)).expect("waits");
        for event in events.drain(..) {
            server.ready(event.data.u64(), event.flags, mono());
        }
        // One job a turn: however fast they come, the server has its turns between them.
        patience.tv_nsec = match inbox.try_recv() {
            Ok(job) => {
                job(server);
                0
            }
            Err(TryRecvError::Empty) => 1_000_000,
            Err(TryRecvError::Disconnected) => return server.close(),
        };
        server.flush(mono());
        server.tend(mono());
    }
}
