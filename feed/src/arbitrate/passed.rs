//! Ticks with the watermark's time and volume that were passed over, since their place was not known.

use mdhub_spec::plane::{SourceMask, SourceSlot};

/// CZCE sends up to four ticks a second.
const PASSED: usize = 8;

/// The last [`PASSED`] of one time and volume, and who has brought each.
#[derive(Debug, Clone)]
pub(super) struct Passed {
    key: (i64, i64),
    ticks: [(u64, SourceMask); PASSED],
    /// Ticks ever noted for this key.
    noted: usize,
}

impl Default for Passed {
    fn default() -> Self {
        Self { key: (i64::MIN, i64::MIN), ticks: [(0, SourceMask::NONE); PASSED], noted: 0 }
    }
}

impl Passed {
    /// Who has brought this tick when it was passed over.
    pub(super) fn by(&self, key: (i64, i64), tid: u64) -> Option<SourceMask> {
        let ticks = &self.ticks[..self.noted.min(PASSED)];
        if self.key == key { ticks.iter().find(|tick| tick.0 == tid).map(|tick| tick.1) } else { None }
    }

    /// Passes over this tick.
    pub(super) fn note(&mut self, key: (i64, i64), tid: u64, source: SourceSlot) {
        if self.key != key {
            (self.key, self.noted) = (key, 0);
        }
        let ticks = &mut self.ticks[..self.noted.min(PASSED)];
        if let Some(tick) = ticks.iter_mut().find(|tick| tick.0 == tid) {
            tick.1 = tick.1.with(source);
        } else {
            self.ticks[self.noted % PASSED] = (tid, SourceMask::NONE.with(source));
            self.noted += 1;
        }
    }
}
