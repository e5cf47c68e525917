//! Who is in a process group.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal};

/// Signals every process of a group. A group without members is no error.
#[expect(clippy::disallowed_methods, reason = "the one place that signals processes")]
pub(super) fn signal(pgid: Pid, signal: Signal) -> io::Result<()> {
    match rustix::process::kill_process_group(pgid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Whether a group has a process that still runs. One that is dead and waits to be reaped does not.
pub(super) fn has_living(pgid: Pid) -> io::Result<bool> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        // A process that goes while it is looked at is not there.
        if is_process
            && let Ok(stat) = fs::read(entry.path().join("stat"))
            && is_living_member(&stat, pgid)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a line of `/proc/PID/stat`: `PID (NAME) STATE PPID PGRP ...`, where the name may hold anything.
fn is_living_member(stat: &[u8], pgid: Pid) -> bool {
    let Some(end) = stat.iter().rposition(|b| *b == b')') else { return false };
    let rest = String::from_utf8_lossy(stat.get(end + 1..).unwrap_or_default());
    let mut fields = rest.split_ascii_whitespace();
    let (state, group) = (fields.next(), fields.nth(1));
    let is_dead = matches!(state, Some("Z" | "X" | "x"));
    !is_dead && group.and_then(|g| g.parse().ok()) == Some(pgid.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_tells_group_and_state_whatever_the_process_is_named() {
        let group = Pid::from_raw(42).expect("positive");
        for (line, expected) in [
            ("7 (sh) S 1 42 7 0", true),
            ("7 (a) R 1) R 1 42 7 0", true),
            ("7 (sh) Z 1 42 7 0", false),
            ("7 (sh) S 42 43 7 0", false),
            ("7 (sh", false),
            ("", false),
        ] {
            assert_eq!(is_living_member(line.as_bytes(), group), expected, "{line}");
        }
    }

    #[test]
    fn this_process_is_in_its_own_group() {
        assert_eq!(has_living(rustix::process::getpgrp()).ok(), Some(true));
    }
}
