//! Accounts and events in a database, behind [`mdhub_spec::ports::AccountStore`].
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | the key that seals secrets, and its file |
//! | `sealing` | one secret to one sealed text and back |
//! | `secrets` | the column `secrets`: which fields there are, sealed or still plain |
//! | `sqlite` | the SQLite backend; others stand beside it and pass the same `tests/conformance.rs` |

pub mod key;
mod sealing;
mod secrets;
mod sqlite;

use std::sync::Arc;

use mdhub_spec::ports::{AccountStore, StoreError};

pub use key::SealingKey;

/// Opens the database that `url` names, creates and migrates it where needed, and proves by one whole read that `key`
/// opens what is sealed there.
///
/// # Errors
/// [`StoreError::Away`] for a URL that is not `sqlite://PATH` or a file that cannot be used, [`StoreError::Schema`] for
/// one of another program or of a newer release, [`StoreError::Key`] when the secrets were sealed by another key.
pub async fn open(url: &str, key: SealingKey) -> Result<Arc<dyn AccountStore>, StoreError> {
    match url.split_once("://") {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::SqliteStore::open(path, key).await?)),
        // A URL of another scheme may hold a password: only the scheme is named.
        Some((scheme, _)) => {
            Err(StoreError::Away(format!("the URL begins with {scheme}://: allowed is sqlite://PATH")))
        }
        None => Err(StoreError::Away("the URL has no scheme: allowed is sqlite://PATH".into())),
    }
}
