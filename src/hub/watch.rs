//! Watches the store, so that an edit from anywhere becomes desired state.

use std::sync::Arc;
use std::time::Duration;

use mdhub_spec::ports::{AccountStore, SetAside};
use tokio::sync::watch as tokio_watch;
use tracing::{error, info, warn};

use super::control::Control;

/// How often the store is asked whether anything was written.
const POLL: Duration = Duration::from_millis(250);

/// How often while it does not answer.
const POLL_AWAY: Duration = Duration::from_secs(1);

/// Runs until the hub ends. A failed read never means "no accounts": what was read last stays in force.
pub(crate) async fn run(store: Arc<dyn AccountStore>, control: Arc<Control>, mut stopped: tokio_watch::Receiver<bool>) {
    let mut known = None;
    let mut away = false;
    let mut set_aside = Vec::new();
    loop {
        let pause = match read(&*store, &control, &mut known, &mut set_aside).await {
            Ok(()) => {
                if away {
                    info!("the database answers again");
                }
                away = false;
                POLL
            }
            Err(failure) => {
                if !away {
                    error!(%failure, "the accounts cannot be read; the last desired state stays in force");
                }
                away = true;
                POLL_AWAY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

async fn read(
    store: &dyn AccountStore,
    control: &Control,
    known: &mut Option<u64>,
    set_aside: &mut Vec<SetAside>,
) -> Result<(), String> {
    // Asked before the read: what is written meanwhile is seen at the next turn.
    let revision = store.revision().await.map_err(|e| e.to_string())?;
    if *known == Some(revision) {
        return Ok(());
    }
    let loaded = store.load().await.map_err(|e| e.to_string())?;
    for row in loaded.set_aside.iter().filter(|row| !set_aside.contains(row)) {
        warn!(
            account = row.id,
            why = row.why,
            "an account's row cannot be used; what was last read of it stays in force"
        );
    }
    control.accounts_changed(loaded.accounts, &loaded.set_aside);
    *set_aside = loaded.set_aside;
    *known = Some(revision);
    Ok(())
}
