//! The wish to end, by signal.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use mdhub_spec::process::EXIT_ASKED;
use tokio::signal::unix::{SignalKind, signal};

use super::{Event, log};
use crate::vendor::api;

/// A main thread that has not left by then hangs in a call of the library.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes TERM over, and waits for it on this thread. A library may take it back: then TERM does what the library wants, and
/// KILL remains.
///
/// # Errors
/// When the handler cannot be installed.
pub(super) fn wait(events: &SyncSender<Event>, ready: &SyncSender<std::io::Result<()>>) {
    let installed = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let term = runtime.block_on(async { signal(SignalKind::terminate()) })?;
        Ok((runtime, term))
    };
    let (runtime, mut term) = match installed() {
        Ok(both) => both,
        Err(e) => {
            let _ = ready.send(Err(e));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    runtime.block_on(async {
        term.recv().await;
        // A full queue is a main thread that is busy: the end comes all the same.
        let _ = events.try_send(Event::Term);
        tokio::time::sleep(PATIENCE).await;
    });
    log::error("TERM: the main thread does not leave by itself; the process ends here");
    api::exit_now(EXIT_ASKED)
}
