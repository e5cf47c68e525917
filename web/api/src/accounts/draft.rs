//! What a request may say of an account, and what comes of it: pure.

use axum::http::StatusCode;
use mdhub_spec::account::{
    AccountError, AccountId, AccountSettings, FrontAddress, GatewayKind, MarketDataAccount, Secret,
};
use mdhub_spec::operation::Operation;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;

/// A password: a text, or a number that was meant as one. The reader's own error would quote it.
#[derive(Clone)]
pub(super) struct Password(Secret);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(Secret::new(text))),
            Value::Number(number) => Ok(Self(Secret::new(number.to_string()))),
            _ => Err(serde::de::Error::custom("it is not allowed: a text")),
        }
    }
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    /// Its name: lower-case letters, digits and inner hyphens.
    #[schema(value_type = String)]
    id: AccountId,
    /// `ctp`, `sopt` or `vnpy`.
    #[schema(value_type = super::Kind)]
    gateway: GatewayKind,
    /// What its gateway needs beside the password.
    #[schema(value_type = super::Settings)]
    settings: AccountSettings,
    /// Sealed before it is stored; it never comes back.
    #[schema(value_type = Option<String>, write_only)]
    password: Option<Password>,
    /// 1, the primary, unless said otherwise.
    priority: Option<u32>,
    /// True unless said otherwise.
    is_enabled: Option<bool>,
    /// Free text.
    description: Option<String>,
}

impl Draft {
    pub(super) fn account(self) -> Result<MarketDataAccount, Problem> {
        let account = MarketDataAccount {
            id: self.id,
            gateway: self.gateway,
            settings: self.settings,
            password: self.password.map(|password| password.0).unwrap_or_default(),
            priority: self.priority.unwrap_or(1),
            is_enabled: self.is_enabled.unwrap_or(true),
            suspended: false,
            restart_generation: 0,
            generation: 0,
            description: self.description.unwrap_or_default(),
            created_at_ms: 0,
            updated_at_ms: 0,
        };
        checked(account)
    }
}

/// What is to be otherwise; what is left out stays. A whole account, as it was read, is understood too: what only the hub
/// writes must be what it was then.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// As it is: a name is for good.
    #[schema(value_type = Option<String>)]
    id: Option<AccountId>,
    /// `ctp`, `sopt` or `vnpy`.
    #[schema(value_type = Option<super::Kind>)]
    gateway: Option<GatewayKind>,
    /// Those that are to be otherwise.
    settings: Option<SettingsChange>,
    /// Another password.
    #[schema(value_type = Option<String>, write_only)]
    password: Option<Password>,
    /// 1 is the primary, larger numbers stand by.
    priority: Option<u32>,
    /// Whether it is in the pool. Out of it, what was held down by hand is forgotten.
    is_enabled: Option<bool>,
    /// Free text.
    description: Option<String>,
    /// The one that was read: a condition.
    generation: Option<u64>,
    /// As it is: start and stop change it.
    suspended: Option<bool>,
    /// As it is: restart raises it.
    restart_generation: Option<u64>,
    #[serde(rename = "has_password")]
    _has_password: Option<bool>,
    #[serde(rename = "created_at_ms")]
    _created_at_ms: Option<i64>,
    #[serde(rename = "updated_at_ms")]
    _updated_at_ms: Option<i64>,
}

/// Settings that are to be otherwise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsChange {
    /// Login name at the broker.
    user_id: Option<String>,
    /// The broker's code.
    broker_id: Option<String>,
    /// Market-data fronts, each `tcp://HOST:PORT`; one may stand without a list.
    #[schema(value_type = Option<Vec<String>>)]
    md_address: Option<OneOrMany>,
    /// Name of an entry of `libraries:` in the settings.
    library: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(FrontAddress),
    Many(Vec<FrontAddress>),
}

impl Change {
    /// The generation that was read.
    pub(super) const fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// `before`, changed so.
    pub(super) fn apply(&self, before: &MarketDataAccount) -> Result<MarketDataAccount, Problem> {
        let mut wanted = before.clone();
        if self.id.as_ref().is_some_and(|id| *id != before.id) {
            return Err(invalid("id", "it is the account's name for good: add another one, and delete this one"));
        }
        if self.suspended.is_some_and(|suspended| suspended != before.suspended) {
            return Err(invalid("suspended", "it is not set: POST .../start or .../stop does it"));
        }
        if self.restart_generation.is_some_and(|generation| generation != before.restart_generation) {
            return Err(invalid("restart_generation", "it is not set: POST .../restart raises it"));
        }
        wanted.gateway = self.gateway.unwrap_or(before.gateway);
        if let Some(settings) = &self.settings {
            settings.apply(&mut wanted.settings)?;
        }
        if self.password.is_none() && before.would_send_elsewhere(&wanted) && !before.password.is_empty() {
            let message = "gateway, md_address or library changes: it must be given again, so that nobody can have it sent \
                           elsewhere who does not know it";
            return Err(invalid("password", message));
        }
        if let Some(password) = &self.password {
            wanted.password = password.0.clone();
        }
        wanted.priority = self.priority.unwrap_or(before.priority);
        if let Some(description) = &self.description {
            wanted.description.clone_from(description);
        }
        match self.is_enabled {
            Some(true) => Operation::Enable.apply(&mut wanted),
            Some(false) => Operation::Disable.apply(&mut wanted),
            None => Ok(()),
        }
        .map_err(|refused| Problem::new(StatusCode::CONFLICT, refused.to_string()))?;
        checked(wanted)
    }
}

impl SettingsChange {
    fn apply(&self, settings: &mut AccountSettings) -> Result<(), Problem> {
        let Self { user_id, broker_id, md_address, library } = self;
        for (new, old) in
            [(user_id, &mut settings.user_id), (broker_id, &mut settings.broker_id), (library, &mut settings.library)]
        {
            if let Some(new) = new {
                old.clone_from(new);
            }
        }
        match md_address {
            Some(OneOrMany::One(address)) => settings.md_address = vec![address.clone()],
            Some(OneOrMany::Many(addresses)) if addresses.is_empty() => {
                return Err(invalid("settings.md_address", "it is empty: at least one tcp://HOST:PORT is needed"));
            }
            Some(OneOrMany::Many(addresses)) => settings.md_address.clone_from(addresses),
            None => {}
        }
        Ok(())
    }
}

fn checked(account: MarketDataAccount) -> Result<MarketDataAccount, Problem> {
    if account.priority == 0 {
        return Err(invalid("priority", "0 is not allowed: 1 is the primary, larger numbers stand by"));
    }
    account.check().map_err(|error| {
        let field = match &error {
            AccountError::Length { field: field @ ("user_id" | "broker_id" | "library"), .. } => {
                format!("settings.{field}")
            }
            AccountError::Length { field, .. } => (*field).to_owned(),
            AccountError::Id { .. } => "id".into(),
            AccountError::Gateway { .. } => "gateway".into(),
            AccountError::Address { .. } => "settings.md_address".into(),
            AccountError::Settings(_) => "settings".into(),
        };
        invalid(&field, &error.to_string())
    })?;
    Ok(account)
}

/// 422 for one field.
pub(super) fn invalid(field: &str, message: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field}: {message}; nothing was changed"))
        .with("errors", json!([{"field": field, "message": message}]))
}

/// What is otherwise, by the fields' names; of a password only that it is.
pub(super) fn difference(before: &MarketDataAccount, now: &MarketDataAccount) -> String {
    let (old, new) = (&before.settings, &now.settings);
    let fields = [
        ("gateway", before.gateway != now.gateway),
        ("settings.user_id", old.user_id != new.user_id),
        ("settings.broker_id", old.broker_id != new.broker_id),
        ("settings.md_address", old.md_address != new.md_address),
        ("settings.library", old.library != new.library),
        ("password", before.password != now.password),
        ("priority", before.priority != now.priority),
        ("is_enabled", before.is_enabled != now.is_enabled),
        ("suspended", before.suspended != now.suspended),
        ("description", before.description != now.description),
    ];
    fields.iter().filter(|(_, is_other)| *is_other).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFT: &str = r#"{"id": "ctp-main", "gateway": "ctp", "password": "a-password", "priority": 2,
        "settings": {"user_id": "u", "md_address": "tcp://a:1", "library": "sim"}}"#;

    fn account() -> MarketDataAccount {
        let stored = serde_json::from_str::<Draft>(DRAFT).expect("understood").account().expect("allowed");
        MarketDataAccount { generation: 4, restart_generation: 3, suspended: true, ..stored }
    }

    fn apply(change: &str) -> Result<MarketDataAccount, String> {
        let change: Change = serde_json::from_str(change).map_err(|e| e.to_string())?;
        change.apply(&account()).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn a_draft_has_safe_defaults_and_what_it_says() {
        let account = serde_json::from_str::<Draft>(DRAFT).expect("understood").account().expect("allowed");
        assert_eq!((account.priority, account.is_enabled, account.suspended), (2, true, false));
        assert_eq!(account.password.reveal(), "a-password");
    }

    #[test]
    fn what_a_change_leaves_out_stays_and_what_it_names_is_otherwise() {
        let before = account();
        assert_eq!(apply("{}").as_ref(), Ok(&before));
        let now = apply(r#"{"priority": 1, "settings": {"user_id": "v"}, "password": 27}"#).expect("allowed");
        assert_eq!((now.priority, now.settings.user_id.as_str(), now.password.reveal()), (1, "v", "27"));
        assert_eq!(now.settings.md_address, before.settings.md_address);
        assert_eq!(difference(&before, &now), "settings.user_id, password, priority");
        let off = apply(r#"{"is_enabled": false}"#).expect("allowed");
        assert_eq!((off.is_enabled, off.suspended), (false, false), "what was held down by hand is forgotten");
    }

    #[test]
    fn a_whole_account_as_it_was_read_changes_nothing() {
        let before = account();
        let text = serde_json::to_string(&crate::accounts::Account::from(before.clone())).expect("text");
        assert!(!text.contains("a-password"), "{text}");
        assert_eq!(apply(&text), Ok(before));
    }

    #[test]
    fn a_password_does_not_follow_its_account_to_another_front_or_library() {
        for elsewhere in [
            r#""settings": {"md_address": "tcp://evil:1"}"#,
            r#""settings": {"md_address": ["tcp://a:1", "tcp://evil:1"]}"#,
            r#""settings": {"library": "evil"}"#,
            r#""gateway": "sopt""#,
        ] {
            let refused = apply(&format!("{{{elsewhere}}}")).expect_err(elsewhere);
            assert!(refused.contains("password") && refused.contains("422"), "{refused}");
            assert!(apply(&format!("{{{elsewhere}, \"password\": \"a-password\"}}")).is_ok(), "{elsewhere}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named_with_its_field_and_no_password() {
        for (change, part) in [
            (r#"{"priority": 0}"#, "priority"),
            (r#"{"prioritty": 1}"#, "prioritty"),
            (r#"{"id": "other"}"#, "id"),
            (r#"{"suspended": false}"#, ".../start"),
            (r#"{"restart_generation": 9}"#, ".../restart"),
            (r#"{"settings": {"md_address": []}}"#, "settings.md_address"),
            (r#"{"settings": {"user_id": "0123456789012345"}}"#, "settings.user_id"),
            (r#"{"password": ["hunter2"]}"#, "a text"),
            (r#"{"password": "hunter2 hunter2 hunter2 hunter2 hunter2 hunter2"}"#, "password has"),
        ] {
            let refused = apply(change).expect_err(change);
            assert!(refused.contains(part) && !refused.contains("hunter2"), "{change}: {refused}");
        }
    }
}
