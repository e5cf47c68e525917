//! What only the SQLite backend does: rows made by hand with plain SQL, and a file that is not as it should be.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "sqlite/away.rs"]
mod away;
#[path = "sqlite/by_hand.rs"]
mod by_hand;
#[path = "sqlite/schema.rs"]
mod schema;

use std::path::PathBuf;
use std::sync::Arc;

use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::ports::{AccountStore, Event, StoreError};
use mdhub_store::SealingKey;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

/// A directory with a database and its key.
struct Hub(tempfile::TempDir);

impl Hub {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path("hub.db").display())
    }

    fn key(&self) -> SealingKey {
        SealingKey::read_or_create(&self.path("secret.key")).expect("a key")
    }

    async fn try_open(&self) -> Result<Arc<dyn AccountStore>, StoreError> {
        mdhub_store::open(&self.url(), self.key()).await
    }

    async fn open(&self) -> Arc<dyn AccountStore> {
        self.try_open().await.expect("opened")
    }

    /// What a person with a SQLite shell has: a connection of its own, without the hub's settings.
    async fn shell(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path("hub.db")).create_if_missing(true);
        options.connect().await.expect("a shell")
    }

    async fn sql(&self, statements: &str) {
        let mut shell = self.shell().await;
        shell.execute(AssertSqlSafe(statements)).await.expect(statements);
    }

    async fn ask<T>(&self, question: &'static str) -> T
    where
        T: Send + Unpin + sqlx::Type<sqlx::Sqlite> + for<'r> sqlx::Decode<'r, sqlx::Sqlite>,
    {
        sqlx::query_scalar(question).fetch_one(&mut self.shell().await).await.expect(question)
    }

    /// Everything that the database has on disk.
    fn bytes(&self) -> Vec<u8> {
        ["hub.db", "hub.db-wal", "hub.db-shm"]
            .iter()
            .flat_map(|name| std::fs::read(self.path(name)).unwrap_or_default())
            .collect()
    }

    fn holds(&self, text: &str) -> bool {
        self.bytes().windows(text.len()).any(|window| window == text.as_bytes())
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

fn event(message: &str) -> Event {
    Event { at_ms: i64::MAX, account: None, actor: "cli".into(), reason: "Told".into(), message: message.into() }
}
