//! An engine with some sources, and a clock that the test turns.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mdhub_feed::engine::{Engine, EngineConfig, Outcome, Source};
use mdhub_feed::zmtp::TopicId;
use mdhub_spec::calendar::MarketCalendar;
use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::plane::{FeedEvent, Route, RouteTable, SourceMask, SourceSlot, SourceVitals, TickRules};
use mdhub_spec::raw_tick::{RawTick, field};
use mdhub_spec::settings::{Cleansing, Rule};
use mdhub_spec::tick::flags;
use mdhub_spec::time::{Mono, Now};

/// 2026-11-18 00:00 in Beijing, a Wednesday; ms since the epoch.
pub(crate) const MIDNIGHT_MS: i64 = 1_794_931_200_000;
pub(crate) const SECOND_MS: i64 = 1_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A moment of that Wednesday.
pub(crate) const fn at(hour: i64, minute: i64, second: i64) -> i64 {
    MIDNIGHT_MS + hour * HOUR_MS + (minute * 60 + second) * SECOND_MS
}

/// What became of a record, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// With these flags.
    Published(u32),
    Snapshot,
    Duplicate,
    Late,
    LateUnique,
    Fenced,
    Rejected(Rule),
    Unpublishable,
}

pub(crate) const PUBLISHED: Fate = Fate::Published(0);
pub(crate) const DOUBTED: Fate = Fate::Published(flags::CALENDAR_DOUBT);

pub(crate) fn slot(index: u8) -> SourceSlot {
    SourceSlot::new(index).expect("a slot")
}

pub(crate) fn mask(slots: &[u8]) -> SourceMask {
    slots.iter().fold(SourceMask::NONE, |mask, index| mask.with(slot(*index)))
}

/// A record of a moment: its dates are those of the day that it belongs to, as SHFE writes them.
pub(crate) fn record(instrument: &str, time_ms: i64, volume: i32) -> RawTick {
    let since_ms = time_ms - MIDNIGHT_MS;
    let (day, of_day) = (since_ms.div_euclid(DAY_MS), since_ms.rem_euclid(DAY_MS) / SECOND_MS);
    // Wednesday and Thursday nights are the next day's.
    let trading_day = day + i64::from(of_day >= 18 * 3600);
    let date = |day: i64| field(format!("202611{:02}", 18 + day).as_bytes());
    let time = format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
    let mut raw = RawTick {
        instrument: field(instrument.as_bytes()),
        trading_day: date(trading_day),
        action_day: date(day),
        update_time: field(time.as_bytes()),
        update_ms: i32::try_from(time_ms.rem_euclid(SECOND_MS)).expect("fits").into(),
        volume: volume.into(),
        turnover: (f64::from(volume) * 32_000.0).into(),
        open_interest: 5_000.0.into(),
        last_price: 3_200.0.into(),
        pre_settlement: 3_200.0.into(),
        limit_up: 3_424.0.into(),
        limit_down: 2_976.0.into(),
        settlement: f64::MAX.into(),
        close_price: f64::MAX.into(),
        average_price: 32_000.0.into(),
        ..RawTick::default()
    };
    raw.levels[0].bid_price = 3_199.0.into();
    raw.levels[0].bid_volume = 10.into();
    raw.levels[0].ask_price = 3_200.0.into();
    raw.levels[0].ask_volume = (1 + volume % 50).into();
    raw
}

pub(crate) struct Desk {
    pub(crate) engine: Engine,
    sources: Vec<Source>,
    vitals: Vec<Arc<SourceVitals>>,
    /// How far the host's clock is ahead of the true time.
    pub(crate) clock_error_ms: i64,
    revision: u64,
}

impl Desk {
    /// CTP sources 0 to `sources`, all routed for all contracts.
    pub(crate) fn new(config: EngineConfig, sources: u8, contracts: &[&str]) -> Self {
        let vitals: Vec<Arc<SourceVitals>> = (0..sources).map(|_| Arc::default()).collect();
        let source = |index: u8| {
            let account = format!("ctp-{index}").parse().expect("an id");
            Source::new(&account, slot(index), Dialect::Ctp, Arc::clone(&vitals[usize::from(index)]))
        };
        let mut desk = Self {
            engine: Engine::new(config),
            sources: (0..sources).map(source).collect(),
            vitals,
            clock_error_ms: 0,
            revision: 0,
        };
        let all: Vec<u8> = (0..sources).collect();
        desk.route(contracts, &all, all.first().copied());
        desk
    }

    pub(crate) fn live(sources: u8) -> Self {
        Self::new(EngineConfig::new(1), sources, &["rb2701.SHFE"])
    }

    pub(crate) fn route(&mut self, contracts: &[&str], sources: &[u8], primary: Option<u8>) {
        self.revision += 1;
        let (sources, primary) = (mask(sources), primary.map(slot));
        let route = |c: &&str| Route { contract: c.parse().expect("a contract"), sources, primary };
        let mut routes: Vec<Route> = contracts.iter().map(route).collect();
        routes.sort_by(|a, b| a.contract.cmp(&b.contract));
        let table = Arc::new(RouteTable { revision: self.revision, routes });
        self.engine.route(table, &mut |_| TopicId(0));
    }

    /// Other rules from now on, as the feed thread puts them in force.
    pub(crate) fn set_rules(&mut self, cleansing: Cleansing, calendar: MarketCalendar) {
        self.engine.set_rules(TickRules { cleansing, calendar, always_open: false });
        self.sources.iter_mut().for_each(Source::forget_dates);
    }

    /// A record received at this true moment.
    pub(crate) fn receive(&mut self, source: u8, mut raw: RawTick, received_ms: i64) -> Fate {
        let wall_ns = (received_ms + self.clock_error_ms).unsigned_abs() * 1_000_000;
        let mono_ns = (received_ms - MIDNIGHT_MS + DAY_MS).unsigned_abs() * 1_000_000;
        (raw.ingress_real_ns, raw.ingress_mono_ns) = (wall_ns.into(), mono_ns.into());
        let now = Now { mono: Mono(mono_ns), wall_ns };
        match self.engine.admit(&raw, &mut self.sources[usize::from(source)], now) {
            Outcome::Forward(admitted) => Fate::Published(admitted.tick.flags),
            Outcome::SnapshotOnly(..) => Fate::Snapshot,
            Outcome::Duplicate { .. } => Fate::Duplicate,
            Outcome::Late => Fate::Late,
            Outcome::LateUnique => Fate::LateUnique,
            Outcome::Fenced => Fate::Fenced,
            Outcome::Rejected(rule) => Fate::Rejected(rule),
            Outcome::Unpublishable => Fate::Unpublishable,
        }
    }

    /// A record of rb2701, received 20 ms after its time.
    pub(crate) fn news(&mut self, source: u8, time_ms: i64, volume: i32) -> Fate {
        self.receive(source, record("rb2701", time_ms, volume), time_ms + 20)
    }

    /// From now on what this source sends was converted by another program.
    pub(crate) fn converts(&mut self, source: u8) {
        let place = usize::from(source);
        let account = format!("vnpy-{source}").parse().expect("an id");
        self.sources[place] =
            Source::new(&account, slot(source), Dialect::Ctp, Arc::clone(&self.vitals[place])).with_low_precision(true);
    }

    pub(crate) fn events(&mut self) -> Vec<FeedEvent> {
        let mut events = Vec::new();
        self.engine.take_news(&mut |event| events.push(event));
        events
    }

    pub(crate) fn vitals(&self, source: u8) -> &SourceVitals {
        &self.vitals[usize::from(source)]
    }

    /// When the source last sent a tick that was good, ns of the monotonic clock.
    pub(crate) fn last_good_ns(&self, source: u8) -> u64 {
        self.vitals(source).exchange(Exchange::Shfe).last_tick_mono_ns.load(Relaxed)
    }
}
