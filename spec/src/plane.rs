//! Where control plane and data plane meet, and nowhere else.
//!
//! Control gives [`FeedCommand`]s (a bounded queue; the whole [`RouteTable`] among them) and reads [`SourceVitals`], which
//! the feed writes without locks. The feed answers with [`FeedEvent`]s: edges, repaired by a periodic full report.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::Date;

use crate::account::AccountId;
use crate::calendar::MarketCalendar;
use crate::contract::{Contract, Exchange};
use crate::dialect::Dialect;
use crate::process::Incarnation;
use crate::raw_tick::RawTick;
use crate::settings::{Cleansing, Publish, Rule};
use crate::tick::Tick;
use crate::time::Mono;

/// Most sources (accounts) at once.
pub const SOURCES_MAX: usize = 64;

/// An account's place in masks and tables, 0 to 63. It outlives processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceSlot(u8);

impl SourceSlot {
    /// The slot of this index; `None` from [`SOURCES_MAX`] on.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if (index as usize) < SOURCES_MAX { Some(Self(index)) } else { None }
    }

    /// 0 to 63.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SourceMask(u64);

impl SourceMask {
    /// No source.
    pub const NONE: Self = Self(0);

    /// The set with `slot` in it too.
    #[must_use]
    pub const fn with(self, slot: SourceSlot) -> Self {
        Self(self.0 | 1 << slot.0)
    }

    /// Whether `slot` is in it.
    #[must_use]
    pub const fn contains(self, slot: SourceSlot) -> bool {
        self.0 & (1 << slot.0) != 0
    }

    /// Those that are in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in `other` too.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The source of the smallest index.
    #[must_use]
    pub const fn first(self) -> Option<SourceSlot> {
        SourceSlot::new(self.0.trailing_zeros() as u8)
    }

    /// How many sources it has.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Who may feed one contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The contract.
    pub contract: Contract,
    /// The sources whose ticks count.
    pub sources: SourceMask,
    /// The first of them by priority: in mode `primary_only` the only one whose ticks are published.
    pub primary: Option<SourceSlot>,
}

/// Who may feed which contract. Immutable; swapped whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteTable {
    /// Grows with every swap.
    pub revision: u64,
    /// Sorted by contract, each once.
    pub routes: Vec<Route>,
}

/// Which sources have brought good ticks of which contract.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brought {
    /// Of the route table in force.
    pub revision: u64,
    /// In the order of its routes: who has brought a tick that no rule condemned since this was last asked for, published or
    /// not.
    pub sources: Vec<SourceMask>,
}

/// Counters of one source on one exchange. Written by the feed thread alone, read by anyone; each only grows.
#[derive(Debug, Default)]
pub struct ExchangeVitals {
    /// Ticks received.
    pub received: AtomicU64,
    /// Ticks published.
    pub forwarded: AtomicU64,
    /// Copies of what another source, or this one, had brought.
    pub duplicate: AtomicU64,
    /// Behind the watermark, and known from elsewhere.
    pub late: AtomicU64,
    /// Behind the watermark, and brought by nobody else until then.
    pub late_unique: AtomicU64,
    /// Of the forwarded, those that another source's copy had counted as `late_unique` before.
    pub redeemed: AtomicU64,
    /// Condemned by a rule.
    pub rejected: AtomicU64,
    /// Brought again long after, so not news: not among the rejected.
    pub replayed: AtomicU64,
    /// Shown otherwise by another source: not among the rejected, since either may be wrong.
    pub disagreed: AtomicU64,
    /// From a source that the route table does not let feed this contract.
    pub fenced: AtomicU64,
    /// When the last tick came, nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
    pub last_tick_mono_ns: AtomicU64,
}

/// Counters of one source, over all its incarnations.
#[derive(Debug, Default)]
pub struct SourceVitals {
    exchanges: [ExchangeVitals; Exchange::ALL.len()],
    /// Ticks of no known contract, so of no known exchange.
    pub unknown_contract: AtomicU64,
}

impl SourceVitals {
    /// The counters for one exchange.
    #[must_use]
    pub const fn exchange(&self, exchange: Exchange) -> &ExchangeVitals {
        &self.exchanges[exchange as usize]
    }

    /// The sum of one counter over all exchanges.
    #[must_use]
    pub fn total(&self, counter: impl Fn(&ExchangeVitals) -> &AtomicU64) -> u64 {
        self.exchanges.iter().map(|e| counter(e).load(Ordering::Relaxed)).sum()
    }
}

/// Counters of the whole feed. Written by the feed thread alone.
#[derive(Debug, Default)]
pub struct FeedVitals {
    /// When the feed thread last went round, nanoseconds of `CLOCK_MONOTONIC`.
    pub beat_mono_ns: AtomicU64,
    /// Ticks published, over all topics.
    pub published: AtomicU64,
    /// Subscribers that are connected and past their handshake.
    pub peers: AtomicU64,
    /// Ticks handed to subscribers.
    pub delivered: AtomicU64,
    /// Ticks dropped because a subscriber's budget, or everybody's, was spent.
    pub dropped: AtomicU64,
    /// Subscribers cut for being too slow.
    pub peers_cut: AtomicU64,
    /// Connections refused or ended for breaking the protocol or a limit.
    pub peers_refused: AtomicU64,
    /// Events that found the event queue full.
    pub events_dropped: AtomicU64,
    /// Last ticks sent to subscribers who had just subscribed.
    pub snapshots: AtomicU64,
    /// Bytes that wait for subscribers now.
    pub waiting_bytes: AtomicU64,
    /// Subscriptions that there are now, each prefix of each subscriber once.
    pub subscriptions: AtomicU64,
    /// Connections refused because they gave no valid token, or tried too many.
    pub tokens_refused: AtomicU64,
    /// Contracts that are subscribed upstream now because a subscriber asked.
    pub demands: AtomicU64,
    /// Subscriptions to contracts that nobody feeds, and that were not asked for upstream.
    pub demands_refused: AtomicU64,
    /// Calls of the system that waited for descriptors.
    pub waits: AtomicU64,
    /// Calls of the system that read ticks or what subscribers say.
    pub reads: AtomicU64,
    /// Calls of the system that wrote to subscribers.
    pub writes: AtomicU64,
}

/// Where an answer goes. Called on the feed thread, so it must not block.
pub struct Reply<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Reply<T> {
    /// Hands the answer to `take`.
    pub fn new(take: impl FnOnce(T) + Send + 'static) -> Self {
        Self(Box::new(take))
    }

    /// Answers.
    pub fn send(self, answer: T) {
        (self.0)(answer);
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// So many of a subscriber's prefixes are told by name.
pub const TOPICS_TOLD: usize = 16;

/// A subscriber's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Where it comes from.
    pub address: SocketAddr,
    /// The name of its token; `None` when it gave none.
    pub token: Option<Arc<str>>,
    /// How long it is connected, ms.
    pub connected_ms: u64,
    /// How long ago it was last heard or took something, ms.
    pub idle_ms: u64,
    /// Different prefixes that it subscribed.
    pub subscriptions: usize,
    /// Some, [`TOPICS_TOLD`] at most and fewer where peers are many, sorted; bytes that are no UTF-8 are shown as U+FFFD.
    pub topics: Vec<String>,
    /// Ticks put into its buffer, snapshots included.
    pub delivered: u64,
    /// Ticks dropped for it.
    pub dropped: u64,
    /// Bytes that wait for it.
    pub waiting_bytes: usize,
}

/// Contracts that one [`ContractsQuery`] is answered for: the feed thread has ticks to read meanwhile.
pub const CONTRACTS_A_QUERY: usize = 256;

/// A question for what came of contracts' ticks.
#[derive(Debug)]
pub struct ContractsQuery {
    /// Which contracts; many questions share one list.
    pub contracts: Arc<[Contract]>,
    /// From which place of the list on: the next [`CONTRACTS_A_QUERY`] are answered for.
    pub from: usize,
    /// Where the answer goes: one for each, in their order; `None` for one that the feed has never been told of.
    pub reply: Reply<Vec<Option<ContractTicks>>>,
}

/// What came of a contract's ticks, since the hub started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ContractTicks {
    /// Ticks published; the number of the last one.
    pub seq: u64,
    /// Copies of published ticks.
    pub duplicate: u64,
    /// Ticks that a rule condemned.
    pub rejected: u64,
    /// Who brought the last published tick.
    pub winner: Option<SourceSlot>,
    /// Who has brought a good tick within the last half minute, or minute at most.
    pub lately: SourceMask,
    /// Of the last published tick, where it had one.
    pub last_price: Option<f64>,
    /// When the last tick was published.
    pub published_at: Option<Mono>,
}

/// A question for ticks that were published lately.
#[derive(Debug)]
pub struct RecentQuery {
    /// Which contract's.
    pub vt_symbol: String,
    /// The epoch that `after_seq` is of; `None` for the present one.
    pub epoch: Option<u64>,
    /// Those with a greater `seq`; the newest where it is `None`.
    pub after_seq: Option<u64>,
    /// Most ticks in the answer.
    pub limit: usize,
    /// Where the answer goes.
    pub reply: Reply<RecentTicks>,
}

/// The answer to a [`RecentQuery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecentTicks {
    /// Payloads in the order of their `seq`, without a gap from the one after `after_seq` on.
    Ticks(Vec<Vec<u8>>),
    /// The question is of another epoch, or what comes after `after_seq` has left the log.
    Gone {
        /// The present epoch.
        epoch: u64,
        /// The smallest `seq` that the log still has.
        oldest_seq: u64,
    },
    /// No tick of this contract was published since the hub started.
    Unknown,
}

/// A question for rejected ticks.
#[derive(Debug)]
pub struct QuarantineQuery {
    /// Only those that this rule rejected.
    pub rule: Option<Rule>,
    /// Only those of this source.
    pub source: Option<SourceSlot>,
    /// Only those of this contract.
    pub contract: Option<Contract>,
    /// Most ticks in the answer, newest first.
    pub limit: usize,
    /// Where the answer goes.
    pub reply: Reply<QuarantineReport>,
}

/// The answer to a [`QuarantineQuery`].
#[derive(Debug, Clone)]
pub struct QuarantineReport {
    /// Newest first.
    pub ticks: Vec<Quarantined>,
    /// Ticks that are kept now, whatever was asked for.
    pub kept: usize,
    /// Ticks ever rejected since the hub started; the oldest beyond the limit are gone.
    pub total: u64,
    /// The contracts with the most rejected ticks since the hub started, most first; a hundred at most.
    pub by_contract: Vec<(Contract, u64)>,
}

/// A tick that was rejected.
#[derive(Debug, Clone)]
pub struct Quarantined {
    /// By which rule.
    pub rule: Rule,
    /// Who brought it.
    pub source: SourceSlot,
    /// Of which contract; `None` when nobody asked for it.
    pub contract: Option<Contract>,
    /// Why, with the values that were compared, for people.
    pub reason: String,
    /// When it was read, nanoseconds since the epoch, `CLOCK_REALTIME`.
    pub read_wall_ns: u64,
    /// Its exchange time, ms since the epoch, where it has one.
    pub exchange_time_ms: Option<i64>,
    /// The contract's last published tick by then.
    pub last: Option<Standing>,
    /// The vendor's record.
    pub raw: Box<RawTick>,
}

/// What the rules remember of a contract's last published tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Ms since the epoch.
    pub exchange_time_ms: i64,
    /// `YYYYMMDD`.
    pub trading_day: u32,
    /// Lots.
    pub volume: i64,
    /// Currency; NaN when absent.
    pub turnover: f64,
    /// NaN when absent.
    pub last_price: f64,
}

impl From<&Tick> for Standing {
    fn from(tick: &Tick) -> Self {
        Self {
            exchange_time_ms: tick.exchange_time_ms,
            trading_day: tick.trading_day,
            volume: tick.volume,
            turnover: tick.turnover,
            last_price: tick.last_price,
        }
    }
}

/// By what ticks are judged.
#[derive(Debug, Clone)]
pub struct TickRules {
    /// Modes and thresholds of the rules. The room of the quarantine stays as it was at the start.
    pub cleansing: Cleansing,
    /// Trading days, products and their sections.
    pub calendar: MarketCalendar,
    /// Whether no calendar and no clock applies.
    pub always_open: bool,
}

/// What control asks of the feed.
#[derive(Debug)]
pub enum FeedCommand {
    /// Read ticks of this process from its pipe.
    Attach {
        /// Which life of which process.
        incarnation: Incarnation,
        /// Whose it is; the payload's `source`.
        account: AccountId,
        /// Its bit in the route table.
        slot: SourceSlot,
        /// How it writes.
        dialect: Dialect,
        /// Whether another program has converted its ticks: then they are flagged `low_precision`.
        is_low_precision: bool,
        /// The reading end of its pipe, non-blocking.
        ticks: OwnedFd,
        /// Where to count.
        vitals: Arc<SourceVitals>,
    },
    /// Stop reading this process's pipe at once, whatever is still in it.
    Detach {
        /// Which one.
        incarnation: Incarnation,
    },
    /// From now on this table rules.
    Routes(Arc<RouteTable>),
    /// From now on these `tokens`, `anonymous`, `allow` and `demand` are in force. Subscribers whose token is gone are cut.
    Publish(Arc<Publish>),
    /// From now on ticks are judged by these. What was doubted or had fallen by the former ones is taken back.
    Rules(Box<TickRules>),
    /// Who is connected.
    Peers(Reply<Vec<PeerStatus>>),
    /// Who has brought what since this was last asked.
    Brought(Reply<Brought>),
    /// What was published lately.
    Recent(RecentQuery),
    /// Which ticks were rejected lately, and why.
    Quarantine(QuarantineQuery),
    /// What came of contracts' ticks.
    Contracts(ContractsQuery),
    /// Flush, close every peer, and end the thread.
    Shutdown,
}

/// Why a tick pipe is no longer read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipeEnd {
    /// Its writer is gone and it is drained to its end.
    Drained,
    /// It held something that is no frame of ticks; the text says what.
    BadFrame(String),
    /// Control asked.
    Detached,
}

/// What the feed tells control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEvent {
    /// This process's pipe is done with.
    PipeEnded {
        /// Which one.
        incarnation: Incarnation,
        /// Why.
        end: PipeEnd,
    },
    /// Every pipe that is still read: once a second, so that a lost edge is made good.
    Attached(Vec<Incarnation>),
    /// Every contract that subscribers ask for and that is not fed unasked, sorted: whenever it changes, and once a second
    /// while it is not empty or has just become so.
    Demands(Vec<Contract>),
    /// Calendar or clock contradict what every source sends, or no longer do: meanwhile such ticks are forwarded with flag
    /// `calendar_doubt`.
    CalendarDoubt {
        /// The product whose sections are doubted (`rb.SHFE`); `None` for the clock.
        product: Option<String>,
        /// Whether the doubt began; else it has ended.
        is_on: bool,
    },
    /// Ticks are of a day beyond the list of holidays: every weekday trades, and they are forwarded with flag
    /// `calendar_doubt`. Told once.
    CalendarEnded {
        /// The last day that the list covers.
        valid_until: Date,
    },
    /// A rule rejected too much of what every source sends and fell to shadow, or rose again.
    RuleFell {
        /// Which one.
        rule: Rule,
        /// Whether it fell.
        is_fallen: bool,
    },
    /// Two sources show one snapshot, or the day's limits, in different ways. At most one a second.
    Disagreement {
        /// Of which contract.
        contract: Contract,
        /// Those who show what was published.
        agree: SourceMask,
        /// Those who show something else.
        dissent: SourceMask,
        /// The one that is wrong, where three or more have shown it and all but one agree.
        outvoted: Option<SourceSlot>,
    },
}
