//! What came of each contract's ticks, as it is told to whoever asks.

use std::sync::Arc;
use std::sync::mpsc::channel;

use mdhub_feed::engine::EngineConfig;
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::{CONTRACTS_A_QUERY, ContractTicks, ContractsQuery, Reply};
use mdhub_spec::raw_tick::RawTick;
use mdhub_spec::time::Mono;

use crate::desk::{Desk, Fate, MIDNIGHT_MS, PUBLISHED, at, mask, record, slot};

fn asked(desk: &Desk, contracts: &Arc<[Contract]>, from: usize, now: Mono) -> Vec<Option<ContractTicks>> {
    let (sender, answer) = channel();
    let reply = Reply::new(move |told| sender.send(told).expect("the test waits"));
    desk.engine.answer_contracts(ContractsQuery { contracts: Arc::clone(contracts), from, reply }, now);
    answer.recv().expect("an answer")
}

fn list(names: &[&str]) -> Arc<[Contract]> {
    names.iter().map(|name| name.parse().expect("a contract")).collect()
}

/// The desk's monotonic clock at a moment.
fn mono(ms: i64) -> Mono {
    Mono(0).plus_ms((ms - MIDNIGHT_MS).unsigned_abs() + 24 * 3_600_000)
}

#[test]
fn each_contract_tells_who_won_its_last_tick_its_price_copies_and_rejected_ones() {
    let mut desk = Desk::new(EngineConfig::new(1), 2, &["au2702.SHFE", "rb2701.SHFE"]);
    let contracts = list(&["rb2701.SHFE", "au2702.SHFE", "zz9999.SHFE"]);
    let second = |s: i64| at(9, 30, s);
    assert_eq!(desk.news(0, second(0), 50), PUBLISHED);
    assert_eq!(desk.news(1, second(0), 50), Fate::Duplicate);
    let dearer = RawTick { last_price: 3_201.0.into(), ..record("rb2701", second(1), 51) };
    assert_eq!(desk.receive(1, dearer, second(1) + 20), PUBLISHED);
    assert!(matches!(desk.news(0, second(2), 40), Fate::Rejected(_)));
    let told = asked(&desk, &contracts, 0, mono(second(3)));
    let ticks = told[0].expect("it is known");
    assert_eq!((ticks.duplicate, ticks.rejected, ticks.winner), (1, 1, Some(slot(1))));
    assert_eq!((ticks.last_price, ticks.published_at), (Some(3_201.0), Some(mono(second(1) + 20))));
    assert_eq!(ticks.lately, mask(&[0, 1]));
    let silent = told[1].expect("it is routed");
    assert_eq!((silent.winner, silent.last_price, silent.published_at), (None, None, None));
    assert_eq!((silent.seq, silent.lately.is_empty(), told[2]), (0, true, None), "nobody was told of the third");
    let later = asked(&desk, &contracts, 0, mono(second(120)));
    assert!(later[0].is_some_and(|ticks| ticks.lately.is_empty() && ticks.winner.is_some()));
}

#[test]
fn a_long_list_is_answered_piece_by_piece() {
    let names: Vec<String> = (0..CONTRACTS_A_QUERY + 10).map(|n| format!("a{n}.DCE")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let desk = Desk::new(EngineConfig::new(1), 1, &names);
    let contracts = list(&names);
    let now = mono(at(9, 30, 0));
    assert_eq!(asked(&desk, &contracts, 0, now).len(), CONTRACTS_A_QUERY);
    assert_eq!(asked(&desk, &contracts, CONTRACTS_A_QUERY, now).len(), 10);
    assert_eq!(asked(&desk, &contracts, usize::MAX, now).len(), 0);
}
