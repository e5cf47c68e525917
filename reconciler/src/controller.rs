//! The loop that keeps asking: it runs a function for each key that is due, and knows nothing of what the function does.
//!
//! - **Level-triggered.** A run gets its key and nothing else. Why it was woken is hidden from it: it looks at the whole
//!   state as it is, so a lost or doubled wake-up changes nothing but timing.
//! - **One run per key at a time.** Wake-ups during a run are held, and lead to one more run after it.
//! - **Earliest wins.** A key is in the queue once. A wake-up now beats a requeue later.
//! - **A run that fails or panics** is tried again with a backoff of its own; the other keys do not notice.
//! - **A run that hangs** is cut and counts as failed. One that cannot be cut, since it never awaits, stops the loop's beat:
//!   whoever watches the beat ends the process.

mod queue;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{Instrument as _, error, info_span, warn};

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

/// How often the loop looks at the runs under way, and beats.
const LOOK: Duration = Duration::from_millis(500);

/// How runs are watched.
#[derive(Debug, Clone)]
pub struct Watch<L, B> {
    /// How long a run may take before it is cut; asked anew at each look.
    pub run_max: L,
    /// Called about twice a second while the loop goes round and every run that was cut has ended.
    pub beat: B,
}

/// Runs `reconcile` for each key of `queue` that is due, until `shutdown` is over. Then no run begins any more; those under
/// way are waited for.
pub async fn run<K, F, Fut, E, S, L, B>(queue: Queue<K>, retry: Retry, watch: Watch<L, B>, reconcile: F, shutdown: S)
where
    K: Ord + Clone + Display + Send + 'static,
    F: Fn(K) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Requeue, E>> + Send + 'static,
    E: Display + Send + 'static,
    S: Future<Output = ()>,
    L: Fn() -> Duration,
    B: Fn(),
{
    let mut runner =
        Runner { queue: &queue, retry, runs: HashMap::new(), failures: BTreeMap::new(), looked_at: Instant::now() };
    let mut tasks = JoinSet::new();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_ending, mut shutdown) = (false, std::pin::pin!(shutdown));
    while !is_ending || !tasks.is_empty() {
        tokio::select! {
            biased;
            () = &mut shutdown, if !is_ending => is_ending = true,
            _ = looks.tick() => if runner.cut_overdue((watch.run_max)()) {
                (watch.beat)();
            },
            Some(ended) = tasks.join_next_with_id() => runner.ended(ended),
            key = queue.take(), if !is_ending => {
                let (reconcile, its_key) = (reconcile.clone(), key.clone());
                let span = info_span!("run", %key);
                // The call itself is inside the task too: it may panic before its first await.
                let task = tasks.spawn(async move { reconcile(its_key).await }.instrument(span));
                runner.runs.insert(task.id(), Run { key, task, taken: Duration::ZERO, is_cut: false });
            }
        }
    }
}

/// A run under way.
struct Run<K> {
    key: K,
    task: AbortHandle,
    /// From look to look. What passes while the whole process is stopped does not count.
    taken: Duration,
    is_cut: bool,
}

struct Runner<'a, K> {
    queue: &'a Queue<K>,
    retry: Retry,
    /// Whose run each task is.
    runs: HashMap<Id, Run<K>>,
    /// Failures in a row; no entry after a success.
    failures: BTreeMap<K, u32>,
    looked_at: Instant,
}

impl<K: Ord + Clone + Display> Runner<'_, K> {
    /// Cuts what has taken too long. Says whether every run that was cut before has ended.
    fn cut_overdue(&mut self, run_max: Duration) -> bool {
        let now = Instant::now();
        let passed = (now - self.looked_at).min(2 * LOOK);
        self.looked_at = now;
        let mut is_well = true;
        for run in self.runs.values_mut() {
            is_well &= !run.is_cut;
            if run.taken > run_max && !run.is_cut {
                run.task.abort();
                run.is_cut = true;
            }
            run.taken += passed;
        }
        is_well
    }

    fn ended<E: Display>(&mut self, ended: Result<(Id, Result<Requeue, E>), JoinError>) {
        let (id, failure) = match ended {
            Ok((id, Ok(requeue))) => return self.succeeded(id, requeue),
            Ok((id, Err(error))) => (id, error.to_string()),
            Err(error) => (error.id(), error.to_string()),
        };
        let Some(Run { key, taken, is_cut, .. }) = self.runs.remove(&id) else { return };
        let failure = if is_cut { format!("it hung and was cut after {} ms", taken.as_millis()) } else { failure };
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
        let Some(Run { key, .. }) = self.runs.remove(&id) else { return };
        self.failures.remove(&key);
        let again = match requeue {
            Requeue::WhenAsked => None,
            Requeue::After(delay) => Instant::now().checked_add(delay),
        };
        self.queue.done(key, again);
    }
}
