//! Schemas of other releases and of other programs.

use mdhub_spec::ports::StoreError;

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
async fn a_migration_that_was_altered_after_it_ran_is_refused() {
    let hub = Hub::new();
    drop(hub.open().await);
    // As after an interrupted upgrade: one that this release knows is not recorded, another is not what it was.
    hub.sql(
        "DELETE FROM _sqlx_migrations WHERE version > 1; UPDATE _sqlx_migrations SET version = 0, checksum = x'00'",
    )
    .await;
    refused(&hub, "already exists").await;
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
