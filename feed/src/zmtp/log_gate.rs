//! How many lines a second peers may cause. A client that reconnects in a loop must not fill the log.

use mdhub_spec::time::Mono;

const WINDOW_MS: u64 = 1_000;
const LINES_MAX: u32 = 20;

/// Counts lines in windows of a second.
#[derive(Debug, Default)]
pub(crate) struct LogGate {
    window: Mono,
    lines: u32,
    suppressed: u64,
}

impl LogGate {
    /// Whether a line may be written now; if so, how many were not since the last one.
    pub(crate) const fn pass(&mut self, now: Mono) -> Option<u64> {
        if now.ms_since(self.window) >= WINDOW_MS {
            self.window = now;
            self.lines = 0;
        }
        if self.lines >= LINES_MAX {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        let suppressed = self.suppressed;
        self.suppressed = 0;
        Some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_counted_and_told_in_the_next_window() {
        let mut gate = LogGate::default();
        let start = Mono(5_000_000_000);
        let passed = (0..100).filter(|_| gate.pass(start).is_some()).count();
        assert_eq!(passed, 20);
        assert_eq!(gate.pass(start.plus_ms(999)), None);
        assert_eq!(gate.pass(start.plus_ms(1_000)), Some(81));
        assert_eq!(gate.pass(start.plus_ms(1_001)), Some(0));
    }
}
