//! Logins at the control port outlive the hub: `logins.json` in the data directory, for the administrator's eyes only. It holds digests,
//! with which nobody can log in.

use tokio::sync::watch as tokio_watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::data_dir::DataDir;

const FILE: &str = "logins.json";
/// More than that no hub has written.
const BYTES_MAX: u64 = 256 * 1024;

/// What the hub before this one has left; from now on what changes is written down, until the hub ends.
pub(super) fn keep(
    tasks: &mut JoinSet<()>,
    data: &DataDir,
    stopped: &tokio_watch::Receiver<bool>,
) -> tokio_watch::Sender<String> {
    let path = data.path(FILE);
    let is_small = std::fs::metadata(&path).is_ok_and(|found| found.len() <= BYTES_MAX);
    let left = if is_small { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
    let logins = tokio_watch::Sender::new(left);
    tasks.spawn(write(data.clone(), logins.subscribe(), stopped.clone()));
    logins
}

async fn write(data: DataDir, mut logins: tokio_watch::Receiver<String>, mut stopped: tokio_watch::Receiver<bool>) {
    loop {
        let is_over = tokio::select! {
            changed = logins.changed() => changed.is_err(),
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        if logins.has_changed().unwrap_or(false) || !is_over {
            let (text, to) = (logins.borrow_and_update().clone(), data.clone());
            let written = tokio::task::spawn_blocking(move || to.replace(FILE, &text)).await;
            if let Err(error) = written.map_err(std::io::Error::other).flatten() {
                warn!(%error, "logins.json cannot be written: after a restart of the hub people log in again");
            }
        }
        if is_over {
            return;
        }
    }
}
