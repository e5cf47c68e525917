//! The request at the control port that a line is about: the one that was being answered when it was said.

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// What the control port calls the span of a request.
const SPAN: &str = "request";

/// A request's id, kept with its span.
struct RequestId(String);

/// Keeps the id of a request whose span begins.
pub(super) fn keep<S>(attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if attributes.metadata().name() != SPAN {
        return;
    }
    let mut found = Found(None);
    attributes.record(&mut found);
    if let (Some(request), Some(span)) = (found.0, context.span(id)) {
        span.extensions_mut().insert(RequestId(request));
    }
}

/// The id of the request that an event is about.
pub(super) fn of<S>(event: &Event<'_>, context: &Context<'_, S>) -> Option<String>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut spans = context.event_scope(event)?;
    spans.find_map(|span| span.extensions().get::<RequestId>().map(|id| id.0.clone()))
}

struct Found(Option<String>);

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "id" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::{Layer, SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<Option<String>>>>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
        fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            keep(attributes, id, &context);
        }

        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            self.0.lock().expect("sound").push(of(event, &context));
        }
    }

    #[test]
    fn a_line_knows_the_request_that_it_is_said_in() {
        let seen = Seen::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(seen.clone()), || {
            tracing::info!("before");
            let id = String::from("trace-7");
            tracing::info_span!("request", id, path = "/api").in_scope(|| {
                tracing::info!("inside");
                tracing::info_span!("deeper", id = "another").in_scope(|| tracing::info!("deeper"));
            });
            tracing::info!("after");
        });
        let found: Vec<_> = seen.0.lock().expect("sound").drain(..).collect();
        let request = || Some("trace-7".to_owned());
        assert_eq!(found, [None, request(), request(), None]);
    }
}
