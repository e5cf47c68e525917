//! A day through two fronts that lose and delay: what comes out is what an oracle says that knows the true order.

use std::sync::atomic::AtomicU64;

use mdhub_spec::plane::ExchangeVitals;
use mdhub_spec::raw_tick::{RawTick, field};

use crate::rig::{Rig, config, slots};
use crate::subscriber::Subscriber;

/// A snapshot of the true stream.
pub(crate) struct Snapshot {
    pub(crate) raw: RawTick,
    /// The exchange's time, ms since the epoch, found without the feed's help.
    pub(crate) time_ms: i64,
}

/// Numbers that look random and are always the same (SplitMix64).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// Who brings which snapshot, in the order of arrival. Each front loses a tenth, but no snapshot is lost by both; a front
/// is behind the market by up to `skew_ms_max`, and keeps its own order.
pub(crate) fn arrivals(day: &[Snapshot], skew_ms_max: u64, draw: &mut Draw) -> Vec<(usize, usize)> {
    let mut arrivals = Vec::new();
    let mut front_at_ms = [i64::MIN; 2];
    for (index, snapshot) in day.iter().enumerate() {
        let lost_by = match draw.below(10) {
            0 => Some(0),
            1 => Some(1),
            _ => None,
        };
        for front in (0..2).filter(|front| lost_by != Some(*front)) {
            let at_ms = snapshot.time_ms + draw.below(skew_ms_max + 1).cast_signed();
            front_at_ms[front] = front_at_ms[front].max(at_ms);
            arrivals.push((front_at_ms[front], front, index));
        }
    }
    arrivals.sort_by_key(|(at_ms, _, _)| *at_ms);
    arrivals.into_iter().map(|(_, front, index)| (front, index)).collect()
}

/// What must come out: a snapshot is in time when none of the later ones came before its first copy.
pub(crate) fn in_time(snapshots: usize, arrivals: &[(usize, usize)]) -> Vec<usize> {
    let mut first = vec![usize::MAX; snapshots];
    for (place, (_, index)) in arrivals.iter().enumerate().rev() {
        first[*index] = place;
    }
    let mut earliest_later = usize::MAX;
    let mut found = Vec::new();
    for index in (0..snapshots).rev() {
        if first[index] < earliest_later {
            found.push(index);
        }
        earliest_later = earliest_later.min(first[index]);
    }
    found.reverse();
    found
}

/// Sends a day through a feed, and compares; how many came late without a copy.
pub(crate) fn replay(vt_symbol: &str, day: &[Snapshot], skew_ms_max: u64) -> usize {
    let arrivals = arrivals(day, skew_ms_max, &mut Draw(skew_ms_max));
    let expected = in_time(day.len(), &arrivals);
    let mut rig = Rig::start(config());
    rig.route(&[(vt_symbol, slots(&[0, 1]))]);
    let mut fronts = [rig.ctp(0), rig.ctp(1)];
    let subscriber = Subscriber::start(rig.feed().listen_addr(), expected.len());
    for (front, index) in &arrivals {
        fronts[*front].deliver(&day[*index].raw);
    }
    let ticks = subscriber.ticks();
    let mut last_volume = None;
    for (tick, index) in ticks.iter().zip(&expected) {
        let Snapshot { raw, time_ms } = &day[*index];
        assert_eq!(tick.time_ms(), *time_ms, "snapshot {index}");
        assert_eq!(tick.field("last_price").as_f64(), Some(raw.last_price.get()), "snapshot {index}");
        assert_eq!(tick.field("ask_volume_1").as_i64(), Some(raw.levels[0].ask_volume.get().into()));
        let volume = i64::from(raw.volume.get());
        assert_eq!(tick.field("volume").as_i64(), Some(volume));
        assert_eq!(tick.field("last_volume").as_i64(), Some(volume - last_volume.unwrap_or(volume)));
        last_volume = Some(volume);
    }
    let total = |counter: fn(&ExchangeVitals) -> &AtomicU64| {
        fronts.iter().map(|front| front.vitals.total(counter)).sum::<u64>() as usize
    };
    let (forwarded, unique) = (total(|e| &e.forwarded), total(|e| &e.late_unique));
    assert_eq!(forwarded, expected.len());
    assert_eq!(forwarded + unique, day.len(), "published + late_unique");
    assert_eq!(forwarded + unique + total(|e| &e.duplicate) + total(|e| &e.late), arrivals.len(), "all accounted for");
    assert!(ticks.iter().any(|t| t.text("source") == "ctp-0") && ticks.iter().any(|t| t.text("source") == "ctp-1"));
    unique
}

/// Half-second snapshots from 09:30; a fifth keep the volume, some keep everything but the time.
fn generated(snapshots: usize) -> Vec<Snapshot> {
    let mut draw = Draw(7);
    // 2026-11-18 09:30 in Beijing.
    let mut time_ms = 1_794_965_400_400;
    let (mut volume, mut fifths) = (240, 26_000i32);
    let mut snapshot = |_| {
        time_ms += if draw.below(50) == 0 { 500 * (1 + draw.below(4).cast_signed()) } else { 500 };
        if draw.below(20) > 0 {
            volume += if draw.below(5) == 0 { 0 } else { 1 + draw.below(40) as i32 };
            fifths += draw.below(13) as i32 - 6;
        }
        let of_day = (time_ms / 1000 + 8 * 3600) % 86_400;
        let time = format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
        let mut raw = RawTick {
            instrument: field(b"IF2612"),
            trading_day: field(b"20261118"),
            action_day: field(b"20261118"),
            update_time: field(time.as_bytes()),
            update_ms: i32::try_from(time_ms % 1000).expect("a millisecond").into(),
            volume: volume.into(),
            last_price: (f64::from(fifths) / 5.0).into(),
            ..RawTick::default()
        };
        raw.levels[0].ask_price = (f64::from(fifths + 1) / 5.0).into();
        raw.levels[0].ask_volume = (1 + volume % 30).into();
        Snapshot { raw, time_ms }
    };
    (0..snapshots).map(&mut snapshot).collect()
}

#[test]
fn with_a_skew_below_the_gap_a_generated_day_comes_out_whole() {
    assert_eq!(replay("IF2612.CFFEX", &generated(3_000), 399), 0);
}

#[test]
fn with_a_larger_skew_a_generated_day_is_published_or_late_unique() {
    let unique = replay("IF2612.CFFEX", &generated(3_000), 3_000);
    assert!(unique > 150, "only {unique} came late: the skew was to make more so");
}
