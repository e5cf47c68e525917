//! Plays a scenario to the feed's engine, and reads what comes out as a subscriber would.

use std::sync::Arc;

use mdhub_feed::engine::{Engine, EngineConfig, Outcome, Source};
use mdhub_feed::zmtp::TopicId;
use mdhub_spec::plane::{FeedEvent, Route, RouteTable, SourceMask, SourceSlot, SourceVitals};
use mdhub_spec::time::{Mono, Now};
use rmpv::Value;

use crate::oracle::{Fate, Message, account};
use crate::scenario::Scenario;
use crate::stream::Quote;

/// The hub's start; the payload's `epoch`.
const EPOCH: u64 = 1_767_225_600_123_456_789;

/// A running engine with a scenario's sources.
pub(crate) struct Hub<'a> {
    scenario: &'a Scenario,
    engine: Engine,
    sources: Vec<Source>,
    pub(crate) vitals: Vec<Arc<SourceVitals>>,
    masks: Vec<u64>,
    primaries: Vec<usize>,
    /// What the hub told control.
    pub(crate) news: Vec<FeedEvent>,
    revision: u64,
    topics: Vec<String>,
}

impl<'a> Hub<'a> {
    pub(crate) fn start(scenario: &'a Scenario, config: impl FnOnce(EngineConfig) -> EngineConfig) -> Self {
        let vitals: Vec<Arc<SourceVitals>> = scenario.fronts.iter().map(|_| Arc::default()).collect();
        let sources = scenario.fronts.iter().zip(&vitals).enumerate().map(|(i, (front, vitals))| {
            let slot = SourceSlot::new(i as u8).expect("few sources");
            Source::new(&account(i).parse().expect("an id"), slot, front.style.dialect, Arc::clone(vitals))
        });
        let mut hub = Self {
            scenario,
            engine: Engine::new(config(EngineConfig::new(EPOCH))),
            sources: sources.collect(),
            vitals: vitals.clone(),
            masks: vec![u64::MAX; scenario.products.len()],
            primaries: vec![0; scenario.products.len()],
            news: Vec::new(),
            revision: 0,
            topics: Vec::new(),
        };
        hub.route();
        hub
    }

    /// Swaps the routes for those of the masks.
    fn route(&mut self) {
        self.revision += 1;
        let scenario = self.scenario;
        let primaries = &self.primaries;
        let route = |(place, bits): (usize, &u64)| {
            let product = &scenario.products[place];
            let may = |source: &usize| scenario.carries(*source, product) && bits & 1 << source != 0;
            let slot = |source: usize| SourceSlot::new(source as u8).expect("few sources");
            let sources = (0..scenario.fronts.len()).filter(may).fold(SourceMask::NONE, |mask, i| mask.with(slot(i)));
            Route {
                contract: product.vt_symbol().parse().expect("a contract"),
                sources,
                primary: Some(slot(primaries[place])),
            }
        };
        let mut routes: Vec<Route> = self.masks.iter().enumerate().map(route).collect();
        routes.sort_by(|a, b| a.contract.cmp(&b.contract));
        let topics = &mut self.topics;
        self.engine.route(Arc::new(RouteTable { revision: self.revision, routes }), &mut |vt_symbol| {
            let place = topics.iter().position(|topic| topic == vt_symbol).unwrap_or(topics.len());
            if place == topics.len() {
                topics.push(vt_symbol.to_owned());
            }
            TopicId(place as u32)
        });
    }

    /// What becomes of each arrival.
    pub(crate) fn play(&mut self) -> Vec<Fate> {
        let scenario = self.scenario;
        let mut fences = scenario.fences.iter().peekable();
        let mut fates = Vec::with_capacity(scenario.arrivals.len());
        for arrival in &scenario.arrivals {
            let mut is_changed = false;
            while let Some(fence) = fences.next_if(|fence| fence.at_ns <= arrival.at_ns) {
                self.masks[fence.product] = fence.sources;
                self.primaries[fence.product] = fence.primary;
                is_changed = true;
            }
            if is_changed {
                self.route();
            }
            let mono = arrival.raw.ingress_mono_ns.get() + 7_000;
            let now = Now { mono: Mono(mono), wall_ns: arrival.raw.ingress_real_ns.get() + 7_000 };
            let source = &mut self.sources[arrival.source];
            let fate = match self.engine.admit(&arrival.raw, source, now) {
                Outcome::Forward(admitted) => {
                    let (topic, payload) =
                        self.engine.payload(&admitted, source, now.wall_ns + 1).expect("it is routed");
                    Fate::Published(Box::new(read(&self.topics[topic.0 as usize], payload)))
                }
                Outcome::Duplicate { .. } => Fate::Duplicate,
                Outcome::Late => Fate::Late,
                Outcome::LateUnique => Fate::LateUnique,
                Outcome::Fenced => Fate::Fenced,
                Outcome::SnapshotOnly(_, rule) => Fate::Quarantined(format!("{rule:?}, snapshot only")),
                Outcome::Rejected(rule) => Fate::Quarantined(format!("{rule:?}")),
                Outcome::Unpublishable => Fate::Quarantined("unpublishable".to_owned()),
            };
            fates.push(fate);
            let news = &mut self.news;
            let dropped = self.engine.take_news(&mut |event| news.push(event));
            assert_eq!(dropped, 0, "control is told at every tick");
        }
        fates
    }
}

/// A payload's map, by name.
struct Fields(Vec<(Value, Value)>);

impl Fields {
    fn get(&self, name: &str) -> &Value {
        let found = self.0.iter().find(|(key, _)| key.as_str() == Some(name));
        &found.unwrap_or_else(|| panic!("no {name} in the payload")).1
    }

    fn text(&self, name: &str) -> String {
        self.get(name).as_str().unwrap_or_else(|| panic!("{name} is no text: {}", self.get(name))).to_owned()
    }

    fn unsigned(&self, name: &str) -> u64 {
        self.get(name).as_u64().unwrap_or_else(|| panic!("{name} is no number: {}", self.get(name)))
    }

    fn number(&self, name: &str) -> Option<f64> {
        let value = self.get(name);
        assert!(value.is_nil() || value.is_f64(), "{name} is {value}");
        value.as_f64()
    }

    fn quote(&self, side: &str) -> Quote {
        let size = self.unsigned(&format!("{side}_volume_1"));
        let price = self.number(&format!("{side}_price_1"));
        assert!(price.is_some() || size == 0, "{side}: {size} lots at no price");
        price.map(|price| (price, i32::try_from(size).expect("lots")))
    }
}

/// MessagePack's timestamp of 64 bits, as ms since the epoch.
fn millis(value: &Value) -> i64 {
    let Value::Ext(-1, bytes) = value else { panic!("{value} is no timestamp") };
    let both = u64::from_be_bytes(bytes.as_slice().try_into().expect("64 bits"));
    let (nanoseconds, seconds) = (both >> 34, both & ((1 << 34) - 1));
    assert_eq!(nanoseconds % 1_000_000, 0, "exchange time is in whole ms");
    (seconds * 1000 + nanoseconds / 1_000_000).cast_signed()
}

fn read(topic: &str, payload: &[u8]) -> Message {
    let Ok(Value::Map(map)) = rmpv::decode::read_value(&mut &payload[..]) else { panic!("the payload is no map") };
    let fields = Fields(map);
    assert_eq!((fields.unsigned("v"), fields.unsigned("epoch")), (1, EPOCH));
    assert_eq!(fields.text("vt_symbol"), topic);
    assert_eq!(format!("{}.{}", fields.text("symbol"), fields.text("exchange")), topic);
    Message {
        topic: topic.to_owned(),
        seq: fields.unsigned("seq"),
        tid: fields.unsigned("tid"),
        time_ms: millis(fields.get("datetime")),
        trading_day: fields.text("trading_day"),
        volume: fields.unsigned("volume").cast_signed(),
        last_volume: fields.get("last_volume").as_i64().expect("a number"),
        turnover: fields.number("turnover"),
        open_interest: fields.number("open_interest"),
        last: fields.number("last_price"),
        bid: fields.quote("bid"),
        ask: fields.quote("ask"),
        limit_up: fields.number("limit_up"),
        source: fields.text("source"),
        ingress_ns: fields.unsigned("ingress_ns"),
        flags: Some(fields.unsigned("flags") as u32),
    }
}
