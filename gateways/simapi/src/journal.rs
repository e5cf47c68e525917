//! What a front handed over, a line for each record, for an oracle that trusts nobody: the journal tells of the true ones
//! alone, the tape of all.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::record::Snapshot;

/// Lines wait in memory for at most so long.
const FLUSH_NS: i64 = 100_000_000;

/// An open journal. Whole lines reach the file, so that it may be read while it grows.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
    line: String,
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
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), line: String::new(), waiting_since_ns: None })
    }

    /// Notes a true record that is handed over now.
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn note(&mut self, index: u64, mono_ns: i64) -> Result<(), String> {
        self.line(mono_ns, format_args!("{index},{mono_ns}\n"))
    }

    /// Notes any record, with what identifies it: [`crate::world::TAPE_COLUMNS`].
    ///
    /// # Errors
    /// Names the file.
    pub(crate) fn note_whole(
        &mut self,
        index: u64,
        mono_ns: i64,
        kind: &str,
        code: &[u8],
        s: &Snapshot,
    ) -> Result<(), String> {
        let text = |field: &[u8; 9]| String::from_utf8_lossy(field).trim_end_matches('\0').to_owned();
        let (code, best) = (String::from_utf8_lossy(code), &s.levels[0]);
        self.line(
            mono_ns,
            format_args!(
                "{index},{mono_ns},{kind},{code},{},{},{},{},{},{:e},{:e},{:e},{:e},{},{:e},{}\n",
                text(&s.trading_day),
                text(&s.action_day),
                text(&s.update_time),
                s.update_ms,
                s.volume,
                s.turnover,
                s.open_interest,
                s.last,
                best.bid_price,
                best.bid_volume,
                best.ask_price,
                best.ask_volume,
            ),
        )
    }

    /// One write for a line keeps it whole.
    fn line(&mut self, mono_ns: i64, line: fmt::Arguments<'_>) -> Result<(), String> {
        self.line.clear();
        let written = fmt::Write::write_fmt(&mut self.line, line).map_err(io::Error::other);
        let noted = written.and_then(|()| self.file.write_all(self.line.as_bytes()));
        self.waiting_since_ns.get_or_insert(mono_ns);
        noted.map_err(|e| self.failed(&e))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
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
