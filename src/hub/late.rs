//! A store that may come up after the hub: a start without the database runs from the last desired state.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mdhub_spec::account::{AccountId, MarketDataAccount};
use mdhub_spec::ports::{AccountStore, Event, Loaded, StoreError};
use tokio::sync::OnceCell;
use tracing::error;

use crate::Failure;
use crate::data_dir::DataDir;

use super::last::LastDesired;

/// While it is not open there is nothing to wait for.
const POLL: Duration = Duration::from_millis(500);

/// Opened by the first call that finds the database there.
pub(crate) struct LateStore {
    data: DataDir,
    url: String,
    open: OnceCell<Arc<dyn AccountStore>>,
}

/// Opens the store at `url`. One that is away is opened later, if there is a last desired state to run from meanwhile;
/// nothing else that is wrong with it is passed over.
///
/// # Errors
/// What the store says.
pub(crate) async fn open(data: &DataDir, url: &str, last: &LastDesired) -> Result<Arc<dyn AccountStore>, Failure> {
    let late = LateStore { data: data.clone(), url: url.to_owned(), open: OnceCell::new() };
    match late.store().await {
        Ok(store) => Ok(store.clone()),
        Err(StoreError::Away(why)) if last.read().is_some() => {
            error!(why, "the database is away; the hub starts from the last desired state (DesiredStale)");
            Ok(Arc::new(late))
        }
        Err(e @ StoreError::Key(_)) if last.key_is_new() => {
            let key = data.path("secret.key");
            Err(format!(
                "{e}: {} was missing, and this start made a new one: put the right one in its place",
                key.display()
            ))
        }
        Err(e) => Err(e.to_string()),
    }
}

impl LateStore {
    async fn store(&self) -> Result<&Arc<dyn AccountStore>, StoreError> {
        let open = || async {
            let key = self.data.sealing_key().map_err(StoreError::Key)?;
            mdhub_store::open(&self.url, key).await
        };
        self.open.get_or_try_init(open).await
    }
}

#[async_trait]
impl AccountStore for LateStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.store().await?.load().await
    }

    async fn get(&self, id: &AccountId) -> Result<MarketDataAccount, StoreError> {
        self.store().await?.get(id).await
    }

    async fn insert(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        self.store().await?.insert(account).await
    }

    async fn update(&self, account: MarketDataAccount) -> Result<MarketDataAccount, StoreError> {
        self.store().await?.update(account).await
    }

    async fn delete(&self, id: &AccountId, generation: Option<u64>) -> Result<(), StoreError> {
        self.store().await?.delete(id, generation).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.store().await?.revision().await
    }

    async fn wait_for_change(&self) {
        match self.open.get() {
            Some(store) => store.wait_for_change().await,
            None => tokio::time::sleep(POLL).await,
        }
    }

    async fn confirm_empty(&self) -> Result<(), StoreError> {
        self.store().await?.confirm_empty().await
    }

    async fn copy_to(&self, file: &Path) -> Result<bool, StoreError> {
        self.store().await?.copy_to(file).await
    }

    async fn append_event(&self, event: Event) -> Result<(), StoreError> {
        self.store().await?.append_event(event).await
    }

    async fn events(&self, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.store().await?.events(limit).await
    }
}
