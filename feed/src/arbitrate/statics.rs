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

#[derive(Debug, Clone, Copy)]
struct Values([f64; 3]);

impl Values {
    const ABSENT: Self = Self([f64::NAN; 3]);

    fn of(tick: &Tick) -> Self {
        // Some fronts write zero where there is no limit.
        Self([tick.limit_up, tick.limit_down, tick.pre_settlement].map(|v| if v == 0.0 { f64::NAN } else { v }))
    }

    /// Whether some value is there in both, and different.
    fn contradicts(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| (a - b).abs() > 0.0)
    }

    fn fill(&mut self, other: &Self) {
        for (own, value) in self.0.iter_mut().zip(other.0) {
            if own.is_nan() {
                *own = value;
            }
        }
    }
}

/// One contract's statics of the day.
#[derive(Debug, Clone)]
pub struct Statics {
    trading_day: u32,
    values: Values,
    /// Those who have shown them.
    sources: SourceMask,
    /// How often they were shown.
    support: u8,
    /// What was shown against them since they were last shown, by whom, how often.
    other: Values,
    dissent: SourceMask,
    times: u8,
}

impl Default for Statics {
    fn default() -> Self {
        Self {
            trading_day: 0,
            values: Values::ABSENT,
            sources: SourceMask::NONE,
            support: 0,
            other: Values::ABSENT,
            dissent: SourceMask::NONE,
            times: 0,
        }
    }
}

impl Statics {
    /// Judges a tick's statics, and remembers them. `routed` are the sources that feed the contract now. The first to show
    /// them sets them. They change when all who have shown them show others (one alone as often as it has shown them), or
    /// somebody for long enough; where nobody else could contradict, at once: the last source is never silenced.
    pub fn judge(&mut self, tick: &Tick, source: SourceSlot, routed: SourceMask) -> Option<Dissent> {
        let shown = Values::of(tick);
        if tick.trading_day != self.trading_day {
            if tick.trading_day > self.trading_day {
                self.adopt(shown, SourceMask::NONE.with(source));
                self.trading_day = tick.trading_day;
            }
            return None;
        }
        if !shown.contradicts(&self.values) {
            self.values.fill(&shown);
            self.sources = self.sources.with(source);
            self.support = self.support.saturating_add(1);
            (self.times, self.dissent) = (0, SourceMask::NONE);
            return None;
        }
        if self.times == 0 || shown.contradicts(&self.other) {
            (self.other, self.dissent, self.times) = (shown, SourceMask::NONE, 0);
        }
        self.times = self.times.saturating_add(1);
        self.dissent = self.dissent.with(source);
        let nobody_contradicts = routed.minus(self.dissent).is_empty();
        let all_have_changed = self.sources.and(routed).minus(self.dissent).is_empty()
            && (self.dissent.len() > 1 || self.times >= self.support);
        if nobody_contradicts || all_have_changed || self.times >= INSISTENCE {
            self.adopt(shown, self.dissent);
            return None;
        }
        Some(Dissent { agree: self.sources, dissent: self.dissent })
    }

    fn adopt(&mut self, values: Values, sources: SourceMask) {
        (self.values, self.sources, self.support) = (values, sources, self.times.max(1));
        (self.other, self.dissent, self.times) = (Values::ABSENT, SourceMask::NONE, 0);
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
        let found = refused(&[0, 1], &[(0, f64::NAN), (1, 0.0), (1, 110.0), (0, 111.0), (0, f64::NAN)]);
        assert_eq!(found, [false, false, false, true, false]);
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
