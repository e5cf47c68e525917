//! Collections, their index and validator; whether the database is ours and for this release.
//!
//! Changes only add, as the SQL migrations do: fields that a release does not know it neither reads nor removes.

use mdhub_spec::ports::StoreError;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};

use super::accounts::collection as accounts;
use super::fault::{self, Fault};

fn schema(database: &Database) -> Collection<Document> {
    database.collection("schema")
}

/// What the server itself refuses. Which gateways and settings there are is not among it: that list grows, and a document
/// that the hub does not understand is set aside by name.
fn validator() -> Document {
    let number = doc! {"bsonType": ["int", "long", "double"], "minimum": 0};
    doc! {"$jsonSchema": {
        "bsonType": "object",
        "required": ["id", "gateway", "settings"],
        "properties": {
            "id": {"bsonType": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"},
            "gateway": {"bsonType": "string"},
            "settings": {"bsonType": "object"},
            "secrets": {"bsonType": "object"},
            "priority": {"bsonType": ["int", "long", "double"], "minimum": 1, "maximum": 4_294_967_295_i64},
            "is_enabled": {"bsonType": "bool"},
            "suspended": {"bsonType": "bool"},
            "restart_generation": number.clone(),
            "generation": number,
            "description": {"bsonType": "string"},
            "created_at": {"bsonType": "date"},
            "updated_at": {"bsonType": "date"},
        },
    }}
}

/// Makes what is missing in a new database. Each step may find that another program was first.
pub(crate) async fn prepare(database: &Database) -> Result<(), Fault> {
    let names = database.list_collection_names().await?;
    let has = |name: &str| names.iter().any(|n| n == name);
    let found = if has("schema") { schema(database).find_one(doc! {"_id": 1}).await? } else { None };
    if let Some(found) = found {
        if let Some(missing) = ["accounts", "events"].into_iter().find(|name| !has(name)) {
            return Err(lost(missing).into());
        }
        return Ok(crate::check_reader(whole(found.get("reader_min")))?);
    }
    if let Some(other) = names.iter().find(|n| !["accounts", "events", "schema"].contains(&n.as_str())) {
        return Err(StoreError::Schema(format!(
            "it has collections ({other}), but not the document of a hub in schema: name the database of a hub, or an \
             empty one"
        ))
        .into());
    }
    for made in [
        database.create_collection("accounts").validator(validator()).await,
        database.create_collection("events").await,
    ] {
        made.or_else(|e| if fault::is_there(&e) { Ok(()) } else { Err(e) })?;
    }
    let unique = IndexOptions::builder().unique(true).build();
    accounts(database).create_index(IndexModel::builder().keys(doc! {"id": 1}).options(unique).build()).await?;
    // Last: with it, everything is there.
    schema(database)
        .update_one(doc! {"_id": 1}, doc! {"$setOnInsert": {"reader_min": 1_i64, "confirmed_empty": false}})
        .upsert(true)
        .await?;
    Ok(())
}

fn lost(collection: &str) -> StoreError {
    StoreError::Schema(format!("it has lost the collection {collection}; restore a backup"))
}

/// A whole number, of whatever type a shell gave it.
pub(crate) fn whole(value: Option<&Bson>) -> Option<i64> {
    match *value? {
        Bson::Int32(n) => Some(n.into()),
        Bson::Int64(n) => Some(n),
        // Whole numbers of this size are exact.
        Bson::Double(n) if n.fract() == 0.0 && n.abs() < 9e15 => Some(n as i64),
        _ => None,
    }
}

/// Whether it is confirmed that there are no accounts; an error where the hub's own document is gone, and with it,
/// as likely, the accounts: a dropped collection reads like an empty one.
pub(crate) async fn settle_confirmation(database: &Database, is_empty: bool) -> Result<bool, Fault> {
    let found = schema(database).find_one(doc! {"_id": 1}).await?.ok_or_else(|| lost("schema"))?;
    if is_empty && !database.list_collection_names().await?.iter().any(|name| name == "accounts") {
        return Err(lost("accounts").into());
    }
    let confirmed = found.get_bool("confirmed_empty").unwrap_or(false);
    if confirmed && !is_empty {
        spend(database).await?;
    }
    Ok(confirmed && is_empty)
}

/// The word holds for the emptiness that it was given for: with the next account it is spent.
async fn spend(database: &Database) -> Result<(), Fault> {
    schema(database).update_one(doc! {"_id": 1}, doc! {"$set": {"confirmed_empty": false}}).await?;
    Ok(())
}

/// Writes down that there are to be no accounts, if there are none.
pub(crate) async fn confirm_empty(database: &Database) -> Result<(), Fault> {
    if accounts(database).find_one(doc! {}).await?.is_none() {
        schema(database).update_one(doc! {"_id": 1}, doc! {"$set": {"confirmed_empty": true}}).await?;
    }
    Ok(())
}

/// What of the document counts for the revision.
pub(crate) async fn confirmed(database: &Database) -> Result<bool, Fault> {
    let found = schema(database).find_one(doc! {"_id": 1}).await?.ok_or_else(|| lost("schema"))?;
    Ok(found.get_bool("confirmed_empty").unwrap_or(false))
}
