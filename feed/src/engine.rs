//! What becomes of one record: normalise, cleanse, arbitrate, number, encode. No I/O and no clock.
//!
//! The feed thread drives it; so can a test or a benchmark: [`Engine::new`], [`Engine::route`], then for each record
//! [`Engine::admit`] and, where it says [`Outcome::Forward`], [`Engine::payload`].

mod judge;
mod news;
mod source;

use std::sync::Arc;

use mdhub_spec::account::AccountId;
use mdhub_spec::calendar::{MarketCalendar, Phase, Section, compact};
use mdhub_spec::plane::{
    Brought, CONTRACTS_A_QUERY, ContractsQuery, FeedEvent, QuarantineQuery, RouteTable, SOURCES_MAX, TickRules,
};
use mdhub_spec::raw_tick::RawTick;
use mdhub_spec::settings::{Arbitration, Cleansing, Rule};
use mdhub_spec::tick::Tick;
use mdhub_spec::time::{Mono, Now};

use crate::arbitrate::Known;
use crate::cleanse::{Doubts, Edge, Fall, Falls, Rules, Subject, Thresholds};
use crate::contracts::{ContractState, Contracts};
use crate::encode::{Envelope, encode};
use crate::quarantine::Quarantine;
use crate::vitals::{LagVitals, RuleVitals};
use crate::zmtp::TopicId;

use news::News;
pub use source::Source;

/// Room for a payload; some 900 bytes are usual.
const PAYLOAD_BYTES: usize = 2048;

/// Before a product was ever asked for.
const NEVER: Section = Section { phase: Phase::Closed, trading_day: 0, from_ms: 0, until_ms: 0 };

/// How ticks are judged.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Modes and thresholds of the rules.
    pub cleansing: Cleansing,
    /// Who may bring what is published.
    pub arbitration: Arbitration,
    /// Trading days, products and their sections.
    pub calendar: MarketCalendar,
    /// For 7x24 environments: a tick's date is its `ActionDay`, and no rule asks calendar or clock.
    pub always_open: bool,
    /// The hub's start, nanoseconds since the epoch; the payload's `epoch`.
    pub epoch: u64,
}

impl EngineConfig {
    /// The shipped calendar, and every setting at its default.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self {
            cleansing: Cleansing::default(),
            arbitration: Arbitration::default(),
            calendar: MarketCalendar::shipped(),
            always_open: false,
            epoch,
        }
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
    /// Whether it is published; else it is the contract's last known tick and no more.
    is_news: bool,
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
    config: EngineConfig,
    rules: Rules,
    thresholds: Thresholds,
    doubts: Doubts,
    falls: Falls,
    contracts: Contracts,
    /// What each product did when last asked, and until when it does so.
    sections: Vec<Section>,
    /// The last trading day that the calendar knows, `YYYYMMDD`.
    valid_until: u32,
    known: Known,
    quarantine: Quarantine,
    news: News,
    payload: Vec<u8>,
    rule_vitals: Arc<RuleVitals>,
    lag_vitals: Arc<LagVitals>,
    /// The account that each slot was last given to.
    seats: Vec<Option<AccountId>>,
}

impl Engine {
    /// With no contract: [`Engine::route`] brings them.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        let products = config.calendar.products.len();
        Self {
            rules: Rules::from(&config.cleansing),
            thresholds: Thresholds::from(&config.cleansing),
            doubts: Doubts::new(&config.cleansing, products),
            falls: Falls::new(&config.cleansing),
            contracts: Contracts::default(),
            sections: vec![NEVER; products],
            valid_until: compact(config.calendar.days.valid_until()),
            known: Known::default(),
            quarantine: Quarantine::new(config.cleansing.quarantine_max),
            news: News::default(),
            payload: Vec::with_capacity(PAYLOAD_BYTES),
            rule_vitals: Arc::default(),
            lag_vitals: Arc::default(),
            seats: vec![None; SOURCES_MAX],
            config,
        }
    }

    /// What the rules did.
    #[must_use]
    pub const fn rule_vitals(&self) -> &Arc<RuleVitals> {
        &self.rule_vitals
    }

    /// How the sources do against each other.
    #[must_use]
    pub const fn lag_vitals(&self) -> &Arc<LagVitals> {
        &self.lag_vitals
    }

    /// The ticks that were rejected lately.
    #[must_use]
    pub const fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// A source of `account` is about to deliver. What is counted by slot goes on over restarts of one account, and begins
    /// anew where another one had the slot.
    pub fn seat(&mut self, account: &AccountId, source: &Source) {
        let Some(seat) = self.seats.get_mut(source.slot.index()) else { return };
        if seat.as_ref() != Some(account) {
            *seat = Some(account.clone());
            self.rule_vitals.reset(source.slot);
            self.lag_vitals.reset(source.slot);
        }
    }

    /// From now on `table` rules. `topic` gives the topic of a `vt_symbol`.
    pub fn route(&mut self, table: Arc<RouteTable>, topic: &mut dyn FnMut(&str) -> TopicId) {
        self.contracts.route(table, &self.config.calendar, topic);
    }

    /// From now on ticks are judged by these rules. What the former ones doubted, or which had fallen, is taken back and
    /// told. Each source's [`Source::forget_dates`] is to be called with it.
    pub fn set_rules(&mut self, rules: TickRules) {
        let TickRules { cleansing, calendar, always_open } = rules;
        let products = self.config.calendar.products.iter().map(|(product, ..)| Subject::Sections(product));
        for subject in products.chain([Subject::Clock]).filter(|subject| self.doubts.is_on(*subject)) {
            self.news.doubt(judge::name(subject, &self.config.calendar.products), Edge::Ended);
        }
        for rule in Rule::ALL.into_iter().filter(|rule| self.falls.fallen().contains(*rule)) {
            self.news.fell(Fall { rule, is_fallen: false });
        }
        if compact(calendar.days.valid_until()) != self.valid_until {
            self.news.calendar_changed();
        }
        self.rules = Rules::from(&cleansing);
        self.thresholds = Thresholds::from(&cleansing);
        self.doubts = Doubts::new(&cleansing, calendar.products.len());
        self.falls = Falls::new(&cleansing);
        self.sections = vec![NEVER; calendar.products.len()];
        self.valid_until = compact(calendar.days.valid_until());
        self.contracts.relist(&calendar);
        self.config = EngineConfig { cleansing, calendar, always_open, ..self.config };
    }

    /// Judges one record. `now` is when it was read.
    pub fn admit(&mut self, raw: &RawTick, source: &mut Source, now: Now) -> Outcome {
        self.falls.look(now.mono, &mut |fall| self.news.fell(fall));
        self.rules.set_fallen(self.falls.fallen());
        self.judge(raw, source, now)
    }

    /// The number that this tick gets if it is published next.
    #[must_use]
    pub fn next_seq(&mut self, admitted: &Admitted) -> u64 {
        self.contracts.get_mut(admitted.place).map_or(0, |contract| contract.seq + 1)
    }

    /// Numbers an admitted tick and encodes it. `egress_ns` is the present, nanoseconds since the epoch,
    /// `CLOCK_REALTIME`. A tick that is no news ([`Outcome::SnapshotOnly`]) gets flag `snapshot` and the number of the last
    /// published one, 0 where there was none. Nothing when the contract has been forgotten meanwhile.
    pub fn payload(&mut self, admitted: &Admitted, source: &Source, egress_ns: u64) -> Option<(TopicId, &[u8])> {
        let contract = self.contracts.get_mut(admitted.place)?;
        let mut envelope =
            Envelope { seq: contract.seq, epoch: self.config.epoch, tid: admitted.tid, last_volume: 0, egress_ns };
        if admitted.is_news {
            contract.seq += 1;
            envelope = Envelope { seq: contract.seq, last_volume: last_volume(contract, &admitted.tick), ..envelope };
            contract.last = Some((admitted.tick.trading_day, admitted.tick.volume));
        }
        encode(&mut self.payload, &contract.fields, source.fields(), &admitted.tick, &envelope);
        Some((contract.topic, &self.payload))
    }

    /// Who has brought a good tick of each routed contract since the last call.
    #[must_use]
    pub fn take_brought(&mut self) -> Brought {
        self.contracts.take_brought()
    }

    /// Answers a question about rejected ticks.
    pub fn answer(&self, query: QuarantineQuery) {
        let by_contract = self.contracts.rejected().map(|(contract, ticks)| (contract.clone(), ticks));
        self.quarantine.answer(query, by_contract);
    }

    /// Answers a question about contracts, for the first of those that are left.
    pub fn answer_contracts(&self, query: ContractsQuery, now: Mono) {
        let wanted = query.contracts.iter().skip(query.from).take(CONTRACTS_A_QUERY);
        query.reply.send(wanted.map(|contract| self.contracts.ticks_of(contract, now)).collect());
    }

    /// What has happened since the last call, for control: a bounded number of events, and how many more there were.
    pub fn take_news(&mut self, tell: &mut dyn FnMut(FeedEvent)) -> u64 {
        self.news.take(tell)
    }
}

fn last_volume(contract: &ContractState, tick: &Tick) -> i64 {
    match contract.last {
        None => 0,
        Some((day, volume)) if day == tick.trading_day => (tick.volume - volume).max(0),
        Some(_) => tick.volume,
    }
}
