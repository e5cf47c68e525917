//! From desired and observed state to actions, statuses and routes. A pure function; run it again after every change.
//!
//! Each account is judged by itself: one verdict (`plan/verdict.rs`), from which its action, its status and its routes are
//! all read, so that what people are told is what is done.
//!
//! | process | wanted as it runs | otherwise |
//! |---|---|---|
//! | none | start, after the backoff that its exits ask for | rest |
//! | running | leave it alone | TERM |
//! | asked to leave | TERM, then KILL after the grace, again at intervals, until its group is empty | the same |

mod assign;
mod backoff;
mod health;
mod routes;
mod state;
mod status;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{GatewayView, Incarnation};
use mdhub_spec::time::{Mono, Now};

pub use assign::{Assignment, Spread, Subscribed};
use health::Ward;
pub use state::{Desired, DesiredAccount, Observed, Policy};
pub use status::AccountStatus;
use status::Subject;
use verdict::Verdict;

/// One thing to do. It names the process that it was computed for, so that it cannot hit a successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Launch a process with the account as it was planned with.
    Start {
        /// Whose.
        account: AccountId,
        /// The newest incarnation of this account when the plan was made. Once there is a newer one, this is out of date.
        after: Option<Incarnation>,
    },
    /// TERM to the group.
    Terminate {
        /// Whose.
        account: AccountId,
        /// Which life.
        incarnation: Incarnation,
        /// Whether it is ended for being sick: it belongs into [`Observed::ended_sick`] from now on.
        is_sick: bool,
    },
    /// KILL to the group.
    Kill {
        /// Whose.
        account: AccountId,
        /// Which life.
        incarnation: Incarnation,
    },
}

impl Action {
    /// Whose process it is about.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        match self {
            Self::Start { account, .. } | Self::Terminate { account, .. } | Self::Kill { account, .. } => account,
        }
    }
}

/// What there is to do about one account, and to say about it.
struct AccountPlan {
    /// At most one thing at a time.
    action: Option<Action>,
    /// For people.
    status: AccountStatus,
    /// When to look again, if nothing changes before.
    wake_at: Option<Mono>,
}

/// What there is to do about everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// At most one for an account, by account id.
    pub actions: Vec<Action>,
    /// Every desired account, and those others that still have a process.
    pub statuses: BTreeMap<AccountId, AccountStatus>,
    /// Who may feed which contract, the primary first. Every desired contract has an entry.
    pub routes: BTreeMap<Contract, Vec<AccountId>>,
    /// Which source is to subscribe what; `None` where every source subscribes everything.
    pub assignment: Option<Assignment>,
    /// Tick pipes to close at once, whatever is in them: their writers are sick.
    pub detach: BTreeSet<Incarnation>,
    /// The kinds whose sources are all silent at once though they are on independent fronts, since when.
    pub silent_markets: BTreeMap<Dialect, Mono>,
    /// Pairs of accounts that share a front, so that they are no redundancy for each other.
    pub shared_fronts: BTreeSet<(AccountId, AccountId)>,
    /// When to plan again, if nothing changes before.
    pub wake_at: Option<Mono>,
}

/// Plans for every account.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, now: Now) -> Plan {
    let ward = Ward::new(desired, observed, now.mono);
    let assignment = assign::assign(desired, observed, &ward, now.mono);
    let mut plan = Plan {
        routes: routes::routes(desired, observed, &ward, assignment.as_ref(), now),
        detach: routes::detach(desired, observed, now),
        silent_markets: ward.silent_markets(),
        shared_fronts: ward.shared_fronts(),
        wake_at: ward.due().into_iter().chain(assignment.as_ref().and_then(|a| a.due)).min(),
        assignment,
        ..Plan::default()
    };
    let ids: BTreeSet<&AccountId> = desired.accounts.keys().chain(observed.gateways.keys()).collect();
    for id in ids {
        let Some(AccountPlan { action, status, wake_at }) =
            one(&ward, desired, observed, plan.assignment.as_ref(), id, now)
        else {
            continue;
        };
        plan.actions.extend(action);
        plan.statuses.insert(id.clone(), status);
        plan.wake_at = plan.wake_at.into_iter().chain(wake_at).min();
    }
    plan
}

/// Plans for one account. `None` when it is neither desired nor has a process: there is nothing to do or to say.
fn one(
    ward: &Ward<'_>,
    desired: &Desired,
    observed: &Observed,
    assignment: Option<&Assignment>,
    id: &AccountId,
    now: Now,
) -> Option<AccountPlan> {
    let none = GatewayView::default();
    let view = observed.gateways.get(id).unwrap_or(&none);
    let wanted = desired.accounts.get(id);
    if wanted.is_none() && view.process.is_none() {
        return None;
    }
    let verdict = verdict::judge(desired, observed, wanted, view, ward.health(id), now.mono);
    let action = match &verdict {
        Verdict::Start => Some(Action::Start { account: id.clone(), after: view.last_incarnation() }),
        Verdict::End { process, cause } => {
            Some(Action::Terminate { account: id.clone(), incarnation: process.incarnation, is_sick: cause.is_fault() })
        }
        Verdict::Leaving { process, kill_at, .. } => {
            (*kill_at <= now.mono).then(|| Action::Kill { account: id.clone(), incarnation: process.incarnation })
        }
        Verdict::Rest(_) | Verdict::Keep(..) | Verdict::CoolDown { .. } | Verdict::Blocked(_) => None,
    };
    let crashes =
        wanted.map(|account| backoff::crashes(&desired.policy, account, &observed.ended_sick, &view.exits, now.mono));
    let (crashes, crash_leaves) = crashes.unwrap_or_default();
    let reopens = wanted.and_then(|account| observed.closed.get(&account.dialect).copied().flatten());
    let due = verdict.due(&desired.policy, observed.watching_since, now.mono);
    let wake_at = due.into_iter().chain(crash_leaves).chain(reopens).filter(|at| *at > now.mono).min();
    let subscribed = match assignment {
        Some(assignment) => assignment.subscriptions.get(id).map_or(0, |contracts| contracts.len()),
        None => wanted.map_or(0, |account| desired.contracts_of(account.dialect).count()),
    };
    let fails = observed.fails.get(id);
    let subject = Subject { id, desired, subscribed, fails, crashes, reopens, now: now.mono };
    Some(AccountPlan { action, status: status::status(&subject, &verdict), wake_at })
}
