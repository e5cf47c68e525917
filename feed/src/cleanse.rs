//! Rules that condemn a tick: an ordered list, each a named pure function, each `off`, `shadow` or `on`.
//!
//! A tick without a contract or without an exchange time can be given neither a topic nor a place in the order. It is
//! never published, whatever the mode of its rule; where the rule is `off` or `shadow`, it is counted as
//! [`unpublishable`](crate::RuleVitals::unpublishable) instead of rejected by name.

use std::collections::BTreeMap;

use mdhub_spec::settings::{Rule, RuleMode};
use mdhub_spec::tick::Tick;

use crate::normalise::TimeFault;

/// What the rules judge.
#[derive(Debug, Clone, Copy)]
pub enum Candidate<'a> {
    /// A record of a contract that is not in the route table.
    Unknown,
    /// A record whose exchange time cannot be told.
    Untimed(TimeFault),
    /// A tick.
    Timed(&'a Tick),
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

/// Nobody asked for this contract.
#[must_use]
pub const fn unknown_contract(candidate: &Candidate<'_>) -> bool {
    matches!(candidate, Candidate::Unknown)
}

/// The exchange wrote no time: a contract that has not opened yet.
#[must_use]
pub const fn no_time(candidate: &Candidate<'_>) -> bool {
    matches!(candidate, Candidate::Untimed(TimeFault::NoTime))
}

/// A time of day, a millisecond or a date that there is not.
#[must_use]
pub const fn bad_time(candidate: &Candidate<'_>) -> bool {
    matches!(candidate, Candidate::Untimed(TimeFault::TimeOfDay | TimeFault::Millisecond | TimeFault::Date))
}

const fn condemns(rule: Rule, candidate: &Candidate<'_>) -> bool {
    match rule {
        Rule::UnknownContract => unknown_contract(candidate),
        Rule::NoTime => no_time(candidate),
        Rule::BadTime => bad_time(candidate),
        _ => false,
    }
}

/// The mode of every rule.
#[derive(Debug, Clone, Copy)]
pub struct Rules([RuleMode; Rule::ALL.len()]);

impl From<&BTreeMap<Rule, RuleMode>> for Rules {
    /// A rule that is not named is on.
    fn from(modes: &BTreeMap<Rule, RuleMode>) -> Self {
        Self(Rule::ALL.map(|rule| modes.get(&rule).copied().unwrap_or_default()))
    }
}

impl Rules {
    /// The first rejection in the order of [`Rule::ALL`]; without one, the first objection in shadow.
    #[must_use]
    pub fn judge(&self, candidate: &Candidate<'_>) -> Judgement {
        let mut judgement = Judgement::Pass;
        for rule in Rule::ALL {
            let mode = self.0[rule as usize];
            if mode == RuleMode::Off || !condemns(rule, candidate) {
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
    use mdhub_spec::calendar::TradingCalendar;
    use mdhub_spec::contract::Exchange;
    use mdhub_spec::plane::Dialect;
    use mdhub_spec::raw_tick::{RawTick, field};

    use super::*;
    use crate::normalise::{DateCache, DayRule, normalise};

    fn judged(modes: &[(Rule, RuleMode)], raw: Option<&RawTick>) -> Judgement {
        let rules = Rules::from(&modes.iter().copied().collect::<BTreeMap<_, _>>());
        let days = DayRule { calendar: TradingCalendar::shipped(), always_open: false };
        let Some(raw) = raw else { return rules.judge(&Candidate::Unknown) };
        match normalise(raw, Dialect::Ctp, Exchange::Shfe, &days, &mut DateCache::default()) {
            Ok(tick) => rules.judge(&Candidate::Timed(&tick)),
            Err(fault) => rules.judge(&Candidate::Untimed(fault)),
        }
    }

    fn raw(day: &str, time: &str, ms: i32) -> RawTick {
        RawTick {
            trading_day: field(day.as_bytes()),
            update_time: field(time.as_bytes()),
            update_ms: ms.into(),
            ..RawTick::default()
        }
    }

    #[test]
    fn each_rule_condemns_its_own_examples_and_no_good_tick() {
        use Judgement::{Pass, Reject};
        for (day, time, ms, expected) in [
            ("20261118", "", 0, Reject(Rule::NoTime)),
            ("", "", 0, Reject(Rule::NoTime)),
            ("20261118", "99:99:99", 0, Reject(Rule::BadTime)),
            ("20261118", "        ", 0, Reject(Rule::BadTime)),
            ("20261118", "09:00", 0, Reject(Rule::BadTime)),
            ("20261118", "09:00:00", 1000, Reject(Rule::BadTime)),
            ("20261118", "09:00:00", i32::MAX, Reject(Rule::BadTime)),
            ("20261132", "09:00:00", 0, Reject(Rule::BadTime)),
            ("", "09:00:00", 0, Reject(Rule::BadTime)),
            ("20261118", "09:00:00", 0, Pass),
            ("20261118", "00:00:00", 999, Pass),
        ] {
            assert_eq!(judged(&[], Some(&raw(day, time, ms))), expected, "{day:?} {time:?} {ms}");
        }
        assert_eq!(judged(&[], None), Reject(Rule::UnknownContract));
    }

    #[test]
    fn a_rule_in_shadow_only_says_so_and_one_that_is_off_does_not_look() {
        let (bad, none) = (raw("20261118", "99:99:99", 0), raw("20261118", "", 0));
        for (rule, record) in [(Rule::BadTime, Some(&bad)), (Rule::NoTime, Some(&none)), (Rule::UnknownContract, None)]
        {
            assert_eq!(judged(&[(rule, RuleMode::Shadow)], record), Judgement::Shadow(rule));
            assert_eq!(judged(&[(rule, RuleMode::Off)], record), Judgement::Pass);
            assert_eq!(judged(&[(rule, RuleMode::On)], record), Judgement::Reject(rule));
        }
    }

    #[test]
    fn a_rule_stands_at_its_own_index() {
        for (i, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, i);
        }
    }
}
