//! Desired state: the accounts through which market data comes in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;
use zeroize::Zeroizing;

use crate::dialect::Dialect;

pub mod document;

/// Longest account id, bytes.
pub const ACCOUNT_ID_BYTES_MAX: usize = 40;

/// Why a part of an account was refused. Each message names the field, the value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccountError {
    /// An id that is no slug.
    #[error(
        "id {given:?} is not allowed: 1 to {ACCOUNT_ID_BYTES_MAX} lower-case letters, digits and inner hyphens, for example ctp-main"
    )]
    Id {
        /// What was given.
        given: String,
    },
    /// A kind of gateway that mdhub does not drive.
    #[error("gateway {given:?} is not known: allowed are ctp, sopt, vnpy")]
    Gateway {
        /// What was given.
        given: String,
    },
    /// A front address that the vendor library would crash on.
    #[error("md_address {given:?} is not allowed: write tcp://HOST:PORT, for example tcp://180.168.146.187:10211")]
    Address {
        /// What was given.
        given: String,
    },
    /// A field that must not be empty, or is too long for the vendor's structure.
    #[error("{field} has {bytes} bytes: allowed are {min} to {max}")]
    Length {
        /// The field's name.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// Fewest bytes.
        min: usize,
        /// Most bytes.
        max: usize,
    },
    /// Settings that are no account settings at all.
    #[error("settings: {0}")]
    Settings(String),
}

/// An account's id: a slug that is also its name in logs, files and URLs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// The slug.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = AccountError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let inner = s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let fits = (1..=ACCOUNT_ID_BYTES_MAX).contains(&s.len());
        if inner && fits && !s.starts_with('-') && !s.ends_with('-') {
            Ok(Self(s.to_owned()))
        } else {
            Err(AccountError::Id { given: s.to_owned() })
        }
    }
}

impl TryFrom<String> for AccountId {
    type Error = AccountError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which program drives an account's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayKind {
    /// mdhub's own, on the vendor's CTP: futures and their options.
    Ctp,
    /// mdhub's own, on the vendor's SOPT: options and ETFs of the stock exchanges.
    Sopt,
    /// A gateway class of vnpy, in Python; the account's library says which.
    Vnpy,
}

impl GatewayKind {
    /// The name in settings, tables and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ctp => "ctp",
            Self::Sopt => "sopt",
            Self::Vnpy => "vnpy",
        }
    }

    /// The vendor's interface that mdhub's own program drives; `None` where the account's library decides.
    #[must_use]
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Ctp => Some(Dialect::Ctp),
            Self::Sopt => Some(Dialect::Sopt),
            Self::Vnpy => None,
        }
    }
}

impl From<Dialect> for GatewayKind {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Ctp => Self::Ctp,
            Dialect::Sopt => Self::Sopt,
        }
    }
}

impl fmt::Display for GatewayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GatewayKind {
    type Err = AccountError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "ctp" => Ok(Self::Ctp),
            "sopt" => Ok(Self::Sopt),
            "vnpy" => Ok(Self::Vnpy),
            _ => Err(AccountError::Gateway { given: s.to_owned() }),
        }
    }
}

/// A front's address, checked: the vendor library crashes on one without `tcp://`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FrontAddress(String);

impl FrontAddress {
    /// `tcp://HOST:PORT`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FrontAddress {
    type Err = AccountError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let refuse = || AccountError::Address { given: s.to_owned() };
        let (host, port) = s.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).ok_or_else(refuse)?;
        let host_fits = (1..=253).contains(&host.len())
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        let port_fits = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
        if host_fits && port_fits { Ok(Self(s.to_owned())) } else { Err(refuse()) }
    }
}

impl TryFrom<String> for FrontAddress {
    type Error = AccountError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<FrontAddress> for String {
    fn from(a: FrontAddress) -> Self {
        a.0
    }
}

impl fmt::Display for FrontAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a gateway needs to know beside its secrets. Stored as JSON; unknown keys are refused by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// Login name at the broker; some fronts accept an empty one.
    #[serde(default)]
    pub user_id: String,
    /// The broker's code.
    #[serde(default)]
    pub broker_id: String,
    /// Market-data fronts, in the order in which they are registered. One address or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub md_address: Vec<FrontAddress>,
    /// Name of an entry of `libraries:` in `mdhub.yaml`. A name, not a path: an account row must not choose code.
    pub library: String,
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FrontAddress>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let given = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(address) => vec![address],
        OneOrMany::Many(addresses) => addresses,
    };
    if given.is_empty() {
        return Err(serde::de::Error::custom("md_address is empty: at least one tcp://HOST:PORT is needed"));
    }
    given.iter().map(|a| a.parse().map_err(serde::de::Error::custom)).collect()
}

impl AccountSettings {
    /// Reads settings from the JSON of a database row or a document.
    ///
    /// # Errors
    /// A message that names the key and what is allowed.
    pub fn from_json(json: &str) -> Result<Self, AccountError> {
        let settings: Self = serde_json::from_str(json).map_err(|e| AccountError::Settings(e.to_string()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks what the types cannot say: lengths that the vendor's structures hold.
    ///
    /// # Errors
    /// [`AccountError::Length`] for the first field that does not fit.
    pub fn check(&self) -> Result<(), AccountError> {
        length("user_id", &self.user_id, 0, 15)?;
        length("broker_id", &self.broker_id, 0, 10)?;
        length("library", &self.library, 1, 64)
    }
}

/// Checks a text's length in bytes.
///
/// # Errors
/// [`AccountError::Length`] when it is outside `min..=max`.
pub fn length(field: &'static str, value: &str, min: usize, max: usize) -> Result<(), AccountError> {
    let bytes = value.len();
    if (min..=max).contains(&bytes) { Ok(()) } else { Err(AccountError::Length { field, bytes, min, max }) }
}

/// A text that must not be seen: wiped when dropped, and printed as `[secret]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call is a place to look at in a review.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// One account: a row of the table `accounts`, with its secrets opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketDataAccount {
    /// Its name.
    pub id: AccountId,
    /// Which program drives it.
    pub gateway: GatewayKind,
    /// What the gateway needs beside the secrets.
    pub settings: AccountSettings,
    /// The password; 40 bytes at most. Some fronts need none.
    pub password: Secret,
    /// 1 is the primary, larger numbers stand by.
    pub priority: u32,
    /// Whether it is in the pool.
    pub is_enabled: bool,
    /// Held down by hand.
    pub suspended: bool,
    /// Raised by every hard restart by hand.
    pub restart_generation: u64,
    /// Raised by every write through the store: the optimistic lock.
    pub generation: u64,
    /// Free text for people.
    pub description: String,
    /// Milliseconds since the epoch, `CLOCK_REALTIME`.
    pub created_at_ms: i64,
    /// Milliseconds since the epoch, `CLOCK_REALTIME`.
    pub updated_at_ms: i64,
}

/// A digest of what a process was launched with. Another one means that it must be relaunched. It lives in memory only:
/// it is derived from secrets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u128);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({:04x}..)", self.0 >> 112)
    }
}

impl MarketDataAccount {
    /// Whether, were the account as `wanted`, its password would be sent to somebody else, or by other code. Then it must be
    /// given again, so that nobody can have it sent elsewhere who does not know it.
    #[must_use]
    pub fn would_send_elsewhere(&self, wanted: &Self) -> bool {
        self.gateway != wanted.gateway
            || self.settings.md_address != wanted.settings.md_address
            || self.settings.library != wanted.settings.library
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first field that is not allowed.
    pub fn check(&self) -> Result<(), AccountError> {
        self.settings.check()?;
        length("password", self.password.reveal(), 0, 40)?;
        length("description", &self.description, 0, 1000)
    }

    /// The fingerprint of gateway, settings and secrets. Priority and description are not in it: a change of those
    /// needs no new process. Neither is `restart_generation`, which is compared beside it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Xxh3::new();
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.gateway.as_str().as_bytes());
        part(self.settings.user_id.as_bytes());
        part(self.settings.broker_id.as_bytes());
        part(self.settings.library.as_bytes());
        for address in &self.settings.md_address {
            part(address.as_str().as_bytes());
        }
        part(self.password.reveal().as_bytes());
        Fingerprint(hash.digest128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> MarketDataAccount {
        MarketDataAccount {
            id: "ctp-main".parse().expect("a slug"),
            gateway: GatewayKind::Ctp,
            settings: AccountSettings::from_json(r#"{"md_address":"tcp://127.0.0.1:1","library":"sim"}"#)
                .expect("settings"),
            password: Secret::new("hunter2".into()),
            priority: 1,
            is_enabled: true,
            suspended: false,
            restart_generation: 0,
            generation: 1,
            description: String::new(),
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }

    #[test]
    fn an_id_is_a_slug() {
        for good in ["a", "ctp-main", "sopt2", &"x".repeat(40)] {
            assert!(good.parse::<AccountId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "CTP", "a_b", "a/b", "主", &"x".repeat(41)] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_front_without_tcp_is_refused_by_name() {
        for bad in
            ["127.0.0.1:41213", "tcp://127.0.0.1", "tcp://:1", "tcp://h:0", "tcp://h:70000", "tcp://h:+1", "ssl://h:1"]
        {
            let error = bad.parse::<FrontAddress>().map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains("tcp://HOST:PORT")), "{bad}: {error:?}");
        }
        assert!("tcp://front-1.broker.example:41213".parse::<FrontAddress>().is_ok());
    }

    #[test]
    fn md_address_is_one_or_a_list_and_unknown_keys_are_named() {
        let two = AccountSettings::from_json(r#"{"md_address":["tcp://a:1","tcp://b:2"],"library":"sim"}"#);
        assert_eq!(two.map(|s| s.md_address.len()), Ok(2));
        for (json, part) in [
            (r#"{"md_address":[],"library":"sim"}"#, "md_address is empty"),
            (r#"{"md_address":"a:1","library":"sim"}"#, "tcp://HOST:PORT"),
            (r#"{"md_address":"tcp://a:1","library":"sim","librari":1}"#, "librari"),
            (r#"{"md_address":"tcp://a:1","library":""}"#, "library has 0 bytes: allowed are 1 to 64"),
        ] {
            let error = AccountSettings::from_json(json).map_err(|e| e.to_string());
            assert!(error.as_ref().is_err_and(|e| e.contains(part)), "{json}: {error:?}");
        }
    }

    #[test]
    fn the_fingerprint_sees_what_a_process_runs_with_and_nothing_else() {
        let base = account();
        let mut other = account();
        other.priority = 9;
        other.description = "moved".into();
        other.generation = 7;
        assert_eq!(base.fingerprint(), other.fingerprint());
        other.password = Secret::new("hunter3".into());
        assert_ne!(base.fingerprint(), other.fingerprint());
        let mut moved = account();
        moved.settings.user_id = "u".into();
        assert_ne!(base.fingerprint(), moved.fingerprint());
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert!(!format!("{:?}", account()).contains("hunter2"));
    }
}
