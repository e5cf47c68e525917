//! Scenarios played to the engine.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use mdhub_feed::engine::EngineConfig;
use mdhub_spec::plane::{FeedEvent, SourceVitals};
use mdhub_spec::settings::{ArbitrationMode, Rule, RuleMode};

use crate::draw::Draw;
use crate::hub::Hub;
use crate::oracle::{Fate, Oracle, Tally, judge, messages, missing};
use crate::scenario::{Dirt, Label, Plan, Scenario, Skew};

const BOTH: [Skew; 2] = [Skew::BelowGap, Skew::AboveGap];

/// The limits are the true ones here, so that the rule need not only look on.
fn strict(mut config: EngineConfig) -> EngineConfig {
    config.cleansing.rules.insert(Rule::BeyondLimits, RuleMode::On);
    config
}

/// What a played scenario came to.
struct Played {
    tally: Tally,
    objections: Vec<String>,
    news: Vec<FeedEvent>,
}

fn play(scenario: &Scenario, config: fn(EngineConfig) -> EngineConfig, is_complete: bool) -> Played {
    let mut hub = Hub::start(scenario, config);
    let fates = hub.play();
    let expected = Oracle::follow(scenario, &fates);
    let (tally, mut objections) = judge(scenario, &expected, &fates);
    if is_complete {
        objections.extend(missing(scenario, &expected, &messages(&fates)));
    }
    objections.extend(miscounted(scenario, &fates, &hub.vitals));
    Played { tally, objections, news: hub.news }
}

/// Sources whose counters are not what became of their records.
fn miscounted(scenario: &Scenario, fates: &[Fate], vitals: &[Arc<SourceVitals>]) -> Vec<String> {
    let mut faults = Vec::new();
    for (source, vitals) in vitals.iter().enumerate() {
        let of = |kind: fn(&Fate) -> bool| {
            let own =
                scenario.arrivals.iter().zip(fates).filter(|(arrival, fate)| arrival.source == source && kind(fate));
            own.count() as u64
        };
        let kept_back = vitals.total(|v| &v.rejected) + vitals.total(|v| &v.replayed) + vitals.total(|v| &v.disagreed);
        let unknown = vitals.unknown_contract.load(Ordering::Relaxed);
        let counters = [
            ("forwarded", vitals.total(|v| &v.forwarded), of(|fate| matches!(fate, Fate::Published(_)))),
            ("duplicate", vitals.total(|v| &v.duplicate), of(|fate| *fate == Fate::Duplicate)),
            ("late", vitals.total(|v| &v.late), of(|fate| *fate == Fate::Late)),
            ("late_unique", vitals.total(|v| &v.late_unique), of(|fate| *fate == Fate::LateUnique)),
            ("fenced", vitals.total(|v| &v.fenced), of(|fate| *fate == Fate::Fenced)),
            ("rejected", kept_back + unknown, of(|fate| matches!(fate, Fate::Quarantined(_)))),
            ("received", vitals.total(|v| &v.received) + unknown, of(|_| true)),
        ];
        let wrong = counters.into_iter().filter(|(_, counted, happened)| counted != happened);
        faults.extend(wrong.map(|(name, counted, happened)| {
            format!("seed {} front {source}: {name} says {counted}: it was {happened}", scenario.seed)
        }));
    }
    faults
}

fn none(objections: &[String]) {
    let shown = &objections[..objections.len().min(12)];
    assert!(objections.is_empty(), "{} objections, the first are {shown:#?}", objections.len());
}

#[test]
fn the_earliest_admissible_copies_are_published_and_no_others() {
    for seed in 0..11 {
        for skew in BOTH {
            let scenario = Scenario::of(Plan::new(seed, skew)).without_open_questions();
            let played = play(&scenario, strict, skew == Skew::BelowGap);
            none(&played.objections);
            assert_eq!(played.news, Vec::new(), "seed {seed}");
        }
    }
}

#[test]
fn a_fenced_source_is_not_heard_and_nothing_else_changes() {
    for seed in 100..111 {
        let skew = BOTH[seed as usize % 2];
        let mut draw = Draw::new(seed);
        let scenario = Scenario::of(Plan::new(seed, skew)).with_fences(false, &mut draw);
        let scenario = scenario.without_open_questions().with_dirt(1, &mut draw);
        none(&play(&scenario, strict, skew == Skew::BelowGap).objections);
    }
}

#[test]
fn only_the_primary_is_published_and_a_switch_over_repeats_nothing() {
    let primary_only = |mut config: EngineConfig| {
        config.arbitration.mode = ArbitrationMode::PrimaryOnly;
        strict(config)
    };
    for seed in 200..211 {
        let skew = BOTH[seed as usize % 2];
        let scenario = Scenario::of(Plan::new(seed, skew)).with_fences(true, &mut Draw::new(seed));
        none(&play(&scenario.without_open_questions(), primary_only, false).objections);
    }
}

#[test]
fn a_hub_that_starts_in_mid_section_publishes_what_is_new_from_then_on() {
    for seed in 300..311 {
        let mut draw = Draw::new(seed);
        let scenario = Scenario::of(Plan::new(seed, draw.pick(&BOTH)));
        let place = draw.below(scenario.arrivals.len() as u64 / 2) as usize;
        let start = scenario.arrivals[place].at_ns;
        let scenario = scenario.from(start).without_open_questions().with_dirt(1, &mut draw);
        none(&play(&scenario, strict, false).objections);
    }
}

/// Eleven times two weeks of dirt, played once.
fn dirty() -> &'static (Tally, Vec<String>) {
    static PLAYED: OnceLock<(Tally, Vec<String>)> = OnceLock::new();
    PLAYED.get_or_init(|| {
        let (mut tally, mut objections) = (Tally::default(), Vec::new());
        for seed in 400..411 {
            for skew in BOTH {
                let scenario = Scenario::of(Plan::new(seed, skew)).without_open_questions();
                let played = play(&scenario.with_dirt(8, &mut Draw::new(seed)), strict, false);
                tally.add(&played.tally);
                objections.extend(played.objections);
            }
        }
        (tally, objections)
    })
}

#[test]
fn among_dirt_of_every_kind_no_true_tick_is_lost() {
    none(&dirty().1);
}

#[test]
fn over_99_percent_of_each_kind_of_dirt_is_quarantined() {
    let (tally, _) = dirty();
    println!("{} published of {} copies; {:#?}", tally.published, tally.copies, tally.dirt);
    for dirt in Dirt::ALL {
        let (all, quarantined) = tally.of(dirt);
        assert!(all >= 40, "only {all} pieces of {dirt:?}");
        assert!(quarantined * 100 > all * 99, "{dirt:?}: {:?}", tally.dirt.get(&dirt));
    }
}

#[test]
fn who_disagrees_is_named_only_where_three_can_vote_and_then_rightly() {
    let mut named = 0;
    for seed in 500..511 {
        let scenario = Scenario::of(Plan::new(seed, Skew::BelowGap)).with_dirt(10, &mut Draw::new(seed));
        let played = play(&scenario, strict, false);
        for event in played.news {
            let FeedEvent::Disagreement { contract, agree, dissent, outvoted } = event else { continue };
            let product =
                scenario.products.iter().find(|p| p.vt_symbol() == contract.to_string()).expect("it is played");
            assert!(!agree.is_empty() && !dissent.is_empty(), "{contract}: {agree:?} against {dissent:?}");
            let Some(outvoted) = outvoted else { continue };
            named += 1;
            let sources = (0..scenario.fronts.len()).filter(|source| scenario.carries(*source, product));
            assert!(sources.count() >= 3, "seed {seed}: two sources voted on {contract}");
            let is_liar = scenario.arrivals.iter().any(|arrival| {
                arrival.source == outvoted.index()
                    && matches!(arrival.label, Label::Dirt(Dirt::Disagreement | Dirt::Statics))
                    && mdhub_spec::raw_tick::text(&arrival.raw.instrument) == product.symbol.as_bytes()
            });
            assert!(is_liar, "seed {seed}: {outvoted:?} is outvoted on {contract}, and has always told the truth");
        }
    }
    assert!(named > 10, "only {named} times somebody was named");
}

#[test]
fn a_rule_that_is_switched_off_lets_its_dirt_through_and_that_is_seen() {
    let scenario = Scenario::of(Plan::new(404, Skew::BelowGap)).without_open_questions();
    let scenario = scenario.with_dirt(8, &mut Draw::new(404));
    for (rule, dirt) in [
        (Rule::OutOfSession, Dirt::OutOfSession),
        (Rule::ClockSkew, Dirt::FutureTime),
        (Rule::VolumeBackwards, Dirt::VolumeBackwards),
        (Rule::TurnoverBackwards, Dirt::TurnoverBackwards),
        (Rule::BeyondLimits, Dirt::BeyondLimits),
        (Rule::CrossedBook, Dirt::Crossed),
    ] {
        let mut hub = Hub::start(&scenario, |mut config| {
            config = strict(config);
            config.cleansing.rules.insert(rule, RuleMode::Off);
            config
        });
        let fates = hub.play();
        let (tally, objections) = judge(&scenario, &Oracle::follow(&scenario, &fates), &fates);
        let (all, quarantined) = tally.of(dirt);
        assert!(quarantined * 100 <= all * 99, "{rule:?} is off, and {quarantined} of {all} pieces are quarantined");
        assert!(
            objections.iter().any(|objection| objection.contains("dirt was published")),
            "{rule:?}: {objections:?}"
        );
    }
}
