//! Hears the log: a layer of `tracing` that reports errors and their ends.
//!
//! An event may carry these fields:
//!
//! | field | means |
//! |---|---|
//! | `account` | whose it is |
//! | `incident` | what it is known by, where the place in the source is not enough; somebody says `recovers` in the end |
//! | `recovers` | ends the incident of that name and account; `*` ends all of the account |

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::report::{Cause, Report};
use crate::thread::Sink;

/// Bytes of one event's text.
const TEXT_BYTES_MAX: usize = 4_096;
/// The name of every target in this crate: what goes wrong with alerts is no alert.
const OURS: &str = "mdhub_alerts";

/// The layer. It never waits: what the queue has no room for is counted.
#[derive(Debug, Clone)]
pub struct Ear {
    sink: Sink,
    hide: fn(&str) -> String,
}

impl Ear {
    pub(crate) const fn new(sink: Sink) -> Self {
        Self { sink, hide: str::to_owned }
    }

    /// The same; what it hears goes on without what `hide` hides.
    #[must_use]
    pub fn hiding(self, hide: fn(&str) -> String) -> Self {
        Self { hide, ..self }
    }
}

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let is_error = *metadata.level() == Level::ERROR;
        if metadata.target().starts_with(OURS) || !(is_error || metadata.fields().field("recovers").is_some()) {
            return;
        }
        let mut heard = Heard::default();
        event.record(&mut heard);
        heard.text = (self.hide)(&heard.text);
        let place = || format!("{}:{}", metadata.file().unwrap_or("?"), metadata.line().unwrap_or(0));
        if let Some(report) = heard.report(is_error, place) {
            self.sink.report(report);
        }
    }
}

/// The fields of one event.
#[derive(Default)]
struct Heard {
    text: String,
    account: Option<String>,
    incident: Option<String>,
    recovers: Option<String>,
}

impl Heard {
    fn report(self, is_error: bool, place: impl FnOnce() -> String) -> Option<Report> {
        let Self { text, account, incident, recovers } = self;
        if is_error {
            let lasts = incident.is_some();
            let cause = Cause { name: incident.unwrap_or_else(place), account };
            return Some(Report::Error { cause, text, lasts });
        }
        match (recovers?.as_str(), account) {
            ("*", Some(account)) => Some(Report::AllOver { account }),
            ("*" | "", _) => None,
            (name, account) => Some(Report::Over { cause: Cause { name: name.into(), account } }),
        }
    }

    fn take(&mut self, field: &Field, value: &dyn fmt::Display) {
        let value = value.to_string();
        match field.name() {
            "account" => self.account = Some(value),
            "incident" => self.incident = Some(value),
            "recovers" => self.recovers = Some(value),
            _ if self.text.len() >= TEXT_BYTES_MAX => {}
            "message" => self.text.insert_str(0, &format!("{value}\n")),
            name => {
                // Writing to a string cannot fail.
                let _ = writeln!(self.text, "{name}: {value}");
            }
        }
    }
}

impl Visit for Heard {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, &format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::thread::Input;

    fn heard(speak: impl FnOnce()) -> Vec<Report> {
        let (sink, inputs) = Sink::new(8);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Ear::new(sink)), speak);
        let reports =
            inputs.try_iter().filter_map(|input| if let Input::Report(report) = input { Some(report) } else { None });
        reports.collect()
    }

    #[test]
    fn an_error_is_known_by_its_place_and_its_account() {
        let reports = heard(|| {
            for n in 0..2 {
                tracing::error!(target: "mdhub::hub", account = %"ctp-a", code = n, "number {n}");
            }
            tracing::warn!(target: "mdhub::hub", "no error");
            tracing::error!(target: "mdhub_alerts::channel", "our own");
        });
        let [Report::Error { cause: first, text, lasts: false }, Report::Error { cause: second, .. }] = &reports[..]
        else {
            panic!("{reports:?}");
        };
        assert_eq!(first, second);
        assert!(first.name.contains("ear.rs:") && first.account.as_deref() == Some("ctp-a"), "{first:?}");
        assert_eq!(text, "number 0\ncode: 0\n");
    }

    #[test]
    fn an_incident_has_a_name_and_an_end() {
        let reports = heard(|| {
            tracing::error!(target: "mdhub::hub", account = %"ctp-a", incident = "Blocked", "refused");
            tracing::info!(target: "mdhub::hub", account = %"ctp-a", recovers = "Blocked", "logged in");
            tracing::info!(target: "mdhub::hub", account = %"ctp-a", recovers = "*", "well");
            tracing::info!(target: "mdhub::hub", account = %"ctp-a", recovers = "", "nothing");
            tracing::info!(target: "mdhub::hub", recovers = "*", "of nobody");
        });
        let cause = || Cause { name: "Blocked".into(), account: Some("ctp-a".into()) };
        let expected = [
            Report::Error { cause: cause(), text: "refused\n".into(), lasts: true },
            Report::Over { cause: cause() },
            Report::AllOver { account: "ctp-a".into() },
        ];
        assert_eq!(reports, expected);
    }

    #[test]
    fn what_is_to_be_hidden_is_told_to_nobody() {
        let (sink, inputs) = Sink::new(8);
        let ear = Ear::new(sink).hiding(|text| text.replace("hunter2", "[secret]"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(ear), || {
            tracing::error!(target: "mdhub::hub", why = "by hunter2", "hunter2 is wrong");
        });
        let Some(Input::Report(Report::Error { text, .. })) = inputs.try_iter().next() else { panic!("nothing") };
        assert_eq!(text, "[secret] is wrong\nwhy: by [secret]\n");
    }

    #[test]
    fn a_full_queue_counts_and_does_not_wait() {
        let (sink, reports) = Sink::new(1);
        let subscriber = tracing_subscriber::registry().with(Ear::new(sink.clone()));
        tracing::subscriber::with_default(subscriber, || {
            (0..5).for_each(|_| tracing::error!(target: "mdhub::hub", "again"))
        });
        assert_eq!((reports.try_iter().count(), sink.lost()), (1, 4));
    }
}
