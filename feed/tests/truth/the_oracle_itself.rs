//! The oracle can fail: whatever is wrong in what was published, it objects.

use std::collections::HashSet;

use crate::draw::Draw;
use crate::oracle::{Expected, Fate, Message, Oracle, judge, messages, missing};
use crate::scenario::{Arrival, Dirt, Label, Plan, Scenario, Skew};

/// A scenario with dirt, and what a perfect hub makes of it.
fn perfect(seed: u64, skew: Skew) -> (Scenario, Vec<Expected>, Vec<Fate>) {
    let mut draw = Draw::new(seed);
    let scenario = Scenario::of(Plan::new(seed, skew)).without_open_questions().with_dirt(3, &mut draw);
    let expected = Oracle::expect(&scenario);
    let fates = perfection(&scenario, &expected);
    (scenario, expected, fates)
}

/// What a hub does that makes no mistake.
fn perfection(scenario: &Scenario, expected: &[Expected]) -> Vec<Fate> {
    let is_published = |expected: &Expected| matches!(expected, Expected::Exactly(Fate::Published(_)));
    let both = || scenario.arrivals.iter().zip(expected);
    let mut accounted: HashSet<Label> = both().filter(|(_, e)| is_published(e)).map(|(a, _)| a.label).collect();
    let mut fate = |(arrival, expected): (&Arrival, &Expected)| match expected {
        Expected::Exactly(fate) => fate.clone(),
        Expected::NotInOrder if accounted.insert(arrival.label) => Fate::LateUnique,
        Expected::NotInOrder | Expected::NotPrimary => Fate::Late,
        Expected::Quarantine(_) | Expected::NotPublished(_) | Expected::Open => {
            Fate::Quarantined("some rule".to_owned())
        }
    };
    both().map(&mut fate).collect()
}

/// Where the `n`th arrival is of which this holds.
fn find(fates: &[Fate], n: usize, holds: impl Fn(usize, &Fate) -> bool) -> usize {
    let places = fates.iter().enumerate().filter(|(place, fate)| holds(*place, fate));
    places.map(|(place, _)| place).nth(n).expect("there are that many")
}

fn is_published(_: usize, fate: &Fate) -> bool {
    matches!(fate, Fate::Published(_))
}

fn message(fate: &mut Fate) -> &mut Message {
    let Fate::Published(message) = fate else { panic!("{fate:?} is not published") };
    message
}

#[test]
fn to_a_perfect_hub_the_oracle_has_no_objection() {
    for seed in 1..8 {
        for skew in [Skew::BelowGap, Skew::AboveGap] {
            let (scenario, expected, fates) = perfect(seed, skew);
            let (tally, objections) = judge(&scenario, &expected, &fates);
            assert_eq!(objections, Vec::<String>::new());
            assert!(tally.published > 500, "seed {seed}: only {} published", tally.published);
            if skew == Skew::BelowGap {
                assert_eq!(missing(&scenario, &expected, &messages(&fates)), Vec::<String>::new());
            }
        }
    }
}

/// Something that a hub could do wrong, and a word of the objection to it.
type Wrong = (&'static str, fn(&Scenario, &mut [Fate]), &'static str);

/// Ticks go astray.
const ASTRAY: [Wrong; 6] = [
    ("a tick is swallowed", |_, fates| *nth(fates, 100) = Fate::Duplicate, "another fate"),
    ("a tick is quarantined", |_, fates| *nth(fates, 100) = Fate::Quarantined("jump".to_owned()), "another fate"),
    ("a copy is published too", publish_a_copy, "twice"),
    ("dirt is published", publish_dirt, "dirt was published"),
    ("two ticks change places", swap_two, "where"),
    ("a late tick is called another's copy", call_it_late, "accounted for 0 times"),
];

/// Ticks are published in time, and are not right.
const UNTRUE: [Wrong; 6] = [
    ("a number is left out", |_, fates| message(nth(fates, 70)).seq += 1, "was due"),
    ("a tick is dated a day late", |_, fates| message(nth(fates, 70)).time_ms += 86_400_000, "another fate"),
    ("a tick is of another trading day", |_, fates| message(nth(fates, 70)).trading_day.clear(), "another fate"),
    ("an identity is another", |_, fates| message(nth(fates, 70)).tid ^= 1, "of no true tick"),
    ("the wrong source is named", |_, fates| message(nth(fates, 70)).source.push('0'), "another fate"),
    ("a flag is raised", raise_a_flag, "another fate"),
];

/// The `n`th published tick.
fn nth(fates: &mut [Fate], n: usize) -> &mut Fate {
    let place = find(fates, n, is_published);
    &mut fates[place]
}

fn publish_a_copy(_: &Scenario, fates: &mut [Fate]) {
    let first = find(fates, 50, is_published);
    let copy = find(fates, 20, |place, fate| place > first && *fate == Fate::Duplicate);
    fates[copy] = fates[first].clone();
}

fn publish_dirt(scenario: &Scenario, fates: &mut [Fate]) {
    let first = nth(fates, 50).clone();
    let dirt = find(fates, 0, |place, _| matches!(scenario.arrivals[place].label, Label::Dirt(_)));
    fates[dirt] = first;
    message(&mut fates[dirt]).tid ^= 1;
}

fn swap_two(_: &Scenario, fates: &mut [Fate]) {
    let place = find(fates, 70, is_published);
    let topic = message(&mut fates[place]).topic.clone();
    let next = find(fates, 0, |p, fate| p > place && matches!(fate, Fate::Published(m) if m.topic == topic));
    fates.swap(place, next);
}

fn call_it_late(_: &Scenario, fates: &mut [Fate]) {
    let place = find(fates, 0, |_, fate| *fate == Fate::LateUnique);
    fates[place] = Fate::Late;
}

fn raise_a_flag(_: &Scenario, fates: &mut [Fate]) {
    let place = find(fates, 70, |_, fate| matches!(fate, Fate::Published(m) if m.flags == Some(0)));
    message(&mut fates[place]).flags = Some(8);
}

#[test]
fn each_way_to_be_wrong_is_seen() {
    let (scenario, expected, fates) = perfect(5, Skew::AboveGap);
    for (name, wrong, part) in ASTRAY.into_iter().chain(UNTRUE) {
        let mut fates = fates.clone();
        wrong(&scenario, &mut fates);
        let (_, objections) = judge(&scenario, &expected, &fates);
        assert!(objections.iter().any(|objection| objection.contains(part)), "{name}: {objections:?}");
    }
}

#[test]
fn a_source_that_is_heard_without_a_right_to_is_seen() {
    let scenario = Scenario::of(Plan::new(5, Skew::BelowGap)).with_fences(true, &mut Draw::new(5));
    let expected = Oracle::expect(&scenario);
    let fates = perfection(&scenario, &expected);
    assert_eq!(judge(&scenario, &expected, &fates).1, Vec::<String>::new());
    for (stranger, part) in [(Expected::NotPrimary, "no primary"), (Expected::Exactly(Fate::Fenced), "another fate")] {
        let mut fates = fates.clone();
        let first = find(&fates, 0, is_published);
        let place = find(&fates, 50, |place, _| expected[place] == stranger);
        fates[place] = fates[first].clone();
        let (_, objections) = judge(&scenario, &expected, &fates);
        assert!(objections.iter().any(|objection| objection.contains(part)), "{stranger:?}: {objections:?}");
    }
}

#[test]
fn a_hub_that_starts_in_mid_section_owes_what_comes_from_then_on() {
    let scenario = Scenario::of(Plan::new(6, Skew::AboveGap));
    let whole = messages(&perfection(&scenario, &Oracle::expect(&scenario))).len();
    let middle = scenario.arrivals[scenario.arrivals.len() / 2].at_ns;
    let half = scenario.from(middle);
    let fates = perfection(&half, &Oracle::expect(&half));
    let published = messages(&fates);
    assert!((whole / 4..whole).contains(&published.len()), "{} of {whole}", published.len());
    assert_eq!(published[0].seq, 1);
    assert_eq!(judge(&half, &Oracle::expect(&half), &fates).1, Vec::<String>::new());
}

#[test]
fn a_tick_that_only_one_source_brought_is_missed() {
    let (scenario, expected, mut fates) = perfect(5, Skew::BelowGap);
    let is_futures = |fate: &Fate| matches!(fate, Fate::Published(m) if !m.topic.ends_with("CZCE"));
    let place = find(&fates, 30, |_, fate| is_futures(fate));
    fates[place] = Fate::Quarantined("jump".to_owned());
    assert!(!missing(&scenario, &expected, &messages(&fates)).is_empty());
}

#[test]
fn the_generator_makes_all_that_it_is_for() {
    let mut late_unique = 0;
    let mut tally = crate::oracle::Tally::default();
    let mut exchanges = std::collections::BTreeSet::new();
    for seed in 1..12 {
        let (scenario, expected, fates) = perfect(seed, Skew::AboveGap);
        exchanges.extend(scenario.ticks.iter().map(|tick| scenario.products[tick.product].exchange));
        late_unique += fates.iter().filter(|fate| **fate == Fate::LateUnique).count();
        tally.add(&judge(&scenario, &expected, &fates).0);
    }
    assert_eq!(exchanges.len(), 8, "{exchanges:?}");
    assert!(late_unique > 100, "{late_unique}");
    for dirt in Dirt::ALL {
        assert!(tally.of(dirt).0 > 5, "{dirt:?}: {:?}", tally.of(dirt));
    }
}
