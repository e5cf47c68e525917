//! Tells people what the feed found out about ticks: in the log, and as events.

use mdhub_spec::account::AccountId;
use mdhub_spec::plane::{FeedEvent, SourceMask, SourceSlot};
use tracing::{error, info, warn};

use super::Control;

impl Control {
    /// Tells what the feed doubts, which rule fell, and who disagrees with whom.
    pub(crate) fn tell_of_ticks(&self, event: FeedEvent) {
        match event {
            FeedEvent::CalendarDoubt { product, is_on } => self.tell_doubt(product.as_deref(), is_on),
            FeedEvent::CalendarEnded { valid_until } => {
                let message = format!(
                    "the calendar ended with {valid_until}: every weekday trades, and ticks carry flag calendar_doubt; \
                     give calendar.holidays and calendar.valid_until"
                );
                error!("{message}");
                self.hub_event("CalendarEnded", message);
            }
            FeedEvent::RuleFell { rule, is_fallen } => {
                let name = serde_json::json!(rule);
                if is_fallen {
                    let message =
                        format!("rule {name} rejected much of what every source sends: from now on it only counts");
                    error!("{message}");
                    self.hub_event("RuleFell", message);
                } else {
                    info!("rule {name} rejects again");
                    self.hub_event("RuleRose", format!("rule {name} rejects again"));
                }
            }
            FeedEvent::Disagreement { contract, agree, dissent, outvoted } => {
                let outvoted = outvoted.and_then(|slot| self.account_of(slot));
                let verdict = outvoted.map_or_else(
                    || "who is wrong cannot be told".to_owned(),
                    |account| format!("{account} is alone with it"),
                );
                let message = format!(
                    "{contract}: {} show other values than {}: {verdict}",
                    self.names(dissent),
                    self.names(agree)
                );
                warn!("{message}");
                self.hub_event("Disagreement", message);
            }
            FeedEvent::PipeEnded { .. } | FeedEvent::Attached(_) | FeedEvent::Demands(_) => {}
        }
    }

    fn tell_doubt(&self, product: Option<&str>, is_on: bool) {
        let subject = product.map_or_else(|| "this host's clock".to_owned(), |p| format!("the sections of {p}"));
        if is_on {
            let message = format!(
                "{subject} contradict what every source sends: such ticks are forwarded with flag calendar_doubt; \
                 check the clock and section `calendar`"
            );
            error!("{message}");
            self.hub_event("CalendarDoubt", message);
        } else {
            info!("{subject} and the ticks agree again");
            self.hub_event("CalendarDoubtOver", format!("{subject} and the ticks agree again"));
        }
    }

    fn names(&self, sources: SourceMask) -> String {
        let slots = (0..=u8::MAX).map_while(SourceSlot::new).filter(|slot| sources.contains(*slot));
        let names: Vec<String> =
            slots.map(|slot| self.account_of(slot).map_or_else(|| "a former source".into(), String::from)).collect();
        names.join(", ")
    }

    /// Whose place among the sources this is.
    pub(crate) fn account_of(&self, slot: SourceSlot) -> Option<AccountId> {
        let ids: Vec<AccountId> = self.source_vitals().into_keys().collect();
        ids.into_iter().find(|id| self.slot(id) == Some(slot))
    }

    fn hub_event(&self, reason: &str, message: String) {
        self.outbox.hub_event(None, reason, message);
    }
}
