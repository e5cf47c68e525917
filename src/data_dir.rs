//! The data directory: what the hub must not lose, and the lock that keeps a second hub out.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt};
use std::path::PathBuf;

use mdhub_store::SealingKey;
use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;

use crate::Failure;
use crate::cli::PlaceArgs;

/// A data directory that exists.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
    database_url: Option<String>,
    secret_key_file: Option<PathBuf>,
}

impl DataDir {
    /// Opens the directory, and makes it (0700) where it is not there.
    ///
    /// # Errors
    /// When it can neither be found nor made.
    pub(crate) fn open(place: &PlaceArgs) -> Result<Self, Failure> {
        let root = &place.data_dir;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|e| format!("--data-dir: {} cannot be made: {e}", root.display()))?;
        let root = root.canonicalize().map_err(|e| format!("--data-dir: {}: {e}", root.display()))?;
        Ok(Self { root, database_url: place.database_url.clone(), secret_key_file: place.secret_key_file.clone() })
    }

    /// Opens a directory that is there.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn existing(root: &std::path::Path) -> Result<Self, Failure> {
        let root = root.canonicalize().map_err(|e| format!("--data-dir: {}: {e}", root.display()))?;
        Ok(Self { root, database_url: None, secret_key_file: None })
    }

    /// A path inside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where the accounts are: the flag, else the settings file's word, else the embedded database.
    pub(crate) fn database_url(&self, from_settings: Option<&str>) -> String {
        self.database_url
            .as_deref()
            .or(from_settings)
            .map_or_else(|| format!("sqlite://{}", self.path("mdhub.db").display()), str::to_owned)
    }

    /// The database of the hub that runs on this directory, or ran last, as it wrote down in `run.json`.
    pub(crate) fn announced_database(&self) -> Option<String> {
        self.announced("database")
    }

    /// Where the control port of that hub answers.
    pub(crate) fn announced_http(&self) -> Option<SocketAddr> {
        self.announced("http")?.strip_prefix("http://")?.parse().ok()
    }

    fn announced(&self, what: &str) -> Option<String> {
        let text = fs::read_to_string(self.path("run.json")).ok()?;
        let told: serde_json::Value = serde_json::from_str(&text).ok()?;
        told[what].as_str().map(str::to_owned)
    }

    /// Whether the key of [`Self::sealing_key`] is there already.
    pub(crate) fn has_sealing_key(&self) -> bool {
        self.secret_key_file.is_some() || self.path("secret.key").exists()
    }

    /// The key that seals secrets. A file that was named must be there; the embedded default is made at first use.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub(crate) fn sealing_key(&self) -> Result<SealingKey, Failure> {
        match &self.secret_key_file {
            Some(path) => SealingKey::read(path),
            None => SealingKey::read_or_create(&self.path("secret.key")),
        }
        .map_err(|e| e.to_string())
    }

    /// Keeps every other hub off this directory for as long as the file is held.
    ///
    /// # Errors
    /// When another hub holds it.
    pub(crate) fn lock(&self) -> Result<File, Failure> {
        let path = self.path("hub.lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| self.not_writable(&e))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| {
            format!(
                "{}: another hub runs on this data directory ({e}); end it, or choose another --data-dir",
                path.display()
            )
        })?;
        Ok(file)
    }

    /// Whose directory it is, who this is, and what would do.
    fn not_writable(&self, why: &io::Error) -> Failure {
        let uid = geteuid().as_raw();
        let owner = fs::metadata(&self.root)
            .map_or_else(|_| "nobody knows whom".to_owned(), |metadata| format!("user {}", metadata.uid()));
        format!(
            "--data-dir: {} belongs to {owner}, and user {uid}, who runs this hub, cannot write hub.lock in it: {why}; allowed is a \
             directory that this user may write, with all that is in it; nothing was changed",
            self.root.display()
        )
    }

    /// Writes a small file so that a reader sees the old text or the new one, never half.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let (path, fresh) = (self.path(name), self.path(&format!("{name}.new")));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fs::rename(fresh, path)
    }

    /// The same, so that a power cut leaves the old text or the new one, too.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn replace_durably(&self, name: &str, text: &str) -> io::Result<()> {
        let (path, fresh) = (self.path(name), self.path(&format!("{name}.new")));
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(fresh, path)?;
        File::open(&self.root)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn place(root: &Path) -> PlaceArgs {
        PlaceArgs { data_dir: root.join("data"), database_url: None, secret_key_file: None }
    }

    #[test]
    fn a_second_hub_is_kept_out_by_name() {
        let temp = tempfile::tempdir().expect("a directory");
        let data = DataDir::open(&place(temp.path())).expect("opens");
        let held = data.lock().expect("the first hub gets it");
        let refused = data.lock().map(|_| ()).expect_err("the second does not");
        assert!(refused.contains("another hub runs on this data directory"), "{refused}");
        drop(held);
        assert!(data.lock().is_ok());
    }

    #[test]
    fn the_flag_wins_over_the_settings_file_and_the_default_is_inside() {
        let temp = tempfile::tempdir().expect("a directory");
        let mut place = place(temp.path());
        let data = DataDir::open(&place).expect("opens");
        assert!(data.database_url(None).ends_with("data/mdhub.db"));
        assert_eq!(data.database_url(Some("sqlite:///b")), "sqlite:///b");
        place.database_url = Some("sqlite:///a".into());
        let data = DataDir::open(&place).expect("opens");
        assert_eq!(data.database_url(Some("sqlite:///b")), "sqlite:///a");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let temp = tempfile::tempdir().expect("a directory");
        fs::write(temp.path().join("data"), "a file").expect("writes");
        let refused = DataDir::open(&place(temp.path())).map(|_| ()).expect_err("a file is in the way");
        assert!(refused.starts_with("--data-dir: "), "{refused}");
    }
}
