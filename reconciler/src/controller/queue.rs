//! Which keys are due, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// A queue of keys, each at most once, each with an instant. Asked for twice, the earlier instant wins. It holds no more
/// entries than there are keys, so the set of keys is its limit.
///
/// A clone is another handle on the same queue.
#[derive(Debug)]
pub struct Queue<K> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    /// A `std` mutex: it is held for some map operations, never across an await.
    state: Mutex<State<K>>,
    /// Told whenever the earliest instant may have moved forward.
    sooner: Notify,
}

#[derive(Debug)]
struct State<K> {
    /// What is asked for. A key stays here while it runs, so that a change meanwhile is held and not lost.
    due: BTreeMap<K, Instant>,
    /// What runs now.
    running: BTreeSet<K>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Ord> Default for Queue<K> {
    fn default() -> Self {
        let state = State { due: BTreeMap::new(), running: BTreeSet::new() };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), sooner: Notify::new() }) }
    }
}

impl<K: Ord + Clone> Queue<K> {
    /// Asks for a run of `key` now. Never blocks.
    pub fn wake(&self, key: K) {
        self.wake_at(key, Instant::now());
    }

    /// Asks for a run of `key` at `at`, or earlier if somebody asks for it.
    pub fn wake_at(&self, key: K, at: Instant) {
        let mut state = self.lock();
        state.due.entry(key).and_modify(|due| *due = at.min(*due)).or_insert(at);
        drop(state);
        self.shared.sooner.notify_one();
    }

    /// Waits for a key that is due and does not run already, and takes it. For one consumer.
    pub(super) async fn take(&self) -> K {
        loop {
            let earliest = {
                let mut state = self.lock();
                let free = state.due.iter().filter(|(key, _)| !state.running.contains(key));
                let earliest = free.min_by_key(|(_, at)| **at).map(|(key, at)| (key.clone(), *at));
                match earliest {
                    Some((key, at)) if at <= Instant::now() => {
                        state.due.remove(&key);
                        state.running.insert(key.clone());
                        return key;
                    }
                    earliest => earliest.map(|(_, at)| at),
                }
            };
            let sooner = self.shared.sooner.notified();
            match earliest {
                // A key that comes sooner leaves a permit behind: none is missed between the look and the wait.
                Some(at) => drop(tokio::time::timeout_at(at, sooner).await),
                None => sooner.await,
            }
        }
    }

    /// Ends the run of `key`; it runs again at `again` or at what was asked for meanwhile, whichever is earlier.
    pub(super) fn done(&self, key: K, again: Option<Instant>) {
        self.lock().running.remove(&key);
        match again {
            Some(at) => self.wake_at(key, at),
            None => self.shared.sooner.notify_one(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // No code runs under the lock that could leave the maps half changed.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
