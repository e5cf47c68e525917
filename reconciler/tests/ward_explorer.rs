//! Every state that two sources, two exchanges and a market can get into: what is ended, when, and what never is.
//!
//! Breadth first over the small world of `support/ward.rs`; planted bugs show that the search refutes.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "support/views.rs"]
mod views;
#[path = "support/ward.rs"]
mod ward;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use mdhub_reconciler::plan::{self, Action, Desired, Observed, Plan};
use mdhub_spec::account::AccountId;
use mdhub_spec::condition::Phase;
use mdhub_spec::time::Now;
use ward::{Ails, Event, IDS, Planner, World};

/// Fewer reachable states mean that the model has lost some of its alphabet.
const STATES_MIN: usize = 1_000;
const STATES_MAX: usize = 2_000_000;

/// Rounds without new faults within which everything settles: two holds, two silences, cool-down, spacing, two ways up.
const ROUNDS: usize = 30;

/// Explores; the number of states, or the first fault and the way there.
fn explore(start: World, planner: Planner) -> Result<usize, (&'static str, Vec<Event>)> {
    let mut came_from: HashMap<World, Option<(World, Event)>> = HashMap::from([(start, None)]);
    let mut settled: HashSet<World> = HashSet::new();
    let mut ahead = VecDeque::from([start]);
    while let Some(world) = ahead.pop_front() {
        assert!(came_from.len() < STATES_MAX, "the model is not finite");
        let plan = world.plan(planner);
        let calm = world.check(&plan).and_then(|()| settles(&world, planner, &mut settled));
        calm.map_err(|what| (what, way(&came_from, &world, None)))?;
        for event in world.alphabet() {
            let next = world.after(event, &plan).map_err(|what| (what, way(&came_from, &world, Some(event))))?;
            let next = next.canonical();
            if let Entry::Vacant(new) = came_from.entry(next) {
                new.insert(Some((world, event)));
                ahead.push_back(next);
            }
        }
    }
    Ok(came_from.len())
}

fn way(came_from: &HashMap<World, Option<(World, Event)>>, world: &World, last: Option<Event>) -> Vec<Event> {
    let mut events: Vec<Event> = last.into_iter().collect();
    let mut world = world;
    while let Some(Some((before, event))) = came_from.get(world) {
        events.push(*event);
        world = before;
    }
    events.reverse();
    events
}

/// Rounds without new faults lead to rest, and rest lasts. A round is a function: what has settled once need not be walked
/// again, as long as no walk is longer than allowed.
fn settles(world: &World, planner: Planner, settled: &mut HashSet<World>) -> Result<(), &'static str> {
    let mut passed = Vec::new();
    let mut world = *world;
    while !settled.contains(&world) {
        let next = world.round(planner)?.canonical();
        if next == world {
            if !world.is_at_rest() {
                return Err("it never comes to rest");
            }
            break;
        }
        if passed.len() > ROUNDS {
            return Err("it never comes to rest");
        }
        passed.push(std::mem::replace(&mut world, next));
    }
    // From an end that is known, no further than the walk that found it.
    settled.insert(world);
    settled.extend(passed);
    Ok(())
}

fn found_out(count: usize, planner: Planner, whats: &[&str]) {
    match explore(World::new(count, Ails::Stalls), planner) {
        Ok(states) => panic!("not found in {states} states"),
        Err((what, way)) => assert!(whats.contains(&what), "{what}, after {way:?}"),
    }
}

#[test]
fn two_sources_converge_through_stalls_crashes_and_silent_markets() {
    let states =
        explore(World::new(2, Ails::Stalls), plan::plan).unwrap_or_else(|(what, way)| panic!("{what}, after {way:?}"));
    println!("{states} states");
    assert!(states >= STATES_MIN, "only {states} states");
}

#[test]
fn a_lone_source_converges_through_stalls_crashes_and_silent_markets() {
    let states =
        explore(World::new(1, Ails::Stalls), plan::plan).unwrap_or_else(|(what, way)| panic!("{what}, after {way:?}"));
    println!("{states} states");
}

#[test]
fn sources_converge_through_rubbish_and_a_lost_exchange() {
    for count in [1, 2] {
        let found = explore(World::new(count, Ails::Rubbish), plan::plan);
        let states = found.unwrap_or_else(|(what, way)| panic!("{what}, after {way:?}"));
        println!("{states} states of {count}");
        assert!(count == 1 || states >= STATES_MIN, "only {states} states");
    }
}

#[test]
fn a_planner_that_believes_rubbish_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut observed = observed.clone();
        observed.garbage.clear();
        plan::plan(desired, &observed, now)
    };
    match explore(World::new(2, Ails::Rubbish), planner) {
        Ok(states) => panic!("not found in {states} states"),
        Err((what, way)) => {
            let whats = ["rubbish is routed beside good ticks", "it never comes to rest"];
            assert!(whats.contains(&what), "{what}, after {way:?}");
        }
    }
}

#[test]
fn a_planner_that_never_restarts_a_lone_stalled_source_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut plan = plan::plan(desired, observed, now);
        plan.actions.retain(|action| !matches!(action, Action::Terminate { is_sick: true, .. }));
        plan
    };
    found_out(1, planner, &["it never comes to rest"]);
}

#[test]
fn a_planner_that_ends_the_only_deliverer_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut plan = plan::plan(desired, observed, now);
        end_all(&mut plan, observed, |phase| matches!(phase, Phase::Degraded));
        plan
    };
    found_out(2, planner, &["the only deliverer is ended"]);
}

#[test]
fn a_planner_that_fails_over_to_a_silent_source_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut plan = plan::plan(desired, observed, now);
        let all: Vec<AccountId> = IDS.iter().map(|id| id.parse().expect("a slug")).collect();
        plan.routes.values_mut().for_each(|ids| ids.clone_from(&all));
        plan
    };
    found_out(2, planner, &["failover to one that is silent"]);
}

#[test]
fn a_planner_that_storms_a_silent_market_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut plan = plan::plan(desired, observed, now);
        if ward::silent_everywhere(observed, now) {
            end_all(&mut plan, observed, |phase| matches!(phase, Phase::Unhealthy));
        }
        plan
    };
    found_out(2, planner, &["a restart storm on a silent market", "a silent market is not waited for"]);
}

#[test]
fn a_planner_that_does_not_wait_for_a_silent_market_is_found_out() {
    let planner: Planner = |desired: &Desired, observed: &Observed, now: Now| {
        let mut desired = desired.clone();
        desired.policy.market_silent_hold_ms = 0;
        plan::plan(&desired, observed, now)
    };
    found_out(2, planner, &["a silent market is not waited for"]);
}

#[test]
fn a_planner_that_takes_no_turns_is_found_out() {
    let planner: Planner = |desired: &Desired, observed: &Observed, now: Now| {
        let mut desired = desired.clone();
        desired.policy.restart_spacing_ms = 0;
        plan::plan(&desired, observed, now)
    };
    found_out(2, planner, &["a restart storm on a silent market"]);
}

/// Adds a TERM for every source in such a phase.
fn end_all(plan: &mut Plan, observed: &Observed, is_meant: impl Fn(Phase) -> bool) {
    for (id, status) in &plan.statuses {
        let process = observed.gateways.get(id).and_then(|view| view.process.as_ref());
        let Some(process) = process.filter(|_| is_meant(status.phase)) else { continue };
        if plan.actions.iter().all(|action| action.account() != id) {
            plan.actions.push(Action::Terminate {
                account: id.clone(),
                incarnation: process.incarnation,
                is_sick: true,
            });
        }
    }
}
