//! What is constant over a trading day: its limits, and yesterday's settlement. Every front has it from the exchange, so one
//! that shows it otherwise shows something else otherwise too.

use mdhub_spec::plane::{SourceMask, SourceSlot};
use mdhub_spec::tick::Tick;

/// So many ticks in a row with the same other statics, and nobody who contradicts: then they have changed.
const INSISTENCE: u8 = 20;

/// A tick whose statics are not those of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dissent {
    /// Those who have shown what holds.
    pub agree: SourceMask,
    /// Those who have lately shown what this tick shows.
    pub dissent: SourceMask,
}

/// Upper limit, lower limit, yesterday's settlement; NaN where one is not shown.
type Values = [f64; 3];

const ABSENT: Values = [f64::NAN; 3];

fn values(tick: &Tick) -> Values {
    // Some fronts write zeros where there are no limits; one of a difference may be zero, both cannot.
    let has_none = tick.limit_up == 0.0 && tick.limit_down == 0.0;
    let limit = |value: f64| if has_none { f64::NAN } else { value };
    let pre_settlement = if tick.pre_settlement == 0.0 { f64::NAN } else { tick.pre_settlement };
    [limit(tick.limit_up), limit(tick.limit_down), pre_settlement]
}

/// Whether both are there, and different.
fn differ(a: f64, b: f64) -> bool {
    (a - b).abs() > 0.0
}

fn contradict(a: &Values, b: &Values) -> bool {
    a.iter().zip(b).any(|(a, b)| differ(*a, *b))
}

/// One value of the day.
#[derive(Debug, Clone, Copy)]
struct Fact {
    /// NaN as long as nobody has shown it.
    value: f64,
    /// Those who have shown it.
    sources: SourceMask,
    /// How often they have.
    support: u8,
}

impl Fact {
    const UNKNOWN: Self = Self { value: f64::NAN, sources: SourceMask::NONE, support: 0 };
}

/// One contract's statics of the day.
#[derive(Debug, Clone)]
pub struct Statics {
    trading_day: u32,
    facts: [Fact; 3],
    /// What was shown against them since they were last shown, by whom, how often.
    other: Values,
    dissent: SourceMask,
    times: u8,
}

impl Default for Statics {
    fn default() -> Self {
        Self { trading_day: 0, facts: [Fact::UNKNOWN; 3], other: ABSENT, dissent: SourceMask::NONE, times: 0 }
    }
}

impl Statics {
    /// Judges a tick's statics, and remembers them. `routed` are the sources that feed the contract now. The first to show
    /// them sets them. They change when all who have shown them show others (one alone as often as it has shown them), or
    /// somebody for long enough; where nobody else could contradict, at once: the last source is never silenced.
    pub fn judge(&mut self, tick: &Tick, source: SourceSlot, routed: SourceMask) -> Option<Dissent> {
        let shown = values(tick);
        if tick.trading_day < self.trading_day {
            return None;
        }
        if tick.trading_day > self.trading_day {
            *self = Self { trading_day: tick.trading_day, ..Self::default() };
        }
        let disputed = || self.facts.iter().zip(shown).filter(|(fact, value)| differ(fact.value, *value));
        let agree = disputed().fold(SourceMask::NONE, |mask, (fact, _)| mask.or(fact.sources));
        let support = disputed().map(|(fact, _)| fact.support).max().unwrap_or(0);
        if agree.is_empty() {
            self.confirm(&shown, SourceMask::NONE.with(source));
            return None;
        }
        if self.times == 0 || contradict(&shown, &self.other) {
            (self.other, self.dissent, self.times) = (shown, SourceMask::NONE, 0);
        }
        self.times = self.times.saturating_add(1);
        self.dissent = self.dissent.with(source);
        let nobody_contradicts = routed.minus(self.dissent).is_empty();
        let all_have_changed =
            agree.and(routed).minus(self.dissent).is_empty() && (self.dissent.len() > 1 || self.times >= support);
        if nobody_contradicts || all_have_changed || self.times >= INSISTENCE {
            for (fact, value) in self.facts.iter_mut().zip(shown).filter(|(fact, value)| differ(fact.value, *value)) {
                // This tick is counted with what it confirms.
                *fact = Fact { value, sources: self.dissent, support: self.times - 1 };
            }
            self.confirm(&shown, SourceMask::NONE.with(source));
            return None;
        }
        Some(Dissent { agree, dissent: self.dissent })
    }

    /// Lower and upper limit of the tick's day: its own, or those that others have shown; NaN where nobody has.
    #[must_use]
    pub fn limits(&self, tick: &Tick) -> (f64, f64) {
        let [up, down, _] = values(tick);
        if tick.trading_day != self.trading_day {
            return (down, up);
        }
        let or = |own: f64, fact: Fact| if own.is_nan() { fact.value } else { own };
        (or(down, self.facts[1]), or(up, self.facts[0]))
    }

    /// What is shown contradicts nothing.
    fn confirm(&mut self, shown: &Values, source: SourceMask) {
        for (fact, value) in self.facts.iter_mut().zip(shown).filter(|(_, value)| !value.is_nan()) {
            fact.value = *value;
            fact.sources = fact.sources.or(source);
            fact.support = fact.support.saturating_add(1);
        }
        (self.other, self.dissent, self.times) = (ABSENT, SourceMask::NONE, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleanse::rules::tests::tick;

    fn slot(index: u8) -> SourceSlot {
        SourceSlot::new(index).expect("a slot")
    }

    fn mask(slots: &[u8]) -> SourceMask {
        slots.iter().fold(SourceMask::NONE, |mask, index| mask.with(slot(*index)))
    }

    /// Whether each (source, upper limit) is refused.
    fn refused(routed: &[u8], shown: &[(u8, f64)]) -> Vec<bool> {
        let mut statics = Statics::default();
        let judge = |(source, limit_up): &(u8, f64)| {
            let tick = Tick { limit_up: *limit_up, ..tick() };
            statics.judge(&tick, slot(*source), mask(routed)).is_some()
        };
        shown.iter().map(judge).collect()
    }

    #[test]
    fn a_source_that_shows_other_limits_is_refused_until_it_shows_the_days() {
        let found = refused(&[0, 1], &[(0, 110.0), (1, 110.0), (1, 111.0), (0, 110.0), (1, 110.0)]);
        assert_eq!(found, [false, false, true, false, false]);
        let found = refused(&[0, 1], &[(0, 110.0), (1, 111.0), (0, 110.0), (1, 111.0)]);
        assert_eq!(found, [false, true, false, true]);
    }

    #[test]
    fn what_is_absent_contradicts_nothing_and_is_filled_in_later() {
        let found = refused(&[0, 1], &[(0, f64::NAN), (1, f64::NAN), (1, 110.0), (0, 111.0), (0, f64::NAN)]);
        assert_eq!(found, [false, false, false, true, false]);
        let shown = [(0, f64::NAN), (1, 110.0), (1, 110.0), (0, 111.0), (0, f64::NAN), (0, 110.0), (1, 111.0)];
        assert_eq!(refused(&[0, 1], &shown), [false, false, false, true, false, false, true]);
    }

    #[test]
    fn a_tick_without_limits_has_those_that_others_have_shown() {
        let mut statics = Statics::default();
        let limited = |limit_down, limit_up, trading_day| Tick { limit_down, limit_up, trading_day, ..tick() };
        statics.judge(&limited(90.0, 110.0, 20_261_118), slot(0), mask(&[0, 1]));
        assert_eq!(statics.limits(&limited(0.0, 0.0, 20_261_118)), (90.0, 110.0));
        assert_eq!(statics.limits(&limited(f64::NAN, 0.0, 20_261_118)), (90.0, 0.0));
        assert_eq!(statics.limits(&limited(91.0, f64::NAN, 20_261_118)), (91.0, 110.0));
        assert!(statics.limits(&limited(f64::NAN, f64::NAN, 20_261_119)).0.is_nan());
    }

    #[test]
    fn the_last_source_is_never_silenced() {
        assert_eq!(refused(&[0], &[(0, 110.0), (0, 111.0)]), [false, false]);
        assert_eq!(refused(&[1], &[(0, 110.0), (1, 111.0)]), [false, false], "source 0 is fenced meanwhile");
        let shown: Vec<_> = std::iter::once((0, 110.0)).chain(std::iter::repeat_n((1, 111.0), 30)).collect();
        let found = refused(&[0, 1], &shown);
        assert_eq!(found.iter().filter(|refused| **refused).count(), usize::from(INSISTENCE) - 1, "source 0 is silent");
    }

    #[test]
    fn limits_change_when_all_who_have_shown_them_say_so() {
        let found = refused(&[0, 1], &[(0, 110.0), (1, 110.0), (0, 120.0), (1, 120.0), (0, 120.0), (1, 110.0)]);
        assert_eq!(found, [false, false, true, false, false, true]);
    }

    #[test]
    fn who_alone_has_shown_them_changes_them_by_showing_others_as_often() {
        let found = refused(&[0, 1], &[(0, 110.0), (0, 111.0), (0, 110.0), (0, 110.0), (0, 111.0), (0, 110.0)]);
        assert_eq!(found, [false, false, false, false, true, false]);
    }

    #[test]
    fn a_new_trading_day_has_limits_of_its_own_and_an_earlier_one_says_nothing() {
        let mut statics = Statics::default();
        let day = |trading_day, limit_up| Tick { trading_day, limit_up, ..tick() };
        assert_eq!(statics.judge(&day(20_261_118, 110.0), slot(0), mask(&[0, 1])), None);
        assert_eq!(statics.judge(&day(20_261_119, 120.0), slot(1), mask(&[0, 1])), None);
        assert_eq!(statics.judge(&day(20_261_118, 110.0), slot(0), mask(&[0, 1])), None);
        assert!(statics.judge(&day(20_261_119, 110.0), slot(0), mask(&[0, 1])).is_some());
    }
}
