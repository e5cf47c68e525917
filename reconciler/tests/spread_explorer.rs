//! Every state that two sources which share a contract can get into: who has it, and that somebody always does.
//!
//! Breadth first over the small world of `support/spread.rs`, with plans that are carried out late, hubs that start anew, and
//! events that nobody acts upon; planted bugs show that the search refutes.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "support/spread.rs"]
mod spread;
#[path = "support/views.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod views;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use mdhub_reconciler::plan;
use mdhub_spec::time::Now;
use spread::{Event, Planner, World};

/// Fewer reachable states mean that the model has lost some of its alphabet.
const STATES_MIN: usize = 1_000;
const STATES_MAX: usize = 500_000;

/// Rounds without faults within which everything settles: silence, cool-down, the way up, two handovers.
const ROUNDS: usize = 20;

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
        for event in Event::ALL {
            let next = world.after(event, &plan).map_err(|what| (what, way(&came_from, &world, Some(event))))?;
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

/// Rounds without faults lead to rest, and rest lasts: a world that no round changes.
fn settles(world: &World, planner: Planner, settled: &mut HashSet<World>) -> Result<(), &'static str> {
    let mut passed = Vec::new();
    let mut world = *world;
    while !settled.contains(&world) {
        let next = world.round(planner)?;
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
    settled.insert(world);
    settled.extend(passed);
    Ok(())
}

fn holds(redundancy: u32) {
    let found = explore(World::new(redundancy), plan::plan);
    let states = found.unwrap_or_else(|(what, way)| panic!("{what}, after {way:?}"));
    println!("{states} states");
    assert!(states >= STATES_MIN, "only {states} states");
}

#[test]
fn two_accounts_that_share_redundancy_one_converge_through_everything() {
    holds(1);
}

#[test]
fn two_accounts_with_redundancy_two_converge_through_everything() {
    holds(2);
}

fn found_out(redundancy: u32, planner: Planner, whats: &[&str]) {
    match explore(World::new(redundancy), planner) {
        Ok(states) => panic!("not found in {states} states"),
        Err((what, way)) => assert!(whats.contains(&what), "{what}, after {way:?}"),
    }
}

#[test]
fn a_planner_that_gives_contracts_by_priority_alone_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut plan = plan::plan(desired, observed, now);
        if let Some(assignment) = &mut plan.assignment {
            let all = Arc::new(desired.contracts.clone());
            let canaries = Arc::new(desired.spread.canaries.clone());
            let [main, sub] = spread::IDS.map(|id| id.parse().expect("a slug"));
            assignment.subscriptions = [(main, all), (sub, canaries)].into();
        }
        plan
    };
    let whats = ["failover to one that cannot deliver", "it is taken from one before another has begun"];
    found_out(1, planner, &whats);
}

#[test]
fn a_planner_that_lets_go_at_once_is_found_out() {
    let planner: Planner = |desired, observed, now: Now| {
        let mut desired = desired.clone();
        desired.policy.handover_ms = 0;
        plan::plan(&desired, observed, now)
    };
    found_out(1, planner, &["it is taken from one before another has begun", "the only deliverer is ended"]);
}

#[test]
fn a_planner_that_forgets_who_has_what_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut observed = observed.clone();
        observed.subscribed.clear();
        plan::plan(desired, &observed, now)
    };
    let whats =
        ["it is taken from one before another has begun", "it never comes to rest", "the only deliverer is ended"];
    found_out(1, planner, &whats);
}

#[test]
fn a_planner_that_overlooks_that_a_contract_is_not_brought_is_found_out() {
    let planner: Planner = |desired, observed, now| {
        let mut observed = observed.clone();
        observed.fails.clear();
        plan::plan(desired, &observed, now)
    };
    found_out(1, planner, &["failover to one that cannot deliver", "it never comes to rest"]);
}
