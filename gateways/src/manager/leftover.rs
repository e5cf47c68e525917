//! What a hub left behind when it was killed: found by the locks that are still held, ended, and only then forgotten.
//!
//! A worker leaves with its hub; what its library started does not. Until nothing of it lives, its account has a process,
//! with the incarnation that it had, and none is started.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use mdhub_spec::account::AccountId;
use mdhub_spec::process::Incarnation;
use rustix::process::getpid;

use super::Shared;
use super::line::Line;
use super::lock::{self, Found, Record};
use super::procfs::{self, Born};
use super::supervise::{FIRST_PAUSE, empty, pause, with};
use crate::clock;

/// From TERM to KILL. Nobody reads what it would still say.
const GRACE_MS: u64 = 2_000;

/// An account's leftover.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) account: AccountId,
    pub(super) line: Line,
}

/// Everything that the locks in a directory tell of other hubs' workers.
///
/// # Errors
/// When directory or `/proc` cannot be read.
pub(super) fn find(lock_root: &Path) -> io::Result<Vec<Leftover>> {
    let found = lock::find(lock_root)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let table = procfs::table()?;
    let marked: BTreeMap<Incarnation, i32> =
        table.keys().filter_map(|pid| Some((procfs::incarnation_of(*pid)?, *pid))).collect();
    let leftovers = found.into_iter().filter_map(|found| {
        let record = found.record.clone().filter(Record::is_of_this_boot);
        let lives = |record: &Record| {
            record.leader.is_some_and(Born::lives) || marked.contains_key(&record.incarnation)
        };
        if !found.is_held && !record.as_ref().is_some_and(lives) {
            return None;
        }
        let me = getpid().as_raw_nonzero().get();
        if let Some(other) = record.as_ref().map(|record| record.hub).filter(|hub| hub.pid != me && hub.lives()) {
            tracing::error!(account = %found.account, "its process belongs to another hub, process {}, which runs", other.pid);
            return None;
        }
        Some(leftover(found, record))
    });
    Ok(leftovers.collect())
}

fn leftover(found: Found, record: Option<Record>) -> Leftover {
    let Found { account, path, file_id, .. } = found;
    let line = Line {
        incarnation: record.as_ref().map_or(Incarnation { epoch: 0, counter: 0 }, |record| record.incarnation),
        leader: record.and_then(|record| record.leader).filter(|leader| leader.lives()),
        is_leader_ours: false,
        lock: file_id,
        lock_path: path,
        is_below: false,
        known: BTreeSet::new(),
        is_fleeing: false,
    };
    Leftover { account, line }
}

/// Ends it: TERM, KILL after a grace, again until nothing of it lives.
pub(super) async fn end(shared: Arc<Shared>, leftover: Leftover) {
    let Leftover { account, line } = leftover;
    let incarnation = line.incarnation;
    tracing::warn!(%account, %incarnation, leader = ?line.leader.map(|l| l.pid), "a killed hub left a process behind; it is ended");
    let (mut line, asked) = with(line, |line| line.terminate()).await;
    if let Err(e) = asked {
        tracing::error!(%account, %incarnation, "TERM: {e}");
    }
    let deadline = clock::mono().plus_ms(GRACE_MS);
    let mut interval = FIRST_PAUSE;
    while clock::mono() < deadline {
        let (same, lives) = with(line, |line| lives(line)).await;
        line = same;
        if !lives {
            break;
        }
        pause(&mut interval).await;
    }
    empty(&shared, &account, line).await;
    shared.state().forgotten(&account, incarnation);
    tracing::info!(%account, %incarnation, "nothing of the process that was left behind lives");
    shared.gone.notify_waiters();
    shared.changed(&account);
}

fn lives(line: &Line) -> bool {
    !lock::is_free(&line.lock_path) || line.members().map_or(true, |members| !members.is_empty())
}
