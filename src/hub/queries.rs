//! Asks the feed for the control port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mdhub_api::{Feed, Recent};
use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::{
    FeedCommand, PeerStatus, QuarantineQuery, QuarantineReport, RecentQuery, RecentTicks, Reply, SourceSlot,
};
use mdhub_spec::settings::{Rule, Token};
use tokio::sync::oneshot;

use crate::subscribe;

use super::control::Control;

/// The feed answers within milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The feed, as the control port sees it.
pub(crate) struct Queries(pub(crate) Arc<Control>);

impl Queries {
    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(Reply<T>) -> FeedCommand) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        let reply = Reply::new(move |told| drop(sender.send(told)));
        let asked = async {
            self.0.ask_feed(question(reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(ANSWER_WITHIN, asked).await.ok().flatten()
    }
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

    async fn recent(&self, vt_symbol: String, epoch: Option<u64>, after_seq: u64, limit: usize) -> Option<Recent> {
        let query = |reply| FeedCommand::Recent(RecentQuery { vt_symbol, epoch, after_seq, limit, reply });
        Some(match self.ask(query).await? {
            RecentTicks::Ticks(payloads) => {
                Recent::Ticks(payloads.iter().filter_map(|payload| subscribe::as_json(payload)).collect())
            }
            RecentTicks::Gone { epoch, oldest_seq } => Recent::Gone { epoch, oldest_seq },
            RecentTicks::Unknown => Recent::Unknown,
        })
    }

    fn account(&self, slot: SourceSlot) -> Option<AccountId> {
        self.0.account_of(slot)
    }

    fn slot(&self, account: &AccountId) -> Option<SourceSlot> {
        self.0.slot(account)
    }

    fn tokens(&self) -> Vec<Token> {
        self.0.settings().borrow().settings.publish.tokens.clone()
    }
}
