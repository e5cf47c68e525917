//! The hub's log. Whoever says something never waits: a line goes into a bounded queue, or is counted where there is no room. A
//! thread hides secrets in it and hands it on: to stderr, to files, to the ring of newest lines and to whoever follows.
//!
//! | file | is about |
//! |---|---|
//! | `heard` | what was said, and its text |
//! | `storm` | a place that says something again and again |
//! | `redact` | what no line may say |
//! | `request` | the request at the control port, or the run of the control loop, that a line is about |
//! | `ring` | the newest lines |
//! | `rotating` | files |

mod heard;
mod redact;
mod request;
mod ring;
mod rotating;
mod storm;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mdhub_alerts::Ear;
use mdhub_api::{LiveLine, LogSource};
use mdhub_spec::settings::{LogFile, LogFormat, Logging};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::{Failure, clock};

use heard::Heard;
pub(crate) use redact::SECRETS;
use ring::Ring;
use rotating::Rotating;
use storm::Storms;

/// Lines that may wait: for the log's thread, and for each place that it writes to.
const LINES_WAITING_MAX: usize = 8_192;
/// Lines that may wait for one who follows.
const LINES_FOLLOWED_MAX: usize = 2_048;
/// How often it is looked whether a storm is to be told.
const LOOK: Duration = Duration::from_millis(250);

/// The log while it runs; what still waits is written when it is dropped.
pub(crate) struct Log {
    filter: LogFilter,
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
    _writers: Vec<WorkerGuard>,
}

/// What the log's parts have in common.
struct Shared {
    storms: Mutex<Storms>,
    ring: Mutex<Ring>,
    live: broadcast::Sender<Arc<LiveLine>>,
    /// Lines that found the queue full.
    unheard: AtomicU64,
    /// Lines that found no room on their way to stderr.
    to_stderr: ErrorCounter,
    /// The same for the files, where there are any.
    to_file: Option<ErrorCounter>,
    /// Lines that the disk refused.
    failed: Arc<AtomicU64>,
}

enum Message {
    Said(Heard),
    End,
}

impl Shared {
    fn storms(&self) -> MutexGuard<'_, Storms> {
        self.storms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Changes which lines are wanted.
    pub(crate) fn filter(&self) -> LogFilter {
        self.filter.clone()
    }

    /// The newest lines, and those that come.
    pub(crate) fn source(&self) -> LogSource {
        let shared = self.shared.clone();
        LogSource { kept: Arc::new(move || shared.ring().kept()), live: self.shared.live.clone() }
    }

    /// What became of the lines.
    pub(crate) fn counts(&self) -> Counts {
        Counts(self.shared.clone())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The thread waits for nobody, so there is room in a moment.
        let _ = self.queue.send(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What became of the lines, for `vitals.json`.
#[derive(Clone)]
pub(crate) struct Counts(Arc<Shared>);

impl Counts {
    pub(crate) fn shown(&self) -> Value {
        let Shared { unheard, to_stderr, to_file, failed, .. } = &*self.0;
        let (kept, gone) = {
            let ring = self.0.ring();
            (ring.len(), ring.gone())
        };
        json!({
            "kept": kept,
            "gone": gone,
            "collapsed": self.0.storms().collapsed(),
            "unheard": unheard.load(Ordering::Relaxed),
            "stderr_dropped": to_stderr.dropped_lines(),
            "file_dropped": to_file.as_ref().map(ErrorCounter::dropped_lines),
            "file_failed": failed.load(Ordering::Relaxed),
        })
    }
}

/// Changes which lines are wanted while the log runs.
#[derive(Clone)]
pub(crate) struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// From now on these lines are wanted.
    ///
    /// # Errors
    /// When the filter cannot be understood; then the old one stays.
    pub(crate) fn set(&self, logging: &Logging) -> Result<(), Failure> {
        self.0.reload(filter(logging)?).map_err(|e| format!("logging.filter: {e}"))
    }
}

/// Sets the log up for the whole process. Its files, where they are asked for, are in `directory` unless the settings name
/// another. `ear` hears errors whatever the filter leaves out.
///
/// # Errors
/// When the filter cannot be understood, or there is no thread to be had.
pub(crate) fn start(logging: &Logging, directory: PathBuf, ear: Ear) -> Result<Log, Failure> {
    let (filter, handle) = reload::Layer::new(filter(logging)?);
    let writer = || NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING_MAX);
    let (stderr, guard) = writer().thread_name("log-stderr").finish(std::io::stderr());
    let mut writers = vec![guard];
    let failed = Arc::<AtomicU64>::default();
    let file = logging.file.as_ref().map(|LogFile { dir, max_bytes, keep }| {
        let directory = dir.as_ref().map_or(directory, PathBuf::from);
        let files = Rotating::new(directory, *max_bytes, *keep, failed.clone());
        let (file, guard) = writer().thread_name("log-file").finish(files);
        writers.push(guard);
        file
    });
    let shared = Arc::new(Shared {
        storms: Mutex::default(),
        ring: Mutex::new(Ring::new(ring::LINES_MAX, ring::BYTES_MAX)),
        live: broadcast::Sender::new(LINES_FOLLOWED_MAX),
        unheard: AtomicU64::new(0),
        to_stderr: stderr.error_counter(),
        to_file: file.as_ref().map(NonBlocking::error_counter),
        failed,
    });
    let (queue, said) = sync_channel(LINES_WAITING_MAX);
    let scribe = Scribe { shared: shared.clone(), format: logging.format, stderr, file };
    let thread = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || scribe.run(&said))
        .map_err(|e| format!("the log's thread does not start: {e}"))?;
    let ear = ear.hiding(|text| SECRETS.hidden(text));
    let mouth = Mouth { shared: shared.clone(), queue: queue.clone() };
    tracing_subscriber::registry().with(mouth.with_filter(filter)).with(ear.with_filter(LevelFilter::INFO)).init();
    Ok(Log { filter: LogFilter(handle), shared, queue, thread: Some(thread), _writers: writers })
}

/// Which lines are wanted.
///
/// # Errors
/// When the filter cannot be understood.
pub(crate) fn filter(logging: &Logging) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(&logging.filter).map_err(|e| {
        format!("logging.filter: {:?} is not allowed: {e}; write a level (error, warn, info, debug, trace) or target=level pairs", logging.filter)
    })
}

/// Where lines come in, on the threads that say them.
struct Mouth {
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Mouth {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        request::keep(attributes, id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let now = clock::now();
        let mut heard = Heard::new(event, now.wall_ns);
        heard.said_in(request::of(event, &context));
        let Some(heard) = self.shared.storms().pass(heard, now.mono) else { return };
        if self.queue.try_send(Message::Said(heard)).is_err() {
            self.shared.unheard.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Hands lines on, on the log's own thread.
struct Scribe {
    shared: Arc<Shared>,
    format: LogFormat,
    stderr: NonBlocking,
    file: Option<NonBlocking>,
}

impl Scribe {
    fn run(mut self, said: &Receiver<Message>) {
        loop {
            match said.recv_timeout(LOOK) {
                Ok(Message::Said(heard)) => self.write(heard),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = clock::now();
            let told = self.shared.storms().ended(now.mono);
            told.into_iter().for_each(|told| self.write(Heard { wall_ns: now.wall_ns, ..told }));
        }
        let told = self.shared.storms().end();
        told.into_iter().for_each(|told| self.write(told));
    }

    fn write(&mut self, mut heard: Heard) {
        SECRETS.hide_in(&mut heard);
        let text = match self.format {
            LogFormat::Human => heard.human(),
            LogFormat::Json => heard.json(),
        };
        // Both take what they have room for, count the rest, and never wait.
        let _ = self.stderr.write_all(text.as_bytes());
        if let Some(file) = &mut self.file {
            let _ = file.write_all(text.as_bytes());
        }
        let line = self.shared.ring().push(heard.line());
        // Where nobody follows, nobody is told.
        let _ = self.shared.live.send(Arc::new(LiveLine::new(line)));
    }
}
