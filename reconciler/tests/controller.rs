//! The controller loop on paused time: every instant below is exact.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mdhub_reconciler::controller::{Queue, Requeue, Retry, Watch, run};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const RETRY: Retry = Retry { min: Duration::from_millis(100), max: Duration::from_millis(350) };

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What the runs of a test did: key, and milliseconds since its start at begin and end.
#[derive(Clone)]
struct Journal {
    start: Instant,
    begun: Arc<Mutex<Vec<(&'static str, u128)>>>,
    now: Arc<Mutex<BTreeMap<&'static str, u32>>>,
}

impl Journal {
    fn new() -> Self {
        Self { start: Instant::now(), begun: Arc::default(), now: Arc::default() }
    }

    /// Notes a run of `key` that takes `takes`. Fails the test when another one of this key is under way.
    async fn run(&self, key: &'static str, takes: Duration) {
        self.begun.lock().unwrap().push((key, self.start.elapsed().as_millis()));
        let begun = { self.now.lock().unwrap().insert(key, 1) };
        assert_ne!(begun, Some(1), "two runs of {key} at once");
        sleep(takes).await;
        self.now.lock().unwrap().insert(key, 0);
    }

    /// When runs of `key` began.
    fn of(&self, key: &str) -> Vec<u128> {
        self.begun.lock().unwrap().iter().filter(|(k, _)| *k == key).map(|(_, at)| *at).collect()
    }

    fn under_way(&self, key: &str) -> bool {
        self.now.lock().unwrap().get(key) == Some(&1)
    }
}

fn start<F, Fut>(queue: &Queue<&'static str>, reconcile: F) -> (oneshot::Sender<()>, JoinHandle<()>)
where
    F: Fn(&'static str) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Requeue, String>> + Send + 'static,
{
    let (_, stop, loop_) = watched(queue, reconcile);
    (stop, loop_)
}

/// The same, with a count of its beats.
fn watched<F, Fut>(queue: &Queue<&'static str>, reconcile: F) -> (Arc<AtomicU32>, oneshot::Sender<()>, JoinHandle<()>)
where
    F: Fn(&'static str) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Requeue, String>> + Send + 'static,
{
    let (stop, stopped) = oneshot::channel();
    let beats = Arc::<AtomicU32>::default();
    let own = beats.clone();
    let beat = move || {
        own.fetch_add(1, Ordering::Relaxed);
    };
    let watch = Watch { run_max: || ms(5_000), beat };
    let loop_ = tokio::spawn(run(queue.clone(), RETRY, watch, reconcile, async move { drop(stopped.await) }));
    (beats, stop, loop_)
}

/// Starts a loop in which every run takes `takes` and succeeds.
fn steady(queue: &Queue<&'static str>, takes: Duration) -> (Journal, oneshot::Sender<()>, JoinHandle<()>) {
    let journal = Journal::new();
    let own = journal.clone();
    let (stop, loop_) = start(queue, move |key| {
        let journal = own.clone();
        async move {
            journal.run(key, takes).await;
            Ok(Requeue::WhenAsked)
        }
    });
    (journal, stop, loop_)
}

#[tokio::test(start_paused = true)]
async fn runner_never_runs_one_key_twice_at_once() {
    let queue = Queue::default();
    let (journal, stop, loop_) = steady(&queue, ms(50));
    for _ in 0..20 {
        queue.wake("a");
        queue.wake("b");
        sleep(ms(7)).await;
    }
    sleep(ms(200)).await;
    assert_eq!(journal.of("a"), [0, 50, 100, 150], "Journal::run itself fails on an overlap");
    drop(stop);
    loop_.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_during_a_run_is_held_and_leads_to_one_more_run() {
    let queue = Queue::default();
    let (journal, _stop, _loop) = steady(&queue, ms(50));
    queue.wake("a");
    sleep(ms(10)).await;
    for _ in 0..5 {
        queue.wake("a");
    }
    sleep(ms(500)).await;
    assert_eq!(journal.of("a"), [0, 50]);
}

#[tokio::test(start_paused = true)]
async fn different_keys_run_beside_each_other() {
    let queue = Queue::default();
    let (journal, _stop, _loop) = steady(&queue, ms(50));
    queue.wake("a");
    sleep(ms(10)).await;
    queue.wake("b");
    sleep(ms(1)).await;
    assert!(journal.under_way("a") && journal.under_way("b"));
}

#[tokio::test(start_paused = true)]
async fn of_several_wake_ups_the_earliest_wins() {
    let queue = Queue::default();
    let (journal, _stop, _loop) = steady(&queue, ms(0));
    for later in [300, 100, 200] {
        queue.wake_at("a", Instant::now() + ms(later));
    }
    sleep(ms(1_000)).await;
    assert_eq!(journal.of("a"), [100]);
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_beats_a_requeue_and_takes_its_place() {
    let queue = Queue::default();
    let journal = Journal::new();
    let own = journal.clone();
    let (_stop, _loop) = start(&queue, move |key| {
        let journal = own.clone();
        async move {
            journal.run(key, ms(0)).await;
            Ok(Requeue::After(ms(1_000)))
        }
    });
    queue.wake("a");
    sleep(ms(400)).await;
    queue.wake("a");
    sleep(ms(2_100)).await;
    assert_eq!(journal.of("a"), [0, 400, 1_400, 2_400], "the requeue for 1000 was overtaken");
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_to_the_limit_and_a_success_begins_anew() {
    let queue = Queue::default();
    let journal = Journal::new();
    let own = journal.clone();
    let (_stop, _loop) = start(&queue, move |key| {
        let journal = own.clone();
        async move {
            journal.run(key, ms(0)).await;
            // The fifth run succeeds, all others fail.
            if journal.of(key).len() == 5 { Ok(Requeue::WhenAsked) } else { Err("no luck".to_owned()) }
        }
    });
    queue.wake("a");
    sleep(ms(3_000)).await;
    assert_eq!(journal.of("a"), [0, 100, 300, 650, 1_000]);
    queue.wake("a");
    sleep(ms(150)).await;
    assert_eq!(journal.of("a")[5..], [3_000, 3_100]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_panics_is_retried_and_the_others_do_not_notice() {
    let queue = Queue::default();
    let journal = Journal::new();
    let own = journal.clone();
    let attempts = Arc::new(Mutex::new(0));
    let (_stop, loop_) = start(&queue, move |key| {
        let journal = own.clone();
        let attempt = if key == "bad" { counted(&attempts) } else { 0 };
        assert_ne!(attempt, 1, "planted: before there is a future");
        async move {
            journal.run(key, ms(0)).await;
            assert_ne!(attempt, 2, "planted: inside the future");
            Ok(Requeue::WhenAsked)
        }
    });
    queue.wake("bad");
    queue.wake("good");
    sleep(ms(150)).await;
    queue.wake("good");
    sleep(ms(2_000)).await;
    assert_eq!(journal.of("good"), [0, 150]);
    assert_eq!(journal.of("bad"), [100, 300], "attempts 2 and 3; the first fell before it could note itself");
    assert!(!loop_.is_finished());
}

fn counted(attempts: &Mutex<u32>) -> u32 {
    let mut attempts = attempts.lock().unwrap();
    *attempts += 1;
    *attempts
}

#[tokio::test(start_paused = true)]
async fn shutdown_begins_no_run_and_waits_for_those_under_way() {
    let queue = Queue::default();
    let (journal, stop, loop_) = steady(&queue, ms(500));
    queue.wake("a");
    sleep(ms(10)).await;
    stop.send(()).unwrap();
    queue.wake("a");
    queue.wake("b");
    sleep(ms(400)).await;
    assert!(!loop_.is_finished(), "the run under way has 90 ms to go");
    loop_.await.unwrap();
    assert_eq!(journal.start.elapsed().as_millis(), 500);
    assert!(journal.of("b").is_empty() && journal.of("a").len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_hangs_is_cut_and_retried_and_the_others_do_not_notice() {
    let queue = Queue::default();
    let journal = Journal::new();
    let own = journal.clone();
    let attempts = Arc::new(Mutex::new(0));
    let (beats, _stop, _loop) = watched(&queue, move |key| {
        let journal = own.clone();
        let hangs = key == "bad" && counted(&attempts) == 1;
        async move {
            journal.begun.lock().unwrap().push((key, journal.start.elapsed().as_millis()));
            sleep(if hangs { ms(86_400_000) } else { ms(0) }).await;
            Ok(if key == "good" { Requeue::After(ms(1_000)) } else { Requeue::WhenAsked })
        }
    });
    queue.wake("bad");
    queue.wake("good");
    sleep(ms(10_000)).await;
    // Looked at twice a second: it is cut by the look that finds more than five seconds gone, and the first retry comes 100 ms later.
    let bad = journal.of("bad");
    assert!(bad.len() == 2 && (5_100..=6_700).contains(&bad[1]), "{bad:?}");
    assert_eq!(journal.of("good").len(), 10, "once a second all the while");
    assert!(beats.load(Ordering::Relaxed) >= 19, "what can be cut costs no beat: {beats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_hangs_does_not_keep_the_loop_from_ending() {
    let queue = Queue::default();
    let (stop, loop_) = start(&queue, |_| async {
        sleep(ms(86_400_000)).await;
        Ok(Requeue::WhenAsked)
    });
    queue.wake("a");
    sleep(ms(10)).await;
    let told = Instant::now();
    stop.send(()).unwrap();
    loop_.await.unwrap();
    assert!(told.elapsed() < ms(7_000), "{:?}", told.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_can_not_be_cut_stops_the_beat_until_it_ends() {
    let queue = Queue::default();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let beats = Arc::<AtomicU32>::default();
    let own = beats.clone();
    let watch = Watch {
        run_max: || ms(1),
        beat: move || {
            own.fetch_add(1, Ordering::Relaxed);
        },
    };
    let reconcile = move |_: &'static str| {
        let held = held.clone();
        // It blocks its thread, as a deadlock would.
        async move { Ok::<_, String>(held.lock().unwrap().recv().map_or(Requeue::WhenAsked, |()| Requeue::WhenAsked)) }
    };
    let loop_ = tokio::spawn(run(queue.clone(), RETRY, watch, reconcile, std::future::pending()));
    queue.wake("a");
    let count = || beats.load(Ordering::Relaxed);
    // Two looks: one that cuts, one that finds it still there.
    sleep(ms(2_500)).await;
    let stood = count();
    assert!(stood <= 3, "{stood} beats");
    sleep(ms(2_000)).await;
    assert_eq!(count(), stood, "it stands still");
    drop(release);
    let deadline = Instant::now() + ms(20_000);
    while count() == stood {
        assert!(Instant::now() < deadline, "it never beat again");
        sleep(ms(50)).await;
    }
    loop_.abort();
}
