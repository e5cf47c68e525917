//! Rules that condemn a tick: an ordered list, each a named pure function, each `off`, `shadow` or `on`.
//!
//! The order is that of [`Rule::ALL`]: first whether it is a tick at all, then whether it belongs to this moment, then
//! whether it follows the last one, then what it says. The first rule that is on and condemns it names the reason.
//!
//! A tick without a contract or without an exchange time can be given neither a topic nor a place in the order. It is
//! never published, whatever the mode of its rule; where the rule is `off` or `shadow`, it is counted as
//! [`unpublishable`](crate::RuleVitals::unpublishable) instead of rejected by name.
//!
//! Rules fail open: [`Doubts`] is about calendar and clock, [`Falls`] about every other rule.

mod defiance;
mod doubt;
mod fall;
pub mod rules;

use mdhub_spec::calendar::Phase;
use mdhub_spec::contract::Exchange;
pub use mdhub_spec::plane::Standing;
use mdhub_spec::product::Listing;
use mdhub_spec::settings::{Cleansing, Rule, RuleMode};
use mdhub_spec::tick::Tick;

pub use defiance::Defiance;
pub use doubt::{Doubts, Edge, Subject};
pub use fall::{Fall, Falls};

use crate::normalise::TimeFault;

/// What the rules judge.
#[derive(Debug, Clone, Copy)]
pub enum Candidate<'a> {
    /// A record of a contract that is not in the route table.
    Unknown,
    /// A record whose exchange time cannot be told.
    Untimed(TimeFault),
    /// A tick.
    Timed(&'a Circumstances<'a>),
}

/// A tick, and all that the rules compare it with.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The tick.
    pub tick: &'a Tick,
    /// Its contract's exchange.
    pub exchange: Exchange,
    /// What is known of its contract.
    pub listing: &'a Listing,
    /// What its product does at its exchange time, with [`Thresholds::session_margin_ms`]; `None` where no calendar applies.
    pub phase: Option<Phase>,
    /// When it was received, ms since the epoch; `None` where no clock applies.
    pub received_ms: Option<i64>,
    /// The contract's last published tick.
    pub last: Option<&'a Standing>,
    /// The day's lower and upper limit, by this tick or, where it shows none, by others; NaN where nobody does.
    pub limits: (f64, f64),
    /// How far is too far.
    pub thresholds: &'a Thresholds,
}

/// How far is too far: of section `cleansing`.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// A section begins so much earlier and ends so much later.
    pub session_margin_ms: i64,
    /// A tick may be ahead of its receipt by this much.
    pub ahead_ms_max: i64,
    /// A tick may be behind its receipt by this much.
    pub behind_ms_max: i64,
    /// The price may differ from the last one by this share of it.
    pub jump_share_max: f64,
}

impl From<&Cleansing> for Thresholds {
    fn from(settings: &Cleansing) -> Self {
        Self {
            session_margin_ms: settings.session_margin_ms.cast_signed(),
            ahead_ms_max: settings.ahead_ms_max.cast_signed(),
            behind_ms_max: settings.behind_ms_max.cast_signed(),
            jump_share_max: settings.jump_permille_max as f64 / 1_000.0,
        }
    }
}

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing against it.
    Pass,
    /// This rule would reject it, and is in shadow.
    Shadow(Rule),
    /// This rule rejects it.
    Reject(Rule),
}

/// Some rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleSet(u32);

impl RuleSet {
    /// With `rule` in it too.
    #[must_use]
    pub const fn with(self, rule: Rule) -> Self {
        Self(self.0 | 1 << rule as u32)
    }

    /// Without `rule`.
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u32))
    }

    /// Whether `rule` is in it.
    #[must_use]
    pub const fn contains(self, rule: Rule) -> bool {
        self.0 & 1 << rule as u32 != 0
    }
}

fn condemns(rule: Rule, candidate: &Candidate<'_>) -> bool {
    match candidate {
        Candidate::Unknown => rule == Rule::UnknownContract,
        Candidate::Untimed(fault) => rules::of_fault(*fault) == rule,
        Candidate::Timed(circumstances) => rules::condemns(rule, circumstances),
    }
}

/// The mode of every rule.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    modes: [RuleMode; Rule::ALL.len()],
    fallen: RuleSet,
}

impl From<&Cleansing> for Rules {
    fn from(settings: &Cleansing) -> Self {
        Self { modes: Rule::ALL.map(|rule| settings.mode(rule)), fallen: RuleSet::default() }
    }
}

impl Rules {
    /// What this rule does now, on this exchange. Stock options enter a call auction in the middle of the day after a large
    /// move, which no calendar foresees.
    #[must_use]
    pub fn mode(&self, rule: Rule, exchange: Option<Exchange>) -> RuleMode {
        let mode = self.modes[rule as usize];
        let of_stocks = matches!(exchange, Some(Exchange::Sse | Exchange::Szse));
        let is_soft = self.fallen.contains(rule) || (rule == Rule::CrossedBook && of_stocks);
        if mode == RuleMode::On && is_soft { RuleMode::Shadow } else { mode }
    }

    /// From now on these rules, though on, only look.
    pub const fn set_fallen(&mut self, fallen: RuleSet) {
        self.fallen = fallen;
    }

    /// The first rejection in the order of [`Rule::ALL`] by a rule that is not in `skipped`; without one, the first
    /// objection in shadow.
    #[must_use]
    pub fn judge(&self, candidate: &Candidate<'_>, skipped: RuleSet) -> Judgement {
        let exchange = if let Candidate::Timed(c) = candidate { Some(c.exchange) } else { None };
        let mut judgement = Judgement::Pass;
        for rule in Rule::ALL {
            let mode = self.mode(rule, exchange);
            if mode == RuleMode::Off || skipped.contains(rule) || !condemns(rule, candidate) {
                continue;
            }
            if mode == RuleMode::On {
                return Judgement::Reject(rule);
            }
            if judgement == Judgement::Pass {
                judgement = Judgement::Shadow(rule);
            }
        }
        judgement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(modes: &[(Rule, RuleMode)]) -> Rules {
        Rules::from(&Cleansing { rules: modes.iter().copied().collect(), ..Cleansing::default() })
    }

    fn judged(modes: &[(Rule, RuleMode)], candidate: Candidate<'_>) -> Judgement {
        rules(modes).judge(&candidate, RuleSet::default())
    }

    #[test]
    fn a_rule_in_shadow_only_says_so_and_one_that_is_off_does_not_look() {
        for (rule, candidate) in [
            (Rule::BadTime, Candidate::Untimed(TimeFault::TimeOfDay)),
            (Rule::BadDate, Candidate::Untimed(TimeFault::Date)),
            (Rule::NoTime, Candidate::Untimed(TimeFault::NoTime)),
            (Rule::UnknownContract, Candidate::Unknown),
        ] {
            assert_eq!(judged(&[(rule, RuleMode::Shadow)], candidate), Judgement::Shadow(rule));
            assert_eq!(judged(&[(rule, RuleMode::Off)], candidate), Judgement::Pass);
            assert_eq!(judged(&[(rule, RuleMode::On)], candidate), Judgement::Reject(rule));
            assert_eq!(judged(&[], candidate), Judgement::Reject(rule));
        }
    }

    #[test]
    fn rules_that_need_exact_product_data_only_look_on_unless_asked() {
        let rules = rules(&[(Rule::Jump, RuleMode::On)]);
        for (rule, exchange, expected) in [
            (Rule::BeyondLimits, Exchange::Shfe, RuleMode::Shadow),
            (Rule::OffTickSize, Exchange::Shfe, RuleMode::Shadow),
            (Rule::Jump, Exchange::Shfe, RuleMode::On),
            (Rule::CrossedBook, Exchange::Shfe, RuleMode::On),
            (Rule::CrossedBook, Exchange::Sse, RuleMode::Shadow),
            (Rule::CrossedBook, Exchange::Szse, RuleMode::Shadow),
            (Rule::Absurd, Exchange::Szse, RuleMode::On),
        ] {
            assert_eq!(rules.mode(rule, Some(exchange)), expected, "{rule:?} on {exchange}");
        }
    }

    #[test]
    fn a_fallen_rule_only_looks_on() {
        let mut rules = rules(&[]);
        rules.set_fallen(RuleSet::default().with(Rule::Absurd));
        assert_eq!(rules.mode(Rule::Absurd, None), RuleMode::Shadow);
        assert_eq!(rules.mode(Rule::OutOfSession, None), RuleMode::On);
    }

    #[test]
    fn a_rule_stands_at_its_own_index() {
        for (i, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, i);
        }
    }
}
