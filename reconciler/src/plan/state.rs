//! What the planner is told.

use std::collections::{BTreeMap, BTreeSet};

use mdhub_spec::account::{AccountId, Fingerprint, MarketDataAccount};
use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{GatewayView, Incarnation};
use mdhub_spec::settings::Health;
use mdhub_spec::time::Mono;

use super::assign::{Spread, Subscribed};

/// How patient the planner is. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From TERM to KILL.
    pub term_grace_ms: u64,
    /// From one KILL to the next, while the group survives. From the second on it counts as stuck.
    pub kill_repeat_ms: u64,
    /// A process that has not been heard of for this long is sick: neither Hello after its start, nor a heartbeat since.
    pub silence_ms: u64,
    /// A process whose tick pipe has ended is given so long to end itself.
    pub pipe_grace_ms: u64,
    /// Backoff after the first exit; it doubles with each further one.
    pub backoff_min_ms: u64,
    /// Backoff grows no further than this; jitter adds up to a quarter on top.
    pub backoff_max_ms: u64,
    /// Backoff after a refused login is at least this: brokers lock accounts that knock too often.
    pub login_backoff_min_ms: u64,
    /// A process that was ready for this long begins the backoff anew.
    pub stable_ms: u64,
    /// A watched exchange from which a source brings nothing for this long is silent.
    pub canary_silence_ms: u64,
    /// From sick to TERM: it may recover.
    pub cool_down_ms: u64,
    /// While all sources of a kind are silent, none is ended for it before this.
    pub market_silent_hold_ms: u64,
    /// Then they are ended one at a time, with this between two.
    pub restart_spacing_ms: u64,
    /// A source that brought a tick of an exchange within this delivers on it.
    pub delivering_ms: u64,
    /// A source that takes contracts over has so long to begin, before the former one lets go; a new process has so long to
    /// become ready, before its contracts go elsewhere.
    pub handover_ms: u64,
    /// So many unwanted exits ...
    pub crash_exits: u32,
    /// ... within this are a crash loop.
    pub crash_window_ms: u64,
}

/// Heartbeats come once a second: ten missed ones are no accident.
const SILENCE_MS: u64 = 10_000;

/// A login takes a second or two.
const HANDOVER_MS: u64 = 10_000;

/// Five exits in ten minutes, and it goes on trying.
const CRASH_EXITS: u32 = 5;
const CRASH_WINDOW_MS: u64 = 600_000;

/// A pipe and its process end together, within milliseconds.
const PIPE_GRACE_MS: u64 = 2_000;

/// Illiquid contracts tick now and then; a source that brought one within a minute still delivers.
const DELIVERING_MS: u64 = 60_000;

/// A group that survives KILL waits in the kernel; asking more often does not help.
const KILL_REPEAT_MS: u64 = 5_000;

impl From<&Health> for Policy {
    fn from(health: &Health) -> Self {
        Self {
            term_grace_ms: health.term_grace_ms,
            kill_repeat_ms: KILL_REPEAT_MS,
            silence_ms: SILENCE_MS,
            pipe_grace_ms: PIPE_GRACE_MS,
            backoff_min_ms: health.backoff_min_ms,
            backoff_max_ms: health.backoff_max_ms,
            login_backoff_min_ms: health.login_backoff_min_ms,
            stable_ms: health.stable_ms,
            canary_silence_ms: health.canary_silence_ms,
            cool_down_ms: health.cool_down_ms,
            market_silent_hold_ms: health.market_silent_hold_ms,
            restart_spacing_ms: health.restart_spacing_ms,
            delivering_ms: DELIVERING_MS,
            handover_ms: HANDOVER_MS,
            crash_exits: CRASH_EXITS,
            crash_window_ms: CRASH_WINDOW_MS,
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
    pub dialect: Dialect,
    /// Whether its ticks are converted ones: it feeds what no other source brings.
    pub is_low_precision: bool,
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
    /// Where it connects: accounts that share a front fall together.
    pub fronts: BTreeSet<String>,
    /// Why it cannot be launched at all, for example that its library is not in the settings. One sentence.
    pub problem: Option<String>,
}

impl DesiredAccount {
    /// An account that brings the vendor's own records, of contracts of this dialect.
    #[must_use]
    pub fn new(account: &MarketDataAccount, dialect: Dialect) -> Self {
        Self {
            dialect,
            is_low_precision: false,
            priority: account.priority,
            is_enabled: account.is_enabled,
            suspended: account.suspended,
            restart_generation: account.restart_generation,
            fingerprint: account.fingerprint(),
            fronts: account.settings.md_address.iter().map(|front| front.as_str().to_owned()).collect(),
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
    /// How many sources subscribe each.
    pub spread: Spread,
    /// How patiently.
    pub policy: Policy,
    /// The vendor's login codes that say that credentials, client or account are wrong: no retry can help.
    pub refused_codes: BTreeSet<i32>,
}

impl Desired {
    /// The contracts that an account of this dialect carries, sorted.
    pub fn contracts_of(&self, dialect: Dialect) -> impl Iterator<Item = &Contract> {
        self.contracts.iter().filter(move |c| dialect.serves(c.exchange()))
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
    /// Exchanges whose canaries are in their section, since when.
    pub open: BTreeMap<Exchange, Mono>,
    /// The kinds whose markets are closed and not about to open, with when that ends as far as the calendar knows.
    pub closed: BTreeMap<Dialect, Option<Mono>>,
    /// When each source last brought a tick of each exchange.
    pub deliveries: BTreeMap<AccountId, BTreeMap<Exchange, Mono>>,
    /// Processes most of whose ticks were rejected, since when.
    pub garbage: BTreeMap<Incarnation, Mono>,
    /// What each process was told to subscribe.
    pub subscribed: BTreeMap<AccountId, Subscribed>,
    /// Contracts that a source's process has subscribed and does not bring: its front refused them, or others bring them and it
    /// does not, though it was told again.
    pub fails: BTreeMap<AccountId, BTreeSet<Contract>>,
    /// Processes that were ended though nobody wanted them to end: for what they delivered, or did not.
    pub ended_sick: BTreeSet<Incarnation>,
}
