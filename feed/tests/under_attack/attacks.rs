//! Each attack, how it is bounded, and what a healthy subscriber feels of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::settings::{Sha256, Token};

use crate::client::{Client, command, frame, greeting, hello, ready};
use crate::market::{Market, config_with, descriptors, mono};
use crate::rig::eventually;

const MIB: usize = 1024 * 1024;
/// SHA-256 of `open sesame`, by another program.
const SESAME: &str = "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb";

/// SplitMix64: the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn plain() -> Market {
    Market::open(config_with(|_| ()), 0, Client::connect)
}

#[test]
fn loops_of_the_empty_prefix_among_twenty_thousand_topics() {
    let mut market = Market::open(config_with(|_| ()), 20_000, Client::connect);
    let mut hostile = Client::connect(market.address());
    let loops = [command("SUBSCRIBE", b""), command("CANCEL", b"")].concat().repeat(500);
    let distinct: Vec<u8> = (0..500u32)
        .flat_map(|n| [command("SUBSCRIBE", &n.to_be_bytes()), command("CANCEL", &n.to_be_bytes())].concat())
        .collect();
    let cost = market.attacked("loops of the empty prefix", move || {
        hostile.send(&loops);
        hostile.send(&distinct);
        // Now and then a tick of the healthy one comes between.
        hostile.until_pong();
        2_000
    });
    assert!(cost.acts >= 2_000 && cost.bytes < 16 * MIB && cost.descriptors == 0, "{cost:?}");
    let vitals = std::sync::Arc::clone(market.rig.feed().vitals());
    eventually("nothing but the healthy one's is subscribed", || vitals.subscriptions.load(Relaxed) == 1);
}

#[test]
fn newcomers_who_want_everything_again_and_again() {
    let mut market = Market::open(config_with(|_| ()), 20_000, Client::connect);
    let address = market.address();
    let cost = market.attacked("twenty thousand last ticks", move || {
        let mut newcomer = Client::connect(address);
        newcomer.send(&command("SUBSCRIBE", b""));
        (0..2_000).for_each(|_| drop(newcomer.message()));
        newcomer.abort();
        1
    });
    assert!(cost.bytes < 32 * MIB && cost.descriptors <= 8, "{cost:?}");
}

#[test]
fn what_was_asked_for_and_taken_back_does_not_pile_up_behind_who_does_not_read() {
    let small = config_with(|publish| publish.peer_buffer_bytes_max = 64 * 1024);
    let mut market = Market::open(small, 20_000, Client::connect);
    let long = |n: u32| [format!("{n:08}").into_bytes(), vec![b'x'; 247]].concat();
    let both = |n: u32| [command("SUBSCRIBE", &long(n)), command("CANCEL", &long(n))].concat();
    let loops: Vec<u8> = (0..3_000).flat_map(both).collect();
    let mut deaf: VecDeque<Client> = (0..20).map(|_| Client::connect(market.address())).collect();
    for client in &mut deaf {
        // More than its sockets and its budget hold.
        client.send(&command("SUBSCRIBE", b"cu"));
    }
    let vitals = std::sync::Arc::clone(market.rig.feed().vitals());
    eventually("the feed rests though they do not read", || {
        let (before, until) = (vitals.waits.load(Relaxed), mono().plus_ms(200));
        while mono() < until {
            std::thread::yield_now();
        }
        vitals.waits.load(Relaxed) - before < 20
    });
    let cost = market.attacked("what was taken back", move || {
        let mut client = deaf.pop_front().expect("there is one");
        client.send(&loops);
        deaf.push_back(client);
        3_000
    });
    assert!(cost.acts >= 60_000, "not each had its turn: {cost:?}");
    assert!(cost.bytes < 6 * MIB && cost.descriptors == 0, "{cost:?}");
}

#[test]
fn many_who_talk_at_once() {
    let mut market = plain();
    let mut talkers: Vec<Client> = (0..64).map(|_| Client::connect(market.address())).collect();
    let loops: Vec<u8> = (0..60u32)
        .flat_map(|n| [command("SUBSCRIBE", &n.to_be_bytes()), command("CANCEL", &n.to_be_bytes())].concat())
        .collect();
    let cost = market.attacked("many who talk at once", move || {
        for client in &mut talkers {
            client.send(&loops);
        }
        for client in &mut talkers {
            client.sync();
        }
        64 * 120
    });
    assert!(cost.acts > 0 && cost.bytes < 4 * MIB && cost.descriptors == 0, "{cost:?}");
}

#[test]
fn frames_of_noise_from_peers_that_shook_hands_and_from_such_that_did_not() {
    let mut market = plain();
    let (address, mut noise) = (market.address(), Noise(1));
    let cost = market.attacked("noise", move || {
        for opening in [Vec::new(), greeting(3, 1, b"NULL"), [greeting(3, 1, b"NULL"), ready("SUB")].concat()] {
            let mut client = Client::dial(address);
            let size = 1 + noise.next() as usize % 4_000;
            client.try_send(&opening);
            client.try_send(&noise.bytes(size));
            // No frame swallows all of this, and none begins so: it ends every connection.
            client.try_send(&[0xff; 4_200]);
            client.closed();
            client.abort();
        }
        3
    });
    assert!(cost.bytes < 4 * MIB && cost.descriptors <= 8, "{cost:?}");
    let refused = market.rig.feed().vitals().peers_refused.load(Relaxed);
    assert_eq!(refused, cost.acts, "each is counted");
}

#[test]
fn multipart_messages_without_end_and_lengths_without_sense() {
    let mut market = plain();
    let address = market.address();
    let (parts, huge) = (frame(1, &[5; 4_000]).repeat(16), [2, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
    let mut endless = Client::connect(address);
    let cost = market.attacked("multipart without end", move || {
        endless.send(&parts);
        endless.sync();
        let mut client = Client::connect(address);
        client.send(&huge);
        client.closed();
        client.abort();
        17
    });
    assert!(cost.bytes < 4 * MIB && cost.descriptors <= 8, "{cost:?}");
}

#[test]
fn two_hundred_thousand_subscriptions_come_and_go() {
    let mut market = plain();
    let address = market.address();
    let (mut number, mut greedy) = (0u64, VecDeque::new());
    let cost = market.attacked("subscriptions", move || {
        let mut client = Client::connect(address);
        let subscribe = |n: u64| command("SUBSCRIBE", format!("{n:x}").as_bytes());
        client.send(&(number..number + 3_000).flat_map(subscribe).collect::<Vec<u8>>());
        client.sync();
        number += 3_000;
        greedy.push_back(client);
        if greedy.len() > 67 {
            greedy.pop_front().expect("there is one").abort();
        }
        3_000
    });
    // 201,000 at most, of some 20 bytes each with what belongs to them.
    assert!(cost.acts >= 3_000 && cost.bytes < 96 * MIB && cost.descriptors <= 2 * 70, "{cost:?}");
    let vitals = std::sync::Arc::clone(market.rig.feed().vitals());
    eventually("who left is forgotten", || vitals.subscriptions.load(Relaxed) == 1);
}

/// Whether somebody who says at once all that has to be said is answered.
fn gets_in(address: SocketAddr) -> bool {
    let mut client = Client::dial(address);
    let said = [greeting(3, 1, b"NULL"), ready("SUB"), command("PING", b"\0\0sync")].concat();
    client.try_send(&said) && client.closes_or_says(b"PONGsync")
}

#[test]
fn ten_thousand_connects_leave_room_for_a_newcomer() {
    const PEERS_MAX: usize = 200;
    let mut market = Market::open(config_with(|publish| publish.peers_max = PEERS_MAX), 0, Client::connect);
    let (address, mut open) = (market.address(), VecDeque::new());
    let before = descriptors();
    let mut connect = move || {
        for _ in 0..20 {
            open.push_back(Client::dial(address));
        }
        while open.len() > 300 {
            open.pop_front().expect("there is one").abort();
        }
        20
    };
    let mut connects = 0;
    let mut got_in = 0;
    while connects < 9_000 {
        connects += connect();
        got_in += u64::from(connects % 1_000 == 0 && gets_in(address));
    }
    assert!(got_in > 0, "nobody else got in");
    let cost = market.attacked("connects", connect);
    connects += cost.acts;
    while connects < 10_000 {
        connects += 1;
        Client::dial(address).abort();
    }
    let most = before + cost.descriptors;
    assert!(cost.bytes < 16 * MIB && most <= before + PEERS_MAX + 330, "{cost:?}");
    assert!(market.rig.feed().vitals().peers.load(Relaxed) <= PEERS_MAX as u64);
    drop(market.close());
    assert!(descriptors() <= before, "{} are left of {before}", descriptors());
}

#[test]
fn fifty_thousand_demanded_names_ask_for_two_hundred() {
    let mut market = plain();
    let address = market.address();
    let mut number = 0u32;
    let mut hostile = Client::connect(address);
    let cost = market.attacked("demanded names", move || {
        let name = |n: u32| format!("ag27{:02}{}{}.SHFE", 1 + n % 12, ['C', 'P'][n as usize / 12 % 2], n);
        let both = |n: u32| [command("SUBSCRIBE", name(n).as_bytes()), command("CANCEL", name(n).as_bytes())].concat();
        for _ in 0..2 {
            let names: Vec<u8> = (number..number + 500).flat_map(both).collect();
            number += 500;
            hostile.send(&names);
            hostile.until_pong();
        }
        1_000
    });
    assert!(cost.bytes < 8 * MIB && cost.descriptors == 0, "{cost:?}");
    let vitals = std::sync::Arc::clone(market.rig.feed().vitals());
    // What the measurement left of the fifty thousand; the last of them stay.
    let mut rest = Client::connect(address);
    let (from, kept) = (cost.acts as u32, 50_000.max(cost.acts as u32 + 3_000));
    for n in from..kept {
        let name = format!("au27{:02}C{n}.SHFE", 1 + n % 12);
        rest.send(&[command("SUBSCRIBE", name.as_bytes()), command("CANCEL", name.as_bytes())].concat());
    }
    rest.until_pong();
    let mut greedy = Client::connect(address);
    let refused = vitals.demands_refused.load(Relaxed);
    let names = (kept..kept + 3_000).flat_map(|n| command("SUBSCRIBE", format!("au2702C{n}.SHFE").as_bytes()));
    greedy.send(&names.collect::<Vec<u8>>());
    greedy.until_pong();
    eventually("no more than a peer may are asked for", || {
        vitals.demands_refused.load(Relaxed) >= refused + 3_000 - 200 && vitals.demands.load(Relaxed) > 0
    });
    assert!(vitals.demands_refused.load(Relaxed) > 40_000, "{vitals:?}");
}

#[test]
fn guessing_of_tokens_is_slowed_and_cut() {
    let sha256 = Sha256::try_from(SESAME.to_owned()).expect("a digest");
    let tokens = vec![Token { name: "desk".into(), sha256 }];
    let config = config_with(|publish| publish.tokens = tokens);
    let mut market = Market::open(config, 0, |address| Client::connect_by(address, "open sesame"));
    let (address, mut noise) = (market.address(), Noise(5));
    let cost = market.attacked("token guessing", move || {
        let token = format!("{:x}", noise.next());
        assert!(Client::guess(address, &token).is_some(), "{token} is no token");
        1
    });
    assert!(cost.bytes < 4 * MIB && cost.descriptors <= 8, "{cost:?}");
    let refused = market.rig.feed().vitals().tokens_refused.load(Relaxed);
    assert_eq!(refused, cost.acts, "each is counted");
    // The healthy one is in; its like waits until guessing has stopped.
    let mut late = Client::dial(address);
    late.send(&greeting(3, 1, b"PLAIN"));
    late.expect_greeting_of(b"PLAIN");
    late.send(&hello("late", "open sesame"));
    late.closed();
}
