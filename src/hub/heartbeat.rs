//! How a contract ticked in each of the last minutes.

use std::collections::VecDeque;

use mdhub_api::{Minute, MinuteState};
use mdhub_spec::time::{Mono, Now};

/// Minutes that are kept, the present one among them.
pub(crate) const MINUTES: usize = 30;
const MINUTE_MS: i64 = 60_000;
/// A longer silence is a gap.
const GAP_MS: u64 = 3_000;
/// What passes between two looks that are further apart was not seen: no silence is made of it.
const AWAY_MS: u64 = 5_000;

/// The last published tick: its number, and when it was published.
pub(crate) type LastTick = (u64, Mono);

#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Minutes since the epoch.
    number: i64,
    /// Whether there was a look in it.
    is_seen: bool,
    /// Whether the contract was in its section then.
    is_open: bool,
    has_ticked: bool,
    /// The longest silence that reached into it.
    longest_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Mono,
    is_open: bool,
    seq: u64,
}

/// The last minutes of one contract, made of looks at its last tick.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat {
    /// Oldest first.
    minutes: VecDeque<Seen>,
    last: Option<Look>,
    /// Since when nothing has come, while in section and looked at.
    quiet_since: Mono,
}

impl Heartbeat {
    /// Looks at the contract: whether it is in its section, and its last tick.
    pub(crate) fn look(&mut self, now: Now, is_open: bool, tick: Option<LastTick>) {
        let number = now.wall_ms().div_euclid(MINUTE_MS);
        let last = self.last.filter(|last| now.mono.ms_since(last.at) <= AWAY_MS);
        let was_open = last.is_some_and(|last| last.is_open);
        if was_open {
            // The minute that ends, if one does, has been silent until now.
            self.charge(now.mono.ms_since(self.quiet_since), tick, last);
        }
        self.turn_to(number);
        if !was_open {
            self.quiet_since = now.mono;
        }
        let seq = tick.map_or(0, |(seq, _)| seq);
        if let (true, Some(last), Some((_, at))) = (was_open, last, tick)
            && seq > last.seq
        {
            self.ticked(now, at);
        }
        if let Some(minute) = self.minutes.back_mut() {
            minute.is_seen = true;
            minute.is_open |= is_open;
            if is_open {
                minute.longest_ms = minute.longest_ms.max(now.mono.ms_since(self.quiet_since));
            }
        }
        self.last = Some(Look { at: now.mono, is_open, seq });
    }

    /// Notes the silence that lasts, or that the tick has ended, with the minute of the last look.
    fn charge(&mut self, lasting_ms: u64, tick: Option<LastTick>, last: Option<Look>) {
        let silence_ms = match (tick, last) {
            // With several ticks since the last look, the first of them came behind it: a fraction of a second is not known.
            (Some((seq, _)), Some(last)) if seq > last.seq + 1 => last.at.ms_since(self.quiet_since),
            (Some((seq, at)), Some(last)) if seq > last.seq => at.ms_since(self.quiet_since),
            _ => lasting_ms,
        };
        if let Some(minute) = self.minutes.back_mut() {
            minute.longest_ms = minute.longest_ms.max(silence_ms);
        }
    }

    /// A tick has ended the silence.
    fn ticked(&mut self, now: Now, at: Mono) {
        self.quiet_since = self.quiet_since.max(at);
        let at_ms = now.wall_ms().saturating_sub_unsigned(now.mono.ms_since(at));
        let number = at_ms.div_euclid(MINUTE_MS);
        if let Some(minute) = self.minutes.iter_mut().rev().take(2).find(|minute| minute.number == number) {
            minute.has_ticked = true;
        }
    }

    /// Begins the minutes up to this one. A clock that was set back begins all of them anew.
    fn turn_to(&mut self, number: i64) {
        let newest = self.minutes.back().map(|minute| minute.number);
        let kept = MINUTES.cast_signed() as i64;
        let first = match newest {
            Some(newest) if number >= newest - 1 => (newest + 1).max(number - kept + 1),
            _ => {
                self.minutes.clear();
                number - kept + 1
            }
        };
        for number in first..=number {
            if self.minutes.len() == MINUTES {
                self.minutes.pop_front();
            }
            let (is_seen, is_open, has_ticked) = (false, false, false);
            self.minutes.push_back(Seen { number, is_seen, is_open, has_ticked, longest_ms: 0 });
        }
    }

    /// The minutes, oldest first.
    pub(crate) fn minutes(&self) -> Vec<Minute> {
        let shown = |minute: &Seen| Minute {
            at_ms: minute.number * MINUTE_MS,
            state: minute.state(),
            longest_gap_ms: minute.is_open.then_some(minute.longest_ms),
        };
        self.minutes.iter().map(shown).collect()
    }
}

impl Seen {
    const fn state(&self) -> MinuteState {
        match self {
            Self { is_seen: false, .. } => MinuteState::Down,
            Self { is_open: false, .. } => MinuteState::Closed,
            Self { longest_ms: 0..=GAP_MS, .. } => MinuteState::Full,
            Self { has_ticked: false, .. } => MinuteState::Silent,
            Self { .. } => MinuteState::Gap,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START_MS: i64 = 1_795_000_020_000;
    const LOOK_MS: i64 = 250;

    fn now(ms: i64) -> Now {
        let mono = Mono(0).plus_ms(7_000_000 + ms.unsigned_abs());
        Now { mono, wall_ns: (START_MS + ms).unsigned_abs() * 1_000_000 }
    }

    /// Looks from `from` until `to`, four times a second, at a contract that ticks at these moments, in order.
    fn look(heartbeat: &mut Heartbeat, from: i64, to: i64, is_open: impl Fn(i64) -> bool, ticks: &[i64]) {
        let mut ms = from;
        while ms <= to {
            let come = ticks.partition_point(|tick| *tick <= ms);
            let tick = (come > 0).then(|| (come as u64, now(ticks[come - 1]).mono));
            heartbeat.look(now(ms), is_open(ms), tick);
            ms += LOOK_MS;
        }
    }

    fn states(heartbeat: &Heartbeat, last: usize) -> String {
        let minutes = heartbeat.minutes();
        let letter = |minute: &Minute| match minute.state {
            MinuteState::Full => 'F',
            MinuteState::Gap => 'G',
            MinuteState::Silent => 'S',
            MinuteState::Closed => 'C',
            MinuteState::Down => '-',
        };
        assert_eq!(minutes.len(), MINUTES);
        assert!(minutes.is_sorted_by(|a, b| b.at_ms - a.at_ms == MINUTE_MS));
        minutes[MINUTES - last..].iter().map(letter).collect()
    }

    /// Ticks every half second, but for these stretches.
    fn ticking(to: i64, but: &[(i64, i64)]) -> Vec<i64> {
        (0..to / 500).map(|n| n * 500 + 130).filter(|ms| !but.iter().any(|(a, b)| (a..b).contains(&ms))).collect()
    }

    #[test]
    fn each_minute_says_whether_it_was_whole_and_how_long_its_longest_silence() {
        let mut heartbeat = Heartbeat::default();
        // 2.5 s in the second minute; 4 s in the third; 70 s from the fifth to the seventh.
        let ticks = ticking(480_000, &[(70_000, 72_500), (130_000, 134_000), (295_000, 365_000)]);
        look(&mut heartbeat, 0, 479_000, |_| true, &ticks);
        assert_eq!(states(&heartbeat, 9), "-FFGFGSGF");
        let longest: Vec<u64> = heartbeat.minutes()[22..].iter().filter_map(|minute| minute.longest_gap_ms).collect();
        assert!((2_500..=3_000).contains(&longest[1]) && (4_000..=4_500).contains(&longest[2]), "{longest:?}");
        assert!((4_900..=5_500).contains(&longest[4]) && (70_000..=70_500).contains(&longest[6]), "{longest:?}");
    }

    #[test]
    fn a_silence_is_measured_from_tick_to_tick_however_the_looks_fall() {
        let mut heartbeat = Heartbeat::default();
        look(&mut heartbeat, 0, 5_000, |_| true, &[1_000, 4_100]);
        assert_eq!(heartbeat.minutes()[MINUTES - 1].longest_gap_ms, Some(3_100));
        assert_eq!(states(&heartbeat, 1), "G");
    }

    #[test]
    fn before_the_hub_there_is_nothing_and_outside_its_section_a_contract_is_closed() {
        let mut heartbeat = Heartbeat::default();
        // Open in the second and third minute, and from the middle of the fifth on.
        let is_open = |ms: i64| (60_000..180_000).contains(&ms) || ms >= 270_000;
        let ticks: Vec<i64> = ticking(400_000, &[]).into_iter().filter(|ms| is_open(*ms)).collect();
        look(&mut heartbeat, 0, 359_000, is_open, &ticks);
        assert_eq!(states(&heartbeat, 8), "--CFFCFF");
        assert!(heartbeat.minutes()[..24].iter().all(|minute| minute.longest_gap_ms.is_none()));
    }

    #[test]
    fn minutes_without_a_look_are_down_and_no_silence_is_made_of_them() {
        let mut heartbeat = Heartbeat::default();
        let ticks = ticking(600_000, &[]);
        look(&mut heartbeat, 0, 100_000, |_| true, &ticks);
        look(&mut heartbeat, 320_000, 359_000, |_| true, &ticks);
        assert_eq!(states(&heartbeat, 7), "-FF---F");
        look(&mut heartbeat, 600_000 + 3_600_000, 600_000 + 3_660_000, |_| true, &ticks);
        assert_eq!(states(&heartbeat, 4), "--SS", "an hour later; it has not ticked since");
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let mut heartbeat = Heartbeat::default();
        let ticks = ticking(600_000, &[]);
        look(&mut heartbeat, 0, 150_000, |_| true, &ticks);
        let at = now(150_250);
        let back = Now { wall_ns: at.wall_ns - 3_600_000_000_000, ..at };
        heartbeat.look(back, true, Some((302, at.mono)));
        assert_eq!(states(&heartbeat, 3), "--F");
        assert_eq!(heartbeat.minutes()[29].at_ms, (START_MS + 120_000 - 3_600_000).div_euclid(MINUTE_MS) * MINUTE_MS);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list_of_all_ticks(waits in proptest::collection::vec(20..9_000i64, 1..120)) {
            let ticks: Vec<i64> = waits.iter().scan(0, |at, wait| { *at += wait; Some(*at) }).collect();
            let mut heartbeat = Heartbeat::default();
            let end = 599_000;
            look(&mut heartbeat, 0, end, |_| true, &ticks);
            let edges: Vec<i64> = [0].into_iter().chain(ticks.into_iter().filter(|tick| *tick <= end)).chain([end]).collect();
            for (n, minute) in heartbeat.minutes()[20..].iter().enumerate() {
                let (from, to) = (n as i64 * 60_000, (n as i64 * 60_000 + 60_000).min(end));
                let reaching = edges.windows(2).filter(|edge| edge[1] > from && edge[0] < to);
                let longest = reaching.map(|edge| edge[1].min(to) - edge[0]).max().unwrap_or(0);
                let found = minute.longest_gap_ms.unwrap_or(0).cast_signed();
                prop_assert!((found - longest).abs() <= 2 * LOOK_MS, "minute {n}: {found}, not {longest}");
            }
        }
    }
}
