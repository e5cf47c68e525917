//! What SQLite's errors mean to people.

use std::path::Path;

use mdhub_spec::ports::StoreError;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use super::link::BUSY_TIMEOUT;

/// Why a piece of work on a connection failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database failed. The connection is not used again.
    Database(sqlx::Error),
    /// The database is well; the request is refused.
    Refused(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// SQLite's primary result codes, <https://www.sqlite.org/rescode.html>.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
    pub(super) const NOTADB: i32 = 26;
}

/// The primary result code, when SQLite itself gave one. The upper bytes tell its variants.
fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.code()?.parse::<i32>().ok().map(|extended| extended & 0xff)
}

/// Whether somebody else's lock was in the way.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(primary_code).is_some_and(|code| matches!(code, code::BUSY | code::LOCKED))
}

/// Says what failed, where, and what to do. SQLite's messages name tables and columns, never the values of a row.
pub(crate) fn explain(path: &Path, error: &sqlx::Error) -> StoreError {
    let file = path.display();
    let Some(fault) = error.as_database_error() else {
        return StoreError::Away(format!("{file}: {error}"));
    };
    let message = fault.message();
    match primary_code(fault) {
        Some(code::ERROR) => StoreError::Schema(format!(
            "{file}: {message}: the database is not as its migrations left it; restore a backup"
        )),
        Some(code::NOTADB) => StoreError::Schema(format!(
            "{file} is not a SQLite database ({message}): name another file, or restore a backup"
        )),
        Some(code::TOOBIG | code::CONSTRAINT | code::MISMATCH) => {
            StoreError::Refused(format!("{file} refuses what it is given: {message}"))
        }
        Some(code::CORRUPT) => {
            StoreError::Away(format!("{file} is damaged ({message}): stop the hub and restore a backup"))
        }
        Some(code::BUSY | code::LOCKED) => StoreError::Away(format!(
            "{file} is locked by another program, for more than {} s ({message}): end its transaction",
            BUSY_TIMEOUT.as_secs()
        )),
        Some(code::READONLY) => StoreError::Away(format!(
            "{file} cannot be written ({message}): the hub's user must be able to write it and its directory"
        )),
        Some(code::FULL) => StoreError::Away(format!("{file}: the disk is full ({message})")),
        Some(code::CANTOPEN) => StoreError::Away(format!("{file} cannot be opened ({message})")),
        Some(code::IOERR) => StoreError::Away(format!("{file} cannot be read or written ({message})")),
        _ => StoreError::Away(format!("{file}: {message}")),
    }
}

/// The same for a migration.
pub(crate) fn explain_migration(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => explain(path, &error),
        other => StoreError::Schema(format!("{}: {other}", path.display())),
    }
}
