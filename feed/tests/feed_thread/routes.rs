//! The route table: who may feed which contract.

use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;

use crate::rig::{Rig, config, record, slots};
use crate::subscriber::Subscriber;

#[test]
fn a_swap_fences_one_source_and_lets_the_other_one_in_without_a_gap() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0]))]);
    let (mut first, mut second) = (rig.ctp(0), rig.ctp(1));
    let subscriber = Subscriber::start(rig.feed().listen_addr(), 2);
    second.deliver(&record("IF2612", 1, 1));
    first.deliver(&record("IF2612", 1, 1));
    rig.route(&[("IF2612.CFFEX", slots(&[1]))]);
    first.deliver(&record("IF2612", 2, 2));
    second.deliver(&record("IF2612", 2, 2));
    let sources: Vec<_> = subscriber.ticks().iter().map(|t| t.text("source").to_owned()).collect();
    assert_eq!(sources, ["ctp-0", "ctp-1"]);
    for front in [&first, &second] {
        assert_eq!(front.vitals.exchange(Exchange::Cffex).fenced.load(Relaxed), 1);
        assert_eq!(front.vitals.exchange(Exchange::Cffex).forwarded.load(Relaxed), 1);
    }
}

#[test]
fn a_contract_that_leaves_and_comes_back_goes_on_with_its_number() {
    let mut rig = Rig::start(config());
    let both = [("IF2612.CFFEX", slots(&[0])), ("rb2701.SHFE", slots(&[0]))];
    rig.route(&both);
    let mut front = rig.ctp(0);
    let subscriber = Subscriber::start(rig.feed().listen_addr(), 3);
    front.deliver(&record("rb2701", 1, 1));
    rig.route(&both[..1]);
    front.deliver(&record("rb2701", 2, 2));
    front.deliver(&record("IF2612", 2, 2));
    rig.route(&both);
    front.deliver(&record("rb2701", 3, 3));
    let volumes: Vec<_> = subscriber.ticks().iter().map(|t| (t.integer("seq"), t.integer("volume"))).collect();
    assert_eq!(volumes, [(1, 1), (1, 2), (2, 3)]);
    assert_eq!(front.vitals.unknown_contract.load(Relaxed), 1);
}

#[test]
fn each_kind_of_gateway_feeds_its_own_exchanges() {
    let mut rig = Rig::start(config());
    rig.route(&[("IF2612.CFFEX", slots(&[0, 1])), ("10009123.SSE", slots(&[0, 1]))]);
    let (mut ctp, mut sopt) = (rig.ctp(0), rig.attach(1, "sopt-main", Dialect::Sopt));
    let subscriber = Subscriber::start(rig.feed().listen_addr(), 2);
    ctp.deliver(&record("10009123", 1, 1));
    sopt.deliver(&record("IF2612", 1, 1));
    ctp.deliver(&record("IF2612", 1, 1));
    sopt.deliver(&record("10009123", 1, 1));
    let found: Vec<_> = subscriber
        .ticks()
        .iter()
        .map(|t| [t.text("vt_symbol"), t.text("gateway_name"), t.text("source")].join(" "))
        .collect();
    assert_eq!(found, ["IF2612.CFFEX CTP ctp-0", "10009123.SSE SOPT sopt-main"]);
    assert_eq!((ctp.vitals.unknown_contract.load(Relaxed), sopt.vitals.unknown_contract.load(Relaxed)), (1, 1));
}
