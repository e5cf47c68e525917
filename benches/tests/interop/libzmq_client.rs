//! Crate `zmq`.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use zmq::{Context, Socket, SocketType};

use crate::hub::Hub;
use crate::scenarios::{self, Subscriber};

const TOKEN: &str = "open sesame";

struct Libzmq {
    socket: Socket,
}

impl Libzmq {
    fn by(token: &str) -> Self {
        let subscriber = Self::new();
        subscriber.socket.set_plain_username(Some("desk")).expect("a name");
        subscriber.socket.set_plain_password(Some(token)).expect("a token");
        subscriber
    }
}

impl Subscriber for Libzmq {
    fn new() -> Self {
        let socket = Context::new().socket(SocketType::SUB).expect("a socket");
        socket.set_linger(0).expect("no linger");
        socket.set_reconnect_ivl(50).expect("an interval");
        socket.set_heartbeat_ivl(50).expect("an interval");
        socket.set_heartbeat_timeout(500).expect("a time-out");
        socket.set_heartbeat_ttl(500).expect("a time to live");
        Self { socket }
    }

    fn connect(&mut self, address: SocketAddr) {
        self.socket.connect(&format!("tcp://{address}")).expect("connects");
    }

    fn subscribe(&mut self, prefix: &str) {
        self.socket.set_subscribe(prefix.as_bytes()).expect("subscribes");
    }

    fn unsubscribe(&mut self, prefix: &str) {
        self.socket.set_unsubscribe(prefix.as_bytes()).expect("unsubscribes");
    }

    fn message(&mut self, within: Duration) -> Option<(String, Vec<u8>)> {
        self.socket.set_rcvtimeo(i32::try_from(within.as_millis()).expect("fits")).expect("a time-out");
        let parts = self.socket.recv_multipart(0).ok()?;
        let [topic, payload] = <[Vec<u8>; 2]>::try_from(parts).expect("two parts");
        Some((String::from_utf8(topic).expect("text"), payload))
    }
}

#[test]
fn libzmq_subscribed_before_and_after_connecting() {
    scenarios::subscribed_before_and_after_connecting::<Libzmq>();
}

#[test]
fn libzmq_connected_before_the_hub_starts() {
    scenarios::connected_before_the_hub_starts::<Libzmq>();
}

#[test]
fn libzmq_prefixes_and_the_empty_one() {
    scenarios::prefixes_and_the_empty_one::<Libzmq>();
}

#[test]
fn libzmq_unsubscribed_one_by_one() {
    scenarios::unsubscribed_one_by_one::<Libzmq>();
}

#[test]
fn libzmq_comes_back_with_its_subscriptions() {
    scenarios::comes_back_with_its_subscriptions::<Libzmq>();
}

#[test]
fn libzmq_beats_and_stays_while_nothing_comes() {
    scenarios::stays_while_nothing_comes::<Libzmq>();
}

#[test]
fn libzmq_is_served_without_a_token_where_both_are() {
    scenarios::served_without_a_token_where_both_are::<Libzmq>();
}

#[test]
fn libzmq_with_the_right_token_is_served_and_with_wrong_ones_or_none_it_is_not() {
    let hub = Hub::start(scenarios::asks_for_the_token(false));
    let mut right = Libzmq::by(TOKEN);
    right.connect(hub.address);
    right.subscribe("rb");
    hub.wait_for("subscriptions", |v| &v.subscriptions, 1);
    let mut refused = [Libzmq::by("open sesam"), Libzmq::by(&"x".repeat(255)), Libzmq::new()];
    for (n, subscriber) in (1..).zip(&mut refused) {
        subscriber.subscribe("");
        subscriber.connect(hub.address);
        if n <= 2 {
            hub.wait_for("tokens_refused", |v| &v.tokens_refused, n);
        }
    }
    hub.publish("rb2701.SHFE", b"1");
    assert_eq!(right.message(Duration::from_secs(10)), Some(("rb2701.SHFE".to_owned(), b"1".to_vec())));
    for subscriber in &mut refused {
        assert_eq!(subscriber.message(Duration::from_millis(300)), None);
    }
    assert_eq!(hub.vitals.peers.load(Relaxed), 1);
}
