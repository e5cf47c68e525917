//! Rows made and edited with plain SQL.

use mdhub_spec::account::MarketDataAccount;
use mdhub_spec::ports::StoreError;
use sqlx::Executor;

use super::{Hub, account, event, id};

const INSERT: &str = r#"INSERT INTO accounts (id, gateway, settings, secrets) VALUES ('ctp-main', 'ctp',
    '{"md_address":"tcp://a:1","library":"sim"}', '{"password":"swordfish-27"}')"#;

#[tokio::test]
async fn a_plain_password_is_accepted_and_sealed_by_the_same_read() {
    let hub = Hub::new();
    let store = hub.open().await;
    hub.sql(INSERT).await;
    assert!(hub.holds("swordfish-27"), "the search finds what is there");

    let loaded = store.load().await.expect("loaded");
    let [read] = &loaded.accounts[..] else { panic!("{loaded:?}") };
    let created_at_ms = read.created_at_ms;
    let expected =
        MarketDataAccount { generation: 1, created_at_ms, updated_at_ms: read.updated_at_ms, ..account("ctp-main") };
    assert_eq!(*read, expected, "with the defaults of the table");
    assert!(created_at_ms > 1_700_000_000_000, "{created_at_ms} ms");

    assert!(!hub.holds("swordfish-27"), "it is gone from the file and from its log");
    let column: String = hub.ask("SELECT secrets FROM accounts").await;
    assert!(column.starts_with(&format!(r#"{{"password":"sealed:v1:{}:"#, hub.key().id())), "{column}");
    assert_eq!(store.load().await.expect("loaded").accounts, loaded.accounts);
    assert_eq!(hub.ask::<String>("SELECT secrets FROM accounts").await, column, "it is sealed once");
    let events = store.events(10).await.expect("read");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].reason.as_str(), events[0].account.as_ref()), ("SecretSealed", Some(&id("ctp-main"))));
    assert!(!events[0].message.contains("swordfish"), "{events:?}");
}

#[tokio::test]
async fn a_plain_password_written_over_a_sealed_one_is_sealed_by_a_get_too() {
    let hub = Hub::new();
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    hub.sql(r#"UPDATE accounts SET secrets = '{"password":"marlin-3141"}'"#).await;
    let read = store.get(&id("ctp-main")).await.expect("there");
    assert_eq!((read.password.reveal(), read.generation), ("marlin-3141", 1));
    assert!(!hub.holds("marlin-3141") && !hub.holds("swordfish-27"));
}

#[tokio::test]
async fn plain_passwords_of_many_rows_and_earlier_tries_leave_no_trace() {
    let hub = Hub::new();
    let store = hub.open().await;
    for n in 0..30 {
        let settings = r#"{"md_address":"tcp://a:1","library":"sim"}"#;
        hub.sql(&format!(
            r#"INSERT INTO accounts (id, gateway, settings) VALUES ('ctp-{n}', 'ctp', '{settings}');
               UPDATE accounts SET secrets = '{{"password":"swordfish-{n} and mistyped"}}' WHERE id = 'ctp-{n}';
               UPDATE accounts SET secrets = '{{"password":"marlin-{n}"}}' WHERE id = 'ctp-{n}'"#
        ))
        .await;
    }
    hub.sql("DELETE FROM accounts WHERE id = 'ctp-7'").await;
    assert!(hub.holds("swordfish-3") && hub.holds("marlin-7"), "the search finds what is there");
    let loaded = store.load().await.expect("loaded");
    assert_eq!((loaded.accounts.len(), loaded.set_aside.len()), (29, 0));
    assert!(loaded.accounts.iter().all(|a| a.password.reveal().starts_with("marlin-")));
    assert!(!hub.holds("swordfish") && !hub.holds("marlin"));
    assert_eq!(store.events(100).await.expect("read").len(), 29);
}

#[tokio::test]
async fn nothing_secret_is_in_the_files_of_the_database() {
    let hub = Hub::new();
    let store = hub.open().await;
    let mut kept = store.insert(account("ctp-main")).await.expect("inserted");
    for n in 0..20 {
        kept.password = mdhub_spec::account::Secret::new(format!("swordfish-{n}"));
        kept = store.update(kept).await.expect("updated");
        store.append_event(event("told")).await.expect("appended");
    }
    assert!(hub.holds("tcp://a:1") && hub.holds("sealed:v1:"), "the search finds what is there");
    assert!(!hub.holds("swordfish"));
    let key = std::fs::read_to_string(hub.path("secret.key")).expect("a key");
    assert!(!hub.holds(key.trim()));
}

#[tokio::test]
async fn an_address_changed_under_a_sealed_password_sets_the_row_aside_and_says_what_to_do() {
    let hub = Hub::new();
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    store.insert(account("ctp-backup")).await.expect("inserted");
    hub.sql(r#"UPDATE accounts SET settings = '{"md_address":"tcp://evil:1","library":"sim"}' WHERE id = 'ctp-main'"#)
        .await;
    let loaded = store.load().await.expect("loaded");
    assert_eq!(loaded.accounts.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["ctp-backup"]);
    let [aside] = &loaded.set_aside[..] else { panic!("{loaded:?}") };
    assert!(aside.id == "ctp-main" && aside.why.contains("md_address"), "{aside:?}");
    let error = store.get(&id("ctp-main")).await.expect_err("set aside");
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");

    let what_to_do = aside.why.split_once("write the password again: ").expect("a hint").1;
    hub.sql(&what_to_do.replace("...", "marlin")).await;
    let mended = store.get(&id("ctp-main")).await.expect("mended");
    assert_eq!((mended.password.reveal(), mended.settings.md_address[0].as_str()), ("marlin", "tcp://evil:1"));
    assert!(!hub.holds("marlin"));
}

#[tokio::test]
async fn a_sealed_password_copied_to_another_row_does_not_open_there() {
    let hub = Hub::new();
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    hub.sql("INSERT INTO accounts (id, gateway, settings, secrets) SELECT 'thief', gateway, settings, secrets FROM accounts")
        .await;
    let loaded = store.load().await.expect("loaded");
    assert_eq!((loaded.accounts.len(), loaded.set_aside.len()), (1, 1));
    assert_eq!(loaded.set_aside[0].id, "thief");
}

#[tokio::test]
async fn a_row_from_another_hub_is_set_aside_by_the_name_of_its_key() {
    let (hub, other) = (Hub::new(), Hub::new());
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    other.open().await.insert(account("ctp-copied")).await.expect("inserted");
    let copy = format!(
        "ATTACH '{}' AS other; INSERT INTO accounts SELECT * FROM other.accounts",
        other.path("hub.db").display()
    );
    hub.sql(&copy).await;
    let loaded = store.load().await.expect("loaded");
    assert_eq!(loaded.accounts.len(), 1);
    let [aside] = &loaded.set_aside[..] else { panic!("{loaded:?}") };
    assert!(aside.id == "ctp-copied" && aside.why.contains(other.key().id()), "{aside:?}");
    let error = store.get(&id("ctp-copied")).await.expect_err("another key");
    assert!(matches!(error, StoreError::Key(_)), "{error}");
}

/// A table that takes anything, as no migration makes it: what stands in a file is not ours to trust.
const LAX: &str = "DROP TABLE accounts; CREATE TABLE accounts (id, gateway, settings, secrets, priority, is_enabled,
    suspended, restart_generation, generation, description, created_at, updated_at)";

#[tokio::test]
async fn every_unusable_row_is_set_aside_by_name_and_the_others_go_on() {
    let hub = Hub::new();
    let store = hub.open().await;
    hub.sql(LAX).await;
    let good = [
        "'row'",
        "'ctp'",
        r#"'{"md_address":"tcp://a:1","library":"sim"}'"#,
        "'{}'",
        "1",
        "1",
        "0",
        "0",
        "1",
        "''",
        "5",
        "6",
    ];
    let cases = [
        (0, "NULL", "id is NULL"),
        (0, "x'00ff'", "id is BLOB"),
        (0, "7", "id is INTEGER"),
        (0, "'Not_a_slug'", "lower-case letters"),
        (1, "'femas'", "allowed are ctp, sopt"),
        (1, "NULL", "gateway is NULL"),
        (2, "NULL", "settings is NULL"),
        (2, "'{'", "EOF"),
        (2, "'[1]'", "settings"),
        (2, r#"'{"md_address":"a:1","library":"sim"}'"#, "tcp://HOST:PORT"),
        (2, r#"'{"md_address":"tcp://a:1","library":"sim","librari":1}'"#, "librari"),
        (2, r#"'{"md_address":"tcp://a:1"}'"#, "library"),
        (2, "x'ff'", "settings is BLOB"),
        (2, "CAST(x'22ff22' AS TEXT)", "settings is TEXT"),
        (3, "NULL", "secrets is NULL"),
        (3, "'\"hunter2\"'", "write the password again"),
        (3, r#"'{"password":["hunter2"]}'"#, "write the password again"),
        (3, r#"'{"password":"ok","auth_code":"hunter2"}'"#, "unknown field \"auth_code\", allowed is password"),
        (3, r#"'{"password":"sealed:v9:hunter2"}'"#, "no sealed text"),
        (3, r#"'{"password":"hunter2hunter2hunter2hunter2hunter2hunter2"}'"#, "password has 42 bytes"),
        (4, "0", "priority is 0: allowed are 1 to 4294967295"),
        (4, "4294967296", "priority is 4294967296"),
        (4, "1.5", "priority is REAL"),
        (4, "'high'", "priority is TEXT"),
        (5, "NULL", "is_enabled is NULL"),
        (5, "2", "is_enabled is 2: allowed are 0 and 1"),
        (5, "'true'", "is_enabled is TEXT"),
        (6, "-1", "suspended is -1"),
        (7, "-1", "restart_generation is -1"),
        (8, "NULL", "generation is NULL"),
        (9, "NULL", "description is NULL"),
        (9, "hex(randomblob(600))", "description has 1200 bytes"),
        (10, "'yesterday'", "created_at is TEXT"),
        (11, "NULL", "updated_at is NULL"),
    ];
    for (column, value, why) in cases {
        let mut row = good;
        row[column] = value;
        let insert = format!("DELETE FROM accounts; INSERT INTO accounts VALUES ({})", row.join(", "));
        hub.sql(&insert).await;
        hub.sql(&format!("INSERT INTO accounts VALUES ({})", good.join(", ").replace("'row'", "'well'"))).await;
        let loaded = store.load().await.expect(value);
        assert_eq!(loaded.accounts.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["well"], "{value}");
        let [aside] = &loaded.set_aside[..] else { panic!("{value}: {loaded:?}") };
        assert!(aside.why.contains(why), "{value}: {aside:?}");
        assert!(!aside.why.contains("hunter2"), "{aside:?}");
        assert!(!aside.id.is_empty(), "{aside:?}");
    }
}

#[tokio::test]
async fn the_table_refuses_by_itself_what_no_release_accepts() {
    let hub = Hub::new();
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    let mut shell = hub.shell().await;
    for bad in [
        "UPDATE accounts SET id = 'Not_a_slug'",
        "UPDATE accounts SET id = '-a'",
        "UPDATE accounts SET id = NULL",
        "UPDATE accounts SET settings = '{'",
        "UPDATE accounts SET secrets = 'hunter2'",
        "UPDATE accounts SET priority = 0",
        "UPDATE accounts SET priority = 1.5",
        "UPDATE accounts SET is_enabled = 'yes'",
        "UPDATE accounts SET suspended = 2",
        "UPDATE accounts SET restart_generation = 'again'",
        "UPDATE accounts SET description = NULL",
        "INSERT INTO schema (id, reader_min) VALUES (2, 2)",
    ] {
        assert!(shell.execute(bad).await.is_err(), "{bad}");
    }
    for good in [
        "UPDATE accounts SET is_enabled = FALSE, suspended = TRUE",
        "UPDATE accounts SET priority = 2, restart_generation = restart_generation + 1",
        "UPDATE accounts SET is_enabled = '1'",
    ] {
        assert!(shell.execute(good).await.is_ok(), "{good}");
    }
    assert_eq!(store.load().await.expect("loaded").accounts.len(), 1);
}

#[tokio::test]
async fn the_revision_sees_an_edit_by_hand() {
    let hub = Hub::new();
    let store = hub.open().await;
    let kept = store.insert(account("ctp-main")).await.expect("inserted");
    let mut shell = hub.shell().await;
    let mut last = store.revision().await.expect("asked");
    for priority in 2..6 {
        assert_eq!(store.revision().await.expect("asked"), last);
        sqlx::query("UPDATE accounts SET priority = ?").bind(priority).execute(&mut shell).await.expect("edited");
        let next = store.revision().await.expect("asked");
        assert_ne!(next, last);
        last = next;
        let read = store.get(&kept.id).await.expect("there");
        assert_eq!((read.priority, read.generation), (priority, 1));
    }
    shell.execute("BEGIN; UPDATE accounts SET priority = 9; ROLLBACK").await.expect("thought better of it");
    assert_eq!(store.revision().await.expect("asked"), last);
}

#[tokio::test]
async fn no_more_than_ten_thousand_events_are_kept() {
    let hub = Hub::new();
    let store = hub.open().await;
    hub.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
         INSERT INTO events (at, actor, reason, message) SELECT 9000000000000, 'cli', 'Told', 'old ' || i FROM n",
    )
    .await;
    for n in 0..300 {
        store.append_event(event(&format!("new {n}"))).await.expect("appended");
    }
    let kept: i64 = hub.ask("SELECT count(*) FROM events").await;
    assert!((9_800..=10_000).contains(&kept), "{kept} are kept");
    let newest = store.events(301).await.expect("read");
    assert_eq!((newest[0].message.as_str(), newest[300].message.as_str()), ("new 299", "old 12000"));
    assert_eq!(store.events(u32::MAX).await.expect("read").len() as i64, kept);
}

#[tokio::test]
async fn an_event_that_the_file_refuses_for_good_is_told_from_a_file_that_is_away() {
    let hub = Hub::new();
    let store = hub.open().await;
    hub.sql("CREATE TRIGGER strict BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'not here'); END").await;
    let error = store.append_event(event("poison")).await.expect_err("refused");
    assert!(matches!(&error, StoreError::Refused(why) if why.contains("not here")), "{error}");
}
