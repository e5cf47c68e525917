//! An account as a file describes it: a `kind: Account` document, or what vnpy keeps for its gateways.
//!
//! ```yaml
//! apiVersion: mdhub/v1
//! kind: Account
//! id: ctp-main
//! gateway: ctp
//! settings: {user_id: "1234", password: "...", broker_id: "9999", md_address: "tcp://HOST:PORT", library: ctp}
//! ```
//!
//! JSON is YAML, too. Of vnpy's `connect_ctp.json` the keys are understood in Chinese, bare or under `connect_setting`; an
//! address without a scheme gets `tcp://`.

use serde::Deserialize;

use super::{AccountError, AccountId, FrontAddress, GatewayKind, Secret};

/// What a file says of an account. Trading fields are read over: this is about market data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDocument {
    /// Its name, where it has one.
    pub id: Option<AccountId>,
    /// Its gateway, where it says so.
    pub gateway: Option<GatewayKind>,
    /// Login name at the broker.
    pub user_id: String,
    /// Password; empty where the file has none.
    pub password: Secret,
    /// The broker's code.
    pub broker_id: String,
    /// Market-data fronts, at least one.
    pub md_address: Vec<FrontAddress>,
    /// Name of an entry of `libraries:` in `mdhub.yaml`, where it has one.
    pub library: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Document(Document),
    Vnpy(Wrapped),
    Bare(Keys),
}

#[derive(Deserialize)]
struct Document {
    kind: Kind,
    id: Option<AccountId>,
    gateway: Option<GatewayKind>,
    settings: Keys,
}

#[derive(Deserialize)]
enum Kind {
    Account,
}

#[derive(Deserialize)]
struct Wrapped {
    connect_setting: Keys,
}

#[derive(Deserialize)]
struct Keys {
    #[serde(default, alias = "用户名")]
    user_id: Text,
    #[serde(default, alias = "密码")]
    password: Text,
    #[serde(default, alias = "经纪商代码")]
    broker_id: Text,
    #[serde(alias = "行情服务器")]
    md_address: OneOrMany,
    library: Option<String>,
}

/// A text, or a number that was meant as one: `broker_id: 9999`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(u64),
}

impl Default for Text {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl AccountDocument {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is missing or not allowed. No value of a secret is in it.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        let settings = |why: &str| AccountError::Settings(why.to_owned());
        let shape =
            "write kind: Account with settings {user_id, password, broker_id, md_address, library}, or vnpy's keys";
        // The reader's own words could quote a password.
        let written: Written = serde_yaml::from_str(text).map_err(|_| settings(shape))?;
        let (id, gateway, keys) = match written {
            Written::Document(Document { kind: Kind::Account, id, gateway, settings }) => (id, gateway, settings),
            Written::Vnpy(Wrapped { connect_setting }) => (None, None, connect_setting),
            Written::Bare(keys) => (None, None, keys),
        };
        let addresses = match keys.md_address {
            OneOrMany::One(address) => vec![address],
            OneOrMany::Many(addresses) => addresses,
        };
        if addresses.is_empty() {
            return Err(settings("md_address is empty: at least one tcp://HOST:PORT is needed"));
        }
        let md_address = addresses.iter().map(|address| with_scheme(address).parse()).collect::<Result<_, _>>()?;
        Ok(Self {
            id,
            gateway,
            user_id: keys.user_id.into(),
            password: Secret::new(keys.password.into()),
            broker_id: keys.broker_id.into(),
            md_address,
            library: keys.library,
        })
    }
}

fn with_scheme(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("tcp://{address}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_and_both_of_vnpys_forms_say_the_same() {
        let document = "apiVersion: mdhub/v1\nkind: Account\nid: ctp-main\ngateway: ctp\nsettings:\n  user_id: '1'\n  password: p\n  broker_id: 9999\n  md_address: ['tcp://a:1']\n  library: ctp\n";
        let bare = r#"{"用户名":"1","密码":"p","经纪商代码":"9999","交易服务器":"x","行情服务器":"a:1","产品名称":"","授权编码":""}"#;
        let wrapped = format!(r#"{{"broker":"b","connect_setting":{bare},"market":"m","name":"n"}}"#);
        let read = |text: &str| AccountDocument::parse(text).expect("understood");
        let full = read(document);
        assert_eq!((full.id.as_ref().map(AccountId::as_str), full.gateway), (Some("ctp-main"), Some(GatewayKind::Ctp)));
        for text in [bare, &wrapped] {
            let same = AccountDocument {
                id: full.id.clone(),
                gateway: full.gateway,
                library: full.library.clone(),
                ..read(text)
            };
            assert_eq!(same, full);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, part) in [
            ("kind: Account\nsettings: {password: hunter2}\n", "md_address"),
            ("kind: Hub\npassword: hunter2\n", "kind: Account"),
            ("settings: [hunter2", "kind: Account"),
            ("md_address: []\npassword: hunter2\n", "md_address is empty"),
            ("md_address: 'udp://a:1'\npassword: hunter2\n", "tcp://HOST:PORT"),
        ] {
            let error = AccountDocument::parse(text).expect_err("refused").to_string();
            assert!(error.contains(part) && !error.contains("hunter2"), "{text:?}: {error}");
        }
    }
}
