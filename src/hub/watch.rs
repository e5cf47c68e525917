//! Watches the store, so that an edit from anywhere becomes desired state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use mdhub_spec::ports::{AccountStore, Loaded, SetAside, StoreError};
use tokio::sync::watch as tokio_watch;
use tracing::{error, info, warn};

use super::control::Control;
use super::last::LastDesired;
use super::outbox::Outbox;

/// From one try to the next while the store does not answer: at first, and at most.
const AWAY_MIN: Duration = Duration::from_millis(500);
const AWAY_MAX: Duration = Duration::from_secs(5);

/// How the desired state in force stands to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// Nothing was read yet.
    Unread,
    /// As the database has it.
    Current,
    /// The database is away: what was read last is in force.
    DesiredStale,
    /// The database is suddenly empty and nobody said that it is to be: what was read last is in force.
    DesiredSuspicious,
}

/// The standing, for whoever wants to know.
#[derive(Debug, Default)]
pub(crate) struct StandingCell(AtomicU8);

impl StandingCell {
    pub(crate) fn get(&self) -> Standing {
        let all = [Standing::Unread, Standing::Current, Standing::DesiredStale, Standing::DesiredSuspicious];
        all[usize::from(self.0.load(Ordering::Relaxed)) % all.len()]
    }

    fn set(&self, standing: Standing) -> Standing {
        let before = self.get();
        self.0.store(standing as u8, Ordering::Relaxed);
        before
    }
}

/// Whether a complete read is not to be believed: there are no rows at all, nobody said that there are to be none, and
/// there were accounts.
fn is_suspicious(loaded: &Loaded, had_accounts: bool) -> bool {
    loaded.accounts.is_empty() && loaded.set_aside.is_empty() && !loaded.empty_confirmed && had_accounts
}

/// What the watch knows.
pub(crate) struct Watch {
    store: Arc<dyn AccountStore>,
    control: Arc<Control>,
    last: LastDesired,
    outbox: Outbox,
    known: Option<u64>,
    set_aside: Vec<SetAside>,
}

impl Watch {
    pub(crate) fn new(store: Arc<dyn AccountStore>, control: Arc<Control>, last: LastDesired, outbox: Outbox) -> Self {
        Self { store, control, last, outbox, known: None, set_aside: Vec::new() }
    }

    /// Runs until the hub ends. A failed read never means "no accounts": what was read last stays in force.
    pub(crate) async fn run(mut self, mut stopped: tokio_watch::Receiver<bool>) {
        let mut away = AWAY_MIN;
        loop {
            let turn = async {
                match self.read().await {
                    Ok(()) => {
                        away = AWAY_MIN;
                        self.store.wait_for_change().await;
                    }
                    Err(failure) => {
                        self.away(&failure);
                        tokio::time::sleep(away).await;
                        away = (away * 2).min(AWAY_MAX);
                    }
                }
            };
            tokio::select! {
                () = turn => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        // Asked before the read: what is written meanwhile is seen at the next turn.
        let revision = self.store.revision().await?;
        let standing = self.control.standing().get();
        if self.known == Some(revision) && standing != Standing::DesiredStale {
            return Ok(());
        }
        let loaded = self.store.load().await?;
        self.known = Some(revision);
        if loaded.accounts.is_empty() && standing == Standing::Unread {
            self.seed(|accounts| is_suspicious(&loaded, !accounts.is_empty()));
        }
        if is_suspicious(&loaded, !self.control.accounts_in_force().is_empty()) {
            self.stands(
                Standing::DesiredSuspicious,
                "the database has no accounts any more, and nobody deleted them by name: nothing is stopped; restore \
                 them, or say that it is meant: mdhub account confirm-empty",
            );
            return Ok(());
        }
        for row in loaded.set_aside.iter().filter(|row| !self.set_aside.contains(row)) {
            warn!(
                account = row.id,
                why = row.why,
                "an account's row cannot be used; what was last read of it stays in force"
            );
        }
        self.control.accounts_changed(loaded.accounts, &loaded.set_aside);
        self.set_aside = loaded.set_aside;
        self.stands(Standing::Current, "the desired state is that of the database");
        self.last.keep(self.control.accounts_in_force()).await;
        Ok(())
    }

    /// At the start: puts the last desired state in force, if there is one and it is `wanted`.
    fn seed(&self, wanted: impl FnOnce(&[mdhub_spec::account::MarketDataAccount]) -> bool) {
        if let Some(accounts) = self.last.read().filter(|accounts| wanted(accounts)) {
            info!(accounts = accounts.len(), "the last desired state is put in force");
            self.control.accounts_changed(accounts, &[]);
        }
    }

    fn away(&self, failure: &StoreError) {
        if self.control.standing().get() == Standing::Unread {
            self.seed(|_| true);
        }
        let why = format!("the accounts cannot be read; the last desired state stays in force: {failure}");
        self.stands(Standing::DesiredStale, &why);
    }

    /// Tells of a change, and of nothing else.
    fn stands(&self, standing: Standing, why: &str) {
        let before = self.control.standing().set(standing);
        if before == standing || (before, standing) == (Standing::Unread, Standing::Current) {
            return;
        }
        let reason = match standing {
            Standing::DesiredStale | Standing::DesiredSuspicious => {
                error!(reason = ?standing, "{why}");
                format!("{standing:?}")
            }
            Standing::Unread | Standing::Current => {
                info!(before = ?before, "{why}");
                "DesiredCurrent".to_owned()
            }
        };
        self.outbox.hub_event(None, &reason, why.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_emptiness_that_nobody_asked_for_is_suspicious() {
        let aside = vec![SetAside { id: "a".into(), why: "nonsense".into() }];
        for (set_aside, empty_confirmed, had_accounts, suspicious) in [
            (vec![], false, true, true),
            (vec![], true, true, false),
            (vec![], false, false, false),
            (aside, false, true, false),
        ] {
            let loaded = Loaded { accounts: vec![], set_aside, empty_confirmed };
            assert_eq!(is_suspicious(&loaded, had_accounts), suspicious, "{loaded:?} {had_accounts}");
        }
    }

    #[test]
    fn a_standing_comes_back_as_it_was_set() {
        let cell = StandingCell::default();
        assert_eq!(cell.get(), Standing::Unread);
        for standing in [Standing::Current, Standing::DesiredStale, Standing::DesiredSuspicious] {
            cell.set(standing);
            assert_eq!(cell.get(), standing);
        }
    }
}
