//! When ticks contradict the last published one again and again, it is the last one that was wrong.

use mdhub_spec::tick::Tick;

/// So many in a row, each later than the one before and of no less volume.
const INSISTENCE: u8 = 8;

/// The ticks in a row that a rule about the last published tick has condemned.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defiance {
    times: u8,
    latest: (i64, i64),
}

impl Defiance {
    /// One more; whether it is to be believed now, and the last published one forgotten.
    pub fn insists(&mut self, tick: &Tick) -> bool {
        let (time_ms, volume) = self.latest;
        let goes_on = self.times > 0 && tick.exchange_time_ms > time_ms && tick.volume >= volume;
        self.times = if goes_on { self.times + 1 } else { 1 };
        self.latest = (tick.exchange_time_ms, tick.volume);
        if self.times < INSISTENCE {
            return false;
        }
        self.times = 0;
        true
    }

    /// A tick followed the last published one.
    pub const fn end(&mut self) {
        self.times = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cleanse::rules::tests::tick;

    fn insists(ticks: impl IntoIterator<Item = (i64, i64)>) -> Vec<bool> {
        let mut defiance = Defiance::default();
        let tick = |(exchange_time_ms, volume)| Tick { exchange_time_ms, volume, ..tick() };
        ticks.into_iter().map(|values| defiance.insists(&tick(values))).collect()
    }

    #[test]
    fn only_ticks_that_follow_each_other_insist() {
        assert_eq!(insists((1..=9).map(|i| (i, 5))), [false, false, false, false, false, false, false, true, false]);
        assert!(!insists((1..=20).map(|i| (i, -i))).contains(&true), "their volume falls");
        assert!(!insists((1..=20).map(|i| (i % 3, 5))).contains(&true), "they do not advance");
    }

    #[test]
    fn a_tick_that_follows_the_last_published_one_ends_it() {
        let mut defiance = Defiance::default();
        for i in 1..=20 {
            assert!(!defiance.insists(&Tick { exchange_time_ms: i, ..tick() }));
            if i % 7 == 0 {
                defiance.end();
            }
        }
    }
}
