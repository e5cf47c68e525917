//! A recorded day, played in step at every front: a record is due at a moment that follows from the world file alone.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::csv_day;
use crate::feed::{Due, Link};
use crate::flavour::Flavour;
use crate::record::Snapshot;

/// Records of a replay, all files together: they are held in memory.
const RECORDS_MAX: usize = 1_000_000;

/// Nanoseconds of a millisecond.
const MS_NS: f64 = 1e6;

/// How a replay's clock runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Market time runs so much faster.
    pub speed: f64,
    /// When the first record is due, nanoseconds since the epoch; `None`: at the first subscription.
    pub start_ns: Option<i64>,
    /// Longest gap between successive records, milliseconds of market time.
    pub gap_ms_max: Option<u32>,
}

#[derive(Debug)]
struct Recorded {
    /// From the first record's due time to this one's.
    after_ns: i64,
    instrument: usize,
    snapshot: Snapshot,
}

/// A replay at one front.
#[derive(Debug)]
pub struct Replay {
    records: Vec<Recorded>,
    codes: Vec<Vec<u8>>,
    by_code: HashMap<Vec<u8>, usize>,
    /// When each instrument was subscribed, nanoseconds since the epoch.
    since_ns: Vec<Option<i64>>,
    pace: Pace,
    link: Link,
    next: usize,
}

impl Replay {
    /// Reads the files and merges their records by market time; within a file their order stays.
    ///
    /// # Errors
    /// Names the file, the line and the column.
    pub fn open(files: &[PathBuf], flavour: Flavour, pace: Pace) -> Result<Self, String> {
        let mut rows = Vec::new();
        for file in files {
            let read = csv_day::read(file, flavour, RECORDS_MAX - rows.len())?;
            // A row that is dated before its predecessor comes right behind it.
            rows.extend(read.into_iter().scan(i64::MIN, |latest, row| {
                *latest = row.market_ms.max(*latest);
                Some((*latest, row))
            }));
        }
        rows.sort_by_key(|(market_ms, _)| *market_ms);
        let mut replay = Self {
            records: Vec::with_capacity(rows.len()),
            codes: Vec::new(),
            by_code: HashMap::new(),
            since_ns: Vec::new(),
            pace,
            link: Link::default(),
            next: 0,
        };
        let gap_ms_max = pace.gap_ms_max.map_or(i64::MAX, i64::from);
        let (mut before_ms, mut after_ms) = (rows.first().map_or(0, |(ms, _)| *ms), 0);
        for (market_ms, row) in rows {
            after_ms += (market_ms - before_ms).min(gap_ms_max);
            before_ms = market_ms;
            let instrument = replay.instrument(row.instrument);
            let after_ns = (after_ms as f64 * MS_NS / pace.speed) as i64;
            replay.records.push(Recorded { after_ns, instrument, snapshot: row.snapshot });
        }
        Ok(replay)
    }

    fn instrument(&mut self, code: Vec<u8>) -> usize {
        if let Some(known) = self.by_code.get(&code) {
            return *known;
        }
        self.codes.push(code.clone());
        self.since_ns.push(None);
        self.by_code.insert(code, self.codes.len() - 1);
        self.codes.len() - 1
    }

    /// Puts it behind a front, whose delay is market time.
    pub fn put_behind(&mut self, link: Link) {
        self.link = link.sped_up(self.pace.speed);
    }

    /// Whether the files hold the instrument; from `now_ns` on its records are handed over.
    pub fn subscribe(&mut self, code: &[u8], now_ns: i64) -> bool {
        let Some(instrument) = self.by_code.get(code) else { return false };
        self.pace.start_ns.get_or_insert(now_ns);
        self.since_ns[*instrument].get_or_insert(now_ns);
        true
    }

    /// Its records are skipped from here on.
    pub fn unsubscribe(&mut self, code: &[u8]) {
        if let Some(instrument) = self.by_code.get(code) {
            self.since_ns[*instrument] = None;
        }
    }

    /// Every record is skipped from here on.
    pub fn unsubscribe_all(&mut self) {
        self.since_ns.fill(None);
    }

    /// When the next record is due, nanoseconds since the epoch; `None` at the end, and before the start is known.
    #[must_use]
    pub fn due_ns(&self) -> Option<i64> {
        let after_ns = self.records.get(self.next)?.after_ns;
        Some(self.pace.start_ns? + after_ns + self.link.delay_ns)
    }

    /// The next record that is due, subscribed and not lost. What was due before its subscription is skipped.
    pub fn next(&mut self, now_ns: i64) -> Option<Due<'_>> {
        while let Some(due_ns) = self.due_ns().filter(|due| *due <= now_ns) {
            let k = self.next;
            self.next += 1;
            let instrument = self.records[k].instrument;
            if self.since_ns[instrument].is_some_and(|since| since <= due_ns) && !self.link.loses(k as u64) {
                return Some(Due {
                    index: k as u64,
                    code: &self.codes[instrument],
                    snapshot: &self.records[k].snapshot,
                });
            }
        }
        None
    }

    /// Whether every record is through.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.next == self.records.len()
    }
}
