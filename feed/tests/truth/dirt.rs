//! Dirt of every kind, put in where the oracle knows what else is there.

use std::collections::{HashMap, HashSet};

use mdhub_spec::contract::Exchange;
use mdhub_spec::raw_tick::{RawTick, field};

use crate::days::{Day, HOUR, MINUTE, SECOND, clock_text, of_day};
use crate::draw::Draw;
use crate::front::{day_field, written_days};
use crate::market::{Product, sections};
use crate::oracle::{Expected, Fate, Oracle};
use crate::scenario::{Arrival, Dirt, Fence, Label, Scenario};
use crate::stream::{Phase, TrueTick};

const NS: i64 = 1_000_000;

/// Dirt that is a true tick with something wrong, right after that tick.
const SPOILT: [Dirt; 15] = [
    Dirt::EmptyTime,
    Dirt::Nines,
    Dirt::ImpossibleTime,
    Dirt::ImpossibleDate,
    Dirt::Yesterday,
    Dirt::TradingDayBackwards,
    Dirt::FutureDay,
    Dirt::FutureTime,
    Dirt::VolumeBackwards,
    Dirt::TurnoverBackwards,
    Dirt::NotPositive,
    Dirt::BeyondLimits,
    Dirt::Crossed,
    Dirt::Absurd,
    Dirt::UnknownContract,
];

impl Scenario {
    /// Takes out what may be judged either way, so that nothing afterwards depends on it.
    pub(crate) fn without_open_questions(mut self) -> Self {
        loop {
            let expected = Oracle::expect(&self);
            let before = self.arrivals.len();
            let mut expected = expected.iter();
            self.arrivals.retain(|_| expected.next() != Some(&Expected::Open));
            if self.arrivals.len() == before {
                return self;
            }
        }
    }

    /// Takes each contract from some of its sources for a while. Where `is_primary_only`, moves its primary besides.
    pub(crate) fn with_fences(mut self, is_primary_only: bool, draw: &mut Draw) -> Self {
        self.is_primary_only = is_primary_only;
        for (product, listed) in self.products.iter().enumerate() {
            let sources: Vec<usize> = (0..self.fronts.len()).filter(|source| self.carries(*source, listed)).collect();
            let fence = |at_ns: i64, out: Option<usize>, primary: usize| Fence {
                at_ns,
                product,
                sources: u64::MAX ^ out.map_or(0, |source| 1 << source),
                primary,
            };
            self.fences.push(fence(self.arrivals[0].at_ns, None, sources[0]));
            let mut moments: Vec<i64> = (0..6)
                .map(|_| draw.below(self.arrivals.len() as u64) as usize)
                .map(|place| self.arrivals[place].at_ns)
                .collect();
            moments.sort_unstable();
            for (i, at_ns) in moments.into_iter().enumerate() {
                let out = draw.pick(&sources);
                let primary = sources.iter().copied().find(|source| *source != out).unwrap_or(out);
                let (out, primary) = if i % 2 == 0 { (Some(out), primary) } else { (None, out) };
                self.fences.push(fence(at_ns, out, primary));
            }
        }
        self.fences.sort_by_key(|fence| fence.at_ns);
        self
    }

    /// Starts the hub at this moment: what came before never reaches it.
    pub(crate) fn from(mut self, at_ns: i64) -> Self {
        self.arrivals.retain(|arrival| arrival.at_ns >= at_ns);
        self
    }

    /// Puts in `each` pieces of every kind of dirt, as far as there is room for it.
    pub(crate) fn with_dirt(mut self, each: usize, draw: &mut Draw) -> Self {
        self.disagree(each, draw);
        let expected = Oracle::expect(&self);
        let published: Vec<usize> = (0..expected.len())
            .filter(|place| matches!(expected[*place], Expected::Exactly(Fate::Published(_))))
            .collect();
        if published.is_empty() {
            return self;
        }
        let mut after: Vec<(usize, Arrival)> = Vec::new();
        for dirt in SPOILT {
            let (mut found, mut tries) = (0, 0);
            while found < each && tries < each * 40 {
                tries += 1;
                let place = draw.pick(&published);
                if let Some(arrival) = self.spoilt(place, dirt, draw) {
                    after.push((place, arrival));
                    found += 1;
                }
            }
        }
        after.sort_by_key(|(place, _)| *place);
        let mut after = after.into_iter().peekable();
        let mut arrivals = Vec::with_capacity(self.arrivals.len() + 16 * each);
        for (place, arrival) in std::mem::take(&mut self.arrivals).into_iter().enumerate() {
            arrivals.push(arrival);
            while let Some((_, dirt)) = after.next_if(|(at, _)| *at == place) {
                arrivals.push(dirt);
            }
        }
        self.arrivals = arrivals;
        for _ in 0..each * 4 {
            self.stray(draw);
        }
        self.arrivals.sort_by_key(|arrival| arrival.at_ns);
        self
    }

    /// A true tick's record with something wrong, as the source that brought it first might bring it next.
    fn spoilt(&self, place: usize, dirt: Dirt, draw: &mut Draw) -> Option<Arrival> {
        let Arrival { at_ns, source, label: Label::True(index), raw: mut record } = self.arrivals[place].clone() else {
            return None;
        };
        let tick = &self.ticks[index];
        let product = self.products[tick.product];
        if dirt == Dirt::Yesterday {
            record = self.record(source, self.yesterday(tick, draw)?, at_ns);
        } else if !spoil(&mut record, dirt, tick, &product, draw) {
            return None;
        }
        Some(Arrival { at_ns, source, label: Label::Dirt(dirt), raw: record })
    }

    /// A tick of the same contract of an earlier trading day.
    fn yesterday(&self, tick: &TrueTick, draw: &mut Draw) -> Option<usize> {
        let is_earlier = |t: &TrueTick| t.product == tick.product && t.trading_day < tick.trading_day;
        let earlier: Vec<usize> = (0..self.ticks.len()).filter(|i| is_earlier(&self.ticks[*i])).collect();
        (!earlier.is_empty()).then(|| draw.pick(&earlier))
    }

    /// Makes other sources' copies differ from what was published, where nothing came in between.
    fn disagree(&mut self, each: usize, draw: &mut Draw) {
        let expected = Oracle::expect(self);
        let mut last: Vec<Option<(usize, usize)>> = vec![None; self.products.len()];
        let mut candidates = Vec::new();
        // A source that has shown the truth and then shows something else has taken another snapshot.
        let mut shown = HashSet::new();
        // Nothing contradicts a limit that nobody else has shown before.
        let mut limits: HashMap<(usize, Day), usize> = HashMap::new();
        for (place, arrival) in self.arrivals.iter().enumerate() {
            let Label::True(index) = arrival.label else { continue };
            if !shown.insert((arrival.source, index)) {
                continue;
            }
            let product = self.ticks[index].product;
            let day = (product, self.ticks[index].trading_day);
            let is_known = limits.get(&day).is_some_and(|source| *source != arrival.source);
            match &expected[place] {
                Expected::Exactly(Fate::Published(_)) => last[product] = Some((index, arrival.source)),
                Expected::Exactly(Fate::Duplicate)
                    if last[product].is_some_and(|(i, s)| i == index && s != arrival.source) =>
                {
                    candidates.push((place, index, is_known));
                }
                _ => {}
            }
            if !self.fronts[arrival.source].style.omits_limits && expected[place] != Expected::Exactly(Fate::Fenced) {
                limits.entry(day).or_insert(arrival.source);
            }
        }
        for dirt in [Dirt::Disagreement, Dirt::Statics] {
            for _ in 0..each.min(candidates.len()) {
                let (place, index, is_known) = candidates.swap_remove(draw.below(candidates.len() as u64) as usize);
                let tick = self.ticks[index].clone();
                let arrival = &mut self.arrivals[place];
                let omits_limits = self.fronts[arrival.source].style.omits_limits || !is_known;
                let product = &self.products[tick.product];
                if contradict(&mut arrival.raw, dirt, &tick, product, omits_limits, draw) {
                    arrival.label = Label::Dirt(dirt);
                }
            }
        }
    }

    /// One record at a time at which there is no market, or a closing snapshot in the evening.
    fn stray(&mut self, draw: &mut Draw) {
        let place = draw.below(self.products.len() as u64) as usize;
        let product = self.products[place];
        let day = draw.pick(&self.days);
        let sources: Vec<usize> = (0..self.fronts.len()).filter(|source| self.carries(*source, &product)).collect();
        let source = draw.pick(&sources);
        let dirt =
            draw.pick(&[Dirt::OutOfSession, Dirt::OutOfSession, Dirt::NoSuchNight, Dirt::Weekend, Dirt::EveningResend]);
        let Some(stray) = stray(dirt, &product, day, draw) else { return };
        let earlier = |t: &&TrueTick| t.product == place && t.happened_ms < stray.at_ms;
        let last = match dirt {
            Dirt::EveningResend => {
                self.ticks.iter().rfind(|t| t.product == place && t.trading_day <= day && t.phase != Phase::PostClose)
            }
            _ => self.ticks.iter().rfind(earlier),
        };
        let Some(last) = last else { return };
        let mut tick = last.clone();
        (tick.time_ms, tick.trading_day) = (stray.time_ms, stray.trading_day);
        let at_ns = (stray.at_ms + draw.between(1, 200)) * NS;
        let is_before_the_hub = self.arrivals.first().is_none_or(|first| first.at_ns > at_ns);
        let is_fenced = self
            .fences
            .iter()
            .rfind(|f| f.product == place && f.at_ns <= at_ns)
            .is_some_and(|f| f.sources & 1 << source == 0);
        if is_before_the_hub || is_fenced {
            return;
        }
        let mut raw = self.fronts[source].style.write(&tick, &product, at_ns, self.mono_ns(at_ns));
        if let Some(written) = stray.written {
            (raw.trading_day, raw.action_day) = (day_field(written.0), day_field(written.1));
        }
        self.arrivals.push(Arrival { at_ns, source, label: Label::Dirt(dirt), raw });
    }
}

/// When a stray record comes, and what it says.
struct Stray {
    at_ms: i64,
    time_ms: i64,
    trading_day: Day,
    /// `TradingDay` and `ActionDay`, where they are not what the exchange writes.
    written: Option<(Day, Day)>,
}

const fn hm(hour: i64, minute: i64) -> i64 {
    hour * HOUR + minute * MINUTE
}

fn stray(dirt: Dirt, product: &Product, day: Day, draw: &mut Draw) -> Option<Stray> {
    let evening = day.preceding();
    let within = |draw: &mut Draw, from: i64, to: i64| draw.between(from / SECOND, to / SECOND) * SECOND;
    match dirt {
        Dirt::OutOfSession => {
            let (date, from, to) = draw.pick(&[
                (day, hm(7, 30), hm(7, 40)),
                (day, hm(18, 30), hm(18, 40)),
                (day, hm(19, 10), hm(19, 20)),
                (day, hm(8, 50), hm(8, 53)),
                (day, hm(11, 32), hm(11, 40)),
                (evening.next(), hm(2, 32), hm(2, 40)),
                (day, hm(12, 10), hm(12, 50)),
            ]);
            let at_ms = date.plus(within(draw, from, to));
            let after_close = date == day && from > hm(15, 0);
            let trading_day = if after_close && draw.chance(50) { day.following() } else { day };
            Some(Stray { at_ms, time_ms: at_ms, trading_day, written: None })
        }
        Dirt::NoSuchNight => {
            if product.night(day).is_some() {
                return None;
            }
            let at_ms = evening.plus(within(draw, hm(21, 5), hm(22, 50)));
            Some(Stray { at_ms, time_ms: at_ms, trading_day: day, written: None })
        }
        Dirt::Weekend => {
            let saturday = (evening.0 + 1..day.0).map(Day).find(|d| d.preceding().next() == *d && !d.trades())?;
            let at_ms = saturday.plus(within(draw, hm(9, 40), hm(10, 10)));
            let trading_day = if draw.chance(50) { day } else { saturday };
            Some(Stray { at_ms, time_ms: at_ms, trading_day, written: None })
        }
        _ => {
            let (from, to) = draw.pick(&[
                (hm(18, 30), hm(18, 40)),
                (hm(20, 30), hm(20, 50)),
                (hm(20, 56), hm(20, 58)),
                (hm(21, 0), hm(21, 1)),
            ]);
            let at_ms = day.plus(within(draw, from, to));
            let close = sections(product, day).last().map_or(0, |section| section.closes);
            let next = day.following();
            let written = match product.exchange {
                Exchange::Dce | Exchange::Gfex | Exchange::Czce => (next, next),
                _ => (next, if draw.chance(50) { next } else { day }),
            };
            Some(Stray { at_ms, time_ms: close, trading_day: next, written: Some(written) })
        }
    }
}

/// Spoils a record; whether it could be.
fn spoil(raw: &mut RawTick, dirt: Dirt, tick: &TrueTick, product: &Product, draw: &mut Draw) -> bool {
    let is_czce = product.exchange == Exchange::Czce;
    let step = if is_czce { SECOND } else { 1 };
    // News, as far as time and volume go.
    set_time(raw, tick.time_ms + step);
    raw.volume = (tick.volume + 1).into();
    raw.turnover = (tick.turnover + tick.last.map_or(0.0, f64::abs) * product.multiplier).into();
    match dirt {
        Dirt::EmptyTime => raw.update_time = [0; 9],
        Dirt::Nines => raw.update_time = field(b"99:99:99"),
        Dirt::ImpossibleTime => impossible_time(raw, draw),
        Dirt::ImpossibleDate => {
            let texts: [&[u8]; 6] = [b"20260230", b"20261301", b"00000000", b"2026-1-1", b"yyyymmdd", b"99999999"];
            raw.trading_day = field(draw.pick(&texts));
            raw.action_day = field(draw.pick(&texts));
        }
        Dirt::TradingDayBackwards => {
            raw.trading_day = day_field(tick.trading_day.preceding());
            if is_czce {
                raw.trading_day = day_field(Day::at(tick.time_ms).preceding());
                raw.action_day = raw.trading_day;
            }
        }
        Dirt::FutureDay => {
            let year = Day::of(20_991_231);
            let far = draw.chance(50);
            raw.trading_day = day_field(if far { year } else { tick.trading_day.following() });
            if is_czce {
                raw.action_day = day_field(if far { year } else { Day::at(tick.time_ms).following() });
                raw.trading_day = raw.action_day;
            }
        }
        Dirt::FutureTime => {
            let ahead = tick.time_ms + 30 * MINUTE;
            set_time(raw, ahead);
            let is_same_day = Day::at(ahead) == Day::at(tick.time_ms);
            return is_same_day && of_day(ahead) / HOUR < 24;
        }
        Dirt::VolumeBackwards => {
            raw.volume = (tick.volume / 100 * draw.between(30, 99) as i32).into();
            return tick.volume > 100 && tick.phase != Phase::PostClose;
        }
        Dirt::TurnoverBackwards => {
            raw.turnover = (tick.turnover * 0.9).into();
            return !is_czce && !product.is_spread && tick.volume > 0;
        }
        Dirt::NotPositive => return !product.is_spread && tick.volume > 0 && not_positive(raw, draw),
        Dirt::BeyondLimits => return tick.volume > 0 && tick.phase == Phase::Continuous && beyond(raw, tick, draw),
        Dirt::Crossed => {
            return tick.phase == Phase::Continuous && !product.is_stock_option() && crossed(raw, tick, product);
        }
        Dirt::Absurd => return tick.bids[0].is_some() && tick.asks[0].is_some() && absurd(raw, draw),
        Dirt::UnknownContract => {
            let names: [&[u8]; 4] = [b"zz9999", b"rb2799", b"", b"xx"];
            raw.instrument = field(draw.pick(&names));
        }
        _ => return false,
    }
    true
}

fn impossible_time(raw: &mut RawTick, draw: &mut Draw) {
    if draw.chance(20) {
        raw.update_ms = draw.pick(&[-1, 1_000, i32::MAX]).into();
        return;
    }
    let texts: [&[u8]; 8] =
        [b"24:00:00", b"09:60:00", b"10:00:60", b"ab:cd:ef", b"9:30:00", b"-1:00:00", b"100000", b"1\xff:00:00"];
    raw.update_time = field(draw.pick(&texts));
}

fn set_time(raw: &mut RawTick, time_ms: i64) {
    raw.update_time = field(clock_text(time_ms).as_bytes());
    raw.update_ms = ((of_day(time_ms) % 1000) as i32).into();
}

fn not_positive(raw: &mut RawTick, draw: &mut Draw) -> bool {
    match draw.below(4) {
        0 => raw.last_price = 0.0.into(),
        1 => raw.last_price = (-5.0).into(),
        2 => raw.levels[0].bid_price = (-1.0).into(),
        _ => raw.levels[0].ask_price = 0.0.into(),
    }
    for (price, volume) in [
        (raw.levels[0].bid_price, &mut raw.levels[0].bid_volume),
        (raw.levels[0].ask_price, &mut raw.levels[0].ask_volume),
    ] {
        if price.get() <= 0.0 {
            *volume = 3.into();
        }
    }
    true
}

fn beyond(raw: &mut RawTick, tick: &TrueTick, draw: &mut Draw) -> bool {
    let is_known = (tick.limit_down..=tick.limit_up).contains(&raw.limit_up.get());
    let spread = tick.limit_up - tick.limit_down;
    match draw.below(2) {
        0 => raw.last_price = (tick.limit_up + spread).into(),
        _ if tick.limit_down > spread => raw.last_price = (tick.limit_down - spread).into(),
        _ => raw.last_price = (tick.limit_down - 2.0 * spread).into(),
    }
    is_known
}

fn crossed(raw: &mut RawTick, tick: &TrueTick, product: &Product) -> bool {
    let (Some(bid), Some(ask)) = (tick.bids[0], tick.asks[0]) else { return false };
    raw.levels[0].bid_price = (ask.0 + product.tick_size).min(tick.limit_up).into();
    raw.levels[0].ask_price = (bid.0 - product.tick_size).max(tick.limit_down).into();
    raw.levels[0].bid_price.get() > raw.levels[0].ask_price.get()
}

fn absurd(raw: &mut RawTick, draw: &mut Draw) -> bool {
    match draw.below(5) {
        0 => raw.volume = i32::MAX.into(),
        1 => raw.volume = (-5).into(),
        2 => raw.levels[0].bid_volume = i32::MAX.into(),
        3 => raw.levels[0].ask_volume = (-1).into(),
        _ => raw.last_price = 1e18.into(),
    }
    true
}

/// Makes a copy contradict the tick that it is a copy of; whether it could.
fn contradict(
    raw: &mut RawTick,
    dirt: Dirt,
    tick: &TrueTick,
    product: &Product,
    omits_limits: bool,
    draw: &mut Draw,
) -> bool {
    if dirt == Dirt::Statics {
        if draw.chance(50) && !omits_limits {
            raw.limit_up = (tick.limit_up + 3.0 * product.tick_size).into();
        } else {
            // Zero would be no contradiction, but nothing.
            let steps = if tick.pre_settlement + 3.0 * product.tick_size == 0.0 { 4.0 } else { 3.0 };
            raw.pre_settlement = (tick.pre_settlement + steps * product.tick_size).into();
        }
        return true;
    }
    let (Some(_), Some(bid)) = (tick.last, tick.bids[0]) else { return false };
    if product.exchange == Exchange::Czce || tick.phase != Phase::Continuous {
        return false;
    }
    match draw.below(2) {
        0 => raw.levels[0].bid_volume = (bid.1 + 1).into(),
        _ => raw.levels[0].bid_price = (bid.0 - product.tick_size).max(tick.limit_down).into(),
    }
    raw.levels[0].bid_volume.get() != bid.1 || raw.levels[0].bid_price.get() < bid.0
}

#[test]
fn exchanges_write_a_friday_night_in_their_own_ways() {
    let night = Day::of(20_240_412).plus(hm(21, 30));
    let written = |exchange| {
        let (trading_day, action_day) = written_days(exchange, Day::of(20_240_415), night);
        (trading_day.number(), action_day.number())
    };
    assert_eq!(written(Exchange::Shfe), (20_240_415, 20_240_412));
    assert_eq!(written(Exchange::Dce), (20_240_415, 20_240_415));
    assert_eq!(written(Exchange::Czce), (20_240_412, 20_240_412));
}
