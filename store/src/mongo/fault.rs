//! What the server's errors mean to people.

use mdhub_spec::ports::StoreError;
use mongodb::error::{Error, ErrorKind, WriteFailure};

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database failed.
    Database(Error),
    /// The database is well; the request is refused.
    Refused(StoreError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<mongodb::bson::error::Error> for Fault {
    fn from(error: mongodb::bson::error::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// The server's error codes, <https://www.mongodb.com/docs/manual/reference/error-codes/>.
mod code {
    pub(super) const UNAUTHORIZED: i32 = 13;
    pub(super) const AUTHENTICATION_FAILED: i32 = 18;
    pub(super) const NAMESPACE_EXISTS: i32 = 48;
    pub(super) const DUPLICATE: i32 = 11_000;
    pub(super) const CHANGE_STREAM_NEEDS_REPLICA_SET: i32 = 40_573;
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// Whether a document of that id is there already.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    code(error) == Some(code::DUPLICATE)
}

/// Whether the collection is there already.
pub(crate) fn is_there(error: &Error) -> bool {
    code(error) == Some(code::NAMESPACE_EXISTS)
}

/// Whether this server has no change streams, since it is alone.
pub(crate) fn is_no_replica_set(error: &Error) -> bool {
    code(error) == Some(code::CHANGE_STREAM_NEEDS_REPLICA_SET)
}

/// Says what failed, where, and what to do.
pub(crate) fn explain(name: &str, fault: Fault) -> StoreError {
    let error = match fault {
        Fault::Refused(StoreError::Schema(why)) => return StoreError::Schema(format!("{name}: {why}")),
        Fault::Refused(refused) => return refused,
        Fault::Database(error) => error,
    };
    let is_refused = matches!(&*error.kind, ErrorKind::Authentication { .. })
        || matches!(code(&error), Some(code::UNAUTHORIZED | code::AUTHENTICATION_FAILED));
    StoreError::Away(if is_refused {
        format!("{name} refuses this user ({}): check user, password, authSource and roles", error.kind)
    } else if matches!(&*error.kind, ErrorKind::ServerSelection { .. }) {
        format!("{name} does not answer: is it up, and is the address right? ({})", error.kind)
    } else {
        format!("{name}: {}", error.kind)
    })
}
