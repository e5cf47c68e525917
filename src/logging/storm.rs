//! One place that says something again and again is one line with a count.
//!
//! What a place says about one account is counted over ten seconds. The first lines pass; from then on the place is in a storm:
//! its lines are counted, and every ten seconds the last of them is told, with how many there were. The storm is over when
//! ten seconds brought no more lines than may pass.

use std::collections::HashMap;

use mdhub_spec::time::Mono;

use super::heard::{Heard, Said};

/// Lines of one place that pass in one window.
pub(super) const PASSING_MAX: u32 = 50;
/// How long a window is.
const WINDOW_MS: u64 = 10_000;
/// Places that are counted at once. While there are more, the others pass.
const PLACES_MAX: usize = 4_096;

/// The places.
#[derive(Debug, Default)]
pub(super) struct Storms {
    places: HashMap<u64, Window>,
    /// Lines that were told by their count.
    collapsed: u64,
    /// When a window ends next, or before.
    next_end: Mono,
}

#[derive(Debug)]
struct Window {
    began: Mono,
    passed: u32,
    /// Held back in this window, with the last of them.
    held: u64,
    last: Option<Box<Heard>>,
    /// Whether the window before was stormy.
    is_storm: bool,
}

impl Storms {
    /// The line, if it may pass at `now`.
    pub(super) fn pass(&mut self, heard: Heard, now: Mono) -> Option<Heard> {
        if !self.places.contains_key(&heard.place) && self.places.len() >= PLACES_MAX {
            return Some(heard);
        }
        if self.places.is_empty() {
            self.next_end = now.plus_ms(WINDOW_MS);
        }
        let fresh = Window { began: now, passed: 0, held: 0, last: None, is_storm: false };
        let window = self.places.entry(heard.place).or_insert(fresh);
        if !window.is_storm && window.passed < PASSING_MAX {
            window.passed += 1;
            return Some(heard);
        }
        window.held += 1;
        window.last = Some(Box::new(heard));
        self.collapsed += 1;
        None
    }

    /// What there is to tell at `now` of windows that have ended.
    pub(super) fn ended(&mut self, now: Mono) -> Vec<Heard> {
        if now < self.next_end {
            return Vec::new();
        }
        self.close(|window| now >= window.began.plus_ms(WINDOW_MS), now)
    }

    /// What there is to tell of all windows, at the end of the log.
    pub(super) fn end(&mut self) -> Vec<Heard> {
        self.close(|_| true, Mono(u64::MAX))
    }

    fn close(&mut self, is_over: impl Fn(&Window) -> bool, now: Mono) -> Vec<Heard> {
        let mut told = Vec::new();
        self.places.retain(|_, window| {
            if !is_over(window) {
                return true;
            }
            let held = std::mem::take(&mut window.held);
            told.extend(window.last.take().map(|last| collapsed(*last, held)));
            let goes_on = held + u64::from(window.passed) > u64::from(PASSING_MAX);
            (window.is_storm, window.passed, window.began) = (true, 0, now);
            goes_on
        });
        self.next_end = self.places.values().map(|w| w.began.plus_ms(WINDOW_MS)).min().unwrap_or_default();
        told
    }

    /// Lines that were told by their count.
    pub(super) const fn collapsed(&self) -> u64 {
        self.collapsed
    }
}

fn collapsed(mut last: Heard, held: u64) -> Heard {
    last.fields.push(("collapsed", Said::Plain(held.into())));
    last
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracing::Level;

    use super::*;

    fn heard(place: u64, n: usize) -> Heard {
        let (target, message) = ("t".into(), format!("number {n}"));
        Heard { wall_ns: 0, level: Level::ERROR, target, message, fields: Vec::new(), place }
    }

    fn count(told: &Heard) -> u64 {
        told.fields
            .iter()
            .find_map(|(name, said)| match said {
                Said::Plain(value) if *name == "collapsed" => value.as_u64(),
                _ => None,
            })
            .expect("a count")
    }

    #[test]
    fn a_storm_is_one_line_every_ten_seconds_and_the_place_is_heard_again_after_it() {
        let (mut storms, mut now) = (Storms::default(), Mono(5_000_000_000));
        let passed = (0..1_000).filter(|n| storms.pass(heard(1, *n), now).is_some()).count();
        assert_eq!(passed, PASSING_MAX as usize);
        assert!(storms.pass(heard(2, 0), now).is_some());
        assert!(storms.ended(now.plus_ms(WINDOW_MS - 1)).is_empty());
        now = now.plus_ms(WINDOW_MS);
        let told = storms.ended(now);
        assert_eq!((told.len(), count(&told[0]), told[0].message.as_str()), (1, 950, "number 999"));
        // It goes on: nothing passes, and it is told again.
        assert!((0..60).all(|n| storms.pass(heard(1, n), now).is_none()));
        now = now.plus_ms(WINDOW_MS);
        assert_eq!(storms.ended(now).iter().map(count).collect::<Vec<_>>(), [60]);
        // It abates.
        assert!(storms.pass(heard(1, 7), now).is_none());
        now = now.plus_ms(WINDOW_MS);
        assert_eq!(storms.ended(now).iter().map(count).collect::<Vec<_>>(), [1]);
        assert!(storms.pass(heard(1, 8), now).is_some());
        assert_eq!(storms.collapsed(), 1_011);
    }

    #[test]
    fn more_places_than_can_be_counted_pass_and_take_no_room() {
        let mut storms = Storms::default();
        assert!((0..2 * PLACES_MAX as u64).all(|place| storms.pass(heard(place, 0), Mono(1)).is_some()));
        assert_eq!(storms.places.len(), PLACES_MAX);
        assert!(storms.ended(Mono(1).plus_ms(WINDOW_MS)).is_empty());
        assert!(storms.places.is_empty());
    }

    proptest! {
        #[test]
        fn what_passed_and_what_was_counted_are_all_that_was_said(
            lines in proptest::collection::vec((0_u64..4, 0_u64..400), 0..1_500),
        ) {
            let (mut storms, mut now) = (Storms::default(), Mono(1));
            let mut said = [0_u64; 4];
            let mut seen = [0_u64; 4];
            for (n, (place, pause_ms)) in lines.into_iter().enumerate() {
                now = now.plus_ms(pause_ms / 8);
                said[place as usize] += 1;
                for told in storms.ended(now) {
                    seen[told.place as usize] += count(&told);
                }
                seen[place as usize] += u64::from(storms.pass(heard(place, n), now).is_some());
            }
            for told in storms.end() {
                seen[told.place as usize] += count(&told);
            }
            prop_assert_eq!(seen, said);
        }
    }
}
