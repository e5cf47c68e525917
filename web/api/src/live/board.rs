//! What the hub is at, as clients are told: the state, its revision, and the JSON of each change.

use std::collections::{BTreeMap, VecDeque};

use axum::extract::ws::Utf8Bytes;
use mdhub_spec::ports::Event;
use serde_json::{Map, Value, json};

use crate::gateways;

/// Events that are known; of them the newest are in a snapshot.
const EVENTS_KNOWN: usize = 200;
const EVENTS_SHOWN: usize = 100;
/// The parts of the status document that are the hub's.
const OF_HUB: [&str; 5] = ["epoch", "desired", "settings", "silent_markets", "sections"];
/// Of somebody else than the hub itself.
const HUB: &str = "hub";

/// The state. Every change raises the revision by one.
#[derive(Debug, Default)]
pub(super) struct Board {
    revision: u64,
    gateways: BTreeMap<String, Value>,
    hub: Value,
    rates: Value,
    /// Oldest first.
    events: VecDeque<Event>,
    /// Of the present revision.
    snapshot: Option<Utf8Bytes>,
}

impl Board {
    /// All of it.
    pub(super) fn snapshot(&mut self) -> Utf8Bytes {
        let Self { revision, gateways, hub, rates, events, snapshot } = self;
        let text = snapshot.get_or_insert_with(|| {
            let gateways: Vec<&Value> = gateways.values().collect();
            let events: Vec<&Event> = events.iter().rev().take(EVENTS_SHOWN).collect();
            let state = json!({"gateways": gateways, "hub": hub, "rates": rates, "events": events});
            json!({"type": "snapshot", "revision": revision, "state": state}).to_string().into()
        });
        text.clone()
    }

    /// The status document as it is now.
    pub(super) fn status(&mut self, document: &Value) -> Vec<Utf8Bytes> {
        let accounts = document["accounts"].as_object();
        let now: BTreeMap<String, Value> =
            accounts.into_iter().flatten().map(|(id, of)| (id.clone(), gateways::item(id, of))).collect();
        let gone: Vec<&String> = self.gateways.keys().filter(|id| !now.contains_key(*id)).collect();
        let gone = (!gone.is_empty()).then(|| json!(gone));
        let changed: Vec<&Value> =
            now.iter().filter(|(id, item)| self.gateways.get(*id) != Some(item)).map(|(_, item)| item).collect();
        let changed = (!changed.is_empty()).then(|| json!(changed));
        let hub: Map<String, Value> =
            OF_HUB.map(|part| (part.to_owned(), document[part].clone())).into_iter().collect();
        let hub = Value::Object(hub);
        let is_other = hub != self.hub;
        self.gateways = now;
        let mut told = Vec::new();
        told.extend(gone.map(|ids| self.change("removed", "ids", &ids)));
        told.extend(changed.map(|items| self.change("gateways", "items", &items)));
        if is_other {
            self.hub = hub.clone();
            told.push(self.change("hub", "hub", &hub));
        }
        told
    }

    /// The rates as they are now.
    pub(super) fn rates(&mut self, rates: &Value) -> Option<Utf8Bytes> {
        if *rates == self.rates {
            return None;
        }
        self.rates.clone_from(rates);
        Some(self.change("rates", "rates", rates))
    }

    /// Something has happened.
    pub(super) fn event(&mut self, event: Event) -> Utf8Bytes {
        let shown = json!(event);
        if self.events.len() == EVENTS_KNOWN {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.change("event", "event", &shown)
    }

    /// The newest events of the database, newest first. The hub's own were told as they happened, unless `all` are wanted.
    pub(super) fn read(&mut self, newest: Vec<Event>, all: bool) -> Vec<Utf8Bytes> {
        let mut told = Vec::new();
        for event in newest.into_iter().rev() {
            if (all || event.actor != HUB) && !self.events.contains(&event) {
                told.push(self.event(event));
            }
        }
        told
    }

    fn change(&mut self, topic: &str, name: &str, what: &Value) -> Utf8Bytes {
        self.revision += 1;
        self.snapshot = None;
        json!({"type": "event", "revision": self.revision, "topic": topic, name: what}).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &Utf8Bytes) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    fn event(actor: &str, n: i64) -> Event {
        Event { at_ms: n, account: None, actor: actor.into(), reason: "Done".into(), message: format!("number {n}") }
    }

    fn document(accounts: &Value, revision: u8) -> Value {
        json!({"accounts": accounts, "desired": {"revision": revision}, "routes": {"rb2701.SHFE": ["a"]}})
    }

    #[test]
    fn only_what_has_changed_is_told_and_each_change_has_the_next_revision() {
        let mut board = Board::default();
        let first = board.status(&document(&json!({"a": {"phase": "Starting"}, "b": {}}), 1));
        assert_eq!(first.iter().map(|text| parsed(text)["topic"].clone()).collect::<Vec<_>>(), ["gateways", "hub"]);
        assert!(board.status(&document(&json!({"a": {"phase": "Starting"}, "b": {}}), 1)).is_empty());
        let told = board.status(&document(&json!({"a": {"phase": "Healthy"}}), 1));
        assert_eq!(parsed(&told[0]), json!({"type": "event", "revision": 3, "topic": "removed", "ids": ["b"]}));
        let items = json!([{"id": "a", "phase": "Healthy"}]);
        assert_eq!(parsed(&told[1]), json!({"type": "event", "revision": 4, "topic": "gateways", "items": items}));
        let told = board.status(&document(&json!({"a": {"phase": "Healthy"}}), 2));
        assert_eq!(parsed(&told[0])["hub"]["desired"]["revision"], 2);
        assert!(board.rates(&json!({"n": 1})).is_some() && board.rates(&json!({"n": 1})).is_none());
        board.event(event("admin", 7));
        let snapshot = parsed(&board.snapshot());
        assert_eq!(snapshot["revision"], 7);
        assert_eq!(snapshot["state"]["gateways"], items);
        assert_eq!(snapshot["state"]["events"][0]["message"], "number 7");
        assert_eq!(snapshot["state"]["rates"], json!({"n": 1}));
        assert!(!snapshot.to_string().contains("rb2701"));
    }

    #[test]
    fn of_the_database_what_others_did_is_told_once_and_the_hubs_own_only_at_first() {
        let mut board = Board::default();
        board.event(event("hub", 3));
        let newest = || vec![event("cli", 4), event("hub", 3), event("hub", 2), event("admin", 1)];
        let messages = |told: Vec<Utf8Bytes>| -> Vec<Value> {
            told.iter().map(|text| parsed(text)["event"]["message"].clone()).collect()
        };
        assert_eq!(messages(board.read(newest(), true)), ["number 1", "number 2", "number 4"]);
        assert!(board.read(newest(), false).is_empty());
        let later = vec![event("hub", 6), event("admin", 5), event("cli", 4)];
        assert_eq!(messages(board.read(later, false)), ["number 5"]);
        (0..1_000).for_each(|n| drop(board.event(event("hub", n))));
        assert_eq!(board.events.len(), EVENTS_KNOWN);
        assert_eq!(parsed(&board.snapshot())["state"]["events"].as_array().map(Vec::len), Some(EVENTS_SHOWN));
    }

    /// A client that goes by what it is told, and by nothing else.
    #[derive(Default, PartialEq, Debug)]
    struct Mirror {
        revision: u64,
        gateways: BTreeMap<String, Value>,
        hub: Value,
        rates: Value,
    }

    impl Mirror {
        fn hear(&mut self, text: &Utf8Bytes) {
            let told = parsed(text);
            let revision = told["revision"].as_u64().expect("a revision");
            if told["type"] == "snapshot" {
                let state = &told["state"];
                let items = state["gateways"].as_array().expect("a list");
                let by_id = |item: &Value| (item["id"].as_str().expect("an id").to_owned(), item.clone());
                let gateways = items.iter().map(by_id).collect();
                *self = Self { revision, gateways, hub: state["hub"].clone(), rates: state["rates"].clone() };
                return;
            }
            assert_eq!(revision, self.revision + 1, "a hole");
            self.revision = revision;
            match told["topic"].as_str().expect("a topic") {
                "gateways" => told["items"].as_array().into_iter().flatten().for_each(|item| {
                    self.gateways.insert(item["id"].as_str().expect("an id").to_owned(), item.clone());
                }),
                "removed" => told["ids"].as_array().into_iter().flatten().for_each(|id| {
                    self.gateways.remove(id.as_str().expect("an id"));
                }),
                "hub" => self.hub = told["hub"].clone(),
                "rates" => self.rates = told["rates"].clone(),
                _ => {}
            }
        }
    }

    proptest! {
        #[test]
        fn whoever_joins_anywhere_and_hears_the_rest_knows_what_the_board_knows(
            steps in proptest::collection::vec((0_u8..3, proptest::collection::btree_map("[a-d]", 0_u8..3, 0..4), 0_u8..3), 1..40),
            joins_at in 0_usize..40,
        ) {
            let (mut board, mut mirror) = (Board::default(), None::<Mirror>);
            for (n, (kind, accounts, value)) in steps.iter().enumerate() {
                if n >= joins_at && mirror.is_none() {
                    let mut joined = Mirror::default();
                    joined.hear(&board.snapshot());
                    mirror = Some(joined);
                }
                let told = match kind {
                    0 => board.rates(&json!({"n": value})).into_iter().collect(),
                    1 => vec![board.event(event("hub", i64::from(*value)))],
                    _ => {
                        let accounts: Map<String, Value> = accounts.iter().map(|(id, n)| (id.clone(), json!({"n": n}))).collect();
                        board.status(&document(&json!(accounts), *value))
                    }
                };
                if let Some(mirror) = &mut mirror {
                    told.iter().for_each(|text| mirror.hear(text));
                }
            }
            if let Some(mirror) = mirror {
                let mut late = Mirror::default();
                late.hear(&board.snapshot());
                prop_assert_eq!(mirror, late);
            }
        }
    }
}
