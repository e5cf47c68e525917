//! The collection `accounts`, and what tells that it changed.

use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::ports::{Loaded, StoreError};
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use xxhash_rust::xxh3::Xxh3;

use super::fault::{self, Fault};
use super::{document, events, schema};
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
    // Known before the accounts are read: a word that is given meanwhile is about what comes after them.
    let word = schema::word(database).await?;
    let filter = only.map_or_else(Document::new, |id| doc! {"id": id.as_str()});
    let mut cursor = collection(database).find(filter).sort(doc! {"id": 1}).await?;
    let mut documents = Vec::new();
    while cursor.advance().await? {
        let raw = cursor.current();
        documents.push((document::name(raw), document::record(raw)));
    }
    let is_empty = documents.is_empty();
    let mut read = Read::new(key, secrets::mongo_recipe);
    for (name, record) in document::one_each(documents) {
        read.take(name, record);
    }
    let (mut loaded, plain) = read.judged()?;
    if only.is_none() {
        loaded.empty_confirmed = schema::settle_confirmation(database, &word, is_empty).await?;
    }
    for row in &plain {
        // The read stands whatever becomes of this: what is not sealed now is sealed by the next one.
        if let Err(error) = seal_in_place(database, key, row, now_ms).await {
            tracing::error!("a plain-text password could not be sealed: {error:?}");
        }
    }
    Ok(loaded)
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
        "generation": row.generation,
        "created_at": DateTime::from_millis(now_ms),
    };
    document.extend(fields(&row)?);
    // A write to a dropped database would make a new one, without validator and index.
    let word = schema::word(database).await?;
    // A collection made by hand may have no unique index, since its documents share ids.
    let added =
        collection(database).update_one(doc! {"id": &row.id}, doc! {"$setOnInsert": document}).upsert(true).await;
    match added {
        Ok(done) if done.upserted_id.is_none() => Err(StoreError::Taken(account.id).into()),
        Ok(_) => {
            schema::spend(database, &word).await?;
            Ok(account)
        }
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
    let generation = at(row.generation);
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
        return Err(record::missed(account.id, account.generation, found.as_ref().map(generation_of)).into());
    };
    account.generation += 1;
    if let Ok(created_at) = written.get_datetime("created_at") {
        account.created_at_ms = created_at.timestamp_millis();
    }
    Ok(account)
}

/// A document at this generation. One made by hand may have none yet, and was read as 0.
fn at(generation: i64) -> Document {
    if generation == 0 {
        doc! {"$in": [0, Bson::Null]}
    } else {
        doc! {"$eq": generation}
    }
}

fn generation_of(document: &Document) -> i64 {
    schema::whole(document.get("generation")).unwrap_or_default()
}

/// Removes an account, if need be only at this `generation`. That of the last one confirms that there are to be none.
pub(crate) async fn delete(database: &Database, id: &AccountId, generation: Option<u64>) -> Result<(), Fault> {
    let mut wanted = doc! {"id": id.as_str()};
    if let Some(generation) = generation {
        wanted.insert("generation", at(record::generation(generation)));
    }
    let done = collection(database).delete_many(wanted).await?;
    if done.deleted_count == 0 {
        let Some(given) = generation else { return Err(StoreError::NotFound(id.clone()).into()) };
        let found = collection(database).find_one(doc! {"id": id.as_str()}).await?;
        let found = found.as_ref().map(generation_of);
        return Err(record::missed(id.clone(), given, found).into());
    }
    schema::confirm_empty(database).await
}

/// A hash over everything that is stored of accounts: an edit by hand need not raise any number to be seen.
pub(crate) async fn revision(database: &Database) -> Result<u64, Fault> {
    let mut hash = Xxh3::new();
    hash.update(&[u8::from(schema::word(database).await?.is_given)]);
    let raw = collection(database).clone_with_type::<RawDocumentBuf>();
    let mut cursor = raw.find(doc! {}).sort(doc! {"id": 1}).await?;
    while cursor.advance().await? {
        hash.update(cursor.current().as_bytes());
    }
    Ok(hash.digest())
}
