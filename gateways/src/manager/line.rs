//! A worker and all that comes of it: found wherever it went, and ended.
//!
//! A process belongs to a worker's line when it is in the worker's group, when it holds the account's lock by the descriptor
//! that it inherited, when its environment or command line names the worker's incarnation, when it was seen as a descendant
//! before, or when it descends from one that belongs. A process can leave its group, close its descriptors or lose its
//! parent; to escape it would have to do all of it, and to start another program with another environment, unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use mdhub_spec::process::Incarnation;
use rustix::process::{Pid, Signal, getpid};

use super::lock;
use super::procfs::{self, Born, FileId, Stat};
use super::signal;

/// Looks for members that were made since the first look, in one sweep.
const LOOKS_MAX: usize = 64;
/// So many looks in a row that find none are enough.
const LOOKS_IN_VAIN: usize = 3;

/// One worker's line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) incarnation: Incarnation,
    /// The worker, where it is known.
    pub(super) leader: Option<Born>,
    /// Whether the leader is a child of this process that is not reaped: then its group's number is its own.
    pub(super) is_leader_ours: bool,
    pub(super) lock: FileId,
    pub(super) lock_path: PathBuf,
    /// Whether all of it descends from this process, because this process takes in what its workers leave behind.
    pub(super) is_below: bool,
    /// Members that were found before.
    pub(super) known: BTreeSet<Born>,
    /// Whether the last sweep met members that were only just made.
    pub(super) is_fleeing: bool,
}

impl Line {
    /// The members that live.
    pub(super) fn members(&self) -> io::Result<BTreeSet<Born>> {
        let table = procfs::table()?;
        let me = getpid().as_raw_nonzero().get();
        let born = |pid: i32, stat: &Stat| Born { pid, start_ticks: stat.start_ticks };
        let is_there = |leader: &Born| table.get(&leader.pid).is_some_and(|s| s.start_ticks == leader.start_ticks);
        let group = self.leader.filter(is_there).map(|leader| leader.pid);
        let since = self.leader.map_or(0, |leader| leader.start_ticks);
        let near = self.is_below.then(|| descendants(&table, &BTreeSet::from([me])));
        let belongs = |pid: i32, stat: &Stat| {
            Some(stat.group) == group || self.known.contains(&born(pid, stat)) || {
                let may = stat.start_ticks >= since && near.as_ref().is_none_or(|near| near.contains(&pid));
                may && !stat.is_dead && self.is_marked(pid)
            }
        };
        let roots: BTreeSet<i32> =
            table.iter().filter(|(pid, stat)| **pid != me && belongs(**pid, stat)).map(|(pid, _)| *pid).collect();
        let mut all = descendants(&table, &roots);
        all.extend(roots);
        let living = all.iter().filter_map(|pid| table.get(pid).filter(|s| !s.is_dead).map(|s| born(*pid, s)));
        Ok(living.filter(|member| member.pid != me).collect())
    }

    fn is_marked(&self, pid: i32) -> bool {
        procfs::incarnation_of(pid) == Some(self.incarnation) || procfs::holds_lock_on(pid, self.lock)
    }

    /// Ends every member once, and says whether there was none. Each is stopped before the first is killed, so that none
    /// makes another while the others are looked for.
    pub(super) fn sweep(&mut self) -> io::Result<bool> {
        if self.is_leader_ours
            && let Some(leader) = self.leader.and_then(|leader| Pid::from_raw(leader.pid))
        {
            signal::group(leader, Signal::KILL)?;
        }
        let mut seen: BTreeSet<i32> = procfs::pids()?.collect();
        for member in self.members()? {
            self.stop(member)?;
        }
        self.is_fleeing = self.chase(&mut seen)?;
        for member in self.known.clone() {
            // One that cannot be signalled is forgotten: should it be a member after all, it has the lock.
            if !signal::process(member, Signal::KILL)? {
                self.known.remove(&member);
            }
        }
        self.known.retain(|member| member.lives());
        // A lock that is held though no member can be seen means that one cannot be seen.
        Ok(self.known.is_empty() && lock::is_free(&self.lock_path))
    }

    /// Stops whatever is made meanwhile, each as soon as it is seen: one that flees from process to process is never there
    /// when a look at everything has come to its end. Says whether there was any.
    fn chase(&mut self, seen: &mut BTreeSet<i32>) -> io::Result<bool> {
        let since = self.leader.map_or(0, |leader| leader.start_ticks);
        let (mut any, mut in_vain) = (false, 0);
        for _ in 0..LOOKS_MAX {
            let mut found = false;
            for pid in procfs::pids()?.filter(|pid| seen.insert(*pid)) {
                let Some(stat) = procfs::stat(pid).filter(|s| !s.is_dead && s.start_ticks >= since) else { continue };
                if self.is_marked(pid) {
                    self.stop(Born { pid, start_ticks: stat.start_ticks })?;
                    found = true;
                }
            }
            any |= found;
            in_vain = if found { 0 } else { in_vain + 1 };
            if in_vain == LOOKS_IN_VAIN {
                break;
            }
        }
        Ok(any)
    }

    fn stop(&mut self, member: Born) -> io::Result<()> {
        if self.known.insert(member) {
            signal::process(member, Signal::STOP)?;
        }
        Ok(())
    }

    /// Asks every member to leave.
    pub(super) fn terminate(&self) -> io::Result<()> {
        for member in self.members()? {
            signal::process(member, Signal::TERM)?;
            // One that is stopped hears nothing else.
            signal::process(member, Signal::CONT)?;
        }
        Ok(())
    }
}

/// All that descends from any of `roots`, without them.
fn descendants(table: &BTreeMap<i32, Stat>, roots: &BTreeSet<i32>) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, stat) in table {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let (mut found, mut parents): (BTreeSet<i32>, Vec<i32>) = (BTreeSet::new(), roots.iter().copied().collect());
    while let Some(parent) = parents.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            if found.insert(*child) {
                parents.push(*child);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_at_any_depth_and_no_others() {
        let stat = |parent| Stat { is_dead: false, parent, group: 1, start_ticks: 1 };
        let table: BTreeMap<i32, Stat> =
            [(1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5)].map(|(pid, parent)| (pid, stat(parent))).into();
        assert_eq!(descendants(&table, &BTreeSet::from([2])), BTreeSet::from([3, 4]));
        assert_eq!(descendants(&table, &BTreeSet::from([3, 5])), BTreeSet::from([4, 6]));
        assert_eq!(descendants(&table, &BTreeSet::from([4])), BTreeSet::new());
    }
}
