//! The hub's log goes to stderr, through a bounded queue that drops lines rather than block: a full pipe must not stop ticks.

use mdhub_spec::settings::{LogFormat, Logging};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::Failure;

/// Lines that may wait for stderr.
const LINES_WAITING_MAX: usize = 8_192;

/// Sets the log up for the whole process; what still waits is written when the guard is dropped.
///
/// # Errors
/// When the filter cannot be understood.
pub(crate) fn start(logging: &Logging) -> Result<WorkerGuard, Failure> {
    let filter = filter(logging)?;
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING_MAX).finish(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    match logging.format {
        LogFormat::Human => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(guard)
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
