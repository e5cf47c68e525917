//! The hub's log goes to stderr, through a bounded queue that drops lines rather than block: a full pipe must not stop ticks.

use mdhub_alerts::Ear;
use mdhub_spec::settings::{LogFormat, Logging};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::Failure;

/// Lines that may wait for stderr.
const LINES_WAITING_MAX: usize = 8_192;

/// The log while it runs; what still waits is written when it is dropped.
pub(crate) struct Log {
    _writer: WorkerGuard,
    filter: LogFilter,
}

impl Log {
    /// Changes which lines are wanted.
    pub(crate) fn filter(&self) -> LogFilter {
        self.filter.clone()
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

/// Sets the log up for the whole process. `ear` hears errors whatever the filter leaves out.
///
/// # Errors
/// When the filter cannot be understood.
pub(crate) fn start(logging: &Logging, ear: Ear) -> Result<Log, Failure> {
    let (filter, handle) = reload::Layer::new(filter(logging)?);
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING_MAX).finish(std::io::stderr());
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let lines = match logging.format {
        LogFormat::Human => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(lines).with(ear.with_filter(LevelFilter::INFO)).init();
    Ok(Log { _writer: guard, filter: LogFilter(handle) })
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
