//! A server that is killed in the midst of writes: what was acknowledged is there, and nothing is torn.

use mdhub_spec::account::MarketDataAccount;
use mdhub_store::SealingKey;

use super::servers::{self, Server};
use super::{account, directory, id};

/// Acknowledged edits before the kill.
const EDITS_MIN: u64 = 200;

async fn killed_while_writing(server: &Server, url: &str) {
    let keys = directory();
    let key = || SealingKey::read_or_create(&keys.path().join("secret.key")).expect("a key");
    let store = mdhub_store::open(url, key()).await.expect("opened");
    let first = MarketDataAccount { restart_generation: 0, ..account("ctp-main") };
    let mut last = store.insert(first).await.expect("inserted");
    let (told, mut written) = tokio::sync::watch::channel(0);
    let writer = tokio::spawn(async move {
        loop {
            let next = MarketDataAccount { restart_generation: last.restart_generation + 1, ..last.clone() };
            match store.update(next).await {
                Ok(done) => last = done,
                Err(_) => return (last, store),
            }
            let _ = told.send(last.restart_generation);
        }
    });
    written.wait_for(|edits| *edits >= EDITS_MIN).await.expect("edits");
    server.tell("kill");
    let (last, store) = writer.await.expect("ended by an error");
    assert!(store.load().await.is_err(), "a failed read is no empty list");
    server.tell("start");
    let read = mdhub_store::open(url, key()).await.expect("opened").get(&id("ctp-main")).await.expect("whole");
    // The one that was under way may have been written without an answer.
    let lost = read.generation - last.generation;
    assert!(lost <= 1, "{} was acknowledged, {} is there", last.generation, read.generation);
    assert_eq!(read.restart_generation + 1, read.generation);
    assert_eq!(read.password, last.password);
    assert_eq!(store.get(&id("ctp-main")).await.expect("the old handle finds it again"), read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_killed_while_writing_has_what_was_acknowledged() {
    let Some(server) = Server::start("mariadb") else { return servers::skip("MariaDB") };
    let url = servers::mariadb_database(server.port).await;
    killed_while_writing(&server, &url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongod_killed_while_writing_has_what_was_acknowledged() {
    let Some(server) = Server::start("mongod") else { return servers::skip("mongod") };
    servers::initiate(server.port).await;
    let url = format!("mongodb://127.0.0.1:{}/crash?replicaSet=rs0", server.port);
    killed_while_writing(&server, &url).await;
}
