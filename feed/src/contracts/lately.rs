//! Who has brought a contract's ticks lately.

use mdhub_spec::plane::{SourceMask, SourceSlot};
use mdhub_spec::time::{Mono, NS_PER_MS};

/// How long a stretch lasts.
const STRETCH_NS: u64 = 30_000 * NS_PER_MS;

/// The sources of this stretch, and those of the one before: what is noted is known for one stretch at least, and for two at most.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lately {
    began: Mono,
    these: SourceMask,
    before: SourceMask,
}

impl Lately {
    /// `source` has brought a good tick.
    pub(crate) fn note(&mut self, source: SourceSlot, at: Mono) {
        let passed_ns = at.0.saturating_sub(self.began.0);
        if passed_ns >= STRETCH_NS {
            self.before = if passed_ns < 2 * STRETCH_NS { self.these } else { SourceMask::NONE };
            (self.began, self.these) = (at, SourceMask::NONE);
        }
        self.these = self.these.with(source);
    }

    /// Who has.
    pub(crate) const fn at(&self, at: Mono) -> SourceMask {
        match at.0.saturating_sub(self.began.0) / STRETCH_NS {
            0 => self.these.or(self.before),
            1 => self.these,
            _ => SourceMask::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_for_half_a_minute_after_its_tick_and_for_no_more_than_one() {
        let slot = |index: u8| SourceSlot::new(index).expect("a slot");
        let second = |s: u64| Mono(1 << 40).plus_ms(s * 1_000);
        for last in 0..100 {
            let mut lately = Lately::default();
            for s in 0..=100 {
                lately.note(slot(1), second(s));
                if s <= last {
                    lately.note(slot(2), second(s));
                }
                assert!(lately.at(second(s)).contains(slot(1)));
                let knows = lately.at(second(s)).contains(slot(2));
                assert!(s.saturating_sub(last) >= 30 || knows, "{s} s, the last tick at {last} s");
                assert!(s.saturating_sub(last) < 60 || !knows, "{s} s, the last tick at {last} s");
            }
            assert!(lately.at(second(129)).contains(slot(1)));
            assert!(lately.at(second(161)).is_empty(), "nobody has said anything since");
            lately.note(slot(3), second(161));
            assert_eq!(lately.at(second(161)), SourceMask::NONE.with(slot(3)), "and what was before is forgotten");
        }
    }
}
