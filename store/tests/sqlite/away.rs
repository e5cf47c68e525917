//! A database that is not there, or not as it should be. What was in force stays in force only if a failed read is never
//! taken for "no accounts": each of these must be an error.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use mdhub_spec::ports::{AccountStore, StoreError};
use sqlx::Executor;

use super::{Hub, account, event, id};

fn away(error: &StoreError, why: &str) {
    assert!(matches!(error, StoreError::Away(_)), "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

/// Every call of the port fails, and none of them with an empty answer.
async fn all_fail(store: &Arc<dyn AccountStore>) -> Vec<StoreError> {
    vec![
        store.load().await.map(drop).expect_err("load"),
        store.get(&id("ctp-main")).await.map(drop).expect_err("get"),
        store.insert(account("ctp-new")).await.map(drop).expect_err("insert"),
        store.update(account("ctp-main")).await.map(drop).expect_err("update"),
        store.delete(&id("ctp-main"), None).await.expect_err("delete"),
        store.revision().await.map(drop).expect_err("revision"),
        store.append_event(event("told")).await.expect_err("append_event"),
        store.events(1).await.map(drop).expect_err("events"),
    ]
}

#[tokio::test]
async fn a_url_that_names_no_database_is_refused_with_what_is_allowed_and_without_its_password() {
    let hub = Hub::new();
    for url in [
        "mysql://root:hunter2@localhost",
        "mysql://root:hunter2@local host/x",
        "mongodb://root:hunter2@localhost",
        "mongodb://root:hunter2@/x",
        "postgres://root:hunter2@localhost/mdhub",
        "hub.db",
        "",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://hub.db?mode=ro",
    ] {
        let error = mdhub_store::open(url, hub.key()).await.map(drop).expect_err(url);
        assert!(matches!(error, StoreError::Url(_)), "{error}");
        assert!(error.to_string().contains("allowed"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    let hub = Hub::new();
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
        assert_eq!(fs::metadata(hub.path(name)).expect(name).mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_place_where_no_file_can_be_made_is_named() {
    let hub = Hub::new();
    fs::create_dir(hub.path("directory")).expect("made");
    for (path, why) in [
        (hub.path("missing/hub.db"), "cannot be made"),
        (hub.path("directory"), "is not a file"),
        ("/proc/self/hub.db".into(), "cannot be made"),
    ] {
        let url = format!("sqlite://{}", path.display());
        let error = mdhub_store::open(&url, hub.key()).await.map(drop).expect_err(why);
        away(&error, why);
        assert!(error.to_string().contains(path.to_str().expect("UTF-8")), "{error}");
    }
    // What root may do it does: then the same must succeed.
    fs::set_permissions(hub.path("directory"), PermissionsExt::from_mode(0o500)).expect("changed");
    let all_powerful = fs::write(hub.path("directory/probe"), "").is_ok();
    let url = format!("sqlite://{}", hub.path("directory/hub.db").display());
    match mdhub_store::open(&url, hub.key()).await {
        Ok(_) => assert!(all_powerful),
        Err(error) => {
            assert!(!all_powerful, "{error}");
            away(&error, "cannot be made");
        }
    }
}

#[tokio::test]
async fn a_file_that_vanished_is_away_until_it_is_back() {
    let hub = Hub::new();
    let store = hub.open().await;
    let kept = store.insert(account("ctp-main")).await.expect("inserted");
    let before = store.revision().await.expect("asked");
    for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
        fs::rename(hub.path(name), hub.path(&format!("{name}.aside"))).expect(name);
    }
    for error in all_fail(&store).await {
        away(&error, "is gone");
    }
    assert!(!hub.path("hub.db").exists(), "no empty one took its place");
    for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
        fs::rename(hub.path(&format!("{name}.aside")), hub.path(name)).expect(name);
    }
    assert_eq!(store.get(&kept.id).await.expect("back"), kept);
    assert_eq!(store.revision().await.expect("asked"), before);
}

#[tokio::test]
async fn a_file_that_was_replaced_is_read_from_then_on() {
    let hub = Hub::new();
    let store = hub.open().await;
    let kept = store.insert(account("ctp-main")).await.expect("inserted");
    hub.sql(&format!("VACUUM INTO '{}'", hub.path("backup.db").display())).await;
    store.update(kept.clone()).await.expect("updated");
    let before = store.revision().await.expect("asked");
    for name in ["hub.db-wal", "hub.db-shm"] {
        fs::remove_file(hub.path(name)).expect(name);
    }
    fs::rename(hub.path("backup.db"), hub.path("hub.db")).expect("restored");
    assert_ne!(store.revision().await.expect("asked"), before);
    assert_eq!(store.get(&kept.id).await.expect("there"), kept);
    store.update(kept).await.expect("updated");
    assert_eq!(hub.ask::<i64>("SELECT generation FROM accounts").await, 2, "writes go to the new file");
}

#[tokio::test]
async fn an_emptied_file_is_an_error_and_not_an_empty_list() {
    let hub = Hub::new();
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    for name in ["hub.db-wal", "hub.db-shm"] {
        fs::remove_file(hub.path(name)).expect(name);
    }
    fs::remove_file(hub.path("hub.db")).expect("removed");
    fs::write(hub.path("hub.db"), "").expect("written");
    for error in all_fail(&store).await {
        assert!(matches!(&error, StoreError::Schema(why) if why.contains("has become empty")), "{error}");
    }
    assert_eq!(hub.ask::<i64>("SELECT count(*) FROM sqlite_master").await, 0, "and no tables are made in it");
}

#[tokio::test]
async fn a_file_of_other_content_is_named_as_no_database() {
    let hub = Hub::new();
    fs::write(hub.path("hub.db"), "id,gateway\n".repeat(1000)).expect("written");
    let error = hub.try_open().await.map(drop).expect_err("no database");
    assert!(matches!(&error, StoreError::Schema(why) if why.contains("is not a SQLite database")), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_named_as_damaged() {
    let hub = Hub::new();
    drop(hub.open().await.insert(account("ctp-main")).await.expect("inserted"));
    hub.sql("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let mut bytes = fs::read(hub.path("hub.db")).expect("read");
    let page_bytes = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    for page in bytes.chunks_mut(page_bytes).skip(1) {
        page.fill(0xa5);
    }
    // Another file, so that no connection still has the old pages.
    let damaged = hub.path("damaged.db");
    fs::write(&damaged, bytes).expect("written");
    let url = format!("sqlite://{}", damaged.display());
    let error = mdhub_store::open(&url, hub.key()).await.map(drop).expect_err("damaged");
    away(&error, "is damaged");
}

#[tokio::test]
async fn a_writer_that_holds_the_lock_too_long_is_told_of_while_reads_go_on() {
    let hub = Hub::new();
    let store = hub.open().await;
    let kept = store.insert(account("ctp-main")).await.expect("inserted");
    let mut shell = hub.shell().await;
    shell.execute("BEGIN IMMEDIATE").await.expect("locked");
    let error = store.update(kept.clone()).await.expect_err("locked");
    away(&error, "is locked by another program");
    assert_eq!(store.load().await.expect("read").accounts, std::slice::from_ref(&kept));
    shell.execute("COMMIT").await.expect("unlocked");
    assert_eq!(store.update(kept).await.expect("free again").generation, 2);
}

#[tokio::test]
async fn a_start_against_a_file_that_another_program_keeps_to_itself_ends_and_says_so() {
    let hub = Hub::new();
    drop(hub.open().await);
    let mut shell = hub.shell().await;
    for statement in ["PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "SELECT count(*) FROM accounts"] {
        shell.execute(statement).await.expect(statement);
    }
    let opened = tokio::time::timeout(std::time::Duration::from_secs(60), hub.try_open()).await;
    away(&opened.expect("it gives up").map(drop).expect_err("locked"), "is locked by another program");
}

#[tokio::test]
async fn a_caller_that_is_cancelled_leaves_nothing_behind() {
    let hub = Hub::new();
    let store = hub.open().await;
    let kept = store.insert(account("ctp-main")).await.expect("inserted");
    let mut shell = hub.shell().await;
    shell.execute("BEGIN IMMEDIATE").await.expect("locked");
    {
        let update = store.update(kept.clone());
        tokio::pin!(update);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(100), &mut update).await;
        assert!(waiting.is_err(), "it waits for the lock");
    }
    shell.execute("COMMIT").await.expect("unlocked");
    // The cancelled one may still have the lock for a moment: the next waits for it.
    let next = store.update(kept).await.expect("written");
    assert_eq!(next.generation, 2);
}
