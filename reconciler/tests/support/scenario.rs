//! One situation, and the plan for it in words: what is wanted, what is there, and what the planner makes of it.

use std::collections::BTreeSet;
use std::fmt::Write;

use expect_test::Expect;
use mdhub_reconciler::plan::{Action, Assignment, Desired, DesiredAccount, Observed, Plan, plan};
use mdhub_spec::account::AccountId;
use mdhub_spec::process::{Exit, FrontState, GatewayView, ProcessView};
use mdhub_spec::time::{Mono, Now};

use crate::views::{account, exit, process};

pub(crate) const NOW: Mono = Mono(100_000_000_000_000);

/// The instant `ms` milliseconds ago.
pub(crate) const fn ago(ms: u64) -> Mono {
    Mono(NOW.0 - ms * 1_000_000)
}

/// Accounts, contracts, processes and exits of one scenario.
#[derive(Default)]
pub(crate) struct Scenario {
    pub(crate) desired: Desired,
    pub(crate) observed: Observed,
}

impl Scenario {
    /// One CTP account, and nothing there yet.
    pub(crate) fn new() -> Self {
        Self::default().contracts(&["rb2701.SHFE"]).account("ctp-main", account())
    }

    pub(crate) fn account(mut self, id: &str, account: DesiredAccount) -> Self {
        self.desired.accounts.insert(id.parse().expect("a slug"), account);
        self
    }

    pub(crate) fn contracts(mut self, contracts: &[&str]) -> Self {
        self.desired.contracts = contracts.iter().map(|c| c.parse().expect("a contract")).collect();
        self
    }

    /// A running process, its pipe attached.
    pub(crate) fn process(mut self, id: &str, process: ProcessView) -> Self {
        self.observed.attached.insert(process.incarnation);
        self.view(id).process = Some(process);
        self
    }

    pub(crate) fn exits(mut self, id: &str, exits: impl IntoIterator<Item = Exit>) -> Self {
        self.view(id).exits.extend(exits);
        self
    }

    fn view(&mut self, id: &str) -> &mut GatewayView {
        self.observed.gateways.entry(id.parse().expect("a slug")).or_default()
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.desired, &self.observed, Now { mono: NOW, wall_ns: 0 })
    }

    /// Compares the plan, in words, with what is expected.
    pub(crate) fn check(&self, expected: &Expect) {
        let plan = self.plan();
        let mut text = String::new();
        for action in &plan.actions {
            writeln!(text, "action  {}", words(action)).expect("writes");
        }
        for (id, status) in &plan.statuses {
            writeln!(text, "status  {id} {:?}: {}", status.phase, status.why).expect("writes");
        }
        for (contract, sources) in &plan.routes {
            let sources: Vec<&str> = sources.iter().map(AccountId::as_str).collect();
            writeln!(text, "route   {contract} <- [{}]", sources.join(" ")).expect("writes");
        }
        write!(text, "{}", plan.assignment.as_ref().map(spread).unwrap_or_default()).expect("writes");
        for incarnation in &plan.detach {
            writeln!(text, "detach  {incarnation}").expect("writes");
        }
        if let Some(at) = plan.wake_at {
            writeln!(text, "wake    in {} ms", at.ms_since(NOW)).expect("writes");
        }
        expected.assert_eq(&text);
    }

    /// Compares every condition of `ctp-main` with what is expected.
    pub(crate) fn check_conditions(&self, expected: &Expect) {
        let id: AccountId = "ctp-main".parse().expect("a slug");
        let mut text = String::new();
        for c in &self.plan().statuses[&id].conditions {
            writeln!(text, "{:?} {:?} {}: {}", c.kind, c.status, c.reason, c.message).expect("writes");
        }
        expected.assert_eq(&text);
    }
}

/// Who subscribes what, in words; what it is about to leave to others in brackets.
fn spread(assignment: &Assignment) -> String {
    let none = BTreeSet::new();
    let mut text = String::new();
    for (id, contracts) in &assignment.subscriptions {
        let leaving = assignment.leaving.get(id).unwrap_or(&none);
        let names = contracts.iter().map(|c| if leaving.contains(c) { format!("({c})") } else { c.to_string() });
        writeln!(text, "has     {id}: {}", names.collect::<Vec<_>>().join(" ")).expect("writes");
    }
    for contract in &assignment.homeless {
        writeln!(text, "nobody  {contract}").expect("writes");
    }
    text
}

fn words(action: &Action) -> String {
    match action {
        Action::Start { account, after: None } => format!("start {account}, its first"),
        Action::Start { account, after: Some(after) } => format!("start {account} after {after}"),
        Action::Terminate { account, incarnation, is_sick: false } => format!("terminate {account} {incarnation}"),
        Action::Terminate { account, incarnation, is_sick: true } => {
            format!("terminate {account} {incarnation}, which is sick")
        }
        Action::Kill { account, incarnation } => format!("kill {account} {incarnation}"),
    }
}

/// A process that is all that one could wish.
pub(crate) fn ready(counter: u64) -> ProcessView {
    ProcessView {
        hello_at: Some(ago(59_900)),
        front: FrontState::LoggedIn { trading_day: "20261123".to_owned() },
        ready_at: Some(ago(58_000)),
        heartbeat_at: Some(ago(1_000)),
        acknowledged: 1,
        ..process(counter, ago(60_000))
    }
}

/// An exit that was asked for, of a process that was well.
pub(crate) fn asked_exit(counter: u64, at: Mono) -> Exit {
    Exit { asked: true, ..exit(counter, at) }
}
