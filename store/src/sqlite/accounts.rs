//! The table `accounts`.

use mdhub_spec::account::{AccountId, MarketDataAccount, Secret};
use mdhub_spec::ports::{Loaded, StoreError};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Decode, Row, Sqlite, Type, TypeInfo, ValueRef};

use super::events;
use super::fault::Fault;
use crate::key::SealingKey;
use crate::record::{self, Plain, Read, Record};
use crate::secrets;

/// Reads all accounts, or the one of id `only`; seals what stands there in plain text.
pub(crate) async fn load(
    connection: &mut SqliteConnection,
    key: &SealingKey,
    only: Option<&AccountId>,
    now_ms: i64,
) -> Result<Loaded, Fault> {
    let rows = sqlx::query(
        "SELECT rowid, id, gateway, settings, secrets, priority, is_enabled, suspended, restart_generation, \
         generation, description, created_at, updated_at FROM accounts WHERE ?1 IS NULL OR id = ?1 ORDER BY id",
    )
    .bind(only.map(AccountId::as_str))
    .fetch_all(&mut *connection)
    .await?;
    let mut read = Read::new(key, secrets::sql_recipe);
    for row in &rows {
        let number = || column::<i64>(row, "rowid").unwrap_or_default();
        let name = column(row, "id").unwrap_or_else(|_| format!("(row {})", number()));
        read.take(name, record(row));
    }
    let (mut loaded, plain) = read.judged()?;
    if only.is_none() {
        loaded.empty_confirmed = settle_confirmation(connection, rows.is_empty()).await?;
    }
    if !plain.is_empty() {
        // The read stands whatever becomes of this: what is not sealed now is sealed by the next one.
        if let Err(error) = seal_in_place(connection, key, &plain, now_ms).await {
            tracing::error!("a plain-text password could not be sealed: {error:?}");
        }
    }
    Ok(loaded)
}

/// Whether it is confirmed that there are no accounts. The word holds for the emptiness that it was given for: with the
/// next account it is spent.
async fn settle_confirmation(connection: &mut SqliteConnection, is_empty: bool) -> Result<bool, Fault> {
    let confirmed: bool =
        sqlx::query_scalar("SELECT max(confirmed_empty) FROM schema").fetch_one(&mut *connection).await?;
    if confirmed && !is_empty {
        sqlx::query("UPDATE schema SET confirmed_empty = 0 WHERE EXISTS (SELECT 1 FROM accounts)")
            .execute(connection)
            .await?;
    }
    Ok(confirmed && is_empty)
}

/// Writes down that there are to be no accounts, if there are none.
pub(crate) async fn confirm_empty(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query("UPDATE schema SET confirmed_empty = 1 WHERE NOT EXISTS (SELECT 1 FROM accounts)")
        .execute(connection)
        .await?;
    Ok(())
}

fn record(row: &SqliteRow) -> Result<Record, String> {
    Ok(Record {
        id: column(row, "id")?,
        gateway: column(row, "gateway")?,
        settings: column(row, "settings")?,
        secrets: Secret::new(column(row, "secrets")?),
        priority: column(row, "priority")?,
        is_enabled: record::flag("is_enabled", column(row, "is_enabled")?)?,
        suspended: record::flag("suspended", column(row, "suspended")?)?,
        restart_generation: column(row, "restart_generation")?,
        generation: column(row, "generation")?,
        description: column(row, "description")?,
        created_at_ms: column(row, "created_at")?,
        updated_at_ms: column(row, "updated_at")?,
    })
}

/// A column's value; the error names its type, never its content.
fn column<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, name: &'static str) -> Result<T, String> {
    match row.try_get::<Option<T>, _>(name) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(format!("{name} is NULL: {} is needed", T::type_info().name())),
        Err(_) => {
            let found = row.try_get_raw(name).map_or_else(|_| "?".to_owned(), |raw| raw.type_info().name().to_owned());
            Err(format!("{name} is {found}: {} is needed", T::type_info().name()))
        }
    }
}

/// Replaces plain-text secrets that still stand there, and wipes their traces: a rebuilt file has no leftovers between its
/// rows, those of the person's own earlier tries included, and an emptied log none either. Neither `generation` nor
/// `updated_at` moves: nobody changed the account.
async fn seal_in_place(
    connection: &mut SqliteConnection,
    key: &SealingKey,
    plain: &[Plain],
    now_ms: i64,
) -> Result<(), Fault> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for row in plain {
        let Plain { account, column } = row;
        let done = sqlx::query("UPDATE accounts SET secrets = ? WHERE id = ? AND secrets = ?")
            .bind(secrets::seal(key, &account.id, &account.settings, &account.password)?)
            .bind(account.id.as_str())
            .bind(column.reveal())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() > 0 {
            events::insert(&mut transaction, &row.sealed_event(now_ms)).await?;
        }
    }
    transaction.commit().await?;
    // They are sealed by now, whatever becomes of their traces.
    if let Err(error) = sqlx::query("VACUUM").execute(&mut *connection).await {
        tracing::warn!(%error, "traces of a plain-text password may stand between the rows: run VACUUM once there is room");
    }
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
    if busy != 0 {
        tracing::warn!(
            "another program reads the database: until it ends, a plain-text password may stand in the -wal file"
        );
    }
    Ok(())
}

/// Adds an account, at generation 1.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    key: &SealingKey,
    mut account: MarketDataAccount,
    now_ms: i64,
) -> Result<MarketDataAccount, Fault> {
    account.generation = 1;
    (account.created_at_ms, account.updated_at_ms) = (now_ms, now_ms);
    let row = record::stored(key, &account)?;
    let done = sqlx::query(
        "INSERT INTO accounts (id, gateway, settings, secrets, priority, is_enabled, suspended, restart_generation, \
         generation, description, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(row.id)
    .bind(row.gateway)
    .bind(row.settings)
    .bind(row.secrets.reveal())
    .bind(row.priority)
    .bind(row.is_enabled)
    .bind(row.suspended)
    .bind(row.restart_generation)
    .bind(row.generation)
    .bind(row.description)
    .bind(row.created_at_ms)
    .bind(row.updated_at_ms)
    .execute(connection)
    .await?;
    if done.rows_affected() == 0 { Err(StoreError::Taken(account.id).into()) } else { Ok(account) }
}

/// Writes an account over the generation that it was read at.
pub(crate) async fn update(
    connection: &mut SqliteConnection,
    key: &SealingKey,
    mut account: MarketDataAccount,
    now_ms: i64,
) -> Result<MarketDataAccount, Fault> {
    let row = record::stored(key, &account)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let created_at: Option<i64> = sqlx::query_scalar(
        "UPDATE accounts SET gateway = ?, settings = ?, secrets = ?, priority = ?, is_enabled = ?, suspended = ?, \
         restart_generation = ?, generation = generation + 1, description = ?, updated_at = ? \
         WHERE id = ? AND generation = ? RETURNING created_at",
    )
    .bind(row.gateway)
    .bind(row.settings)
    .bind(row.secrets.reveal())
    .bind(row.priority)
    .bind(row.is_enabled)
    .bind(row.suspended)
    .bind(row.restart_generation)
    .bind(row.description)
    .bind(now_ms)
    .bind(row.id)
    .bind(row.generation)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(created_at_ms) = created_at else {
        let found: Option<i64> = sqlx::query_scalar("SELECT generation FROM accounts WHERE id = ?")
            .bind(account.id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        return Err(record::missed(account.id, account.generation, found).into());
    };
    transaction.commit().await?;
    account.generation += 1;
    (account.created_at_ms, account.updated_at_ms) = (created_at_ms, now_ms);
    Ok(account)
}

/// Removes an account, if need be only at this `generation`. That of the last one confirms that there are to be none.
pub(crate) async fn delete(
    connection: &mut SqliteConnection,
    id: &AccountId,
    generation: Option<u64>,
) -> Result<(), Fault> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let done = sqlx::query("DELETE FROM accounts WHERE id = ?1 AND (?2 IS NULL OR generation = ?2)")
        .bind(id.as_str())
        .bind(generation.map(record::generation))
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() == 0 {
        let Some(given) = generation else { return Err(StoreError::NotFound(id.clone()).into()) };
        // Whatever a row that was made by hand has for a number.
        let found: Option<i64> = sqlx::query_scalar("SELECT CAST(generation AS INTEGER) FROM accounts WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        return Err(record::missed(id.clone(), given, found).into());
    }
    confirm_empty(&mut transaction).await?;
    Ok(transaction.commit().await?)
}
