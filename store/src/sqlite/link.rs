//! The file and a connection to it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mdhub_spec::ports::StoreError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use tokio::time::Instant;

use super::fault::{self, Fault};

/// How long to wait for another program's transaction.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// From one try to connect to the next, for [`BUSY_TIMEOUT`] in all, while another program has the file open: SQLite does
/// not wait for the lock that the change to WAL takes, but waits for others.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// The migrations that this release knows. Those of a newer one are let be, as long as `schema.reader_min` lets us in.
fn migrations() -> Migrator {
    let mut migrations = sqlx::migrate!("../migrations/sqlite");
    migrations.set_ignore_missing(true);
    migrations
}

/// The path of `sqlite://PATH`, taken by the letter and made absolute.
pub(crate) fn checked_path(path: &str) -> Result<PathBuf, StoreError> {
    let refuse = |why: String| Err(StoreError::Url(format!("{why}: allowed is sqlite://PATH")));
    if path.is_empty() {
        return refuse("the URL names no file".into());
    }
    if path.contains('?') || path.contains('\0') || path.starts_with(":memory:") {
        return refuse(format!("{path:?} is not the path of a file (there are no options, and no :memory:)"));
    }
    std::path::absolute(path).or_else(|e| refuse(format!("{path:?}: {e}")))
}

/// Device and inode: what tells a file from another that took its name.
type FileIdentity = (u64, u64);

fn identity(path: &Path) -> Result<FileIdentity, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok((metadata.dev(), metadata.ino())),
        Ok(_) => Err(StoreError::Away(format!("{} is not a file", path.display()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::Away(format!("{} is gone: restore it, or start with a new one", path.display())))
        }
        Err(e) => Err(StoreError::Away(format!("{}: {e}", path.display()))),
    }
}

/// An open connection to a certain file.
pub(crate) struct Open {
    pub(crate) connection: SqliteConnection,
    file: FileIdentity,
}

/// A connection that is made when it is needed, and made anew after a fault or when the file was replaced: SQLite itself
/// would go on with a deleted file and lose every write.
pub(crate) struct Link {
    path: PathBuf,
    open: Option<Open>,
    opened: u64,
}

impl Link {
    /// A link that connects at first use, to a database that is there.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, opened: 0 }
    }

    /// Connects; makes the file (0600) and its schema where they are missing. Only a start does this: a file that
    /// vanishes later must not come back empty, as if there were no accounts.
    ///
    /// With it, the copies that were kept of it before migrations.
    pub(crate) async fn create(path: &Path) -> Result<(Self, Vec<PathBuf>), StoreError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Away(format!("{} cannot be made: {e}", path.display())));
            }
            _ => {}
        }
        let file = identity(path)?;
        let mut connection = connect(path).await.map_err(|e| fault::explain(path, &e))?;
        prepare(path, &mut connection, true).await?;
        Ok((Self { path: path.to_owned(), open: Some(Open { connection, file }), opened: 1 }, copies(path)))
    }

    /// How many connections there were, this one included.
    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    /// Takes the connection out. Whoever is done gives it back by [`Link::settle`]; a caller that is cancelled drops it,
    /// which rolls its transaction back.
    pub(crate) async fn ready(&mut self) -> Result<Open, StoreError> {
        let file = identity(&self.path)?;
        if let Some(open) = self.open.take_if(|open| open.file == file) {
            return Ok(open);
        }
        self.open = None;
        let mut connection = connect(&self.path).await.map_err(|e| fault::explain(&self.path, &e))?;
        prepare(&self.path, &mut connection, false).await?;
        self.opened += 1;
        Ok(Open { connection, file })
    }

    /// Keeps the connection for the next caller, unless the database failed.
    pub(crate) fn settle<T>(&mut self, open: Open, done: Result<T, Fault>) -> Result<T, StoreError> {
        match done {
            Err(Fault::Database(error)) => Err(fault::explain(&self.path, &error)),
            Err(Fault::Refused(error)) => {
                self.open = Some(open);
                Err(error)
            }
            Ok(value) => {
                self.open = Some(open);
                Ok(value)
            }
        }
    }
}

/// WAL: readers and the writer do not wait for each other. `synchronous = FULL`: with NORMAL a power cut could undo a
/// stop that was already confirmed; a person writes here, not a stream, so that the sync costs nothing that matters.
/// Statements are not logged.
async fn connect(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .disable_statement_logging();
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match options.connect().await {
            Err(error) if fault::is_busy(&error) && Instant::now() < deadline => {
                tokio::time::sleep(CONNECT_PAUSE).await;
            }
            other => return other,
        }
    }
}

/// What the file holds, seen from this release.
enum Found {
    Empty,
    /// Of an earlier release, whose last migration this is.
    Behind {
        version: i64,
    },
    Fits,
}

/// Brings the schema up to this release. Without `may_create`, an empty file is refused.
async fn prepare(path: &Path, connection: &mut SqliteConnection, may_create: bool) -> Result<(), StoreError> {
    let file = path.display();
    let found = found(path, connection).await?;
    match found {
        Found::Fits => return Ok(()),
        Found::Empty if !may_create => {
            return Err(StoreError::Schema(format!("{file} has become empty: restore it, or start with a new one")));
        }
        Found::Empty | Found::Behind { .. } => {}
    }
    let away = |e: sqlx::Error| fault::explain(path, &e);
    let draft = match found {
        Found::Behind { version } => Some(Draft::of(path, connection, version).await?),
        _ => None,
    };
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(away)?;
    // Another program may have migrated it while this one waited for the lock: then the copy is of what it made.
    let is_behind = matches!(self::found(path, &mut transaction).await?, Found::Behind { .. });
    draft.filter(|_| is_behind).map(Draft::keep).transpose()?;
    // The migrator skips what was applied. (`run` instead of `run_direct` is the same, but its future is not `Send` for the
    // compiler.)
    migrations().run_direct(None, &mut *transaction, false).await.map_err(|e| fault::explain_migration(path, e))?;
    transaction.commit().await.map_err(away)
}

/// What the name of a copy has behind the file's own, before the number of the migration.
const BEFORE_MIGRATION: &str = ".before-migration-";

/// The copies that were kept of this file.
fn copies(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let prefix = format!("{}{BEFORE_MIGRATION}", name.to_string_lossy());
    let is_copy = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let number = name.to_string_lossy().strip_prefix(&prefix).map(str::to_owned);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter(is_copy).map(|entry| entry.path()).collect()
}

/// A copy of a file of an earlier release as it was, for a way back. It goes with this, unless it is kept.
struct Draft {
    aside: PathBuf,
    kept: PathBuf,
}

impl Draft {
    async fn of(path: &Path, connection: &mut SqliteConnection, version: i64) -> Result<Self, StoreError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("{BEFORE_MIGRATION}{}", version + 1));
        let kept = PathBuf::from(&name);
        // Several may be at it at once, in this process too.
        static DRAFTS: AtomicU64 = AtomicU64::new(0);
        name.push(format!(".{}.{}", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
        let draft = Self { aside: PathBuf::from(name), kept };
        let _ = fs::remove_file(&draft.aside);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.aside).map_err(|e| draft.failed(&e))?;
        copy(connection, &draft.aside).await.map_err(|fault| match fault {
            Fault::Database(error) => fault::explain(&draft.aside, &error),
            Fault::Refused(error) => error,
        })?;
        Ok(draft)
    }

    /// Beside the file, in place of one from an earlier try.
    fn keep(self) -> Result<(), StoreError> {
        let kept = &self.kept;
        let folder = kept.parent().unwrap_or(Path::new("."));
        let renamed = fs::File::open(&self.aside).and_then(|file| file.sync_all());
        renamed
            .and_then(|()| fs::rename(&self.aside, kept))
            .and_then(|()| fs::File::open(folder)?.sync_all())
            .map_err(|e| self.failed(&e))?;
        tracing::info!(copy = %kept.display(), "the database as it was before the migration is kept");
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        StoreError::Away(format!("{} cannot be kept before the migration: {error}", self.kept.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Renamed by then, or worth nothing.
        let _ = fs::remove_file(&self.aside);
    }
}

async fn found(path: &Path, connection: &mut SqliteConnection) -> Result<Found, StoreError> {
    let file = path.display();
    let away = |e: sqlx::Error| fault::explain(path, &e);
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut *connection)
        .await
        .map_err(away)?;
    if tables.is_empty() {
        return Ok(Found::Empty);
    }
    let missing = ["schema", "accounts", "events"].into_iter().find(|name| !tables.iter().any(|table| table == name));
    if let Some(missing) = missing {
        return Err(StoreError::Schema(format!(
            "{file} has tables, but not the table {missing}: name the file of a hub, an empty or a new one"
        )));
    }
    let reader_min: Option<i64> =
        sqlx::query_scalar("SELECT max(reader_min) FROM schema").fetch_one(&mut *connection).await.map_err(away)?;
    crate::check_reader(reader_min).map_err(|e| match e {
        StoreError::Schema(why) => StoreError::Schema(format!("{file}: {why}")),
        other => other,
    })?;
    let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
        .fetch_all(&mut *connection)
        .await
        .map_err(away)?;
    let all = migrations().iter().all(|migration| applied.contains(&migration.version));
    let version = applied.iter().copied().max().unwrap_or_default();
    Ok(if all { Found::Fits } else { Found::Behind { version } })
}

/// SQLite's own counter of commits by other connections, this process's and other programs' alike.
pub(crate) async fn data_version(connection: &mut SqliteConnection) -> Result<u32, Fault> {
    let version: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await?;
    // Thirty-two bits wide in SQLite, and it may wrap.
    Ok(version as u32)
}

/// Copies the whole database, as it is now, to a new file.
pub(crate) async fn copy(connection: &mut SqliteConnection, file: &Path) -> Result<(), Fault> {
    sqlx::query("VACUUM INTO ?").bind(file.display().to_string()).execute(connection).await?;
    Ok(())
}

/// Puts the secrets of the database, which are sealed by now, into the place of plain ones in the copy that was made of it.
pub(crate) async fn seal_copy(connection: &mut SqliteConnection, kept: &Path) -> Result<(), Fault> {
    sqlx::query("ATTACH ? AS kept").bind(kept.display().to_string()).execute(&mut *connection).await?;
    let sealed = async {
        let plain = "json_extract(secrets, '$.password') NOT LIKE 'sealed:%'";
        let sealed = "(SELECT secrets FROM main.accounts AS now WHERE now.id = kept.accounts.id)";
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "UPDATE kept.accounts SET secrets = {sealed} WHERE {plain} AND {sealed} IS NOT NULL"
        )))
        .execute(&mut *connection)
        .await?;
        if done.rows_affected() > 0 {
            sqlx::query("VACUUM kept").execute(&mut *connection).await?;
        }
        Ok(())
    };
    let sealed: sqlx::Result<()> = sealed.await;
    sqlx::query("DETACH kept").execute(connection).await?;
    Ok(sealed?)
}
