//! What cleansing rejects is counted by rule, by source and by exchange.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::SourceSlot;
use mdhub_spec::raw_tick::{RawTick, field};
use mdhub_spec::settings::{Rule, RuleMode};

use crate::rig::{Front, Rig, config, record, slots};
use crate::subscriber::Subscriber;

/// One of each fault, then a good tick.
fn deliver_faults(front: &mut Front) {
    front.deliver(&record("rb2701", 1, 1));
    front.deliver(&RawTick { update_time: [0; 9], ..record("IF2612", 1, 1) });
    front.deliver(&RawTick { update_time: field(b"99:99:99"), ..record("IF2612", 1, 1) });
    front.deliver(&RawTick { trading_day: [0; 9], action_day: [0; 9], ..record("IF2612", 1, 1) });
    front.deliver(&record("IF2612", 1, 1));
}

fn counts(rig: &Rig, of: impl Fn(Rule) -> u64) -> [u64; 5] {
    let [unknown, no_time, bad_time, bad_date] =
        [Rule::UnknownContract, Rule::NoTime, Rule::BadTime, Rule::BadDate].map(of);
    [unknown, no_time, bad_time, bad_date, rig.feed().rule_vitals().unpublishable()]
}

#[test]
fn each_rule_rejects_its_own_and_a_good_tick_passes() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let mut front = rig.ctp(0);
    let subscriber = Subscriber::start(rig.feed().listen_addr(), 1);
    deliver_faults(&mut front);
    assert_eq!(subscriber.ticks().len(), 1);
    assert_eq!(counts(&rig, |rule| rig.feed().rule_vitals().rejected(rule)), [1, 1, 1, 1, 0]);
    assert_eq!(counts(&rig, |rule| rig.feed().rule_vitals().shadowed(rule)), [0; 5]);
    let cffex = front.vitals.exchange(Exchange::Cffex);
    assert_eq!((cffex.received.load(Relaxed), cffex.rejected.load(Relaxed)), (4, 3));
    assert_eq!(front.vitals.unknown_contract.load(Relaxed), 1);
    assert!(cffex.last_tick_mono_ns.load(Relaxed) > 0);
}

#[test]
fn what_no_rule_may_reject_but_cannot_be_published_is_counted_all_the_same() {
    let rules = [
        (Rule::UnknownContract, RuleMode::Shadow),
        (Rule::NoTime, RuleMode::Off),
        (Rule::BadTime, RuleMode::Shadow),
        (Rule::BadDate, RuleMode::Shadow),
    ];
    let mut config = config();
    config.engine.cleansing.rules = rules.into();
    let mut rig = Rig::start(config);
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let mut front = rig.ctp(0);
    let subscriber = Subscriber::start(rig.feed().listen_addr(), 1);
    deliver_faults(&mut front);
    assert_eq!(subscriber.ticks().len(), 1);
    assert_eq!(counts(&rig, |rule| rig.feed().rule_vitals().rejected(rule)), [0, 0, 0, 0, 4]);
    assert_eq!(counts(&rig, |rule| rig.feed().rule_vitals().shadowed(rule)), [1, 0, 1, 1, 4]);
    assert_eq!(front.vitals.exchange(Exchange::Cffex).rejected.load(Relaxed), 3);
}

#[test]
fn what_is_counted_by_slot_stays_over_a_restart_and_is_not_inherited_by_another_account() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let slot = SourceSlot::new(0).expect("a slot");
    let of_slot = |rig: &Rig| counts(rig, |rule| rig.feed().rule_vitals().rejected_of(slot, rule));
    deliver_faults(&mut rig.attach(0, "ctp-a", Dialect::Ctp));
    assert_eq!(of_slot(&rig), [1, 1, 1, 1, 0]);
    rig.attach(0, "ctp-a", Dialect::Ctp).deliver(&record("IF2612", 2, 2));
    assert_eq!(of_slot(&rig), [1, 1, 1, 1, 0], "a restart");
    rig.attach(0, "ctp-b", Dialect::Ctp).deliver(&record("IF2612", 3, 3));
    assert_eq!(of_slot(&rig), [0; 5], "another account");
    assert_eq!(counts(&rig, |rule| rig.feed().rule_vitals().rejected(rule)), [1, 1, 1, 1, 0], "all in all");
}
