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
    pub(super) const BAD_VALUE: i32 = 2;
    pub(super) const UNAUTHORIZED: i32 = 13;
    pub(super) const AUTHENTICATION_FAILED: i32 = 18;
    pub(super) const INVALID_BSON: i32 = 22;
    pub(super) const NAMESPACE_EXISTS: i32 = 48;
    pub(super) const CANNOT_CREATE_INDEX: i32 = 67;
    pub(super) const INVALID_OPTIONS: i32 = 72;
    pub(super) const INDEX_OPTIONS_CONFLICT: i32 = 85;
    pub(super) const INDEX_KEY_SPECS_CONFLICT: i32 = 86;
    pub(super) const DOCUMENT_VALIDATION_FAILURE: i32 = 121;
    pub(super) const NOT_SUPPORTED_ON_VIEW: i32 = 166;
    pub(super) const DOCUMENT_TOO_LARGE: i32 = 10_334;
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

/// Whether a name could not be looked up: that may be otherwise in a minute.
pub(crate) fn is_unresolved(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::DnsResolve { .. } | ErrorKind::Io(_))
}

/// Whether people stand in the way of a validator or an index: by rights, by documents, or by an index of their own.
pub(crate) fn is_for_people(error: &Error) -> bool {
    matches!(
        code(error),
        Some(
            code::UNAUTHORIZED
                | code::CANNOT_CREATE_INDEX
                | code::INVALID_OPTIONS
                | code::INDEX_OPTIONS_CONFLICT
                | code::INDEX_KEY_SPECS_CONFLICT
                | code::NOT_SUPPORTED_ON_VIEW
                | code::DUPLICATE
        )
    )
}

/// Whether the very document is refused, by the server or on the way to it: it will be, however often it is sent.
fn is_for_good(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::BsonSerialization(_) | ErrorKind::InvalidArgument { .. })
        || matches!(
            code(error),
            Some(code::BAD_VALUE | code::INVALID_BSON | code::DOCUMENT_VALIDATION_FAILURE | code::DOCUMENT_TOO_LARGE)
        )
}

/// Says what failed, where, and what to do.
pub(crate) fn explain(name: &str, fault: Fault) -> StoreError {
    let error = match fault {
        Fault::Refused(StoreError::Schema(why)) => return StoreError::Schema(format!("{name}: {why}")),
        Fault::Refused(refused) => return refused,
        Fault::Database(error) => error,
    };
    if is_for_good(&error) {
        // What else the server says of it may quote the document.
        let why = match &*error.kind {
            ErrorKind::Write(WriteFailure::WriteError(write)) => format!("{} (code {})", write.message, write.code),
            kind => kind.to_string(),
        };
        return StoreError::Refused(format!("{name} refuses what it is given: {why}"));
    }
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
