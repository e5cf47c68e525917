//! Connections that never say anything do not keep out those who do.

use std::net::SocketAddr;

use mdhub_feed::zmtp::ServerConfig;

use crate::client::{Client, greeting, ping, ready};
use crate::hub::{Hub, config};

/// Whether somebody who says at once all that has to be said is answered.
fn gets_in(address: SocketAddr) -> bool {
    let mut client = Client::dial(address);
    let said = [greeting(3, 1, b"NULL"), ready("SUB"), ping(0, b"sync")].concat();
    client.try_send(&said) && client.closes_or_says(b"PONGsync")
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
