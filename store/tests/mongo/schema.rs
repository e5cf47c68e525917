//! Schemas of other releases and of other programs, and users whom the server does not know.

use mdhub_spec::account::{MarketDataAccount, Secret};
use mdhub_spec::ports::StoreError;
use mongodb::bson::{Document, doc};

use super::{Hub, account, event, ids, servers};

#[tokio::test]
async fn a_newer_schema_that_lets_this_release_in_is_used_and_its_fields_are_kept() {
    let Some(hub) = Hub::new().await else { return };
    let first = hub.open().await.insert(account("ctp-main")).await.expect("inserted");
    // A newer release's own: fields of an account, of the hub's document, a validator, a collection.
    let theirs = doc! {"$set": {"tags": ["theirs"], "routing": {"zone": "b"}, "secrets": {"password": "by hand"}}};
    hub.accounts().update_one(doc! {}, theirs).await.expect("done");
    let schema = hub.shell.collection::<Document>("schema");
    schema.update_one(doc! {}, doc! {"$set": {"version": 2, "note": "theirs"}}).await.expect("done");
    let validator = doc! {"collMod": "accounts", "validator": {"priority": {"$lt": 50}}};
    hub.shell.run_command(validator).await.expect("done");
    hub.shell.create_collection("roles").await.expect("made");

    let store = hub.open().await;
    let sealed = hub.accounts().find_one(doc! {}).await.expect("read").expect("there");
    assert!(sealed.get_document("secrets").expect("there").get_str("password").expect("text").starts_with("sealed:"));
    let password = Secret::new("changed".into());
    let second = store.update(MarketDataAccount { priority: 9, password, ..first }).await.expect("updated");
    assert_eq!(store.get(&second.id).await.expect("there"), second);
    store.append_event(event("told")).await.expect("appended");
    store.insert(account("ctp-backup")).await.expect("inserted");
    let kept = hub.accounts().find_one(doc! {"id": "ctp-main"}).await.expect("read").expect("there");
    assert_eq!(kept.get_array("tags").expect("kept"), &vec!["theirs".into()]);
    assert_eq!(kept.get_document("routing").expect("kept"), &doc! {"zone": "b"});
    let kept = schema.find_one(doc! {}).await.expect("read").expect("there");
    assert_eq!(kept.get_str("note").expect("kept"), "theirs");
    let refused = hub.accounts().insert_one(doc! {"id": "late", "priority": 60}).await;
    refused.expect_err("the newer release's validator stays");
}

#[tokio::test]
async fn a_schema_that_needs_a_newer_reader_is_refused_and_left_alone() {
    let Some(hub) = Hub::new().await else { return };
    hub.open().await.append_event(event("told")).await.expect("appended");
    let newer = doc! {"$set": {"reader_min": 2}};
    hub.shell.collection::<Document>("schema").update_one(doc! {}, newer).await.expect("done");
    hub.accounts().drop().await.expect("dropped");
    let error = hub.try_open().await.map(drop).expect_err("newer");
    let text = error.to_string();
    assert!(matches!(error, StoreError::Schema(_)), "{text}");
    assert!(text.contains("it needs a schema reader of 2 or more, this release is 1"), "{text}");
    assert!(text.contains(hub.shell.name()), "{text}");
    let mut left = hub.shell.list_collection_names().await.expect("listed");
    left.sort_unstable();
    assert_eq!(left, ["events", "schema"]);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let Some(hub) = Hub::new().await else { return };
    hub.shell.create_collection("invoices").await.expect("made");
    let error = hub.try_open().await.map(drop).expect_err("theirs");
    assert!(matches!(&error, StoreError::Schema(why) if why.contains("invoices")), "{error}");
    assert_eq!(hub.shell.list_collection_names().await.expect("listed"), ["invoices"]);
}

#[tokio::test]
async fn a_database_that_is_dropped_meanwhile_is_no_empty_one() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    store.insert(account("ctp-main")).await.expect("inserted");
    hub.shell.drop().await.expect("dropped");
    for error in [
        store.load().await.map(drop).expect_err("dropped"),
        store.revision().await.map(drop).expect_err("dropped"),
        store.insert(account("ctp-backup")).await.map(drop).expect_err("dropped"),
    ] {
        assert!(matches!(&error, StoreError::Schema(why) if why.contains("lost the collection schema")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_make_the_same_new_database_at_once_all_succeed() {
    let Some(hub) = Hub::new().await else { return };
    let (a, b, c) = tokio::join!(hub.try_open(), hub.try_open(), hub.try_open());
    for (n, store) in [a, b, c].into_iter().enumerate() {
        store.expect("opened").insert(account(&format!("ctp-{n}"))).await.expect("inserted");
    }
    assert_eq!(ids(&hub.open().await.load().await.expect("loaded")), ["ctp-0", "ctp-1", "ctp-2"]);
}

#[tokio::test]
async fn a_wrong_password_of_a_known_user_is_said_without_it() {
    let Some(url) = servers::mongod_auth().await else { return servers::skip("mongod") };
    let hub = Hub::at(url.replace(":hunter2@", ":hunter3@"), &url).await;
    let error = hub.try_open().await.map(drop).expect_err("refused");
    let text = error.to_string();
    assert!(matches!(&error, StoreError::Away(why) if why.contains("refuses this user")), "{text}");
    assert!(text.contains("check user, password") && text.contains(hub.shell.name()), "{text}");
    assert!(!text.contains("hunter"), "{text}");
}
