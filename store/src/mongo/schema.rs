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

/// Makes what is missing. Each step may find that another program was first.
pub(crate) async fn prepare(database: &Database) -> Result<(), Fault> {
    let names = database.list_collection_names().await?;
    let has = |name: &str| names.iter().any(|n| n == name);
    let found = if has("schema") { schema(database).find_one(doc! {"_id": 1}).await? } else { None };
    if let Some(found) = &found {
        crate::check_reader(whole(found.get("reader_min")))?;
        if !has("accounts") {
            tracing::warn!("the collection accounts is gone and is made again, empty");
        }
    } else if let Some(other) = names.iter().find(|n| !["accounts", "events", "schema"].contains(&n.as_str())) {
        return Err(StoreError::Schema(format!(
            "it has collections ({other}), but not the document of a hub in schema: name the database of a hub, or an \
             empty one"
        ))
        .into());
    }
    make_accounts(database).await?;
    if !has("events") {
        make(database.create_collection("events").await)?;
    }
    // Last: with it, everything is there.
    if found.is_none() {
        schema(database)
            .update_one(doc! {"_id": 1}, doc! {"$setOnInsert": {"reader_min": 1_i64, "confirmed_empty": false}})
            .upsert(true)
            .await?;
    }
    Ok(())
}

fn make(made: mongodb::error::Result<()>) -> mongodb::error::Result<()> {
    made.or_else(|e| if fault::is_there(&e) { Ok(()) } else { Err(e) })
}

/// The collection `accounts`, its validator and its index. One made by hand has neither; what stands in their way is for
/// people to know: the accounts can be used as they are.
async fn make_accounts(database: &Database) -> Result<(), Fault> {
    let mut listed = database.list_collections().filter(doc! {"name": "accounts"}).await?;
    if !listed.advance().await? {
        make(database.create_collection("accounts").validator(validator()).await)?;
    } else if listed.deserialize_current()?.options.validator.is_none_or(|known| known.is_empty()) {
        // One that is there already may be a newer release's.
        let add = doc! {"collMod": "accounts", "validator": validator()};
        tolerate("validator", database.run_command(add).await.map(drop))?;
    }
    let unique = IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! {"id": 1}).options(unique).build();
    tolerate("unique index of id", accounts(database).create_index(index).await.map(drop))?;
    Ok(())
}

/// What the server refuses for a reason that people can mend is said; any other error is one.
fn tolerate(what: &str, done: mongodb::error::Result<()>) -> mongodb::error::Result<()> {
    match done {
        Err(error) if fault::is_for_people(&error) => {
            tracing::warn!(
                error = %error.kind,
                "the collection accounts has no {what}, and it cannot be added: mend what the server names; the next \
                 start tries again"
            );
            Ok(())
        }
        done => done,
    }
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

/// The word that there are to be no accounts, as it stands in the hub's own document.
pub(crate) struct Word {
    pub(crate) is_given: bool,
    /// Rises with every word given, so that one is not taken for another; absent before the first.
    number: Bson,
}

/// The word; an error where the hub's own document is gone, and with it, as likely, the accounts.
pub(crate) async fn word(database: &Database) -> Result<Word, Fault> {
    let found = schema(database).find_one(doc! {"_id": 1}).await?.ok_or_else(|| lost("schema"))?;
    Ok(Word {
        is_given: found.get_bool("confirmed_empty").unwrap_or(false),
        number: found.get("word").cloned().unwrap_or(Bson::Null),
    })
}

/// Whether it is confirmed that there are no accounts. `before` is the word before they were read: one given since then,
/// by another hub or a shell, is not about accounts that this read still met.
pub(crate) async fn settle_confirmation(database: &Database, before: &Word, is_empty: bool) -> Result<bool, Fault> {
    if !is_empty {
        spend(database, before).await?;
        return Ok(false);
    }
    if before.is_given {
        return Ok(true);
    }
    if !database.list_collection_names().await?.iter().any(|name| name == "accounts") {
        tracing::warn!("the collection accounts is gone and is made again, empty");
        make_accounts(database).await?;
    }
    // It may have been given between the two reads.
    Ok(word(database).await?.is_given)
}

/// The word holds for the emptiness that it was given for: with the next account it is spent. Another one, given since
/// `word` was read, stays.
pub(crate) async fn spend(database: &Database, word: &Word) -> Result<(), Fault> {
    if word.is_given {
        let same = doc! {"_id": 1, "confirmed_empty": true, "word": &word.number};
        schema(database).update_one(same, doc! {"$set": {"confirmed_empty": false}}).await?;
    }
    Ok(())
}

/// Writes down that there are to be no accounts, if there are none.
pub(crate) async fn confirm_empty(database: &Database) -> Result<(), Fault> {
    if accounts(database).find_one(doc! {}).await?.is_none() {
        let given = doc! {"$set": {"confirmed_empty": true}, "$inc": {"word": 1_i64}};
        schema(database).update_one(doc! {"_id": 1}, given).await?;
    }
    Ok(())
}
