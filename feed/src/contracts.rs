//! Every contract that the feed knows: who may feed it, what was published of it, and how to find it by a record's
//! `InstrumentID`.

mod lately;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::{Brought, ContractTicks, Route, RouteTable, SourceMask, SourceSlot};
use mdhub_spec::product::Listing;
use mdhub_spec::time::Mono;

use crate::arbitrate::{Arbiter, Stamps, Statics};
use crate::cleanse::{Defiance, Standing};
use crate::encode::ContractFields;
use crate::tid::Identity;
use crate::zmtp::TopicId;

use lately::Lately;

/// Contracts that have left the route table, but whose numbers are kept in case they come back.
pub(crate) const UNROUTED_MAX: usize = 20_000;

/// One contract's state. It outlives its route, so that `seq` goes on where it was.
#[derive(Debug)]
pub(crate) struct ContractState {
    pub(crate) exchange: Exchange,
    pub(crate) topic: TopicId,
    /// Whose ticks count, while it is routed.
    pub(crate) sources: SourceMask,
    pub(crate) identity: Identity,
    pub(crate) fields: ContractFields,
    pub(crate) arbiter: Arbiter,
    /// Ticks published.
    pub(crate) seq: u64,
    /// Trading day and volume of the last published tick.
    pub(crate) last: Option<(u32, i64)>,
    /// Of the last tick that arbitration let pass.
    pub(crate) standing: Option<Standing>,
    pub(crate) statics: Statics,
    /// Ticks in a row that contradict `standing`.
    pub(crate) defiance: Defiance,
    /// Exchange time of the newest tick that subscribers may get as a snapshot, ms since the epoch.
    pub(crate) snapshot_time_ms: i64,
    pub(crate) listing: Listing,
    pub(crate) primary: Option<SourceSlot>,
    /// Who has brought a good tick since [`Contracts::take_brought`].
    pub(crate) brought: SourceMask,
    /// Who has brought a good tick lately.
    pub(crate) lately: Lately,
    /// Who brought the last published tick, when it was, and its price (NaN: it had none).
    pub(crate) winner: Option<SourceSlot>,
    pub(crate) published_at: Mono,
    pub(crate) last_price: f64,
    /// Copies of published ticks.
    pub(crate) duplicate: u64,
    /// Ticks in quarantine, and before.
    pub(crate) rejected: u64,
    pub(crate) contract: Contract,
    /// Revision of the last table that routed it.
    routed_at: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Contracts {
    states: Vec<ContractState>,
    places: HashMap<Contract, usize, FixedState>,
    /// Of the routed ones, by `InstrumentID`: what CTP can mean, and what SOPT can.
    by_instrument: [HashMap<Box<[u8]>, u32, FixedState>; 2],
    table: Arc<RouteTable>,
    /// Where the table's contracts are, in its order.
    order: Vec<usize>,
}

impl Contracts {
    /// Where the contract is that a source of this dialect calls `instrument`.
    pub(crate) fn find(&self, dialect: Dialect, instrument: &[u8]) -> Option<u32> {
        self.by_instrument[dialect as usize].get(instrument).copied()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&ContractState> {
        self.states.get(place as usize)
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut ContractState> {
        self.states.get_mut(place as usize)
    }

    /// From now on `table` rules. `topic` gives the topic of a `vt_symbol`.
    pub(crate) fn route(
        &mut self,
        table: Arc<RouteTable>,
        calendar: &MarketCalendar,
        topic: &mut dyn FnMut(&str) -> TopicId,
    ) {
        let same = |(a, b): (&Route, &Route)| a.contract == b.contract;
        let only_sources_changed =
            self.table.routes.len() == table.routes.len() && self.table.routes.iter().zip(&table.routes).all(same);
        for route in &table.routes {
            let place = self.place_of(&route.contract, calendar, topic);
            self.states[place].sources = route.sources;
            self.states[place].primary = route.primary;
            self.states[place].routed_at = table.revision;
        }
        if !only_sources_changed {
            self.forget(table.revision);
            self.index(&table);
        }
        self.table = table;
    }

    /// From now on this calendar knows the products.
    pub(crate) fn relist(&mut self, calendar: &MarketCalendar) {
        for state in &mut self.states {
            state.listing = calendar.listing(&state.contract);
        }
    }

    /// Who has brought a good tick of each routed contract since the last call.
    pub(crate) fn take_brought(&mut self) -> Brought {
        let Self { states, order, table, .. } = self;
        let mut taken =
            |place: &usize| states.get_mut(*place).map(|state| std::mem::take(&mut state.brought)).unwrap_or_default();
        Brought { revision: table.revision, sources: order.iter().map(&mut taken).collect() }
    }

    /// What came of a contract's ticks until `now`.
    pub(crate) fn ticks_of(&self, contract: &Contract, now: Mono) -> Option<ContractTicks> {
        let state = self.states.get(*self.places.get(contract)?)?;
        Some(ContractTicks {
            seq: state.seq,
            duplicate: state.duplicate,
            rejected: state.rejected,
            winner: state.winner,
            lately: state.lately.at(now),
            last_price: Some(state.last_price).filter(|price| price.is_finite()),
            published_at: state.winner.map(|_| state.published_at),
        })
    }

    /// Those with rejected ticks.
    pub(crate) fn rejected(&self) -> impl Iterator<Item = (&Contract, u64)> {
        self.states.iter().filter(|state| state.rejected > 0).map(|state| (&state.contract, state.rejected))
    }

    fn place_of(
        &mut self,
        contract: &Contract,
        calendar: &MarketCalendar,
        topic: &mut dyn FnMut(&str) -> TopicId,
    ) -> usize {
        if let Some(place) = self.places.get(contract) {
            return *place;
        }
        let vt_symbol = contract.vt_symbol();
        self.states.push(ContractState {
            exchange: contract.exchange(),
            topic: topic(&vt_symbol),
            sources: SourceMask::NONE,
            identity: Identity::new(&vt_symbol),
            fields: ContractFields::new(contract),
            arbiter: Arbiter::new(Stamps::from(contract.exchange())),
            seq: 0,
            last: None,
            standing: None,
            statics: Statics::default(),
            defiance: Defiance::default(),
            snapshot_time_ms: i64::MIN,
            listing: calendar.listing(contract),
            primary: None,
            brought: SourceMask::NONE,
            lately: Lately::default(),
            winner: None,
            published_at: Mono::default(),
            last_price: f64::NAN,
            duplicate: 0,
            rejected: 0,
            contract: contract.clone(),
            routed_at: 0,
        });
        self.places.insert(contract.clone(), self.states.len() - 1);
        self.states.len() - 1
    }

    /// Forgets those beyond [`UNROUTED_MAX`] that have been without a route for longest.
    fn forget(&mut self, revision: u64) {
        let mut unrouted: Vec<u64> = self.states.iter().map(|s| s.routed_at).filter(|at| *at != revision).collect();
        let Some(too_many) = unrouted.len().checked_sub(UNROUTED_MAX).filter(|n| *n > 0) else { return };
        unrouted.sort_unstable();
        let last_forgotten = unrouted[too_many - 1];
        let mut left = too_many;
        self.states.retain(|state| {
            let goes = left > 0 && state.routed_at != revision && state.routed_at <= last_forgotten;
            left -= usize::from(goes);
            !goes
        });
        tracing::warn!(
            contracts = too_many,
            "contracts without a route for longest are forgotten: their seq begins anew; {UNROUTED_MAX} are kept"
        );
        self.places = self.states.iter().enumerate().map(|(i, state)| (state.contract.clone(), i)).collect();
    }

    fn index(&mut self, table: &RouteTable) {
        self.by_instrument.iter_mut().for_each(HashMap::clear);
        // None is missing: each was just given a place.
        self.order = table.routes.iter().filter_map(|route| self.places.get(&route.contract).copied()).collect();
        for Route { contract, .. } in &table.routes {
            let Some(place) = self.places.get(contract).and_then(|place| u32::try_from(*place).ok()) else { continue };
            let index = &mut self.by_instrument[Dialect::of(contract.exchange()) as usize];
            let symbol = contract.symbol().as_bytes();
            if index.contains_key(symbol) {
                tracing::warn!(%contract, "another exchange's contract has the same symbol: this one gets no ticks");
                continue;
            }
            index.insert(symbol.into(), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(revision: u64, contracts: impl IntoIterator<Item = String>) -> Arc<RouteTable> {
        let sources = SourceMask::NONE.with(SourceSlot::new(3).expect("a slot"));
        let route = |c: String| Route { contract: c.parse().expect("a contract"), sources, primary: None };
        Arc::new(RouteTable { revision, routes: contracts.into_iter().map(route).collect() })
    }

    struct Fixture {
        contracts: Contracts,
        topics: u32,
    }

    impl Fixture {
        fn new() -> Self {
            Self { contracts: Contracts::default(), topics: 0 }
        }

        fn route(&mut self, table: Arc<RouteTable>) {
            let topics = &mut self.topics;
            self.contracts.route(table, &MarketCalendar::shipped(), &mut |_| {
                *topics += 1;
                TopicId(*topics)
            });
        }

        fn state(&mut self, dialect: Dialect, instrument: &str) -> Option<&mut ContractState> {
            let place = self.contracts.find(dialect, instrument.as_bytes())?;
            self.contracts.get_mut(place)
        }
    }

    #[test]
    fn each_dialect_finds_its_own_exchanges() {
        let mut f = Fixture::new();
        f.route(table(1, ["10009123.SSE".into(), "rb2701.SHFE".into()]));
        assert!(f.state(Dialect::Ctp, "rb2701").is_some_and(|s| s.exchange == Exchange::Shfe));
        assert!(f.state(Dialect::Sopt, "10009123").is_some_and(|s| s.exchange == Exchange::Sse));
        assert!(f.state(Dialect::Sopt, "rb2701").is_none());
        assert!(f.state(Dialect::Ctp, "10009123").is_none());
    }

    #[test]
    fn a_contract_that_comes_back_goes_on_with_its_number_and_topic() {
        let mut f = Fixture::new();
        f.route(table(1, ["m2705.DCE".into(), "rb2701.SHFE".into()]));
        f.state(Dialect::Ctp, "rb2701").expect("routed").seq = 7;
        f.route(table(2, ["m2705.DCE".into()]));
        assert!(f.state(Dialect::Ctp, "rb2701").is_none());
        f.route(table(3, ["rb2701.SHFE".into()]));
        assert!(f.state(Dialect::Ctp, "m2705").is_none());
        assert_eq!(f.state(Dialect::Ctp, "rb2701").map(|s| (s.seq, s.sources.len())), Some((7, 1)));
        assert_eq!(f.topics, 2);
    }

    #[test]
    fn a_change_of_sources_alone_is_seen_too() {
        let mut f = Fixture::new();
        f.route(table(1, ["rb2701.SHFE".into()]));
        let mut changed = RouteTable::clone(&table(2, ["rb2701.SHFE".into()]));
        changed.routes[0].sources = SourceMask::NONE;
        f.route(Arc::new(changed));
        assert!(f.state(Dialect::Ctp, "rb2701").is_some_and(|s| s.sources.is_empty()));
    }

    #[test]
    fn of_two_exchanges_with_one_symbol_the_first_gets_the_ticks() {
        let mut f = Fixture::new();
        f.route(table(1, ["rb2701.SHFE".into(), "rb2701.DCE".into()]));
        assert!(f.state(Dialect::Ctp, "rb2701").is_some_and(|s| s.exchange == Exchange::Shfe));
    }

    #[test]
    fn no_more_unrouted_contracts_are_kept_than_the_limit_and_the_oldest_go_first() {
        let mut f = Fixture::new();
        let batch = |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}{i}.DCE")).collect::<Vec<_>>();
        f.route(table(1, batch("a", 5)));
        f.route(table(2, batch("b", UNROUTED_MAX - 2)));
        f.state(Dialect::Ctp, "b0").expect("routed").seq = 9;
        f.route(table(3, batch("c", 1)));
        assert_eq!(f.contracts.states.len(), UNROUTED_MAX + 1);
        f.route(table(4, ["a4.DCE".into(), "b0.DCE".into()]));
        assert_eq!(f.state(Dialect::Ctp, "b0").map(|s| s.seq), Some(9));
        assert_eq!(f.contracts.states.len(), f.contracts.places.len());
        assert!(f.contracts.places.len() <= UNROUTED_MAX + 2);
    }
}
