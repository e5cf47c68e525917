//! What comes of every contract that is wanted: who is to bring it, who does, and whether it ticks.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::plane::{ContractTicks, SourceMask, SourceSlot};
use mdhub_spec::product;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Sources;
use crate::feed::{asked, no_answer, within};
use crate::problem::{Problem, ProblemDetails};

/// Contracts of one answer: at most, and unless asked otherwise.
const CONTRACTS_MAX: usize = 1_000;
const CONTRACTS: usize = 100;
/// Missing ones that are named.
const MISSING_MAX: usize = 100;

/// All contracts that are wanted, at one instant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContractTable {
    /// Which instant, milliseconds since the epoch.
    pub at_ms: i64,
    /// Whose places among the sources they are.
    pub accounts: BTreeMap<SourceSlot, AccountId>,
    /// Sorted by `vt_symbol`.
    pub rows: Vec<ContractRow>,
}

/// One contract.
#[derive(Debug, Clone, PartialEq)]
pub struct ContractRow {
    /// Which.
    pub contract: Contract,
    /// In a word.
    pub state: ContractState,
    /// Whether the settings list it among the canaries.
    pub is_canary: bool,
    /// Whether it is wanted only because a subscriber asks for it.
    pub is_demand: bool,
    /// Who is to subscribe it.
    pub desired_by: SourceMask,
    /// Whose front has accepted it.
    pub acknowledged_by: SourceMask,
    /// What came of its ticks; `None` before anybody was to feed it.
    pub ticks: Option<ContractTicks>,
    /// How long ago the last one was published, milliseconds.
    pub last_tick_age_ms: Option<u64>,
    /// Ticks published in a second, over the last five to ten; `None` before anybody has looked for a second.
    pub ticks_per_s: Option<f64>,
}

/// What a contract is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContractState {
    /// A tick was published within `health.contract_silence_ms`.
    Ticking,
    /// It is in its section and subscribed, and does not tick.
    Silent,
    /// It is in its section, and no source is known to have subscribed it.
    Missing,
    /// It is in no section.
    Closed,
}

pub(crate) fn routes() -> Router<Sources> {
    Router::new().route("/contracts", get(list))
}

/// Which contracts are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only those that are at this.
    state: Option<ContractState>,
    /// Only those with this in their `vt_symbol`, in small or capital letters.
    query: Option<String>,
    /// Only those of this exchange.
    #[param(value_type = Option<String>)]
    exchange: Option<Exchange>,
    /// Only those that this account is to subscribe.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Those behind this `vt_symbol`: `next` of the answer before.
    after: Option<String>,
    /// So many of those that are asked for are left out before the first.
    offset: Option<usize>,
}

/// Contracts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractPage {
    /// When all of this was so, milliseconds since the epoch.
    at_ms: i64,
    /// By `vt_symbol`.
    items: Vec<ContractItem>,
    /// How many there are of what was asked for, on this page or not.
    total: usize,
    /// Of all contracts that are wanted, whatever was asked for.
    coverage: Coverage,
    /// The exchanges of those that are wanted, by name; of one account's alone where one was asked for.
    exchanges: Vec<OfExchange>,
    /// What to give as `after` for those that follow; null where there are no more.
    next: Option<String>,
}

/// How many of the wanted contracts come.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Coverage {
    /// Contracts that are wanted.
    desired: usize,
    /// Those that some front has accepted.
    acknowledged: usize,
    /// Those that tick.
    ticking: usize,
    /// Those that are `missing`: the first hundred.
    missing: Vec<String>,
    /// How many are.
    missing_total: usize,
}

/// The contracts of one exchange.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct OfExchange {
    /// Which.
    exchange: String,
    /// Contracts that are wanted.
    desired: usize,
    /// Those that tick.
    ticking: usize,
    /// How long ago the last tick of any was published, milliseconds.
    last_tick_age_ms: Option<u64>,
    /// Of how many contracts each account's copy was the last published.
    #[schema(value_type = BTreeMap<String, usize>)]
    winners: BTreeMap<AccountId, usize>,
}

/// A contract.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractItem {
    /// Symbol, a dot, exchange.
    vt_symbol: String,
    /// Code of its product; null for options and funds of the stock exchanges.
    product: Option<String>,
    /// Where it trades.
    exchange: String,
    /// What it is at.
    state: ContractState,
    /// Whether the settings list it among the canaries.
    is_canary: bool,
    /// Whether it is wanted only because a subscriber asks for it.
    is_demand: bool,
    /// Accounts that are to subscribe it.
    #[schema(value_type = Vec<String>)]
    desired_by: Vec<AccountId>,
    /// Accounts whose front has accepted it. While a front owes answers, those alone that bring it.
    #[schema(value_type = Vec<String>)]
    acknowledged_by: Vec<AccountId>,
    /// Accounts that have brought a good tick within the last half minute.
    #[schema(value_type = Vec<String>)]
    sources: Vec<AccountId>,
    /// The account whose copy was published last.
    #[schema(value_type = Option<String>)]
    winner: Option<AccountId>,
    /// Of the last published tick.
    last_price: Option<f64>,
    /// How long ago that was published, milliseconds.
    last_tick_age_ms: Option<u64>,
    /// Ticks published in a second, over the last five to ten; null before anybody has looked for a second.
    ticks_per_s: Option<f64>,
    /// The number of that tick.
    seq: u64,
    /// Ticks published since the hub started.
    forwarded: u64,
    /// Copies of published ticks.
    duplicate: u64,
    /// Ticks that a rule condemned.
    rejected: u64,
}

/// The contracts that are wanted, who brings them, and what is missing.
#[utoipa::path(get, path = "/api/contracts", tag = "ticks", params(Wanted), responses(
    (status = 200, body = ContractPage),
    (status = 400, body = ProblemDetails, content_type = "application/problem+json", description = "a parameter is wrong or unknown"),
    (status = 503, body = ProblemDetails, content_type = "application/problem+json", description = "the feed does not answer"),
))]
pub(crate) async fn list(
    State(sources): State<Sources>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<ContractPage>, Problem> {
    let wanted = asked(wanted)?;
    let limit = within(wanted.limit, CONTRACTS, CONTRACTS_MAX)?;
    let table = sources.feed.contracts().await.ok_or_else(no_answer)?;
    Ok(Json(page(&table, &wanted, limit)))
}

fn page(table: &ContractTable, wanted: &Wanted, limit: usize) -> ContractPage {
    let query = wanted.query.as_ref().map(|query| query.to_ascii_lowercase());
    let slot = wanted.account.as_ref().map(|id| table.accounts.iter().find(|(_, of)| *of == id).map(|(slot, _)| *slot));
    let is_of_account = |row: &ContractRow| slot.is_none_or(|slot| slot.is_some_and(|s| row.desired_by.contains(s)));
    let (mut coverage, mut exchanges) = (Coverage::default(), BTreeMap::new());
    let (mut items, mut next, mut total) = (Vec::new(), None, 0);
    for row in &table.rows {
        let vt_symbol = row.contract.vt_symbol();
        coverage.count(row, &vt_symbol);
        if !is_of_account(row) {
            continue;
        }
        let exchange = row.contract.exchange();
        exchanges.entry(exchange.as_str()).or_insert_with(|| OfExchange::new(exchange)).count(row, &table.accounts);
        let is_wanted = wanted.state.is_none_or(|state| state == row.state)
            && wanted.exchange.is_none_or(|wanted| wanted == exchange)
            && query.as_ref().is_none_or(|query| vt_symbol.to_ascii_lowercase().contains(query));
        if !is_wanted {
            continue;
        }
        total += 1;
        if wanted.after.as_ref().is_some_and(|after| vt_symbol <= *after) || total <= wanted.offset.unwrap_or_default()
        {
            continue;
        }
        if items.len() < limit {
            items.push(item(row, vt_symbol, &table.accounts));
        } else if next.is_none() {
            next = items.last().map(|item: &ContractItem| item.vt_symbol.clone());
        }
    }
    ContractPage { at_ms: table.at_ms, items, total, coverage, exchanges: exchanges.into_values().collect(), next }
}

impl OfExchange {
    fn new(exchange: Exchange) -> Self {
        Self { exchange: exchange.to_string(), ..Self::default() }
    }

    fn count(&mut self, row: &ContractRow, accounts: &BTreeMap<SourceSlot, AccountId>) {
        self.desired += 1;
        self.ticking += usize::from(row.state == ContractState::Ticking);
        let ages = [self.last_tick_age_ms, row.last_tick_age_ms];
        self.last_tick_age_ms = ages.into_iter().flatten().min();
        if let Some(winner) = row.ticks.and_then(|ticks| accounts.get(&ticks.winner?)) {
            *self.winners.entry(winner.clone()).or_default() += 1;
        }
    }
}

impl Coverage {
    fn count(&mut self, row: &ContractRow, vt_symbol: &str) {
        self.desired += 1;
        self.acknowledged += usize::from(!row.acknowledged_by.is_empty());
        self.ticking += usize::from(row.state == ContractState::Ticking);
        if row.state == ContractState::Missing {
            self.missing_total += 1;
            if self.missing.len() < MISSING_MAX {
                self.missing.push(vt_symbol.to_owned());
            }
        }
    }
}

fn item(row: &ContractRow, vt_symbol: String, accounts: &BTreeMap<SourceSlot, AccountId>) -> ContractItem {
    let named = |mask: SourceMask| {
        let of_mask = accounts.iter().filter(|(slot, _)| mask.contains(**slot));
        let mut ids: Vec<AccountId> = of_mask.map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids
    };
    let ticks = row.ticks.as_ref();
    ContractItem {
        product: product::code(&row.contract).map(str::to_owned),
        exchange: row.contract.exchange().to_string(),
        state: row.state,
        is_canary: row.is_canary,
        is_demand: row.is_demand,
        desired_by: named(row.desired_by),
        acknowledged_by: named(row.acknowledged_by),
        sources: named(ticks.map_or(SourceMask::NONE, |ticks| ticks.lately)),
        winner: ticks.and_then(|ticks| accounts.get(&ticks.winner?).cloned()),
        last_price: ticks.and_then(|ticks| ticks.last_price),
        last_tick_age_ms: row.last_tick_age_ms,
        ticks_per_s: row.ticks_per_s,
        seq: ticks.map_or(0, |ticks| ticks.seq),
        forwarded: ticks.map_or(0, |ticks| ticks.seq),
        duplicate: ticks.map_or(0, |ticks| ticks.duplicate),
        rejected: ticks.map_or(0, |ticks| ticks.rejected),
        vt_symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [ContractState; 4] =
        [ContractState::Ticking, ContractState::Silent, ContractState::Missing, ContractState::Closed];

    /// `a000.DCE` and on, in each of the four states in turn.
    fn table(contracts: usize) -> ContractTable {
        let row = |n: usize| ContractRow {
            contract: format!("a{n:03}.DCE").parse().expect("a contract"),
            state: STATES[n % 4],
            is_canary: false,
            is_demand: false,
            desired_by: SourceMask::NONE,
            acknowledged_by: SourceMask::NONE,
            ticks: None,
            last_tick_age_ms: None,
            ticks_per_s: None,
        };
        ContractTable { rows: (0..contracts).map(row).collect(), ..ContractTable::default() }
    }

    fn names(page: &ContractPage) -> Vec<&str> {
        page.items.iter().map(|item| item.vt_symbol.as_str()).collect()
    }

    #[test]
    fn pages_follow_each_other_without_a_hole_and_count_everything() {
        let table = table(900);
        for (state, limit) in
            [(None, 7), (None, 900), (Some(ContractState::Silent), 25), (Some(ContractState::Missing), 224)]
        {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let wanted = Wanted { state, after, ..Wanted::default() };
                let page = page(&table, &wanted, limit);
                assert!(page.items.len() <= limit && !page.items.is_empty());
                assert_eq!(
                    (page.coverage.desired, page.coverage.ticking, page.coverage.missing_total),
                    (900, 225, 225)
                );
                assert_eq!((page.coverage.missing.len(), page.coverage.missing[1].as_str()), (100, "a006.DCE"));
                seen.extend(names(&page).into_iter().map(str::to_owned));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            let all: Vec<String> = (0..900)
                .filter(|n| state.is_none_or(|state| STATES[n % 4] == state))
                .map(|n| format!("a{n:03}.DCE"))
                .collect();
            assert_eq!(seen, all, "{state:?}");
        }
    }

    #[test]
    fn a_part_of_the_name_is_looked_for_in_small_or_capital_letters() {
        let found = |query: &str| {
            let wanted = Wanted { query: Some(query.into()), ..Wanted::default() };
            let page = page(&table(40), &wanted, 1_000);
            names(&page).len()
        };
        assert_eq!([found("A01"), found("a01"), found("9.dce"), found("zz"), found("")], [10, 10, 4, 0, 40]);
    }

    #[test]
    fn a_window_and_an_exchange_are_cut_out_and_accounts_have_their_own() {
        let mut table = table(40);
        let (slot, other) = (SourceSlot::new(3).expect("a slot"), "b".parse::<AccountId>().expect("an id"));
        table.accounts = BTreeMap::from([(slot, other.clone())]);
        for row in table.rows.iter_mut().take(10) {
            row.contract = format!("{}.SHFE", row.contract.symbol()).parse().expect("a contract");
            row.desired_by = SourceMask::NONE.with(slot);
            row.last_tick_age_ms = Some(70);
        }
        let asked = |wanted: Wanted, limit| page(&table, &wanted, limit);
        let window = asked(Wanted { offset: Some(37), ..Wanted::default() }, 2);
        assert_eq!((names(&window), window.total), (vec!["a037.DCE", "a038.DCE"], 40));
        let beyond = asked(Wanted { offset: Some(40), ..Wanted::default() }, 2);
        assert_eq!((beyond.items.len(), beyond.total, beyond.next), (0, 40, None));
        let shfe = asked(Wanted { exchange: Some(Exchange::Shfe), ..Wanted::default() }, 100);
        assert_eq!((shfe.items.len(), shfe.total, shfe.coverage.desired, shfe.exchanges.len()), (10, 10, 40, 2));
        let own = asked(Wanted { account: Some(other), ..Wanted::default() }, 3);
        let of = OfExchange { desired: 10, ticking: 3, last_tick_age_ms: Some(70), ..OfExchange::new(Exchange::Shfe) };
        assert_eq!((own.total, own.exchanges), (10, vec![of]));
        let nobody = asked(Wanted { account: Some("c".parse().expect("an id")), ..Wanted::default() }, 3);
        assert_eq!((nobody.total, nobody.exchanges.len(), nobody.coverage.desired), (0, 0, 40));
    }
}
