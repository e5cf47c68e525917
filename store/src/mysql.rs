//! The MySQL and MariaDB backend.
//!
//! | module | holds |
//! |---|---|
//! | [`schema`] | whether the database is ours and for this release; migrations |
//! | [`accounts`] | the table `accounts`, and what tells that it changed |
//! | [`events`] | the table `events` |
//! | [`fault`] | what the server's errors mean to people |

mod accounts;
mod events;
mod fault;
mod schema;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::ports::{AccountStore, Event, Loaded, StoreError};
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};

use crate::clock::now_ms;
use crate::key::SealingKey;
use crate::record;
use fault::Fault;

/// Connections at most: a read, a write and a look at the revision may meet.
const CONNECTIONS_MAX: u32 = 4;

/// How long a connection is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one call may take: a server that hangs is away.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is worth asking for the revision: the server hashes its handful of rows.
const POLL: Duration = Duration::from_millis(500);

/// Accounts and events in one MySQL database.
pub(crate) struct MySqlStore {
    key: SealingKey,
    /// The database without its password, for messages.
    name: String,
    pool: MySqlPool,
}

impl MySqlStore {
    /// Connects to the database of `url`; makes its tables and migrates them where needed.
    pub(crate) async fn open(url: &str, key: SealingKey) -> Result<Self, StoreError> {
        const ALLOWED: &str = "allowed is mysql://USER:PASSWORD@HOST:PORT/DATABASE";
        let name = crate::shown(url);
        // The parser's own message may quote the URL, and with it the password.
        let options = MySqlConnectOptions::from_str(url)
            .map_err(|_| StoreError::Url(format!("{name} is not understood: {ALLOWED}")))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(StoreError::Url(format!("{name} names no database: {ALLOWED}")));
        }
        let pool = MySqlPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_lazy_with(options.disable_statement_logging());
        let store = Self { key, name, pool };
        store.within(schema::prepare(&store.pool)).await?;
        store.load().await?;
        store.within(events::prune(&store.pool, now_ms())).await?;
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
}

#[async_trait]
impl AccountStore for MySqlStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.within(accounts::load(&self.pool, &self.key, None, now_ms())).await
    }

    async fn get(&self, id: &AccountId) -> Result<MarketDataAccount, StoreError> {
        record::single(self.within(accounts::load(&self.pool, &self.key, Some(id), now_ms())).await?, id)
    }

    async fn insert(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        self.within(accounts::insert(&self.pool, &self.key, account, now_ms())).await
    }

    async fn update(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        self.within(accounts::update(&self.pool, &self.key, account, now_ms())).await
    }

    async fn delete(&self, id: &AccountId, generation: Option<u64>) -> Result<(), StoreError> {
        self.within(accounts::delete(&self.pool, id, generation)).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.within(accounts::revision(&self.pool)).await
    }

    async fn wait_for_change(&self) {
        tokio::time::sleep(POLL).await;
    }

    async fn confirm_empty(&self) -> Result<(), StoreError> {
        self.within(accounts::confirm_empty(&self.pool)).await
    }

    async fn copy_to(&self, _file: &Path) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn append_event(&self, event: Event) -> Result<(), StoreError> {
        self.within(events::append(&self.pool, &event, now_ms())).await
    }

    async fn events(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.within(events::newest(&self.pool, limit)).await
    }
}
