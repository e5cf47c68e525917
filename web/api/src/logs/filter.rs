//! Which lines of the log are wanted.

use serde_json::Value;

use super::{LogLevel, LogLine};

/// What a line must be like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogFilter {
    level: Option<LogLevel>,
    account: Option<String>,
    /// In lower case.
    text: Option<String>,
}

impl LogFilter {
    /// What is `None`, or an empty text, leaves nothing out.
    pub(crate) fn new(level: Option<LogLevel>, account: Option<String>, text: Option<&str>) -> Self {
        Self { level, account, text: text.filter(|text| !text.is_empty()).map(str::to_lowercase) }
    }

    pub(crate) fn matches(&self, line: &LogLine) -> bool {
        self.level.is_none_or(|level| line.level <= level)
            && self.account.as_ref().is_none_or(|account| line.account.as_ref() == Some(account))
            && self.text.as_ref().is_none_or(|text| says(line, text))
    }
}

fn says(line: &LogLine, text: &str) -> bool {
    let has = |said: &str| said.to_lowercase().contains(text);
    let in_field = |value: &Value| value.as_str().map_or_else(|| has(&value.to_string()), has);
    has(&line.message) || has(&line.target) || line.fields.iter().any(|(_, value)| in_field(value))
}
