//! Crate `zeromq`: speaks ZMTP 3.0, has no heartbeats and of the mechanisms only NULL.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::timeout;
use zeromq::{Socket, SocketRecv, SubSocket};

use crate::hub::Hub;
use crate::scenarios::{self, Subscriber};

struct Zeromq {
    runtime: Runtime,
    socket: SubSocket,
}

impl Subscriber for Zeromq {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let socket = runtime.block_on(async { SubSocket::new() });
        Self { runtime, socket }
    }

    fn connect(&mut self, address: SocketAddr) {
        self.runtime.block_on(self.socket.connect(&format!("tcp://{address}"))).expect("connects");
    }

    fn subscribe(&mut self, prefix: &str) {
        self.runtime.block_on(self.socket.subscribe(prefix)).expect("subscribes");
    }

    fn unsubscribe(&mut self, prefix: &str) {
        self.runtime.block_on(self.socket.unsubscribe(prefix)).expect("unsubscribes");
    }

    fn message(&mut self, within: Duration) -> Option<(String, Vec<u8>)> {
        let received = self.runtime.block_on(async { timeout(within, self.socket.recv()).await });
        // An error is the end of the connection: it comes back by itself.
        let message = received.ok()?.ok()?;
        let part = |n| message.get(n).expect("two parts").to_vec();
        assert_eq!(message.len(), 2);
        Some((String::from_utf8(part(0)).expect("text"), part(1)))
    }
}

#[test]
fn zeromq_subscribed_before_and_after_connecting() {
    scenarios::subscribed_before_and_after_connecting::<Zeromq>();
}

#[test]
fn zeromq_connected_before_the_hub_starts() {
    scenarios::connected_before_the_hub_starts::<Zeromq>();
}

#[test]
fn zeromq_prefixes_and_the_empty_one() {
    scenarios::prefixes_and_the_empty_one::<Zeromq>();
}

#[test]
fn zeromq_unsubscribed_one_by_one() {
    scenarios::unsubscribed_one_by_one::<Zeromq>();
}

#[test]
fn zeromq_comes_back_with_its_subscriptions() {
    scenarios::comes_back_with_its_subscriptions::<Zeromq>();
}

#[test]
fn zeromq_stays_while_nothing_comes() {
    scenarios::stays_while_nothing_comes::<Zeromq>();
}

#[test]
fn zeromq_is_served_without_a_token_where_both_are() {
    scenarios::served_without_a_token_where_both_are::<Zeromq>();
}

#[test]
fn zeromq_is_refused_where_a_token_is_asked_for() {
    let hub = Hub::start(scenarios::asks_for_the_token(false));
    let mut subscriber = Zeromq::new();
    let refused = subscriber.runtime.block_on(async {
        timeout(Duration::from_secs(10), subscriber.socket.connect(&format!("tcp://{}", hub.address))).await
    });
    assert!(refused.is_ok_and(|connected| connected.is_err()), "it takes itself for connected, or hangs");
    hub.wait_for("peers_refused", |v| &v.peers_refused, 1);
    assert_eq!(hub.vitals.peers.load(Relaxed), 0);
}
