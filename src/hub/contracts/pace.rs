//! How fast each contract ticks: from the numbers of its ticks at two looks, while somebody looks.

use std::collections::HashMap;

use mdhub_api::ContractTable;
use mdhub_spec::contract::Contract;
use mdhub_spec::time::Mono;

/// A rate is that of the last five to ten seconds.
const SPAN_MS: u64 = 5_000;
/// Less is no rate yet.
const SPAN_MIN_MS: u64 = 900;
/// What was seen before a longer pause tells nothing of now.
const PAUSE_MS: u64 = 15_000;

/// The numbers of all last ticks at one instant.
#[derive(Debug)]
struct Look {
    at: Mono,
    seqs: HashMap<Contract, u64>,
}

/// Two looks back.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    older: Option<Look>,
    newer: Option<Look>,
}

impl Pace {
    /// Writes the rates into a table that was made at `now`, and takes note of it.
    pub(crate) fn fill(&mut self, table: &mut ContractTable, now: Mono) {
        if self.newer.as_ref().is_some_and(|look| now.ms_since(look.at) > PAUSE_MS) {
            *self = Self::default();
        }
        let base = self.older.as_ref().or(self.newer.as_ref());
        if let Some((look, ms)) = base.map(|look| (look, now.ms_since(look.at))).filter(|(_, ms)| *ms >= SPAN_MIN_MS) {
            for row in &mut table.rows {
                let (then, ticks) = (look.seqs.get(&row.contract), row.ticks.as_ref());
                let grown = then.zip(ticks).map(|(then, ticks)| ticks.seq.saturating_sub(*then));
                row.ticks_per_s = grown.map(|n| (n as f64 * 10_000.0 / ms as f64).round() / 10.0);
            }
        }
        if self.newer.as_ref().is_none_or(|look| now.ms_since(look.at) >= SPAN_MS) {
            let seq = |row: &mdhub_api::ContractRow| (row.contract.clone(), row.ticks.map_or(0, |ticks| ticks.seq));
            let look = Look { at: now, seqs: table.rows.iter().map(seq).collect() };
            self.older = self.newer.replace(look);
        }
    }
}

#[cfg(test)]
mod tests {
    use mdhub_api::{ContractRow, ContractState};
    use mdhub_spec::plane::{ContractTicks, SourceMask};

    use super::*;

    fn table(seq: u64) -> ContractTable {
        let ticks = ContractTicks {
            seq,
            duplicate: 0,
            rejected: 0,
            winner: None,
            lately: SourceMask::NONE,
            last_price: None,
            published_at: None,
        };
        let row = ContractRow {
            contract: "rb2701.SHFE".parse().expect("a contract"),
            state: ContractState::Ticking,
            is_canary: false,
            is_demand: false,
            desired_by: SourceMask::NONE,
            acknowledged_by: SourceMask::NONE,
            ticks: Some(ticks),
            last_tick_age_ms: None,
            ticks_per_s: None,
        };
        ContractTable { rows: vec![row], ..ContractTable::default() }
    }

    /// What the page would show at these instants, of a contract that has had so many ticks by then.
    fn shown(looks: &[(u64, u64)]) -> Vec<Option<f64>> {
        let mut pace = Pace::default();
        let one = |(at_ms, seq): &(u64, u64)| {
            let mut table = table(*seq);
            pace.fill(&mut table, Mono(1).plus_ms(*at_ms));
            table.rows[0].ticks_per_s
        };
        looks.iter().map(one).collect()
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds_and_there_is_none_after_a_pause() {
        // Two a second for twelve seconds, then none.
        let steady: Vec<(u64, u64)> = (0..=12).map(|s| (s * 1_000, s * 2)).collect();
        assert_eq!(shown(&steady)[1..], vec![Some(2.0); 12]);
        assert_eq!(shown(&steady)[0], None);
        let stopped: Vec<(u64, u64)> = (0..=30).map(|s| (s * 1_000, s.min(12) * 2)).collect();
        assert_eq!(shown(&stopped)[30], Some(0.0));
        assert_eq!(shown(&[(0, 0), (500, 1), (16_000, 99), (17_000, 100)]), [None, None, None, Some(1.0)]);
    }
}
