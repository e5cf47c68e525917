//! What the engine tells control. Rare: none of it is on a tick's usual way.

use jiff::civil::Date;
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::FeedEvent;
use mdhub_spec::time::Mono;

use crate::arbitrate::Dispute;
use crate::cleanse::{Edge, Fall};

/// Most events that wait.
const WAITING_MAX: usize = 64;
/// Disagreements are told at most so often.
const DISAGREEMENT_EVERY_MS: u64 = 1_000;

/// Events that wait to be told.
#[derive(Debug, Default)]
pub(super) struct News {
    waiting: Vec<FeedEvent>,
    dropped: u64,
    disagreed_at: Option<Mono>,
    has_told_the_end: bool,
}

impl News {
    fn put(&mut self, event: FeedEvent) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(event);
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn fell(&mut self, fall: Fall) {
        self.put(FeedEvent::RuleFell { rule: fall.rule, is_fallen: fall.is_fallen });
    }

    /// `product` is the name of the one whose sections are doubted; `None` for the clock.
    pub(super) fn doubt(&mut self, product: Option<&str>, edge: Edge) {
        self.put(FeedEvent::CalendarDoubt { product: product.map(str::to_owned), is_on: edge == Edge::Began });
    }

    /// Ticks are of days that the calendar does not know: told once.
    pub(super) fn calendar_ended(&mut self, valid_until: Date) {
        if !std::mem::replace(&mut self.has_told_the_end, true) {
            self.put(FeedEvent::CalendarEnded { valid_until });
        }
    }

    /// Another calendar: its end is told anew.
    pub(super) const fn calendar_changed(&mut self) {
        self.has_told_the_end = false;
    }

    pub(super) fn disagreed(&mut self, contract: &Contract, dispute: Dispute, now: Mono) {
        let is_soon = self.disagreed_at.is_some_and(|at| now.ms_since(at) < DISAGREEMENT_EVERY_MS);
        if is_soon {
            return;
        }
        self.disagreed_at = Some(now);
        self.put(FeedEvent::Disagreement {
            contract: contract.clone(),
            agree: dispute.agree,
            dissent: dispute.dissent,
            outvoted: dispute.outvoted(),
        });
    }

    /// Tells what waits; how many events there was no room for since the last time.
    pub(super) fn take(&mut self, tell: &mut dyn FnMut(FeedEvent)) -> u64 {
        self.waiting.drain(..).for_each(tell);
        std::mem::take(&mut self.dropped)
    }
}
