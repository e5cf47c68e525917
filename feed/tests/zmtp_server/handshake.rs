//! Greeting, handshake, heartbeats, and how many may connect.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::zmtp::ServerConfig;

use crate::client::{Client, command, frame, greeting, ping, ready};
use crate::hub::{Hub, config, mono};

#[test]
fn peers_of_3_0_and_3_1_sub_and_xsub_are_served() {
    let hub = Hub::start(config());
    for (minor, socket_type) in [(0, "SUB"), (1, "SUB"), (0, "XSUB"), (1, "XSUB"), (7, "SUB")] {
        let mut client = Client::connect_as(hub.address, minor, socket_type);
        client.subscribe("rb");
        hub.publish("rb2701.SHFE", b"tick");
        assert_eq!(client.message(), [b"rb2701.SHFE".to_vec(), b"tick".to_vec()], "3.{minor} {socket_type}");
    }
    hub.wait_for("peers", |v| &v.peers, 0);
}

#[test]
fn a_handshake_byte_by_byte_is_a_handshake() {
    let hub = Hub::start(config());
    let mut client = Client::dial(hub.address);
    for byte in [greeting(3, 1, b"NULL"), ready("SUB"), command("SUBSCRIBE", b"ag")].concat() {
        client.send(&[byte]);
    }
    client.expect_greeting();
    assert_eq!(client.frame().0, 4);
    client.sync();
    hub.publish("ag2612.SHFE", &[9; 1000]);
    assert_eq!(client.message(), [b"ag2612.SHFE".to_vec(), vec![9; 1000]]);
}

#[test]
fn a_wrong_socket_type_is_told_so_and_sent_away() {
    let hub = Hub::start(config());
    for socket_type in ["PULL", "PUB", "REQ", ""] {
        let mut client = Client::dial(hub.address);
        client.send(&greeting(3, 1, b"NULL"));
        client.expect_greeting();
        client.send(&ready(socket_type));
        assert_eq!(client.closed(), command("ERROR", b"\x1fsocket-type-must-be-SUB-or-XSUB"), "{socket_type}");
    }
    hub.wait_for("peers_refused", |v| &v.peers_refused, 4);
    hub.wait_for("peers", |v| &v.peers, 0);
}

#[test]
fn old_versions_other_mechanisms_and_other_protocols_are_sent_away() {
    let hub = Hub::start(config());
    let openings = [
        greeting(1, 0, b""),
        greeting(3, 1, b"PLAIN"),
        greeting(3, 1, b"CURVE"),
        b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n".to_vec(),
        [greeting(3, 1, b"NULL"), command("SUBSCRIBE", b"")].concat(),
    ];
    for (n, opening) in (1..).zip(openings) {
        let mut client = Client::dial(hub.address);
        client.send(&opening);
        client.closed();
        hub.wait_for("peers_refused", |v| &v.peers_refused, n);
    }
}

#[test]
fn a_slow_loris_is_cut_in_time_and_hinders_nobody() {
    let hub = Hub::start(ServerConfig { handshake_timeout_ms: 1_000, ..config() });
    let mut silent = Client::dial(hub.address);
    let mut halfway = Client::dial(hub.address);
    halfway.send(&greeting(3, 1, b"NULL")[..40]);
    let mut unready = Client::dial(hub.address);
    unready.send(&greeting(3, 1, b"NULL"));
    let mut healthy = Client::connect(hub.address);
    healthy.subscribe("");
    for client in [&mut silent, &mut halfway, &mut unready] {
        client.closed();
    }
    hub.wait_for("peers_refused", |v| &v.peers_refused, 3);
    hub.publish("a.SSE", b"1");
    assert_eq!(healthy.message()[1], b"1");
}

/// Ticks have their turn between.
#[test]
fn many_whose_time_is_up_at_once_are_ended_a_few_at_a_time() {
    let hub = Hub::start(config());
    let mut silent: Vec<Client> = (0..40).map(|_| Client::dial(hub.address)).collect();
    for client in &mut silent {
        client.expect_greeting();
    }
    let vitals = std::sync::Arc::clone(&hub.vitals);
    hub.run(move |server| {
        let later = mono().plus_ms(60_000);
        for expected in [16, 32] {
            assert_eq!(server.tend(later), Some(later), "the others are due");
            assert_eq!(vitals.peers_refused.load(Relaxed), expected);
        }
        server.tend(later);
        assert_eq!((vitals.peers_refused.load(Relaxed), server.tend(later)), (40, None));
    });
}

/// One byte now and then is traffic, but no handshake.
#[test]
fn a_handshake_that_trickles_is_cut_as_if_it_were_silent() {
    let hub = Hub::start(ServerConfig { handshake_timeout_ms: 500, ..config() });
    let bytes = [greeting(3, 1, b"NULL"), ready("SUB")].concat();
    let mut trickling = Client::dial(hub.address);
    let (began, until) = (mono(), mono().plus_ms(10_000));
    let mut sent = 0;
    while hub.vitals.peers_refused.load(Relaxed) == 0 {
        assert!(mono() < until, "it is never cut: {sent} bytes");
        if sent < bytes.len() - 1 && mono().ms_since(began) >= 100 * sent as u64 {
            trickling.try_send(&bytes[sent..=sent]);
            sent += 1;
        }
        std::thread::yield_now();
    }
    assert!((2..bytes.len() - 1).contains(&sent), "it was cut after {sent} bytes, when it was silent again");
    trickling.closed();
}

#[test]
fn a_frame_that_trickles_is_cut_and_many_that_are_each_cut_in_two_are_not() {
    let hub = Hub::start(ServerConfig { frame_timeout_ms: 500, ..config() });
    let (mut trickling, mut torn) = (Client::connect(hub.address), Client::connect(hub.address));
    let endless = frame(0, &[7; 4_000]);
    let subscription = command("SUBSCRIBE", b"rb2701.SHFE");
    let (head, tail) = subscription.split_at(5);
    let (began, until) = (mono(), mono().plus_ms(20_000));
    torn.send(head);
    let (mut sent, mut turns) = (0, 0);
    // It goes on well after the other one is gone: never is all whole that was sent.
    while hub.vitals.peers_refused.load(Relaxed) == 0 || mono().ms_since(began) < 2_000 {
        assert!(mono() < until, "it is never cut: {sent} bytes");
        if mono().ms_since(began) >= 20 * turns {
            trickling.try_send(&endless[sent..=sent]);
            torn.send(&[tail, head].concat());
            (sent, turns) = (sent + 1, turns + 1);
        }
        std::thread::yield_now();
    }
    assert!(sent > 10, "only {sent} bytes were sent: this says little");
    trickling.closed();
    torn.send(tail);
    torn.sync();
    assert_eq!(hub.vitals.peers_refused.load(Relaxed), 1);
}

#[test]
fn a_ping_is_answered_with_its_context_at_once() {
    let hub = Hub::start(config());
    let mut client = Client::connect(hub.address);
    for context in [&b""[..], b"x", b"0123456789abcdef"] {
        client.send(&ping(0, context));
        assert_eq!(client.frame(), (4, [b"\x04PONG", context].concat()));
    }
    client.send(&ping(0, b"0123456789abcdefgh"));
    assert_eq!(client.frame(), (4, b"\x04PONG0123456789abcdef".to_vec()));
}

#[test]
fn a_peer_that_promised_life_and_fell_silent_is_closed() {
    let hub = Hub::start(config());
    let mut promised = Client::connect(hub.address);
    promised.send(&ping(2, b""));
    assert_eq!(promised.frame(), (4, b"\x04PONG".to_vec()));
    let mut withdrawn = Client::connect(hub.address);
    withdrawn.send(&[ping(2, b""), ping(0, b"")].concat());
    let mut quiet = Client::connect(hub.address);
    assert_eq!(promised.closed(), b"");
    hub.wait_for("peers", |v| &v.peers, 2);
    assert_eq!([withdrawn.frame(), withdrawn.frame()], [(4, b"\x04PONG".to_vec()), (4, b"\x04PONG".to_vec())]);
    withdrawn.sync();
    quiet.sync();
}

#[test]
fn a_silent_peer_is_asked_whether_it_lives_and_who_does_not_answer_is_closed() {
    let hub = Hub::start(ServerConfig { ping_idle_ms: 300, ..config() });
    let (mut mute, mut alive) = (Client::connect(hub.address), Client::connect(hub.address));
    let mut of_3_0 = Client::connect_as(hub.address, 0, "SUB");
    for _ in 0..4 {
        assert_eq!(alive.frame(), (4, b"\x04PING\0\0".to_vec()));
        alive.send(&command("PONG", b""));
    }
    assert_eq!(mute.closed(), b"\x04\x07\x04PING\0\0");
    // That version knows no PING; TCP looks after it.
    of_3_0.sync();
    hub.wait_for("peers", |v| &v.peers, 2);
}

#[test]
fn any_traffic_counts_as_life() {
    let hub = Hub::start(config());
    let mut client = Client::connect(hub.address);
    client.send(&ping(10, b""));
    client.frame();
    let until = mono().plus_ms(2_500);
    while mono() < until {
        client.send(&command("SUBSCRIBE", b"x"));
        hub.publish("tick.SSE", b"");
    }
    // Without the subscriptions it would be gone for more than a second.
    client.sync();
}

#[test]
fn a_server_that_was_late_looks_before_it_judges() {
    let hub = Hub::start(config());
    let mut client = Client::connect(hub.address);
    client.send(&ping(10, b""));
    client.frame();
    let (began, wait) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            hub.run(move |_| {
                began.send(()).expect("the test waits");
                let until = mono().plus_ms(1_500);
                while mono() < until {
                    std::thread::yield_now();
                }
            });
        });
        wait.recv().expect("the server runs");
        // In time, but the server does not look before it is late.
        client.send(&ping(0, b"late"));
    });
    assert_eq!(client.frame(), (4, b"\x04PONGlate".to_vec()));
}

#[test]
fn more_than_peers_max_are_turned_away_and_a_place_that_is_left_is_given_on() {
    let hub = Hub::start(ServerConfig { peers_max: 3, ..config() });
    let mut kept: Vec<Client> = (0..3).map(|_| Client::connect(hub.address)).collect();
    for _ in 0..2 {
        assert_eq!(Client::dial(hub.address).closed(), b"");
    }
    hub.wait_for("peers_refused", |v| &v.peers_refused, 2);
    kept.pop();
    hub.wait_for("peers", |v| &v.peers, 2);
    let mut next = Client::connect(hub.address);
    for client in &mut kept {
        client.sync();
    }
    next.sync();
}

#[test]
fn twenty_who_come_at_once_are_all_served() {
    let hub = Hub::start(config());
    let mut clients: Vec<Client> = (0..20).map(|_| Client::dial(hub.address)).collect();
    for client in &mut clients {
        client.send(&[greeting(3, 1, b"NULL"), ready("SUB"), command("SUBSCRIBE", b"a")].concat());
    }
    for client in &mut clients {
        client.expect_greeting();
        client.frame();
        client.sync();
    }
    hub.publish("a", b"b");
    for client in &mut clients {
        assert_eq!(client.message(), [b"a", b"b"]);
    }
    hub.wait_for("delivered", |v| &v.delivered, 20);
}

#[test]
fn who_leaves_is_forgotten_and_the_server_closes_its_peers_when_it_closes() {
    let hub = Hub::start(config());
    let mut leaver = Client::connect(hub.address);
    leaver.subscribe("");
    drop(leaver);
    hub.wait_for("peers", |v| &v.peers, 0);
    hub.publish("a", b"b");
    hub.wait_for("delivered", |v| &v.delivered, 0);
    let mut last = Client::connect(hub.address);
    last.subscribe("");
    hub.publish("a", b"c");
    drop(hub);
    assert_eq!(last.closed(), b"\x01\x01a\x00\x01c");
}
