//! One document of an account, as it stands there: a person may have written anything.

use std::collections::BTreeMap;

use mdhub_spec::account::Secret;
use mongodb::bson::raw::RawElement;
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument};

use super::schema;
use crate::record::Record;

/// The fields that an account has. What else there is, is not ours to judge.
const FIELDS: [&str; 13] = [
    "_id",
    "id",
    "gateway",
    "settings",
    "secrets",
    "priority",
    "is_enabled",
    "suspended",
    "restart_generation",
    "generation",
    "description",
    "created_at",
    "updated_at",
];

/// Its id; where that cannot be read, what a person finds it by.
pub(crate) fn name(raw: &RawDocument) -> String {
    let field = |name: &str| {
        let found = raw.iter_elements().flatten().find(|element| element.key().as_str() == name)?;
        found.value().ok()
    };
    match (field("id"), field("_id")) {
        (Some(RawBsonRef::String(id)), _) => id.to_owned(),
        (_, Some(RawBsonRef::ObjectId(server))) => format!("(the document of _id {server})"),
        (_, _) => "(a document without an id)".to_owned(),
    }
}

/// A document made by hand may leave out what has a default.
pub(crate) fn record(raw: &RawDocument) -> Result<Record, String> {
    let document = decoded(raw)?;
    let made_at = document.get_object_id("_id").map_or(0, |id| id.timestamp().timestamp_millis());
    Ok(Record {
        id: text(&document, "id", None)?,
        gateway: text(&document, "gateway", None)?,
        settings: json(&document, "settings", None)?,
        secrets: Secret::new(json(&document, "secrets", Some("{}"))?),
        priority: number(&document, "priority", 1)?,
        is_enabled: flag(&document, "is_enabled", true)?,
        suspended: flag(&document, "suspended", false)?,
        restart_generation: number(&document, "restart_generation", 0)?,
        generation: number(&document, "generation", 0)?,
        description: text(&document, "description", Some(""))?,
        created_at_ms: time(&document, "created_at", made_at)?,
        updated_at_ms: time(&document, "updated_at", made_at)?,
    })
}

/// Each name once. Which of several documents of one id is the account, nobody can know.
pub(crate) fn one_each(
    documents: Vec<(String, Result<Record, String>)>,
) -> impl Iterator<Item = (String, Result<Record, String>)> {
    let mut times = BTreeMap::<String, usize>::new();
    for (name, _) in &documents {
        *times.entry(name.clone()).or_default() += 1;
    }
    documents.into_iter().filter_map(move |(name, record)| match times.remove(&name)? {
        1 => Some((name, record)),
        n => Some((name, Err(format!("{n} documents have this id: remove all but one")))),
    })
}

/// What the server keeps need not be text of UTF-8, or anything that this release knows.
fn decoded(raw: &RawDocument) -> Result<Document, String> {
    let mut document = Document::new();
    for element in raw.iter_elements() {
        let element: RawElement<'_> = element.map_err(|_| "it is no valid BSON document".to_owned())?;
        let name = element.key().as_str();
        if FIELDS.contains(&name) {
            // The decoder's own message might quote the value.
            let value = Bson::try_from(element.clone())
                .map_err(|_| format!("{name} is no valid {:?}: is its text UTF-8?", element.element_type()))?;
            document.insert(name, value);
        }
    }
    Ok(document)
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
