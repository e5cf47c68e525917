//! The newest lines, as many as there is room for.

use std::collections::VecDeque;
use std::sync::Arc;

use mdhub_api::LogLine;

/// Most lines.
pub(super) const LINES_MAX: usize = 10_000;
/// Most bytes of all lines together.
pub(super) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a line takes beside its texts, about.
const LINE_BYTES: usize = 200;
/// The same for a field.
const FIELD_BYTES: usize = 64;

/// The lines, oldest first. Each has its number, from 1, without a gap.
#[derive(Debug)]
pub(super) struct Ring {
    lines: VecDeque<Arc<LogLine>>,
    lines_max: usize,
    bytes_max: usize,
    bytes: usize,
    last_seq: u64,
}

impl Ring {
    pub(super) const fn new(lines_max: usize, bytes_max: usize) -> Self {
        Self { lines: VecDeque::new(), lines_max, bytes_max, bytes: 0, last_seq: 0 }
    }

    /// Takes a line, numbers it, and lets the oldest go that there is no room for any more.
    pub(super) fn push(&mut self, mut line: LogLine) -> Arc<LogLine> {
        self.last_seq += 1;
        line.seq = self.last_seq;
        self.bytes += bytes_of(&line);
        let line = Arc::new(line);
        self.lines.push_back(line.clone());
        while self.lines.len() > self.lines_max || self.bytes > self.bytes_max {
            let Some(gone) = self.lines.pop_front() else { break };
            self.bytes -= bytes_of(&gone);
        }
        line
    }

    /// What is kept, oldest first.
    pub(super) fn kept(&self) -> Vec<Arc<LogLine>> {
        self.lines.iter().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Lines that were let go.
    pub(super) fn gone(&self) -> u64 {
        self.last_seq - self.lines.len() as u64
    }
}

fn bytes_of(line: &LogLine) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let fields = line.fields.iter().map(|(name, value)| FIELD_BYTES + name.len() + value.as_str().map_or(0, str::len));
    LINE_BYTES
        + line.message.len()
        + line.target.len()
        + optional(&line.account)
        + optional(&line.incarnation)
        + fields.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use mdhub_api::LogLevel;
    use proptest::prelude::*;

    use super::*;

    fn line(message: String) -> LogLine {
        let (account, incarnation, fields) = (Some("a".to_owned()), None, vec![("n".into(), 1.into())]);
        LogLine { seq: 0, at_ms: 0, level: LogLevel::Info, target: "t".into(), message, account, incarnation, fields }
    }

    proptest! {
        #[test]
        fn what_is_kept_are_the_newest_within_both_limits_and_every_line_is_accounted_for(
            sizes in proptest::collection::vec(0_usize..600, 0..200),
            lines_max in 1_usize..40,
            bytes_max in 300_usize..6_000,
        ) {
            let mut ring = Ring::new(lines_max, bytes_max);
            for (n, size) in (1_u64..).zip(&sizes) {
                prop_assert_eq!(ring.push(line("x".repeat(*size))).seq, n);
                let kept = ring.kept();
                let bytes: usize = kept.iter().map(|line| bytes_of(line)).sum();
                prop_assert!(kept.len() <= lines_max && bytes <= bytes_max);
                prop_assert_eq!(ring.bytes, bytes);
                prop_assert_eq!(ring.gone() + kept.len() as u64, n);
                prop_assert!(kept.iter().rev().zip((1..=n).rev()).all(|(line, seq)| line.seq == seq));
                // One more would not have fitted.
                let next = (n as usize).checked_sub(kept.len() + 1).map(|at| bytes_of(&line("x".repeat(sizes[at]))));
                prop_assert!(next.is_none_or(|next| kept.len() == lines_max || bytes + next > bytes_max));
            }
        }
    }
}
