//! Accounts and events in a database, behind [`mdhub_spec::ports::AccountStore`].
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | the key that seals secrets, and its file |
//! | `sealing` | one secret to one sealed text and back |
//! | `secrets` | the column `secrets`: which fields there are, sealed or still plain |
//! | `record` | an account as it is stored, and what one whole read comes to |
//! | `retention` | how many events are kept |
//! | [`archive`] | accounts sealed as one text: the last desired state, and exports |
//! | `sqlite`, `mysql`, `mongo` | the backends; each passes the same `tests/conformance.rs` |

pub mod archive;
mod clock;
pub mod key;
mod mongo;
mod mysql;
mod record;
mod retention;
mod sealing;
mod secrets;
mod sqlite;

use std::sync::Arc;

use mdhub_spec::ports::{AccountStore, StoreError};

pub use key::SealingKey;

/// The number of this release as a reader of the schema: what `schema.reader_min` is compared with.
const READER: i64 = 1;

/// Opens the database that `url` names (`sqlite://PATH`, `mysql://USER:PASSWORD@HOST/DATABASE`,
/// `mongodb://USER:PASSWORD@HOST/DATABASE`), creates and migrates it where needed, and proves by one whole read that `key`
/// opens what is sealed there.
///
/// # Errors
/// [`StoreError::Url`] for a URL that names no database, [`StoreError::Away`] for one that cannot be used now,
/// [`StoreError::Schema`] for one of another program or of a newer release, [`StoreError::Key`] when the secrets were
/// sealed by another key.
pub async fn open(url: &str, key: SealingKey) -> Result<Arc<dyn AccountStore>, StoreError> {
    const ALLOWED: &str = "allowed are sqlite://PATH, mysql://USER:PASSWORD@HOST/DATABASE and \
                           mongodb://USER:PASSWORD@HOST/DATABASE";
    match url.split_once("://") {
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::SqliteStore::open(path, key).await?)),
        Some(("mysql", _)) => Ok(Arc::new(mysql::MySqlStore::open(url, key).await?)),
        Some(("mongodb" | "mongodb+srv", _)) => Ok(Arc::new(mongo::MongoStore::open(url, key).await?)),
        // A URL of another scheme may hold a password: only the scheme is named.
        Some((scheme, _)) => Err(StoreError::Url(format!("the URL begins with {scheme}://: {ALLOWED}"))),
        None => Err(StoreError::Url(format!("the URL has no scheme: {ALLOWED}"))),
    }
}

/// The URL of a server with `password` in it; `None` where it names no user, or has a password already.
#[must_use]
pub fn with_password(url: &str, password: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite")?;
    let (user, place) = rest.split_once('@').filter(|(user, _)| !user.is_empty() && !user.contains([':', '/']))?;
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    let password: String = password.bytes().map(letter).collect();
    Some(format!("{scheme}://{user}:{password}@{place}"))
}

/// A database's URL without its password and options, for messages and files.
#[must_use]
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
        return url.to_owned();
    };
    // A password may hold an unescaped `@` or `/` by mistake: everything before the last `@` goes.
    let (user, place) =
        rest.rsplit_once('@').map_or(("", rest), |(login, place)| (login.split(':').next().unwrap_or_default(), place));
    let place = place.split('?').next().unwrap_or_default();
    let at = if user.is_empty() { "" } else { "@" };
    format!("{scheme}://{user}{at}{place}")
}

/// Whether this release may use a schema that asks for `reader_min`.
fn check_reader(reader_min: Option<i64>) -> Result<(), StoreError> {
    match reader_min {
        None => Err(StoreError::Schema("the table schema has no row; restore a backup".into())),
        Some(reader_min) if reader_min > READER => Err(StoreError::Schema(format!(
            "it is for a newer release: it needs a schema reader of {reader_min} or more, this release is {READER}; \
             use the newer release, or restore the backup made before it"
        ))),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password_and_options() {
        for (url, shows) in [
            ("sqlite:///data/hub.db", "sqlite:///data/hub.db"),
            ("mysql://hub:hunter2@db:3306/desk", "mysql://hub@db:3306/desk"),
            ("mysql://hub:hun@ter/2@db/desk?ssl-mode=required", "mysql://hub@db/desk"),
            ("mongodb://hub:hunter2@a,b/desk?password=hunter2", "mongodb://hub@a,b/desk"),
            ("mongodb://localhost/desk", "mongodb://localhost/desk"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(shown(url), shows);
        }
    }
}
