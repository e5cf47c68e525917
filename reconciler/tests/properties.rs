//! What holds of every plan, whatever is desired and observed, however odd.

#![expect(clippy::expect_used, reason = "a test fails by it")]

#[path = "support/views.rs"]
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mdhub_reconciler::plan::{Action, Desired, DesiredAccount, Observed, Plan, Policy, Spread, Subscribed, plan};
use mdhub_spec::account::{AccountId, Fingerprint};
use mdhub_spec::condition::{ConditionStatus, ConditionType, Phase};
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{Ending, Exit, FrontState, GatewayView, ProcessView};
use mdhub_spec::time::{Mono, Now};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use views::incarnation;

/// Short enough that random instants meet every deadline.
const POLICY: Policy = Policy {
    term_grace_ms: 50,
    kill_repeat_ms: 30,
    silence_ms: 100,
    pipe_grace_ms: 25,
    backoff_min_ms: 10,
    backoff_max_ms: 80,
    login_backoff_min_ms: 40,
    stable_ms: 150,
    canary_silence_ms: 60,
    cool_down_ms: 20,
    market_silent_hold_ms: 70,
    restart_spacing_ms: 30,
    delivering_ms: 90,
    handover_ms: 40,
    crash_exits: 2,
    crash_window_ms: 120,
};

/// All instants lie in the first 400 ms; the planner's is any of them, also before what it looks at.
fn instant() -> impl Strategy<Value = Mono> {
    (0..400_u64).prop_map(|ms| Mono(0).plus_ms(ms))
}

fn id() -> impl Strategy<Value = AccountId> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(|id| id.parse().expect("a slug"))
}

fn exchange() -> impl Strategy<Value = Exchange> {
    prop::sample::select(vec![Exchange::Shfe, Exchange::Dce, Exchange::Sse])
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    (0..2_u128).prop_map(Fingerprint)
}

prop_compose! {
    fn account()(
        sopt in any::<bool>(), priority in 1..3_u32, is_enabled in prop::bool::weighted(0.8),
        suspended in prop::bool::weighted(0.2), fingerprint in fingerprint(),
        problem in option::weighted(0.1, Just("no library".to_owned())),
        fronts in btree_set(prop::sample::select(vec!["x".to_owned(), "y".to_owned()]), 0..2),
    ) -> DesiredAccount {
        let dialect = if sopt { Dialect::Sopt } else { Dialect::Ctp };
        DesiredAccount { dialect, priority, is_enabled, suspended, fingerprint, problem, fronts, ..views::account() }
    }
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        3 => Just(Ending::No),
        1 => instant().prop_map(|since| Ending::Terminating { since }),
        1 => (instant(), instant()).prop_map(|(since, last)| Ending::Killing { since, last }),
    ]
}

fn front() -> impl Strategy<Value = FrontState> {
    prop_oneof![
        Just(FrontState::Connecting),
        Just(FrontState::Connected),
        any::<i32>().prop_map(|reason| FrontState::Disconnected { reason }),
        Just(FrontState::LoggedIn { trading_day: String::new() }),
        (1..5_i32).prop_map(|code| FrontState::Refused { code, message: String::new() }),
    ]
}

prop_compose! {
    fn process()(
        counter in 0..9_u64, started_at in instant(), fingerprint in fingerprint(), restart_generation in 0..2_u64,
        ending in ending(), hello_at in option::of(instant()), front in front(), ready_at in option::of(instant()),
        heartbeat_at in option::of(instant()), acknowledged in any::<u32>(),
        protocol_mismatch in option::weighted(0.1, 2..4_u32), ticks_ended_at in option::weighted(0.2, instant()),
    ) -> ProcessView {
        ProcessView {
            fingerprint, restart_generation, ending, hello_at, front, ready_at, heartbeat_at, acknowledged,
            protocol_mismatch, ticks_ended_at, ..views::process(counter, started_at)
        }
    }
}

prop_compose! {
    fn exit()(
        counter in 0..9_u64, at in instant(), fingerprint in fingerprint(), restart_generation in 0..2_u64,
        heard_at in instant(), ready_at in option::of(instant()), asked in any::<bool>(), front in front(),
        protocol_mismatch in option::weighted(0.1, 2..4_u32), jitter_permille in any::<u16>(),
    ) -> Exit {
        Exit {
            fingerprint, restart_generation, heard_at, ready_at, asked, protocol_mismatch, jitter_permille, front,
            ..views::exit(counter, at)
        }
    }
}

const CONTRACTS: [&str; 4] = ["rb2701.SHFE", "ni2701.SHFE", "m2705.DCE", "10009123.SSE"];

fn contracts() -> impl Strategy<Value = BTreeSet<Contract>> {
    btree_set(prop::sample::select(CONTRACTS.to_vec()).prop_map(|c| c.parse().expect("a contract")), 0..4)
}

prop_compose! {
    fn spread()(
        redundancy in 0..3_u32, contracts_max in btree_map(id(), 0..4_u32, 0..2), canaries in contracts(),
    ) -> Spread {
        Spread { redundancy, contracts_max, canaries }
    }
}

prop_compose! {
    fn subscribed()(counter in 0..9_u64, contracts in contracts(), grown_at in instant()) -> Subscribed {
        Subscribed { incarnation: incarnation(counter), contracts: Arc::new(contracts), grown_at }
    }
}

prop_compose! {
    fn world()(
        accounts in btree_map(id(), account(), 0..4),
        gateways in btree_map(id(), (option::of(process()), vec(exit(), 0..4)), 0..4),
        attached in btree_set((0..9_u64).prop_map(incarnation), 0..5),
        watching_since in instant(),
        open in btree_map(exchange(), instant(), 0..3),
        closed in option::weighted(0.1, option::of(instant())),
        deliveries in btree_map(id(), btree_map(exchange(), instant(), 0..3), 0..4),
        garbage in btree_map((0..9_u64).prop_map(incarnation), instant(), 0..2),
        ended_sick in btree_set((0..9_u64).prop_map(incarnation), 0..4),
        spread in spread(),
        subscribed in btree_map(id(), subscribed(), 0..4),
        fails in btree_map(id(), contracts(), 0..2),
    ) -> (Desired, Observed) {
        let contracts = CONTRACTS.map(|c| c.parse().expect("a contract")).into();
        let view = |(process, exits)| GatewayView { process, exits };
        let gateways = gateways.into_iter().map(|(id, parts)| (id, view(parts))).collect();
        let closed = closed.map(|until| (Dialect::Ctp, until)).into_iter().collect();
        let desired = Desired { accounts, contracts, policy: POLICY, refused_codes: BTreeSet::from([3]), spread };
        let observed = Observed {
            gateways, attached, watching_since, open, closed, deliveries, garbage, ended_sick, subscribed, fails,
        };
        (desired, observed)
    }
}

fn plan_at(world: &(Desired, Observed), mono: Mono) -> Plan {
    plan(&world.0, &world.1, Now { mono, wall_ns: 0 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_action_names_what_exists_and_is_wanted(world in world(), now in instant()) {
        let (desired, observed) = &world;
        let plan = plan_at(&world, now);
        let accounts: BTreeSet<&AccountId> = plan.actions.iter().map(Action::account).collect();
        prop_assert_eq!(accounts.len(), plan.actions.len(), "two actions on one account");
        for action in &plan.actions {
            let view = observed.gateways.get(action.account()).cloned().unwrap_or_default();
            match action {
                Action::Start { account, after } => {
                    let wanted = &desired.accounts[account];
                    prop_assert!(wanted.is_enabled && !wanted.suspended && wanted.problem.is_none());
                    prop_assert!(view.process.is_none());
                    prop_assert_eq!(*after, view.last_incarnation());
                }
                Action::Terminate { incarnation, .. } => {
                    let process = view.process.expect("a process to end");
                    prop_assert_eq!((process.incarnation, process.ending), (*incarnation, Ending::No));
                }
                Action::Kill { incarnation, .. } => {
                    let process = view.process.expect("a process to kill");
                    prop_assert!(process.incarnation == *incarnation && process.ending != Ending::No);
                }
            }
        }
    }

    #[test]
    fn nothing_changes_with_time_before_the_wake_up(world in world(), now in instant(), later_ms in 0..500_u64) {
        let plan = plan_at(&world, now);
        prop_assert!(plan.wake_at.is_none_or(|at| at > now), "a wake-up in the past");
        let later = now.plus_ms(later_ms);
        if plan.wake_at.is_none_or(|at| later < at) {
            let then = plan_at(&world, later);
            prop_assert_eq!(&then.actions, &plan.actions);
            prop_assert_eq!((&then.routes, &then.detach), (&plan.routes, &plan.detach));
            let given = |plan: &Plan| plan.assignment.clone().map(|a| (a.subscriptions, a.leaving, a.homeless));
            prop_assert_eq!(given(&then), given(&plan));
            prop_assert_eq!(then.wake_at, plan.wake_at);
            for (id, status) in &plan.statuses {
                prop_assert_eq!(then.statuses[id].phase, status.phase);
                prop_assert_eq!(&then.statuses[id].conditions, &status.conditions);
            }
        }
    }

    #[test]
    fn every_account_is_told_about_in_full(world in world(), now in instant()) {
        use ConditionType::{
            Blocked, CanaryFresh, CrashLoop, FrontConnected, LoggedIn, ProcessRunning, Ready, Stuck, Subscribed,
        };
        let (desired, observed) = &world;
        let plan = plan_at(&world, now);
        prop_assert_eq!(&plan, &plan_at(&world, now));
        prop_assert!(desired.accounts.keys().all(|id| plan.statuses.contains_key(id)));
        for (id, status) in &plan.statuses {
            let kinds: Vec<ConditionType> = status.conditions.iter().map(|c| c.kind).collect();
            let all =
                [ProcessRunning, FrontConnected, LoggedIn, Subscribed, CanaryFresh, Ready, Blocked, CrashLoop, Stuck];
            prop_assert_eq!(kinds, all);
            let holds = |kind| status.conditions.iter().any(|c| c.kind == kind && c.status == ConditionStatus::True);
            let process = observed.gateways.get(id).and_then(|view| view.process.as_ref());
            prop_assert_eq!(holds(ProcessRunning), process.is_some());
            let is_up = matches!(status.phase, Phase::Healthy | Phase::Degraded | Phase::Unhealthy);
            let fits = if holds(Ready) { is_up } else { status.phase != Phase::Healthy };
            prop_assert!(fits, "{:?}", status);
            prop_assert!(status.phase != Phase::Blocked || holds(Blocked));
            prop_assert_eq!(status.next_start_at.is_some(), status.phase == Phase::CoolingDown);
            prop_assert!(!status.why.is_empty());
        }
    }

    #[test]
    fn routes_hold_only_accounts_that_serve_the_exchange_the_ready_first_by_priority(
        world in world(), now in instant(), is_spread in any::<bool>(),
    ) {
        let (mut desired, mut observed) = world;
        if !is_spread {
            (desired.spread, observed.fails) = (Spread::default(), BTreeMap::new());
        }
        let world = (desired, observed);
        let (desired, observed) = &world;
        let is_down = |id: &AccountId| {
            let process = observed.gateways[id].process.as_ref();
            !process.is_some_and(|p| {
                let is_logged_in = matches!(p.front, FrontState::LoggedIn { .. });
                is_logged_in && p.ready_at.is_some() && p.ending == Ending::No
            })
        };
        let plan = plan_at(&world, now);
        prop_assert!(plan.routes.keys().eq(&desired.contracts));
        for (contract, sources) in &plan.routes {
            prop_assert!(sources.iter().all(|id| desired.accounts[id].dialect.serves(contract.exchange())));
            prop_assert!(sources.is_sorted_by_key(is_down));
            // Where contracts are spread, whoever is to have one comes first.
            let by_priority = sources.is_sorted_by_key(|id| (is_down(id), desired.accounts[id].priority, id));
            prop_assert!(is_spread || by_priority);
        }
    }
}

#[test]
fn the_planner_knows_no_clock_no_runtime_no_chance_and_no_log() {
    let sources = [
        include_str!("../src/plan.rs"),
        include_str!("../src/plan/assign.rs"),
        include_str!("../src/plan/backoff.rs"),
        include_str!("../src/plan/health.rs"),
        include_str!("../src/plan/routes.rs"),
        include_str!("../src/plan/state.rs"),
        include_str!("../src/plan/status.rs"),
        include_str!("../src/plan/verdict.rs"),
    ];
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan")).expect("the planner's folder");
    assert_eq!(files.count() + 1, sources.len(), "a file of the planner is not looked at");
    for forbidden in ["tokio", "tracing", "Instant", "SystemTime", "std::fs", "std::env", "println", "random"] {
        assert!(sources.iter().all(|text| !text.contains(forbidden)), "{forbidden}");
    }
}
