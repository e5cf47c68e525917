//! Many subscribers, many topics, many subscriptions.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::zmtp::ServerConfig;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{Client, command};
use crate::hub::{Hub, config, mono};

fn allow_descriptors() {
    let given = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: given.maximum, ..given }).expect("raises the soft limit");
}

#[test]
fn a_thousand_subscribers_get_two_hundred_thousand_ticks() {
    const TICKS: u64 = 200;
    allow_descriptors();
    let hub = Hub::start(config());
    let mut clients: Vec<Client> = (0..1_000).map(|_| Client::connect(hub.address)).collect();
    for client in &mut clients {
        client.subscribe("rb");
    }
    let began = mono();
    for n in 0..TICKS {
        let mut payload = [7; 900];
        payload[..8].copy_from_slice(&n.to_be_bytes());
        hub.publish("rb2701.SHFE", &payload);
    }
    let took_ms = mono().ms_since(began);
    for client in &mut clients {
        for n in 0..TICKS {
            assert_eq!(client.message()[1][..8], n.to_be_bytes());
        }
    }
    assert_eq!((hub.vitals.delivered.load(Relaxed), hub.vitals.dropped.load(Relaxed)), (1_000 * TICKS, 0));
    println!("200,000 deliveries to 1,000 subscribers took {took_ms} ms");
    assert!(took_ms < 30_000, "a second on a quiet machine, optimised: {took_ms} ms");
}

#[test]
fn three_thousand_subscriptions_among_twenty_thousand_topics() {
    const TOPICS: usize = 20_000;
    let hub = Hub::start(ServerConfig { peer_buffer_bytes_max: 64 * 1024 * 1024, ..config() });
    let publish_all = || {
        hub.run(|server| {
            for n in 0..TOPICS {
                let topic = server.topic(&format!("c{n:05}.SHFE"));
                server.publish(topic, b"tick");
            }
        });
    };
    publish_all();
    let mut client = Client::connect(hub.address);
    let subscriptions = (0..3_000).map(|n| command("SUBSCRIBE", format!("c{:05}.SHFE", n * 6).as_bytes()));
    client.send(&subscriptions.collect::<Vec<_>>().concat());
    client.sync();
    let began = mono();
    publish_all();
    // A new prefix costs each topic a few look-ups when it next ticks, and no more.
    let mut other = Client::connect(hub.address);
    for n in 0..200 {
        other.send(&command("SUBSCRIBE", format!("d{n}").as_bytes()));
        other.sync();
        other.send(&command("CANCEL", format!("d{n}").as_bytes()));
    }
    let got = client.until_pong();
    let took_ms = mono().ms_since(began);
    let expected: Vec<String> = (0..3_000).map(|n| format!("c{:05}.SHFE", n * 6)).collect();
    let found: Vec<String> = got.iter().map(|m| String::from_utf8(m[0].clone()).expect("text")).collect();
    assert_eq!(found, expected);
    assert!(took_ms < 20_000, "{took_ms} ms");
}
