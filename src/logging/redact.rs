//! What no line may say: passwords.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;
use zeroize::Zeroizing;

use super::heard::Heard;

/// Shorter ones are not looked for: they are in half of all words.
const SECRET_BYTES_MIN: usize = 4;
/// Most secrets that are known; the oldest are forgotten.
const SECRETS_MAX: usize = 512;
/// What stands in their place.
const HIDDEN: &str = "[secret]";
/// A field of a name that has one of these in it is one.
const SECRET_NAMES: [&str; 8] =
    ["password", "passwd", "secret", "token", "authorization", "cookie", "auth_code", "密码"];

/// Those of this process; the log is its, too.
pub(crate) static SECRETS: Secrets = Secrets::new();

/// The secrets that are known now, and those that were: a process that is being ended may still say its own.
pub(crate) struct Secrets(RwLock<VecDeque<Known>>);

struct Known {
    text: Zeroizing<String>,
    /// As it stands in quotes.
    quoted: Zeroizing<String>,
}

impl Secrets {
    const fn new() -> Self {
        Self(RwLock::new(VecDeque::new()))
    }

    /// From now on no line says these.
    pub(crate) fn know<'a>(&self, secrets: impl Iterator<Item = &'a str>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.filter(|secret| secret.len() >= SECRET_BYTES_MIN) {
            known.retain(|old| *old.text != *secret);
            if known.len() == SECRETS_MAX {
                known.pop_front();
            }
            let quoted = Zeroizing::new(secret.escape_debug().to_string());
            known.push_back(Known { text: Zeroizing::new(secret.to_owned()), quoted });
        }
    }

    /// A text without them.
    pub(crate) fn hidden(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.hide(&mut text);
        text
    }

    /// Hides them in every text of a document.
    pub(crate) fn hide_in_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.hide(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_in_value(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.hide_in_value(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn hide(&self, text: &mut String) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for Known { text: secret, quoted } in known.iter() {
            for form in [secret, quoted] {
                if text.contains(form.as_str()) {
                    *text = text.replace(form.as_str(), HIDDEN);
                }
            }
        }
    }

    pub(super) fn hide_in(&self, heard: &mut Heard) {
        for (name, text) in heard.texts_mut() {
            if SECRET_NAMES.iter().any(|secret| name.to_ascii_lowercase().contains(secret)) {
                HIDDEN.clone_into(text);
            } else {
                self.hide(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::super::heard::Said;
    use super::*;

    #[test]
    fn a_known_secret_is_hidden_wherever_it_stands_also_when_it_is_a_former_one() {
        let secrets = Secrets::new();
        secrets.know(["hunter2", "qu\"ote\\d", "ab", "hunter2"].into_iter());
        secrets.know(std::iter::once("another"));
        for (text, expected) in [
            ("login hunter2, hunter22", "login [secret], [secret]2"),
            ("in \"qu\\\"ote\\\\d\"", "in \"[secret]\""),
            ("qu\"ote\\d", "[secret]"),
            ("about another", "about [secret]"),
            ("ab", "ab"),
        ] {
            assert_eq!(secrets.hidden(text), expected);
        }
        secrets.know(
            (0..SECRETS_MAX + 5).map(|n| format!("secret-{n:04}")).collect::<Vec<_>>().iter().map(String::as_str),
        );
        assert_eq!(secrets.0.read().expect("whole").len(), SECRETS_MAX);
    }

    #[test]
    fn a_field_that_is_named_a_secret_is_hidden_whatever_it_says() {
        let secrets = Secrets::new();
        secrets.know(std::iter::once("hunter2"));
        let text = |text: &str| Said::Text(text.into());
        let fields = vec![
            ("smtp_password", text("x")),
            ("why", Said::Shown("Some(\"hunter2\")".into())),
            ("n", Said::Plain(1.into())),
        ];
        let mut heard =
            Heard { wall_ns: 0, level: Level::INFO, target: "t".into(), message: "hunter2!".into(), fields, place: 0 };
        secrets.hide_in(&mut heard);
        let shown = Said::Shown("Some(\"[secret]\")".into());
        assert_eq!(heard.fields, [("smtp_password", text(HIDDEN)), ("why", shown), ("n", Said::Plain(1.into()))]);
        assert_eq!(heard.message, "[secret]!");
    }
}
