//! What a front handed over: a line `index,mono_ns` for each record, for an oracle that trusts nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Lines wait in memory for at most so long.
const FLUSH_NS: i64 = 100_000_000;

/// An open journal. Whole lines reach the file, so that it may be read while it grows.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    /// When the oldest waiting line was written, `CLOCK_MONOTONIC`.
    waiting_since_ns: Option<i64>,
}

impl Journal {
    /// Opens a file to append to.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|e| format!("journal {}: {e}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), waiting_since_ns: None })
    }

    /// Notes a record that is handed over now.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn note(&mut self, index: u64, mono_ns: i64) -> Result<(), String> {
        // Longest: two numbers of 20 digits. One write for a line keeps it whole.
        let mut line = [0_u8; 48];
        let mut rest = &mut line[..];
        let written = writeln!(rest, "{index},{mono_ns}").map(|()| 48 - rest.len());
        let noted = written.and_then(|length| self.file.write_all(&line[..length]));
        self.waiting_since_ns.get_or_insert(mono_ns);
        noted.map_err(|e| self.failed(&e))
    }

    /// When waiting lines must be written out, `CLOCK_MONOTONIC`.
    pub(crate) fn flush_due_ns(&self) -> Option<i64> {
        self.waiting_since_ns.map(|since| since + FLUSH_NS)
    }

    /// Writes waiting lines out.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        self.waiting_since_ns = None;
        self.file.flush().map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("journal {}: {error}: it ends here", self.path.display())
    }
}
