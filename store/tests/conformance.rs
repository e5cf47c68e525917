//! What every backend of the store must do, written against `dyn AccountStore` alone. A backend joins by an
//! implementation of `Backend` and one line of `conformance!` at the end.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "conformance/crash.rs"]
mod crash;
#[path = "conformance/servers.rs"]
mod servers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::ports::{AccountStore, Event, StoreError};
use mdhub_store::SealingKey;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

/// Where a backend's databases come from.
trait Backend {
    /// A new empty database; `None`, said by name, where there is no server for it.
    async fn new() -> Option<Self>
    where
        Self: Sized;
    /// Its URL.
    fn url(&self) -> String;
    /// Removes every account as a person would who has nothing but a shell.
    async fn empty_by_hand(&self);
    /// A directory for key files.
    fn dir(&self) -> &Path;

    /// A key made at first use.
    fn key(&self, name: &str) -> SealingKey {
        SealingKey::read_or_create(&self.dir().join(name)).expect("a key")
    }

    /// Another handle, as another process has it.
    async fn open(&self) -> Arc<dyn AccountStore> {
        mdhub_store::open(&self.url(), self.key("secret.key")).await.expect("opened")
    }
}

fn id(text: &str) -> AccountId {
    text.parse().expect("a slug")
}

fn account(name: &str) -> MarketDataAccount {
    let settings = r#"{"user_id":"u","broker_id":"9999","md_address":["tcp://a:1","tcp://b:2"],"library":"sim"}"#;
    MarketDataAccount {
        id: id(name),
        gateway: GatewayKind::Sopt,
        settings: AccountSettings::from_json(settings).expect("settings"),
        password: Secret::new("密码 hunter2".into()),
        priority: 3,
        is_enabled: true,
        suspended: true,
        restart_generation: 7,
        generation: 99,
        description: "the desk's second line, 备用".into(),
        created_at_ms: -1,
        updated_at_ms: -1,
    }
}

fn event(at_ms: i64, message: &str) -> Event {
    Event {
        at_ms,
        account: Some(id("ctp-main")),
        actor: "cli".into(),
        reason: "Stopped".into(),
        message: message.into(),
    }
}

#[expect(clippy::disallowed_methods, reason = "events are kept by age")]
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after the epoch");
    since.as_millis().try_into().expect("fits")
}

async fn an_account_comes_back_as_it_was_written(backend: &impl Backend) {
    let store = backend.open().await;
    let before_ms = now_ms();
    let written = store.insert(account("ctp-main")).await.expect("inserted");
    assert!((before_ms..=now_ms()).contains(&written.created_at_ms));
    let (created_at_ms, updated_at_ms) = (written.created_at_ms, written.created_at_ms);
    assert_eq!(written, MarketDataAccount { generation: 1, created_at_ms, updated_at_ms, ..account("ctp-main") });
    drop(store);
    let again = backend.open().await;
    assert_eq!(again.get(&id("ctp-main")).await.expect("there"), written);
    let loaded = again.load().await.expect("loaded");
    assert_eq!((loaded.accounts, loaded.set_aside), (vec![written], vec![]));
}

async fn an_account_without_a_password_has_none(backend: &impl Backend) {
    let store = backend.open().await;
    let written = MarketDataAccount { password: Secret::default(), ..account("ctp-main") };
    store.insert(written).await.expect("inserted");
    assert!(store.get(&id("ctp-main")).await.expect("there").password.is_empty());
}

async fn a_load_is_in_the_order_of_ids(backend: &impl Backend) {
    let store = backend.open().await;
    assert!(store.load().await.expect("loaded").accounts.is_empty());
    for name in ["sopt-main", "ctp-main", "a", "ctp-backup"] {
        store.insert(account(name)).await.expect("inserted");
    }
    let names: Vec<String> = store.load().await.expect("loaded").accounts.iter().map(|a| a.id.to_string()).collect();
    assert_eq!(names, ["a", "ctp-backup", "ctp-main", "sopt-main"]);
}

async fn an_id_is_taken_once(backend: &impl Backend) {
    let (one, two) = (backend.open().await, backend.open().await);
    one.insert(account("ctp-main")).await.expect("inserted");
    let other = MarketDataAccount { priority: 9, ..account("ctp-main") };
    let error = two.insert(other).await.expect_err("taken");
    assert!(matches!(&error, StoreError::Taken(taken) if *taken == id("ctp-main")), "{error}");
    assert_eq!(one.get(&id("ctp-main")).await.expect("there").priority, 3);
}

async fn an_update_changes_every_field_and_raises_the_generation(backend: &impl Backend) {
    let store = backend.open().await;
    let first = store.insert(account("ctp-main")).await.expect("inserted");
    let settings = AccountSettings::from_json(r#"{"md_address":"tcp://c:3","library":"other"}"#).expect("settings");
    let changed = MarketDataAccount {
        gateway: GatewayKind::Ctp,
        settings,
        password: Secret::new("changed".into()),
        priority: 1,
        is_enabled: false,
        suspended: false,
        restart_generation: 8,
        description: String::new(),
        created_at_ms: 5,
        updated_at_ms: 5,
        ..first.clone()
    };
    let second = store.update(changed.clone()).await.expect("updated");
    let (created_at_ms, updated_at_ms) = (first.created_at_ms, second.updated_at_ms);
    assert!((first.updated_at_ms..=now_ms()).contains(&updated_at_ms));
    assert_eq!(second, MarketDataAccount { generation: 2, created_at_ms, updated_at_ms, ..changed });
    assert_eq!(store.get(&id("ctp-main")).await.expect("there"), second);
    assert_eq!(store.update(second).await.expect("updated").generation, 3);
}

async fn who_read_before_another_wrote_is_told_and_changes_nothing(backend: &impl Backend) {
    let (one, two) = (backend.open().await, backend.open().await);
    let read = one.insert(account("ctp-main")).await.expect("inserted");
    let kept = two.update(MarketDataAccount { priority: 5, ..read.clone() }).await.expect("updated");
    let error = one.update(MarketDataAccount { priority: 6, ..read }).await.expect_err("stale");
    assert!(
        matches!(&error, StoreError::Stale { id: stale, given: 1, found: 2 } if *stale == id("ctp-main")),
        "{error}"
    );
    assert_eq!(one.get(&id("ctp-main")).await.expect("there"), kept);
    // Whoever deletes what they read does not delete what another has made of it.
    let error = one.delete(&id("ctp-main"), Some(1)).await.expect_err("stale");
    assert!(matches!(&error, StoreError::Stale { given: 1, found: 2, .. }), "{error}");
    assert!(matches!(one.delete(&id("ctp-main"), Some(u64::MAX)).await, Err(StoreError::Stale { found: 2, .. })));
    assert_eq!(one.get(&id("ctp-main")).await.expect("there"), kept);
    one.delete(&id("ctp-main"), Some(2)).await.expect("deleted");
    assert!(matches!(one.delete(&id("ctp-main"), Some(2)).await, Err(StoreError::NotFound(_))));
}

async fn what_is_not_there_is_said_to_be_missing(backend: &impl Backend) {
    let store = backend.open().await;
    store.insert(account("ctp-backup")).await.expect("inserted");
    let missing = id("ctp-main");
    for error in [
        store.get(&missing).await.map(drop).expect_err("missing"),
        store.update(account("ctp-main")).await.map(drop).expect_err("missing"),
        store.delete(&missing, None).await.expect_err("missing"),
    ] {
        assert!(matches!(&error, StoreError::NotFound(id) if *id == missing), "{error}");
    }
    store.delete(&id("ctp-backup"), None).await.expect("deleted");
    assert!(store.load().await.expect("loaded").accounts.is_empty());
    assert!(matches!(store.delete(&id("ctp-backup"), None).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.insert(account("ctp-backup")).await.expect("free again").generation, 1);
}

async fn a_wrong_account_is_refused_by_field_without_its_secret(backend: &impl Backend) {
    let store = backend.open().await;
    let kept = store.insert(account("ctp-main")).await.expect("inserted");
    let secret = "x".repeat(41);
    for (wrong, why) in [
        (MarketDataAccount { password: Secret::new(secret.clone()), ..kept.clone() }, "password has 41 bytes"),
        (MarketDataAccount { priority: 0, ..kept.clone() }, "priority is 0"),
        (
            MarketDataAccount { restart_generation: u64::MAX, ..kept.clone() },
            "restart_generation is 18446744073709551615",
        ),
        (MarketDataAccount { description: "d".repeat(1001), ..kept.clone() }, "description has 1001 bytes"),
    ] {
        for error in [
            store.update(wrong.clone()).await.expect_err(why),
            store.insert(MarketDataAccount { id: id("new"), ..wrong }).await.expect_err(why),
        ] {
            let text = error.to_string();
            assert!(matches!(error, StoreError::Invalid { .. }), "{text}");
            assert!(text.contains(why) && !text.contains(&secret), "{text}");
        }
    }
    assert_eq!(store.load().await.expect("loaded").accounts, [kept]);
}

async fn the_revision_moves_with_every_write_and_only_then(backend: &impl Backend) {
    let (one, two) = (backend.open().await, backend.open().await);
    let mut last = one.revision().await.expect("asked");
    let mut account = account("ctp-main");
    for round in 0..6 {
        for _ in 0..3 {
            one.load().await.expect("loaded");
            two.load().await.expect("loaded");
            assert_eq!(one.revision().await.expect("asked"), last, "nobody wrote in round {round}");
        }
        let writer = if round % 2 == 0 { &one } else { &two };
        match round {
            0 => account = writer.insert(account).await.expect("inserted"),
            5 => writer.delete(&account.id, None).await.expect("deleted"),
            _ => account = writer.update(account).await.expect("updated"),
        }
        let next = one.revision().await.expect("asked");
        assert_ne!(next, last, "round {round}");
        last = next;
    }
}

async fn no_edit_of_two_writers_at_once_is_lost(backend: &impl Backend) {
    /// Both writers edit all of them, so that a server that waits for its disk has something else to do.
    const ACCOUNTS: [&str; 4] = ["a", "b", "c", "d"];
    /// Of each account by each writer: 10,000 in all.
    const EDITS: u64 = 1_250;
    async fn edit(store: Arc<dyn AccountStore>, name: &str) -> u64 {
        let mut lost_races = 0;
        let mut account = store.get(&id(name)).await.expect("there");
        for _ in 0..EDITS {
            loop {
                account.restart_generation += 1;
                match store.update(account).await {
                    Ok(written) => {
                        account = written;
                        break;
                    }
                    Err(StoreError::Stale { .. }) => lost_races += 1,
                    Err(other) => panic!("{other}"),
                }
                account = store.get(&id(name)).await.expect("there");
            }
        }
        lost_races
    }
    let writers = [backend.open().await, backend.open().await];
    for name in ACCOUNTS {
        let password = Secret::default();
        let first = MarketDataAccount { restart_generation: 0, password, ..account(name) };
        writers[0].insert(first).await.expect("inserted");
    }
    let edits = writers.iter().flat_map(|store| ACCOUNTS.map(|name| tokio::spawn(edit(store.clone(), name))));
    let mut lost_races = 0;
    for edit in edits.collect::<Vec<_>>() {
        lost_races += edit.await.expect("ended");
    }
    for edited in backend.open().await.load().await.expect("loaded").accounts {
        assert_eq!((edited.restart_generation, edited.generation), (2 * EDITS, 2 * EDITS + 1), "{}", edited.id);
    }
    assert!(lost_races > 0, "the writers never met: the check proved nothing");
}

async fn nobody_said_that_an_emptied_store_is_to_be_empty_until_somebody_does(backend: &impl Backend) {
    let store = backend.open().await;
    assert!(!store.load().await.expect("loaded").empty_confirmed, "a new one is not confirmed");
    for name in ["ctp-main", "ctp-backup"] {
        store.insert(account(name)).await.expect("inserted");
    }
    store.confirm_empty().await.expect("asked");
    assert!(!store.load().await.expect("loaded").empty_confirmed, "it is not empty");
    store.delete(&id("ctp-main"), None).await.expect("deleted");
    let revision = store.revision().await.expect("asked");
    store.delete(&id("ctp-backup"), None).await.expect("deleted");
    assert!(store.load().await.expect("loaded").empty_confirmed, "the last one was deleted by name");
    assert_ne!(store.revision().await.expect("asked"), revision);
    // The word is spent by the next account that is read, wherever it came from.
    store.insert(account("ctp-main")).await.expect("inserted");
    store.load().await.expect("loaded");
    backend.empty_by_hand().await;
    let read = store.load().await.expect("loaded");
    assert!(read.accounts.is_empty() && !read.empty_confirmed, "{read:?}");
    let revision = store.revision().await.expect("asked");
    store.confirm_empty().await.expect("confirmed");
    assert_ne!(store.revision().await.expect("asked"), revision, "a hub that watches sees the word");
    assert!(store.load().await.expect("loaded").empty_confirmed);
}

async fn events_come_newest_first_and_as_many_as_asked(backend: &impl Backend) {
    let store = backend.open().await;
    assert!(store.events(10).await.expect("read").is_empty());
    let now = now_ms();
    let hub = Event { account: None, actor: "hub".into(), ..event(now, "by the hub") };
    // The order is that of writing: a clock that is set back does not hide news.
    for event in [event(now, "first"), event(now - 5_000, "second"), hub.clone()] {
        store.append_event(event).await.expect("appended");
    }
    let read = backend.open().await.events(10).await.expect("read");
    assert_eq!(read, [hub, event(now - 5_000, "second"), event(now, "first")]);
    assert_eq!(store.events(2).await.expect("read"), read[..2]);
    assert!(store.events(0).await.expect("read").is_empty());
    let long = event(now, &"长".repeat(10_000));
    store.append_event(long).await.expect("appended");
    let kept = store.events(1).await.expect("read").remove(0).message;
    assert!((1_000..=4_096).contains(&kept.len()) && kept.chars().all(|c| c == '长'), "{} bytes", kept.len());
}

async fn events_older_than_ninety_days_go(backend: &impl Backend) {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let store = backend.open().await;
    store.append_event(event(now_ms() - 91 * DAY_MS, "too old")).await.expect("appended");
    store.append_event(event(now_ms() - 89 * DAY_MS, "old")).await.expect("appended");
    for _ in 0..256 {
        store.append_event(event(now_ms(), "new")).await.expect("appended");
    }
    let kept = store.events(1_000).await.expect("read");
    assert_eq!((kept.len(), kept.last().map(|e| e.message.as_str())), (257, Some("old")));
}

async fn another_key_opens_no_store_with_sealed_secrets(backend: &impl Backend) {
    let (right, wrong) = (backend.key("secret.key"), backend.key("wrong.key"));
    let store = backend.open().await;
    let first = store.insert(account("ctp-main")).await.expect("inserted");
    let url = backend.url();
    let error = mdhub_store::open(&url, backend.key("wrong.key")).await.map(drop).expect_err("the wrong key");
    let text = error.to_string();
    assert!(matches!(error, StoreError::Key(_)), "{text}");
    assert!(["ctp-main", right.id(), wrong.id()].iter().all(|part| text.contains(part)), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(store.get(&first.id).await.expect("unharmed"), first);
    store.update(MarketDataAccount { password: Secret::default(), ..first }).await.expect("updated");
    mdhub_store::open(&url, backend.key("wrong.key")).await.map(drop).expect("nothing is sealed");
}

/// In memory, where there is some: every commit waits for the disk.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// SQLite, one file.
struct Sqlite(tempfile::TempDir);

impl Backend for Sqlite {
    async fn new() -> Option<Self> {
        Some(Self(directory()))
    }

    fn url(&self) -> String {
        let path: PathBuf = self.0.path().join("hub.db");
        format!("sqlite://{}", path.display())
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    async fn empty_by_hand(&self) {
        let options = SqliteConnectOptions::new().filename(self.0.path().join("hub.db"));
        options.connect().await.expect("a shell").execute("DELETE FROM accounts").await.expect("emptied");
    }
}

/// MariaDB, by a user who owns one database.
struct Mariadb(tempfile::TempDir, String);

impl Backend for Mariadb {
    async fn new() -> Option<Self> {
        let url = servers::mariadb().await;
        url.map(|url| Self(directory(), url)).or_else(|| {
            servers::skip("MariaDB");
            None
        })
    }

    fn url(&self) -> String {
        self.1.clone()
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    async fn empty_by_hand(&self) {
        let options: MySqlConnectOptions = self.1.parse().expect("a URL");
        options.connect().await.expect("a shell").execute("TRUNCATE accounts").await.expect("emptied");
    }
}

async fn empty_collection(url: &str) {
    let client = mongodb::Client::with_uri_str(url).await.expect("a client");
    let accounts = client.default_database().expect("named").collection::<mongodb::bson::Document>("accounts");
    accounts.delete_many(mongodb::bson::doc! {}).await.expect("emptied");
}

/// A MongoDB replica set.
struct Mongod(tempfile::TempDir, String);

impl Backend for Mongod {
    async fn new() -> Option<Self> {
        let url = servers::mongod().await;
        url.map(|url| Self(directory(), url)).or_else(|| {
            servers::skip("mongod");
            None
        })
    }

    fn url(&self) -> String {
        self.1.clone()
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    async fn empty_by_hand(&self) {
        empty_collection(&self.1).await;
    }
}

/// A MongoDB that stands alone, for users with a password.
struct MongodAuth(tempfile::TempDir, String);

impl Backend for MongodAuth {
    async fn new() -> Option<Self> {
        let url = servers::mongod_auth().await;
        url.map(|url| Self(directory(), url)).or_else(|| {
            servers::skip("mongod");
            None
        })
    }

    fn url(&self) -> String {
        self.1.clone()
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    async fn empty_by_hand(&self) {
        empty_collection(&self.1).await;
    }
}

macro_rules! conformance {
    ($module:ident, $backend:ty, [$($name:ident),* $(,)?]) => {
        mod $module {
            use super::Backend;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(backend) = <$backend>::new().await {
                        super::$name(&backend).await;
                    }
                }
            )*
        }
    };
    ($module:ident, $backend:ty) => {
        conformance!($module, $backend, [
            an_account_comes_back_as_it_was_written,
            an_account_without_a_password_has_none,
            a_load_is_in_the_order_of_ids,
            an_id_is_taken_once,
            an_update_changes_every_field_and_raises_the_generation,
            who_read_before_another_wrote_is_told_and_changes_nothing,
            what_is_not_there_is_said_to_be_missing,
            a_wrong_account_is_refused_by_field_without_its_secret,
            the_revision_moves_with_every_write_and_only_then,
            no_edit_of_two_writers_at_once_is_lost,
            events_come_newest_first_and_as_many_as_asked,
            events_older_than_ninety_days_go,
            another_key_opens_no_store_with_sealed_secrets,
            nobody_said_that_an_emptied_store_is_to_be_empty_until_somebody_does,
        ]);
    };
}

conformance!(sqlite, super::Sqlite);
conformance!(mariadb, super::Mariadb);
conformance!(mongod, super::Mongod);
conformance!(mongod_auth, super::MongodAuth);
