//! What every client is to see, whichever library it is.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mdhub_feed::zmtp::{Access, ServerConfig};
use mdhub_spec::settings::{Publish, Sha256, Token};

use crate::hub::{Hub, config, mono};

/// A wait for what is to come.
const PATIENCE: Duration = Duration::from_secs(20);
const TOPICS: [&str; 5] = ["rb2701.SHFE", "rb2705.SHFE", "ru2701.SHFE", "IO2612-C-4000.CFFEX", "r"];
/// SHA-256 of `open sesame`, by another program.
const SESAME: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

/// A client's SUB socket. Calls to it return before the hub has seen what they did.
pub(crate) trait Subscriber: Sized + Send + 'static {
    /// A socket; of a library that has heartbeats, one that beats every 50 ms and expects an answer within 500.
    fn new() -> Self;
    fn connect(&mut self, address: SocketAddr);
    fn subscribe(&mut self, prefix: &str);
    fn unsubscribe(&mut self, prefix: &str);
    /// The next message: its topic and payload.
    fn message(&mut self, within: Duration) -> Option<(String, Vec<u8>)>;
}

pub(crate) fn asks_for_the_token(anonymous: bool) -> ServerConfig {
    let sha256 = Sha256::try_from(SESAME.to_owned()).expect("a digest");
    let tokens = vec![Token { name: "desk".into(), sha256 }];
    ServerConfig { access: Access::from(&Publish { tokens, anonymous, ..Publish::default() }), ..config() }
}

fn subscriptions(hub: &Hub, expected: u64) {
    hub.wait_for("subscriptions", |v| &v.subscriptions, expected);
}

/// Publishes a round of every topic, then a last one; which of them the subscriber gets. It is subscribed to the last one.
fn round(hub: &Hub, subscriber: &mut impl Subscriber) -> Vec<String> {
    for topic in TOPICS {
        hub.publish(topic, topic.as_bytes());
    }
    hub.publish("zzz.last", b"zzz.last");
    let mut seen = Vec::new();
    loop {
        let (topic, payload) = subscriber.message(PATIENCE).expect("a message in time");
        assert_eq!(topic.as_bytes(), payload);
        if topic == "zzz.last" {
            return seen;
        }
        seen.push(topic);
    }
}

/// An address that nobody listens at.
fn free() -> SocketAddr {
    Hub::start(config()).address
}

pub(crate) fn subscribed_before_and_after_connecting<S: Subscriber>() {
    let hub = Hub::start(config());
    let mut subscriber = S::new();
    subscriber.subscribe("zzz.");
    subscriber.subscribe("rb2701.SHFE");
    subscriber.connect(hub.address);
    subscriptions(&hub, 2);
    assert_eq!(round(&hub, &mut subscriber), ["rb2701.SHFE"]);
    subscriber.subscribe("ru");
    subscriptions(&hub, 3);
    assert_eq!(round(&hub, &mut subscriber), ["rb2701.SHFE", "ru2701.SHFE"]);
}

pub(crate) fn connected_before_the_hub_starts<S: Subscriber>() {
    let address = free();
    let early = std::thread::spawn(move || {
        let mut subscriber = S::new();
        subscriber.subscribe("zzz.");
        subscriber.connect(address);
        subscriber
    });
    let until = mono().plus_ms(500);
    while mono() < until {
        std::thread::yield_now();
    }
    let hub = Hub::start(ServerConfig { listen: address, ..config() });
    let mut subscriber = early.join().expect("it connects");
    subscriptions(&hub, 1);
    assert!(round(&hub, &mut subscriber).is_empty());
}

pub(crate) fn prefixes_and_the_empty_one<S: Subscriber>() {
    let hub = Hub::start(config());
    let mut subscriber = S::new();
    subscriber.connect(hub.address);
    subscriber.subscribe("zzz.");
    for (prefix, expected) in [
        ("rb", &TOPICS[..2]),
        ("r", &[TOPICS[0], TOPICS[1], TOPICS[2], TOPICS[4]]),
        ("rb2701.SHFE.", &[]),
        ("RB", &[]),
        ("IO2612-C", &TOPICS[3..4]),
        ("", &TOPICS),
    ] {
        subscriber.subscribe(prefix);
        subscriptions(&hub, 2);
        assert_eq!(round(&hub, &mut subscriber), expected, "{prefix:?}");
        subscriber.unsubscribe(prefix);
        subscriptions(&hub, 1);
    }
}

pub(crate) fn unsubscribed_one_by_one<S: Subscriber>() {
    let hub = Hub::start(config());
    let mut subscriber = S::new();
    subscriber.connect(hub.address);
    for prefix in ["zzz.", "rb2701.SHFE", "ru", ""] {
        subscriber.subscribe(prefix);
    }
    subscriptions(&hub, 4);
    assert_eq!(round(&hub, &mut subscriber), TOPICS, "overlapping ones deliver once");
    for (left, prefix, expected) in
        [(3, "", &["rb2701.SHFE", "ru2701.SHFE"][..]), (2, "rb2701.SHFE", &["ru2701.SHFE"]), (1, "ru", &[])]
    {
        subscriber.unsubscribe(prefix);
        subscriptions(&hub, left);
        assert_eq!(round(&hub, &mut subscriber), expected, "without {prefix:?}");
    }
}

pub(crate) fn comes_back_with_its_subscriptions<S: Subscriber>() {
    let hub = Hub::start(config());
    let address = hub.address;
    let mut subscriber = S::new();
    subscriber.connect(address);
    subscriber.subscribe("zzz.");
    subscriber.subscribe("rb");
    subscriptions(&hub, 2);
    assert_eq!(round(&hub, &mut subscriber).len(), 2);
    drop(hub);
    // Whoever does not read does not notice, with some libraries.
    assert_eq!(subscriber.message(Duration::from_millis(300)), None);
    let hub = Hub::start(ServerConfig { listen: address, ..config() });
    let deadline = mono().plus_ms(20_000);
    while hub.vitals.subscriptions.load(Relaxed) < 2 {
        assert!(mono() < deadline, "it does not come back");
        subscriber.message(Duration::from_millis(10));
    }
    assert_eq!(round(&hub, &mut subscriber), TOPICS[..2]);
}

/// It says nothing by itself, or beats: the hub's own PINGs and its answers leave it connected, for many times as long as
/// the hub waits for a sign of life.
pub(crate) fn stays_while_nothing_comes<S: Subscriber>() {
    let hub = Hub::start(ServerConfig { ping_idle_ms: 200, ..config() });
    let mut subscriber = S::new();
    subscriber.connect(hub.address);
    subscriber.subscribe("zzz.");
    subscriptions(&hub, 1);
    assert_eq!(subscriber.message(Duration::from_secs(2)), None);
    assert!(round(&hub, &mut subscriber).is_empty());
    hub.run(|server| {
        let [peer] = &server.peers()[..] else { panic!("one peer") };
        assert!(peer.connected_ms > 1_500, "it was cut and came back: {peer:?}");
    });
}

pub(crate) fn served_without_a_token_where_both_are<S: Subscriber>() {
    let hub = Hub::start(asks_for_the_token(true));
    let mut subscriber = S::new();
    subscriber.connect(hub.address);
    subscriber.subscribe("zzz.");
    subscriptions(&hub, 1);
    assert!(round(&hub, &mut subscriber).is_empty());
}
