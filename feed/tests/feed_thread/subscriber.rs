//! A subscriber that reads and decodes on a thread of its own, and what every stream must be like.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::thread::JoinHandle;

use rmpv::Value;

use crate::client::Client;

/// A decoded tick.
#[derive(Debug, Clone)]
pub(crate) struct Tick(Value);

impl Tick {
    fn read(message: &[Vec<u8>]) -> Self {
        let [topic, payload] = message else { panic!("{} frames", message.len()) };
        let mut rest = payload.as_slice();
        let tick = Self(rmpv::decode::read_value(&mut rest).expect("MessagePack"));
        assert!(rest.is_empty(), "{} bytes behind the payload", rest.len());
        assert_eq!(topic.as_slice(), tick.text("vt_symbol").as_bytes(), "the topic is the vt_symbol");
        tick
    }

    pub(crate) fn field(&self, name: &str) -> &Value {
        let fields = self.0.as_map().expect("a map");
        &fields.iter().find(|(key, _)| key.as_str() == Some(name)).unwrap_or_else(|| panic!("no field {name}")).1
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap_or_else(|| panic!("{name}: no text"))
    }

    pub(crate) fn integer(&self, name: &str) -> u64 {
        self.field(name).as_u64().unwrap_or_else(|| panic!("{name}: no integer"))
    }

    /// `datetime`, milliseconds since the epoch.
    pub(crate) fn time_ms(&self) -> i64 {
        let Value::Ext(-1, bytes) = self.field("datetime") else { panic!("datetime: no timestamp") };
        let word = u64::from_be_bytes(bytes.as_slice().try_into().expect("the 64-bit form"));
        let (seconds, nanoseconds) = (word % (1 << 34), word >> 34);
        assert_eq!(nanoseconds % 1_000_000, 0, "no whole millisecond");
        (seconds * 1000 + nanoseconds / 1_000_000).cast_signed()
    }
}

/// A subscriber to everything.
pub(crate) struct Subscriber(JoinHandle<(Client, Vec<Tick>)>);

impl Subscriber {
    /// Reads `count` ticks from now on.
    pub(crate) fn start(address: SocketAddr, count: usize) -> Self {
        let mut client = Client::connect(address);
        client.subscribe("");
        Self(std::thread::spawn(move || {
            let ticks = (0..count).map(|_| Tick::read(&client.message())).collect();
            (client, ticks)
        }))
    }

    /// Waits for the ticks, and makes sure that there are no more, that `seq` counts each topic from 1, and that no `tid`
    /// comes twice.
    pub(crate) fn ticks(self) -> Vec<Tick> {
        let (mut client, ticks) = self.0.join().expect("the subscriber reads to its end");
        assert_eq!(client.until_pong().len(), 0, "more ticks than expected");
        let (mut seqs, mut tids) = (HashMap::new(), HashSet::new());
        for tick in &ticks {
            let seq = seqs.entry(tick.text("vt_symbol").to_owned()).or_insert(0);
            *seq += 1;
            assert_eq!(tick.integer("seq"), *seq, "seq of {}", tick.text("vt_symbol"));
            assert!(tids.insert(tick.integer("tid")), "a tid twice");
        }
        ticks
    }
}
