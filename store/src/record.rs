//! A stored account as every backend has it, and what one whole read of them comes to.

use mdhub_spec::account::{AccountError, AccountId, AccountSettings, MarketDataAccount, Secret};
use mdhub_spec::ports::{Event, Loaded, SetAside, StoreError};

use crate::key::SealingKey;
use crate::secrets::{self, Unusable};

/// How a person writes an account's secret by hand, in the backend's own language.
pub(crate) type Recipe = fn(&AccountId) -> String;

/// An account as it is stored: nothing of it is checked yet.
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) gateway: String,
    /// A JSON object.
    pub(crate) settings: String,
    /// A JSON object, field to sealed text.
    pub(crate) secrets: Secret,
    pub(crate) priority: i64,
    pub(crate) is_enabled: bool,
    pub(crate) suspended: bool,
    pub(crate) restart_generation: i64,
    pub(crate) generation: i64,
    pub(crate) description: String,
    pub(crate) created_at_ms: i64,
    pub(crate) updated_at_ms: i64,
}

/// An account whose secret stands there in plain text, and the text as it stands.
pub(crate) struct Plain {
    pub(crate) account: MarketDataAccount,
    pub(crate) column: Secret,
}

impl Plain {
    /// What is written down once it is sealed.
    pub(crate) fn sealed_event(&self, at_ms: i64) -> Event {
        let id = &self.account.id;
        Event {
            at_ms,
            account: Some(id.clone()),
            actor: "hub".into(),
            reason: "SecretSealed".into(),
            message: format!("account {id}: the plain-text password in its row was sealed"),
        }
    }
}

/// One whole read.
pub(crate) struct Read<'a> {
    key: &'a SealingKey,
    recipe: Recipe,
    loaded: Loaded,
    plain: Vec<Plain>,
    /// Rows whose secret opened with the key.
    opened: usize,
    /// Rows whose secret needs another key, and which.
    foreign: Vec<(String, String)>,
}

impl<'a> Read<'a> {
    pub(crate) fn new(key: &'a SealingKey, recipe: Recipe) -> Self {
        Self { key, recipe, loaded: Loaded::default(), plain: Vec::new(), opened: 0, foreign: Vec::new() }
    }

    /// Takes one row. `name` is its id, as far as it can be read.
    pub(crate) fn take(&mut self, name: String, record: Result<Record, String>) {
        match record.map_err(Unusable::Wrong).and_then(|record| account(record, self.key, self.recipe)) {
            Ok((account, found)) => {
                self.opened += usize::from(found.was_sealed);
                if let Some(column) = found.plain {
                    self.plain.push(Plain { account: account.clone(), column });
                }
                self.loaded.accounts.push(account);
            }
            Err(Unusable::Wrong(why)) => self.loaded.set_aside.push(SetAside { id: name, why }),
            Err(Unusable::OtherKey(key_id)) => self.foreign.push((name, key_id)),
        }
    }

    /// What it comes to, and the accounts whose secrets are to be sealed. A key that opens nothing of what is sealed is the
    /// wrong key: nothing is started with it. Single rows of another key (copied here by hand) are set aside.
    pub(crate) fn judged(mut self) -> Result<(Loaded, Vec<Plain>), StoreError> {
        if let (0, Some((id, key_id))) = (self.opened, self.foreign.first()) {
            return Err(StoreError::Key(format!(
                "account {id} was sealed by key {key_id}, and the key given is {}: give the key file that belongs to \
                 this database",
                self.key.id()
            )));
        }
        for (id, key_id) in self.foreign.drain(..) {
            let hint = id.parse().map(|id| (self.recipe)(&id)).unwrap_or_default();
            let why = format!("secrets: sealed by key {key_id}, and the key given is {}; {hint}", self.key.id());
            self.loaded.set_aside.push(SetAside { id, why });
        }
        Ok((self.loaded, self.plain))
    }
}

/// What a read of one id comes to.
pub(crate) fn single(mut loaded: Loaded, id: &AccountId) -> Result<MarketDataAccount, StoreError> {
    match (loaded.accounts.pop(), loaded.set_aside.pop()) {
        (Some(account), _) => Ok(account),
        (None, Some(aside)) => Err(StoreError::Invalid { id: aside.id, why: aside.why }),
        (None, None) => Err(StoreError::NotFound(id.clone())),
    }
}

/// How a row's secret was found.
struct Found {
    was_sealed: bool,
    /// The whole column, when there is plain text in it.
    plain: Option<Secret>,
}

fn account(record: Record, key: &SealingKey, recipe: Recipe) -> Result<(MarketDataAccount, Found), Unusable> {
    let wrong = |e: AccountError| Unusable::Wrong(e.to_string());
    let mut account = MarketDataAccount {
        id: record.id.parse().map_err(wrong)?,
        gateway: record.gateway.parse().map_err(wrong)?,
        settings: AccountSettings::from_json(&record.settings).map_err(wrong)?,
        password: Secret::default(),
        priority: number("priority", record.priority, 1, u32::MAX)?,
        is_enabled: record.is_enabled,
        suspended: record.suspended,
        restart_generation: number("restart_generation", record.restart_generation, 0, i64::MAX as u64)?,
        generation: number("generation", record.generation, 0, i64::MAX as u64)?,
        description: record.description,
        created_at_ms: record.created_at_ms,
        updated_at_ms: record.updated_at_ms,
    };
    let opened = secrets::open(key, &account.id, &account.settings, record.secrets.reveal(), recipe)?;
    account.password = opened.password;
    account.check().map_err(wrong)?;
    Ok((account, Found { was_sealed: opened.was_sealed, plain: opened.was_plain.then_some(record.secrets) }))
}

fn number<T>(name: &'static str, given: i64, min: T, max: T) -> Result<T, Unusable>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display + Copy,
{
    T::try_from(given)
        .ok()
        .filter(|value| *value >= min)
        .ok_or_else(|| Unusable::Wrong(format!("{name} is {given}: allowed are {min} to {max}")))
}

/// A stored flag.
pub(crate) fn flag(name: &'static str, given: i64) -> Result<bool, String> {
    match given {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(format!("{name} is {given}: allowed are 0 and 1")),
    }
}

/// What is written of an account: checked, its secret sealed.
pub(crate) fn stored(key: &SealingKey, account: &MarketDataAccount) -> Result<Record, StoreError> {
    let refuse = |why: String| StoreError::Invalid { id: account.id.to_string(), why };
    account.check().map_err(|e| refuse(e.to_string()))?;
    if account.priority == 0 {
        return Err(refuse(format!("priority is 0: allowed are 1 to {}", u32::MAX)));
    }
    let number = |name: &str, value: u64| {
        i64::try_from(value).map_err(|_| refuse(format!("{name} is {value}: allowed are 0 to {}", i64::MAX)))
    };
    Ok(Record {
        id: account.id.to_string(),
        gateway: account.gateway.to_string(),
        settings: serde_json::to_string(&account.settings).map_err(|e| refuse(format!("settings: {e}")))?,
        secrets: Secret::new(secrets::seal(key, &account.id, &account.settings, &account.password)?),
        priority: account.priority.into(),
        is_enabled: account.is_enabled,
        suspended: account.suspended,
        restart_generation: number("restart_generation", account.restart_generation)?,
        generation: number("generation", account.generation)?,
        description: account.description.clone(),
        created_at_ms: account.created_at_ms,
        updated_at_ms: account.updated_at_ms,
    })
}

/// As it is stored; one that cannot be stored is that of no row.
pub(crate) fn generation(given: u64) -> i64 {
    i64::try_from(given).unwrap_or(-1)
}

/// Why a write at `given` found no row: `found` is the generation that is there.
pub(crate) fn missed(id: AccountId, given: u64, found: Option<i64>) -> StoreError {
    match found {
        None => StoreError::NotFound(id),
        Some(found) => StoreError::Stale { id, given, found: u64::try_from(found).unwrap_or_default() },
    }
}
