//! The table `events`.

use mdhub_spec::ports::Event;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use super::fault::Fault;
use crate::retention::{AGE_MS_MAX, KEPT_MAX, PRUNE_EVERY, clipped};

/// Adds an event, and now and then removes the old ones.
pub(crate) async fn append(connection: &mut SqliteConnection, event: &Event, now_ms: i64) -> Result<(), Fault> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let id = insert(&mut transaction, event).await?;
    if id % i64::from(PRUNE_EVERY) == 0 {
        prune(&mut transaction, now_ms).await?;
    }
    Ok(transaction.commit().await?)
}

/// Adds an event within the caller's transaction; returns its number.
pub(crate) async fn insert(connection: &mut SqliteConnection, event: &Event) -> Result<i64, Fault> {
    let done = sqlx::query("INSERT INTO events (at, account, actor, reason, message) VALUES (?, ?, ?, ?, ?)")
        .bind(event.at_ms)
        .bind(event.account.as_ref().map(|id| id.as_str()))
        .bind(clipped(&event.actor))
        .bind(clipped(&event.reason))
        .bind(clipped(&event.message))
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// Removes what is too old or too much.
pub(crate) async fn prune(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), Fault> {
    sqlx::query("DELETE FROM events WHERE at < ?1 OR id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?2)")
        .bind(now_ms.saturating_sub(AGE_MS_MAX))
        .bind(KEPT_MAX - PRUNE_EVERY)
        .execute(connection)
        .await?;
    Ok(())
}

/// The newest events, newest first.
pub(crate) async fn newest(connection: &mut SqliteConnection, limit: u32) -> Result<Vec<Event>, Fault> {
    let rows = sqlx::query("SELECT id, at, account, actor, reason, message FROM events ORDER BY id DESC LIMIT ?")
        .bind(limit.min(KEPT_MAX))
        .fetch_all(connection)
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| event(row).inspect_err(|e| tracing::warn!("an event is left out: {e}")).ok())
        .collect())
}

fn event(row: &SqliteRow) -> sqlx::Result<Event> {
    let account: Option<String> = row.try_get("account")?;
    Ok(Event {
        at_ms: row.try_get("at")?,
        account: account.and_then(|id| id.parse().ok()),
        actor: row.try_get("actor")?,
        reason: row.try_get("reason")?,
        message: row.try_get("message")?,
    })
}
