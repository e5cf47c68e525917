//! The watchdog: a plain thread that ends the process when the feed thread or the control loop stands still, so that
//! whoever supervises it starts it again.
//!
//! It counts only what passes while it runs itself: each look adds the time since the look before, and no more than two
//! looks' worth. So a process that was stopped, a machine that slept, and a clock that stands still condemn nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use mdhub_spec::time::Mono;
use tokio::runtime::Handle;

use crate::{Failure, clock, complain};

use super::outbox::Outbox;

/// The exit code of a hub that has ended itself: `EX_TEMPFAIL` of sysexits, "try again".
pub(crate) const EXIT_STOOD_STILL: i32 = 75;

/// From one look to the next.
const LOOK_MS: u64 = 250;

/// So long is waited until what is to be said is on stderr, and the event in the database.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The beat of the control loop.
#[derive(Debug, Default)]
pub(crate) struct ControlBeat {
    at_mono_ns: AtomicU64,
    is_over: AtomicBool,
}

impl ControlBeat {
    /// The loop goes round.
    pub(crate) fn beat(&self) {
        self.at_mono_ns.store(clock::now().mono.0, Ordering::Relaxed);
    }

    /// The loop has ended, as it should.
    pub(crate) fn over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// When it last went round; `None` once it has ended.
    pub(crate) fn last(&self) -> Option<Mono> {
        (!self.is_over.load(Ordering::Relaxed)).then(|| Mono(self.at_mono_ns.load(Ordering::Relaxed)))
    }
}

/// Something that beats: the instant of the last one, `None` while none is expected.
pub(crate) struct Watched {
    pub(crate) name: &'static str,
    pub(crate) beat: Box<dyn Fn() -> Option<Mono> + Send + Sync>,
}

/// How long one beat has stood still, by the watchdog's own time.
#[derive(Debug, Default)]
struct Vigil {
    last: Option<Mono>,
    still_ms: u64,
}

impl Vigil {
    /// A look, `passed_ms` after the one before. Says for how long the beat has stood still.
    fn look(&mut self, beat: Option<Mono>, passed_ms: u64) -> u64 {
        let is_still = beat.is_some() && beat == self.last;
        self.last = beat;
        self.still_ms = if is_still { self.still_ms + passed_ms.min(2 * LOOK_MS) } else { 0 };
        self.still_ms
    }
}

/// Ends the watch when it is dropped.
pub(crate) struct Watchdog {
    _until: SyncSender<()>,
}

/// Starts to watch; `limit_ms` is asked anew at each look.
///
/// # Errors
/// When the system refuses the thread.
pub(crate) fn start(
    watched: Vec<Watched>,
    limit_ms: impl Fn() -> u64 + Send + 'static,
    outbox: Outbox,
) -> Result<Watchdog, Failure> {
    let (until, stopped) = sync_channel(0);
    let runtime = Handle::current();
    let watch = move || {
        if let Some(why) = watch(&watched, limit_ms, &stopped) {
            end(why, &runtime, outbox);
        }
    };
    Builder::new().name("watchdog".into()).spawn(watch).map_err(|e| format!("the watchdog does not start: {e}"))?;
    Ok(Watchdog { _until: until })
}

/// Watches until something stands still, and says what; `None` when it is told to stop.
fn watch(watched: &[Watched], limit_ms: impl Fn() -> u64, stopped: &Receiver<()>) -> Option<String> {
    let mut vigils: Vec<Vigil> = watched.iter().map(|_| Vigil::default()).collect();
    let mut looked_at = clock::now().mono;
    while stopped.recv_timeout(Duration::from_millis(LOOK_MS)) == Err(RecvTimeoutError::Timeout) {
        let (now, limit_ms) = (clock::now().mono, limit_ms());
        let passed_ms = now.ms_since(looked_at);
        looked_at = now;
        for (Watched { name, beat }, vigil) in watched.iter().zip(&mut vigils) {
            let still_ms = vigil.look(beat(), passed_ms);
            if still_ms > limit_ms {
                return Some(format!(
                    "{name} has stood still for {still_ms} ms, {limit_ms} are allowed (health.hub.still_ms_max): the hub \
                     ends itself with exit code {EXIT_STOOD_STILL}, to be started again"
                ));
            }
        }
    }
    None
}

/// Says why, as far as that is possible within [`LAST_WORDS`], and ends the process: neither a full stderr nor a database
/// that is away holds it up.
fn end(why: String, runtime: &Handle, outbox: Outbox) -> ! {
    let (said, all_said) = channel();
    let written = said.clone();
    outbox.hub_event(None, "StoodStill", why.clone());
    runtime.spawn(async move {
        outbox.close().await;
        written.send(())
    });
    let _ = Builder::new().spawn(move || {
        complain(why);
        said.send(())
    });
    let deadline = clock::now().mono.plus_ms(u64::try_from(LAST_WORDS.as_millis()).unwrap_or(u64::MAX));
    let mut left = 2;
    while left > 0 && all_said.recv_timeout(clock::now().mono.until(deadline)).is_ok() {
        left -= 1;
    }
    std::process::exit(EXIT_STOOD_STILL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_that_stands_still_is_counted_by_the_watchdogs_own_time() {
        // What each look sees: the beat, how much time has passed since the last look, and what it makes of it.
        for (name, looks) in [
            ("it beats", &[(Some(1), 250, 0), (Some(2), 250, 0), (Some(3), 250, 0)][..]),
            ("it stands still", &[(Some(1), 250, 0), (Some(1), 250, 250), (Some(1), 250, 500), (Some(1), 250, 750)]),
            ("it goes on", &[(Some(1), 250, 0), (Some(1), 250, 250), (Some(2), 250, 0), (Some(2), 250, 250)]),
            ("the process was stopped for an hour", &[(Some(1), 250, 0), (Some(1), 3_600_000, 500), (Some(2), 250, 0)]),
            ("the clock stands still", &[(Some(1), 0, 0), (Some(1), 0, 0), (Some(1), 0, 0)]),
            ("it has ended, as it should", &[(Some(1), 250, 0), (None, 250, 0), (None, 250, 0)]),
        ] {
            let mut vigil = Vigil::default();
            for (i, (beat, passed_ms, still_ms)) in looks.iter().enumerate() {
                assert_eq!(vigil.look(beat.map(Mono), *passed_ms), *still_ms, "{name}, look {i}");
            }
        }
    }

    #[test]
    fn what_stands_still_is_named_and_a_watch_that_is_stopped_names_nobody() {
        let still = Watched { name: "the loop", beat: Box::new(|| Some(Mono(7))) };
        let (until, stopped) = sync_channel(0);
        let why = watch(std::slice::from_ref(&still), || 1, &stopped).expect("it stands still");
        assert!(why.starts_with("the loop has stood still for") && why.contains("health.hub.still_ms_max"), "{why}");
        drop(until);
        assert_eq!(watch(&[still], || 1, &stopped), None);
    }
}
