//! What becomes of one record: normalise, cleanse, arbitrate, number, encode. No I/O and no clock.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_spec::account::AccountId;
use mdhub_spec::plane::{Dialect, RouteTable, SourceSlot, SourceVitals};
use mdhub_spec::raw_tick::{RawTick, text};
use mdhub_spec::tick::Tick;
use mdhub_spec::time::Mono;

use crate::arbitrate::{Arrival, Known, Verdict};
use crate::cleanse::{Candidate, Judgement, Rules};
use crate::contracts::{ContractState, Contracts};
use crate::encode::{Envelope, SourceFields, encode};
use crate::normalise::{DateCache, DayRule, normalise};
use crate::vitals::{LagVitals, RuleVitals, count};
use crate::zmtp::TopicId;

/// Room for a payload; some 900 bytes are usual.
const PAYLOAD_BYTES: usize = 2048;

/// What the engine needs to know of a source.
#[derive(Debug)]
pub(crate) struct Source {
    slot: SourceSlot,
    dialect: Dialect,
    fields: SourceFields,
    dates: DateCache,
    vitals: Arc<SourceVitals>,
}

impl Source {
    pub(crate) fn new(account: &AccountId, slot: SourceSlot, dialect: Dialect, vitals: Arc<SourceVitals>) -> Self {
        let fields = SourceFields::new(account, dialect);
        Self { slot, dialect, fields, dates: DateCache::default(), vitals }
    }
}

/// A tick that is to be published: [`Engine::payload`] makes its message.
#[derive(Debug)]
pub(crate) struct Admitted {
    place: u32,
    tid: u64,
    tick: Tick,
}

/// All state of the tick path.
#[derive(Debug)]
pub(crate) struct Engine {
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
    pub(crate) fn new(
        rules: Rules,
        days: DayRule,
        epoch: u64,
        rule_vitals: Arc<RuleVitals>,
        lag_vitals: Arc<LagVitals>,
    ) -> Self {
        Self {
            rules,
            days,
            epoch,
            contracts: Contracts::default(),
            known: Known::default(),
            payload: Vec::with_capacity(PAYLOAD_BYTES),
            rule_vitals,
            lag_vitals,
        }
    }

    /// From now on `table` rules.
    pub(crate) fn route(&mut self, table: Arc<RouteTable>, topic: &mut dyn FnMut(&str) -> TopicId) {
        self.contracts.route(table, topic);
    }

    /// Judges one record. `now` dates it for the source's counters.
    pub(crate) fn admit(&mut self, raw: &RawTick, source: &mut Source, now: Mono) -> Option<Admitted> {
        let found = self.contracts.find(source.dialect, text(&raw.instrument));
        let Some((place, contract)) = found.and_then(|place| Some((place, self.contracts.get_mut(place)?))) else {
            count(&source.vitals.unknown_contract);
            self.rule_vitals.note(self.rules.judge(&Candidate::Unknown), false);
            return None;
        };
        let vitals = source.vitals.exchange(contract.exchange);
        count(&vitals.received);
        vitals.last_tick_mono_ns.store(now.0, Relaxed);
        if !contract.sources.contains(source.slot) {
            count(&vitals.fenced);
            return None;
        }
        let normalised = normalise(raw, source.dialect, contract.exchange, &self.days, &mut source.dates);
        let candidate = match &normalised {
            Ok(tick) => Candidate::Timed(tick),
            Err(fault) => Candidate::Untimed(*fault),
        };
        let is_rejected = self.rule_vitals.note(self.rules.judge(&candidate), normalised.is_ok());
        let Some(tick) = normalised.ok().filter(|_| !is_rejected) else {
            count(&vitals.rejected);
            return None;
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
                return Some(Admitted { place, tid, tick });
            }
            Verdict::Duplicate { lag_ns } => {
                count(&vitals.duplicate);
                self.lag_vitals.record(source.slot, lag_ns);
            }
            Verdict::Late => count(&vitals.late),
            Verdict::LateUnique => count(&vitals.late_unique),
        }
        None
    }

    /// Numbers an admitted tick and encodes it. `egress_ns` is the present, nanoseconds since the epoch,
    /// `CLOCK_REALTIME`.
    pub(crate) fn payload(&mut self, admitted: &Admitted, source: &Source, egress_ns: u64) -> Option<(TopicId, &[u8])> {
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
    /// Counts a judgement; says whether it rejects.
    fn note(&self, judgement: Judgement, is_publishable: bool) -> bool {
        match judgement {
            Judgement::Reject(rule) => {
                self.count_rejected(rule);
                return true;
            }
            Judgement::Shadow(rule) => self.count_shadowed(rule),
            Judgement::Pass => {}
        }
        if !is_publishable {
            self.count_unpublishable();
        }
        false
    }
}
