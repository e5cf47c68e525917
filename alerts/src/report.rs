//! What the desk hears.

use serde::{Deserialize, Serialize};

/// What an incident is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub struct Cause {
    /// A condition's name, or the place in the source that wrote the line: texts differ, places do not.
    pub name: String,
    /// Whose it is.
    pub account: Option<String>,
}

// One word, so that it can be the key of a JSON object.
impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.account.map_or_else(|| cause.name.clone(), |account| format!("{}@{account}", cause.name))
    }
}

impl From<String> for Cause {
    fn from(word: String) -> Self {
        // An account's id has no @.
        match word.rsplit_once('@') {
            Some((name, account)) => Self { name: name.into(), account: Some(account.into()) },
            None => Self { name: word, account: None },
        }
    }
}

/// One line of the log that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Something is wrong.
    Error {
        /// What it is known by.
        cause: Cause,
        /// For people.
        text: String,
        /// Whether somebody will say when it is over.
        lasts: bool,
    },
    /// It is no longer.
    Over {
        /// What it was known by.
        cause: Cause,
    },
    /// An account is well again: whatever was wrong with it is over.
    AllOver {
        /// Its id.
        account: String,
    },
}
