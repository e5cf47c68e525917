//! Tokens, addresses, guessing.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::zmtp::{Access, ServerConfig};
use mdhub_spec::settings::{Publish, Sha256, Token};

use crate::client::{Client, command, greeting, hello, initiate, ready};
use crate::hub::{Hub, config};

/// SHA-256 of `open sesame`, by another program.
const SESAME: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

fn access(anonymous: bool, allow: &[&str]) -> Access {
    let sha256 = Sha256::try_from(SESAME.to_owned()).expect("a digest");
    let allow = allow.iter().map(|n| (*n).to_owned().try_into().expect("a network")).collect();
    Access::from(&Publish {
        tokens: vec![Token { name: "desk".into(), sha256 }],
        anonymous,
        allow,
        ..Publish::default()
    })
}

fn serves(hub: &Hub, client: &mut Client) {
    client.subscribe("a");
    hub.publish("a", b"b");
    assert_eq!(client.message(), [b"a", b"b"]);
}

#[test]
fn the_right_token_is_welcomed_and_known_by_its_name() {
    let hub = Hub::start(ServerConfig { access: access(false, &[]), ..config() });
    let mut client = Client::connect_by(hub.address, "open sesame");
    serves(&hub, &mut client);
    hub.run(|server| {
        let peers = server.peers();
        assert_eq!((peers.len(), peers[0].token.as_deref()), (1, Some("desk")));
        assert_eq!((peers[0].subscriptions, peers[0].delivered, peers[0].dropped), (1, 1, 0));
    });
}

#[test]
fn without_the_token_nobody_subscribes() {
    let hub = Hub::start(ServerConfig { access: access(false, &[]), ..config() });
    for wrong in ["open sesam", "open sesame ", "", &"x".repeat(255)] {
        assert_eq!(Client::guess(hub.address, wrong).as_deref(), Some(&b"\x04\x09^RROR\x03400"[..]), "{wrong:?}");
    }
    hub.wait_for("tokens_refused", |v| &v.tokens_refused, 4);
    assert_eq!(hub.vitals.peers_refused.load(Relaxed), 0, "each refusal is counted once");
    for opening in [
        [greeting(3, 1, b"NULL"), ready("SUB")].concat(),
        [greeting(3, 1, b"PLAIN"), initiate()].concat(),
        [greeting(3, 1, b"PLAIN"), ready("SUB")].concat(),
        [greeting(3, 1, b"PLAIN"), command("HELLO", b"\x09short")].concat(),
        [greeting(3, 1, b"PLAIN"), command("SUBSCRIBE", b"")].concat(),
    ] {
        let mut client = Client::dial(hub.address);
        client.send(&opening);
        client.expect_greeting_of(b"PLAIN");
        client.closed();
    }
    hub.wait_for("peers_refused", |v| &v.peers_refused, 5);
    assert_eq!((hub.vitals.peers.load(Relaxed), hub.vitals.tokens_refused.load(Relaxed)), (0, 4));
}

#[test]
fn where_both_are_served_the_greeting_follows_the_peers() {
    let hub = Hub::start(ServerConfig { access: access(true, &[]), ..config() });
    serves(&hub, &mut Client::connect(hub.address));
    serves(&hub, &mut Client::connect_by(hub.address, "open sesame"));
    assert!(Client::guess(hub.address, "wrong").is_some());
    // libzmq says no more than its signature before it has seen ours.
    let mut client = Client::dial(hub.address);
    let own = greeting(3, 1, b"PLAIN");
    client.send(&own[..10]);
    hub.run(|_| {});
    client.send(&own[10..]);
    client.expect_greeting_of(b"PLAIN");
    client.send(&hello("x", "open sesame"));
    assert_eq!(client.frame(), (4, b"\x07WELCOME".to_vec()));
}

#[test]
fn who_came_in_by_what_is_no_longer_there_is_cut() {
    let hub = Hub::start(ServerConfig { access: access(true, &[]), ..config() });
    let (mut anonymous, mut desk) = (Client::connect(hub.address), Client::connect_by(hub.address, "open sesame"));
    hub.run(|server| server.set_access(access(false, &[])));
    assert_eq!(anonymous.closed(), b"");
    serves(&hub, &mut desk);
    hub.run(|server| server.set_access(Access::default()));
    assert_eq!(desk.closed(), b"");
    serves(&hub, &mut Client::connect(hub.address));
}

#[test]
fn addresses_that_are_not_allowed_are_closed_at_once() {
    let hub = Hub::start(ServerConfig { access: access(true, &["10.0.0.0/8"]), ..config() });
    assert_eq!(Client::dial(hub.address).closed(), b"");
    hub.wait_for("peers_refused", |v| &v.peers_refused, 1);
    hub.run(|server| server.set_access(access(true, &["10.0.0.0/8", "127.0.0.0/8"])));
    serves(&hub, &mut Client::connect(hub.address));
}

#[test]
fn guessing_is_slowed_and_who_is_in_stays_in() {
    let hub = Hub::start(ServerConfig { access: access(false, &[]), ..config() });
    let mut client = Client::connect_by(hub.address, "open sesame");
    for n in 0..300 {
        assert!(Client::guess(hub.address, &format!("guess {n}")).is_some());
    }
    // The right one is not even looked at now.
    assert_eq!(Client::guess(hub.address, "open sesame").as_deref(), Some(&b""[..]));
    serves(&hub, &mut client);
    let deadline = crate::hub::mono().plus_ms(10_000);
    while Client::guess(hub.address, "open sesame").is_some() {
        assert!(crate::hub::mono() < deadline, "the right token is never looked at again");
        std::thread::yield_now();
    }
}
