//! What the planner is told.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::{AccountId, Fingerprint, GatewayKind, MarketDataAccount};
use mdhub_spec::contract::Contract;
use mdhub_spec::process::{GatewayView, Incarnation};
use mdhub_spec::settings::Health;
use mdhub_spec::time::Mono;

/// How patient the planner is. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From TERM to KILL.
    pub term_grace_ms: u64,
    /// From one KILL to the next, while the group survives. From the second on it counts as stuck.
    pub kill_repeat_ms: u64,
    /// A process that has not been heard of for this long is sick: neither Hello after its start, nor a heartbeat since.
    pub silence_ms: u64,
    /// Backoff after the first exit; it doubles with each further one.
    pub backoff_min_ms: u64,
    /// Backoff grows no further than this; jitter adds up to a quarter on top.
    pub backoff_max_ms: u64,
    /// Backoff after a refused login is at least this: brokers lock accounts that knock too often.
    pub login_backoff_min_ms: u64,
    /// A process that was ready for this long begins the backoff anew.
    pub stable_ms: u64,
}

/// Heartbeats come once a second: ten missed ones are no accident.
const SILENCE_MS: u64 = 10_000;

/// The shortest pause between two logins that a front refuses.
const LOGIN_BACKOFF_MIN_MS: u64 = 30_000;

/// A group that survives KILL waits in the kernel; asking more often does not help.
const KILL_REPEAT_MS: u64 = 5_000;

impl From<&Health> for Policy {
    fn from(health: &Health) -> Self {
        Self {
            term_grace_ms: health.term_grace_ms,
            kill_repeat_ms: KILL_REPEAT_MS,
            silence_ms: SILENCE_MS,
            backoff_min_ms: health.backoff_min_ms,
            backoff_max_ms: health.backoff_max_ms,
            login_backoff_min_ms: LOGIN_BACKOFF_MIN_MS,
            stable_ms: health.stable_ms,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::from(&Health::default())
    }
}

/// One account, as far as planning needs it. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredAccount {
    /// Which contracts it can carry.
    pub kind: GatewayKind,
    /// 1 is the primary, larger numbers stand by.
    pub priority: u32,
    /// Whether it is in the pool.
    pub is_enabled: bool,
    /// Held down by hand.
    pub suspended: bool,
    /// Raised by every hard restart by hand.
    pub restart_generation: u64,
    /// Of what a process is launched with.
    pub fingerprint: Fingerprint,
    /// Why it cannot be launched at all, for example that its library is not in the settings. One sentence.
    pub problem: Option<String>,
}

impl From<&MarketDataAccount> for DesiredAccount {
    fn from(account: &MarketDataAccount) -> Self {
        Self {
            kind: account.gateway,
            priority: account.priority,
            is_enabled: account.is_enabled,
            suspended: account.suspended,
            restart_generation: account.restart_generation,
            fingerprint: account.fingerprint(),
            problem: None,
        }
    }
}

/// What people asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    /// Every account there is.
    pub accounts: BTreeMap<AccountId, DesiredAccount>,
    /// Every contract that is to be fed.
    pub contracts: BTreeSet<Contract>,
    /// How patiently.
    pub policy: Policy,
}

impl Desired {
    /// The contracts that an account of this kind carries, sorted.
    pub fn contracts_of(&self, kind: GatewayKind) -> impl Iterator<Item = &Contract> {
        self.contracts.iter().filter(move |c| kind.serves(c.exchange()))
    }
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Processes and exits of every account that has or had any, also of deleted ones.
    pub gateways: BTreeMap<AccountId, GatewayView>,
    /// Tick pipes that the feed still reads.
    pub attached: BTreeSet<Incarnation>,
    /// Since when the hub itself has been reading without a pause. After a pause of the hub (a stopped container) no worker
    /// has been heard of for long, and none is to blame.
    pub watching_since: Mono,
}
