//! What becomes of one record: normalise, cleanse, arbitrate, number, encode. No I/O and no clock.
//!
//! The feed thread drives it; so can a test or a benchmark: [`Engine::new`], [`Engine::route`], then for each record
//! [`Engine::admit`] and, where it says [`Outcome::Forward`], [`Engine::payload`].

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::account::AccountId;
use mdhub_spec::calendar::TradingCalendar;
use mdhub_spec::plane::{Dialect, RouteTable, SourceSlot, SourceVitals};
use mdhub_spec::raw_tick::{RawTick, text};
use mdhub_spec::settings::{Cleansing, Rule};
use mdhub_spec::tick::Tick;
use mdhub_spec::time::Now;

use crate::arbitrate::{Arrival, Known, Verdict};
use crate::cleanse::{Candidate, Judgement, Rules};
use crate::contracts::{ContractState, Contracts};
use crate::encode::{Envelope, SourceFields, encode};
use crate::normalise::{DateCache, DayRule, normalise};
use crate::vitals::{LagVitals, RuleVitals, count};
use crate::zmtp::TopicId;

/// Room for a payload; some 900 bytes are usual.
const PAYLOAD_BYTES: usize = 2048;

/// How ticks are judged.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Modes of the rules.
    pub cleansing: Cleansing,
    /// Trading days.
    pub calendar: TradingCalendar,
    /// For 7x24 environments: a tick's date is its `ActionDay`.
    pub always_open: bool,
    /// The hub's start, nanoseconds since the epoch; the payload's `epoch`.
    pub epoch: u64,
}

impl EngineConfig {
    /// The shipped calendar, and every setting at its default.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self { cleansing: Cleansing::default(), calendar: TradingCalendar::shipped(), always_open: false, epoch }
    }
}

/// What the engine needs to know of a source, and what it keeps for it. One for each incarnation.
#[derive(Debug)]
pub struct Source {
    slot: SourceSlot,
    dialect: Dialect,
    fields: SourceFields,
    dates: DateCache,
    vitals: Arc<SourceVitals>,
}

impl Source {
    /// The source in this place of the route table, which counts in `vitals`.
    #[must_use]
    pub fn new(account: &AccountId, slot: SourceSlot, dialect: Dialect, vitals: Arc<SourceVitals>) -> Self {
        let fields = SourceFields::new(account, dialect);
        Self { slot, dialect, fields, dates: DateCache::default(), vitals }
    }
}

/// A tick that is to be published: [`Engine::payload`] makes its message.
#[derive(Debug)]
pub struct Admitted {
    place: u32,
    /// Its identity.
    pub tid: u64,
    /// The tick.
    pub tick: Tick,
    /// The first rule that would have rejected it, had it not been in shadow.
    pub shadowed: Option<Rule>,
}

/// What became of a record.
#[derive(Debug)]
pub enum Outcome {
    /// The first copy of its kind and in order: publish it.
    Forward(Admitted),
    /// News of an earlier section, or far older than its receipt: it may stand for the contract's last known tick, as the
    /// newest that there is, and is not published. This rule keeps it from the stream.
    SnapshotOnly(Admitted, Rule),
    /// A copy of one of the last published ticks, received this much later; 0 if it was not later.
    Duplicate {
        /// Nanoseconds between the two workers' receipts.
        lag_ns: u64,
    },
    /// Behind the watermark; brought before.
    Late,
    /// Behind the watermark, and never brought before.
    LateUnique,
    /// This rule condemns it.
    Rejected(Rule),
    /// No rule that is on condemns it, yet it has no contract or no exchange time.
    Unpublishable,
    /// The route table does not let this source feed the contract.
    Fenced,
}

/// All state of the tick path. It reads no clock and does no I/O.
#[derive(Debug)]
pub struct Engine {
    rules: Rules,
    days: DayRule,
    epoch: u64,
    contracts: Contracts,
    known: Known,
    payload: Vec<u8>,
    rule_vitals: Arc<RuleVitals>,
    lag_vitals: Arc<LagVitals>,
}

impl Engine {
    /// With no contract: [`Engine::route`] brings them.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self {
            rules: Rules::from(&config.cleansing.rules),
            days: DayRule { calendar: config.calendar, always_open: config.always_open },
            epoch: config.epoch,
            contracts: Contracts::default(),
            known: Known::default(),
            payload: Vec::with_capacity(PAYLOAD_BYTES),
            rule_vitals: Arc::default(),
            lag_vitals: Arc::default(),
        }
    }

    /// What the rules did.
    #[must_use]
    pub const fn rule_vitals(&self) -> &Arc<RuleVitals> {
        &self.rule_vitals
    }

    /// How far the sources' copies came in behind the published ones.
    #[must_use]
    pub const fn lag_vitals(&self) -> &Arc<LagVitals> {
        &self.lag_vitals
    }

    /// From now on `table` rules. `topic` gives the topic of a `vt_symbol`.
    pub fn route(&mut self, table: Arc<RouteTable>, topic: &mut dyn FnMut(&str) -> TopicId) {
        self.contracts.route(table, topic);
    }

    /// Judges one record. `now` is when it was read.
    pub fn admit(&mut self, raw: &RawTick, source: &mut Source, now: Now) -> Outcome {
        let found = self.contracts.find(source.dialect, text(&raw.instrument));
        let Some((place, contract)) = found.and_then(|place| Some((place, self.contracts.get_mut(place)?))) else {
            count(&source.vitals.unknown_contract);
            return self
                .rule_vitals
                .note(self.rules.judge(&Candidate::Unknown), false)
                .unwrap_or(Outcome::Unpublishable);
        };
        let vitals = source.vitals.exchange(contract.exchange);
        count(&vitals.received);
        vitals.last_tick_mono_ns.store(now.mono.0, Relaxed);
        if !contract.sources.contains(source.slot) {
            count(&vitals.fenced);
            return Outcome::Fenced;
        }
        let normalised = normalise(raw, source.dialect, contract.exchange, &self.days, &mut source.dates);
        let candidate = match &normalised {
            Ok(tick) => Candidate::Timed(tick),
            Err(fault) => Candidate::Untimed(*fault),
        };
        let judgement = self.rules.judge(&candidate);
        let rejected = self.rule_vitals.note(judgement, normalised.is_ok());
        let tick = match (rejected, normalised) {
            (None, Ok(tick)) => tick,
            (rejected, _) => {
                count(&vitals.rejected);
                return rejected.unwrap_or(Outcome::Unpublishable);
            }
        };
        let tid = contract.identity.tid(&tick);
        let arrival = Arrival {
            tid,
            exchange_time_ms: tick.exchange_time_ms,
            volume: tick.volume,
            source: source.slot,
            ingress_mono_ns: tick.ingress_mono_ns,
        };
        match contract.arbiter.judge(&arrival, &mut self.known) {
            Verdict::Forward => {
                count(&vitals.forwarded);
                let shadowed = if let Judgement::Shadow(rule) = judgement { Some(rule) } else { None };
                Outcome::Forward(Admitted { place, tid, tick, shadowed })
            }
            Verdict::Duplicate { lag_ns } => {
                count(&vitals.duplicate);
                self.lag_vitals.record(source.slot, lag_ns);
                Outcome::Duplicate { lag_ns }
            }
            Verdict::Late => {
                count(&vitals.late);
                Outcome::Late
            }
            Verdict::LateUnique => {
                count(&vitals.late_unique);
                Outcome::LateUnique
            }
        }
    }

    /// Numbers an admitted tick and encodes it. `egress_ns` is the present, nanoseconds since the epoch,
    /// `CLOCK_REALTIME`. Nothing when the contract's route has gone meanwhile.
    pub fn payload(&mut self, admitted: &Admitted, source: &Source, egress_ns: u64) -> Option<(TopicId, &[u8])> {
        let contract = self.contracts.get_mut(admitted.place)?;
        contract.seq += 1;
        let envelope = Envelope {
            seq: contract.seq,
            epoch: self.epoch,
            tid: admitted.tid,
            last_volume: last_volume(contract, &admitted.tick),
            egress_ns,
        };
        contract.last = Some((admitted.tick.trading_day, admitted.tick.volume));
        encode(&mut self.payload, &contract.fields, &source.fields, &admitted.tick, &envelope);
        Some((contract.topic, &self.payload))
    }
}

fn last_volume(contract: &ContractState, tick: &Tick) -> i64 {
    match contract.last {
        None => 0,
        Some((day, volume)) if day == tick.trading_day => (tick.volume - volume).max(0),
        Some(_) => tick.volume,
    }
}

impl RuleVitals {
    /// Counts a judgement; the outcome where it rejects.
    fn note(&self, judgement: Judgement, is_publishable: bool) -> Option<Outcome> {
        match judgement {
            Judgement::Reject(rule) => {
                self.count_rejected(rule);
                return Some(Outcome::Rejected(rule));
            }
            Judgement::Shadow(rule) => self.count_shadowed(rule),
            Judgement::Pass => {}
        }
        if !is_publishable {
            self.count_unpublishable();
        }
        None
    }
}
