//! What `/proc` tells of processes.
//!
//! A process that goes while it is looked at is not there: that is no error.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;

use mdhub_spec::process::Incarnation;
use rustix::process::Pid;

/// In the environment of every worker, and so of what it starts: which life of which worker it is.
pub(crate) const INCARNATION_VARIABLE: &str = "MDHUB_INCARNATION";
/// On the command line of every worker, and so of what it forks.
const INCARNATION_FLAG: &str = "--incarnation";

/// A process that cannot be mistaken for a later one with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Born {
    pub(super) pid: i32,
    /// Clock ticks since the machine's start, field 22 of `/proc/PID/stat`.
    pub(super) start_ticks: u64,
}

impl Born {
    /// The process that has this number now, be it dead and not reaped.
    pub(super) fn now(pid: Pid) -> Option<Self> {
        let pid = pid.as_raw_nonzero().get();
        stat(pid).map(|stat| Self { pid, start_ticks: stat.start_ticks })
    }

    /// Whether it runs still.
    pub(super) fn lives(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead)
    }
}

/// A file, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// One line of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Dead, and waiting to be reaped.
    pub(super) is_dead: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) start_ticks: u64,
}

impl Stat {
    /// Reads `PID (NAME) STATE PPID PGRP ...`, where the name may hold anything.
    fn parse(line: &[u8]) -> Option<Self> {
        let end = line.iter().rposition(|b| *b == b')')?;
        let rest = String::from_utf8_lossy(line.get(end + 1..)?);
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
        // Of a process whose first thread has ended the others may run still.
        let is_dead = matches!(*fields.first()?, "Z" | "X" | "x") && number(17)? <= 1;
        Some(Self {
            is_dead,
            parent: i32::try_from(number(1)?).ok()?,
            group: i32::try_from(number(2)?).ok()?,
            start_ticks: number(19)?.try_into().ok()?,
        })
    }
}

/// The process that has this number now.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    Stat::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The number of every process there is, in ascending order, as they are while it is read.
pub(super) fn pids() -> io::Result<impl Iterator<Item = i32>> {
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
    Ok(fs::read_dir("/proc")?.filter_map(move |entry| pid(entry.ok()?)))
}

/// Every process there is.
pub(super) fn table() -> io::Result<BTreeMap<i32, Stat>> {
    Ok(pids()?.filter_map(|pid| Some((pid, stat(pid)?))).collect())
}

/// The children of a process. Where the kernel has no list of them, none.
pub(super) fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Of which worker's life a process is, as its environment or its command line says.
pub(super) fn incarnation_of(pid: i32) -> Option<Incarnation> {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    incarnation_in_environment(&read("environ")).or_else(|| incarnation_in_arguments(&read("cmdline")))
}

fn incarnation_in_environment(environment: &[u8]) -> Option<Incarnation> {
    let value = |entry: &[u8]| {
        let entry = std::str::from_utf8(entry).ok()?;
        entry.strip_prefix(INCARNATION_VARIABLE)?.strip_prefix('=')?.parse().ok()
    };
    environment.split(|b| *b == 0).find_map(value)
}

fn incarnation_in_arguments(arguments: &[u8]) -> Option<Incarnation> {
    let mut arguments = arguments.split(|b| *b == 0).map(String::from_utf8_lossy);
    arguments.find(|argument| argument == INCARNATION_FLAG)?;
    arguments.next()?.parse().ok()
}

/// Whether a process has a descriptor of the open file that holds a lock on `file`. To have the file open is not enough: a
/// backup program has, too.
pub(super) fn holds_lock_on(pid: i32, file: FileId) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return false };
    let holds = |number: &str| {
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
        let is_lock = info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"));
        // A descriptor is only followed once it is known to be of a file with a lock: others may hang.
        let found = if is_lock { fs::metadata(format!("/proc/{pid}/fd/{number}")).ok()? } else { return None };
        (FileId::from(&found) == file).then_some(())
    };
    descriptors.flatten().any(|entry| entry.file_name().to_str().is_some_and(|number| holds(number).is_some()))
}

/// A name for this run of the machine: start times of processes compare within it only.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_tells_parent_group_start_and_state_whatever_the_process_is_named() {
        let rest = |threads| format!("1 42 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 5010 0");
        let stat = |is_dead| Some(Stat { is_dead, parent: 1, group: 42, start_ticks: 5010 });
        for (name, state, threads, expected) in [
            ("sh", "S", 1, stat(false)),
            ("a) R 1", "R", 1, stat(false)),
            ("sh", "Z", 1, stat(true)),
            ("its first thread has ended", "Z", 3, stat(false)),
        ] {
            let line = format!("7 ({name}) {state} {}", rest(threads));
            assert_eq!(Stat::parse(line.as_bytes()), expected, "{line}");
        }
        for line in ["7 (sh", "", "7 (sh) S 1 42"] {
            assert_eq!(Stat::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn this_process_is_found_alive_and_another_start_time_is_another_process() {
        let me = Born::now(rustix::process::getpid()).expect("this process");
        assert!(me.lives() && table().expect("/proc").contains_key(&me.pid));
        assert!(!Born { start_ticks: me.start_ticks + 1, ..me }.lives());
    }

    #[test]
    fn a_marker_is_read_from_environment_and_arguments_and_from_nothing_that_only_looks_like_it() {
        let life = Some(Incarnation { epoch: 17, counter: 4 });
        for (bytes, expected) in [
            (&b"A=1\0MDHUB_INCARNATION=17.4\0B=2\0"[..], life),
            (b"XMDHUB_INCARNATION=17.4\0", None),
            (b"MDHUB_INCARNATION=17\0", None),
            (b"", None),
        ] {
            assert_eq!(incarnation_in_environment(bytes), expected);
        }
        for (bytes, expected) in [
            (&b"mdhub\0gateway\0ctp\0--incarnation\x0017.4\0"[..], life),
            (b"grep\0--incarnation 17.4\0", None),
            (b"mdhub\0--incarnation\0", None),
        ] {
            assert_eq!(incarnation_in_arguments(bytes), expected);
        }
    }
}
