//! The hub's children: those that it made, and those that it took in.
//!
//! The hub is the subreaper of all that its workers start: whatever loses its parent becomes the hub's child, and can be
//! found. Children that it made are waited for by those who made them, and by nobody else: to wait for "any child" would
//! take their exit codes from them. What was taken in is reaped one by one; what outlived its worker is ended.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mdhub_spec::process::Incarnation;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};

use super::procfs::{self, Born};
use super::signal;

/// Descendants of one worker that are remembered. A library has none at all.
const KIN_MAX: usize = 1_024;

/// Those that live.
#[derive(Debug)]
pub(crate) struct Children {
    takes_in: bool,
    /// The workers, by process id.
    made: Mutex<BTreeMap<i32, Made>>,
}

#[derive(Debug)]
struct Made {
    incarnation: Incarnation,
    /// Descendants that were seen while their parents lived.
    kin: BTreeSet<Born>,
}

impl Children {
    /// With `takes_in` this process becomes a subreaper.
    pub(crate) fn new(takes_in: bool) -> io::Result<Arc<Self>> {
        if takes_in {
            set_child_subreaper(Some(getpid()))?;
        }
        Ok(Arc::new(Self { takes_in, made: Mutex::new(BTreeMap::new()) }))
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<i32, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process takes in what its workers leave behind: then all of it descends from this process.
    pub(super) const fn takes_in(&self) -> bool {
        self.takes_in
    }

    /// Makes a worker. Under the lock, so that nobody takes the new child for one that was taken in.
    pub(crate) fn make(
        self: &Arc<Self>,
        incarnation: Incarnation,
        spawn: impl FnOnce() -> io::Result<Child>,
    ) -> io::Result<MadeChild> {
        let mut made = self.made();
        let child = spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("impossible process id"))?;
        made.insert(pid.as_raw_nonzero().get(), Made { incarnation, kin: BTreeSet::new() });
        Ok(MadeChild { child, pid, children: Arc::clone(self) })
    }

    /// Descendants of a worker that were seen while their parents lived.
    pub(super) fn kin(&self, worker: Pid) -> BTreeSet<Born> {
        self.made().get(&worker.as_raw_nonzero().get()).map(|made| made.kin.clone()).unwrap_or_default()
    }

    /// Looks after everything once: remembers the workers' descendants, reaps what was taken in and has died, and ends what
    /// was taken in and outlived its worker.
    pub(super) fn look_after(&self) {
        let mut made = self.made();
        for (worker, made) in &mut *made {
            made.remember(*worker);
        }
        if !self.takes_in {
            return;
        }
        for pid in procfs::children(getpid().as_raw_nonzero().get()) {
            if !made.contains_key(&pid) && !reap(pid) {
                end_if_left_behind(pid, &made);
            }
        }
    }
}

impl Made {
    fn remember(&mut self, worker: i32) {
        let mut parents = vec![worker];
        while let Some(parent) = parents.pop() {
            for child in procfs::children(parent) {
                let born = procfs::stat(child).map(|stat| Born { pid: child, start_ticks: stat.start_ticks });
                if let Some(born) = born
                    && (self.kin.contains(&born) || self.has_room())
                    && parents.len() < KIN_MAX
                {
                    self.kin.insert(born);
                    parents.push(child);
                }
            }
        }
    }

    fn has_room(&mut self) -> bool {
        if self.kin.len() >= KIN_MAX {
            self.kin.retain(|kin| kin.lives());
        }
        self.kin.len() < KIN_MAX
    }
}

/// Reaps a child that was taken in, if it is dead.
fn reap(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return true };
    matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG), Ok(Some(_)) | Err(_))
}

/// Ends a child that was taken in, if the worker that it comes from is gone. A child that is marked as no worker's is left
/// alone: as the first process of a container the hub is given children that it has nothing to do with.
fn end_if_left_behind(pid: i32, made: &BTreeMap<i32, Made>) {
    let Some(incarnation) = procfs::incarnation_of(pid) else { return };
    if made.values().any(|made| made.incarnation == incarnation) {
        return;
    }
    if let Some(born) = Pid::from_raw(pid).and_then(Born::now) {
        tracing::warn!(%incarnation, pid, "a process that outlived its gateway is ended");
        if let Err(e) = signal::process(born, Signal::KILL) {
            tracing::error!(%incarnation, pid, "KILL: {e}");
        }
    }
}

/// A worker that this process made, and that is to be reaped by nobody else.
#[derive(Debug)]
pub(crate) struct MadeChild {
    child: Child,
    pid: Pid,
    children: Arc<Children>,
}

impl MadeChild {
    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until it is dead, and reaps it: from then on its number may be another's.
    pub(crate) fn reap(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait();
        self.children.made().remove(&self.pid.as_raw_nonzero().get());
        status
    }

    /// Ends one that nobody supervises.
    pub(super) fn end(mut self) {
        let _ = self.child.kill();
        let _ = self.reap();
    }
}
