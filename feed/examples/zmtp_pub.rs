//! Publishes counters until its standard input ends: something for any ZeroMQ subscriber to try itself against.
//!
//! ```text
//! cargo run -p mdhub-feed --example zmtp_pub -- 127.0.0.1:0 1000 rb2701.SHFE rb2705.SHFE
//! ```
//!
//! Arguments: where to listen, rounds a second, the topics, and `token=SHA256` for every token that subscribers have to
//! give. Prints `tcp://IP:PORT` once it listens. Every round publishes each topic once, with the round's number (from 1, as
//! decimal text) as payload.

use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Arc;

use mdhub_feed::zmtp::{Server, ServerConfig, TopicId};
use mdhub_spec::plane::FeedVitals;
use mdhub_spec::settings::{Publish, Sha256, Token};
use mdhub_spec::time::Mono;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::{ClockId, Timespec};

const STDIN: u64 = 0;
const SERVER: u64 = 1;

#[expect(clippy::disallowed_methods, reason = "a program's own loop is the edge that reads the clock")]
fn mono() -> Mono {
    let t = rustix::time::clock_gettime(ClockId::Monotonic);
    Mono(t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs())
}

fn until(now: Mono, at: Mono) -> Timespec {
    let wait = now.until(at);
    Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (tokens, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with("token="));
    let tokens = tokens.into_iter().enumerate().map(|(n, argument)| {
        let digest = argument.trim_start_matches("token=").to_owned();
        Sha256::try_from(digest).map(|sha256| Token { name: format!("token-{n}"), sha256 })
    });
    let publish = Publish { tokens: tokens.collect::<Result<_, _>>()?, ..Publish::default() };
    let mut arguments = arguments.into_iter();
    let listen = arguments.next().as_deref().unwrap_or("127.0.0.1:5555").parse()?;
    let rounds_a_second: u64 = arguments.next().as_deref().unwrap_or("1000").parse()?;
    let config = ServerConfig { listen, ..ServerConfig::from(&publish) };
    let mut server = Server::bind(config, Arc::new(FeedVitals::default()))?;
    let topics: Vec<TopicId> = arguments.map(|name| server.topic(&name)).collect();

    let epoll = Arc::new(epoll::create(CreateFlags::CLOEXEC)?);
    let stdin = std::io::stdin();
    epoll::add(&*epoll, stdin.as_fd(), EventData::new_u64(STDIN), EventFlags::IN)?;
    server.register(Arc::clone(&epoll), SERVER)?;
    writeln!(std::io::stdout(), "tcp://{}", server.local_addr())?;

    let mut events = Vec::with_capacity(64);
    let (mut round, mut next_round) = (0u64, mono());
    loop {
        let timer = server.tend(mono());
        let wake_at = timer.map_or(next_round, |at| at.min(next_round));
        epoll::wait(&*epoll, rustix::buffer::spare_capacity(&mut events), Some(&until(mono(), wake_at)))?;
        for event in events.drain(..) {
            match event.data.u64() {
                STDIN => {
                    server.close();
                    return Ok(());
                }
                token => server.ready(token, event.flags, mono()),
            }
        }
        if mono() >= next_round {
            next_round = mono().plus_ms(1_000 / rounds_a_second.max(1));
            round += 1;
            let payload = round.to_string();
            for topic in &topics {
                server.publish(*topic, payload.as_bytes());
            }
        }
        server.flush(mono());
    }
}
