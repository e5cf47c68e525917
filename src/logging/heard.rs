//! What was said: one event of `tracing`, with its text in the forms that people and machines read.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use mdhub_api::{LogLevel, LogLine};
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// Longest text of one field, bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// What the bridge from the crate `log` adds to its events.
const FOREIGN: &str = "log.";
/// Whose lines were somebody else's first: a place of ours says what many places of theirs do.
const PASSED_ON: &str = "mdhub_gateways::manager::stderr";

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// A text that was given as one; in quotes for people.
    Text(String),
    /// What something says of itself.
    Shown(String),
    /// A number or a truth value.
    Plain(Value),
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    /// Nanoseconds since the epoch, `CLOCK_REALTIME`.
    pub(super) wall_ns: u64,
    pub(super) level: Level,
    pub(super) target: Cow<'static, str>,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, Said)>,
    /// What tells the place that says it, and about whom, from another.
    pub(super) place: u64,
}

impl Heard {
    pub(super) fn new(event: &Event<'_>, wall_ns: u64) -> Self {
        let metadata = event.metadata();
        let target = Cow::Borrowed(metadata.target());
        let mut heard =
            Self { wall_ns, level: *metadata.level(), target, message: String::new(), fields: Vec::new(), place: 0 };
        event.record(&mut heard);
        let mut place = DefaultHasher::new();
        metadata.callsite().hash(&mut place);
        heard.text("account").hash(&mut place);
        if metadata.target() == PASSED_ON {
            heard.message.bytes().filter(|byte| !byte.is_ascii_digit()).for_each(|byte| place.write_u8(byte));
        }
        heard.place = place.finish();
        heard
    }

    /// It was said while this request was being answered, or in this run.
    pub(super) fn said_in(&mut self, under_way: Option<(&'static str, String)>) {
        self.fields.extend(under_way.map(|(what, which)| (what, Said::Shown(which))));
    }

    /// A field that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == name).and_then(|(_, said)| said.text())
    }

    /// Every text in it.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        let fields = self.fields.iter_mut().filter_map(|(name, said)| match said {
            Said::Text(text) | Said::Shown(text) => Some((*name, text)),
            Said::Plain(_) => None,
        });
        fields.chain([("message", &mut self.message)])
    }

    /// One line for people.
    pub(super) fn human(&self) -> String {
        let Self { level, target, message, fields, .. } = self;
        let mut line = format!("{} {level:>5} {target}:", self.timestamp());
        if !message.is_empty() {
            line.push(' ');
            message.chars().for_each(|c| push_harmless(&mut line, c));
        }
        for (name, said) in fields {
            // Writing to a string cannot fail.
            let _ = match said {
                Said::Text(text) => write!(line, " {name}={text:?}"),
                Said::Plain(value) => write!(line, " {name}={value}"),
                Said::Shown(text) => {
                    let _ = write!(line, " {name}=");
                    text.chars().for_each(|c| push_harmless(&mut line, c));
                    Ok(())
                }
            };
        }
        line.push('\n');
        line
    }

    /// One JSON object.
    pub(super) fn json(&self) -> String {
        let mut fields: Map<String, Value> = self.fields.iter().map(|(n, v)| ((*n).to_owned(), v.value())).collect();
        fields.insert("message".into(), self.message.clone().into());
        let whole = json!({
            "timestamp": self.timestamp(), "level": self.level.as_str(), "fields": fields, "target": self.target,
        });
        format!("{whole}\n")
    }

    /// For the ring; it gets its number there.
    pub(super) fn line(self) -> LogLine {
        let (account, incarnation) = (self.text("account"), self.text("incarnation"));
        let (account, incarnation) = (account.map(str::to_owned), incarnation.map(str::to_owned));
        let level = match self.level {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        let others = self.fields.into_iter().filter(|(name, _)| !["account", "incarnation"].contains(name));
        LogLine {
            seq: 0,
            at_ms: i64::try_from(self.wall_ns / 1_000_000).unwrap_or(i64::MAX),
            level,
            target: self.target,
            message: self.message,
            account,
            incarnation,
            fields: others.map(|(name, said)| (Cow::Borrowed(name), said.value())).collect(),
        }
    }

    fn timestamp(&self) -> String {
        let at = Timestamp::from_nanosecond(i128::from(self.wall_ns)).unwrap_or_default();
        format!("{at:.6}")
    }

    fn take(&mut self, field: &Field, said: Said) {
        match (field.name(), said) {
            ("message", Said::Text(text) | Said::Shown(text)) => self.message = text,
            ("log.target", Said::Text(text) | Said::Shown(text)) => self.target = text.into(),
            (name, _) if name.starts_with(FOREIGN) => {}
            (name, said) => self.fields.push((name, said)),
        }
    }
}

impl Said {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Shown(text) => Some(text),
            Self::Plain(_) => None,
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Text(text) | Self::Shown(text) => text.clone().into(),
            Self::Plain(value) => value.clone(),
        }
    }
}

impl Visit for Heard {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, Said::Text(cut(value.to_owned())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, Said::Shown(cut(format!("{value:?}"))));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, Said::Plain(value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, Said::Plain(value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.take(field, Said::Plain(value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, Said::Plain(value.into()));
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

/// What would be a command to a terminal is spelled out. Lines of a message stay lines.
fn push_harmless(line: &mut String, c: char) {
    if c.is_control() && !matches!(c, '\n' | '\t') {
        line.extend(c.escape_default());
    } else {
        line.push(c);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    use super::*;

    struct Last(std::sync::Arc<Mutex<Vec<Heard>>>);

    impl<S: tracing::Subscriber> Layer<S> for Last {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().expect("whole").push(Heard::new(event, 1_795_424_006_996_193_730));
        }
    }

    fn heard(speak: impl FnOnce()) -> Vec<Heard> {
        let all = std::sync::Arc::<Mutex<Vec<Heard>>>::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Last(all.clone())), speak);
        let mut all = all.lock().expect("whole");
        std::mem::take(&mut *all)
    }

    #[test]
    fn people_and_machines_read_the_same() {
        let all = heard(|| {
            let why = "no \"route\"";
            tracing::warn!(target: "mdhub::hub", account = %"ctp-a", why, code = 7, is_sick = true, "lost\x1b[31m {}", 1);
        });
        assert_eq!(
            all[0].human(),
            "2026-11-23T08:53:26.996193Z  WARN mdhub::hub: lost\\u{1b}[31m 1 account=ctp-a why=\"no \\\"route\\\"\" code=7 is_sick=true\n"
        );
        let json: Value = serde_json::from_str(&all[0].json()).expect("JSON");
        let fields =
            json!({"message": "lost\x1b[31m 1", "account": "ctp-a", "why": "no \"route\"", "code": 7, "is_sick": true});
        assert_eq!(json["fields"], fields);
        assert_eq!((&json["level"], &json["target"]), (&json!("WARN"), &json!("mdhub::hub")));
        let line = all[0].clone().line();
        assert_eq!(
            (line.account.as_deref(), line.at_ms, line.level),
            (Some("ctp-a"), 1_795_424_006_996, LogLevel::Warn)
        );
        let names: Vec<_> = line.fields.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["why", "code", "is_sick"]);
    }

    #[test]
    fn a_place_is_told_by_its_account_and_a_workers_by_its_words_but_not_their_numbers() {
        let say =
            |account: &str, text: &str| tracing::info!(target: "mdhub_gateways::manager::stderr", account, "{text}");
        let all = heard(|| {
            say("a", "error 17 of front 2");
            say("a", "error 4 of front 11");
            say("b", "error 4 of front 11");
            say("a", "other words");
            for account in ["a", "a", "b"] {
                tracing::info!(target: "mdhub::hub", account, "{}", rand(account));
            }
        });
        let place: Vec<u64> = all.iter().map(|heard| heard.place).collect();
        assert_eq!(place[0], place[1]);
        assert!(place[1] != place[2] && place[1] != place[3]);
        assert_eq!(place[4], place[5]);
        assert!(place[5] != place[6]);
    }

    fn rand(of: &str) -> String {
        format!("{of} {:p}", &raw const of)
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let all = heard(|| tracing::info!(long = "字".repeat(TEXT_BYTES_MAX), "x"));
        let Said::Text(text) = &all[0].fields[0].1 else { panic!("a text") };
        assert!(text.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && text.ends_with("字…"));
    }
}
