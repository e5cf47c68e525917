//! Rejected ticks are kept, with what condemned them, and counted by rule, source and contract.

use std::sync::mpsc::channel;

use mdhub_feed::engine::EngineConfig;
use mdhub_spec::plane::{QuarantineQuery, QuarantineReport, Reply};
use mdhub_spec::raw_tick::{RawTick, field};
use mdhub_spec::settings::{Cleansing, Rule};

use crate::desk::{Desk, Fate, PUBLISHED, at, record, slot};

fn asked(desk: &Desk) -> QuarantineReport {
    let (sender, receiver) = channel();
    let reply = Reply::new(move |report| sender.send(report).expect("waits"));
    desk.engine.answer(QuarantineQuery { rule: None, source: None, contract: None, limit: 1_000, reply });
    receiver.recv().expect("an answer")
}

#[test]
fn every_kind_of_dirt_is_kept_with_its_reason() {
    let mut desk = Desk::live(2);
    let t = |i: i64| at(9, 30, 0) + i * 500;
    assert_eq!(desk.news(0, t(0), 50), PUBLISHED);
    let good = |i: i64| record("rb2701", t(i), 50 + i as i32);
    let crossed = |i: i64| {
        let mut raw = good(i);
        raw.levels[0].bid_price = 3_205.0.into();
        raw
    };
    let dirt = [
        (Rule::UnknownContract, RawTick { instrument: field(b"au2702"), ..good(1) }, "au2702"),
        (Rule::NoTime, RawTick { update_time: [0; 9], ..good(2) }, "empty"),
        (Rule::BadTime, RawTick { update_time: field(b"99:99:99"), ..good(3) }, "99:99:99"),
        (Rule::BadDate, RawTick { trading_day: field(b"0"), action_day: field(b"x"), ..good(4) }, "\"x\""),
        (Rule::OutOfSession, RawTick { update_time: field(b"12:10:00"), ..good(5) }, "12:10:00"),
        (Rule::ClockSkew, RawTick { update_time: field(b"09:50:00"), ..good(6) }, "ms ahead"),
        (Rule::VolumeBackwards, RawTick { volume: 3.into(), ..good(8) }, "volume 3 comes after 50"),
        (Rule::TurnoverBackwards, RawTick { turnover: 7.0.into(), ..good(9) }, "turnover 7 comes after 1600000"),
        (Rule::PriceNotPositive, RawTick { last_price: 0.0.into(), ..good(10) }, "last price 0"),
        (Rule::CrossedBook, crossed(11), "bid 3205"),
        (Rule::Absurd, RawTick { last_price: 99_999.0.into(), ..good(12) }, "99999"),
    ];
    for (i, (rule, raw, _)) in (1..).zip(&dirt) {
        assert_eq!(desk.receive(1, *raw, t(i) + 20), Fate::Rejected(*rule));
    }
    let report = asked(&desk);
    assert_eq!((report.kept, report.total), (dirt.len(), dirt.len() as u64));
    for (tick, (rule, raw, part)) in report.ticks.iter().rev().zip(&dirt) {
        assert_eq!((tick.rule, tick.source), (*rule, slot(1)));
        assert!(tick.reason.contains(part), "{rule:?}: {}", tick.reason);
        assert_eq!(tick.raw.instrument, raw.instrument);
        assert_eq!(tick.contract.is_some(), *rule != Rule::UnknownContract);
        assert_eq!(desk.engine.rule_vitals().rejected_of(slot(1), *rule), 1);
        assert_eq!(desk.engine.rule_vitals().rejected_of(slot(0), *rule), 0);
    }
    assert_eq!(report.by_contract, [("rb2701.SHFE".parse().expect("a contract"), dirt.len() as u64 - 1)]);
    assert_eq!(desk.news(0, t(20), 60), PUBLISHED, "and the stream goes on");
}

#[test]
fn no_more_are_kept_than_the_limit() {
    let cleansing = Cleansing { quarantine_max: 100, ..Cleansing::default() };
    let mut desk = Desk::new(EngineConfig { cleansing, ..EngineConfig::new(1) }, 1, &["rb2701.SHFE"]);
    for i in 0..1_234 {
        let raw = RawTick { update_time: [0; 9], ..record("rb2701", at(9, 30, 0), i) };
        desk.receive(0, raw, at(9, 30, 0));
    }
    let report = asked(&desk);
    assert_eq!((report.kept, report.total), (100, 1_234));
    let volumes: Vec<i32> = report.ticks.iter().map(|tick| tick.raw.volume.get()).collect();
    assert_eq!(volumes, (1_134..1_234).rev().collect::<Vec<_>>());
}
