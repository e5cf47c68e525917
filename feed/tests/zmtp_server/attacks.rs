//! Attacks that go on while a healthy subscriber listens: it loses nothing and hardly waits.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use mdhub_feed::zmtp::ServerConfig;

use crate::client::{Client, command, greeting, ping, ready};
use crate::hub::{Hub, config, mono};
use crate::scale::allow_descriptors;

/// Latencies below this are the machine's noise.
const NOISE_US: u64 = 100_000;
/// Twice the quiet p99, and ten times slack.
const SLACK: u64 = 20;

/// Something that goes on until it is told to stop; says how much it did.
struct Attack {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Attack {
    fn start(mut act: impl FnMut() -> u64 + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let mut done = act();
            while !over.load(Relaxed) {
                done += act();
            }
            done
        });
        Self { is_over, thread }
    }

    fn stop(self) -> u64 {
        self.is_over.store(true, Relaxed);
        self.thread.join().expect("the attacker ends")
    }
}

/// A healthy subscriber's p99 over so many ticks, microseconds; every one arrives, in order.
fn p99_us(hub: &Hub, healthy: &mut Client, ticks: u64) -> u64 {
    let mut latencies: Vec<u64> = (0..ticks)
        .map(|n| {
            let began = mono();
            hub.publish("healthy", &n.to_be_bytes());
            assert_eq!(healthy.message(), [b"healthy".to_vec(), n.to_be_bytes().to_vec()]);
            (mono().0 - began.0) / 1_000
        })
        .collect();
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100]
}

/// Runs an attack beside a healthy subscriber; how much the attacker did.
fn under_attack(hub: &Hub, what: &str, ticks: u64, attack: impl FnMut() -> u64 + Send + 'static) -> u64 {
    let mut healthy = Client::connect(hub.address);
    healthy.subscribe("healthy");
    let quiet_us = p99_us(hub, &mut healthy, ticks);
    let attack = Attack::start(attack);
    let attacked_us = p99_us(hub, &mut healthy, ticks);
    let done = attack.stop();
    healthy.sync();
    println!("{what}: {done} acts; p99 {quiet_us} us before, {attacked_us} us under attack");
    assert!(attacked_us <= NOISE_US.max(quiet_us * SLACK), "{what}: {quiet_us} us became {attacked_us} us");
    assert_eq!(hub.vitals.dropped.load(Relaxed), 0);
    done
}

#[test]
fn loops_of_the_empty_prefix_among_twenty_thousand_topics() {
    let hub = Hub::start(config());
    hub.run(|server| {
        server.send_snapshots(|_| ());
        for n in 0..20_000 {
            let topic = server.topic(&format!("c{n:05}.SHFE"));
            server.publish(topic, &[7; 900]);
        }
    });
    let mut hostile = Client::connect(hub.address);
    let loops = [command("SUBSCRIBE", b""), command("CANCEL", b"")].concat().repeat(500);
    let distinct: Vec<u8> = (0..500u32)
        .flat_map(|n| [command("SUBSCRIBE", &n.to_be_bytes()), command("CANCEL", &n.to_be_bytes())].concat())
        .collect();
    let done = under_attack(&hub, "loops of the empty prefix", 1_000, move || {
        hostile.send(&loops);
        hostile.send(&distinct);
        hostile.until_pong();
        2_000
    });
    assert!(done >= 2_000);
    hub.wait_for("subscriptions", |v| &v.subscriptions, 0);
}

/// Whether somebody who says at once all that has to be said is answered.
fn gets_in(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let said = [greeting(3, 1, b"NULL"), ready("SUB"), ping(0, b"sync")].concat();
    let (mut answer, mut chunk) = (Vec::new(), [0; 256]);
    let mut is_open = stream.write_all(&said).is_ok();
    while is_open && !answer.ends_with(b"PONGsync") {
        let size = stream.read(&mut chunk).unwrap_or(0);
        answer.extend(&chunk[..size]);
        is_open = size > 0;
    }
    is_open
}

#[test]
fn when_every_place_is_taken_the_oldest_silent_connection_gives_way() {
    let hub = Hub::start(ServerConfig { peers_max: 20, ..config() });
    let mut silent: Vec<Client> = (0..20).map(|_| Client::dial(hub.address)).collect();
    for client in &mut silent {
        client.expect_greeting();
    }
    let mut newcomers: Vec<Client> = (0..5).map(|_| Client::connect(hub.address)).collect();
    for mut client in silent.drain(..5) {
        assert_eq!(client.closed(), b"");
    }
    for client in &mut newcomers {
        client.sync();
    }
    silent[0].send(&[greeting(3, 1, b"NULL"), ready("SUB")].concat());
    silent[0].frame();
    assert!(gets_in(hub.address), "another one gave way");
    silent[0].sync();
    hub.wait_for("peers_refused", |v| &v.peers_refused, 6);
}

#[test]
fn ten_thousand_connects_leave_room_for_a_newcomer() {
    allow_descriptors();
    let hub = Hub::start(ServerConfig { peers_max: 200, ..config() });
    let address = hub.address;
    let newcomers = Attack::start(move || u64::from(gets_in(address)));
    let mut open: VecDeque<Client> = VecDeque::new();
    let mut connects = 0;
    let mut connect = move || {
        for _ in 0..20 {
            open.push_back(Client::dial(address));
        }
        while open.len() > 300 {
            open.pop_front().expect("there is one").abort();
        }
        20
    };
    while connects < 8_000 {
        connects += connect();
    }
    connects += under_attack(&hub, "connects", 500, connect);
    while connects < 10_000 {
        connects += 1;
        Client::dial(address).abort();
    }
    assert!(newcomers.stop() > 0, "nobody else got in");
    assert!(hub.vitals.peers.load(Relaxed) <= 200);
}

#[test]
fn two_hundred_thousand_subscriptions_cost_a_healthy_one_nothing() {
    let hub = Hub::start(config());
    let address = hub.address;
    let mut number = 0u64;
    let mut greedy: Vec<Client> = Vec::new();
    let subscribed = under_attack(&hub, "subscriptions", 1_000, move || {
        if greedy.len() == 67 {
            return 0;
        }
        let mut client = Client::connect(address);
        let mut bytes = Vec::new();
        for _ in 0..3_000 {
            number += 1;
            bytes.extend(command("SUBSCRIBE", format!("{number:x}").as_bytes()));
        }
        client.send(&bytes);
        client.sync();
        greedy.push(client);
        3_000
    });
    assert!(subscribed >= 3_000);
    // And all of them at once.
    let mut all = many(address, 67);
    hub.wait_for("subscriptions", |v| &v.subscriptions, 201_000);
    let mut healthy = Client::connect(address);
    healthy.subscribe("healthy");
    let with_all_us = p99_us(&hub, &mut healthy, 500);
    assert!(with_all_us < NOISE_US, "{with_all_us} us");
    all.clear();
    drop(healthy);
    hub.wait_for("subscriptions", |v| &v.subscriptions, 0);
}

/// So many peers with 3,000 subscriptions each.
fn many(address: SocketAddr, peers: u32) -> Vec<Client> {
    let subscribe = |peer: u32, n: u32| command("SUBSCRIBE", format!("p{peer}.{n}").as_bytes());
    let bytes = |peer| (0..3_000).flat_map(|n| subscribe(peer, n)).collect::<Vec<u8>>();
    let mut clients: Vec<Client> = (0..peers).map(|_| Client::connect(address)).collect();
    for (peer, client) in (0..).zip(&mut clients) {
        client.send(&bytes(peer));
        client.sync();
    }
    clients
}

/// Seven keep up with what is published, one never reads.
#[test]
fn a_stuck_subscriber_beside_seven_healthy_ones_is_cut_and_they_lose_nothing() {
    const TICKS: u64 = 40_000;
    const BUDGET: usize = 4 * 1024 * 1024;
    let hub = Hub::start(ServerConfig { peer_buffer_bytes_max: BUDGET, slow_consumer_ms: 300, ..config() });
    let mut stuck = Client::connect(hub.address);
    stuck.subscribe("");
    let read: Arc<[std::sync::atomic::AtomicU64; 7]> = Arc::default();
    let readers: Vec<_> = (0..7)
        .map(|i| {
            let (mut client, read) = (Client::connect(hub.address), Arc::clone(&read));
            client.subscribe("");
            std::thread::spawn(move || {
                for n in 0..TICKS {
                    assert_eq!(client.message()[1][..8], n.to_be_bytes());
                    read[i].store(n + 1, Relaxed);
                }
            })
        })
        .collect();
    let (began, mut waiting_max) = (mono(), 0);
    for turn in 0..TICKS / 50 {
        hub.run(move |server| {
            let topic = server.topic("IF2612.CFFEX");
            let mut payload = [7; 900];
            for n in turn * 50..(turn + 1) * 50 {
                payload[..8].copy_from_slice(&n.to_be_bytes());
                server.publish(topic, &payload);
            }
        });
        waiting_max = waiting_max.max(hub.vitals.waiting_bytes.load(Relaxed));
        // A healthy one keeps up: on a machine that does not let it, the market waits.
        while read.iter().any(|r| r.load(Relaxed) + 2_000 < turn * 50) {
            std::thread::yield_now();
        }
    }
    let took_ms = mono().ms_since(began).max(1);
    for reader in readers {
        reader.join().expect("it gets every tick, in order");
    }
    // It is cut once it has taken nothing for long enough, whether or not ticks still come.
    hub.wait_for("peers_cut", |v| &v.peers_cut, 1);
    stuck.closed();
    println!("{} ticks a second, at most {waiting_max} bytes waited", TICKS * 1_000 / took_ms);
    assert!(hub.vitals.dropped.load(Relaxed) > 0, "nothing was dropped for it");
    assert!(waiting_max <= 8 * BUDGET as u64);
}
