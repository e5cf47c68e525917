//! Every state that the planner can get into, one after the other.
//!
//! A small world of one account (`support/world.rs`) is explored breadth first: whatever can happen next, happens. In
//! every state and step the invariants hold, and from every state some rounds without faults lead to rest. That is eventual
//! convergence, reduced to something that a search can refute. Planted bugs show that it does refute.
//!
//! | what happens | its letter |
//! |---|---|
//! | crash, hang, deafness to TERM | `Crash`, `Hang`, `Deafen` |
//! | slow start, missed event | `Step`, `Reconcile`: they come late, or not at all |
//! | plan from an old view, stale read | `Delay` and `Arrive`, `StaleRead` |
//! | controller restart | `HubRestarts` |
//! | edit, restart by hand, toggles | `Edit`, `Restart`, `Want`, `Disable`, `Suspend`, `Delete` |
//! | unhealthy, one exchange silent, all silent, garbage | `ward_explorer.rs` |
//! | two accounts that share redundancy | `spread_explorer.rs` |

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by it")]

#[path = "support/views.rs"]
mod views;
#[path = "support/world.rs"]
mod world;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;

use mdhub_reconciler::plan::{self, Action, Desired, Observed, Plan};
use mdhub_spec::time::{Mono, Now};
use world::{Event, Hub, World};

/// Fewer reachable states mean that the model has lost some of its alphabet.
const STATES_MIN: usize = 1_000;

/// More mean that it is no longer finite.
const STATES_MAX: usize = 500_000;

/// Rounds without faults within which everything settles: grace, two KILLs, the longest backoff, the way up.
const ROUNDS: usize = 12;

/// Why a hub is wrong, and the shortest way there.
struct Counterexample {
    what: &'static str,
    way: Vec<Event>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, after {:?}", self.what, self.way)
    }
}

/// Explores; the number of states, or the first fault.
fn explore(hub: &Hub, alphabet: &[Event]) -> Result<usize, Counterexample> {
    let start = World::new();
    let mut came_from: HashMap<World, Option<(World, Event)>> = HashMap::from([(start, None)]);
    let mut settles: HashMap<World, usize> = HashMap::new();
    let mut ahead = VecDeque::from([start]);
    while let Some(world) = ahead.pop_front() {
        assert!(came_from.len() < STATES_MAX, "the model is not finite");
        let plan = hub.plan(&world);
        let calm = world.check(&plan).and_then(|()| rounds_to_rest(hub, &world, &mut settles));
        calm.map_err(|what| Counterexample { what, way: way(&came_from, &world, None) })?;
        for &event in alphabet {
            let next = world.after(event, hub, &plan);
            let next = next.map_err(|what| Counterexample { what, way: way(&came_from, &world, Some(event)) })?;
            if let Entry::Vacant(new) = came_from.entry(next) {
                new.insert(Some((world, event)));
                ahead.push_back(next);
            }
        }
    }
    Ok(came_from.len())
}

/// The events that lead to `world`, and `last`.
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

/// How many rounds without faults bring `world` to rest. A round is a function, so what is known of one world is known of
/// all that lead there. Rest must last: a world at rest is so after the next round.
fn rounds_to_rest(hub: &Hub, world: &World, known: &mut HashMap<World, usize>) -> Result<(), &'static str> {
    let mut passed: Vec<World> = Vec::new();
    let mut world = *world;
    let rest = loop {
        if let Some(rounds) = known.get(&world) {
            break *rounds;
        }
        let next = world.round(hub)?;
        if world.is_at_rest() {
            if !hub.plan(&world).actions.is_empty() {
                return Err("it acts though all is well");
            }
            if !next.is_at_rest() {
                return Err("rest does not last");
            }
            known.insert(world, 0);
            break 0;
        }
        if passed.len() > ROUNDS {
            return Err("it never comes to rest");
        }
        passed.push(std::mem::replace(&mut world, next));
    };
    let rounds = rest + passed.len();
    for (back, world) in passed.into_iter().rev().enumerate() {
        known.insert(world, rest + back + 1);
    }
    if rounds > ROUNDS { Err("it comes to rest too late") } else { Ok(()) }
}

/// Explores the planner as it is with these events; together with those that always happen.
fn holds(alphabet: &[Event]) {
    let hub = Hub { planner: plan::plan, fenced: true };
    let alphabet = [&[Event::Tick, Event::Reconcile, Event::Step, Event::Crash], alphabet].concat();
    let states = explore(&hub, &alphabet).unwrap_or_else(|found| panic!("{found}"));
    println!("{states} states with {alphabet:?}");
    assert!(states >= STATES_MIN, "only {states} states");
}

// Three alphabets, since everything at once is millions of states. Each holds what acts upon each other.

#[test]
fn it_converges_whatever_people_want_and_even_if_term_is_ignored() {
    holds(&[
        Event::Deafen,
        Event::HubRestarts,
        Event::StaleRead,
        Event::Want,
        Event::Disable,
        Event::Suspend,
        Event::Delete,
    ]);
}

#[test]
fn it_converges_through_crashes_hangs_edits_and_restarts() {
    holds(&[Event::Deafen, Event::Hang, Event::HubRestarts, Event::Edit, Event::Restart]);
}

#[test]
fn it_converges_though_actions_come_late() {
    holds(&[
        Event::Delay,
        Event::Arrive,
        Event::HubRestarts,
        Event::StaleRead,
        Event::Restart,
        Event::Suspend,
        Event::Want,
    ]);
}

/// A hub with a planted bug is found out by one of these.
fn found_out(hub: &Hub, whats: &[&str]) {
    match explore(hub, &Event::ALL) {
        Ok(states) => panic!("not found in {states} states"),
        Err(found) => assert!(whats.contains(&found.what), "{found}"),
    }
}

fn planted(planner: fn(&Desired, &Observed, Now) -> Plan) -> Hub {
    Hub { planner, fenced: true }
}

#[test]
fn a_planner_that_never_escalates_to_kill_is_found_out() {
    let hub = planted(|desired, observed, now| {
        let mut plan = plan::plan(desired, observed, now);
        plan.actions.retain(|action| !matches!(action, Action::Kill { .. }));
        plan
    });
    found_out(&hub, &["it never comes to rest"]);
}

#[test]
fn a_planner_that_ignores_the_fingerprint_is_found_out() {
    let hub = planted(|desired, observed, now| {
        let mut desired = desired.clone();
        for (id, account) in &mut desired.accounts {
            let process = observed.gateways.get(id).and_then(|view| view.process.as_ref());
            account.fingerprint = process.map_or(account.fingerprint, |p| p.fingerprint);
        }
        plan::plan(&desired, observed, now)
    });
    found_out(&hub, &["it never comes to rest"]);
}

#[test]
fn a_planner_that_ignores_the_restart_generation_is_found_out() {
    let hub = planted(|desired, observed, now| {
        let mut desired = desired.clone();
        for (id, account) in &mut desired.accounts {
            let process = observed.gateways.get(id).and_then(|view| view.process.as_ref());
            account.restart_generation = process.map_or(account.restart_generation, |p| p.restart_generation);
        }
        plan::plan(&desired, observed, now)
    });
    found_out(&hub, &["it never comes to rest"]);
}

#[test]
fn a_planner_without_a_backoff_is_found_out() {
    let hub = planted(|desired, observed, now| {
        let mut observed = observed.clone();
        for exit in observed.gateways.values_mut().flat_map(|view| &mut view.exits) {
            exit.at = Mono(0);
        }
        plan::plan(desired, &observed, now)
    });
    found_out(&hub, &["a start inside the backoff"]);
}

#[test]
fn a_planner_that_forgets_all_exits_but_the_last_is_found_out() {
    let hub = planted(|desired, observed, now| {
        let mut observed = observed.clone();
        for view in observed.gateways.values_mut() {
            view.exits.drain(..view.exits.len().saturating_sub(1));
        }
        plan::plan(desired, &observed, now)
    });
    found_out(&hub, &["a start inside the backoff"]);
}

#[test]
fn a_planner_that_overlooks_silence_is_found_out() {
    let hub = planted(|desired, observed, now| {
        let observed = Observed { watching_since: now.mono, ..observed.clone() };
        plan::plan(desired, &observed, now)
    });
    found_out(&hub, &["it never comes to rest", "a sick source is routed"]);
}

#[test]
fn a_manager_that_takes_late_actions_is_found_out() {
    let hub = Hub { planner: plan::plan, fenced: false };
    found_out(&hub, &["two processes of one account", "a late action hits a successor", "a start inside the backoff"]);
}
