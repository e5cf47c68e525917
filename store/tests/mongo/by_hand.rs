//! Documents and collections made by hand.

use std::time::Duration;

use mdhub_spec::account::{MarketDataAccount, Secret};
use mdhub_spec::ports::StoreError;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};

use super::{Hub, account, event, id, ids, servers, written};

fn with(name: &str, field: &str, value: impl Into<Bson>) -> Document {
    let mut document = written(name);
    document.insert(field, value);
    document
}

fn without(name: &str, field: &str) -> Document {
    let mut document = written(name);
    document.remove(field);
    document
}

#[tokio::test]
async fn every_unusable_document_is_set_aside_by_name_and_the_others_go_on() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    hub.lax().await;
    let cases = [
        (with("gateway-type", "gateway", 7), "gateway is Int32: a string is needed"),
        (with("gateway-name", "gateway", "femas"), "allowed are ctp, sopt"),
        (without("gateway-none", "gateway"), "gateway is missing"),
        (with("settings-type", "settings", "{}"), "settings is String: a document is needed"),
        (with("secrets-type", "secrets", "hunter2"), "secrets is String"),
        (with("priority-type", "priority", "1"), "priority is String: a whole number is needed"),
        (with("priority-part", "priority", 1.5), "priority is Double"),
        (with("enabled-type", "is_enabled", 1), "is_enabled is Int32: true or false is needed"),
        (with("created-type", "created_at", "today"), "created_at is String: a date is needed"),
        (with("Not_a_slug", "priority", 1), "lower-case letters"),
    ];
    for (document, _) in &cases {
        hub.add(document.clone()).await;
    }
    for (field, name) in [("description", "bad-text"), ("secrets", "bad-secret"), ("settings", "bad-settings")] {
        let inner = doc! {"password": "hunter2 XXXX", "md_address": "tcp://a:1", "library": "sim"};
        let bad = if field == "description" { "XXXX".into() } else { Bson::from(inner) };
        hub.add_garbled("accounts", &with(name, field, bad)).await;
    }
    hub.add_garbled("accounts", &with("good-despite", "a note of theirs", "XXXX")).await;

    store.revision().await.expect("asked");
    let loaded = store.load().await.expect("loaded");
    assert_eq!(ids(&loaded), ["ctp-main", "good-despite"], "{:?}", loaded.set_aside);
    let why = |name: &str| loaded.set_aside.iter().find(|row| row.id == name).expect(name).why.as_str();
    for (document, reason) in &cases {
        let name = document.get_str("id").expect("given");
        assert!(why(name).contains(reason), "{name}: {}", why(name));
    }
    for (name, field) in [("bad-text", "description"), ("bad-secret", "secrets"), ("bad-settings", "settings")] {
        assert!(why(name).starts_with(field) && why(name).contains("UTF-8"), "{name}: {}", why(name));
        assert!(!why(name).contains("hunter2"), "{name}: {}", why(name));
        let error = store.get(&id(name)).await.expect_err(name);
        assert!(matches!(&error, StoreError::Invalid { .. }), "{error}");
    }
    assert_eq!(loaded.set_aside.len(), cases.len() + 3);
    hub.open().await;
}

#[tokio::test]
async fn a_document_whose_id_cannot_be_read_goes_by_the_servers() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    hub.lax().await;
    hub.accounts().drop_index("id_1").await.expect("dropped");
    for (n, document) in [with("", "id", 7), without("", "id"), with("", "id", Bson::Null)].into_iter().enumerate() {
        hub.add(with_id(document, n)).await;
    }
    hub.add_garbled("accounts", &with_id(written("XXXX"), 3)).await;
    hub.add(with("", "_id", "theirs")).await;
    let loaded = store.load().await.expect("loaded");
    let mut names: Vec<&str> = loaded.set_aside.iter().map(|row| row.id.as_str()).collect();
    names.sort_unstable();
    let own = (0..4).map(|n| format!("(the document of _id 00000000000000000000000{n})"));
    let named: Vec<String> = std::iter::once(String::new()).chain(own).collect();
    assert_eq!(names, named, "{:?}", loaded.set_aside);
}

fn with_id(mut document: Document, n: usize) -> Document {
    let server = format!("{n:024}").parse::<mongodb::bson::oid::ObjectId>().expect("an id");
    document.insert("_id", server);
    document
}

#[tokio::test]
async fn ids_that_several_documents_share_are_set_aside_until_one_is_left() {
    let Some(hub) = Hub::new().await else { return };
    for (name, priority) in [("twice", 1), ("twice", 2), ("once", 3)] {
        hub.add(with(name, "priority", priority)).await;
    }
    let store = hub.open().await;
    let loaded = store.load().await.expect("loaded");
    assert_eq!((ids(&loaded), loaded.set_aside.len()), (vec!["once"], 1), "{loaded:?}");
    let aside = &loaded.set_aside[0];
    assert!(aside.id == "twice" && aside.why.contains("2 documents have this id"), "{aside:?}");
    let error = store.get(&id("twice")).await.expect_err("which?");
    assert!(matches!(error, StoreError::Invalid { .. }), "{error}");
    let error = store.insert(account("twice")).await.expect_err("taken");
    assert!(matches!(error, StoreError::Taken(_)), "{error}");

    hub.accounts().delete_one(doc! {"id": "twice", "priority": 2}).await.expect("removed");
    assert_eq!(ids(&hub.open().await.load().await.expect("loaded")), ["once", "twice"]);
    assert_eq!(code(&hub.accounts().insert_one(written("twice")).await.expect_err("unique")), 11_000);
}

#[tokio::test]
async fn a_collection_made_by_hand_gets_its_index_and_its_validator() {
    let Some(hub) = Hub::new().await else { return };
    hub.add(written("ctp-main")).await;
    hub.add(with("odd", "priority", "first")).await;
    let store = hub.open().await;
    let loaded = store.load().await.expect("loaded");
    assert_eq!((ids(&loaded), loaded.set_aside.len()), (vec!["ctp-main"], 1));
    assert_refuses(&hub).await;
}

/// The server itself refuses a second document of an id, and one that no account can be.
async fn assert_refuses(hub: &Hub) {
    let accounts = hub.accounts();
    assert_eq!(code(&accounts.insert_one(written("ctp-main")).await.expect_err("unique")), 11_000);
    assert_eq!(code(&accounts.insert_one(with("x", "priority", "1")).await.expect_err("validated")), 121);
}

fn code(error: &Error) -> i32 {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_user_who_may_not_change_the_collection_uses_it_as_it_is() {
    let Some(url) = servers::mongod_auth().await else { return servers::skip("mongod") };
    let hub = Hub::at(url.clone(), &url).await;
    hub.add(written("ctp-main")).await;
    let store = hub.open().await;
    assert_eq!(ids(&store.load().await.expect("loaded")), ["ctp-main"]);
    assert_eq!(code(&hub.accounts().insert_one(written("ctp-main")).await.expect_err("unique")), 11_000);
}

#[tokio::test]
async fn a_dropped_collection_is_made_again_and_nobody_said_that_it_is_to_be_empty() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    store.load().await.expect("loaded");
    store.wait_for_change().await;
    hub.accounts().drop().await.expect("dropped");
    // The change stream ends with its collection; asking for changes must not become a loop without a pause.
    let mut asked = 0;
    let second = tokio::time::timeout(Duration::from_secs(2), async {
        loop {
            store.wait_for_change().await;
            asked += 1;
        }
    });
    assert!(second.await.is_err() && asked < 20, "{asked} times within 2 s");
    let loaded = store.load().await.expect("loaded");
    assert!(loaded.accounts.is_empty() && !loaded.empty_confirmed, "{loaded:?}");
    let again = hub.open().await;
    assert!(!again.load().await.expect("loaded").empty_confirmed);
    store.confirm_empty().await.expect("confirmed");
    assert!(again.load().await.expect("loaded").empty_confirmed);
    hub.add(written("ctp-main")).await;
    assert_refuses(&hub).await;

    hub.accounts().drop().await.expect("dropped");
    assert!(hub.open().await.load().await.expect("loaded").accounts.is_empty());
    hub.add(written("ctp-main")).await;
    assert_refuses(&hub).await;
}

#[tokio::test]
async fn an_event_that_cannot_be_read_hides_no_other() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    store.append_event(event("first")).await.expect("appended");
    hub.add_garbled("events", &doc! {"at": 7, "actor": "XXXX"}).await;
    store.append_event(event("last")).await.expect("appended");
    let messages: Vec<String> = store.events(10).await.expect("read").into_iter().map(|e| e.message).collect();
    assert_eq!(messages, ["last", "first"]);
}

#[tokio::test]
async fn an_event_that_the_server_refuses_for_good_is_told_from_a_server_that_is_away() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    let strict = doc! {"collMod": "events", "validator": {"reason": {"$ne": "Told"}}};
    hub.shell.run_command(strict).await.expect("done");
    let error = store.append_event(event("poison")).await.expect_err("refused");
    assert!(matches!(&error, StoreError::Refused(why) if why.contains("validation")), "{error}");
}

#[tokio::test]
async fn no_secret_stands_in_any_collection_whoever_wrote_it() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    let first = store.insert(account("ctp-main")).await.expect("inserted");
    assert_hides(&hub, "swordfish-27").await;
    let password = Secret::new("marlin-28".into());
    store.update(MarketDataAccount { password, ..first }).await.expect("updated");
    assert_hides(&hub, "marlin-28").await;
    hub.add(with("by-hand", "secrets", doc! {"password": "tuna-29"})).await;
    assert_eq!(ids(&store.load().await.expect("loaded")), ["by-hand", "ctp-main"]);
    let dump = assert_hides(&hub, "tuna-29").await;
    assert!(dump.contains("SecretSealed") && dump.matches("sealed:v").count() == 2, "{dump}");
    assert_eq!(store.get(&id("by-hand")).await.expect("there").password.reveal(), "tuna-29");
}

/// The secret is in no document, as it stands there before the hub reads anything again.
async fn assert_hides(hub: &Hub, secret: &str) -> String {
    let mut dump = String::new();
    for name in hub.shell.list_collection_names().await.expect("listed") {
        let mut documents = hub.shell.collection::<Document>(&name).find(doc! {}).await.expect("found");
        while documents.advance().await.expect("read") {
            dump.push_str(&documents.deserialize_current().expect("a document").to_string());
        }
    }
    assert!(!dump.contains(secret), "{secret}: {dump}");
    dump
}
