//! What only the MongoDB backend does: documents made by hand, collections that are not as the hub made them, and URLs.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "mongo/by_hand.rs"]
mod by_hand;
#[path = "mongo/schema.rs"]
mod schema;
#[expect(dead_code, reason = "other tests start the other servers")]
#[path = "conformance/servers.rs"]
mod servers;
#[path = "mongo/url.rs"]
mod url;
#[path = "mongo/word.rs"]
mod word;

use std::sync::Arc;

use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::ports::{AccountStore, Event, Loaded, StoreError};
use mdhub_store::SealingKey;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::{Client, Collection, Database};

/// A database of its own, as the hub and as a person with a shell has it.
struct Hub {
    url: String,
    keys: tempfile::TempDir,
    shell: Database,
}

impl Hub {
    /// On a replica set; `None`, said by name, where there is no server.
    async fn new() -> Option<Self> {
        match servers::mongod().await {
            Some(url) => Some(Self::at(url.clone(), &url).await),
            None => {
                servers::skip("mongod");
                None
            }
        }
    }

    async fn at(url: String, shell: &str) -> Self {
        let shell = Client::with_uri_str(shell).await.expect("a client").default_database().expect("named");
        Self { url, keys: tempfile::tempdir().expect("a directory"), shell }
    }

    fn key(&self) -> SealingKey {
        SealingKey::read_or_create(&self.keys.path().join("secret.key")).expect("a key")
    }

    async fn try_open(&self) -> Result<Arc<dyn AccountStore>, StoreError> {
        mdhub_store::open(&self.url, self.key()).await
    }

    async fn open(&self) -> Arc<dyn AccountStore> {
        self.try_open().await.expect("opened")
    }

    fn accounts(&self) -> Collection<Document> {
        self.shell.collection("accounts")
    }

    async fn add(&self, document: Document) {
        self.accounts().insert_one(document).await.expect("added");
    }

    /// Adds a document whose `XXXX` are bytes that no text has.
    async fn add_garbled(&self, collection: &str, document: &Document) {
        let raw = RawDocumentBuf::try_from(document).expect("encoded");
        let mut bytes = raw.into_bytes();
        let at = bytes.windows(4).position(|four| four == b"XXXX").expect("a place");
        bytes[at..at + 4].fill(0xff);
        let raw = RawDocumentBuf::from_bytes(bytes).expect("of the right length");
        self.shell.collection::<RawDocumentBuf>(collection).insert_one(raw).await.expect("added");
    }

    /// Takes the server's own check away.
    async fn lax(&self) {
        let lax = doc! {"collMod": "accounts", "validator": {}, "validationLevel": "off"};
        self.shell.run_command(lax).await.expect("done");
    }
}

fn id(text: &str) -> AccountId {
    text.parse().expect("a slug")
}

fn account(name: &str) -> MarketDataAccount {
    MarketDataAccount {
        id: id(name),
        gateway: GatewayKind::Ctp,
        settings: AccountSettings::from_json(r#"{"md_address":"tcp://a:1","library":"sim"}"#).expect("settings"),
        password: Secret::new("swordfish-27".into()),
        priority: 1,
        is_enabled: true,
        suspended: false,
        restart_generation: 0,
        generation: 0,
        description: String::new(),
        created_at_ms: 0,
        updated_at_ms: 0,
    }
}

/// What a person would write, and no more.
fn written(name: &str) -> Document {
    doc! {"id": name, "gateway": "ctp", "settings": {"md_address": "tcp://a:1", "library": "sim"}}
}

fn event(message: &str) -> Event {
    Event {
        at_ms: i64::MAX / 1_000_000,
        account: None,
        actor: "cli".into(),
        reason: "Told".into(),
        message: message.into(),
    }
}

fn ids(loaded: &Loaded) -> Vec<&str> {
    loaded.accounts.iter().map(|account| account.id.as_str()).collect()
}
