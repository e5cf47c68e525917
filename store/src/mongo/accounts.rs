//! The collection `accounts`, and what tells that it changed.

use mdhub_spec::account::{AccountId, MarketDataAccount, Secret};
use mdhub_spec::ports::{Loaded, StoreError};
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use xxhash_rust::xxh3::Xxh3;

use super::fault::{self, Fault};
use super::{events, schema};
use crate::key::SealingKey;
use crate::record::{self, Plain, Read, Record};
use crate::secrets;

pub(crate) fn collection(database: &Database) -> Collection<Document> {
    database.collection("accounts")
}

/// Reads all accounts, or the one of id `only`; seals what stands there in plain text.
pub(crate) async fn load(
    database: &Database,
    key: &SealingKey,
    only: Option<&AccountId>,
    now_ms: i64,
) -> Result<Loaded, Fault> {
    let filter = only.map_or_else(Document::new, |id| doc! {"id": id.as_str()});
    let mut cursor = collection(database).find(filter).sort(doc! {"id": 1}).await?;
    let mut read = Read::new(key, secrets::mongo_recipe);
    let mut rows = 0_usize;
    while cursor.advance().await? {
        let document = Document::try_from(cursor.current())?;
        let name = document.get_str("id").map_or_else(|_| "(a document without an id)".to_owned(), str::to_owned);
        read.take(name, record(&document));
        rows += 1;
    }
    let (mut loaded, plain) = read.judged()?;
    if only.is_none() {
        loaded.empty_confirmed = schema::settle_confirmation(database, rows == 0).await?;
    }
    for row in &plain {
        // The read stands whatever becomes of this: what is not sealed now is sealed by the next one.
        if let Err(error) = seal_in_place(database, key, row, now_ms).await {
            tracing::error!("a plain-text password could not be sealed: {error:?}");
        }
    }
    Ok(loaded)
}

/// A document made by hand may leave out what has a default.
fn record(document: &Document) -> Result<Record, String> {
    let made_at = document.get_object_id("_id").map_or(0, |id| id.timestamp().timestamp_millis());
    Ok(Record {
        id: text(document, "id", None)?,
        gateway: text(document, "gateway", None)?,
        settings: json(document, "settings", None)?,
        secrets: Secret::new(json(document, "secrets", Some("{}"))?),
        priority: number(document, "priority", 1)?,
        is_enabled: flag(document, "is_enabled", true)?,
        suspended: flag(document, "suspended", false)?,
        restart_generation: number(document, "restart_generation", 0)?,
        generation: number(document, "generation", 0)?,
        description: text(document, "description", Some(""))?,
        created_at_ms: time(document, "created_at", made_at)?,
        updated_at_ms: time(document, "updated_at", made_at)?,
    })
}

/// Names the type of what was found, never its content.
fn refused(name: &str, found: Option<&Bson>, needed: &str) -> String {
    match found {
        None => format!("{name} is missing: {needed} is needed"),
        Some(found) => format!("{name} is {:?}: {needed} is needed", found.element_type()),
    }
}

fn text(document: &Document, name: &str, default: Option<&str>) -> Result<String, String> {
    match (document.get(name), default) {
        (Some(Bson::String(text)), _) => Ok(text.clone()),
        (None, Some(default)) => Ok(default.to_owned()),
        (found, _) => Err(refused(name, found, "a string")),
    }
}

fn json(document: &Document, name: &str, default: Option<&str>) -> Result<String, String> {
    match (document.get(name), default) {
        (Some(Bson::Document(inner)), _) => serde_json::to_string(inner).map_err(|e| format!("{name}: {e}")),
        (None, Some(default)) => Ok(default.to_owned()),
        (found, _) => Err(refused(name, found, "a document")),
    }
}

fn number(document: &Document, name: &str, default: i64) -> Result<i64, String> {
    match document.get(name) {
        None => Ok(default),
        found => schema::whole(found).ok_or_else(|| refused(name, found, "a whole number")),
    }
}

fn flag(document: &Document, name: &str, default: bool) -> Result<bool, String> {
    match document.get(name) {
        None => Ok(default),
        Some(Bson::Boolean(flag)) => Ok(*flag),
        found => Err(refused(name, found, "true or false")),
    }
}

fn time(document: &Document, name: &str, default: i64) -> Result<i64, String> {
    match document.get(name) {
        None => Ok(default),
        Some(Bson::DateTime(time)) => Ok(time.timestamp_millis()),
        found => Err(refused(name, found, "a date")),
    }
}

/// Replaces a plain-text secret that still stands there. Neither `generation` nor `updated_at` moves: nobody changed the
/// account. What the server keeps of the person's own statement (oplog, journal) is out of reach from here.
async fn seal_in_place(database: &Database, key: &SealingKey, row: &Plain, now_ms: i64) -> Result<(), Fault> {
    let Plain { account, column } = row;
    let sealed = inner(&secrets::seal(key, &account.id, &account.settings, &account.password)?)?;
    let filter = doc! {"id": account.id.as_str(), "secrets": inner(column.reveal())?};
    let done = collection(database).update_one(filter, doc! {"$set": {"secrets": sealed}}).await?;
    if done.modified_count > 0 {
        events::append(database, &row.sealed_event(now_ms), now_ms).await?;
    }
    Ok(())
}

fn inner(json: &str) -> Result<Document, Fault> {
    // serde's own message would quote a value.
    serde_json::from_str(json).map_err(|_| Fault::Refused(StoreError::Schema("a document is no JSON object".into())))
}

/// What every write sets.
fn fields(row: &Record) -> Result<Document, Fault> {
    Ok(doc! {
        "gateway": &row.gateway,
        "settings": inner(&row.settings)?,
        "secrets": inner(row.secrets.reveal())?,
        "priority": row.priority,
        "is_enabled": row.is_enabled,
        "suspended": row.suspended,
        "restart_generation": row.restart_generation,
        "description": &row.description,
        "updated_at": DateTime::from_millis(row.updated_at_ms),
    })
}

/// Adds an account, at generation 1.
pub(crate) async fn insert(
    database: &Database,
    key: &SealingKey,
    mut account: MarketDataAccount,
    now_ms: i64,
) -> Result<MarketDataAccount, Fault> {
    account.generation = 1;
    (account.created_at_ms, account.updated_at_ms) = (now_ms, now_ms);
    let row = record::stored(key, &account)?;
    let mut document = doc! {
        "id": &row.id,
        "generation": row.generation,
        "created_at": DateTime::from_millis(now_ms),
    };
    document.extend(fields(&row)?);
    // A write to a dropped database would make a new one, without validator and index.
    schema::confirmed(database).await?;
    match collection(database).insert_one(document).await {
        Ok(_) => Ok(account),
        Err(error) if fault::is_duplicate(&error) => Err(StoreError::Taken(account.id).into()),
        Err(error) => Err(error.into()),
    }
}

/// Writes an account over the generation that it was read at. Fields that this release does not know stay.
pub(crate) async fn update(
    database: &Database,
    key: &SealingKey,
    mut account: MarketDataAccount,
    now_ms: i64,
) -> Result<MarketDataAccount, Fault> {
    account.updated_at_ms = now_ms;
    let row = record::stored(key, &account)?;
    // A document made by hand may have none yet, and was read as 0.
    let generation = if row.generation == 0 {
        doc! {"$in": [0, Bson::Null]}
    } else {
        doc! {"$eq": row.generation}
    };
    let written = collection(database)
        .find_one_and_update(
            doc! {"id": &row.id, "generation": generation},
            doc! {"$set": fields(&row)?, "$inc": {"generation": 1_i64}},
        )
        .projection(doc! {"created_at": 1})
        .return_document(ReturnDocument::After)
        .await?;
    let Some(written) = written else {
        let found = collection(database).find_one(doc! {"id": &row.id}).await?;
        return Err(
            record::missed(account, found.map(|d| schema::whole(d.get("generation")).unwrap_or_default())).into()
        );
    };
    account.generation += 1;
    if let Ok(created_at) = written.get_datetime("created_at") {
        account.created_at_ms = created_at.timestamp_millis();
    }
    Ok(account)
}

/// Removes an account. That of the last one confirms that there are to be none.
pub(crate) async fn delete(database: &Database, id: &AccountId) -> Result<(), Fault> {
    let done = collection(database).delete_one(doc! {"id": id.as_str()}).await?;
    if done.deleted_count == 0 {
        return Err(StoreError::NotFound(id.clone()).into());
    }
    schema::confirm_empty(database).await
}

/// A hash over everything that is stored of accounts: an edit by hand need not raise any number to be seen.
pub(crate) async fn revision(database: &Database) -> Result<u64, Fault> {
    let mut hash = Xxh3::new();
    hash.update(&[u8::from(schema::confirmed(database).await?)]);
    let raw = collection(database).clone_with_type::<RawDocumentBuf>();
    let mut cursor = raw.find(doc! {}).sort(doc! {"id": 1}).await?;
    while cursor.advance().await? {
        hash.update(cursor.current().as_bytes());
    }
    Ok(hash.digest())
}
