//! What comes of every contract that is wanted: who is to bring it, who does, and whether it ticks.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
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
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only those that are at this.
    state: Option<ContractState>,
    /// Only those with this in their `vt_symbol`, in small or capital letters.
    query: Option<String>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Those behind this `vt_symbol`: `next` of the answer before.
    after: Option<String>,
}

/// Contracts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractPage {
    /// When all of this was so, milliseconds since the epoch.
    at_ms: i64,
    /// By `vt_symbol`.
    items: Vec<ContractItem>,
    /// Of all contracts that are wanted, whatever was asked for.
    coverage: Coverage,
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
    let (mut coverage, mut items, mut next) = (Coverage::default(), Vec::new(), None);
    for row in &table.rows {
        let vt_symbol = row.contract.vt_symbol();
        let is_wanted = wanted.state.is_none_or(|state| state == row.state)
            && wanted.after.as_ref().is_none_or(|after| vt_symbol > *after)
            && query.as_ref().is_none_or(|query| vt_symbol.to_ascii_lowercase().contains(query));
        coverage.count(row, &vt_symbol);
        if is_wanted && items.len() < limit {
            items.push(item(row, vt_symbol, &table.accounts));
        } else if is_wanted && next.is_none() {
            next = items.last().map(|item: &ContractItem| item.vt_symbol.clone());
        }
    }
    ContractPage { at_ms: table.at_ms, items, coverage, next }
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
                let wanted = Wanted { state, query: None, limit: None, after };
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
            let wanted = Wanted { state: None, query: Some(query.into()), limit: None, after: None };
            let page = page(&table(40), &wanted, 1_000);
            names(&page).len()
        };
        assert_eq!([found("A01"), found("a01"), found("9.dce"), found("zz"), found("")], [10, 10, 4, 0, 40]);
    }
}
