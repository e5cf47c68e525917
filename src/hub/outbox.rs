//! Events on their way to the database. It may be away: then they wait, a bounded number of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mdhub_spec::account::AccountId;
use mdhub_spec::ports::{AccountStore, Event, StoreError};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::{clock, logging};

/// Events that may wait for the database.
const EVENTS_WAITING_MAX: usize = 4_096;

/// Events that may wait for one who follows.
const EVENTS_FOLLOWED_MAX: usize = 1_024;

/// From one try to the next while the database is away: at first, and at most.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// At the hub's end, the time that is left for what still waits.
const CLOSING: Duration = Duration::from_secs(2);

/// What became of the events.
#[derive(Debug, Default)]
struct Counts {
    /// Found the outbox full, or were refused by the database for good.
    dropped: AtomicU64,
    /// Taken, and not yet written.
    waiting: AtomicU64,
}

/// Takes events; never waits.
#[derive(Clone)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<Event>,
    live: broadcast::Sender<Event>,
    counts: Arc<Counts>,
    writer: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

/// Starts the task that writes to `store`.
pub(crate) fn start(store: Arc<dyn AccountStore>) -> Outbox {
    let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
    let counts = Arc::<Counts>::default();
    let writer = tokio::spawn(write(store, receiver, counts.clone()));
    let live = broadcast::Sender::new(EVENTS_FOLLOWED_MAX);
    Outbox { sender, live, counts, writer: Arc::new(tokio::sync::Mutex::new(Some(writer))) }
}

/// Writes one event after the other. While the database is away they wait; one that it refuses for good would hold up all
/// the others, and is dropped.
async fn write(store: Arc<dyn AccountStore>, mut receiver: mpsc::Receiver<Event>, counts: Arc<Counts>) {
    // The hub's own few.
    let mut refused_reasons = BTreeSet::new();
    while let Some(event) = receiver.recv().await {
        let (mut told, mut pause) = (false, RETRY_MIN);
        while let Err(e) = store.append_event(event.clone()).await {
            if is_for_good(&e) {
                counts.dropped.fetch_add(1, Ordering::Relaxed);
                if refused_reasons.insert(event.reason.clone()) {
                    warn!(reason = event.reason, error = %e, "the database refuses an event for good; it is dropped");
                }
                break;
            }
            if !told {
                warn!(error = %e, "events wait for the database");
                told = true;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
        counts.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether it is in vain to send the same event again.
fn is_for_good(error: &StoreError) -> bool {
    match error {
        StoreError::Away(_) | StoreError::Url(_) | StoreError::Key(_) | StoreError::Schema(_) => false,
        StoreError::Refused(_)
        | StoreError::Invalid { .. }
        | StoreError::NotFound(_)
        | StoreError::Taken(_)
        | StoreError::Stale { .. } => true,
    }
}

impl Outbox {
    /// Writes down something that the hub did or saw.
    pub(crate) fn hub_event(&self, account: Option<&AccountId>, reason: &str, message: String) {
        let (at_ms, message) = (clock::now().wall_ms(), logging::SECRETS.hidden(&message));
        let event = Event { at_ms, account: account.cloned(), actor: "hub".into(), reason: reason.into(), message };
        // Where nobody follows, nobody is told.
        let _ = self.live.send(event.clone());
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        if self.sender.try_send(event).is_err() {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events as they happen, whether or not the database takes them.
    pub(crate) fn live(&self) -> broadcast::Sender<Event> {
        self.live.clone()
    }

    /// Events that found the outbox full, or that the database refused for good.
    pub(crate) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Lets what waits be written, for a short while.
    pub(crate) async fn close(&self) {
        let deadline = tokio::time::Instant::now() + CLOSING;
        // The queue is empty before its last event is written: what counts is what is written.
        while self.counts.waiting.load(Ordering::Relaxed) > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let lost = self.counts.waiting.load(Ordering::Relaxed);
        if lost > 0 {
            warn!(lost, "the database did not take the last events; they are lost");
        }
        if let Some(writer) = self.writer.lock().await.take() {
            writer.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use mdhub_store::SealingKey;

    use super::*;

    #[tokio::test]
    async fn the_last_event_is_written_before_the_hub_ends() {
        let temp = tempfile::tempdir().expect("a directory");
        let key = SealingKey::read_or_create(&temp.path().join("key")).expect("a key");
        let url = format!("sqlite://{}", temp.path().join("mdhub.db").display());
        let store = mdhub_store::open(&url, key).await.expect("opens");
        let outbox = start(store.clone());
        outbox.hub_event(None, "Last", String::new());
        // The writer takes it off the queue and waits for the disk.
        tokio::task::yield_now().await;
        outbox.close().await;
        let events = store.events(10).await.expect("read");
        assert_eq!(events.iter().map(|e| e.reason.as_str()).collect::<Vec<_>>(), ["Last"]);
    }
}
