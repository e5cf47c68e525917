//! What must become of each arrival, found from the labels alone; and the objections to what did become of it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use mdhub_spec::contract::Exchange;
use mdhub_spec::raw_tick::text;
use xxhash_rust::xxh3::xxh3_64;

use crate::days::HOUR;
use crate::scenario::{Arrival, Dirt, Label, Scenario};
use crate::stream::{Phase, Quote, TrueTick};

/// Copies of so many last published ticks are recognised as copies.
const RECOGNISED: usize = 32;

/// `flags` of the payload.
pub(crate) const AUCTION: u32 = 2;
pub(crate) const POST_CLOSE: u32 = 4;
pub(crate) const CALENDAR_DOUBT: u32 = 8;

/// What a subscriber is told, as far as the true tick, the contract's history and the front decide it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) seq: u64,
    pub(crate) tid: u64,
    /// Ms since the epoch.
    pub(crate) time_ms: i64,
    pub(crate) trading_day: String,
    pub(crate) volume: i64,
    pub(crate) last_volume: i64,
    pub(crate) turnover: Option<f64>,
    pub(crate) open_interest: Option<f64>,
    pub(crate) last: Option<f64>,
    pub(crate) bid: Quote,
    pub(crate) ask: Quote,
    pub(crate) limit_up: Option<f64>,
    pub(crate) source: String,
    pub(crate) ingress_ns: u64,
    /// `None` where either value is right.
    pub(crate) flags: Option<u32>,
}

/// What became of an arrival.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    Published(Box<Message>),
    Duplicate,
    Late,
    LateUnique,
    Fenced,
    /// This rule kept it from the stream.
    Quarantined(String),
}

/// What must become of an arrival.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expected {
    Exactly(Fate),
    /// A copy from CZCE, of the second and volume that was published last: called late, whether by one or by another name.
    NotInOrder,
    /// A copy from a source that is not the primary, where only that is published.
    NotPrimary,
    /// By whatever rule.
    Quarantine(Dirt),
    /// A copy brought again long after: whatever it is called, it is not published.
    NotPublished(Dirt),
    /// Brought again long after, but newer than all that was published: two answers would be right.
    Open,
}

/// The name of a source in payloads.
pub(crate) fn account(source: usize) -> String {
    format!("front-{source}")
}

/// The bytes of a number: minus zero is zero, and nothing is the one quiet NaN.
fn bits(value: Option<f64>) -> [u8; 8] {
    let value = match value {
        None => return 0x7ff8_0000_0000_0000u64.to_le_bytes(),
        Some(value) => value,
    };
    if value == 0.0 { [0; 8] } else { value.to_bits().to_le_bytes() }
}

/// The identity of a true tick.
pub(crate) fn tid(tick: &TrueTick, vt_symbol: &str) -> u64 {
    let mut bytes = vt_symbol.as_bytes().to_vec();
    bytes.push(0);
    bytes.extend(tick.time_ms.to_le_bytes());
    bytes.extend(i64::from(tick.volume).to_le_bytes());
    bytes.extend(bits(Some(tick.open_interest)));
    bytes.extend(bits(tick.last));
    for side in [tick.bids[0], tick.asks[0]] {
        bytes.extend(bits(side.map(|quote| quote.0)));
        bytes.extend(side.map_or(0, |quote| i64::from(quote.1)).to_le_bytes());
    }
    xxh3_64(&bytes)
}

/// What the oracle remembers of one contract.
#[derive(Debug, Default)]
struct Memory {
    /// Time and volume of the last published tick.
    mark: Option<(i64, i32)>,
    /// Who opened the second and volume of the mark.
    opener: usize,
    /// The true tick that was published last.
    newest: usize,
    /// Who has brought it since, or published it: a set of sources.
    bringers: u64,
    recognised: VecDeque<u64>,
    /// Of ticks that somebody has brought.
    brought: HashSet<u64>,
    seq: u64,
    last: Option<(u32, i32)>,
    sources: u64,
    primary: usize,
}

/// Knows the true stream, and walks through the arrivals.
pub(crate) struct Oracle<'a> {
    scenario: &'a Scenario,
    memories: Vec<Memory>,
    topics: Vec<String>,
    tids: Vec<u64>,
}

impl<'a> Oracle<'a> {
    /// What must become of each arrival, in order.
    pub(crate) fn expect(scenario: &'a Scenario) -> Vec<Expected> {
        Self::follow(scenario, &[])
    }

    /// What had to become of each arrival, where these are the fates. They matter on CZCE alone, where a hub may know of a
    /// source that it is ahead within a second, or may not.
    pub(crate) fn follow(scenario: &'a Scenario, fates: &[Fate]) -> Vec<Expected> {
        let topics: Vec<String> = scenario.products.iter().map(|p| p.vt_symbol()).collect();
        let mut oracle = Self {
            scenario,
            tids: scenario.ticks.iter().map(|tick| tid(tick, &topics[tick.product])).collect(),
            memories: scenario.products.iter().map(|_| Memory { sources: u64::MAX, ..Memory::default() }).collect(),
            topics,
        };
        let mut fences = scenario.fences.iter().peekable();
        let mut out = Vec::with_capacity(scenario.arrivals.len());
        for (place, arrival) in scenario.arrivals.iter().enumerate() {
            while let Some(fence) = fences.next_if(|fence| fence.at_ns <= arrival.at_ns) {
                let memory = &mut oracle.memories[fence.product];
                (memory.sources, memory.primary) = (fence.sources, fence.primary);
            }
            out.push(oracle.of(arrival, fates.get(place)));
        }
        out
    }

    fn of(&mut self, arrival: &Arrival, found: Option<&Fate>) -> Expected {
        let Some(product) = self.product(arrival) else { return Expected::Quarantine(Dirt::UnknownContract) };
        if self.memories[product].sources & 1 << arrival.source == 0 {
            return Expected::Exactly(Fate::Fenced);
        }
        match arrival.label {
            Label::Dirt(dirt) => Expected::Quarantine(dirt),
            Label::Again(tick, Dirt::Reconnect) if self.is_ahead(product, tick) => Expected::Open,
            Label::Again(_, dirt) => Expected::NotPublished(dirt),
            Label::True(tick) => self.copy(product, tick, arrival, found),
        }
    }

    fn product(&self, arrival: &Arrival) -> Option<usize> {
        let instrument = text(&arrival.raw.instrument);
        self.scenario.products.iter().position(|product| product.symbol.as_bytes() == instrument)
    }

    fn is_ahead(&self, product: usize, tick: usize) -> bool {
        let tick = &self.scenario.ticks[tick];
        self.memories[product].mark.is_none_or(|mark| (tick.time_ms, tick.volume) >= mark)
    }

    fn copy(&mut self, product: usize, index: usize, arrival: &Arrival, found: Option<&Fate>) -> Expected {
        let tick = &self.scenario.ticks[index];
        let tid = self.tids[index];
        let memory = &mut self.memories[product];
        if self.scenario.is_primary_only && arrival.source != memory.primary {
            return Expected::NotPrimary;
        }
        if memory.recognised.contains(&tid) {
            if index == memory.newest {
                memory.bringers |= 1 << arrival.source;
            }
            return Expected::Exactly(Fate::Duplicate);
        }
        let at = (tick.time_ms, tick.volume);
        let is_first = memory.brought.insert(tid);
        let behind = Expected::Exactly(if is_first { Fate::LateUnique } else { Fate::Late });
        match memory.mark {
            // Only CZCE has two ticks of one second and volume. A source that has brought the last published one shows what
            // comes after it, and the hub owes it. Whose others are taken is the hub's to decide, as long as it never goes
            // back; by itself it follows the source that opened them.
            Some(mark) if at == mark => {
                let is_owed = memory.bringers & 1 << arrival.source != 0;
                let is_taken =
                    is_owed || found.map_or(arrival.source == memory.opener, |fate| matches!(fate, Fate::Published(_)));
                if index < memory.newest || !is_taken {
                    return Expected::NotInOrder;
                }
            }
            Some(mark) if at < mark => {
                return if self.scenario.products[product].exchange == Exchange::Czce {
                    Expected::NotInOrder
                } else {
                    behind
                };
            }
            _ => memory.opener = arrival.source,
        }
        (memory.newest, memory.bringers) = (index, 1 << arrival.source);
        Expected::Exactly(self.publish(product, index, tid, arrival))
    }

    fn publish(&mut self, product: usize, index: usize, tid: u64, arrival: &Arrival) -> Fate {
        let tick = &self.scenario.ticks[index];
        let memory = &mut self.memories[product];
        memory.mark = Some((tick.time_ms, tick.volume));
        if memory.recognised.len() == RECOGNISED {
            memory.recognised.pop_front();
        }
        memory.recognised.push_back(tid);
        memory.seq += 1;
        let day = tick.trading_day.number();
        let last_volume = match memory.last {
            None => 0,
            Some((last_day, volume)) if last_day == day => tick.volume - volume,
            Some(_) => tick.volume,
        };
        memory.last = Some((day, tick.volume));
        let omits_limits = self.scenario.fronts[arrival.source].style.omits_limits;
        Fate::Published(Box::new(Message {
            topic: self.topics[product].clone(),
            seq: memory.seq,
            tid,
            time_ms: tick.time_ms,
            trading_day: day.to_string(),
            volume: tick.volume.into(),
            last_volume: last_volume.into(),
            turnover: Some(tick.turnover),
            open_interest: Some(tick.open_interest),
            last: tick.last,
            bid: tick.bids[0],
            ask: tick.asks[0],
            limit_up: Some(tick.limit_up).filter(|_| !omits_limits),
            source: account(arrival.source),
            ingress_ns: arrival.raw.ingress_real_ns.get(),
            flags: self
                .flags(product, tick)
                .map(|flags| if self.scenario.is_doubted { flags | CALENDAR_DOUBT } else { flags }),
        }))
    }

    fn flags(&self, product: usize, tick: &TrueTick) -> Option<u32> {
        // The price of a closing auction comes at the moment at which it ends.
        let closing = tick.trading_day.plus(15 * HOUR);
        if self.scenario.products[product].is_stock_option() && tick.time_ms >= closing {
            return None;
        }
        match tick.phase {
            Phase::Auction => Some(AUCTION),
            Phase::Continuous => Some(0),
            Phase::PostClose => Some(POST_CLOSE),
        }
    }
}

/// How the hub did on dirt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) published: usize,
    pub(crate) copies: usize,
    /// Per kind: how many there were, and how many of them each rule, or fate, took.
    pub(crate) dirt: BTreeMap<Dirt, BTreeMap<String, usize>>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.copies += other.copies;
        for (dirt, fates) in &other.dirt {
            for (fate, count) in fates {
                *self.dirt.entry(*dirt).or_default().entry(fate.clone()).or_default() += count;
            }
        }
    }

    /// How many of this kind there were, and how many of them a rule took.
    pub(crate) fn of(&self, dirt: Dirt) -> (usize, usize) {
        let fates = self.dirt.get(&dirt);
        let sum = |wanted: fn(&str) -> bool| {
            fates.into_iter().flatten().filter(|(fate, _)| wanted(fate)).map(|(_, count)| count).sum()
        };
        (sum(|_| true), sum(|fate| !fate.starts_with('(')))
    }

    fn note(&mut self, dirt: Dirt, fate: &Fate) {
        let name = match fate {
            Fate::Quarantined(rule) => rule.clone(),
            Fate::Published(_) => "(published)".to_owned(),
            other => format!("({other:?})"),
        };
        *self.dirt.entry(dirt).or_default().entry(name).or_default() += 1;
    }
}

/// Compares what became of each arrival with what had to, one by one and over the whole.
pub(crate) fn judge(scenario: &Scenario, expected: &[Expected], fates: &[Fate]) -> (Tally, Vec<String>) {
    let mut tally = Tally::default();
    let mut objections = Vec::new();
    if expected.len() != fates.len() {
        objections.push(format!("{} arrivals, and {} fates", expected.len(), fates.len()));
    }
    for (place, (expected, fate)) in expected.iter().zip(fates).enumerate() {
        let arrival = &scenario.arrivals[place];
        let mut object = |what: &str| {
            let place = describe(scenario, place);
            objections.push(format!("{place}: {what}: expected {expected:?}, but it was {fate:?}"));
        };
        match expected {
            Expected::Open => {}
            Expected::NotInOrder => {
                tally.copies += 1;
                if !matches!(fate, Fate::Late | Fate::LateUnique) {
                    object("another fate");
                }
            }
            Expected::NotPrimary => {
                tally.copies += 1;
                if matches!(fate, Fate::Published(_) | Fate::Quarantined(_)) {
                    object("no primary");
                }
            }
            Expected::Quarantine(dirt) | Expected::NotPublished(dirt) => {
                tally.note(*dirt, fate);
                if matches!(fate, Fate::Published(_)) {
                    object("dirt was published");
                }
            }
            Expected::Exactly(wanted) => {
                tally.copies += usize::from(matches!(arrival.label, Label::True(_)));
                if !is_same(wanted, fate) {
                    object("another fate");
                }
            }
        }
    }
    let published = messages(fates);
    tally.published = published.len();
    if !scenario.is_primary_only {
        objections.extend(unaccounted(scenario, expected, fates));
    }
    objections.extend(stream_faults(scenario, &published).into_iter().map(|f| format!("seed {}: {f}", scenario.seed)));
    (tally, objections)
}

/// What was published, in order.
pub(crate) fn messages(fates: &[Fate]) -> Vec<&Message> {
    fates.iter().filter_map(|fate| if let Fate::Published(message) = fate { Some(&**message) } else { None }).collect()
}

fn is_same(wanted: &Fate, fate: &Fate) -> bool {
    match (wanted, fate) {
        (Fate::Published(wanted), Fate::Published(found)) => {
            let flags = wanted.flags.or(found.flags);
            Message { flags, ..(**wanted).clone() } == **found
        }
        _ => wanted == fate,
    }
}

/// Where an arrival stands, so that it can be found again.
pub(crate) fn describe(scenario: &Scenario, place: usize) -> String {
    let arrival = &scenario.arrivals[place];
    let raw = &arrival.raw;
    let word = |field: &[u8]| String::from_utf8_lossy(text(field)).into_owned();
    format!(
        "seed {} arrival {place} ({:?} of {} by {}, written {}/{} {}.{:03} volume {}, at {})",
        scenario.seed,
        arrival.label,
        word(&raw.instrument),
        account(arrival.source),
        word(&raw.trading_day),
        word(&raw.action_day),
        word(&raw.update_time),
        raw.update_ms.get(),
        raw.volume.get(),
        crate::days::Day::at(arrival.at_ns / 1_000_000).number().to_string()
            + " "
            + &crate::days::clock_text(arrival.at_ns / 1_000_000),
    )
}

/// What holds of every published stream, whatever arrived: numbered without a gap, no identity twice, each a true tick, and
/// in the order of the true ones.
pub(crate) fn stream_faults(scenario: &Scenario, published: &[&Message]) -> Vec<String> {
    let topics: Vec<String> = scenario.products.iter().map(|p| p.vt_symbol()).collect();
    let truth: HashMap<u64, usize> =
        scenario.ticks.iter().enumerate().map(|(i, tick)| (tid(tick, &topics[tick.product]), i)).collect();
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    let mut before: HashMap<&str, (u64, usize)> = HashMap::new();
    for message in published {
        let topic = message.topic.as_str();
        let last = before.get(topic).copied();
        let seq = last.map_or(0, |(seq, _)| seq) + 1;
        if message.seq != seq {
            faults.push(format!("{topic}: seq {} where {seq} was due", message.seq));
        }
        if !seen.insert(message.tid) {
            faults.push(format!("{topic}: tid {} twice", message.tid));
        }
        let Some(tick) = truth.get(&message.tid).copied() else {
            faults.push(format!("{topic}: tid {} is of no true tick: {message:?}", message.tid));
            continue;
        };
        if let Some((_, earlier)) = last
            && tick <= earlier
        {
            faults.push(format!("{topic}: true tick {tick} after {earlier}"));
        }
        before.insert(topic, (message.seq, tick));
    }
    faults
}

/// True ticks that a source with a right to brought, and that were neither published nor counted as brought too late by
/// all, or more than once. On CZCE what was counted so may yet be published, when its place has become known.
fn unaccounted(scenario: &Scenario, expected: &[Expected], fates: &[Fate]) -> Vec<String> {
    let mut counts: HashMap<usize, (bool, [usize; 2], usize)> = HashMap::new();
    for (place, (expected, fate)) in expected.iter().zip(fates).enumerate() {
        let (Label::True(tick) | Label::Again(tick, _)) = scenario.arrivals[place].label else { continue };
        let count = counts.entry(tick).or_insert((false, [0; 2], place));
        count.0 |=
            matches!(scenario.arrivals[place].label, Label::True(_)) && *expected != Expected::Exactly(Fate::Fenced);
        count.1[0] += usize::from(matches!(fate, Fate::Published(_)));
        count.1[1] += usize::from(*fate == Fate::LateUnique);
    }
    let may_be_both = |place: usize| match scenario.arrivals[place].label {
        Label::True(tick) | Label::Again(tick, _) => {
            scenario.products[scenario.ticks[tick].product].exchange == Exchange::Czce
        }
        Label::Dirt(_) => false,
    };
    let is_right =
        |counts: [usize; 2], place| matches!(counts, [0, 1] | [1, 0]) || counts == [1, 1] && may_be_both(place);
    let faults = counts.into_values().filter(|(is_owed, counts, place)| *is_owed && !is_right(*counts, *place));
    faults
        .map(|(_, [published, late], place)| {
            format!("{}: accounted for {} times", describe(scenario, place), published + late)
        })
        .collect()
}

/// True ticks that somebody with a right to brought in time for one to expect them, and that were not published: none where
/// the sources' skew stays below the gap between snapshots. CZCE's seconds are another matter once a source loses ticks.
pub(crate) fn missing(scenario: &Scenario, expected: &[Expected], published: &[&Message]) -> Vec<String> {
    let topics: Vec<String> = scenario.products.iter().map(|p| p.vt_symbol()).collect();
    let found: HashSet<u64> = published.iter().map(|message| message.tid).collect();
    let is_exempt = |tick: &TrueTick| {
        scenario.products[tick.product].exchange == Exchange::Czce && scenario.fronts.iter().any(|f| f.is_lossy())
    };
    let mut missing = Vec::new();
    for (place, expected) in expected.iter().enumerate() {
        let (Label::True(index), Expected::Exactly(fate)) = (scenario.arrivals[place].label, expected) else {
            continue;
        };
        let tick = &scenario.ticks[index];
        if *fate != Fate::Fenced && !is_exempt(tick) && !found.contains(&tid(tick, &topics[tick.product])) {
            missing.push(format!("{}: nobody's copy was published", describe(scenario, place)));
        }
    }
    missing
}
