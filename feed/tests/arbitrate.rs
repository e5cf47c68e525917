//! Arbitration against oracles that know the true order of the snapshots, which arbitration never sees.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use mdhub_feed::arbitrate::{Arbiter, Arrival, Known, Stamps, Verdict, View};
use mdhub_spec::plane::SourceSlot;
use proptest::collection::vec;
use proptest::prelude::*;

/// A snapshot of the true stream; its index there is its place.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Snapshot {
    time_ms: i64,
    volume: i64,
}

/// One copy on its way: when it arrives, from whom, and which snapshot it is.
#[derive(Debug, Clone, Copy)]
struct Copy {
    at_ms: i64,
    source: u8,
    index: usize,
}

/// How one source treats one snapshot.
#[derive(Debug, Clone, Copy)]
struct Luck {
    delay_ms: i64,
    is_lost: bool,
    is_doubled: bool,
}

fn luck(delay_ms_max: i64, lost_permille: u32) -> impl Strategy<Value = Luck> {
    (0..=delay_ms_max, 0..1000u32, 0..10u8).prop_map(move |(delay_ms, lost, doubled)| Luck {
        delay_ms,
        is_lost: lost < lost_permille,
        is_doubled: doubled == 0,
    })
}

/// What each of some sources does with each of `snapshots`.
fn fortunes(snapshots: usize, delay_ms_max: i64, lost_permille: u32) -> impl Strategy<Value = Vec<Vec<Luck>>> {
    vec(vec(luck(delay_ms_max, lost_permille), snapshots), 2..=4)
}

/// Every copy in the order of arrival. `happened_ms` says when each snapshot left the exchange; within a source copies
/// never overtake each other, as in a pipe.
fn arrivals(happened_ms: &[i64], fortunes: &[Vec<Luck>]) -> Vec<Copy> {
    let mut copies = Vec::new();
    for (source, lucks) in fortunes.iter().enumerate() {
        let mut at_ms = i64::MIN;
        for (index, (luck, happened_ms)) in lucks.iter().zip(happened_ms).enumerate().filter(|(_, (l, _))| !l.is_lost) {
            at_ms = at_ms.max(happened_ms + luck.delay_ms);
            let copy = Copy { at_ms, source: source as u8, index };
            copies.extend(std::iter::repeat_n(copy, 1 + usize::from(luck.is_doubled)));
        }
    }
    copies.sort_by_key(|copy| copy.at_ms);
    copies
}

fn judge(stamps: Stamps, stream: &[Snapshot], copies: &[Copy]) -> Vec<Verdict> {
    let (mut arbiter, mut known) = (Arbiter::new(stamps), Known::default());
    let judge = |copy: &Copy| {
        let Snapshot { time_ms, volume } = stream[copy.index];
        let arrival = Arrival {
            // Spread like a hash, and different for each snapshot.
            tid: (copy.index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            view: View { last: copy.index as u32 + 1, book: 1 },
            exchange_time_ms: time_ms,
            volume,
            source: SourceSlot::new(copy.source).expect("a slot"),
            ingress_mono_ns: copy.at_ms.unsigned_abs() * 1_000_000,
        };
        arbiter.judge(&arrival, &mut known, &mut |_| ())
    };
    copies.iter().map(judge).collect()
}

fn of(verdict: Verdict, copies: &[Copy], verdicts: &[Verdict]) -> Vec<usize> {
    copies.iter().zip(verdicts).filter(|(_, v)| **v == verdict).map(|(copy, _)| copy.index).collect()
}

fn published(copies: &[Copy], verdicts: &[Verdict]) -> Vec<usize> {
    let is_published = |verdict: &Verdict| matches!(verdict, Verdict::Forward | Verdict::Redeem);
    copies.iter().zip(verdicts).filter(|(_, v)| is_published(v)).map(|(copy, _)| copy.index).collect()
}

/// What holds of every stream: in order, none twice, and nothing unaccounted for.
fn check(copies: &[Copy], verdicts: &[Verdict]) -> Result<(), TestCaseError> {
    let published = published(copies, verdicts);
    let mut lost = of(Verdict::LateUnique, copies, verdicts);
    prop_assert!(published.is_sorted_by(|a, b| a < b), "not in order: {:?}", published);
    for redeemed in of(Verdict::Redeem, copies, verdicts) {
        let place = lost.iter().position(|index| *index == redeemed);
        prop_assert!(place.is_some(), "{} was redeemed and not lost", redeemed);
        lost.remove(place.unwrap_or_default());
    }
    let mut accounted: Vec<_> = published.iter().chain(&lost).copied().collect();
    accounted.sort_unstable();
    let mut brought: Vec<_> = copies.iter().map(|copy| copy.index).collect();
    brought.sort_unstable();
    brought.dedup();
    prop_assert_eq!(accounted, brought, "published + late_unique - redeemed is not what was brought");
    Ok(())
}

/// The snapshots whose first copy arrives before that of every later one: by looking at all pairs.
fn oracle(snapshots: usize, copies: &[Copy]) -> Vec<usize> {
    let first = |index| copies.iter().position(|copy| copy.index == index);
    let firsts: Vec<Option<usize>> = (0..snapshots).map(first).collect();
    let in_time =
        |index: usize| firsts[index].is_some_and(|own| firsts[index + 1..].iter().flatten().all(|later| own < *later));
    (0..snapshots).filter(|index| in_time(*index)).collect()
}

/// Snapshots 500 ms apart; a fifth keeps the volume.
fn distinct(volume_steps: &[i64]) -> Vec<Snapshot> {
    let mut volume = 0;
    let mut snapshot = |(i, step): (usize, &i64)| {
        volume += (step - 1).max(0);
        Snapshot { time_ms: 500 * i as i64, volume }
    };
    volume_steps.iter().enumerate().map(&mut snapshot).collect()
}

/// Up to four snapshots a second under one time, many with one volume: CZCE.
fn one_time_a_second(steps: &[(i64, bool)]) -> Vec<Snapshot> {
    let (mut second, mut in_second, mut volume) = (0, 0, 0);
    let mut snapshot = |(step, is_next): &(i64, bool)| {
        volume += (step - 2).max(0);
        if *is_next || in_second == 4 {
            (second, in_second) = (second + 1, 0);
        }
        in_second += 1;
        Snapshot { time_ms: second * 1000, volume }
    };
    steps.iter().map(&mut snapshot).collect()
}

fn times(stream: &[Snapshot]) -> Vec<i64> {
    stream.iter().map(|snapshot| snapshot.time_ms).collect()
}

/// When snapshots of one second really happened: 240 ms apart.
fn spread(stream: &[Snapshot]) -> Vec<i64> {
    let before = |i: usize| stream[..i].iter().rev().take_while(|s| s.time_ms == stream[i].time_ms).count();
    (0..stream.len()).map(|i| stream[i].time_ms + 240 * before(i) as i64).collect()
}

const SNAPSHOTS: usize = 120;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_oracle_of_all_pairs_agrees_whatever_the_delays_losses_and_doubles(
        steps in vec(0..6i64, SNAPSHOTS), fortunes in fortunes(SNAPSHOTS, 40_000, 300),
    ) {
        let stream = distinct(&steps);
        let copies = arrivals(&times(&stream), &fortunes);
        let verdicts = judge(Stamps::Milliseconds, &stream, &copies);
        check(&copies, &verdicts)?;
        prop_assert_eq!(of(Verdict::Forward, &copies, &verdicts), oracle(SNAPSHOTS, &copies));
    }

    #[test]
    fn with_a_skew_below_the_gap_nothing_that_anybody_brought_is_lost(
        steps in vec(0..6i64, SNAPSHOTS), fortunes in fortunes(SNAPSHOTS, 499, 300),
    ) {
        let stream = distinct(&steps);
        let copies = arrivals(&times(&stream), &fortunes);
        let verdicts = judge(Stamps::Milliseconds, &stream, &copies);
        check(&copies, &verdicts)?;
        prop_assert_eq!(of(Verdict::LateUnique, &copies, &verdicts), Vec::<usize>::new());
    }

    #[test]
    fn ticks_of_one_second_stay_in_order_and_accounted_for(
        steps in vec((0..5i64, prop::bool::weighted(0.3)), SNAPSHOTS), fortunes in fortunes(SNAPSHOTS, 3_000, 200),
    ) {
        let stream = one_time_a_second(&steps);
        let copies = arrivals(&spread(&stream), &fortunes);
        check(&copies, &judge(Stamps::Seconds, &stream, &copies))?;
    }

    #[test]
    fn ticks_of_one_second_are_all_published_while_no_source_loses_any(
        steps in vec((0..5i64, prop::bool::weighted(0.3)), SNAPSHOTS), fortunes in fortunes(SNAPSHOTS, 3_000, 0),
    ) {
        let stream = one_time_a_second(&steps);
        let copies = arrivals(&spread(&stream), &fortunes);
        let published = published(&copies, &judge(Stamps::Seconds, &stream, &copies));
        prop_assert_eq!(published, (0..SNAPSHOTS).collect::<Vec<_>>());
    }

    /// However much the others lose or spoil: what nobody has overtaken when the one that loses nothing brings it is
    /// published.
    #[test]
    fn a_source_that_loses_nothing_has_all_its_ticks_published_but_those_that_others_have_overtaken(
        steps in vec((0..5i64, prop::bool::weighted(0.3)), SNAPSHOTS),
        mut fortunes in fortunes(SNAPSHOTS, 3_000, 200),
        whole in vec(luck(3_000, 0), SNAPSHOTS),
    ) {
        fortunes.push(whole);
        let stream = one_time_a_second(&steps);
        let copies = arrivals(&spread(&stream), &fortunes);
        let verdicts = judge(Stamps::Seconds, &stream, &copies);
        check(&copies, &verdicts)?;
        // What others have overtaken is late for everybody: in order beats complete.
        let mut newest = None;
        let mut missing = Vec::new();
        for (copy, verdict) in copies.iter().zip(&verdicts) {
            let is_published = matches!(verdict, Verdict::Forward | Verdict::Redeem | Verdict::Duplicate { .. });
            if usize::from(copy.source) + 1 == fortunes.len() && newest < Some(copy.index) && !is_published {
                missing.push(copy.index);
            }
            if matches!(verdict, Verdict::Forward | Verdict::Redeem) {
                newest = Some(copy.index);
            }
        }
        prop_assert_eq!(missing, Vec::<usize>::new());
    }
}

#[test]
fn a_delivery_by_one_source_alone_is_published_whole() {
    let stream = one_time_a_second(&(0..1000).map(|i| (i % 5, i % 3 == 0)).collect::<Vec<_>>());
    let copies: Vec<_> = (0..1000).map(|index| Copy { at_ms: index as i64, source: 7, index }).collect();
    assert!(judge(Stamps::Seconds, &stream, &copies).iter().all(|verdict| *verdict == Verdict::Forward));
}
