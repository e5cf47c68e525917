//! The collection `events`. An event's `_id` is the server's; the order is that of writing.

use std::sync::atomic::{AtomicU32, Ordering};

use mdhub_spec::ports::Event;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Collection, Database};

use super::fault::Fault;
use crate::retention::{AGE_MS_MAX, KEPT_MAX, PRUNE_EVERY, clipped};

/// Appends of this process, for the pace of pruning.
static APPENDS: AtomicU32 = AtomicU32::new(0);

fn collection(database: &Database) -> Collection<Document> {
    database.collection("events")
}

/// Adds an event, and now and then removes the old ones. The driver's ids rise with the second and, within one process,
/// with every document.
pub(crate) async fn append(database: &Database, event: &Event, now_ms: i64) -> Result<(), Fault> {
    collection(database)
        .insert_one(doc! {
            "at": DateTime::from_millis(event.at_ms),
            "account": event.account.as_ref().map(|id| id.as_str()),
            "actor": clipped(&event.actor),
            "reason": clipped(&event.reason),
            "message": clipped(&event.message),
        })
        .await?;
    if APPENDS.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
        prune(database, now_ms).await?;
    }
    Ok(())
}

/// Removes what is too old or too much.
pub(crate) async fn prune(database: &Database, now_ms: i64) -> Result<(), Fault> {
    let events = collection(database);
    events.delete_many(doc! {"at": {"$lt": DateTime::from_millis(now_ms.saturating_sub(AGE_MS_MAX))}}).await?;
    let kept = u64::from(KEPT_MAX - PRUNE_EVERY);
    if let Some(last) = events.find_one(doc! {}).sort(doc! {"_id": -1}).skip(kept).await?
        && let Some(id) = last.get("_id")
    {
        events.delete_many(doc! {"_id": {"$lte": id}}).await?;
    }
    Ok(())
}

/// The newest events, newest first.
pub(crate) async fn newest(database: &Database, limit: u32) -> Result<Vec<Event>, Fault> {
    if limit == 0 {
        // To the server, no limit.
        return Ok(Vec::new());
    }
    let mut cursor =
        collection(database).find(doc! {}).sort(doc! {"_id": -1}).limit(limit.min(KEPT_MAX).into()).await?;
    let mut events = Vec::new();
    while cursor.advance().await? {
        match Document::try_from(cursor.current()).and_then(|document| event(&document)) {
            Ok(event) => events.push(event),
            Err(error) => tracing::warn!("an event is left out: {error}"),
        }
    }
    Ok(events)
}

fn event(document: &Document) -> mongodb::bson::error::Result<Event> {
    let text = |name| document.get_str(name).map(str::to_owned);
    Ok(Event {
        at_ms: document.get_datetime("at")?.timestamp_millis(),
        account: document.get_str("account").ok().and_then(|id| id.parse().ok()),
        actor: text("actor")?,
        reason: text("reason")?,
        message: text("message")?,
    })
}
