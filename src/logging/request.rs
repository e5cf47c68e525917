//! What was under way when a line was said: a request at the control port that was being answered, or a run of the control loop.

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The spans that a line names: what they are called, there and in the line, and the field that tells one from another.
const SPANS: [(&str, &str); 2] = [("request", "id"), ("run", "key")];

/// What a span is about, and which one: kept with it.
#[derive(Clone)]
struct Named(&'static str, String);

/// Keeps the name of a request or run whose span begins.
pub(super) fn keep<S>(attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some((name, field)) = SPANS.into_iter().find(|(name, _)| attributes.metadata().name() == *name) else { return };
    let mut found = Found { field, value: None };
    attributes.record(&mut found);
    if let (Some(value), Some(span)) = (found.value, context.span(id)) {
        span.extensions_mut().insert(Named(name, value));
    }
}

/// What an event was said in: `request` or `run`, and which.
pub(super) fn of<S>(event: &Event<'_>, context: &Context<'_, S>) -> Option<(&'static str, String)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut spans = context.event_scope(event)?;
    spans.find_map(|span| span.extensions().get::<Named>().map(|Named(name, value)| (*name, value.clone())))
}

struct Found {
    field: &'static str,
    value: Option<String>,
}

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == self.field {
            self.value = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::{Layer, SubscriberExt as _};

    use super::*;

    /// What each event was said in.
    type SaidIn = Vec<Option<(&'static str, String)>>;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<SaidIn>>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
        fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            keep(attributes, id, &context);
        }

        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            self.0.lock().expect("sound").push(of(event, &context));
        }
    }

    #[test]
    fn a_line_knows_the_request_or_the_run_that_it_is_said_in() {
        let seen = Seen::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(seen.clone()), || {
            tracing::info!("before");
            let id = String::from("trace-7");
            tracing::info_span!("request", id, path = "/api").in_scope(|| {
                tracing::info!("inside");
                tracing::info_span!("deeper", id = "another").in_scope(|| tracing::info!("deeper"));
            });
            let key = "ctp-main";
            tracing::info_span!("run", %key).in_scope(|| tracing::info!("run"));
            tracing::info!("after");
        });
        let found: Vec<_> = seen.0.lock().expect("sound").drain(..).collect();
        let request = || Some(("request", "trace-7".to_owned()));
        assert_eq!(found, [None, request(), request(), Some(("run", "ctp-main".to_owned())), None]);
    }
}
