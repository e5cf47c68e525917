//! What people are told of: ends, changed statuses, failovers, silent markets, fronts that are shared. Each once.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_reconciler::plan::{AccountStatus, Observed, Plan};
use mdhub_spec::account::AccountId;
use mdhub_spec::condition::{Condition, ConditionStatus, ConditionType, Phase};
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{Exit, Incarnation};
use mdhub_spec::settings::ArbitrationMode;
use mdhub_spec::time::Mono;
use tracing::{error, info, warn};

use super::Control;
use super::failovers::{Failover, failovers};
use super::subscriptions::named;

/// Ends every incident of an account; see `mdhub_alerts::Ear` for `incident` and `recovers`.
const ALL_OF_ACCOUNT: &str = "*";

/// The incident that all sources of a dialect are silent.
fn silent_market(dialect: Dialect) -> String {
    format!("MarketSilent {dialect}")
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    exits: BTreeMap<AccountId, Incarnation>,
    statuses: BTreeMap<AccountId, AccountStatus>,
    routes: BTreeMap<Contract, Vec<AccountId>>,
    silent_markets: BTreeSet<Dialect>,
    shared_fronts: BTreeSet<(AccountId, AccountId)>,
    homeless: BTreeSet<Contract>,
    /// The last day, since the epoch, on which the calendar's end was told.
    calendar_on: Option<i64>,
}

impl Told {
    /// Whether the calendar's end was not told on this day yet; from now on it was.
    pub(super) fn is_new_day(&mut self, day: i64) -> bool {
        self.calendar_on.replace(day) != Some(day)
    }

    /// Of accounts that nobody knows any more nothing is kept.
    pub(super) fn forget(&mut self, is_known: impl Fn(&AccountId) -> bool) {
        self.exits.retain(|id, _| is_known(id));
    }

    /// The ends that nobody was told of yet.
    fn exits<'a>(&mut self, observed: &'a Observed) -> Vec<(&'a AccountId, &'a Exit)> {
        let mut news = Vec::new();
        for (id, view) in &observed.gateways {
            let told = self.exits.get(id).copied();
            news.extend(view.exits.iter().filter(|e| told.is_none_or(|t| e.incarnation > t)).map(|e| (id, e)));
            if let Some(last) = view.exits.last() {
                self.exits.insert(id.clone(), last.incarnation);
            }
        }
        news
    }

    /// The sources that contracts have lost since the last look.
    fn failovers(&mut self, plan: &Plan, mode: ArbitrationMode) -> Vec<Failover> {
        let failovers = failovers(&self.routes, &plan.routes, mode);
        if self.routes != plan.routes {
            self.routes.clone_from(&plan.routes);
        }
        failovers
    }
}

impl Control {
    /// Tells what is new in `plan`, made at `now`.
    pub(super) fn tell(&self, observed: &Observed, plan: &Plan, now: Mono) {
        let mode = self.settings.borrow().settings.arbitration.mode;
        let mut state = self.state();
        let told = &mut state.told;
        let (exits, failovers) = (told.exits(observed), told.failovers(plan, mode));
        let statuses = std::mem::replace(&mut told.statuses, plan.statuses.clone());
        let silent: BTreeSet<Dialect> = plan.silent_markets.keys().copied().collect();
        let silent_before = std::mem::replace(&mut told.silent_markets, silent.clone());
        let shared_before = std::mem::replace(&mut told.shared_fronts, plan.shared_fronts.clone());
        let homeless = plan.assignment.as_ref().map(|assignment| assignment.homeless.clone()).unwrap_or_default();
        let homeless_before = std::mem::replace(&mut told.homeless, homeless.clone());
        drop(state);
        exits.into_iter().for_each(|(id, exit)| self.tell_exit(id, exit));
        failovers.into_iter().for_each(|failover| self.tell_failover(failover, observed, plan, now));
        let in_silence = !silent.is_empty();
        plan.statuses.iter().for_each(|(id, status)| self.tell_status(id, statuses.get(id), status, in_silence));
        for id in statuses.keys().filter(|id| !plan.statuses.contains_key(id)) {
            info!(account = %id, recovers = ALL_OF_ACCOUNT, "the account is gone");
        }
        for dialect in silent.difference(&silent_before) {
            let incident = silent_market(*dialect);
            error!(%dialect, incident, "every source of this dialect is silent: perhaps the market is; restarts are held back");
            self.outbox.hub_event(
                None,
                "MarketSilent",
                format!("every {dialect} source is silent; restarts are held back"),
            );
        }
        for dialect in silent_before.difference(&silent) {
            info!(%dialect, recovers = silent_market(*dialect), "its market is no longer silent");
            self.outbox.hub_event(
                None,
                "MarketSilentOver",
                format!("{dialect} sources tick again, or fewer than two are up"),
            );
        }
        self.tell_homeless(&homeless_before, &homeless);
        for (a, b) in plan.shared_fronts.difference(&shared_before) {
            warn!("{a} and {b} share a front: they fall together, and are no redundancy for each other");
        }
    }

    fn tell_homeless(&self, before: &BTreeSet<Contract>, now: &BTreeSet<Contract>) {
        const INCIDENT: &str = "NoRoom";
        let new: Vec<Contract> = now.difference(before).cloned().collect();
        if !new.is_empty() {
            let message = format!(
                "no source has room for {} contracts: {}; see contracts.max_by_account",
                now.len(),
                named(&new)
            );
            error!(incident = INCIDENT, "{message}");
            self.outbox.hub_event(None, INCIDENT, message);
        } else if now.is_empty() && !before.is_empty() {
            info!(recovers = INCIDENT, "every contract has a source again");
            self.outbox.hub_event(None, "NoRoomOver", "every contract has a source again".into());
        }
    }

    fn tell_exit(&self, id: &AccountId, exit: &Exit) {
        let message =
            exit.bye.as_ref().map_or_else(|| exit.reason.to_string(), |bye| format!("{}: {bye}", exit.reason));
        if exit.asked {
            info!(account = %id, incarnation = %exit.incarnation, message, "ended, as asked");
        } else {
            let last_lines = exit.stderr.iter().rev().take(3).rev().map(String::as_str).collect::<Vec<_>>().join(" | ");
            let incident = "ProcessExited";
            error!(account = %id, incarnation = %exit.incarnation, incident, message, last_lines, "a gateway process ended by itself");
        }
        self.outbox.hub_event(Some(id), "ProcessExited", message);
    }

    fn tell_status(&self, id: &AccountId, before: Option<&AccountStatus>, now: &AccountStatus, in_silence: bool) {
        if before.is_none_or(|b| b.phase != now.phase) {
            let (phase, why) = (now.phase, &now.why);
            match phase {
                // Where the market is silent, that is what is told.
                Phase::Unhealthy if !in_silence => error!(account = %id, ?phase, why, incident = "Unhealthy", "phase"),
                Phase::Healthy | Phase::Stopped => {
                    info!(account = %id, ?phase, why, recovers = ALL_OF_ACCOUNT, "phase")
                }
                _ => info!(account = %id, ?phase, why, "phase"),
            }
        }
        let Some(before) = before else { return };
        for condition in &now.conditions {
            let Condition { kind, status, reason, message } = condition;
            if before.conditions.iter().any(|c| c.kind == *kind && c.status == *status && c.reason == *reason) {
                continue;
            }
            let is_alarming = matches!(kind, ConditionType::Blocked | ConditionType::CrashLoop | ConditionType::Stuck);
            let name = format!("{kind:?}");
            match status {
                ConditionStatus::True if is_alarming => {
                    error!(account = %id, condition = name, incident = name, reason, why = message, "condition");
                    self.outbox.hub_event(Some(id), reason, message.clone());
                }
                _ if is_alarming => {
                    info!(account = %id, condition = name, ?status, reason, why = message, recovers = name, "condition");
                }
                _ => info!(account = %id, condition = ?kind, ?status, reason, why = message, "condition"),
            }
        }
    }
}
