//! Every contract that is wanted, with who is to bring it and what comes of it: joined from what control knows and what the
//! feed tells.

mod pace;

use std::collections::BTreeSet;
use std::sync::Arc;

use mdhub_api::{ContractRow, ContractState, ContractTable};
use mdhub_spec::calendar::Phase;
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::{ContractTicks, SourceMask};
use mdhub_spec::time::Now;

pub(super) use pace::Pace;

use super::control::{Holder, Holdings};
use super::desired::Configured;

/// The contracts that are wanted, sorted by `vt_symbol`.
pub(crate) fn wanted(holdings: &Holdings) -> Arc<[Contract]> {
    let mut all: Vec<Contract> = holdings.wanted.iter().cloned().collect();
    // `SR701-C.CZCE` comes before `SR701.CZCE`.
    all.sort_by(|a, b| written(a).cmp(written(b)));
    all.into()
}

fn written(contract: &Contract) -> impl Iterator<Item = u8> + '_ {
    contract.symbol().bytes().chain([b'.']).chain(contract.exchange().as_str().bytes())
}

/// The table at `now`. `ticks` are in the order of `contracts`.
pub(crate) fn table(
    holdings: &Holdings,
    contracts: &[Contract],
    ticks: &[Option<ContractTicks>],
    silence_ms: u64,
    now: Now,
) -> ContractTable {
    let configured = &holdings.configured;
    let canaries: BTreeSet<&Contract> = configured.canaries.iter().collect();
    let mut sections = Sections::of(configured, now);
    let rows = contracts.iter().zip(ticks).map(|(contract, ticks)| {
        let of = |has: &dyn Fn(&Holder) -> bool| {
            let holders =
                holdings.holders.iter().filter(|holder| holder.dialect.serves(contract.exchange()) && has(holder));
            holders.fold(SourceMask::NONE, |mask, holder| mask.with(holder.slot))
        };
        let lately = ticks.map_or(SourceMask::NONE, |ticks| ticks.lately);
        let acknowledged_by = of(&|holder| has_accepted(holder, contract, lately));
        let last_tick_age_ms = ticks.and_then(|ticks| Some(now.mono.ms_since(ticks.published_at?)));
        let state = match last_tick_age_ms {
            Some(age_ms) if age_ms <= silence_ms => ContractState::Ticking,
            _ if sections.is_closed(contract) => ContractState::Closed,
            _ if acknowledged_by.is_empty() => ContractState::Missing,
            _ => ContractState::Silent,
        };
        ContractRow {
            contract: contract.clone(),
            state,
            is_canary: canaries.contains(contract),
            is_demand: !configured.contracts.contains(contract),
            desired_by: of(&|holder| holder.assigned.as_ref().is_some_and(|assigned| assigned.contains(contract))),
            acknowledged_by,
            ticks: *ticks,
            last_tick_age_ms,
            ticks_per_s: None,
        }
    });
    let rows = rows.collect();
    let accounts = holdings.holders.iter().map(|holder| (holder.slot, holder.account.clone())).collect();
    ContractTable { at_ms: now.wall_ms(), accounts, rows }
}

/// A front says how many it has accepted, and names those that it has refused. So what it was asked for is accepted once
/// everything is answered; before that, what comes.
fn has_accepted(holder: &Holder, contract: &Contract, lately: SourceMask) -> bool {
    holder.told.as_ref().is_some_and(|told| {
        told.contracts.contains(contract)
            && !told.refused.contains(contract.symbol())
            && (told.is_settled || lately.contains(holder.slot))
    })
}

/// Which products are in no section, looked up once each.
pub(crate) struct Sections<'a> {
    configured: &'a Configured,
    now: Now,
    closed: Vec<Option<bool>>,
}

impl<'a> Sections<'a> {
    pub(crate) fn of(configured: &'a Configured, now: Now) -> Self {
        Self { configured, now, closed: vec![None; configured.calendar.products.len()] }
    }

    /// Where no calendar applies, nothing is ever closed.
    pub(crate) fn is_closed(&mut self, contract: &Contract) -> bool {
        let Self { configured, now, closed } = self;
        if configured.always_open || configured.is_replay {
            return false;
        }
        let product = configured.calendar.listing(contract).product;
        let look = || configured.calendar.section_at(product, now.wall_ms()).phase != Phase::Open;
        match closed.get_mut(product.index()) {
            Some(known) => *known.get_or_insert_with(look),
            None => look(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mdhub_reconciler::plan::{Policy, Spread};
    use mdhub_spec::calendar::MarketCalendar;
    use mdhub_spec::dialect::Dialect;
    use mdhub_spec::plane::SourceSlot;
    use mdhub_spec::time::Mono;

    use super::super::control::ToldContracts as Told;
    use super::*;

    /// 2026-11-18, a Wednesday, in Beijing.
    fn now(hour: i64, minute: i64) -> Now {
        let ms = mdhub_spec::calendar::midnight_ms(jiff::civil::date(2026, 11, 18)) + (hour * 60 + minute) * 60_000;
        Now { mono: Mono(0).plus_ms(1_000_000), wall_ns: ms.unsigned_abs() * 1_000_000 }
    }

    fn contract(name: &str) -> Contract {
        name.parse().expect("a contract")
    }

    fn set(names: &[&str]) -> Arc<BTreeSet<Contract>> {
        Arc::new(names.iter().map(|name| contract(name)).collect())
    }

    fn slot(index: u8) -> SourceSlot {
        SourceSlot::new(index).expect("a slot")
    }

    const ALL: [&str; 4] = ["IF2612.CFFEX", "au2702.SHFE", "rb2701.SHFE", "10009123.SSE"];

    fn holdings(always_open: bool, told: Option<Told>) -> Holdings {
        let configured = Configured {
            contracts: ALL[..3].iter().map(|name| contract(name)).collect(),
            libraries: BTreeMap::new(),
            policy: Policy::default(),
            spread: Spread::default(),
            refused_codes: BTreeSet::new(),
            canaries: vec![contract("rb2701.SHFE")],
            always_open,
            is_replay: false,
            calendar: MarketCalendar::shipped(),
        };
        let (account, dialect) = ("ctp-a".parse().expect("an id"), Dialect::Ctp);
        let holder = Holder { account, slot: slot(3), dialect, assigned: Some(set(&ALL)), told };
        Holdings { configured: Arc::new(configured), wanted: set(&ALL), holders: vec![holder] }
    }

    fn told(refused: &[&str], is_settled: bool) -> Option<Told> {
        let refused = refused.iter().map(|symbol| (*symbol).to_owned()).collect();
        Some(Told { contracts: set(&ALL), refused, is_settled })
    }

    /// A contract whose last tick is of so many milliseconds ago.
    fn ticked(age_ms: u64) -> Option<ContractTicks> {
        Some(ContractTicks {
            seq: 1,
            duplicate: 0,
            rejected: 0,
            winner: Some(slot(3)),
            lately: SourceMask::NONE.with(slot(3)),
            last_price: Some(1.0),
            published_at: Some(Mono(0).plus_ms(1_000_000 - age_ms)),
        })
    }

    fn states(holdings: &Holdings, ticks: [Option<ContractTicks>; 4], now: Now) -> BTreeMap<String, ContractState> {
        let contracts = wanted(holdings);
        let by_name: BTreeMap<&str, Option<ContractTicks>> = ALL.into_iter().zip(ticks).collect();
        let ticks: Vec<_> = contracts.iter().map(|c| by_name[c.vt_symbol().as_str()]).collect();
        let table = table(holdings, &contracts, &ticks, 30_000, now);
        table.rows.iter().map(|row| (row.contract.vt_symbol(), row.state)).collect()
    }

    #[test]
    fn what_ticks_is_silent_missing_or_closed_is_told_apart() {
        use ContractState::{Closed, Missing, Silent, Ticking};
        let ticks = [ticked(30_000), ticked(30_001), None, None];
        for (told, now, expected) in [
            (told(&["rb2701"], true), now(9, 45), [Ticking, Silent, Missing, Missing]),
            (told(&[], true), now(9, 45), [Ticking, Silent, Silent, Missing]),
            // Of what is not answered yet, that is accepted which comes.
            (told(&[], false), now(9, 45), [Ticking, Silent, Missing, Missing]),
            (None, now(9, 45), [Ticking, Missing, Missing, Missing]),
            // CFFEX opens at 9:30, SSE as well; what ticks ticks.
            (told(&[], true), now(9, 10), [Ticking, Silent, Silent, Closed]),
            (None, now(12, 0), [Ticking, Closed, Closed, Closed]),
        ] {
            let expected = ALL.iter().map(|name| (*name).to_owned()).zip(expected).collect();
            assert_eq!(states(&holdings(false, told), ticks, now), expected, "{now:?}");
        }
        let open = states(&holdings(true, None), [None; 4], now(12, 0));
        assert!(open.values().all(|state| *state == Missing), "no calendar applies: {open:?}");
    }

    #[test]
    fn who_is_to_bring_a_contract_and_who_has_accepted_it_is_told_by_place() {
        let holdings = holdings(true, told(&["au2702"], true));
        let contracts = wanted(&holdings);
        let table = table(&holdings, &contracts, &[None; 4], 30_000, now(12, 0));
        assert_eq!(table.accounts, [(slot(3), "ctp-a".parse().expect("an id"))].into());
        let of = |name: &str| table.rows.iter().find(|row| row.contract == contract(name)).expect("wanted");
        let mine = SourceMask::NONE.with(slot(3));
        assert_eq!((of("rb2701.SHFE").desired_by, of("rb2701.SHFE").acknowledged_by), (mine, mine));
        assert_eq!((of("au2702.SHFE").desired_by, of("au2702.SHFE").acknowledged_by), (mine, SourceMask::NONE));
        assert!(of("10009123.SSE").desired_by.is_empty(), "a CTP front does not carry it");
        assert!(of("rb2701.SHFE").is_canary && !of("au2702.SHFE").is_canary);
        assert!(of("10009123.SSE").is_demand && !of("rb2701.SHFE").is_demand);
    }

    #[test]
    fn the_contracts_are_sorted_as_they_are_written() {
        let names = ["SR701-C-1.CZCE", "SR701.CZCE", "SR7010.CZCE", "a1.DCE", "a1.SHFE", "b1.SHFE"];
        let holdings = Holdings { wanted: set(&names), ..holdings(true, None) };
        let sorted: Vec<String> = wanted(&holdings).iter().map(Contract::vt_symbol).collect();
        let mut written: Vec<String> = names.map(str::to_owned).into();
        written.sort();
        assert_eq!(sorted, written);
    }
}
