//! Traits at the house's doors: what an outer crate implements, and an inner one or the wiring calls.

use std::path::Path;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::{AccountId, MarketDataAccount};

/// Why the store could not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be reached or answers with a fault. What was in force stays in force.
    #[error("database: {0}")]
    Away(String),
    /// There is no such account.
    #[error("account {0}: there is none of that id")]
    NotFound(AccountId),
    /// The id is taken.
    #[error("account {0}: the id is taken")]
    Taken(AccountId),
    /// Somebody else wrote first.
    #[error("account {id}: generation {given} was expected, {found} is there; read it again and repeat the change")]
    Stale {
        /// Which account.
        id: AccountId,
        /// The writer's generation.
        given: u64,
        /// The stored one.
        found: u64,
    },
    /// The URL, or the file with its password, cannot be used.
    #[error("database: {0}")]
    Url(String),
    /// The document itself is wrong.
    #[error("account {id}: {why}")]
    Invalid {
        /// Which account.
        id: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// The sealing key does not fit what is stored.
    #[error("secrets: {0}")]
    Key(String),
    /// The database's schema is not for this release.
    #[error("schema: {0}")]
    Schema(String),
    /// The database is well and refuses what it is given, today and tomorrow: to send it again is in vain.
    #[error("database: {0}")]
    Refused(String),
}

/// A stored row that cannot be used: set aside by name, the others go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The row's id, as it is written there.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

/// One complete read of the accounts.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The usable ones, by id.
    pub accounts: Vec<MarketDataAccount>,
    /// The others.
    pub set_aside: Vec<SetAside>,
    /// Where there are no rows at all: whether somebody said that there are to be none, by deleting the last account
    /// through the store or by [`AccountStore::confirm_empty`]. Without that word, a table that is suddenly empty is an
    /// accident.
    pub empty_confirmed: bool,
}

/// Something that happened, for people: operator actions, restarts, failovers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the epoch, `CLOCK_REALTIME`.
    pub at_ms: i64,
    /// Which account it is about, if one.
    pub account: Option<AccountId>,
    /// Who did it: a user's name, `cli`, or `hub`.
    pub actor: String,
    /// One word for machines, CamelCase.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
}

/// Where the desired state lives.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Reads every account, secrets opened. A plain-text secret in a hand-made row is accepted, and sealed by this call.
    async fn load(&self) -> Result<Loaded, StoreError>;

    /// Reads one account.
    async fn get(&self, id: &AccountId) -> Result<MarketDataAccount, StoreError>;

    /// Adds an account. Its `generation` and times are set by the store; the stored account comes back.
    async fn insert(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError>;

    /// Writes an account whose stored generation is still `account.generation`; the stored one, with the next
    /// generation, comes back.
    async fn update(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError>;

    /// Removes an account: with a `generation`, only while that is the stored one ([`StoreError::Stale`] otherwise).
    async fn delete(&self, id: &AccountId, generation: Option<u64>) -> Result<(), StoreError>;

    /// A number that differs after another connection or this one has written. Cheap enough to ask several times a second.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// Returns when it is worth asking for the revision again: something was written, or the backend's interval has
    /// passed, a second at most. While the database is away it returns after that interval, too.
    async fn wait_for_change(&self);

    /// Writes down that there are to be no accounts, where there are none. It holds until there is one again.
    async fn confirm_empty(&self) -> Result<(), StoreError>;

    /// Copies the whole database, secrets sealed as they are, to the new file `file`; `false` where the database is no
    /// file of this machine, so that nothing was copied.
    async fn copy_to(&self, file: &Path) -> Result<bool, StoreError>;

    /// Adds an event; the oldest beyond the store's limits go.
    async fn append_event(&self, event: Event) -> Result<(), StoreError>;

    /// The newest events, newest first.
    async fn events(&self, limit: u32) -> Result<Vec<Event>, StoreError>;
}
