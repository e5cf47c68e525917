//! One lock for each account, so that it never has two processes, whichever hubs there are and were.
//!
//! It is a `flock` on a file of the account's name. The worker inherits the descriptor, on [`LOCK_DESCRIPTOR`], and the hub
//! closes its own: the kernel keeps the lock for as long as any process of the worker's line has the descriptor, and not a
//! moment longer. The file's text says whose it is; a hub that finds it held after the death of another ends them by it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mdhub_spec::account::AccountId;
use mdhub_spec::process::Incarnation;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::process::getpid;

use super::procfs::{self, Born, FileId};

/// The descriptor on which a worker, and all that it starts, holds its account's lock.
pub(super) const LOCK_DESCRIPTOR: i32 = 4;
/// Length of a record in its file, so that a new one covers the old one whole, with a single write.
const RECORD_BYTES: usize = 256;
const MAGIC: &str = "mdhub-lock-1";

/// A lock that this process holds.
#[derive(Debug)]
pub(super) struct AccountLock {
    file: File,
    path: PathBuf,
}

/// Who holds a lock, or held it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The machine's run that the start times belong to.
    pub(super) boot_id: String,
    /// Which life.
    pub(super) incarnation: Incarnation,
    /// The hub that made it.
    pub(super) hub: Born,
    /// The worker, which leads its group; none was recorded if the hub died while it made it.
    pub(super) leader: Option<Born>,
}

impl Record {
    /// Of a process that this hub is about to make.
    pub(super) fn of(incarnation: Incarnation, leader: Option<Born>) -> Option<Self> {
        Some(Self { boot_id: procfs::boot_id(), incarnation, hub: Born::now(getpid())?, leader })
    }

    /// Whether its numbers mean processes of this run of the machine.
    pub(super) fn is_of_this_boot(&self) -> bool {
        self.boot_id == procfs::boot_id()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        if words.next()? != MAGIC {
            return None;
        }
        let boot_id = words.next()?.to_owned();
        let incarnation = words.next()?.parse().ok()?;
        let mut born = || {
            let (pid, start_ticks) = words.next()?.split_once('@')?;
            Some(Born { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? })
        };
        Some(Self { boot_id, incarnation, hub: born()?, leader: born() })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot_id, incarnation, hub, leader } = self;
        write!(f, "{MAGIC} {boot_id} {incarnation} {}@{}", hub.pid, hub.start_ticks)?;
        match leader {
            Some(leader) => write!(f, " {}@{}", leader.pid, leader.start_ticks),
            None => f.write_str(" -"),
        }
    }
}

/// Whose lock it is, for people.
fn holder(record: Option<&Record>) -> String {
    record.map_or_else(
        || "a process that is not recorded".to_owned(),
        |record| {
            let leader = record.leader.map_or_else(|| "unknown".to_owned(), |leader| leader.pid.to_string());
            format!("incarnation {}, process group {leader}, started by the hub {}", record.incarnation, record.hub.pid)
        },
    )
}

impl AccountLock {
    /// Takes the lock, and makes file and directory where they are not there.
    ///
    /// # Errors
    /// When a process holds it, named as far as it is recorded; when the file cannot be made.
    pub(super) fn take(root: &Path, account: &AccountId) -> Result<Self, String> {
        let path = root.join(account.as_str());
        let failed = |e: io::Error| format!("lock {}: {e}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { file, path }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(format!(
                "lock {} is held by {}: no second process is started for the account before that one is gone",
                path.display(),
                holder(read(&file).as_ref())
            )),
            Err(e) => Err(failed(e.into())),
        }
    }

    /// Writes down who holds it. A disk that refuses is told, and no reason to go without ticks.
    pub(super) fn record(&self, record: Option<&Record>) {
        let text = record.map(|record| format!("{record:<width$}\n", width = RECORD_BYTES - 1)).unwrap_or_default();
        if let Err(e) = self.file.write_all_at(text.as_bytes(), 0) {
            tracing::warn!("lock {}: its holder is not recorded: {e}", self.path.display());
        }
    }

    /// A second descriptor of the same lock, for a worker.
    pub(super) fn for_worker(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file_id(&self) -> io::Result<FileId> {
        Ok(FileId::from(&self.file.metadata()?))
    }
}

fn read(file: &File) -> Option<Record> {
    let mut text = [0; RECORD_BYTES];
    let length = file.read_at(&mut text, 0).ok()?;
    Record::parse(&String::from_utf8_lossy(text.get(..length)?))
}

/// A lock's file, as it is found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) account: AccountId,
    pub(super) path: PathBuf,
    pub(super) file_id: FileId,
    pub(super) is_held: bool,
    pub(super) record: Option<Record>,
}

/// Looks at every lock in a directory. One that does not exist has none.
pub(super) fn find(root: &Path) -> io::Result<Vec<Found>> {
    let entries = match std::fs::read_dir(root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let look = |name: &str| {
        let account: AccountId = name.parse().ok()?;
        let path = root.join(name);
        let file = open(&path).ok()?;
        let file_id = FileId::from(&file.metadata().ok().filter(std::fs::Metadata::is_file)?);
        Some(Found { account, is_held: !can_lock(&file), record: read(&file), file_id, path })
    };
    Ok(entries.filter_map(|entry| look(entry.ok()?.file_name().to_str()?)).collect())
}

/// Whether nobody holds the lock of this file. One that is not there is held by nobody.
pub(super) fn is_free(path: &Path) -> bool {
    match open(path) {
        Ok(file) => can_lock(&file),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    }
}

/// Opens a file to look at its lock. To open a pipe that somebody put there does not wait for its writer.
fn open(path: &Path) -> io::Result<File> {
    let does_not_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(does_not_wait).open(path)
}

/// Tries, and gives the lock back at once. To close the file would not do: a process that is being made at this moment has a
/// copy of the descriptor until it runs its program, and would hold the lock as long.
fn can_lock(file: &File) -> bool {
    let is_taken = flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if is_taken {
        let _ = flock(file, FlockOperation::Unlock);
    }
    is_taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(leader: Option<Born>) -> Record {
        Record::of(Incarnation { epoch: 7, counter: 3 }, leader).expect("this process")
    }

    #[test]
    fn a_record_comes_back_and_anything_else_is_none() {
        let leader = Some(Born { pid: 41, start_ticks: 99 });
        for record in [record(None), record(leader)] {
            assert_eq!(Record::parse(&record.to_string()), Some(record));
        }
        for text in ["", "mdhub-lock-2 b 7.3 1@2 3@4", "mdhub-lock-1 b 7 1@2 -", "mdhub-lock-1 b 7.3 x"] {
            assert_eq!(Record::parse(text), None, "{text}");
        }
        assert!(record(leader).is_of_this_boot());
        assert!(!Record { boot_id: "another".into(), ..record(leader) }.is_of_this_boot());
    }

    #[test]
    fn to_look_at_a_lock_leaves_no_copy_of_a_descriptor_that_holds_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (root, account) = (dir.path().join("lock"), "ctp-main".parse().expect("a slug"));
        drop(AccountLock::take(&root, &account).expect("free"));
        let looked = File::open(root.join("ctp-main")).expect("there");
        // As a process has it that is made while the lock is looked at.
        let copy = looked.try_clone().expect("a copy");
        assert!(can_lock(&looked));
        drop(looked);
        assert!(AccountLock::take(&root, &account).is_ok());
        drop(copy);
    }

    #[test]
    fn a_lock_is_held_by_one_and_as_long_as_any_descriptor_of_it_is_open() {
        let dir = tempfile::tempdir().expect("a directory");
        let (root, account) = (dir.path().join("lock"), "ctp-main".parse().expect("a slug"));
        let lock = AccountLock::take(&root, &account).expect("free");
        lock.record(Some(&record(Some(Born { pid: 41, start_ticks: 99 }))));
        lock.record(Some(&record(None)));
        let refused = AccountLock::take(&root, &account).map(|_| ()).expect_err("held");
        assert!(
            refused.contains("incarnation 7.3, process group unknown") && refused.contains("ctp-main"),
            "{refused}"
        );
        let copy = lock.for_worker().expect("a copy");
        drop(lock);
        let found = find(&root).expect("readable").pop().expect("one");
        assert!(found.is_held && found.record == Some(record(None)) && !is_free(&found.path));
        assert!(procfs::holds_lock_on(getpid().as_raw_nonzero().get(), found.file_id));
        drop(copy);
        assert!(is_free(&found.path));
        let reader = File::open(&found.path).expect("readable");
        assert!(!procfs::holds_lock_on(getpid().as_raw_nonzero().get(), found.file_id), "it is only open");
        drop(reader);
        assert!(AccountLock::take(&root, &account).is_ok());
    }
}
