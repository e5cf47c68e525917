//! What a test may do to a running hub from inside: `MDHUB_TEST_HOOKS`, a comma-separated list. Debug builds only; a release
//! build does not read it.
//!
//! | hook | does |
//! |---|---|
//! | `abort-after=ACT:N` | aborts the hub right after its Nth `spawn`, `term`, `kill`, `subscribe` or `routes` |
//! | `stale-observed-ms=MS` | plans are made for what was observed so long ago |
//! | `miss-events` | nothing that is told wakes the controller: neither gateways nor the feed nor the store |
//! | `wedge-feed=FILE` | once FILE exists, the feed thread stands still for ever |
//! | `wedge-control=FILE` | once FILE exists, a reconcile blocks its thread for ever |
//! | `hang-run=ACCOUNT:FILE` | while FILE exists, a reconcile of ACCOUNT never ends |

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use mdhub_feed::FeedHandle;
use mdhub_spec::account::AccountId;
use mdhub_spec::plane::{FeedCommand, Reply};
use mdhub_spec::process::GatewayView;
use mdhub_spec::time::Mono;
use tokio::sync::watch as tokio_watch;

use crate::{clock, complain};

/// How often it is looked whether a file is there.
const LOOK: Duration = Duration::from_millis(50);

/// Most observations that wait to become stale; the oldest then do.
const OBSERVATIONS_MAX: usize = 10_000;

/// Something that the hub has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Spawn,
    Term,
    Kill,
    Subscribe,
    Routes,
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::Spawn => "spawn",
            Self::Term => "term",
            Self::Kill => "kill",
            Self::Subscribe => "subscribe",
            Self::Routes => "routes",
        }
    }
}

type Observation = BTreeMap<AccountId, GatewayView>;

/// All of them; none in a release build.
#[derive(Debug, Default)]
struct Hooks {
    abort_after: Option<(String, u32)>,
    acts: AtomicU32,
    stale_observed_ms: u64,
    observed: Mutex<VecDeque<(Mono, Observation)>>,
    misses_events: bool,
    wedge_feed: Option<PathBuf>,
    wedge_control: Option<PathBuf>,
    hang_run: Option<(String, PathBuf)>,
}

static HOOKS: LazyLock<Hooks> = LazyLock::new(Hooks::given);

impl Hooks {
    #[cfg(not(debug_assertions))]
    fn given() -> Self {
        Self::default()
    }

    #[cfg(debug_assertions)]
    fn given() -> Self {
        std::env::var("MDHUB_TEST_HOOKS").map(|list| Self::parse(&list)).unwrap_or_default()
    }

    #[cfg(any(debug_assertions, test))]
    fn parse(list: &str) -> Self {
        let mut hooks = Self::default();
        for hook in list.split(',').filter(|hook| !hook.is_empty()) {
            let (name, value) = hook.split_once('=').unwrap_or((hook, ""));
            let pair = || value.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()));
            match name {
                "abort-after" => hooks.abort_after = pair().and_then(|(act, n)| Some((act, n.parse().ok()?))),
                "stale-observed-ms" => hooks.stale_observed_ms = value.parse().unwrap_or_default(),
                "miss-events" => hooks.misses_events = true,
                "wedge-feed" => hooks.wedge_feed = Some(value.into()),
                "wedge-control" => hooks.wedge_control = Some(value.into()),
                "hang-run" => hooks.hang_run = pair().map(|(account, file)| (account, file.into())),
                _ => complain(format_args!("MDHUB_TEST_HOOKS: there is no hook {name:?}")),
            }
        }
        hooks
    }

    /// Whether this act is the one after which the hub is to abort.
    fn is_last(&self, act: Act) -> bool {
        self.abort_after
            .as_ref()
            .filter(|(wanted, _)| wanted == act.name())
            .is_some_and(|(_, n)| self.acts.fetch_add(1, Ordering::Relaxed) + 1 == *n)
    }

    fn stale(&self, fresh: Observation, now: Mono) -> Observation {
        let mut seen = self.observed.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push_back((now, fresh));
        while seen.len() > OBSERVATIONS_MAX
            || seen.get(1).is_some_and(|(at, _)| now.ms_since(*at) >= self.stale_observed_ms)
        {
            seen.pop_front();
        }
        seen.front().map(|(_, observed)| observed.clone()).unwrap_or_default()
    }
}

/// To be called right after an act.
pub(crate) fn acted(act: Act) {
    if HOOKS.is_last(act) {
        complain(format_args!("MDHUB_TEST_HOOKS: aborted after {}", act.name()));
        std::process::abort();
    }
}

/// What is to be planned for, where this was just observed.
pub(crate) fn observed(fresh: Observation) -> Observation {
    if HOOKS.stale_observed_ms == 0 { fresh } else { HOOKS.stale(fresh, clock::now().mono) }
}

/// Whether nothing that is told is to wake the controller.
pub(crate) fn misses_events() -> bool {
    HOOKS.misses_events
}

/// To be called in a reconcile of everything: blocks its thread for ever, if that is asked for.
pub(crate) fn wedge_control() {
    while HOOKS.wedge_control.as_deref().is_some_and(Path::exists) {
        std::thread::park_timeout(LOOK);
    }
}

/// To be called in a reconcile of an account: hangs as long as that is asked for.
pub(crate) async fn hang(id: &AccountId) {
    let is_asked = || HOOKS.hang_run.as_ref().is_some_and(|(account, file)| account == id.as_str() && file.exists());
    while is_asked() {
        tokio::time::sleep(LOOK).await;
    }
}

/// Wedges the feed thread once that is asked for: it never comes back from an answer.
pub(crate) async fn wedge_feed(feed: Arc<FeedHandle>, mut stopped: tokio_watch::Receiver<bool>) {
    let Some(file) = HOOKS.wedge_feed.as_deref() else { return };
    let wedge = async {
        while !file.exists() {
            tokio::time::sleep(LOOK).await;
        }
        let for_ever = Reply::new(|_| {
            loop {
                std::thread::park();
            }
        });
        let _ = feed.send(FeedCommand::Peers(for_ever));
    };
    tokio::select! {
        () = wedge => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_read_and_a_hub_aborts_after_the_act_that_is_named() {
        let hooks = Hooks::parse("abort-after=term:2,stale-observed-ms=300,miss-events,hang-run=a:/tmp/x,nonsense");
        assert!(hooks.misses_events && hooks.stale_observed_ms == 300);
        assert_eq!(hooks.hang_run, Some(("a".into(), "/tmp/x".into())));
        let acts = [Act::Spawn, Act::Term, Act::Routes, Act::Term, Act::Term];
        assert_eq!(acts.map(|act| hooks.is_last(act)), [false, false, false, true, false]);
        assert!(!Hooks::default().is_last(Act::Spawn));
    }

    #[test]
    fn a_stale_observation_is_the_newest_that_is_old_enough() {
        let hooks = Hooks { stale_observed_ms: 100, ..Hooks::default() };
        let seen =
            |n: usize| (0..n).map(|i| (format!("a{i}").parse().expect("a slug"), GatewayView::default())).collect();
        let at = |ms| Mono::default().plus_ms(ms);
        let stale: Vec<usize> = [(1, 0), (2, 50), (3, 100), (4, 149), (5, 150), (6, 300)]
            .map(|(n, ms)| hooks.stale(seen(n), at(ms)).len())
            .into();
        assert_eq!(stale, [1, 1, 1, 1, 2, 5]);
    }
}
