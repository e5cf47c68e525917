//! A database that is away, and a feed that does not answer.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::contract::Contract;
use mdhub_spec::plane::{PeerStatus, QuarantineReport, SourceSlot};
use mdhub_spec::ports::{AccountStore, Event, Loaded, StoreError};

use mdhub_spec::settings::{Rule, Token};

use crate::{ContractTable, Feed, Recent};

/// Answers nothing.
pub(super) struct Away;

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Away("no answer".into()))
}

#[async_trait]
impl AccountStore for Away {
    async fn load(&self) -> Result<Loaded, StoreError> {
        away()
    }

    async fn get(&self, _: &AccountId) -> Result<MarketDataAccount, StoreError> {
        away()
    }

    async fn insert(&self, _: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        away()
    }

    async fn update(&self, _: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        away()
    }

    async fn delete(&self, _: &AccountId, _: Option<u64>) -> Result<(), StoreError> {
        away()
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        away()
    }

    async fn wait_for_change(&self) {
        std::future::pending().await
    }

    async fn confirm_empty(&self) -> Result<(), StoreError> {
        away()
    }

    async fn copy_to(&self, _: &Path) -> Result<bool, StoreError> {
        away()
    }

    async fn append_event(&self, _: Event) -> Result<(), StoreError> {
        away()
    }

    async fn events(&self, _: u32) -> Result<Vec<Event>, StoreError> {
        away()
    }
}

#[async_trait]
impl Feed for Away {
    async fn peers(&self) -> Option<Vec<PeerStatus>> {
        None
    }

    async fn quarantine(
        &self,
        _: Option<Rule>,
        _: Option<SourceSlot>,
        _: Option<Contract>,
        _: usize,
    ) -> Option<QuarantineReport> {
        None
    }

    async fn recent(&self, _: String, _: Option<u64>, _: Option<u64>, _: usize) -> Option<Recent> {
        None
    }

    async fn contracts(&self) -> Option<Arc<ContractTable>> {
        None
    }

    fn account(&self, _: SourceSlot) -> Option<AccountId> {
        None
    }

    fn slot(&self, _: &AccountId) -> Option<SourceSlot> {
        None
    }

    fn tokens(&self) -> Vec<Token> {
        Vec::new()
    }
}

impl crate::Trials for Away {
    fn begin(
        &self,
        _: MarketDataAccount,
        _: bool,
    ) -> Result<tokio::sync::mpsc::Receiver<crate::TrialStep>, crate::NoTrial> {
        Err(crate::NoTrial::Busy)
    }
}
