//! The word that there are to be no accounts, while several hubs and shells come and go.

use std::time::Duration;

use mongodb::bson::doc;
use tokio::sync::watch;

use super::{Hub, account, written};

const ROUNDS: u32 = 25;

/// So many that a hub is still at them when the word is given.
const ACCOUNTS: u32 = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_word_given_while_another_hub_reads_is_not_lost() {
    let Some(hub) = Hub::new().await else { return };
    let (writer, reader) = (hub.open().await, hub.open().await);
    let (told, mut reads) = watch::channel((0, 0));
    let reading = tokio::spawn(async move {
        while !told.is_closed() {
            let full = !reader.load().await.expect("loaded").accounts.is_empty();
            told.send_modify(|(all, met)| (*all, *met) = (*all + 1, *met + u32::from(full)));
        }
    });
    let accounts: Vec<_> = (0..ACCOUNTS).map(|n| written(&format!("a{n}"))).collect();
    for round in 0..ROUNDS {
        hub.accounts().insert_many(&accounts).await.expect("added");
        let met = reads.borrow().1;
        reads.wait_for(|now| now.1 > met).await.expect("it reads them");
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 2)).await;
        hub.accounts().delete_many(doc! {}).await.expect("emptied");
        writer.confirm_empty().await.expect("confirmed");
        // What was under way when the word was given has ended by then.
        let all = reads.borrow().0;
        reads.wait_for(|now| now.0 > all + 1).await.expect("it reads on");
        assert!(writer.load().await.expect("loaded").empty_confirmed, "round {round}: the word was lost");
    }
    drop(reads);
    reading.await.expect("ended");
}

#[tokio::test]
async fn a_word_holds_for_the_emptiness_that_it_was_given_for_even_if_nobody_read_in_between() {
    let Some(hub) = Hub::new().await else { return };
    let store = hub.open().await;
    store.confirm_empty().await.expect("confirmed");
    store.insert(account("ctp-main")).await.expect("inserted");
    hub.accounts().delete_many(doc! {}).await.expect("emptied");
    assert!(!store.load().await.expect("loaded").empty_confirmed);
}
