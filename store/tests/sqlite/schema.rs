//! Schemas of other releases and of other programs.

use mdhub_spec::ports::StoreError;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::{Hub, account, event};

async fn refused(hub: &Hub, why: &str) {
    let error = hub.try_open().await.map(drop).expect_err(why);
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains(why) && text.contains("hub.db"), "{text}");
}

#[tokio::test]
async fn a_newer_schema_that_lets_this_release_in_is_used_and_kept() {
    let hub = Hub::new();
    let first = hub.open().await.insert(account("ctp-main")).await.expect("inserted");
    hub.sql(
        "ALTER TABLE accounts ADD COLUMN tags TEXT NOT NULL DEFAULT 'none'; UPDATE accounts SET tags = 'theirs';
         CREATE TABLE roles (name TEXT);
         INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'of a newer release', TRUE, x'00', 0)",
    )
    .await;
    let store = hub.open().await;
    let second = store.update(first).await.expect("updated");
    store.insert(account("ctp-backup")).await.expect("inserted");
    assert_eq!(store.get(&second.id).await.expect("there"), second);
    let tags: String = hub.ask("SELECT group_concat(tags, '+') FROM (SELECT tags FROM accounts ORDER BY id)").await;
    assert_eq!(tags, "none+theirs");
}

#[tokio::test]
async fn a_schema_that_needs_a_newer_reader_is_refused_and_left_alone() {
    let hub = Hub::new();
    hub.open().await.append_event(event("told")).await.expect("appended");
    hub.sql("UPDATE schema SET reader_min = 2").await;
    refused(&hub, "it needs a schema reader of 2 or more, this release is 1").await;
    assert_eq!(hub.ask::<i64>("SELECT count(*) FROM events").await, 1);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let hub = Hub::new();
    hub.sql("CREATE TABLE invoices (id INTEGER)").await;
    refused(&hub, "not the table schema").await;
    assert_eq!(hub.ask::<i64>("SELECT count(*) FROM sqlite_master").await, 1);
}

#[tokio::test]
async fn a_missing_table_is_named_at_the_start_and_while_running() {
    let hub = Hub::new();
    let store = hub.open().await;
    hub.sql("DROP TABLE accounts").await;
    let error = store.load().await.expect_err("no table");
    assert!(matches!(&error, StoreError::Schema(why) if why.contains("accounts")), "{error}");
    refused(&hub, "not the table accounts").await;
}

#[tokio::test]
async fn a_database_whose_migrations_do_not_add_up_is_refused() {
    let hub = Hub::new();
    drop(hub.open().await);
    // As after an interrupted upgrade: one that this release knows is not recorded, another is not what it was.
    hub.sql(
        "DELETE FROM _sqlx_migrations WHERE version > 1; UPDATE _sqlx_migrations SET version = 0, checksum = x'00'",
    )
    .await;
    refused(&hub, "already exists").await;
}

/// The file as the first release made it, with a row that a person wrote by hand.
async fn of_the_first_release(hub: &Hub) {
    let mut migrations = sqlx::migrate!("../migrations/sqlite");
    migrations.migrations = migrations.iter().take(1).cloned().collect();
    migrations.run(&mut hub.shell().await).await.expect("migrated");
    hub.sql(
        r#"INSERT INTO accounts (id, gateway, settings, secrets, priority) VALUES ('ctp-main', 'ctp',
           '{"md_address":"tcp://a:1","library":"sim"}', '{"password":"swordfish-27"}', 7)"#,
    )
    .await;
}

#[tokio::test]
async fn a_file_of_the_first_release_is_migrated_and_kept_as_it_was_without_a_plain_password() {
    let hub = Hub::new();
    of_the_first_release(&hub).await;
    let kept = hub.path("hub.db.before-migration-2");
    std::fs::write(&kept, "of an earlier try").expect("writes");
    let store = hub.open().await;
    let read = store.get(&super::id("ctp-main")).await.expect("there");
    assert_eq!((read.password.reveal(), read.priority), ("swordfish-27", 7));
    let copy = std::fs::read(&kept).expect("kept");
    let text = String::from_utf8_lossy(&copy);
    assert!(text.starts_with("SQLite format 3") && text.contains("tcp://a:1") && text.contains("sealed:v1:"));
    assert!(!text.contains("swordfish-27") && !hub.holds("swordfish-27"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&kept).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    // The way back: the copy in the database's place, and forward again.
    drop(store);
    std::fs::rename(&kept, hub.path("hub.db")).expect("renamed");
    let again = hub.open().await.get(&super::id("ctp-main")).await.expect("there");
    assert_eq!(again.password.reveal(), "swordfish-27");
}

#[tokio::test]
async fn a_copy_that_a_start_with_the_wrong_key_left_plain_is_sealed_by_the_next_one() {
    let hub = Hub::new();
    of_the_first_release(&hub).await;
    let foreign = Hub::new();
    foreign.open().await.insert(account("ctp-main")).await.expect("inserted");
    let sealed: String = foreign.ask("SELECT secrets FROM accounts").await;
    hub.sql(&format!(
        r#"INSERT INTO accounts (id, gateway, settings, secrets) VALUES ('ctp-other', 'ctp',
           '{{"md_address":"tcp://a:1","library":"sim"}}', '{sealed}')"#
    ))
    .await;
    // Of what is sealed nothing opens: the key is the wrong one.
    let error = hub.try_open().await.map(drop).expect_err("another key");
    assert!(matches!(error, StoreError::Key(_)), "{error}");
    let kept = hub.path("hub.db.before-migration-2");
    let holds = || String::from_utf8_lossy(&std::fs::read(&kept).expect("kept")).contains("swordfish-27");
    assert!(holds(), "the search finds what is there");
    hub.sql("DELETE FROM accounts WHERE id = 'ctp-other'").await;
    drop(hub.open().await);
    assert!(!holds() && !hub.holds("swordfish-27"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_migrate_the_same_file_at_once_keep_what_was_before() {
    for _ in 0..5 {
        let hub = Hub::new();
        of_the_first_release(&hub).await;
        let (key, url) = (|| hub.key(), hub.url());
        let open = || mdhub_store::open(&url, key());
        let (a, b, c) = tokio::join!(open(), open(), open());
        for store in [a, b, c] {
            assert_eq!(store.expect("opened").load().await.expect("loaded").accounts.len(), 1);
        }
        let options = SqliteConnectOptions::new().filename(hub.path("hub.db.before-migration-2"));
        let mut kept = options.connect().await.expect("kept");
        let columns = "SELECT count(*) FROM pragma_table_info('schema')";
        let found: i64 = sqlx::query_scalar(columns).fetch_one(&mut kept).await.expect("read");
        assert_eq!(found, 2, "of the first release");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_make_the_same_new_database_at_once_all_succeed() {
    for _ in 0..5 {
        let hub = Hub::new();
        let key = || hub.key();
        let url = hub.url();
        let open = || mdhub_store::open(&url, key());
        let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
        for (n, store) in [a, b, c, d].into_iter().enumerate() {
            let store = store.expect("opened");
            store.insert(account(&format!("ctp-{n}"))).await.expect("inserted");
        }
        assert_eq!(hub.open().await.load().await.expect("loaded").accounts.len(), 4);
    }
}
