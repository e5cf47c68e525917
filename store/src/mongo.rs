//! The MongoDB backend.
//!
//! | module | holds |
//! |---|---|
//! | [`schema`] | collections, their index and validator; whether the database is ours and for this release |
//! | [`accounts`] | the collection `accounts`, and what tells that it changed |
//! | [`document`] | one document of it, as it stands there |
//! | [`events`] | the collection `events` |
//! | [`fault`] | what the server's errors mean to people |

mod accounts;
mod document;
mod events;
mod fault;
mod schema;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::ports::{AccountStore, Event, Loaded, StoreError};
use mongodb::bson::Document;
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ChangeStreamEvent;
use mongodb::options::{Acknowledgment, ClientOptions};
use mongodb::{Client, Database};
use tokio::sync::Mutex;

use crate::clock::now_ms;
use crate::key::SealingKey;
use crate::record;
use fault::Fault;

/// Connections at most: a read, a write, a look at the revision and the change stream may meet.
const CONNECTIONS_MAX: u32 = 4;

/// How long a server is looked for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one call may take: a server that hangs is away.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is worth asking for the revision where there is no change stream: the hub reads its handful of documents.
const POLL: Duration = Duration::from_millis(500);

/// The longest that a change stream keeps the hub from asking by itself.
const STREAM_WAIT: Duration = Duration::from_millis(900);

const ALLOWED: &str = "allowed is mongodb://USER:PASSWORD@HOST:PORT/DATABASE?authSource=DATABASE";

type Changes = ChangeStream<ChangeStreamEvent<Document>>;

/// Accounts and events in one MongoDB database.
pub(crate) struct MongoStore {
    key: SealingKey,
    /// The database without its password, for messages.
    name: String,
    database: Database,
    changes: Mutex<Option<Changes>>,
    /// Only a replica set has change streams; others are polled.
    has_streams: AtomicBool,
}

/// How the database of `url` is used. What the URL does not say of writes is the safest: what was acknowledged outlives a
/// server that dies.
async fn options(url: &str, name: &str) -> Result<ClientOptions, StoreError> {
    let parsed = tokio::time::timeout(CALL_TIMEOUT, ClientOptions::parse(url)).await;
    let mut options = match parsed {
        Ok(Ok(options)) => options,
        Ok(Err(error)) if !fault::is_unresolved(&error) => {
            // The parser's own message may quote the URL, and with it the password.
            return Err(StoreError::Url(format!("{name} is not understood: {ALLOWED}")));
        }
        Ok(Err(_)) | Err(_) => {
            return Err(StoreError::Away(format!("{name}: the name's SRV records cannot be looked up: is DNS up?")));
        }
    };
    let concern = options.write_concern.get_or_insert_default();
    if concern.w == Some(Acknowledgment::Nodes(0)) {
        return Err(StoreError::Url(format!(
            "{name} with w=0: nobody would acknowledge what is written; allowed are w=majority, which is the default, or a \
             number from 1"
        )));
    }
    concern.w.get_or_insert(Acknowledgment::Majority);
    concern.journal.get_or_insert(true);
    options.server_selection_timeout = Some(CONNECT_TIMEOUT);
    options.connect_timeout = Some(CONNECT_TIMEOUT);
    options.max_pool_size = Some(CONNECTIONS_MAX);
    options.app_name = Some("mdhub".into());
    Ok(options)
}

impl MongoStore {
    /// Connects to the database of `url`; makes its collections where needed.
    pub(crate) async fn open(url: &str, key: SealingKey) -> Result<Self, StoreError> {
        let name = crate::shown(url);
        let client = Client::with_options(options(url, &name).await?)
            .map_err(|_| StoreError::Url(format!("{name} has options that do not go together: {ALLOWED}")))?;
        let database =
            client.default_database().ok_or_else(|| StoreError::Url(format!("{name} names no database: {ALLOWED}")))?;
        let has_streams = AtomicBool::new(true);
        let store = Self { key, name, database, changes: Mutex::default(), has_streams };
        store.within(schema::prepare(&store.database)).await?;
        store.load().await?;
        store.within(events::prune(&store.database, now_ms())).await?;
        Ok(store)
    }

    /// Runs one call against the clock and says what its fault means.
    async fn within<T>(&self, call: impl Future<Output = Result<T, Fault>> + Send) -> Result<T, StoreError> {
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(done) => done.map_err(|fault| fault::explain(&self.name, fault)),
            Err(_) => {
                Err(StoreError::Away(format!("{} did not answer within {} s", self.name, CALL_TIMEOUT.as_secs())))
            }
        }
    }

    /// Waits for the next change; an error where there is no stream.
    async fn next_change(&self, slot: &mut Option<Changes>) -> mongodb::error::Result<()> {
        let stream = match slot {
            Some(stream) => stream,
            None => slot.insert(accounts::collection(&self.database).watch().max_await_time(STREAM_WAIT).await?),
        };
        stream.next_if_any().await?;
        if !stream.is_alive() {
            // The collection was dropped; that there is a new one is for the next turn.
            *slot = None;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

#[async_trait]
impl AccountStore for MongoStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.within(accounts::load(&self.database, &self.key, None, now_ms())).await
    }

    async fn get(&self, id: &AccountId) -> Result<MarketDataAccount, StoreError> {
        record::single(self.within(accounts::load(&self.database, &self.key, Some(id), now_ms())).await?, id)
    }

    async fn insert(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        self.within(accounts::insert(&self.database, &self.key, account, now_ms())).await
    }

    async fn update(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        self.within(accounts::update(&self.database, &self.key, account, now_ms())).await
    }

    async fn delete(&self, id: &AccountId, generation: Option<u64>) -> Result<(), StoreError> {
        self.within(accounts::delete(&self.database, id, generation)).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.within(accounts::revision(&self.database)).await
    }

    async fn wait_for_change(&self) {
        if self.has_streams.load(Ordering::Relaxed) {
            let mut slot = self.changes.lock().await;
            match tokio::time::timeout(STREAM_WAIT * 2, self.next_change(&mut slot)).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    *slot = None;
                    if fault::is_no_replica_set(&error) {
                        self.has_streams.store(false, Ordering::Relaxed);
                    }
                }
                Err(_) => *slot = None,
            }
        }
        tokio::time::sleep(POLL).await;
    }

    async fn confirm_empty(&self) -> Result<(), StoreError> {
        self.within(schema::confirm_empty(&self.database)).await
    }

    async fn copy_to(&self, _file: &Path) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn append_event(&self, event: Event) -> Result<(), StoreError> {
        self.within(events::append(&self.database, &event, now_ms())).await
    }

    async fn events(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.within(events::newest(&self.database, limit)).await
    }
}
