//! What only the MariaDB and MySQL backend does: rows and schemas that are not as the hub made them, and users that it does not
//! let in.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests start the other servers")]
#[path = "conformance/servers.rs"]
mod servers;

use std::sync::Arc;

use mdhub_spec::account::{AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::ports::{AccountStore, Event, StoreError};
use mdhub_store::SealingKey;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

/// A database of its own, as the hub and as a person with a shell has it.
struct Hub {
    url: String,
    keys: tempfile::TempDir,
}

impl Hub {
    /// `None`, said by name, where there is no server.
    async fn new() -> Option<Self> {
        let Some(url) = servers::mariadb().await else {
            servers::skip("mariadb");
            return None;
        };
        Some(Self { url, keys: tempfile::tempdir().expect("a directory") })
    }

    async fn try_open(&self, url: &str) -> Result<Arc<dyn AccountStore>, StoreError> {
        let key = SealingKey::read_or_create(&self.keys.path().join("secret.key")).expect("a key");
        mdhub_store::open(url, key).await
    }

    async fn open(&self) -> Arc<dyn AccountStore> {
        self.try_open(&self.url).await.expect("opened")
    }

    async fn shell(&self) -> MySqlConnection {
        let options: MySqlConnectOptions = self.url.parse().expect("a URL");
        options.disable_statement_logging().connect().await.expect("a shell")
    }

    async fn sql(&self, statement: &str) {
        self.shell().await.execute(AssertSqlSafe(statement)).await.expect(statement);
    }

    async fn ask<T>(&self, question: &'static str) -> T
    where
        T: Send + Unpin + sqlx::Type<sqlx::MySql> + for<'r> sqlx::Decode<'r, sqlx::MySql>,
    {
        sqlx::query_scalar(question).fetch_one(&mut self.shell().await).await.expect(question)
    }

    async fn refused(&self, why: &str) {
        let error = self.try_open(&self.url).await.map(drop).expect_err(why);
        let text = error.to_string();
        assert!(matches!(error, StoreError::Schema(_)) && text.contains(why), "{text}");
        assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
    }
}

fn account(name: &str) -> MarketDataAccount {
    MarketDataAccount {
        id: name.parse().expect("a slug"),
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

#[tokio::test]
async fn a_newer_schema_that_lets_this_release_in_is_used_and_its_columns_are_kept() {
    let Some(hub) = Hub::new().await else { return };
    let first = hub.open().await.insert(account("ctp-main")).await.expect("inserted");
    hub.sql("ALTER TABLE accounts ADD COLUMN tags VARCHAR(20) NOT NULL DEFAULT 'none'").await;
    hub.sql("UPDATE accounts SET tags = 'theirs'").await;
    hub.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'of a newer release', TRUE, x'00', 0)",
    )
    .await;
    let store = hub.open().await;
    let second = store.update(first).await.expect("updated");
    store.insert(account("ctp-backup")).await.expect("inserted");
    assert_eq!(store.get(&second.id).await.expect("there"), second);
    let tags: String = hub.ask("SELECT GROUP_CONCAT(tags ORDER BY id SEPARATOR '+') FROM accounts").await;
    assert_eq!(tags, "none+theirs");
}

#[tokio::test]
async fn a_schema_that_needs_a_newer_reader_is_refused_and_left_alone() {
    let Some(hub) = Hub::new().await else { return };
    let told = Event { at_ms: 1, account: None, actor: "hub".into(), reason: "Told".into(), message: String::new() };
    let at_ms = hub.open().await.insert(account("ctp-main")).await.expect("inserted").created_at_ms;
    hub.open().await.append_event(Event { at_ms, ..told }).await.expect("appended");
    hub.sql("UPDATE `schema` SET reader_min = 2").await;
    hub.refused("it needs a schema reader of 2 or more, this release is 1").await;
    assert_eq!(hub.ask::<i64>("SELECT COUNT(*) FROM events").await, 1);
}

#[tokio::test]
async fn a_missing_table_is_named_at_the_start_and_while_running() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    hub.sql("DROP TABLE accounts").await;
    let error = store.load().await.expect_err("no table");
    assert!(matches!(&error, StoreError::Schema(why) if why.contains("accounts")), "{error}");
    hub.refused("not the table accounts").await;
    hub.sql("DROP TABLE events, `schema`, _sqlx_migrations").await;
    hub.sql("CREATE TABLE invoices (id INT)").await;
    hub.refused("not the table schema").await;
}

#[tokio::test]
async fn a_wrong_password_and_a_user_without_rights_are_named_without_it() {
    let Some(hub) = Hub::new().await else { return };
    let wrong = hub.url.replace("hunter2", "hunter3");
    let error = hub.try_open(&wrong).await.map(drop).expect_err("refused");
    let text = error.to_string();
    assert!(matches!(error, StoreError::Away(_)) && text.contains("refuses this user"), "{text}");
    assert!(!text.contains("hunter"), "{text}");
    let elsewhere = format!("{}_other", hub.url);
    let error = hub.try_open(&elsewhere).await.map(drop).expect_err("refused").to_string();
    assert!(error.contains("refuses this user") && !error.contains("hunter"), "{error}");
}

#[tokio::test]
async fn a_plain_password_is_sealed_by_the_read_that_finds_it_whatever_the_tables_character_set() {
    for (letters, password) in
        [("latin1", "pässwörd-27"), ("gbk", "密码-27"), ("utf16", "密码-27"), ("utf8mb4", "Swordfish-27")]
    {
        let Some(hub) = Hub::new().await else { return };
        let store = hub.open().await;
        hub.sql(&format!("ALTER TABLE accounts CONVERT TO CHARACTER SET {letters}")).await;
        hub.sql(&format!(
            r#"INSERT INTO accounts (id, gateway, settings, secrets) VALUES ('ctp-main', 'ctp',
               '{{"md_address":"tcp://a:1","library":"sim"}}', '{{"password":"{password}"}}')"#
        ))
        .await;
        let read = store.get(&"ctp-main".parse().expect("a slug")).await.expect("there");
        assert_eq!(read.password.reveal(), password, "{letters}");
        let column: String = hub.ask("SELECT CONVERT(secrets USING utf8mb4) FROM accounts").await;
        assert!(column.starts_with(r#"{"password":"sealed:v1:"#), "{letters}: {column}");
        assert_eq!(store.events(10).await.expect("read")[0].reason, "SecretSealed");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_used_is_set_aside_by_name_and_the_others_go_on() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    store.insert(account("well")).await.expect("inserted");
    for (spoil, why) in [
        ("gateway = 'femas'", "allowed are ctp, sopt"),
        (r#"settings = '{"md_address":"a:1","library":"sim"}'"#, "tcp://HOST:PORT"),
        (r#"settings = '{"md_address":"tcp://a:1","library":"sim","librari":1}'"#, "librari"),
        (r#"secrets = '{"password":["hunter2"]}'"#, "write the password again"),
    ] {
        let spoiled = store.insert(account("spoiled")).await.expect("inserted");
        hub.sql(&format!("UPDATE accounts SET {spoil} WHERE id = 'spoiled'")).await;
        let loaded = store.load().await.expect(spoil);
        assert_eq!(loaded.accounts.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["well"], "{spoil}");
        let [aside] = &loaded.set_aside[..] else { panic!("{spoil}: {loaded:?}") };
        assert!(aside.id == "spoiled" && aside.why.contains(why) && !aside.why.contains("hunter2"), "{aside:?}");
        store.delete(&spoiled.id, None).await.expect("deleted");
    }
}

#[tokio::test]
async fn an_event_that_the_server_refuses_for_good_is_told_from_a_server_that_is_away() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    hub.sql("ALTER TABLE events ADD CHECK (reason <> 'Told')").await;
    let event = Event { at_ms: 1, account: None, actor: "cli".into(), reason: "Told".into(), message: String::new() };
    let error = store.append_event(event).await.expect_err("refused");
    assert!(matches!(&error, StoreError::Refused(why) if why.contains("CONSTRAINT")), "{error}");
}
