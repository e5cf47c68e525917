//! The log in files: `mdhub.log` is the newest, `mdhub.log.1` the one before it, and so on. A disk that is full costs lines,
//! which are counted, and nothing else; once there is room again, it goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The newest file's name.
const NAME: &str = "mdhub.log";

/// Files that follow each other.
#[derive(Debug)]
pub(super) struct Rotating {
    directory: PathBuf,
    bytes_max: u64,
    /// Files beside the newest.
    keep: u32,
    file: Option<File>,
    /// Of the newest file, up to the end of its last whole line.
    bytes: u64,
    failed: Arc<AtomicU64>,
}

impl Rotating {
    /// Opens nothing yet: what cannot be opened at the start may be later. Lines that cannot be written are added to `failed`.
    pub(super) const fn new(directory: PathBuf, bytes_max: u64, keep: u32, failed: Arc<AtomicU64>) -> Self {
        Self { directory, bytes_max, keep, file: None, bytes: 0, failed }
    }

    fn path(&self, number: u32) -> PathBuf {
        let name = if number == 0 { NAME.to_owned() } else { format!("{NAME}.{number}") };
        self.directory.join(name)
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            fs::create_dir_all(&self.directory)?;
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.path(0))?;
            self.bytes = file.metadata()?.len();
            self.file = Some(file);
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        for number in (0..self.keep).rev() {
            absent_is_fine(fs::rename(self.path(number), self.path(number + 1)))?;
        }
        if self.keep == 0 {
            absent_is_fine(fs::remove_file(self.path(0)))?;
        }
        self.open()
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        // Somebody may have moved it away or taken it.
        if self.file.is_some() && !is_there(&self.path(0)) {
            self.file = None;
        }
        self.open()?;
        let length = line.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.bytes_max {
            self.rotate()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(e) = file.write_all(line) {
            // Half a line is none.
            let _ = file.set_len(self.bytes);
            return Err(e);
        }
        self.bytes += length;
        Ok(())
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Write for Rotating {
    /// Takes a whole line, always: one that cannot be written is counted.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.write_line(line).is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotating(directory: &Path, bytes_max: u64, keep: u32) -> (Rotating, Arc<AtomicU64>) {
        let failed = Arc::<AtomicU64>::default();
        (Rotating::new(directory.to_owned(), bytes_max, keep, failed.clone()), failed)
    }

    fn texts(directory: &Path) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(directory)
            .expect("read")
            .map(|entry| entry.expect("read"))
            .map(|e| (e.file_name().into_string().expect("text"), fs::read_to_string(e.path()).expect("text")))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn files_follow_each_other_and_the_oldest_goes() {
        let temp = tempfile::tempdir().expect("a directory");
        for (keep, expected) in [
            (2, &[("mdhub.log", "7\n8\n"), ("mdhub.log.1", "5\n6\n"), ("mdhub.log.2", "3\n4\n")][..]),
            (0, &[("mdhub.log", "7\n8\n")]),
        ] {
            let directory = temp.path().join(keep.to_string());
            let (mut log, failed) = rotating(&directory, 5, keep);
            for n in 1..=4 {
                log.write_all(format!("{n}\n").as_bytes()).expect("taken");
            }
            // Another hub goes on where the last one ended.
            let (mut log, _) = rotating(&directory, 5, keep);
            for n in 5..=8 {
                log.write_all(format!("{n}\n").as_bytes()).expect("taken");
            }
            let seen = texts(&directory);
            assert_eq!(seen.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect::<Vec<_>>(), expected);
            assert_eq!(failed.load(Ordering::Relaxed), 0);
        }
        let (mut log, _) = rotating(&temp.path().join("long"), 5, 1);
        log.write_all(b"longer than a file may be\n").expect("taken");
        assert_eq!(texts(&temp.path().join("long")).len(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_it_goes_on_when_it_can() {
        let temp = tempfile::tempdir().expect("a directory");
        let directory = temp.path().join("log");
        fs::write(&directory, "no directory").expect("written");
        let (mut log, failed) = rotating(&directory, 1_000, 1);
        for _ in 0..3 {
            log.write_all(b"lost\n").expect("taken");
        }
        assert_eq!(failed.load(Ordering::Relaxed), 3);
        fs::remove_file(&directory).expect("removed");
        log.write_all(b"kept\n").expect("taken");
        fs::remove_file(directory.join(NAME)).expect("removed");
        log.write_all(b"after\n").expect("taken");
        assert_eq!(texts(&directory), [(NAME.to_owned(), "after\n".to_owned())]);
        assert_eq!(failed.load(Ordering::Relaxed), 3);
    }
}
