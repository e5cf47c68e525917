//! `mdhub apply` and `mdhub get`: accounts as documents. What `get -o yaml` prints, `apply` takes.

use std::fmt;

use mdhub_spec::account::{AccountId, AccountSettings, GatewayKind, MarketDataAccount, Secret};
use mdhub_spec::ports::{AccountStore, StoreError};
use mdhub_spec::settings::ApiVersion;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::note;
use crate::cli::{ApplyArgs, GetArgs, Output};
use crate::{Failure, complain, say};

/// One document. What is left out of a new account has its default; what is left out of one that exists stays.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "apiVersion")]
    api_version: ApiVersion,
    kind: Kind,
    id: AccountId,
    gateway: GatewayKind,
    settings: AccountSettings,
    #[serde(default, skip_serializing)]
    password: Option<Password>,
    priority: Option<u32>,
    is_enabled: Option<bool>,
    suspended: Option<bool>,
    description: Option<String>,
    /// The optimistic lock: what the account's generation must be. `get` leaves it out.
    #[serde(default, skip_serializing)]
    generation: Option<u64>,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Account,
}

/// A text, or a number that was meant as one. The reader's own error would quote it.
struct Password(Secret);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_yaml::Value::deserialize(deserializer)? {
            serde_yaml::Value::String(text) => Ok(Self(Secret::new(text))),
            serde_yaml::Value::Number(number) => Ok(Self(Secret::new(number.to_string()))),
            _ => Err(serde::de::Error::custom("password is no text")),
        }
    }
}

impl Manifest {
    fn of(account: &MarketDataAccount) -> Self {
        Self {
            api_version: ApiVersion::V1,
            kind: Kind::Account,
            id: account.id.clone(),
            gateway: account.gateway,
            settings: account.settings.clone(),
            password: None,
            priority: Some(account.priority),
            is_enabled: Some(account.is_enabled),
            suspended: Some(account.suspended),
            description: Some(account.description.clone()),
            generation: None,
        }
    }

    /// What the account is to be, `before` being what it is.
    fn wanted(self, before: Option<&MarketDataAccount>) -> Result<MarketDataAccount, Failure> {
        let id = self.id;
        let found = before.map_or(0, |old| old.generation);
        if let Some(expected) = self.generation.filter(|expected| *expected != found) {
            return Err(format!(
                "account {id}: generation {expected} was expected, {found} is there (0: there is none); read it again"
            ));
        }
        let is_silent = self.password.is_none();
        let password = match (self.password, before) {
            (Some(given), _) => given.0,
            (None, before) => before.map(|old| old.password.clone()).unwrap_or_default(),
        };
        let wanted = MarketDataAccount {
            gateway: self.gateway,
            settings: self.settings,
            password,
            priority: self.priority.or(before.map(|old| old.priority)).unwrap_or(1),
            is_enabled: self.is_enabled.or(before.map(|old| old.is_enabled)).unwrap_or(true),
            suspended: self.suspended.or(before.map(|old| old.suspended)).unwrap_or(false),
            restart_generation: before.map_or(0, |old| old.restart_generation),
            generation: before.map_or(0, |old| old.generation),
            description: self.description.or(before.map(|old| old.description.clone())).unwrap_or_default(),
            created_at_ms: before.map_or(0, |old| old.created_at_ms),
            updated_at_ms: before.map_or(0, |old| old.updated_at_ms),
            id,
        };
        if before.is_some_and(|old| is_silent && !old.password.is_empty() && old.would_send_elsewhere(&wanted)) {
            return Err(format!(
                "account {}: gateway, md_address or library changes: its password must be given again, so that nobody can \
                 have it sent elsewhere who does not know it",
                wanted.id
            ));
        }
        wanted.check().map_err(|e| format!("account {}: {e}", wanted.id))?;
        Ok(wanted)
    }
}

fn documents(name: &str, text: &str) -> Result<Vec<Manifest>, Failure> {
    let mut all = Vec::new();
    for (number, document) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let manifest = Manifest::deserialize(document).map_err(|e| {
            let place = e.location().map_or_else(String::new, |at| format!(":{}:{}", at.line(), at.column()));
            format!("{name}{place}: document {}: {e}; nothing was changed", number + 1)
        })?;
        all.push(manifest);
    }
    let earlier = |n: usize| all[..n].iter().position(|m: &Manifest| m.id == all[n].id).map(|first| (first, n));
    if let Some((first, second)) = (0..all.len()).find_map(earlier) {
        let id = &all[second].id;
        let (first, second) = (first + 1, second + 1);
        return Err(format!("{name}: documents {first} and {second} are both of account {id}; nothing was changed"));
    }
    Ok(all)
}

/// What came of a document.
enum Outcome {
    Created,
    Configured,
    Unchanged,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        })
    }
}

/// # Errors
/// The document that cannot be applied. Those before it are.
pub(crate) async fn apply(store: &dyn AccountStore, args: &ApplyArgs) -> Result<(), Failure> {
    let name = args.file.display().to_string();
    let text = if name == "-" {
        std::io::read_to_string(std::io::stdin()).map_err(|e| format!("standard input: {e}"))?
    } else {
        std::fs::read_to_string(&args.file).map_err(|e| format!("{name}: {e}"))?
    };
    let text = Zeroizing::new(text);
    let documents = documents(&name, &text)?;
    if documents.is_empty() {
        return Err(format!("{name}: there is no document in it"));
    }
    for manifest in documents {
        let before = match store.get(&manifest.id).await {
            Ok(account) => Some(account),
            Err(StoreError::NotFound(_)) => None,
            Err(e) => return Err(e.to_string()),
        };
        let wanted = manifest.wanted(before.as_ref())?;
        let id = wanted.id.clone();
        let outcome = match &before {
            None => Outcome::Created,
            Some(before) if *before == wanted => Outcome::Unchanged,
            Some(_) => Outcome::Configured,
        };
        if !args.dry_run {
            match outcome {
                Outcome::Created => drop(store.insert(wanted).await.map_err(|e| e.to_string())?),
                Outcome::Configured => drop(store.update(wanted).await.map_err(|e| e.to_string())?),
                Outcome::Unchanged => {}
            }
            if !matches!(outcome, Outcome::Unchanged) {
                note(store, &id, "Applied", &format!("{outcome} by {name}")).await;
            }
        }
        say(format_args!("account {id}: {outcome}{}", if args.dry_run { " (dry run)" } else { "" }))?;
    }
    Ok(())
}

/// # Errors
/// What the store says.
pub(crate) async fn get(store: &dyn AccountStore, args: &GetArgs) -> Result<(), Failure> {
    match args.output {
        Output::Wide => return super::list(store, false).await,
        Output::Json => return super::list(store, true).await,
        Output::Yaml => {}
    }
    let loaded = store.load().await.map_err(|e| e.to_string())?;
    for account in &loaded.accounts {
        let text = serde_yaml::to_string(&Manifest::of(account)).map_err(|e| e.to_string())?;
        say(format_args!("---\n{}", text.trim_end()))?;
    }
    for row in loaded.set_aside {
        complain(format_args!("account {}: set aside: {}; the other accounts go on", row.id, row.why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "apiVersion: mdhub/v1\nkind: Account\nid: a\ngateway: ctp\nsettings: {md_address: 'tcp://a:1', library: sim}\npassword: 27\n---\napiVersion: mdhub/v1\nkind: Account\nid: b\ngateway: sopt\nsettings: {md_address: ['tcp://b:2'], library: sim}\npriority: 2\n";

    fn wanted(text: &str, before: Option<&MarketDataAccount>) -> Result<MarketDataAccount, Failure> {
        documents("f", text)?.remove(0).wanted(before)
    }

    #[test]
    fn a_file_holds_several_accounts_and_what_get_prints_changes_nothing() {
        let all = documents("f", TWO).expect("understood");
        let [a, b]: [MarketDataAccount; 2] =
            all.into_iter().map(|m| m.wanted(None).expect("fits")).collect::<Vec<_>>().try_into().expect("two");
        assert_eq!((a.password.reveal(), b.priority, b.is_enabled), ("27", 2, true));
        let printed = serde_yaml::to_string(&Manifest::of(&a)).expect("text");
        assert!(!printed.contains("27"), "{printed}");
        assert_eq!(wanted(&printed, Some(&a)).expect("fits"), a);
    }

    #[test]
    fn a_password_does_not_follow_a_changed_address_by_itself() {
        let before = wanted(TWO, None).expect("fits");
        let moved = TWO.replace("tcp://a:1", "tcp://evil:1");
        assert!(wanted(&moved, Some(&before)).is_ok(), "it is given again");
        let silent = moved.replace("password: 27\n", "");
        assert!(wanted(&silent, Some(&before)).is_err_and(|e| e.contains("must be given again")));
    }

    #[test]
    fn an_account_is_described_once_and_a_generation_is_a_condition() {
        let twice = documents("f.yaml", &TWO.replace("id: b", "id: a")).map(|_| ()).expect_err("twice");
        assert!(twice.contains("documents 1 and 2 are both of account a"), "{twice}");
        let stored = MarketDataAccount { generation: 4, ..wanted(TWO, None).expect("fits") };
        let given = |generation: u64| {
            TWO.replace("priority: 2", "").replacen("id: a\n", &format!("id: a\ngeneration: {generation}\n"), 1)
        };
        assert!(wanted(&given(4), Some(&stored)).is_ok());
        let stale = wanted(&given(3), Some(&stored)).expect_err("stale");
        assert!(stale.contains("generation 3 was expected, 4 is there"), "{stale}");
        assert!(wanted(&given(1), None).is_err() && wanted(&given(0), None).is_ok());
    }

    #[test]
    fn a_fault_names_place_and_key_but_no_password() {
        for (from, to, part) in [
            ("priority: 2", "prioritty: 2", "prioritty"),
            ("password: 27", "password: [hunter2]", "password is no text"),
            ("gateway: sopt", "gateway: xtp", "document 2"),
            ("library: sim}\npass", "library: sim, nonsense: 1}\npass", "nonsense"),
        ] {
            let error = documents("f.yaml", &TWO.replace(from, to)).map(|_| ()).expect_err(part);
            assert!(error.contains(part) && error.starts_with("f.yaml:") && !error.contains("hunter2"), "{error}");
        }
    }
}
