//! Asks the feed for the control port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mdhub_api::{ContractTable, Feed, Recent};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::{
    ContractTicks, ContractsQuery, FeedCommand, PeerStatus, QuarantineQuery, QuarantineReport, RecentQuery,
    RecentTicks, Reply, SourceSlot,
};
use mdhub_spec::settings::{Rule, Token};
use mdhub_spec::time::Mono;
use tokio::sync::{Mutex, oneshot};

use crate::{clock, subscribe};

use super::contracts::{self, Pace};
use super::control::Control;

/// The feed answers within milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The feed is asked for all contracts this often at most, however many clients want to know.
const TABLE_EVERY_MS: u64 = 500;

/// What was last told of all contracts.
#[derive(Default)]
struct Table {
    /// With when it was made.
    last: Option<(Mono, Arc<ContractTable>)>,
    pace: Pace,
}

/// The feed, as the control port sees it.
pub(crate) struct Queries {
    control: Arc<Control>,
    /// Whoever finds it being made waits for it.
    table: Mutex<Table>,
}

impl Queries {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control, table: Mutex::default() }
    }

    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(Reply<T>) -> FeedCommand) -> Option<T> {
        ask(&self.control, question).await
    }
}

async fn ask<T: Send + 'static>(control: &Control, question: impl FnOnce(Reply<T>) -> FeedCommand) -> Option<T> {
    let (sender, answer) = oneshot::channel();
    let reply = Reply::new(move |told| drop(sender.send(told)));
    let asked = async {
        control.ask_feed(question(reply)).await.ok()?;
        answer.await.ok()
    };
    tokio::time::timeout(ANSWER_WITHIN, asked).await.ok().flatten()
}

/// What came of these contracts' ticks, asked for piece by piece so that the feed's thread has its ticks between. `None`
/// where it does not answer.
pub(super) async fn ticks_of(control: &Control, contracts: &Arc<[Contract]>) -> Option<Vec<Option<ContractTicks>>> {
    let mut all = Vec::with_capacity(contracts.len());
    while all.len() < contracts.len() {
        let (contracts, from) = (Arc::clone(contracts), all.len());
        let query = |reply| FeedCommand::Contracts(ContractsQuery { contracts, from, reply });
        let told = ask(control, query).await.filter(|told| !told.is_empty())?;
        all.extend(told);
    }
    Some(all)
}

#[async_trait]
impl Feed for Queries {
    async fn peers(&self) -> Option<Vec<PeerStatus>> {
        self.ask(FeedCommand::Peers).await
    }

    async fn quarantine(
        &self,
        rule: Option<Rule>,
        source: Option<SourceSlot>,
        contract: Option<Contract>,
        limit: usize,
    ) -> Option<QuarantineReport> {
        self.ask(|reply| FeedCommand::Quarantine(QuarantineQuery { rule, source, contract, limit, reply })).await
    }

    async fn recent(
        &self,
        vt_symbol: String,
        epoch: Option<u64>,
        after_seq: Option<u64>,
        limit: usize,
    ) -> Option<Recent> {
        let query = |reply| FeedCommand::Recent(RecentQuery { vt_symbol, epoch, after_seq, limit, reply });
        Some(match self.ask(query).await? {
            RecentTicks::Ticks(payloads) => shown(&payloads, self.control.epoch()),
            RecentTicks::Gone { epoch, oldest_seq } => Recent::Gone { epoch, oldest_seq },
            RecentTicks::Unknown => Recent::Unknown,
        })
    }

    async fn contracts(&self) -> Option<Arc<ContractTable>> {
        let mut table = self.table.lock().await;
        if let Some((made_at, known)) = &table.last
            && clock::now().mono.ms_since(*made_at) < TABLE_EVERY_MS
        {
            return Some(Arc::clone(known));
        }
        let Some(holdings) = self.control.holdings() else { return Some(Arc::default()) };
        let contracts = contracts::wanted(&holdings);
        let ticks = ticks_of(&self.control, &contracts).await?;
        let (now, silence_ms) = (clock::now(), self.control.settings().borrow().settings.health.contract_silence_ms);
        let mut made = contracts::table(&holdings, &contracts, &ticks, silence_ms, now);
        table.pace.fill(&mut made, now.mono);
        let made = Arc::new(made);
        table.last = Some((now.mono, Arc::clone(&made)));
        Some(made)
    }

    fn account(&self, slot: SourceSlot) -> Option<AccountId> {
        self.control.account_of(slot)
    }

    fn slot(&self, account: &AccountId) -> Option<SourceSlot> {
        self.control.slot(account)
    }

    fn tokens(&self) -> Vec<Token> {
        self.control.settings().borrow().settings.publish.tokens.clone()
    }
}

/// Payloads as JSON: all of them or none, since one that was left out would be a gap that nobody sees.
fn shown(payloads: &[Vec<u8>], epoch: u64) -> Recent {
    let items: Option<Vec<_>> = payloads.iter().map(|payload| subscribe::as_json(payload)).collect();
    items.map_or(Recent::Unreadable, |items| Recent::Ticks { epoch, items })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_that_cannot_be_read_is_told_and_not_left_out() {
        let whole = b"\x81\xa3seq\x05".to_vec();
        let items = vec![json!({"seq": 5})];
        assert_eq!(shown(std::slice::from_ref(&whole), 7), Recent::Ticks { epoch: 7, items });
        assert_eq!(shown(&[whole.clone(), b"\x81\xa3se".to_vec(), whole], 7), Recent::Unreadable);
        assert_eq!(shown(&[], 7), Recent::Ticks { epoch: 7, items: vec![] });
    }
}
