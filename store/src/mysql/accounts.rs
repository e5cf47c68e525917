//! The table `accounts`, and what tells that it changed.

use mdhub_spec::account::{AccountId, MarketDataAccount, Secret};
use mdhub_spec::ports::{Loaded, StoreError};
use sqlx::mysql::{MySql, MySqlExecutor, MySqlPool, MySqlRow};
use sqlx::{Decode, Row, Type, TypeInfo};
use xxhash_rust::xxh3::Xxh3;

use super::events;
use super::fault::{self, Fault};
use crate::key::SealingKey;
use crate::record::{self, Plain, Read, Record};
use crate::secrets;

/// Reads all accounts, or the one of id `only`; seals what stands there in plain text.
pub(crate) async fn load(
    pool: &MySqlPool,
    key: &SealingKey,
    only: Option<&AccountId>,
    now_ms: i64,
) -> Result<Loaded, Fault> {
    let only = only.map(AccountId::as_str);
    let rows = sqlx::query(
        "SELECT id, gateway, settings, secrets, priority, is_enabled, suspended, restart_generation, generation, \
         description, created_at, updated_at FROM accounts WHERE ? IS NULL OR id = ? ORDER BY id",
    )
    .bind(only)
    .bind(only)
    .fetch_all(pool)
    .await?;
    let mut read = Read::new(key, secrets::sql_recipe);
    for row in &rows {
        read.take(column(row, "id").unwrap_or_else(|_| "(a row without an id)".to_owned()), record(row));
    }
    let (mut loaded, plain) = read.judged()?;
    if only.is_none() {
        loaded.empty_confirmed = settle_confirmation(pool, rows.is_empty()).await?;
    }
    if !plain.is_empty() {
        // The read stands whatever becomes of this: what is not sealed now is sealed by the next one.
        if let Err(error) = seal_in_place(pool, key, &plain, now_ms).await {
            tracing::error!("a plain-text password could not be sealed: {error:?}");
        }
    }
    Ok(loaded)
}

fn record(row: &MySqlRow) -> Result<Record, String> {
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
fn column<'r, T: Decode<'r, MySql> + Type<MySql>>(row: &'r MySqlRow, name: &'static str) -> Result<T, String> {
    match row.try_get::<Option<T>, _>(name) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(format!("{name} is NULL: {} is needed", T::type_info().name())),
        Err(_) => Err(format!("{name} is of another type: {} is needed", T::type_info().name())),
    }
}

/// Whether it is confirmed that there are no accounts. The word holds for the emptiness that it was given for: with the
/// next account it is spent.
async fn settle_confirmation(pool: &MySqlPool, is_empty: bool) -> Result<bool, Fault> {
    let confirmed: i64 = sqlx::query_scalar("SELECT confirmed_empty FROM `schema`").fetch_one(pool).await?;
    let confirmed = confirmed != 0;
    if confirmed && !is_empty {
        sqlx::query("UPDATE `schema` SET confirmed_empty = 0 WHERE EXISTS (SELECT 1 FROM accounts)")
            .execute(pool)
            .await?;
    }
    Ok(confirmed && is_empty)
}

/// Writes down that there are to be no accounts, if there are none.
pub(crate) async fn confirm_empty(connection: impl MySqlExecutor<'_>) -> Result<(), Fault> {
    sqlx::query("UPDATE `schema` SET confirmed_empty = 1 WHERE NOT EXISTS (SELECT 1 FROM accounts)")
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces plain-text secrets that still stand there. Neither `generation` nor `updated_at` moves: nobody changed the
/// account. What the server keeps of the person's own statement (binary log, undo pages) is out of reach from here.
async fn seal_in_place(pool: &MySqlPool, key: &SealingKey, plain: &[Plain], now_ms: i64) -> Result<(), Fault> {
    let mut transaction = pool.begin().await?;
    for row in plain {
        let Plain { account, column } = row;
        // By its letters, whatever the table's character set, and each as it is.
        let same = "BINARY CONVERT(secrets USING utf8mb4) = ?";
        let done = sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE accounts SET secrets = ? WHERE id = ? AND {same}")))
            .bind(secrets::seal(key, &account.id, &account.settings, &account.password)?)
            .bind(account.id.as_str())
            .bind(column.reveal())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() > 0 {
            events::insert(&mut *transaction, &row.sealed_event(now_ms)).await?;
        } else {
            tracing::warn!(account = %account.id, "its plain-text password was changed meanwhile: the next read seals it");
        }
    }
    Ok(transaction.commit().await?)
}

/// Adds an account, at generation 1.
pub(crate) async fn insert(
    pool: &MySqlPool,
    key: &SealingKey,
    mut account: MarketDataAccount,
    now_ms: i64,
) -> Result<MarketDataAccount, Fault> {
    account.generation = 1;
    (account.created_at_ms, account.updated_at_ms) = (now_ms, now_ms);
    let row = record::stored(key, &account)?;
    let done = sqlx::query(
        "INSERT INTO accounts (id, gateway, settings, secrets, priority, is_enabled, suspended, restart_generation, \
         generation, description, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
    .execute(pool)
    .await;
    match done {
        Ok(_) => Ok(account),
        Err(error) if fault::is_duplicate(&error) => Err(StoreError::Taken(account.id).into()),
        Err(error) => Err(error.into()),
    }
}

/// Writes an account over the generation that it was read at.
pub(crate) async fn update(
    pool: &MySqlPool,
    key: &SealingKey,
    mut account: MarketDataAccount,
    now_ms: i64,
) -> Result<MarketDataAccount, Fault> {
    let row = record::stored(key, &account)?;
    // One statement compares and writes; the row that it locks is no other's until it is done.
    let done = sqlx::query(
        "UPDATE accounts SET gateway = ?, settings = ?, secrets = ?, priority = ?, is_enabled = ?, suspended = ?, \
         restart_generation = ?, generation = generation + 1, description = ?, updated_at = ? \
         WHERE id = ? AND generation = ?",
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
    .execute(pool)
    .await?;
    let there: Option<(i64, i64)> = sqlx::query_as("SELECT generation, created_at FROM accounts WHERE id = ?")
        .bind(account.id.as_str())
        .fetch_optional(pool)
        .await?;
    if done.rows_affected() == 0 {
        let found = there.map(|(generation, _)| generation);
        return Err(record::missed(account.id, account.generation, found).into());
    }
    account.generation += 1;
    (account.created_at_ms, account.updated_at_ms) = (there.map_or(account.created_at_ms, |(_, at)| at), now_ms);
    Ok(account)
}

/// Removes an account, if need be only at this `generation`. That of the last one confirms that there are to be none.
pub(crate) async fn delete(pool: &MySqlPool, id: &AccountId, generation: Option<u64>) -> Result<(), Fault> {
    let mut transaction = pool.begin().await?;
    let generation_given = generation.map(record::generation);
    let done = sqlx::query("DELETE FROM accounts WHERE id = ? AND (? IS NULL OR generation = ?)")
        .bind(id.as_str())
        .bind(generation_given)
        .bind(generation_given)
        .execute(&mut *transaction)
        .await?;
    if done.rows_affected() == 0 {
        let Some(given) = generation else { return Err(StoreError::NotFound(id.clone()).into()) };
        let found: Option<i64> = sqlx::query_scalar("SELECT generation FROM accounts WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        return Err(record::missed(id.clone(), given, found).into());
    }
    confirm_empty(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// A hash over everything that the hub reads: an edit by hand need not raise any number to be seen.
pub(crate) async fn revision(pool: &MySqlPool) -> Result<u64, Fault> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT SHA2(CONCAT_WS(CHAR(0), id, gateway, settings, secrets, priority, is_enabled, suspended, \
         restart_generation, generation, description, created_at, updated_at), 256) FROM accounts \
         UNION ALL SELECT CONCAT('confirmed_empty ', confirmed_empty) FROM `schema` ORDER BY 1",
    )
    .fetch_all(pool)
    .await?;
    let mut hash = Xxh3::new();
    rows.iter().for_each(|row| hash.update(row.as_bytes()));
    Ok(hash.digest())
}
