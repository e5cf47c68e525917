//! What the server's errors mean to people.

use mdhub_spec::ports::StoreError;
use sqlx::migrate::MigrateError;
use sqlx::mysql::MySqlDatabaseError;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database failed.
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

impl From<MigrateError> for Fault {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => Self::Database(error),
            other => Self::Refused(StoreError::Schema(other.to_string())),
        }
    }
}

/// The server's error numbers, the same in MySQL and MariaDB: <https://mariadb.com/kb/en/mariadb-error-code-reference/>.
mod number {
    pub(super) const DATABASE_DENIED: u16 = 1044;
    pub(super) const USER_DENIED: u16 = 1045;
    pub(super) const NULL_REFUSED: u16 = 1048;
    pub(super) const NO_SUCH_DATABASE: u16 = 1049;
    pub(super) const NO_SUCH_COLUMN: u16 = 1054;
    pub(super) const DUPLICATE: u16 = 1062;
    pub(super) const TABLE_DENIED: u16 = 1142;
    pub(super) const NO_SUCH_TABLE: u16 = 1146;
    pub(super) const VALUE_REFUSED: u16 = 1366;
    pub(super) const TOO_LONG: u16 = 1406;
    pub(super) const TRIGGER_REFUSED: u16 = 1644;
    /// MySQL's.
    pub(super) const CHECK_REFUSED: u16 = 3819;
    /// MariaDB's.
    pub(super) const CONSTRAINT_REFUSED: u16 = 4025;
}

fn number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// Whether a row of that key is there already.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    number(error) == Some(number::DUPLICATE)
}

/// Says what failed, where, and what to do.
pub(crate) fn explain(name: &str, fault: Fault) -> StoreError {
    let error = match fault {
        Fault::Refused(StoreError::Schema(why)) => return StoreError::Schema(format!("{name}: {why}")),
        Fault::Refused(refused) => return refused,
        Fault::Database(error) => error,
    };
    match (number(&error), &error) {
        (Some(number::USER_DENIED | number::DATABASE_DENIED | number::TABLE_DENIED), _) => StoreError::Away(format!(
            "{name} refuses this user ({error}): check user, password and grants in the URL's database"
        )),
        (Some(number::NO_SUCH_DATABASE), _) => StoreError::Away(format!(
            "{name}: there is no such database: CREATE DATABASE it, and grant the user all on it"
        )),
        (Some(number::NO_SUCH_TABLE | number::NO_SUCH_COLUMN), _) => StoreError::Schema(format!(
            "{name}: {error}: the database is not as its migrations left it; restore a backup"
        )),
        (
            Some(
                number::NULL_REFUSED
                | number::VALUE_REFUSED
                | number::TOO_LONG
                | number::TRIGGER_REFUSED
                | number::CHECK_REFUSED
                | number::CONSTRAINT_REFUSED,
            ),
            _,
        ) => StoreError::Refused(format!("{name} refuses what it is given: {error}")),
        (_, sqlx::Error::PoolTimedOut) => {
            StoreError::Away(format!("{name} does not answer: is it up, and is the address right?"))
        }
        _ => StoreError::Away(format!("{name}: {error}")),
    }
}
