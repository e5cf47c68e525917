//! The table `accounts`.

use mdhub_spec::account::{AccountId, AccountSettings, MarketDataAccount, Secret};
use mdhub_spec::ports::{Event, Loaded, SetAside, StoreError};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Decode, Row, Sqlite, Type, TypeInfo, ValueRef};

use super::events;
use super::fault::Fault;
use crate::key::SealingKey;
use crate::secrets::{self, Unusable};

/// A row whose secret stands there in plain text, and the text as it stands.
struct Plain {
    account: MarketDataAccount,
    column: Secret,
}

/// One whole read.
#[derive(Default)]
struct Read {
    loaded: Loaded,
    plain: Vec<Plain>,
    /// Rows whose secret opened with the key.
    opened: usize,
    /// Rows whose secret needs another key, and which.
    foreign: Vec<(String, String)>,
}

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
    let mut read = Read::default();
    for row in &rows {
        read.take(row, key);
    }
    let loaded = read.judged(key)?;
    if !read.plain.is_empty() {
        // The read stands whatever becomes of this: what is not sealed now is sealed by the next one.
        if let Err(error) = seal_in_place(connection, key, &read.plain, now_ms).await {
            tracing::error!("a plain-text password could not be sealed: {error:?}");
        }
    }
    Ok(loaded)
}

impl Read {
    fn take(&mut self, row: &SqliteRow, key: &SealingKey) {
        let id: Result<String, String> = column(row, "id");
        let id = match id {
            Ok(id) => id,
            Err(why) => {
                let number: i64 = column(row, "rowid").unwrap_or_default();
                return self.loaded.set_aside.push(SetAside { id: format!("(row {number})"), why });
            }
        };
        match account(row, &id, key) {
            Ok((account, secret)) => {
                self.opened += usize::from(secret.was_sealed);
                if let Some(column) = secret.plain {
                    self.plain.push(Plain { account: account.clone(), column });
                }
                self.loaded.accounts.push(account);
            }
            Err(Unusable::Wrong(why)) => self.loaded.set_aside.push(SetAside { id, why }),
            Err(Unusable::OtherKey(key_id)) => self.foreign.push((id, key_id)),
        }
    }

    /// A key that opens nothing of what is sealed is the wrong key: nothing is started with it. Single rows of another
    /// key (copied here by hand) are set aside.
    fn judged(&mut self, key: &SealingKey) -> Result<Loaded, StoreError> {
        if let (0, Some((id, key_id))) = (self.opened, self.foreign.first()) {
            return Err(StoreError::Key(format!(
                "account {id} was sealed by key {key_id}, and the key given is {}: give the key file that belongs to \
                 this database",
                key.id()
            )));
        }
        for (id, key_id) in self.foreign.drain(..) {
            let hint = id.parse().map(|id| secrets::how_to_write(&id)).unwrap_or_default();
            let why = format!("secrets: sealed by key {key_id}, and the key given is {}; {hint}", key.id());
            self.loaded.set_aside.push(SetAside { id, why });
        }
        Ok(std::mem::take(&mut self.loaded))
    }
}

/// How a row's secret was found.
struct Found {
    was_sealed: bool,
    /// The whole column, when there is plain text in it.
    plain: Option<Secret>,
}

fn account(row: &SqliteRow, id: &str, key: &SealingKey) -> Result<(MarketDataAccount, Found), Unusable> {
    let wrong = |e: mdhub_spec::account::AccountError| Unusable::Wrong(e.to_string());
    let id: AccountId = id.parse().map_err(wrong)?;
    let gateway: String = column(row, "gateway").map_err(Unusable::Wrong)?;
    let settings: String = column(row, "settings").map_err(Unusable::Wrong)?;
    let settings = AccountSettings::from_json(&settings).map_err(wrong)?;
    let mut account = MarketDataAccount {
        gateway: gateway.parse().map_err(wrong)?,
        password: Secret::default(),
        priority: number(row, "priority", 1, u32::MAX)?,
        is_enabled: flag(row, "is_enabled")?,
        suspended: flag(row, "suspended")?,
        restart_generation: number(row, "restart_generation", 0, i64::MAX as u64)?,
        generation: number(row, "generation", 0, i64::MAX as u64)?,
        description: column(row, "description").map_err(Unusable::Wrong)?,
        created_at_ms: column(row, "created_at").map_err(Unusable::Wrong)?,
        updated_at_ms: column(row, "updated_at").map_err(Unusable::Wrong)?,
        id,
        settings,
    };
    let json = Secret::new(column(row, "secrets").map_err(Unusable::Wrong)?);
    let opened = secrets::open(key, &account.id, &account.settings, json.reveal())?;
    account.password = opened.password;
    account.check().map_err(wrong)?;
    Ok((account, Found { was_sealed: opened.was_sealed, plain: opened.was_plain.then_some(json) }))
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

fn number<T: TryFrom<i64> + TryInto<i64> + std::fmt::Display + Copy>(
    row: &SqliteRow,
    name: &'static str,
    min: T,
    max: T,
) -> Result<T, Unusable> {
    let given: i64 = column(row, name).map_err(Unusable::Wrong)?;
    let least = min.try_into().unwrap_or(i64::MIN);
    T::try_from(given)
        .ok()
        .filter(|_| given >= least)
        .ok_or_else(|| Unusable::Wrong(format!("{name} is {given}: allowed are {min} to {max}")))
}

fn flag(row: &SqliteRow, name: &'static str) -> Result<bool, Unusable> {
    match column::<i64>(row, name).map_err(Unusable::Wrong)? {
        0 => Ok(false),
        1 => Ok(true),
        given => Err(Unusable::Wrong(format!("{name} is {given}: allowed are 0 and 1"))),
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
    for Plain { account, column } in plain {
        let done = sqlx::query("UPDATE accounts SET secrets = ? WHERE id = ? AND secrets = ?")
            .bind(secrets::seal(key, &account.id, &account.settings, &account.password)?)
            .bind(account.id.as_str())
            .bind(column.reveal())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() > 0 {
            let event = Event {
                at_ms: now_ms,
                account: Some(account.id.clone()),
                actor: "hub".into(),
                reason: "SecretSealed".into(),
                message: format!("account {}: the plain-text password in its row was sealed", account.id),
            };
            events::insert(&mut transaction, &event).await?;
        }
    }
    transaction.commit().await?;
    sqlx::query("VACUUM").execute(&mut *connection).await?;
    let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await?;
    if busy != 0 {
        tracing::warn!(
            "another program reads the database: until it ends, a plain-text password may stand in the -wal file"
        );
    }
    Ok(())
}

fn checked(account: &MarketDataAccount) -> Result<(i64, i64), StoreError> {
    let refuse = |why: String| StoreError::Invalid { id: account.id.to_string(), why };
    account.check().map_err(|e| refuse(e.to_string()))?;
    if account.priority == 0 {
        return Err(refuse(format!("priority is 0: allowed are 1 to {}", u32::MAX)));
    }
    let number = |name: &str, value: u64| {
        i64::try_from(value).map_err(|_| refuse(format!("{name} is {value}: allowed are 0 to {}", i64::MAX)))
    };
    Ok((number("restart_generation", account.restart_generation)?, number("generation", account.generation)?))
}

fn settings_json(account: &MarketDataAccount) -> Result<String, StoreError> {
    serde_json::to_string(&account.settings)
        .map_err(|e| StoreError::Invalid { id: account.id.to_string(), why: format!("settings: {e}") })
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
    let (restart_generation, generation) = checked(&account)?;
    let done = sqlx::query(
        "INSERT INTO accounts (id, gateway, settings, secrets, priority, is_enabled, suspended, restart_generation, \
         generation, description, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(account.id.as_str())
    .bind(account.gateway.as_str())
    .bind(settings_json(&account)?)
    .bind(secrets::seal(key, &account.id, &account.settings, &account.password)?)
    .bind(account.priority)
    .bind(account.is_enabled)
    .bind(account.suspended)
    .bind(restart_generation)
    .bind(generation)
    .bind(account.description.as_str())
    .bind(account.created_at_ms)
    .bind(account.updated_at_ms)
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
    let (restart_generation, generation) = checked(&account)?;
    let settings = settings_json(&account)?;
    let secrets = secrets::seal(key, &account.id, &account.settings, &account.password)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let created_at: Option<i64> = sqlx::query_scalar(
        "UPDATE accounts SET gateway = ?, settings = ?, secrets = ?, priority = ?, is_enabled = ?, suspended = ?, \
         restart_generation = ?, generation = generation + 1, description = ?, updated_at = ? \
         WHERE id = ? AND generation = ? RETURNING created_at",
    )
    .bind(account.gateway.as_str())
    .bind(settings)
    .bind(secrets)
    .bind(account.priority)
    .bind(account.is_enabled)
    .bind(account.suspended)
    .bind(restart_generation)
    .bind(account.description.as_str())
    .bind(now_ms)
    .bind(account.id.as_str())
    .bind(generation)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(created_at_ms) = created_at else {
        let found: Option<i64> = sqlx::query_scalar("SELECT generation FROM accounts WHERE id = ?")
            .bind(account.id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
        return Err(Fault::Refused(match found {
            None => StoreError::NotFound(account.id),
            Some(found) => StoreError::Stale {
                given: account.generation,
                found: u64::try_from(found).unwrap_or_default(),
                id: account.id,
            },
        }));
    };
    transaction.commit().await?;
    account.generation += 1;
    (account.created_at_ms, account.updated_at_ms) = (created_at_ms, now_ms);
    Ok(account)
}

/// Removes an account.
pub(crate) async fn delete(connection: &mut SqliteConnection, id: &AccountId) -> Result<(), Fault> {
    let done = sqlx::query("DELETE FROM accounts WHERE id = ?").bind(id.as_str()).execute(connection).await?;
    if done.rows_affected() == 0 { Err(StoreError::NotFound(id.clone()).into()) } else { Ok(()) }
}
