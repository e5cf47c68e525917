//! `mdhub.yaml`: what it may hold, and errors that name the place.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::account::AccountId;
use crate::contract::Contract;

mod alerts;
mod arbitration;
mod calendar;
mod canaries;
mod cleansing;
mod health;
mod http;
mod hub_limits;
mod library;
mod number;
mod publish;

pub use alerts::{Alerts, Webhook, WebhookKind};
pub use arbitration::{Arbitration, ArbitrationMode};
pub use calendar::{Calendar, Day, Hours, Product, ProductCode};
pub use canaries::Canaries;
pub use cleansing::{Cleansing, Clock, Rule, RuleMode};
pub use health::Health;
pub use http::Http;
pub use hub_limits::HubLimits;
pub use library::{Library, VnpyClass};
pub use number::Number;
pub use publish::{DemandPolicy, Network, Publish, Sha256, TOKEN_NAME_BYTES_MAX, TOKENS_MAX, Token};

/// A settings file that cannot be used. Shows as `FILE:LINE:COLUMN: FIELD: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}{place}: {field}: {message}")]
pub struct SettingsError {
    /// The file's name, as it was given.
    pub file: String,
    /// `:LINE:COLUMN`, or empty where the fault has no single place.
    pub place: String,
    /// Path of the field in the file, `publish.listen`.
    pub field: String,
    /// What is wrong with which value, and what is allowed.
    pub message: String,
}

/// The whole of `mdhub.yaml`. Everything but the two heads has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `mdhub/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// `Hub`.
    pub kind: Kind,
    /// Where the accounts live.
    #[serde(default)]
    pub database: Database,
    /// The control port.
    #[serde(default)]
    pub http: Http,
    /// The tick socket.
    #[serde(default)]
    pub publish: Publish,
    /// What is subscribed.
    #[serde(default)]
    pub contracts: Contracts,
    /// What always ticks.
    #[serde(default)]
    pub canaries: Canaries,
    /// Which rules judge ticks.
    #[serde(default)]
    pub cleansing: Cleansing,
    /// Which of several copies is published.
    #[serde(default)]
    pub arbitration: Arbitration,
    /// When processes are ended and restarted.
    #[serde(default)]
    pub health: Health,
    /// Which days trade.
    #[serde(default)]
    pub calendar: Calendar,
    /// Vendor libraries, by the names that accounts use.
    #[serde(default)]
    pub libraries: BTreeMap<String, Library>,
    /// Who is told of errors.
    #[serde(default)]
    pub alerts: Alerts,
    /// The hub's own log.
    #[serde(default)]
    pub logging: Logging,
}

/// The one format there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApiVersion {
    /// `mdhub/v1`.
    #[serde(rename = "mdhub/v1")]
    V1,
}

/// The one kind of document that a settings file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `Hub`.
    Hub,
}

/// Section `database`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://PATH`; by default `mdhub.db` in the data directory. `MDHUB_DATABASE_URL` wins over it.
    pub url: Option<String>,
    /// A file that holds the password for `url`, so that the settings need not; relative to the settings file.
    pub password_file: Option<String>,
}

/// An address of the form `tcp://IP:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(pub SocketAddr);

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.strip_prefix("tcp://")
            .and_then(|a| a.parse().ok())
            .map(Self)
            .ok_or_else(|| format!("{s:?} is not allowed: write tcp://IP:PORT, for example tcp://127.0.0.1:5555"))
    }
}

impl From<Endpoint> for String {
    fn from(e: Endpoint) -> Self {
        format!("tcp://{}", e.0)
    }
}

/// Section `contracts`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contracts {
    /// Contracts, each a `vt_symbol`.
    pub list: Vec<Contract>,
    /// Files with one `vt_symbol` a line, `#` begins a comment; relative to the settings file.
    pub files: Vec<String>,
    /// Taken out again.
    pub exclude: Vec<Contract>,
    /// So many sources subscribe each contract, 0 for all of them. Canaries are subscribed at all in any case.
    pub redundancy: u32,
    /// Most contracts of these accounts, canaries among them; those that are not named carry all.
    pub max_by_account: BTreeMap<AccountId, u32>,
}

/// Section `logging`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// A filter such as `info` or `info,mdhub_feed=debug`.
    pub filter: String,
    /// For people or for machines.
    pub format: LogFormat,
    /// Files beside stderr.
    pub file: Option<LogFile>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Human, file: None }
    }
}

impl Logging {
    fn check(&self) -> Result<(), Fault> {
        let Some(file) = &self.file else { return Ok(()) };
        if file.dir.as_ref().is_some_and(|dir| dir.is_empty() || dir.contains('\0')) {
            return Err(("logging.file.dir", "an empty path, or NUL in it, is not allowed: name a directory".into()));
        }
        within("logging.file.max_bytes", file.max_bytes, 4_096, 1 << 40)?;
        within("logging.file.keep", u64::from(file.keep), 0, 1_000)
    }
}

/// The log in files: `mdhub.log`, and as many older ones beside it as are to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogFile {
    /// Where they are; `log` in the data directory where no place is named.
    pub dir: Option<String>,
    /// A longer file is followed by the next, bytes.
    pub max_bytes: u64,
    /// Older files that are kept.
    pub keep: u32,
}

impl Default for LogFile {
    fn default() -> Self {
        Self { dir: None, max_bytes: 16 * 1024 * 1024, keep: 5 }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line.
    Human,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Reads the text of a settings file named `file`.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, SettingsError> {
        let error = |field: &str, message: String| SettingsError {
            file: file.to_owned(),
            place: String::new(),
            field: field.to_owned(),
            message,
        };
        let settings: Self =
            serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|e| {
                let field = e.path().to_string();
                let inner = e.into_inner();
                let place = inner.location().map_or_else(String::new, |l| format!(":{}:{}", l.line(), l.column()));
                let message = inner.to_string();
                // Some messages begin with the field already, or with its section.
                let message = match message.split_once(": ") {
                    Some((head, rest)) if !head.is_empty() && field.starts_with(head) => rest.to_owned(),
                    _ => message,
                };
                SettingsError { place, ..error(if field == "." { "document" } else { &field }, message) }
            })?;
        settings.check().map_err(|(field, message)| error(field, message))?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Fault> {
        self.libraries.iter().try_for_each(|(name, library)| library.check(name))?;
        self.http.check()?;
        self.publish.check()?;
        self.cleansing.check()?;
        self.calendar.check()?;
        self.alerts.check()?;
        self.logging.check()?;
        self.health.check()
    }
}

/// A value that a section does not allow: the field's path, and what is wrong.
type Fault = (&'static str, String);

/// That a number is within its limits, both included.
fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), Fault> {
    if (min..=max).contains(&value) { Ok(()) } else { Err((field, format!("{value} is not allowed: {min} to {max}"))) }
}

impl Contracts {
    /// The contracts to subscribe: `list` and the lines of `files`, given as (name, text), less `exclude`; sorted, each once.
    ///
    /// # Errors
    /// A line that is no `vt_symbol`, with file and line number.
    pub fn resolve<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<BTreeSet<Contract>, SettingsError> {
        let mut all: BTreeSet<Contract> = self.list.iter().cloned().collect();
        for (file, text) in files {
            for (number, line) in text.lines().enumerate() {
                let code = line.split('#').next().unwrap_or_default().trim();
                if !code.is_empty() {
                    all.insert(code.parse().map_err(|e: crate::contract::ContractError| SettingsError {
                        file: file.to_owned(),
                        place: format!(":{}", number + 1),
                        field: "contracts.files".into(),
                        message: e.to_string(),
                    })?);
                }
            }
        }
        for gone in &self.exclude {
            all.remove(gone);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: mdhub/v1\nkind: Hub\n";

    fn refused(rest: &str) -> String {
        Settings::parse("mdhub.yaml", &format!("{HEAD}{rest}")).map_or_else(|e| e.to_string(), |_| "accepted".into())
    }

    #[test]
    fn the_shortest_file_is_safe() {
        let settings = Settings::parse("mdhub.yaml", HEAD).expect("valid");
        assert!(settings.http.listen.ip().is_loopback());
        assert!(settings.publish.listen.0.ip().is_loopback());
    }

    #[test]
    fn a_fault_names_file_line_field_value_and_what_is_allowed() {
        for (rest, parts) in [
            ("publish: {listen: 1}", &["mdhub.yaml:3:", "publish", "listen", "listen"][..]),
            ("publish:\n  listen: 127.0.0.1:5555\n", &["mdhub.yaml:4:", "publish.listen", "tcp://IP:PORT"]),
            ("contracts: {list: [rb2701]}", &["contracts.list[0]", "rb2701", "SHFE"]),
            ("cleansing: {rules: {no_tme: on}}", &["cleansing.rules", "no_tme", "no_time"]),
            ("cleansing: {rules: {no_time: maybe}}", &["no_time", "maybe", "shadow"]),
            ("health: {backoff_min_ms: 5}", &["health.backoff_min_ms", "5 is not allowed", "10 to 60000"]),
            ("health: {backoff_min_ms: 1000, backoff_max_ms: 10}", &["health.backoff_max_ms", "1000 to 3600000"]),
            ("http: {listen: here}", &["mdhub.yaml:3:7: http.listen: \"here\" is not allowed", "IP:PORT"]),
            ("libraries: {ctp: {sha256: x}}", &["libraries.ctp", "path"]),
            ("libraries: {ctp: {path: x, env: {'A=B': '1'}}}", &["libraries", "ctp.env", "A=B", "is not allowed"]),
            ("libraries: {ctp: {path: x, env: {A: \"a\\0b\"}}}", &["libraries", "ctp.env", "NUL"]),
            ("logging: {file: {max_bytes: 5}}", &["logging.file.max_bytes", "5 is not allowed", "4096 to"]),
            ("logging: {file: {keep: 1001}}", &["logging.file.keep", "1001", "0 to 1000"]),
            ("logging: {file: {dir: ''}}", &["logging.file.dir", "empty"]),
            ("logging: {file: {directory: a}}", &["logging.file", "directory", "max_bytes"]),
            ("nonsense: 1", &["nonsense", "contracts"]),
            ("publish: [", &["mdhub.yaml"]),
        ] {
            let message = refused(rest);
            for part in parts {
                assert!(message.contains(part), "{rest:?}: {part:?} is not in {message:?}");
            }
        }
        assert!(Settings::parse("f", "kind: Hub").is_err_and(|e| e.to_string().contains("apiVersion")));
        assert!(
            Settings::parse("f", "apiVersion: mdhub/v2\nkind: Hub").is_err_and(|e| e.to_string().contains("mdhub/v1"))
        );
    }

    #[test]
    fn contracts_come_from_list_and_files_less_exclude() {
        let contracts = Contracts {
            list: vec!["rb2701.SHFE".parse().expect("valid"), "m2705.DCE".parse().expect("valid")],
            files: vec![],
            exclude: vec!["m2705.DCE".parse().expect("valid")],
            ..Contracts::default()
        };
        let all = contracts.resolve([("a.txt", "# night\nau2702.SHFE # gold\n\nrb2701.SHFE\n")]).expect("valid");
        let names: Vec<String> = all.iter().map(Contract::vt_symbol).collect();
        assert_eq!(names, ["au2702.SHFE", "rb2701.SHFE"]);
        let error = contracts.resolve([("a.txt", "au2702.SHFE\nau27\n")]).map_err(|e| e.to_string());
        assert!(error.is_err_and(|e| e.starts_with("a.txt:2: contracts.files") && e.contains("au27")));
    }
}
