//! Both forms of subscribing, prefixes, counting.

use crate::client::{Client, command, frame};
use crate::hub::{Hub, config};

fn topics(messages: &[Vec<Vec<u8>>]) -> Vec<String> {
    messages.iter().map(|parts| String::from_utf8(parts[0].clone()).expect("text")).collect()
}

fn publish_all(hub: &Hub) {
    hub.run(|server| {
        for name in ["rb2701.SHFE", "rb2705.SHFE", "ru2701.SHFE", "IO2612-C-4000.CFFEX", "r"] {
            let id = server.topic(name);
            server.publish(id, name.as_bytes());
        }
    });
}

#[test]
fn a_subscription_is_a_prefix_in_message_form_and_in_command_form() {
    let hub = Hub::start(config());
    let all = ["rb2701.SHFE", "rb2705.SHFE", "ru2701.SHFE", "IO2612-C-4000.CFFEX", "r"];
    for (prefix, expected) in [
        ("rb2701.SHFE", &all[..1]),
        ("rb2701.SHFE.", &[]),
        ("rb", &all[..2]),
        ("r", &[all[0], all[1], all[2], all[4]]),
        ("", &all),
        ("RB", &[]),
        (&"r".repeat(255), &[]),
    ] {
        let message = |first: u8| frame(0, &[&[first], prefix.as_bytes()].concat());
        let forms =
            [(message(1), message(0)), (command("SUBSCRIBE", prefix.as_bytes()), command("CANCEL", prefix.as_bytes()))];
        for (subscribe, cancel) in forms {
            for (also_subscribe, minor) in [(&subscribe, 0), (&subscribe, 1)] {
                let mut client = Client::connect_as(hub.address, minor, "SUB");
                client.send(also_subscribe);
                client.sync();
                publish_all(&hub);
                assert_eq!(topics(&client.until_pong()), expected, "{prefix:?}");
                client.send(&cancel);
                client.sync();
                publish_all(&hub);
                client.sync();
            }
        }
    }
}

#[test]
fn overlapping_subscriptions_deliver_once_and_are_taken_back_one_by_one() {
    let hub = Hub::start(config());
    let mut client = Client::connect(hub.address);
    for prefix in ["rb", "", "rb2701", "rb"] {
        client.subscribe(prefix);
    }
    publish_all(&hub);
    assert_eq!(client.until_pong().len(), 5);
    for (cancelled, left) in [("", 2), ("rb", 2), ("rb", 1), ("rb", 1), ("rb2701", 0)] {
        client.send(&command("CANCEL", cancelled.as_bytes()));
        client.sync();
        publish_all(&hub);
        assert_eq!(client.until_pong().len(), left, "after {cancelled:?}");
    }
}

#[test]
fn each_peer_gets_its_own() {
    let hub = Hub::start(config());
    let mut rb = Client::connect(hub.address);
    let mut ru = Client::connect(hub.address);
    let mut nothing = Client::connect(hub.address);
    rb.subscribe("rb");
    ru.subscribe("ru");
    publish_all(&hub);
    assert_eq!(topics(&rb.until_pong()), ["rb2701.SHFE", "rb2705.SHFE"]);
    assert_eq!(topics(&ru.until_pong()), ["ru2701.SHFE"]);
    nothing.sync();
    drop(rb);
    hub.wait_for("peers", |v| &v.peers, 2);
    // The next peer may take over the first one's place, but not its subscriptions.
    let mut heir = Client::connect(hub.address);
    publish_all(&hub);
    heir.sync();
    assert_eq!(topics(&ru.until_pong()), ["ru2701.SHFE"]);
}

/// What it subscribed is forgotten a little at a time; meanwhile its place is nobody's.
#[test]
fn who_comes_right_after_one_with_many_subscriptions_gets_none_of_them() {
    let hub = Hub::start(config());
    let publish_them = || {
        hub.run(|server| {
            for n in 0..3_000 {
                let topic = server.topic(&format!("t{n:04}"));
                server.publish(topic, b"tick");
            }
        });
    };
    for _ in 0..5 {
        let mut leaver = Client::connect(hub.address);
        leaver.send(&(0..3_000).flat_map(|n| command("SUBSCRIBE", format!("t{n:04}").as_bytes())).collect::<Vec<u8>>());
        leaver.sync();
        leaver.abort();
        hub.wait_for("peers", |v| &v.peers, 0);
        let mut heir = Client::connect(hub.address);
        publish_them();
        heir.sync();
        hub.wait_for("subscriptions", |v| &v.subscriptions, 0);
        publish_them();
        heir.sync();
        heir.abort();
        hub.wait_for("peers", |v| &v.peers, 0);
    }
}

#[test]
fn payloads_of_every_size_arrive_as_they_were() {
    let hub = Hub::start(config());
    let mut client = Client::connect(hub.address);
    client.subscribe("t");
    for size in [0usize, 1, 255, 256, 16_370, 16_384, 70_000] {
        let payload: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        hub.publish("topic", &payload);
        assert_eq!(client.message(), [b"topic".to_vec(), payload]);
    }
}

#[test]
fn whoever_wants_everything_does_not_get_news_of_the_hub() {
    let hub = Hub::start(config());
    let (mut everything, mut news) = (Client::connect(hub.address), Client::connect(hub.address));
    everything.subscribe("");
    news.subscribe("_hub");
    hub.publish("_hub.heartbeat", b"beat");
    hub.publish("rb2701.SHFE", b"tick");
    assert_eq!(topics(&everything.until_pong()), ["rb2701.SHFE"]);
    assert_eq!(topics(&news.until_pong()), ["_hub.heartbeat"]);
}
