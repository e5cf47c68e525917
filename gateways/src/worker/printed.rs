//! What the vendor's library prints: a line for every lost connection, 500 a second at a front that closes at once
//! (measured). The first few lines of each second reach the log, the rest is counted.

use std::io::{PipeReader, Read as _};

use mdhub_spec::time::Mono;

use super::log;
use crate::clock;

/// Lines that reach the log in one second.
const LINES_PER_SECOND_MAX: u64 = 10;
/// Bytes of a line that are kept.
const LINE_BYTES_MAX: usize = 1024;

/// Reads until the pipe ends.
pub(super) fn read(mut pipe: PipeReader) {
    let (mut gate, mut partial, mut chunk) = (Gate::default(), Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = pipe.read(&mut chunk) {
        for piece in chunk.get(..read).unwrap_or_default().split_inclusive(|b| *b == b'\n') {
            let room = LINE_BYTES_MAX.saturating_sub(partial.len()).min(piece.len());
            partial.extend_from_slice(piece.get(..room).unwrap_or_default());
            if piece.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&partial).trim().to_owned();
                partial.clear();
                gate.pass(&line, clock::mono()).iter().for_each(|line| log::info(line));
            }
        }
    }
}

/// Lets so many lines a second pass.
#[derive(Debug, Default)]
struct Gate {
    second: u64,
    seen: u64,
}

impl Gate {
    /// What to log for a line at `now`: at most the line, after what the seconds before have lost.
    fn pass(&mut self, line: &str, now: Mono) -> Vec<String> {
        let mut out = Vec::new();
        let second = now.ms_since(Mono(0)) / 1_000;
        if second != self.second {
            let dropped = self.seen.saturating_sub(LINES_PER_SECOND_MAX);
            if dropped > 0 {
                out.push(format!("the library printed {dropped} more lines in one second"));
            }
            (self.second, self.seen) = (second, 0);
        }
        self.seen += 1;
        if self.seen <= LINES_PER_SECOND_MAX && !line.is_empty() {
            out.push(format!("the library prints: {line}"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_a_few_lines_a_second_and_counted() {
        let mut gate = Gate::default();
        let at = |ms: u64| Mono(0).plus_ms(5_000 + ms);
        let passed: Vec<_> = (0..500).flat_map(|n| gate.pass(&format!("line {n}"), at(n))).collect();
        assert_eq!(passed.len(), 10);
        assert_eq!(passed[0], "the library prints: line 0");
        assert_eq!(
            gate.pass("next", at(1_000)),
            ["the library printed 490 more lines in one second", "the library prints: next"]
        );
        assert_eq!(gate.pass("later", at(2_000)), ["the library prints: later"]);
    }
}
