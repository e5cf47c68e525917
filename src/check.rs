//! `mdhub check`: judges a settings file without running anything.

use crate::cli::CheckArgs;
use crate::{Failure, logging, say, settings_file};

/// Reads the file and all that it points to, and says what it found.
///
/// # Errors
/// The first fault, with its place.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let loaded = settings_file::load(&args.config)?;
    logging::filter(&loaded.settings.logging).map_err(|e| format!("{}: {e}", args.config.display()))?;
    for (name, library) in &loaded.libraries {
        if !library.path.is_file() {
            return Err(format!(
                "{}: libraries.{name}.path: {} is not a file",
                args.config.display(),
                library.path.display()
            ));
        }
    }
    say(format_args!(
        "{}: valid: {} contracts, {} libraries, ticks on {}, control on {}",
        args.config.display(),
        loaded.contracts.len(),
        loaded.libraries.len(),
        String::from(loaded.settings.publish.listen),
        loaded.settings.http.listen,
    ))
}
