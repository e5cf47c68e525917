//! The column `secrets`: a JSON object, field to sealed text. A person may write a plain text there.

use std::collections::BTreeMap;

use mdhub_spec::account::{AccountId, AccountSettings, Secret};
use mdhub_spec::ports::StoreError;

use crate::key::SealingKey;
use crate::record::Recipe;
use crate::sealing::{self, Binding, NONCE_BYTES, NotOpened};

const PASSWORD: &str = "password";

/// What the column held.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) password: Secret,
    /// Whether it stood there in plain text and must be sealed.
    pub(crate) was_plain: bool,
    /// Whether it stood there sealed, and opened.
    pub(crate) was_sealed: bool,
}

/// Why the column cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It was sealed by another key.
    OtherKey(String),
    /// Anything else, said with what to do.
    Wrong(String),
}

/// Reads the column. No message holds any of its values.
pub(crate) fn open(
    key: &SealingKey,
    account: &AccountId,
    settings: &AccountSettings,
    json: &str,
    recipe: Recipe,
) -> Result<Opened, Unusable> {
    // serde's own message would quote the value that it stumbled over: only the place is passed on.
    let mut fields: BTreeMap<String, String> = serde_json::from_str(json).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        Unusable::Wrong(format!("secrets (line {line}, column {column}): {}", recipe(account)))
    })?;
    let password = Secret::new(fields.remove(PASSWORD).unwrap_or_default());
    if let Some(unknown) = fields.keys().next() {
        return Err(Unusable::Wrong(format!("secrets: unknown field {unknown:?}, allowed is {PASSWORD}")));
    }
    if !sealing::is_sealed(password.reveal()) {
        return Ok(Opened { was_plain: !password.is_empty(), was_sealed: false, password });
    }
    match sealing::open(key, bound(account, settings), password.reveal()) {
        Ok(password) => Ok(Opened { password, was_plain: false, was_sealed: true }),
        Err(NotOpened::OtherKey { key_id }) => Err(Unusable::OtherKey(key_id)),
        Err(why) => Err(Unusable::Wrong(format!("secrets: {PASSWORD} {why}; {}", recipe(account)))),
    }
}

/// The column for `password`, sealed under a new random nonce.
pub(crate) fn seal(
    key: &SealingKey,
    account: &AccountId,
    settings: &AccountSettings,
    password: &Secret,
) -> Result<String, StoreError> {
    let mut fields = serde_json::Map::new();
    if !password.is_empty() {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)
            .map_err(|e| StoreError::Key(format!("the system gives no randomness to seal with: {e}")))?;
        let sealed = sealing::seal(key, bound(account, settings), password, nonce)
            .ok_or_else(|| StoreError::Key(format!("the {PASSWORD} of account {account} cannot be sealed")))?;
        fields.insert(PASSWORD.into(), sealed.into());
    }
    Ok(serde_json::Value::Object(fields).to_string())
}

/// What a person does in SQL to a secret that cannot be used.
pub(crate) fn sql_recipe(account: &AccountId) -> String {
    format!(
        r#"write the {PASSWORD} again: UPDATE accounts SET secrets = '{{"{PASSWORD}":"..."}}' WHERE id = '{account}'"#
    )
}

/// The same in the mongo shell.
pub(crate) fn mongo_recipe(account: &AccountId) -> String {
    format!(
        r#"write the {PASSWORD} again: db.accounts.updateOne({{id: "{account}"}}, {{$set: {{secrets: {{{PASSWORD}: "..."}}}}}})"#
    )
}

fn bound<'a>(account: &'a AccountId, settings: &'a AccountSettings) -> Binding<'a> {
    Binding { account, field: PASSWORD, addresses: &settings.md_address }
}
