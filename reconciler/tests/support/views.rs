//! The simplest of each thing that a planner looks at; tests change what they are about.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_reconciler::plan::DesiredAccount;
use mdhub_spec::account::Fingerprint;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{Ending, Exit, ExitReason, FrontState, Incarnation, ProcessView};
use mdhub_spec::time::Mono;

/// The `counter`th process of the hub that started at 7.
pub(crate) const fn incarnation(counter: u64) -> Incarnation {
    Incarnation { epoch: 7, counter }
}

/// In the pool, not held down, fingerprint 1, `restart_generation` 1.
pub(crate) const fn account() -> DesiredAccount {
    DesiredAccount {
        dialect: Dialect::Ctp,
        is_low_precision: false,
        priority: 1,
        is_enabled: true,
        suspended: false,
        restart_generation: 1,
        fingerprint: Fingerprint(1),
        fronts: BTreeSet::new(),
        problem: None,
    }
}

/// Launched for [`account`] at `started_at`, and not heard of since.
pub(crate) const fn process(counter: u64, started_at: Mono) -> ProcessView {
    ProcessView {
        incarnation: incarnation(counter),
        pid: 4_000,
        fingerprint: Fingerprint(1),
        restart_generation: 1,
        started_at,
        ending: Ending::No,
        hello_at: None,
        protocol_mismatch: None,
        front: FrontState::Connecting,
        ready_at: None,
        heartbeat_at: None,
        acknowledged: 0,
        refused: BTreeMap::new(),
        unanswered: 0,
        ring_dropped: 0,
        log_lines_dropped: 0,
        ticks_ended_at: None,
    }
}

/// A crash of a process for [`account`], at once after its start.
pub(crate) const fn exit(counter: u64, at: Mono) -> Exit {
    Exit {
        incarnation: incarnation(counter),
        fingerprint: Fingerprint(1),
        restart_generation: 1,
        reason: ExitReason::Signal(11),
        started_at: at,
        ready_at: None,
        heard_at: at,
        protocol_mismatch: None,
        front: FrontState::Connecting,
        at,
        asked: false,
        bye: None,
        stderr: Vec::new(),
        jitter_permille: 0,
    }
}
