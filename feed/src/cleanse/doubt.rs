//! Whether calendar or clock are to be doubted: when every source sends advancing ticks that they would reject.
//!
//! A wrong host clock and an expired calendar look like this: the ticks of **every** source are condemned, and their
//! exchange time advances **as fast as the clock**. A front that brings a whole night again advances a thousand times
//! faster, closing snapshots that are sent again do not advance at all, and where one source replays, the others pass.
//! So the first two are forwarded, flagged, and the others are not.

use mdhub_spec::plane::{SOURCES_MAX, SourceSlot};
use mdhub_spec::product::ProductId;
use mdhub_spec::settings::{Cleansing, Rule};
use mdhub_spec::time::Mono;

use super::RuleSet;

/// What is doubted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The hub's clock.
    Clock,
    /// The sections of a product.
    Sections(ProductId),
}

impl Subject {
    const fn index(self) -> usize {
        match self {
            Self::Clock => 0,
            Self::Sections(product) => 1 + product.index(),
        }
    }
}

/// A doubt that began or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// From now on such ticks are forwarded.
    Began,
    /// Calendar and clock are believed again.
    Ended,
}

/// One source's ticks in one window.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    passed: u32,
    against: u32,
    first: (Mono, i64),
    latest: (Mono, i64),
}

#[derive(Debug)]
struct Scope {
    began: Mono,
    is_on: bool,
    /// Sources that have a tally in this window.
    heard: u64,
    tallies: [Tally; SOURCES_MAX],
}

impl Default for Scope {
    fn default() -> Self {
        Self { began: Mono::default(), is_on: false, heard: 0, tallies: [Tally::default(); SOURCES_MAX] }
    }
}

/// All doubts.
#[derive(Debug)]
pub struct Doubts {
    scopes: Box<[Scope]>,
    window_ms: u64,
    ticks_min: u32,
    ms_min: u64,
}

impl Doubts {
    /// About the clock and so many products.
    #[must_use]
    pub fn new(settings: &Cleansing, products: usize) -> Self {
        Self {
            scopes: (0..=products).map(|_| Scope::default()).collect(),
            // Long enough to see what is looked for.
            window_ms: settings.window_ms.max(3 * settings.doubt_ms_min),
            ticks_min: u32::try_from(settings.doubt_ticks_min).unwrap_or(u32::MAX),
            ms_min: settings.doubt_ms_min,
        }
    }

    /// Whether it is doubted now.
    #[must_use]
    pub fn is_on(&self, subject: Subject) -> bool {
        self.scopes.get(subject.index()).is_some_and(|scope| scope.is_on)
    }

    /// The rules that are doubted now, for a contract of this product.
    #[must_use]
    pub fn pardoned(&self, product: ProductId) -> RuleSet {
        let mut rules = RuleSet::default();
        if self.is_on(Subject::Clock) {
            rules = rules.with(Rule::ClockSkew).with(Rule::Replayed);
        }
        if self.is_on(Subject::Sections(product)) { rules.with(Rule::OutOfSession) } else { rules }
    }

    /// A tick passed the rules of this subject. An edge ends the doubt.
    pub fn passed(&mut self, subject: Subject, source: SourceSlot, now: Mono) -> Option<Edge> {
        let (window_ms, ticks_min) = (self.window_ms, self.ticks_min);
        let scope = self.scopes.get_mut(subject.index())?;
        let edge = scope.roll(now, window_ms, ticks_min);
        let tally = scope.tally(source);
        tally.passed = tally.passed.saturating_add(1);
        edge
    }

    /// A rule of this subject condemns a tick of this exchange time, ms since the epoch. An edge begins or ends the doubt;
    /// [`Self::is_on`] says whether the tick is to be forwarded.
    pub fn condemned(&mut self, subject: Subject, source: SourceSlot, time_ms: i64, now: Mono) -> Option<Edge> {
        let (window_ms, ticks_min, ms_min) = (self.window_ms, self.ticks_min, self.ms_min);
        let scope = self.scopes.get_mut(subject.index())?;
        let edge = scope.roll(now, window_ms, ticks_min);
        let tally = scope.tally(source);
        if tally.against == 0 {
            tally.first = (now, time_ms);
            tally.latest = tally.first;
        } else if time_ms > tally.latest.1 {
            tally.latest = (now, time_ms);
        }
        tally.against = tally.against.saturating_add(1);
        if !scope.is_on && scope.is_unanimous(ticks_min, ms_min) {
            scope.is_on = true;
            return Some(Edge::Began);
        }
        edge
    }
}

impl Scope {
    fn tally(&mut self, source: SourceSlot) -> &mut Tally {
        self.heard |= 1 << source.index();
        &mut self.tallies[source.index()]
    }

    fn heard(&self) -> impl Iterator<Item = &Tally> {
        self.tallies.iter().enumerate().filter(|(i, _)| self.heard & 1 << i != 0).map(|(_, tally)| tally)
    }

    /// Begins a new window when it is time; the doubt ends with a window in which only passes were heard, and enough.
    fn roll(&mut self, now: Mono, window_ms: u64, ticks_min: u32) -> Option<Edge> {
        if now.ms_since(self.began) < window_ms {
            return None;
        }
        let (passed, against) =
            self.heard().fold((0u32, 0u32), |sum, t| (sum.0.saturating_add(t.passed), sum.1.saturating_add(t.against)));
        let ends = self.is_on && against == 0 && passed >= ticks_min;
        for (i, tally) in self.tallies.iter_mut().enumerate() {
            if self.heard & 1 << i != 0 {
                *tally = Tally::default();
            }
        }
        (self.began, self.heard) = (now, 0);
        if ends {
            self.is_on = false;
            return Some(Edge::Ended);
        }
        None
    }

    /// Whether no source passes, and every one that has sent enough is in step with the clock.
    fn is_unanimous(&self, ticks_min: u32, ms_min: u64) -> bool {
        let enough = |tally: &&Tally| tally.against >= ticks_min;
        self.heard().all(|tally| u64::from(tally.passed) * 10 <= u64::from(tally.against))
            && self.heard().any(|tally| enough(&tally))
            && self.heard().filter(enough).all(|tally| tally.is_in_step(ms_min))
    }
}

impl Tally {
    /// Whether its exchange time advances about as fast as the clock.
    fn is_in_step(&self, ms_min: u64) -> bool {
        let clock_ms = self.latest.0.ms_since(self.first.0);
        let ticks_ms = u64::try_from(self.latest.1 - self.first.1).unwrap_or_default();
        clock_ms >= ms_min && clock_ms.abs_diff(ticks_ms) <= (clock_ms / 2).max(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(index: u8) -> SourceSlot {
        SourceSlot::new(index).expect("a slot")
    }

    fn doubts() -> Doubts {
        Doubts::new(&Cleansing::default(), 3)
    }

    /// Half-second ticks of these sources, `ticks_ms` further each; whether doubt began within `seconds`.
    fn begins(doubts: &mut Doubts, sources: &[u8], seconds: u64, ticks_ms: i64) -> bool {
        (0..2 * seconds).fold(false, |began, i| {
            let now = Mono(1_000_000_000_000 + i * 500_000_000);
            let time_ms = 50_000 + i.cast_signed() * ticks_ms;
            let edges = sources.iter().map(|s| doubts.condemned(Subject::Clock, slot(*s), time_ms, now));
            edges.fold(began, |began, edge| began || edge == Some(Edge::Began))
        })
    }

    #[test]
    fn ticks_that_advance_with_the_clock_are_believed_before_it() {
        for sources in [&[0][..], &[0, 1], &[0, 1, 63]] {
            assert!(begins(&mut doubts(), sources, 10, 500), "{sources:?}");
        }
    }

    #[test]
    fn a_replay_and_snapshots_that_stand_still_are_not() {
        for ticks_ms in [0, 50_000, -500] {
            assert!(!begins(&mut doubts(), &[0, 1], 60, ticks_ms), "{ticks_ms} ms a tick");
        }
    }

    #[test]
    fn one_source_that_passes_is_enough_to_believe_the_clock() {
        let mut doubts = doubts();
        for i in 0..100 {
            let now = Mono(1_000_000_000_000 + i * 500_000_000);
            assert_eq!(doubts.passed(Subject::Clock, slot(1), now), None);
            assert_eq!(doubts.condemned(Subject::Clock, slot(0), i.cast_signed() * 500, now), None);
        }
        assert!(!doubts.is_on(Subject::Clock));
    }

    #[test]
    fn a_doubt_ends_when_everything_passes_again() {
        let mut doubts = doubts();
        assert!(begins(&mut doubts, &[0], 10, 500));
        let later = |i: u64| Mono(2_000_000_000_000 + i * 500_000_000);
        let edges: Vec<_> = (0..60).filter_map(|i| doubts.passed(Subject::Clock, slot(0), later(i))).collect();
        assert_eq!(edges, [Edge::Ended]);
        assert!(!doubts.is_on(Subject::Clock));
    }

    #[test]
    fn what_is_doubted_is_doubted_alone() {
        let mut doubts = doubts();
        let calendar = mdhub_spec::calendar::MarketCalendar::shipped();
        let ids: Vec<_> = calendar.products.iter().map(|(id, _, _)| id).take(2).collect();
        for i in 0..20 {
            let now = Mono(1_000_000_000_000 + i * 500_000_000);
            doubts.condemned(Subject::Sections(ids[0]), slot(0), i.cast_signed() * 500, now);
        }
        assert!(doubts.pardoned(ids[0]).contains(Rule::OutOfSession));
        assert!(!doubts.pardoned(ids[0]).contains(Rule::Replayed));
        assert_eq!(doubts.pardoned(ids[1]), RuleSet::default());
    }
}
