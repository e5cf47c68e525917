//! A worker's log lines: cut, cleaned, limited in number, and counted where they are dropped.

use mdhub_spec::time::Mono;

/// Longest line; the rest of a longer one is dropped.
pub(super) const LINE_BYTES_MAX: usize = 4 * 1024;
/// Lines of one worker that reach the log in one second.
const LINES_PER_SECOND_MAX: u32 = 500;

/// Splits a byte stream into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    is_cut: bool,
    cut: u64,
}

impl Lines {
    /// Takes bytes, and gives every line that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, is_end) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_BYTES_MAX.saturating_sub(self.partial.len());
            self.is_cut |= text.len() > room;
            self.partial.extend_from_slice(text.get(..room).unwrap_or(text));
            if is_end {
                self.finish(&mut line);
            }
        }
    }

    /// Lines that were cut since the last call.
    pub(super) fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }

    /// Gives the line that no line feed ended.
    pub(super) fn finish(&mut self, mut line: impl FnMut(String)) {
        let mut text: String = String::from_utf8_lossy(&self.partial).chars().filter(|c| is_harmless(*c)).collect();
        if self.is_cut {
            text.push('…');
            self.cut += 1;
        }
        self.partial.clear();
        self.is_cut = false;
        if !text.is_empty() {
            line(text);
        }
    }
}

/// Neither a command to a terminal, nor a line break of another kind, nor what makes text read backwards.
fn is_harmless(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Lets so many lines a second pass.
#[derive(Debug, Default)]
pub(super) struct Budget {
    second: u64,
    passed: u32,
    dropped: u64,
}

impl Budget {
    /// Whether one more line may pass at `now`; and how many were dropped in the second before, told once.
    pub(super) fn pass(&mut self, now: Mono) -> (bool, u64) {
        let second = now.ms_since(Mono(0)) / 1000;
        let mut told = 0;
        if second != self.second {
            told = std::mem::take(&mut self.dropped);
            (self.second, self.passed) = (second, 0);
        }
        let may = self.passed < LINES_PER_SECOND_MAX;
        if may {
            self.passed += 1;
        } else {
            self.dropped += 1;
        }
        (may, told)
    }
}

/// Writes a worker's line into the hub's log, at the level that its first word names.
pub(super) fn log(account: &str, incarnation: &str, line: &str) {
    let (level, text) = line.split_once(' ').unwrap_or(("", line));
    match level {
        "error" => tracing::error!(account, incarnation, "{text}"),
        "warn" => tracing::warn!(account, incarnation, "{text}"),
        "info" => tracing::info!(account, incarnation, "{text}"),
        "trace" => tracing::trace!(account, incarnation, "{text}"),
        // The library's own words, or a panic's.
        _ => tracing::info!(account, incarnation, "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        chunks.iter().for_each(|chunk| lines.push(chunk, |line| out.push(line)));
        lines.finish(|line| out.push(line));
        out
    }

    #[test]
    fn lines_are_joined_cut_and_cleaned() {
        assert_eq!(split(&[b"in", b"fo a\nwarn", b" b\n\nc"]), ["info a", "warn b", "c"]);
        assert_eq!(split(&[b"\x1b[31mred\x07\r\n"]), ["[31mred"]);
        assert_eq!(split(&[b"\xff\xfe\n"]), ["\u{fffd}\u{fffd}"]);
        assert_eq!(split(&["a\u{202e}b\u{2028}c\n".as_bytes()]), ["abc"]);
        let long = vec![b'x'; LINE_BYTES_MAX + 5];
        let out = split(&[&long, &long, b"\nnext\n"]);
        assert_eq!((out[0].chars().count(), out[1].as_str()), (LINE_BYTES_MAX + 1, "next"));
        let mut lines = Lines::default();
        lines.push(&long, |_| ());
        lines.push(b"\nnext\n", |_| ());
        assert_eq!((lines.take_cut(), lines.take_cut()), (1, 0));
    }

    #[test]
    fn a_flood_is_limited_each_second_and_what_it_lost_is_told_once() {
        let mut budget = Budget::default();
        let now = Mono(5_000_000_000);
        let passed = (0..LINES_PER_SECOND_MAX + 7).filter(|_| budget.pass(now).0).count();
        assert_eq!(passed, LINES_PER_SECOND_MAX as usize);
        assert_eq!(budget.pass(now.plus_ms(1000)), (true, 7));
        assert_eq!(budget.pass(now.plus_ms(1000)), (true, 0));
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_its_lines_are_the_same(
            stream in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cut in 0usize..300,
        ) {
            let (head, tail) = stream.split_at(cut.min(stream.len()));
            prop_assert_eq!(split(&[head, tail]), split(&[&stream]));
        }
    }
}
