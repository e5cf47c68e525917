//! The loop that keeps asking: it runs a function for each key that is due, and knows nothing of what the function does.
//!
//! - **Level-triggered.** A run gets its key and nothing else. Why it was woken is hidden from it: it looks at the whole
//!   state as it is, so a lost or doubled wake-up changes nothing but timing.
//! - **One run per key at a time.** Wake-ups during a run are held, and lead to one more run after it.
//! - **Earliest wins.** A key is in the queue once. A wake-up now beats a requeue later.
//! - **A run that fails or panics** is tried again with a backoff of its own; the other keys do not notice.

mod queue;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{error, warn};

pub use queue::Queue;

/// When a run that succeeded wants its key to run again, if nobody asks before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// Only when asked.
    WhenAsked,
    /// After this long.
    After(Duration),
}

/// How long a key waits after a failed run: doubling from `min` to `max`, anew after a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After the first failure.
    pub min: Duration,
    /// Never longer.
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { min: Duration::from_millis(50), max: Duration::from_secs(10) }
    }
}

impl Retry {
    fn delay(&self, failures: u32) -> Duration {
        self.min.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(self.max)
    }
}

/// Runs `reconcile` for each key of `queue` that is due, until `shutdown` is over. Then no run begins any more; those under
/// way are waited for.
pub async fn run<K, F, Fut, E, S>(queue: Queue<K>, retry: Retry, reconcile: F, shutdown: S)
where
    K: Ord + Clone + Display + Send + 'static,
    F: Fn(K) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Requeue, E>> + Send + 'static,
    E: Display + Send + 'static,
    S: Future<Output = ()>,
{
    let mut runner = Runner { queue: &queue, retry, keys: HashMap::new(), failures: BTreeMap::new() };
    let mut runs = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = runs.join_next_with_id() => runner.ended(ended),
            key = queue.take() => {
                let (reconcile, its_key) = (reconcile.clone(), key.clone());
                // The call itself is inside the task too: it may panic before its first await.
                let handle = runs.spawn(async move { reconcile(its_key).await });
                runner.keys.insert(handle.id(), key);
            }
        }
    }
    while let Some(ended) = runs.join_next_with_id().await {
        runner.ended(ended);
    }
}

struct Runner<'a, K> {
    queue: &'a Queue<K>,
    retry: Retry,
    /// Whose run each task is.
    keys: HashMap<Id, K>,
    /// Failures in a row; no entry after a success.
    failures: BTreeMap<K, u32>,
}

impl<K: Ord + Clone + Display> Runner<'_, K> {
    fn ended<E: Display>(&mut self, ended: Result<(Id, Result<Requeue, E>), JoinError>) {
        let (id, failure) = match ended {
            Ok((id, Ok(requeue))) => return self.succeeded(id, requeue),
            Ok((id, Err(error))) => (id, error.to_string()),
            Err(error) => (error.id(), error.to_string()),
        };
        let Some(key) = self.keys.remove(&id) else { return };
        let failures = self.failures.entry(key.clone()).or_default();
        *failures = failures.saturating_add(1);
        let delay = self.retry.delay(*failures);
        let retry_ms = delay.as_millis();
        match *failures {
            1 => warn!(%key, failure, retry_ms, "a run failed"),
            failures => error!(%key, failure, failures, retry_ms, "a run failed again"),
        }
        self.queue.done(key, Some(Instant::now() + delay));
    }

    fn succeeded(&mut self, id: Id, requeue: Requeue) {
        let Some(key) = self.keys.remove(&id) else { return };
        self.failures.remove(&key);
        let again = match requeue {
            Requeue::WhenAsked => None,
            Requeue::After(delay) => Instant::now().checked_add(delay),
        };
        self.queue.done(key, again);
    }
}
