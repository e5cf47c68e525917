//! What clients may say, and how often.

use serde::Deserialize;

use crate::logs::{LogFilter, LogLevel};

/// Messages of one client in one second.
const PER_SECOND_MAX: u32 = 20;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Lines of the log that pass this, from now on.
    Logs(LogFilter),
    /// None any more.
    NoLogs,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Topic {
    Logs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    subscribe: Option<Topic>,
    unsubscribe: Option<Topic>,
    level: Option<LogLevel>,
    account: Option<String>,
    text: Option<String>,
}

impl Asked {
    /// What a message asks for.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub(super) fn read(message: &str) -> Result<Self, String> {
        let told: Message = serde_json::from_str(message).map_err(|e| format!("not understood: {e}"))?;
        match told {
            Message { subscribe: Some(Topic::Logs), unsubscribe: None, level, account, text } => {
                Ok(Self::Logs(LogFilter::new(level, account, text.as_deref())))
            }
            Message { subscribe: None, unsubscribe: Some(Topic::Logs), level: None, account: None, text: None } => {
                Ok(Self::NoLogs)
            }
            _ => Err(r#"not understood: {"subscribe":"logs"} or {"unsubscribe":"logs"}"#.to_owned()),
        }
    }
}

/// Counts a client's messages, second by second.
#[derive(Debug, Default)]
pub(super) struct Pace {
    second: u64,
    said: u32,
}

impl Pace {
    /// Whether one more may be said, so many milliseconds after the beginning.
    pub(super) const fn allows(&mut self, at_ms: u64) -> bool {
        if at_ms / 1_000 != self.second {
            (self.second, self.said) = (at_ms / 1_000, 0);
        }
        self.said += 1;
        self.said <= PER_SECOND_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_understood_or_named() {
        let filter = |level, account: Option<&str>, text| LogFilter::new(level, account.map(str::to_owned), text);
        for (message, expected) in [
            (r#"{"subscribe":"logs"}"#, Some(Asked::Logs(filter(None, None, None)))),
            (
                r#"{"subscribe":"logs","level":"warn","account":"a","text":"X"}"#,
                Some(Asked::Logs(filter(Some(LogLevel::Warn), Some("a"), Some("x")))),
            ),
            (r#"{"subscribe":"logs","level":null,"account":null}"#, Some(Asked::Logs(filter(None, None, None)))),
            (r#"{"unsubscribe":"logs"}"#, Some(Asked::NoLogs)),
            (r#"{"unsubscribe":"logs","level":"warn"}"#, None),
            (r#"{"subscribe":"logs","unsubscribe":"logs"}"#, None),
            (r#"{"subscribe":"ticks"}"#, None),
            (r#"{"subscribe":"logs","levle":"warn"}"#, None),
            (r#"{"subscribe":"logs","level":"loud"}"#, None),
            ("{}", None),
            ("[]", None),
            ("", None),
            ("{\"subscribe\":", None),
        ] {
            let asked = Asked::read(message);
            assert!(asked.as_ref().err().is_none_or(|why| why.starts_with("not understood: ")), "{asked:?}");
            assert_eq!(asked.ok(), expected, "{message}");
        }
    }

    #[test]
    fn twenty_messages_a_second_are_allowed() {
        let mut pace = Pace::default();
        assert_eq!((0..50).filter(|_| pace.allows(5_100)).count(), 20);
        assert_eq!((0..50).filter(|_| pace.allows(6_000)).count(), 20);
    }
}
