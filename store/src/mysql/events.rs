//! The table `events`.

use mdhub_spec::ports::Event;
use sqlx::Row;
use sqlx::mysql::{MySqlExecutor, MySqlPool, MySqlRow};

use super::fault::Fault;
use crate::retention::{AGE_MS_MAX, KEPT_MAX, PRUNE_EVERY, clipped};

/// Adds an event, and now and then removes the old ones.
pub(crate) async fn append(pool: &MySqlPool, event: &Event, now_ms: i64) -> Result<(), Fault> {
    if insert(pool, event).await? % u64::from(PRUNE_EVERY) == 0 {
        prune(pool, now_ms).await?;
    }
    Ok(())
}

/// Adds an event; returns its number.
pub(crate) async fn insert(connection: impl MySqlExecutor<'_>, event: &Event) -> Result<u64, Fault> {
    let done = sqlx::query("INSERT INTO events (at, account, actor, reason, message) VALUES (?, ?, ?, ?, ?)")
        .bind(event.at_ms)
        .bind(event.account.as_ref().map(|id| id.as_str()))
        .bind(clipped(&event.actor))
        .bind(clipped(&event.reason))
        .bind(clipped(&event.message))
        .execute(connection)
        .await?;
    Ok(done.last_insert_id())
}

/// Removes what is too old or too much.
pub(crate) async fn prune(pool: &MySqlPool, now_ms: i64) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM events WHERE at < ? OR id <= (SELECT id FROM \
         (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?) AS first_too_many)",
    )
    .bind(now_ms.saturating_sub(AGE_MS_MAX))
    .bind(KEPT_MAX - PRUNE_EVERY)
    .execute(pool)
    .await?;
    Ok(())
}

/// The newest events, newest first.
pub(crate) async fn newest(pool: &MySqlPool, limit: u32) -> Result<Vec<Event>, Fault> {
    let rows = sqlx::query("SELECT id, at, account, actor, reason, message FROM events ORDER BY id DESC LIMIT ?")
        .bind(limit.min(KEPT_MAX))
        .fetch_all(pool)
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| event(row).inspect_err(|e| tracing::warn!("an event is left out: {e}")).ok())
        .collect())
}

fn event(row: &MySqlRow) -> sqlx::Result<Event> {
    let account: Option<String> = row.try_get("account")?;
    Ok(Event {
        at_ms: row.try_get("at")?,
        account: account.and_then(|id| id.parse().ok()),
        actor: row.try_get("actor")?,
        reason: row.try_get("reason")?,
        message: row.try_get("message")?,
    })
}
