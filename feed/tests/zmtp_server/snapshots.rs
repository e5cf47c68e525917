//! The last payload of each topic, for those who have just subscribed.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::zmtp::ServerConfig;

use crate::client::{Client, command};
use crate::hub::{Hub, config, mono};

fn mark(payload: &mut [u8]) {
    payload[0] |= 1;
}

fn start(config: ServerConfig) -> Hub {
    let hub = Hub::start(config);
    hub.run(|server| server.send_snapshots(mark));
    hub
}

fn message(topic: &str, payload: &[u8]) -> Vec<Vec<u8>> {
    vec![topic.into(), payload.to_vec()]
}

/// Nothing is due now.
fn rests(hub: &Hub) {
    hub.run(|server| {
        let now = mono();
        let at = server.tend(now);
        assert!(at.is_none_or(|at| at > now), "it spins for those who do not read");
    });
}

#[test]
fn a_newcomer_gets_the_last_of_each_topic_and_nobody_else_does() {
    let hub = start(config());
    let mut old = Client::connect(hub.address);
    old.subscribe("");
    for (topic, payload) in [("rb1", [2, 1]), ("ag1", [4, 2]), ("rb1", [6, 3]), ("s", [8, 4])] {
        hub.publish(topic, &payload);
        assert_eq!(old.message(), message(topic, &payload));
    }
    let mut newcomer = Client::connect(hub.address);
    newcomer.send(&command("SUBSCRIBE", b"rb"));
    assert_eq!(newcomer.message(), message("rb1", &[7, 3]));
    newcomer.send(&command("SUBSCRIBE", b""));
    let all = [message("ag1", &[5, 2]), message("rb1", &[7, 3]), message("s", &[9, 4])];
    for expected in &all {
        assert_eq!(newcomer.message(), *expected);
    }
    newcomer.sync();
    old.sync();
    hub.wait_for("snapshots", |v| &v.snapshots, 4);
    // Asking again gives them again; so does coming back.
    newcomer.send(&command("SUBSCRIBE", b"s"));
    assert_eq!(newcomer.message(), all[2]);
    newcomer.send(&[command("CANCEL", b"s"), command("SUBSCRIBE", b"s")].concat());
    assert_eq!(newcomer.message(), all[2]);
    newcomer.sync();
}

#[test]
fn what_is_kept_without_being_published_and_what_is_announced() {
    let hub = start(config());
    hub.run(|server| {
        let (kept, told) = (server.topic("kept"), server.topic("told"));
        server.keep(kept, &[2]);
        server.announce(told, &[2]);
    });
    let mut newcomer = Client::connect(hub.address);
    newcomer.send(&command("SUBSCRIBE", b""));
    assert_eq!(newcomer.message(), message("kept", &[3]));
    newcomer.sync();
}

#[test]
fn a_subscription_that_is_taken_back_in_time_gets_nothing() {
    let hub = start(config());
    hub.publish("a", &[2]);
    let mut client = Client::connect(hub.address);
    client.send(&[command("SUBSCRIBE", b"a"), command("CANCEL", b"a")].concat().repeat(100));
    client.sync();
    hub.run(|_| {});
    client.sync();
}

/// A newcomer that does not read holds at most half of its budget in snapshots; and what is published meanwhile it does
/// not get again from the past.
#[test]
fn snapshots_are_paced_and_a_live_tick_cancels_its_topics() {
    const TOPICS: u64 = 2_000;
    const SIZE: usize = 8_000;
    let hub = start(ServerConfig { peer_buffer_bytes_max: 128 * 1024, slow_consumer_ms: 60_000, ..config() });
    let publish_all = |kind: u8| {
        hub.run(move |server| {
            for n in 0..TOPICS {
                let topic = server.topic(&format!("t{n:04}"));
                server.publish(topic, &[kind; SIZE]);
            }
        });
    };
    publish_all(2);
    let mut newcomer = Client::connect(hub.address);
    newcomer.send(&command("SUBSCRIBE", b"t"));
    // Until its socket is full and what waits stays as it is.
    let deadline = mono().plus_ms(20_000);
    let (mut before, mut unchanged) = (0, 0);
    while unchanged < 200 {
        hub.run(|_| {});
        let now = hub.vitals.snapshots.load(Relaxed);
        unchanged = if now == before && now > 0 { unchanged + 1 } else { 0 };
        before = now;
        assert!(mono() < deadline, "{:?}", hub.vitals);
    }
    assert!(before < TOPICS, "the sockets took all of them");
    rests(&hub);
    let waiting = hub.vitals.waiting_bytes.load(Relaxed);
    assert!(waiting <= 64 * 1024, "{waiting} bytes wait");
    publish_all(4);
    let (mut flagged, mut live) = (0u64, 0);
    let expected = hub.vitals.delivered.load(Relaxed) + before;
    for _ in 0..expected {
        let parts = newcomer.message();
        let is_flagged = parts[1][0] & 1 == 1;
        assert!(!is_flagged || live == 0, "a snapshot behind live ticks, which had all been published");
        if is_flagged {
            assert_eq!(parts[0], format!("t{flagged:04}").into_bytes());
        }
        flagged += u64::from(is_flagged);
        live += u64::from(!is_flagged);
    }
    newcomer.sync();
    assert_eq!((flagged, hub.vitals.snapshots.load(Relaxed)), (before, before));
}

/// However many newcomers do not read: of what may wait for all of them, half is left for ticks.
#[test]
fn snapshots_leave_half_of_all_budgets_to_ticks() {
    const TOTAL: usize = 1024 * 1024;
    const SIZE: usize = 8_000;
    let hub = start(ServerConfig {
        peer_buffer_bytes_max: TOTAL,
        total_buffer_bytes_max: TOTAL,
        slow_consumer_ms: 60_000,
        ..config()
    });
    hub.run(move |server| {
        for n in 0..2_000 {
            let topic = server.topic(&format!("t{n:04}"));
            server.publish(topic, &[2; SIZE]);
        }
    });
    let mut healthy = Client::connect(hub.address);
    healthy.subscribe("live");
    let mut newcomers: Vec<Client> = (0..4).map(|_| Client::connect(hub.address)).collect();
    for newcomer in &mut newcomers {
        newcomer.send(&command("SUBSCRIBE", b"t"));
    }
    let (mut before, mut unchanged) = (0, 0);
    let deadline = mono().plus_ms(20_000);
    while unchanged < 200 {
        hub.run(|_| {});
        let now = hub.vitals.snapshots.load(Relaxed);
        unchanged = if now == before && now > 0 { unchanged + 1 } else { 0 };
        before = now;
        assert!(mono() < deadline, "{:?}", hub.vitals);
    }
    let waiting = hub.vitals.waiting_bytes.load(Relaxed) as usize;
    rests(&hub);
    assert!((TOTAL / 4..=TOTAL / 2).contains(&waiting), "{waiting} bytes wait");
    hub.publish("live", &[4; SIZE]);
    assert_eq!(healthy.message(), message("live", &[4; SIZE]));
    assert_eq!(hub.vitals.dropped.load(Relaxed), 0);
}

#[test]
fn a_newcomer_that_reads_gets_twenty_thousand() {
    const TOPICS: usize = 20_000;
    let hub = start(config());
    hub.run(|server| {
        for n in 0..TOPICS {
            let topic = server.topic(&format!("t{n:05}"));
            server.publish(topic, &[2; 900]);
        }
    });
    let mut newcomer = Client::connect(hub.address);
    newcomer.send(&command("SUBSCRIBE", b""));
    for n in 0..TOPICS {
        let parts = newcomer.message();
        assert_eq!((parts[0].as_slice(), parts[1][0]), (format!("t{n:05}").as_bytes(), 3));
    }
    newcomer.sync();
    assert_eq!(hub.vitals.dropped.load(Relaxed), 0);
}
