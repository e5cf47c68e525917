//! What people are told.

use serde::{Deserialize, Serialize};

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something is wrong.
    Raised,
    /// It goes on.
    Repeated,
    /// It is over.
    Recovered,
    /// What an hour had no room for.
    Digest,
    /// Somebody tries whether alerts arrive.
    Test,
}

/// One message. It has the same form in the file that it waits in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Why.
    pub kind: Kind,
    /// Whose incident it is.
    pub account: Option<String>,
    /// What the incident is known by.
    pub cause: String,
    /// One line.
    pub subject: String,
    /// Some lines.
    pub body: String,
    /// When it was made, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Lines of the log that it stands for.
    pub count: u64,
}

impl Message {
    /// The whole as one text, its subject first, within `bytes_max`.
    #[must_use]
    pub fn text(&self, bytes_max: usize) -> String {
        let mut text = format!("[mdhub] {}\n{}", self.subject, self.body);
        text.truncate(text.floor_char_boundary(bytes_max));
        text
    }
}
