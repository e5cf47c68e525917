//! What the URL may ask for.

use std::time::Duration;

use mdhub_spec::ports::StoreError;
use mongodb::bson::{Document, doc};

use super::{Hub, account};

/// How the server was asked to acknowledge the account's document.
async fn asked_for(options: &str) -> Option<Document> {
    let mut hub = Hub::new().await?;
    hub.url.push_str(options);
    let store = hub.open().await;
    hub.shell.run_command(doc! {"profile": 2}).await.expect("profiled");
    let first = store.insert(account("ctp-main")).await.expect("inserted");
    store.update(first).await.expect("updated");
    hub.shell.run_command(doc! {"profile": 0}).await.expect("done");
    let seen = hub.shell.collection::<Document>("system.profile");
    let edit = seen.find_one(doc! {"command.findAndModify": "accounts"}).await.expect("read").expect("an edit");
    Some(edit.get_document("command").expect("told").get_document("writeConcern").cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_write_waits_for_a_majority_and_the_journal_unless_the_url_says_otherwise() {
    let Some(unset) = asked_for("").await else { return };
    assert_eq!((unset.get("w"), unset.get("j")), (Some(&"majority".into()), Some(&true.into())), "{unset}");
    let one = asked_for("&w=1").await.expect("a server");
    assert_eq!((one.get("w"), one.get("j")), (Some(&1.into()), Some(&true.into())), "{one}");
}

#[tokio::test]
async fn writes_that_nobody_acknowledges_are_refused_by_the_name_of_the_option() {
    let Some(mut hub) = Hub::new().await else { return };
    hub.url.push_str("&w=0");
    let error = hub.try_open().await.map(drop).expect_err("refused");
    assert!(matches!(&error, StoreError::Url(why) if why.contains("w=0")), "{error}");
    assert!(hub.shell.list_collection_names().await.expect("listed").is_empty());
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_now_is_a_database_that_is_away() {
    let keys = tempfile::tempdir().expect("a directory");
    let key = mdhub_store::SealingKey::read_or_create(&keys.path().join("secret.key")).expect("a key");
    let url = "mongodb+srv://hub:hunter2@cluster.desk.invalid/desk";
    let opened = tokio::time::timeout(Duration::from_secs(60), mdhub_store::open(url, key)).await.expect("bounded");
    let error = opened.map(drop).expect_err("nobody");
    assert!(matches!(&error, StoreError::Away(why) if why.contains("cluster.desk.invalid")), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
