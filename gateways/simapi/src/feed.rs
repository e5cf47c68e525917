//! Which record is due at a front, and when. All times are nanoseconds since the epoch, `CLOCK_REALTIME`: wall time is
//! what several processes have in common.

use crate::flavour::Flavour;
use crate::hash::{mix, unit};
use crate::live::Live;
use crate::record::Snapshot;
use crate::replay::{Pace, Replay};
use crate::world::{Front, Market, World};

/// What a front does to the records on their way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// Each comes so much later.
    pub delay_ns: i64,
    /// Records whose draw lies in this range are lost.
    lost: (f64, f64),
    seed: u64,
}

impl Link {
    /// The way through a front of a world with this seed.
    #[must_use]
    pub fn new(seed: u64, front: &Front) -> Self {
        let share = f64::from(front.loss_share);
        Self {
            delay_ns: (front.delay_ms * 1e6) as i64,
            lost: (share * front.loss_rate, (share + 1.0) * front.loss_rate),
            seed: mix(seed, 0x1055),
        }
    }

    /// The same way on a clock that runs `speed` times as fast.
    #[must_use]
    pub fn sped_up(self, speed: f64) -> Self {
        Self { delay_ns: (self.delay_ns as f64 / speed) as i64, ..self }
    }

    /// Whether record `k` is lost here. The draw is the same at every front; only the range differs.
    #[must_use]
    pub fn loses(&self, k: u64) -> bool {
        let draw = unit(mix(self.seed, k));
        draw >= self.lost.0 && draw < self.lost.1
    }
}

/// A record to hand over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Due<'a> {
    /// In a replay the record's place among all files' records, from 0; else an identity of contract and slot. The same
    /// at every front.
    pub index: u64,
    /// The instrument's code.
    pub code: &'a [u8],
    /// Its values.
    pub snapshot: &'a Snapshot,
}

/// The market at one front.
#[derive(Debug)]
pub enum Feed {
    /// Made up.
    Live(Box<Live>),
    /// Recorded.
    Replay(Replay),
}

impl Feed {
    /// Opens a world's market, before any front.
    ///
    /// # Errors
    /// Names the file of a replay, its line and its column.
    pub fn open(world: &World, flavour: Flavour) -> Result<Self, String> {
        match &world.market {
            Market::Synthetic { interval_ms, levels, offset_ms } => {
                let live = Live::new(world.seed, flavour, *interval_ms, *levels).ahead_by_ms(*offset_ms);
                Ok(Self::Live(Box::new(live)))
            }
            Market::Replay { files, speed, start_at_ms, gap_ms_max } => {
                let start_ns = start_at_ms.map(|ms| ms.saturating_mul(1_000_000));
                let pace = Pace { speed: *speed, start_ns, gap_ms_max: *gap_ms_max };
                Replay::open(files, flavour, pace).map(Self::Replay)
            }
        }
    }

    /// How far the market's clock is ahead of `CLOCK_REALTIME`, nanoseconds.
    #[must_use]
    pub fn ahead_ns(&self) -> i64 {
        match self {
            Self::Live(live) => live.ahead_ns(),
            Self::Replay(_) => 0,
        }
    }

    /// Puts it behind a front.
    pub fn put_behind(&mut self, link: Link) {
        match self {
            Self::Live(live) => live.put_behind(link),
            Self::Replay(replay) => replay.put_behind(link),
        }
    }

    /// Whether the front knows the instrument; if so, its records are due from now on.
    pub fn subscribe(&mut self, code: &[u8], now_ns: i64) -> bool {
        match self {
            Self::Live(live) => live.subscribe(code, now_ns),
            Self::Replay(replay) => replay.subscribe(code, now_ns),
        }
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, code: &[u8]) {
        match self {
            Self::Live(live) => live.unsubscribe(code),
            Self::Replay(replay) => replay.unsubscribe(code),
        }
    }

    /// Ends every subscription.
    pub fn unsubscribe_all(&mut self) {
        match self {
            Self::Live(live) => live.unsubscribe_all(),
            Self::Replay(replay) => replay.unsubscribe_all(),
        }
    }

    /// When to look again.
    #[must_use]
    pub fn due_ns(&self) -> Option<i64> {
        match self {
            Self::Live(live) => live.due_ns(),
            Self::Replay(replay) => replay.due_ns(),
        }
    }

    /// The next record that is due.
    pub fn next(&mut self, now_ns: i64) -> Option<Due<'_>> {
        match self {
            Self::Live(live) => live.next(now_ns),
            Self::Replay(replay) => replay.next(now_ns),
        }
    }

    /// Whether no record will ever come again.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Replay(replay) if replay.is_over())
    }
}
