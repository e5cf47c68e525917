//! Who subscribes what where contracts are spread over the sources, by example and by what always holds.
//!
//! `UPDATE_EXPECT=1 cargo test -p mdhub-reconciler --test assignment` writes the plans anew; read the difference.

#![expect(clippy::expect_used, reason = "a test fails by it")]

#[path = "support/scenario.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod scenario;
#[path = "support/views.rs"]
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expect_test::expect;
use mdhub_reconciler::plan::{Assignment, DesiredAccount, Spread, Subscribed};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::process::{FrontState, ProcessView};
use mdhub_spec::time::Mono;
use proptest::prelude::*;
use scenario::{NOW, Scenario, ago, ready};
use views::{account, exit, incarnation, process};

const CONTRACTS: [&str; 5] = ["au2702.SHFE", "m2705.DCE", "rb2701.SHFE", "rb2705.SHFE", "y2705.DCE"];

fn id(id: &str) -> AccountId {
    id.parse().expect("a slug")
}

fn set(contracts: &[&str]) -> BTreeSet<Contract> {
    contracts.iter().map(|c| c.parse().expect("a contract")).collect()
}

/// `ctp-a` before `ctp-b` before `ctp-c`, each on a front of its own, all ready; SHFE and DCE are open, with `rb2701` and
/// `m2705` as their canaries, and tick everywhere. Each of five contracts is to be at one source.
fn three() -> Scenario {
    let mut scenario = Scenario::default().contracts(&CONTRACTS);
    for (priority, name) in (1..).zip(["ctp-a", "ctp-b", "ctp-c"]) {
        let fronts = [format!("tcp://{name}:1")].into();
        scenario = scenario.account(name, DesiredAccount { priority, fronts, ..account() }).up(name);
    }
    scenario.desired.spread =
        Spread { redundancy: 1, canaries: set(&["rb2701.SHFE", "m2705.DCE"]), ..Spread::default() };
    scenario.observed.open = [(Exchange::Shfe, ago(3_600_000)), (Exchange::Dce, ago(3_600_000))].into();
    scenario
}

const fn counter(id: &str) -> u64 {
    id.as_bytes()[4] as u64
}

impl Scenario {
    fn up(self, name: &str) -> Self {
        let process = ProcessView { ready_at: Some(ago(58_000)), ..ready(counter(name)) };
        self.process(name, process).ticked(name, 500, 500)
    }

    /// The last ticks of SHFE and DCE came this long ago.
    fn ticked(mut self, name: &str, shfe_ms: u64, dce_ms: u64) -> Self {
        let ticks = [(Exchange::Shfe, ago(shfe_ms)), (Exchange::Dce, ago(dce_ms))].into();
        self.observed.deliveries.insert(id(name), ticks);
        self
    }

    /// It was told so long ago to subscribe these, and has the canaries.
    fn has(mut self, name: &str, contracts: &[&str], told_ms: u64) -> Self {
        let contracts = set(contracts).into_iter().chain(self.desired.spread.canaries.clone()).collect();
        let contracts = Arc::new(contracts);
        let told = Subscribed { incarnation: incarnation(counter(name)), contracts, grown_at: ago(told_ms) };
        self.observed.subscribed.insert(id(name), told);
        self
    }

    fn dead(mut self, name: &str) -> Self {
        let view = self.observed.gateways.get_mut(&id(name)).expect("known");
        view.process = None;
        self.observed.attached.remove(&incarnation(counter(name)));
        self.exits(name, [exit(counter(name), ago(20))])
    }

    fn assignment(&self) -> Assignment {
        self.plan().assignment.expect("contracts are spread")
    }
}

#[test]
fn with_nothing_there_the_first_by_priority_gets_everything_and_the_others_the_canaries() {
    let mut scenario = three();
    scenario.observed.gateways.clear();
    scenario.observed.attached.clear();
    scenario.check(&expect![[r#"
        action  start ctp-a, its first
        action  start ctp-b, its first
        action  start ctp-c, its first
        status  ctp-a Starting: a process is started
        status  ctp-b Starting: a process is started
        status  ctp-c Starting: a process is started
        route   au2702.SHFE <- []
        route   m2705.DCE <- []
        route   rb2701.SHFE <- []
        route   rb2705.SHFE <- []
        route   y2705.DCE <- []
        has     ctp-a: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
        has     ctp-b: m2705.DCE rb2701.SHFE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 9500 ms
    "#]]);
}

#[test]
fn a_contract_stays_where_it_is_whatever_the_priorities() {
    three()
        .has("ctp-a", &[], 60_000)
        .has("ctp-b", &["au2702.SHFE", "rb2705.SHFE"], 60_000)
        .has("ctp-c", &["y2705.DCE"], 60_000)
        .check(&expect![[r#"
            status  ctp-a Healthy: 1 of 2 contracts accepted
            status  ctp-b Healthy: 1 of 4 contracts accepted
            status  ctp-c Healthy: 1 of 3 contracts accepted
            route   au2702.SHFE <- [ctp-b]
            route   m2705.DCE <- [ctp-a ctp-b ctp-c]
            route   rb2701.SHFE <- [ctp-a ctp-b ctp-c]
            route   rb2705.SHFE <- [ctp-b]
            route   y2705.DCE <- [ctp-c]
            has     ctp-a: m2705.DCE rb2701.SHFE
            has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE
            has     ctp-c: m2705.DCE rb2701.SHFE y2705.DCE
            wake    in 9000 ms
        "#]]);
}

#[test]
fn what_a_dead_source_had_goes_to_the_next_by_priority_at_once() {
    three()
        .has("ctp-a", &["au2702.SHFE", "rb2705.SHFE", "y2705.DCE"], 60_000)
        .has("ctp-b", &[], 60_000)
        .has("ctp-c", &[], 60_000)
        .dead("ctp-a")
        .check(&expect![[r#"
            status  ctp-a CoolingDown: signal 11; restarts in 1 s
            status  ctp-b Healthy: 1 of 5 contracts accepted
            status  ctp-c Healthy: 1 of 2 contracts accepted
            route   au2702.SHFE <- [ctp-b]
            route   m2705.DCE <- [ctp-b ctp-c]
            route   rb2701.SHFE <- [ctp-b ctp-c]
            route   rb2705.SHFE <- [ctp-b]
            route   y2705.DCE <- [ctp-b]
            has     ctp-a: m2705.DCE rb2701.SHFE
            has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
            has     ctp-c: m2705.DCE rb2701.SHFE
            wake    in 980 ms
        "#]]);
}

#[test]
fn of_a_source_that_lost_one_exchange_the_contracts_of_both_leave_before_it_is_restarted() {
    three()
        .has("ctp-a", &["au2702.SHFE", "y2705.DCE"], 200_000)
        .has("ctp-b", &["rb2705.SHFE"], 60_000)
        .has("ctp-c", &[], 60_000)
        .ticked("ctp-a", 30_000, 500)
        .check(&expect![[r#"
            status  ctp-a Degraded: 1 of 4 contracts accepted; silent: SHFE; it goes on, since nobody else delivers DCE
            status  ctp-b Healthy: 1 of 5 contracts accepted
            status  ctp-c Healthy: 1 of 2 contracts accepted
            route   au2702.SHFE <- [ctp-b]
            route   m2705.DCE <- [ctp-a ctp-b ctp-c]
            route   rb2701.SHFE <- [ctp-b ctp-c]
            route   rb2705.SHFE <- [ctp-b]
            route   y2705.DCE <- [ctp-b ctp-a]
            has     ctp-a: (au2702.SHFE) m2705.DCE rb2701.SHFE (y2705.DCE)
            has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
            has     ctp-c: m2705.DCE rb2701.SHFE
            wake    in 9000 ms
        "#]]);
}

#[test]
fn a_contract_that_its_source_does_not_bring_goes_to_another_and_the_former_lets_go_ten_seconds_later() {
    let mut scenario = three().has("ctp-a", &["au2702.SHFE"], 60_000).has("ctp-b", &[], 60_000);
    scenario = scenario.has("ctp-c", &[], 60_000).contracts(&["au2702.SHFE", "m2705.DCE", "rb2701.SHFE"]);
    scenario.observed.fails.insert(id("ctp-a"), set(&["au2702.SHFE"]));
    scenario.check(&expect![[r#"
        status  ctp-a Healthy: 1 of 3 contracts accepted; silent though others bring them: au2702.SHFE
        status  ctp-b Healthy: 1 of 3 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-b ctp-a]
        route   m2705.DCE <- [ctp-a ctp-b ctp-c]
        route   rb2701.SHFE <- [ctp-a ctp-b ctp-c]
        has     ctp-a: (au2702.SHFE) m2705.DCE rb2701.SHFE
        has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 9000 ms
    "#]]);
    let scenario = scenario.has("ctp-b", &["au2702.SHFE"], 4_000);
    scenario.check(&expect![[r#"
        status  ctp-a Healthy: 1 of 3 contracts accepted; silent though others bring them: au2702.SHFE
        status  ctp-b Healthy: 1 of 3 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-b ctp-a]
        route   m2705.DCE <- [ctp-a ctp-b ctp-c]
        route   rb2701.SHFE <- [ctp-a ctp-b ctp-c]
        has     ctp-a: (au2702.SHFE) m2705.DCE rb2701.SHFE
        has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 6000 ms
    "#]]);
    scenario.has("ctp-b", &["au2702.SHFE"], 10_000).check(&expect![[r#"
        status  ctp-a Healthy: 1 of 2 contracts accepted; silent though others bring them: au2702.SHFE
        status  ctp-b Healthy: 1 of 3 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-b ctp-a]
        route   m2705.DCE <- [ctp-a ctp-b ctp-c]
        route   rb2701.SHFE <- [ctp-a ctp-b ctp-c]
        has     ctp-a: m2705.DCE rb2701.SHFE
        has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_source_carries_no_more_than_it_may_and_what_has_no_room_is_named() {
    let mut scenario = three();
    scenario.desired.spread.contracts_max = [(id("ctp-a"), 3), (id("ctp-b"), 2), (id("ctp-c"), 3)].into();
    scenario.check(&expect![[r#"
        status  ctp-a Healthy: 1 of 3 contracts accepted
        status  ctp-b Healthy: 1 of 2 contracts accepted
        status  ctp-c Healthy: 1 of 3 contracts accepted
        route   au2702.SHFE <- [ctp-a]
        route   m2705.DCE <- [ctp-a ctp-b ctp-c]
        route   rb2701.SHFE <- [ctp-a ctp-b ctp-c]
        route   rb2705.SHFE <- [ctp-c]
        route   y2705.DCE <- []
        has     ctp-a: au2702.SHFE m2705.DCE rb2701.SHFE
        has     ctp-b: m2705.DCE rb2701.SHFE
        has     ctp-c: m2705.DCE rb2701.SHFE rb2705.SHFE
        nobody  y2705.DCE
        wake    in 9000 ms
    "#]]);
}

#[test]
fn without_a_source_nothing_lacks_room() {
    let mut scenario = three();
    scenario.desired.accounts.clear();
    assert!(scenario.assignment().homeless.is_empty());
    let mut scenario = three();
    scenario.desired.accounts.values_mut().for_each(|account| account.suspended = true);
    assert!(scenario.assignment().homeless.is_empty());
}

#[test]
fn a_new_process_is_believed_for_a_while_and_then_its_contracts_go_elsewhere() {
    let connecting = |started_ms: u64| {
        let front = FrontState::Connected;
        let process = ProcessView {
            front,
            hello_at: Some(ago(900)),
            heartbeat_at: Some(ago(900)),
            ..process(97, ago(started_ms))
        };
        three().process("ctp-a", process).has("ctp-a", &["au2702.SHFE", "rb2705.SHFE", "y2705.DCE"], started_ms)
    };
    connecting(9_999).check(&expect![[r#"
        status  ctp-a Connecting: the front has not answered the login
        status  ctp-b Healthy: 1 of 2 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-a]
        route   m2705.DCE <- [ctp-b ctp-c ctp-a]
        route   rb2701.SHFE <- [ctp-b ctp-c ctp-a]
        route   rb2705.SHFE <- [ctp-a]
        route   y2705.DCE <- [ctp-a]
        has     ctp-a: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
        has     ctp-b: m2705.DCE rb2701.SHFE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 1 ms
    "#]]);
    connecting(10_000).check(&expect![[r#"
        status  ctp-a Connecting: the front has not answered the login
        status  ctp-b Healthy: 1 of 5 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-b ctp-a]
        route   m2705.DCE <- [ctp-b ctp-c ctp-a]
        route   rb2701.SHFE <- [ctp-b ctp-c ctp-a]
        route   rb2705.SHFE <- [ctp-b ctp-a]
        route   y2705.DCE <- [ctp-b ctp-a]
        has     ctp-a: (au2702.SHFE) m2705.DCE rb2701.SHFE (rb2705.SHFE) (y2705.DCE)
        has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 9000 ms
    "#]]);
}

#[test]
fn a_source_that_alone_has_a_contract_is_not_restarted_before_another_has_begun() {
    let long = ProcessView { started_at: ago(3_600_000), ready_at: Some(ago(3_599_000)), ..ready(counter("ctp-a")) };
    let scenario = three()
        .process("ctp-a", long)
        .has("ctp-a", &["au2702.SHFE", "y2705.DCE"], 200_000)
        .has("ctp-b", &["rb2705.SHFE"], 60_000)
        .has("ctp-c", &[], 60_000)
        .ticked("ctp-a", 500_000, 500);
    scenario.check(&expect![[r#"
        status  ctp-a Degraded: 1 of 4 contracts accepted; silent: SHFE; it goes on, since nobody else delivers DCE
        status  ctp-b Healthy: 1 of 5 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-b]
        route   m2705.DCE <- [ctp-a ctp-b ctp-c]
        route   rb2701.SHFE <- [ctp-b ctp-c]
        route   rb2705.SHFE <- [ctp-b]
        route   y2705.DCE <- [ctp-b ctp-a]
        has     ctp-a: (au2702.SHFE) m2705.DCE rb2701.SHFE (y2705.DCE)
        has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 9000 ms
    "#]]);
    let scenario = scenario.has("ctp-b", &["au2702.SHFE", "y2705.DCE", "rb2705.SHFE"], 9_000);
    scenario.check(&expect![[r#"
        status  ctp-a Degraded: 1 of 4 contracts accepted; silent: SHFE; it goes on, since nobody else delivers DCE
        status  ctp-b Healthy: 1 of 5 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-b]
        route   m2705.DCE <- [ctp-a ctp-b ctp-c]
        route   rb2701.SHFE <- [ctp-b ctp-c]
        route   rb2705.SHFE <- [ctp-b]
        route   y2705.DCE <- [ctp-b ctp-a]
        has     ctp-a: (au2702.SHFE) m2705.DCE rb2701.SHFE (y2705.DCE)
        has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 1000 ms
    "#]]);
    scenario.has("ctp-b", &["au2702.SHFE", "y2705.DCE", "rb2705.SHFE"], 10_000).check(&expect![[r#"
        action  terminate ctp-a 7.97, which is sick
        status  ctp-a Stopping: it has lost an exchange that it had; TERM now
        status  ctp-b Healthy: 1 of 5 contracts accepted
        status  ctp-c Healthy: 1 of 2 contracts accepted
        route   au2702.SHFE <- [ctp-b]
        route   m2705.DCE <- [ctp-a ctp-b ctp-c]
        route   rb2701.SHFE <- [ctp-b ctp-c]
        route   rb2705.SHFE <- [ctp-b]
        route   y2705.DCE <- [ctp-b ctp-a]
        has     ctp-a: m2705.DCE rb2701.SHFE
        has     ctp-b: au2702.SHFE m2705.DCE rb2701.SHFE rb2705.SHFE y2705.DCE
        has     ctp-c: m2705.DCE rb2701.SHFE
        wake    in 9000 ms
    "#]]);
}

/// What the sources are told comes to be what they have.
fn told(mut scenario: Scenario, given: &Assignment) -> Scenario {
    for (id, contracts) in &given.subscriptions {
        let leaving = given.leaving.get(id).cloned().unwrap_or_default();
        let contracts = Arc::new(contracts.difference(&leaving).cloned().collect());
        let incarnation = incarnation(counter(id.as_str()));
        scenario.observed.subscribed.insert(id.clone(), Subscribed { incarnation, contracts, grown_at: ago(60_000) });
    }
    scenario
}

/// How a source is.
#[derive(Debug, Clone, Copy)]
enum State {
    Up,
    Dead,
    ShfeSilent,
}

prop_compose! {
    fn spread()(
        redundancy in 0..4_u32,
        contracts_max in proptest::collection::btree_map(prop::sample::select(vec!["ctp-a", "ctp-b", "ctp-c"]), 0..6_u32, 0..4),
    ) -> (u32, BTreeMap<AccountId, u32>) {
        (redundancy, contracts_max.into_iter().map(|(name, most)| (id(name), most)).collect())
    }
}

fn states() -> impl Strategy<Value = Vec<State>> {
    let state = prop_oneof![3 => Just(State::Up), 1 => Just(State::Dead), 1 => Just(State::ShfeSilent)];
    proptest::collection::vec(state, 3)
}

fn holdings() -> impl Strategy<Value = Vec<BTreeSet<&'static str>>> {
    proptest::collection::vec(proptest::collection::btree_set(prop::sample::select(CONTRACTS.to_vec()), 0..5), 3)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn every_contract_comes_to_have_as_many_of_the_best_sources_as_there_is_room_for_and_then_nothing_moves(
        (redundancy, contracts_max) in spread(), states in states(), holdings in holdings(), told_ms in 0..20_000_u64,
    ) {
        let mut scenario = three();
        scenario.desired.spread.redundancy = redundancy;
        scenario.desired.spread.contracts_max.clone_from(&contracts_max);
        if scenario.desired.spread.is_everything() {
            prop_assert!(scenario.plan().assignment.is_none());
            return Ok(());
        }
        for ((name, state), has) in ["ctp-a", "ctp-b", "ctp-c"].into_iter().zip(&states).zip(&holdings) {
            scenario = scenario.has(name, &has.iter().copied().collect::<Vec<_>>(), told_ms);
            scenario = match state {
                State::Up => scenario,
                State::Dead => scenario.dead(name),
                State::ShfeSilent => scenario.ticked(name, 300_000, 500),
            };
        }
        let canaries = scenario.desired.spread.canaries.clone();
        let given = scenario.assignment();
        for (id, contracts) in &given.subscriptions {
            prop_assert!(canaries.is_subset(contracts), "{id} lacks a canary");
            let most = contracts_max.get(id).map_or(usize::MAX, |most| *most as usize);
            prop_assert!(contracts.len() <= most.max(canaries.len()), "{id} has too many");
        }
        // A better place may be seen only once another contract has moved.
        let mut settled = told(scenario, &given);
        let mut then = settled.assignment();
        for _ in 0..2 {
            settled = told(settled, &then);
            then = settled.assignment();
        }
        let has = settled.observed.subscribed.iter().map(|(id, told)| (id.clone(), told.contracts.clone()));
        prop_assert_eq!(&then.subscriptions, &has.collect::<BTreeMap<_, _>>(), "what was just given moves on");
        check_counts(&settled, &then)?;
    }
}

/// An oracle of its own: by counting.
fn check_counts(scenario: &Scenario, given: &Assignment) -> Result<(), TestCaseError> {
    let spread = &scenario.desired.spread;
    let has = |id: &AccountId, contract: &Contract| given.subscriptions[id].contains(contract);
    let is_full = |id: &AccountId| {
        spread.contracts_max.get(id).is_some_and(|most| given.subscriptions[id].len() >= *most as usize)
    };
    let all = given.subscriptions.len();
    let wanted = if spread.redundancy == 0 { all } else { all.min(spread.redundancy as usize) };
    for contract in scenario.desired.contracts.difference(&spread.canaries) {
        let holders: Vec<&AccountId> = given.subscriptions.keys().filter(|id| has(id, contract)).collect();
        let others = || given.subscriptions.keys().filter(|id| !has(id, contract));
        prop_assert!(holders.len() <= wanted, "{} is at too many", contract);
        prop_assert!(holders.len() == wanted || others().all(is_full), "{} could be at one more", contract);
        prop_assert_eq!(holders.is_empty(), given.homeless.contains(contract));
        let delivers = |id: &AccountId| {
            let view = &scenario.observed.gateways[id];
            let last = scenario.observed.deliveries[id].get(&contract.exchange()).copied().unwrap_or(Mono(0));
            view.process.is_some() && NOW.ms_since(last) < 1_000
        };
        let in_vain = holders.iter().any(|id| !delivers(id));
        prop_assert!(!in_vain || others().all(|id| !delivers(id) || is_full(id)), "{} is not at the best", contract);
    }
    Ok(())
}
