//! What waits for slow peers is bounded; only whole ticks are dropped, only for those who are slow.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::zmtp::ServerConfig;

use crate::client::{Client, ping};
use crate::hub::{Hub, config, mono};

/// Publishes ticks `from..from + count` of `size` bytes, each with its number in front, in one turn of the loop.
fn publish(hub: &Hub, from: u64, count: u64, size: usize) {
    hub.run(move |server| {
        let id = server.topic("tick");
        let mut payload = vec![7; size];
        for n in from..from + count {
            payload[..8].copy_from_slice(&n.to_be_bytes());
            server.publish(id, &payload);
        }
    });
}

fn number(message: &[Vec<u8>], size: usize) -> u64 {
    assert_eq!((message.len(), message[0].as_slice(), message[1].len()), (2, &b"tick"[..], size), "half a message");
    assert!(message[1][8..].iter().all(|b| *b == 7));
    u64::from_be_bytes(message[1][..8].try_into().expect("eight"))
}

#[test]
fn a_slow_consumer_is_cut_while_the_others_receive_everything() {
    const SIZE: usize = 8 * 1024;
    let hub = Hub::start(ServerConfig { peer_buffer_bytes_max: 512 * 1024, slow_consumer_ms: 300, ..config() });
    let mut healthy = [Client::connect(hub.address), Client::connect(hub.address)];
    let mut stuck = Client::connect(hub.address);
    for client in healthy.iter_mut().chain([&mut stuck]) {
        client.subscribe("");
    }
    let mut next = 0;
    let deadline = mono().plus_ms(30_000);
    while hub.vitals.peers_cut.load(Relaxed) == 0 {
        assert!(mono() < deadline, "never cut: {:?}", hub.vitals);
        publish(&hub, next, 16, SIZE);
        for client in &mut healthy {
            for n in next..next + 16 {
                assert_eq!(number(&client.message(), SIZE), n);
            }
        }
        next += 16;
    }
    assert!(hub.vitals.dropped.load(Relaxed) > 0);
    assert_eq!((hub.vitals.peers.load(Relaxed), hub.vitals.peers_cut.load(Relaxed)), (2, 1));
    stuck.closed();
}

/// Publishes until so many ticks were dropped; the number of the next tick. No turn alone fills a budget: that the
/// sockets are full is what makes ticks wait.
fn publish_until_dropped(hub: &Hub, mut next: u64, dropped: u64, size: usize) -> u64 {
    let target = hub.vitals.dropped.load(Relaxed) + dropped;
    while hub.vitals.dropped.load(Relaxed) < target {
        let turn = 16 * 1024 / size as u64;
        publish(hub, next, turn, size);
        next += turn;
        assert!(next < 5_000_000, "nothing is ever dropped: {:?}", hub.vitals);
    }
    next
}

#[test]
fn a_peer_that_lags_misses_whole_ticks_only_and_is_counted() {
    const SIZE: usize = 1000;
    let hub = Hub::start(ServerConfig { peer_buffer_bytes_max: 64 * 1024, slow_consumer_ms: 60_000, ..config() });
    let mut client = Client::connect(hub.address);
    client.subscribe("tick");
    let next = publish_until_dropped(&hub, 0, 100, SIZE);
    let expected = hub.vitals.delivered.load(Relaxed);
    assert_eq!(expected + hub.vitals.dropped.load(Relaxed), next);
    let mut last = None;
    for _ in 0..expected {
        let n = number(&client.message(), SIZE);
        assert!(last < Some(n), "{n} after {last:?}");
        last = Some(n);
    }
    client.sync();
    publish(&hub, next, 10, SIZE);
    for n in next..next + 10 {
        assert_eq!(number(&client.message(), SIZE), n, "once it has caught up it gets everything again");
    }
    assert_eq!(hub.vitals.peers_cut.load(Relaxed), 0);
}

#[test]
fn a_peer_that_lags_but_takes_what_it_can_is_not_cut() {
    const SIZE: usize = 8_000;
    let hub = Hub::start(ServerConfig { peer_buffer_bytes_max: 64 * 1024, slow_consumer_ms: 1_000, ..config() });
    let mut client = Client::connect(hub.address);
    client.subscribe("tick");
    let until = mono().plus_ms(2_500);
    let (mut next, mut taken) = (0, 0);
    while mono() < until {
        next = publish_until_dropped(&hub, next, 1, SIZE);
        let delivered = hub.vitals.delivered.load(Relaxed);
        for _ in taken..delivered {
            client.message();
        }
        taken = delivered;
    }
    client.sync();
    assert_eq!(hub.vitals.peers_cut.load(Relaxed), 0);
}

#[test]
fn all_budgets_together_are_bounded_and_stuck_peers_leave_room_for_the_others() {
    const SIZE: usize = 4 * 1024;
    let hub = Hub::start(ServerConfig {
        peer_buffer_bytes_max: 256 * 1024 * 1024,
        total_buffer_bytes_max: 1024 * 1024,
        slow_consumer_ms: 60_000,
        ..config()
    });
    let mut stuck: Vec<Client> = (0..4).map(|_| Client::connect(hub.address)).collect();
    let mut healthy = Client::connect(hub.address);
    for client in stuck.iter_mut().chain([&mut healthy]) {
        client.subscribe("");
    }
    let mut next = 0;
    // Until every stuck peer misses ticks in every turn: no budget is left to grow into.
    let mut turns_at_the_limit = 0;
    while turns_at_the_limit < 20 {
        let before = hub.vitals.dropped.load(Relaxed);
        publish(&hub, next, 8, SIZE);
        for n in next..next + 8 {
            assert_eq!(number(&healthy.message(), SIZE), n);
        }
        next += 8;
        turns_at_the_limit =
            if hub.vitals.dropped.load(Relaxed) - before == 4 * 8 { turns_at_the_limit + 1 } else { 0 };
        assert!(next < 10_000, "the budget is never reached: {:?}", hub.vitals);
    }
    assert_eq!(hub.vitals.peers_cut.load(Relaxed), 0);
}

#[test]
fn a_peer_whose_budget_is_spent_still_gets_its_pongs() {
    let hub = Hub::start(ServerConfig { peer_buffer_bytes_max: 32 * 1024, slow_consumer_ms: 60_000, ..config() });
    let mut client = Client::connect(hub.address);
    client.subscribe("tick");
    publish_until_dropped(&hub, 0, 10, 100);
    for _ in 0..20 {
        client.send(&ping(0, b"sync"));
    }
    // Two turns of its loop: it has read them before any room was made.
    hub.run(|_| {});
    hub.run(|_| {});
    assert!(!client.until_pong().is_empty());
    for _ in 0..20 {
        client.expect_pong();
    }
}
