//! What a worker may use up.
//!
//! Set by the hub, between the worker's start and the first command: before that no vendor code is loaded.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// Descriptors: a library has a connection and three flow files; `vnpy` a hundred Python modules on top.
const DESCRIPTORS_MAX: u64 = 1_024;
/// Address space: a library, its rings and its threads' stacks and arenas are under 1 GiB. One that leaks ends itself before
/// the machine has to.
const ADDRESS_SPACE_BYTES_MAX: u64 = 8 << 30;
/// Processes and threads of the hub's *user*, all workers together. The kernel holds root to no such limit.
const USER_TASKS_MAX: u64 = 8_192;

/// Core dumps of a worker would hold its password.
const LIMITS: [(Resource, u64); 4] = [
    (Resource::Core, 0),
    (Resource::Nofile, DESCRIPTORS_MAX),
    (Resource::As, ADDRESS_SPACE_BYTES_MAX),
    (Resource::Nproc, USER_TASKS_MAX),
];

/// Limits a process, and all that it will start. Where the hub itself is limited further, so is the worker.
pub(crate) fn apply(pid: Pid) -> Result<(), String> {
    for (resource, most) in LIMITS {
        let most = getrlimit(resource).maximum.map_or(most, |own| own.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(pid), resource, limit).map_err(|e| format!("limit {resource:?} of {most}: {e}"))?;
    }
    Ok(())
}
