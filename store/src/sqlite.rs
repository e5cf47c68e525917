//! The SQLite backend.
//!
//! | module | holds |
//! |---|---|
//! | [`link`] | the file and a connection to it: made, opened again when the file was replaced, checked for its schema |
//! | [`fault`] | what SQLite's errors mean to people |
//! | [`accounts`] | the table `accounts` |
//! | [`events`] | the table `events` |

mod accounts;
mod events;
mod fault;
mod link;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::ports::{AccountStore, Event, Loaded, StoreError};
use tokio::sync::Mutex;

use crate::clock::now_ms;
use crate::key::SealingKey;
use crate::record;
use link::Link;

/// How often it is worth asking for the revision: that takes microseconds.
const POLL: Duration = Duration::from_millis(250);

/// Accounts and events in one SQLite file.
pub(crate) struct SqliteStore {
    key: SealingKey,
    /// Reads and writes, one at a time: SQLite has one writer anyway, and this is a handful of calls a second.
    link: Mutex<Link>,
    /// A connection that never writes: its `data_version` moves with every commit of any other, ours included.
    watch: Mutex<Link>,
}

impl SqliteStore {
    /// Opens the file at `path`; makes and migrates it where needed.
    pub(crate) async fn open(path: &str, key: SealingKey) -> Result<Self, StoreError> {
        let path = link::checked_path(path)?;
        let (link, kept) = Link::create(&path).await?;
        let store = Self { key, link: Mutex::new(link), watch: Mutex::new(Link::new(&path)) };
        store.load().await?;
        for kept in kept {
            // Of an earlier start too, that had the wrong key or was ended before it came to this.
            if let Err(error) = store.seal_copy(&kept).await {
                tracing::warn!(copy = %kept.display(), %error, "a plain-text password may stand in this copy of the database");
            }
        }
        store.prune_events().await?;
        Ok(store)
    }

    async fn seal_copy(&self, kept: &Path) -> Result<(), StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = link::seal_copy(&mut open.connection, kept).await;
        link.settle(open, done)
    }

    async fn prune_events(&self) -> Result<(), StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = events::prune(&mut open.connection, now_ms()).await;
        link.settle(open, done)
    }
}

#[async_trait]
impl AccountStore for SqliteStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = accounts::load(&mut open.connection, &self.key, None, now_ms()).await;
        link.settle(open, done)
    }

    async fn get(&self, id: &AccountId) -> Result<MarketDataAccount, StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = accounts::load(&mut open.connection, &self.key, Some(id), now_ms()).await;
        record::single(link.settle(open, done)?, id)
    }

    async fn insert(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = accounts::insert(&mut open.connection, &self.key, account, now_ms()).await;
        link.settle(open, done)
    }

    async fn update(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = accounts::update(&mut open.connection, &self.key, account, now_ms()).await;
        link.settle(open, done)
    }

    async fn delete(&self, id: &AccountId, generation: Option<u64>) -> Result<(), StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = accounts::delete(&mut open.connection, id, generation).await;
        link.settle(open, done)
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        let mut watch = self.watch.lock().await;
        let mut open = watch.ready().await?;
        let done = link::data_version(&mut open.connection).await;
        let version = watch.settle(open, done)?;
        // A new connection counts from the start again: how many there were stands before it.
        Ok((watch.opened() << 32) | u64::from(version))
    }

    async fn wait_for_change(&self) {
        tokio::time::sleep(POLL).await;
    }

    async fn confirm_empty(&self) -> Result<(), StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = accounts::confirm_empty(&mut open.connection).await;
        link.settle(open, done)
    }

    async fn copy_to(&self, file: &Path) -> Result<bool, StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = link::copy(&mut open.connection, file).await;
        link.settle(open, done).map(|()| true)
    }

    async fn append_event(&self, event: Event) -> Result<(), StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = events::append(&mut open.connection, &event, now_ms()).await;
        link.settle(open, done)
    }

    async fn events(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        let mut link = self.link.lock().await;
        let mut open = link.ready().await?;
        let done = events::newest(&mut open.connection, limit).await;
        link.settle(open, done)
    }
}
