//! Peers that mean harm, or are broken: each is sent away or ignored, and nobody else notices.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::client::{Client, command, frame, greeting, ready};
use crate::hub::{Hub, config};

#[test]
fn an_oversized_frame_is_cut_off_at_its_header() {
    let hub = Hub::start(config());
    for (n, header) in (1..).zip([
        &[0x02, 0, 0, 0, 0, 0, 0, 0x10, 0x01][..],
        &[0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x06, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xf0],
    ]) {
        let mut client = Client::connect(hub.address);
        client.send(header);
        assert_eq!(client.closed(), b"");
        hub.wait_for("peers_refused", |v| &v.peers_refused, n);
    }
}

#[test]
fn the_largest_frame_is_taken_and_unknown_messages_and_commands_are_ignored() {
    let hub = Hub::start(config());
    let mut client = Client::connect(hub.address);
    client.send(&frame(0, &[7; 4096]));
    client.send(&frame(0, b""));
    client.send(&command("JOIN", b"group"));
    client.send(&ready("SUB"));
    client.subscribe("a");
    hub.publish("a", b"b");
    assert_eq!(client.message(), [b"a", b"b"]);
}

#[test]
fn an_endless_multipart_message_costs_nothing() {
    let hub = Hub::start(config());
    let mut healthy = Client::connect(hub.address);
    healthy.subscribe("");
    let mut endless = Client::connect(hub.address);
    let parts = frame(1, &[5; 4000]).repeat(16);
    for n in 0..200u32 {
        endless.send(&parts);
        hub.publish("a", &n.to_be_bytes());
        assert_eq!(healthy.message()[1], n.to_be_bytes());
    }
    endless.sync();
}

#[test]
fn too_many_or_too_long_subscriptions_end_the_peer_alone() {
    let hub = Hub::start(config());
    let mut healthy = Client::connect(hub.address);
    healthy.subscribe("");
    let mut greedy = Client::connect(hub.address);
    for n in 0..3_000u32 {
        greedy.send(&command("SUBSCRIBE", &n.to_be_bytes()));
    }
    greedy.sync();
    greedy.send(&command("SUBSCRIBE", b"one more"));
    assert_eq!(greedy.closed(), b"");
    let mut long = Client::connect(hub.address);
    long.send(&command("SUBSCRIBE", &[b'x'; 256]));
    assert_eq!(long.closed(), b"");
    hub.wait_for("peers_refused", |v| &v.peers_refused, 2);
    healthy.sync();
}

/// xorshift64*, so that a failure can be repeated.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn blob(&mut self) -> Vec<u8> {
        let size = 1 + self.next() % 200;
        (0..size).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

fn attack(address: std::net::SocketAddr, seed: u64, blobs: u64) {
    let mut noise = Noise(seed);
    for n in 0..blobs {
        let mut client = Client::dial(address);
        let blob = noise.blob();
        let opening = match n % 4 {
            0 => Vec::new(),
            1 => greeting(3, 1, b"NULL"),
            _ => [greeting(3, 1, b"NULL"), ready("SUB")].concat(),
        };
        client.try_send(&opening);
        client.try_send(&blob);
        // A frame that looks right, with noise inside.
        client.try_send(&frame((noise.next() % 8) as u8, &blob));
        // Whatever came before, no frame swallows all of this, and none begins so: it ends every connection.
        client.try_send(&[0xff; 4200]);
        client.closed();
        client.abort();
    }
}

#[test]
fn ten_thousand_random_blobs_hurt_no_healthy_subscriber() {
    let hub = Hub::start(config());
    let published = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut healthy = Client::connect(hub.address);
    healthy.subscribe("healthy");
    let (expected, over) = (Arc::clone(&published), Arc::clone(&is_over));
    let reader = std::thread::spawn(move || {
        let mut next = 0u64;
        while !over.load(Relaxed) || next < expected.load(Relaxed) {
            let parts = healthy.message();
            assert_eq!(parts, [b"healthy".to_vec(), next.to_be_bytes().to_vec()]);
            next += 1;
        }
        next
    });
    let address = hub.address;
    let attackers: Vec<_> = (1..=2).map(|seed| std::thread::spawn(move || attack(address, seed, 5_000))).collect();
    while attackers.iter().any(|a| !a.is_finished()) {
        let n = published.load(Relaxed);
        hub.publish("healthy", &n.to_be_bytes());
        published.store(n + 1, Relaxed);
    }
    let n = published.load(Relaxed);
    published.store(n + 1, Relaxed);
    is_over.store(true, Relaxed);
    hub.publish("healthy", &n.to_be_bytes());
    assert_eq!(reader.join().expect("every tick, in order"), n + 1);
    for attacker in attackers {
        attacker.join().expect("the port stays open");
    }
    assert_eq!(hub.vitals.peers_refused.load(Relaxed), 10_000);
    assert_eq!(hub.vitals.dropped.load(Relaxed), 0);
    hub.wait_for("peers", |v| &v.peers, 0);
}
