//! Contracts that lose a source: who goes on, why, and how long it took until the first tick came from there.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_reconciler::plan::{Observed, Plan};
use mdhub_spec::account::AccountId;
use mdhub_spec::condition::Phase;
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::SourceMask;
use mdhub_spec::settings::ArbitrationMode;
use mdhub_spec::time::Mono;
use tracing::{error, info, warn};

use super::subscriptions::named;
use super::{Control, State};

/// Where no tick has come by then, that is what is told.
const TICK_WITHIN_MS: u64 = 60_000;
/// A first tick is looked for often for so long; then as often as all else.
const TICK_NEAR_MS: u64 = 2_000;
/// Failovers whose first tick is waited for; of more it is told at once that they happened.
const PENDING_MAX: usize = 64;

/// A source that contracts have lost, or that is no longer their primary, and who goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Failover {
    from: AccountId,
    /// The new primary first; empty when nobody is left.
    to: Vec<AccountId>,
    contracts: Vec<Contract>,
}

/// What lost a source from one route table to the next. Contracts that are no longer wanted lose nothing.
pub(super) fn failovers(
    before: &BTreeMap<Contract, Vec<AccountId>>,
    now: &BTreeMap<Contract, Vec<AccountId>>,
    mode: ArbitrationMode,
) -> Vec<Failover> {
    let mut lost: BTreeMap<(&AccountId, &Vec<AccountId>), Vec<Contract>> = BTreeMap::new();
    for (contract, sources) in before {
        let Some(left) = now.get(contract) else { continue };
        // Where the primary alone counts, one that others have come before is as good as gone.
        let is_demoted = |id: &AccountId| {
            mode == ArbitrationMode::PrimaryOnly && sources.first() == Some(id) && left.first() != Some(id)
        };
        for from in sources.iter().filter(|id| !left.contains(id) || is_demoted(id)) {
            lost.entry((from, left)).or_default().push(contract.clone());
        }
    }
    lost.into_iter().map(|((from, to), contracts)| Failover { from: from.clone(), to: to.clone(), contracts }).collect()
}

/// A failover whose first tick is yet to come.
#[derive(Debug)]
pub(super) struct Pending {
    failover: Failover,
    cause: String,
    /// When the former source was lost.
    lost_at: Mono,
    /// What had been brought before has been taken away.
    is_fresh: bool,
}

impl Control {
    /// Whether a first tick may come any moment.
    pub(super) fn is_first_tick_near(&self, now: Mono) -> bool {
        self.state().pending.iter().any(|waits| now.ms_since(waits.lost_at) < TICK_NEAR_MS)
    }

    pub(super) fn tell_failover(&self, failover: Failover, observed: &Observed, plan: &Plan, now: Mono) {
        let Failover { from, to, contracts } = &failover;
        let status = plan.statuses.get(from);
        let names = to.iter().map(AccountId::as_str).collect::<Vec<_>>().join(", ");
        let first = named(contracts);
        // Of one that is well nothing was lost: its primary is back, or contracts are spread otherwise.
        if !to.is_empty() && status.is_some_and(|status| status.phase == Phase::Healthy) {
            let (reason, message) = if to.contains(from) {
                ("Failback", format!("contracts go back to {names} ({first})"))
            } else {
                ("Reassigned", format!("contracts go to {names} ({first}), though {from} is well"))
            };
            info!(account = %from, reason, "{message}");
            self.outbox.hub_event(Some(from), reason, message);
            return;
        }
        let cause = status.map_or("the account is gone", |status| status.why.as_str()).to_owned();
        let exit = observed.gateways.get(from).filter(|v| v.process.is_none()).and_then(|v| v.exits.last());
        let lost_at = exit.map_or(now, |exit| exit.at);
        if to.is_empty() {
            error!(account = %from, incident = "NoSource", "contracts without a source ({first}): {cause}");
            self.outbox.hub_event(Some(from), "Failover", format!("contracts without a source ({first}): {cause}"));
            return;
        }
        warn!(account = %from, "contracts go on with {names} ({first}): {cause}");
        let pending = Pending { failover, cause, lost_at, is_fresh: false };
        let mut state = self.state();
        if state.pending.len() < PENDING_MAX {
            state.pending.push(pending);
            drop(state);
            self.failed_over.notify_one();
        } else {
            drop(state);
            self.tell_first_tick(&pending, None);
        }
    }

    /// Tells of the failovers whose first tick has come, or does not come. `brought` is what was brought since the last
    /// call.
    pub(super) fn first_ticks(&self, brought: &BTreeMap<Contract, SourceMask>, now: Mono) {
        let mut state = self.state();
        let State { pending, slots, .. } = &mut *state;
        let mut done = Vec::new();
        pending.retain_mut(|waits| {
            let mask = waits.failover.to.iter().filter_map(|id| slots.get(id)).fold(SourceMask::NONE, SourceMask::with);
            let has_come = |contract| brought.get(contract).is_some_and(|sources| !sources.and(mask).is_empty());
            let is_fresh = std::mem::replace(&mut waits.is_fresh, true);
            let has_come = is_fresh && waits.failover.contracts.iter().any(has_come);
            let took_ms = now.ms_since(waits.lost_at);
            if !has_come && took_ms < TICK_WITHIN_MS {
                return true;
            }
            done.push((std::mem::replace(waits, Pending::nothing(&waits.failover.from)), has_come.then_some(took_ms)));
            false
        });
        drop(state);
        done.iter().for_each(|(waited, took_ms)| self.tell_first_tick(waited, *took_ms));
    }

    fn tell_first_tick(&self, Pending { failover, cause, .. }: &Pending, took_ms: Option<u64>) {
        let Failover { from, to, contracts } = failover;
        let names = to.iter().map(AccountId::as_str).collect::<Vec<_>>().join(", ");
        let after = match took_ms {
            Some(ms) => format!("their first tick from there came {ms} ms after {from} was lost"),
            None => format!("no tick has come from there within {} s", TICK_WITHIN_MS / 1_000),
        };
        let exchanges: BTreeSet<&str> = contracts.iter().map(|contract| contract.exchange().as_str()).collect();
        let count = format!("{} of {}", contracts.len(), exchanges.into_iter().collect::<Vec<_>>().join(", "));
        let message = format!("contracts go on with {names} ({count}: {}); {after}: {cause}", named(contracts));
        info!(account = %from, took_ms, "{message}");
        self.outbox.hub_event(Some(from), "Failover", message);
    }
}

impl Pending {
    fn nothing(of: &AccountId) -> Self {
        let failover = Failover { from: of.clone(), to: Vec::new(), contracts: Vec::new() };
        Self { failover, cause: String::new(), lost_at: Mono(0), is_fresh: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(routes: &[(&str, &[&str])]) -> BTreeMap<Contract, Vec<AccountId>> {
        let route = |(contract, ids): &(&str, &[&str])| {
            let ids = ids.iter().map(|id| id.parse().expect("a slug")).collect();
            (contract.parse().expect("a contract"), ids)
        };
        routes.iter().map(route).collect()
    }

    fn told(
        before: &BTreeMap<Contract, Vec<AccountId>>,
        now: &BTreeMap<Contract, Vec<AccountId>>,
        mode: ArbitrationMode,
    ) -> Vec<String> {
        let word = |f: &Failover| {
            let to = f.to.iter().map(AccountId::as_str).collect::<Vec<_>>().join(" ");
            format!("{} -> [{to}] {}", f.from, named(&f.contracts))
        };
        failovers(before, now, mode).iter().map(word).collect()
    }

    #[test]
    fn a_failover_names_who_left_what_and_who_goes_on() {
        let before = routes(&[
            ("rb2701.SHFE", &["a", "b"]),
            ("au2702.SHFE", &["a", "b"]),
            ("m2705.DCE", &["a"]),
            ("cu2701.SHFE", &["a"]),
        ]);
        let now = routes(&[("rb2701.SHFE", &["b"]), ("au2702.SHFE", &["b"]), ("m2705.DCE", &[])]);
        for mode in [ArbitrationMode::FirstArrival, ArbitrationMode::PrimaryOnly] {
            assert_eq!(told(&before, &now, mode), ["a -> [] m2705.DCE", "a -> [b] au2702.SHFE, rb2701.SHFE"]);
            assert_eq!(told(&now, &before, mode).len(), usize::from(mode == ArbitrationMode::PrimaryOnly));
        }
    }

    #[test]
    fn a_primary_whose_front_is_gone_while_its_process_lives_is_a_failover_where_it_alone_counts() {
        let before = routes(&[("rb2701.SHFE", &["a", "b"])]);
        let now = routes(&[("rb2701.SHFE", &["b", "a"])]);
        assert_eq!(told(&before, &now, ArbitrationMode::PrimaryOnly), ["a -> [b a] rb2701.SHFE"]);
        assert_eq!(told(&before, &now, ArbitrationMode::FirstArrival), Vec::<String>::new());
    }
}
