//! Watches the store, so that an edit from anywhere becomes desired state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mdhub_spec::account::MarketDataAccount;
use mdhub_spec::ports::{AccountStore, Loaded, SetAside, StoreError};
use mdhub_spec::time::Mono;
use serde_json::{Value, json};
use tokio::sync::watch as tokio_watch;
use tracing::{error, info, warn};

use crate::{clock, logging};

use super::control::Control;
use super::last::LastDesired;
use super::outbox::Outbox;

/// From one try to the next while the store does not answer: at first, and at most.
const AWAY_MIN: Duration = Duration::from_millis(500);
const AWAY_MAX: Duration = Duration::from_secs(5);

/// How the desired state in force stands to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was read yet.
    Unread,
    /// As the database has it.
    Current,
    /// The database is away for longer than `health.hub.desired_stale_ms`: what was read last is in force.
    DesiredStale,
    /// The database is suddenly empty and nobody said that it is to be: what was read last is in force.
    DesiredSuspicious,
}

/// How the desired state stands, since when, and why.
#[derive(Debug, Clone)]
struct Stand {
    standing: Standing,
    since_ms: i64,
    why: String,
    /// Of the database, at the last complete read.
    revision: Option<u64>,
}

/// The standing, for whoever wants to know.
#[derive(Debug)]
pub(crate) struct StandingCell(Mutex<Stand>);

impl Default for StandingCell {
    fn default() -> Self {
        let why = "the accounts were not read yet".to_owned();
        Self(Mutex::new(Stand { standing: Standing::Unread, since_ms: 0, why, revision: None }))
    }
}

impl StandingCell {
    fn lock(&self) -> MutexGuard<'_, Stand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self) -> Standing {
        self.lock().standing
    }

    /// For the status file.
    pub(crate) fn shown(&self) -> Value {
        let Stand { standing, since_ms, why, revision } = self.lock().clone();
        let state = match standing {
            Standing::Unread => "unread",
            Standing::Current => "fresh",
            Standing::DesiredStale => "stale",
            Standing::DesiredSuspicious => "suspicious",
        };
        json!({"state": state, "since_ms": since_ms, "message": why, "revision": revision.map(|r| r.to_string())})
    }

    fn read(&self, revision: u64) {
        self.lock().revision = Some(revision);
    }

    fn set(&self, standing: Standing, why: &str, now_ms: i64) -> Standing {
        let mut stand = self.lock();
        let before = stand.standing;
        if before != standing {
            *stand = Stand { standing, since_ms: now_ms, why: why.to_owned(), ..stand.clone() };
        }
        before
    }
}

/// Whether a complete read is not to be believed: there are no rows at all, nobody said that there are to be none, and
/// there were accounts.
fn is_suspicious(loaded: &Loaded, had_accounts: bool) -> bool {
    loaded.accounts.is_empty() && loaded.set_aside.is_empty() && !loaded.empty_confirmed && had_accounts
}

/// Whether this account's row is there, and cannot be used.
fn is_set_aside(set_aside: &[SetAside], account: &MarketDataAccount) -> bool {
    set_aside.iter().any(|row| row.id == account.id.as_str())
}

/// What the watch knows.
pub(crate) struct Watch {
    store: Arc<dyn AccountStore>,
    control: Arc<Control>,
    last: LastDesired,
    outbox: Outbox,
    known: Option<u64>,
    set_aside: Vec<SetAside>,
    /// Since when the database does not answer.
    away_since: Option<Mono>,
}

impl Watch {
    pub(crate) fn new(store: Arc<dyn AccountStore>, control: Arc<Control>, last: LastDesired, outbox: Outbox) -> Self {
        Self { store, control, last, outbox, known: None, set_aside: Vec::new(), away_since: None }
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
                        let stale_in = self.away(&failure);
                        tokio::time::sleep(away.min(stale_in.unwrap_or(away))).await;
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
        if self.known == Some(revision) && self.away_since.is_none() {
            return Ok(());
        }
        let mut loaded = self.store.load().await?;
        // Rows that were written in between are newer than the revision: were they taken back before the next look, it would
        // be the same as now, where it is made of the rows.
        self.known = self.store.revision().await.ok().filter(|after| *after == revision);
        self.control.standing().read(revision);
        if let Some(since) = self.away_since.take() {
            info!(away_ms = clock::now().mono.ms_since(since), "the database answers again");
        }
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
        if standing == Standing::Unread {
            let kept = self.last.read().unwrap_or_default();
            loaded.accounts.extend(kept.into_iter().filter(|account| is_set_aside(&loaded.set_aside, account)));
        }
        for row in loaded.set_aside.iter().filter(|row| !self.set_aside.contains(row)) {
            warn!(
                account = row.id,
                why = row.why,
                "an account's row cannot be used; what was last read of it stays in force"
            );
        }
        logging::SECRETS.know(loaded.accounts.iter().map(|account| account.password.reveal()));
        self.control.accounts_changed(loaded.accounts, &loaded.set_aside);
        self.set_aside = loaded.set_aside;
        self.stands(Standing::Current, "the desired state is that of the database");
        self.last.keep(self.control.accounts_in_force()).await;
        Ok(())
    }

    /// At the start: puts the last desired state in force, if there is one and it is `wanted`.
    fn seed(&self, wanted: impl FnOnce(&[MarketDataAccount]) -> bool) {
        if let Some(accounts) = self.last.read().filter(|accounts| wanted(accounts)) {
            info!(accounts = accounts.len(), "the last desired state is put in force");
            logging::SECRETS.know(accounts.iter().map(|account| account.password.reveal()));
            self.control.accounts_changed(accounts, &[]);
        }
    }

    /// Says in how long the desired state becomes stale, if it is not yet.
    fn away(&mut self, failure: &StoreError) -> Option<Duration> {
        let now = clock::now().mono;
        let is_unread = self.control.standing().get() == Standing::Unread;
        if is_unread {
            self.seed(|_| true);
        }
        if self.away_since.is_none() {
            warn!(%failure, "the database does not answer; the last desired state stays in force");
        }
        let away_ms = now.ms_since(*self.away_since.get_or_insert(now));
        let limit_ms = self.control.settings().borrow().settings.health.hub.desired_stale_ms;
        // What was read before the start may be of any age.
        if is_unread || away_ms >= limit_ms {
            let why = format!("the accounts cannot be read; the last desired state stays in force: {failure}");
            self.stands(Standing::DesiredStale, &why);
            return None;
        }
        Some(Duration::from_millis(limit_ms - away_ms))
    }

    /// Tells of a change, and of nothing else.
    fn stands(&self, standing: Standing, why: &str) {
        let before = self.control.standing().set(standing, why, clock::now().wall_ms());
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
    fn a_standing_is_shown_with_its_reason_since_it_changed() {
        let cell = StandingCell::default();
        assert_eq!((cell.get(), cell.shown()["state"].as_str()), (Standing::Unread, Some("unread")));
        cell.read(7);
        cell.set(Standing::Current, "as it is", 1_000);
        cell.set(Standing::DesiredStale, "it is away", 2_000);
        assert_eq!(cell.set(Standing::DesiredStale, "it is still away", 3_000), Standing::DesiredStale);
        let shown = json!({"state": "stale", "since_ms": 2_000, "message": "it is away", "revision": "7"});
        assert_eq!(cell.shown(), shown);
    }
}
