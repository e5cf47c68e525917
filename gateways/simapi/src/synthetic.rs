//! The synthetic market: snapshot *n* of a contract is a function of (seed, code, interval, n), so that any number of
//! fronts and processes agree on it, whenever they look.
//!
//! Slot *n* of a contract stands at `n * interval_ms` since the epoch, plus a phase below one interval. Sixty seconds of
//! slots are a *block*: its first and last price, its highest and lowest, its volume and its turnover follow from its
//! number alone, so that a day is summed block by block, and only the block at hand is walked slot by slot.
//! The shares of slots that stay silent, that repeat all, and that trade nothing were measured on a recorded day of
//! stock-index futures.

use crate::date::{beijing_day, beijing_midnight_ms, beijing_ms_of_day, date_text, time_text, trading_day};
use crate::flavour::Flavour;
use crate::hash::{self, mix, noise};
use crate::instrument::{Exchange, Instrument};
use crate::record::{LEVELS, Level, Snapshot};

/// Milliseconds of a block.
const BLOCK_MS: i64 = 60_000;

// Shares of slots, of 65,536, cumulated.
const SILENT: u64 = 983;
const REPEATS: u64 = SILENT + 3_800;
const QUIET: u64 = REPEATS + 10_900;

/// What happens in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No snapshot comes.
    Silent,
    /// One comes, and repeats the last one under a new time.
    Repeats,
    /// The book moves, nothing is traded.
    Quiet,
    /// At least one lot is traded.
    Trade,
}

/// A block's outline, in ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Outline {
    first: i64,
    next: i64,
    high: i64,
    low: i64,
}

/// The trading day so far, without the block at hand.
#[derive(Debug, Clone, Copy, Default)]
struct Day {
    number: i64,
    open: i64,
    high: i64,
    low: i64,
    turnover: f64,
    pre_close: i64,
    pre_settlement: i64,
    pre_open_interest: i64,
}

/// The block at hand.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    number: i64,
    outline: Outline,
    open_interest: (i64, i64),
    high_at: i64,
    low_at: i64,
    trades: i64,
    weights: i64,
}

/// The contract at a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Walk {
    /// Slots of the block that have been walked.
    slots: i64,
    trades: i64,
    weights: i64,
    last: i64,
    high: i64,
    low: i64,
    open_interest: i64,
    book: Book,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Book {
    bid: i64,
    ask: i64,
    bid_volume: i32,
    ask_volume: i32,
    sizes: u64,
}

/// One contract's stream.
#[derive(Debug, Clone)]
pub struct Stream {
    instrument: Instrument,
    absent: f64,
    interval_ms: i64,
    levels: usize,
    key: u64,
    base_ticks: i64,
    block_volume: i64,
    open_interest: i64,
    day: Day,
    block: Block,
    walk: Walk,
}

impl Stream {
    /// The stream of a code; `None` where a front of this flavour does not know it.
    #[must_use]
    pub fn new(seed: u64, code: &[u8], flavour: Flavour, interval_ms: u32, levels: u8) -> Option<Self> {
        let instrument = Instrument::of(code, flavour)?;
        let key = hash::text(seed, code);
        let spread = |k, share: i64, of: i64| of * share / 100 * (i64::from((mix(key, k) & 0xff) as u8) - 128) / 128;
        let slots = BLOCK_MS / i64::from(interval_ms);
        let open_interest = 200 * instrument.lots_per_minute;
        Some(Self {
            absent: flavour.absent(),
            interval_ms: i64::from(interval_ms),
            levels: usize::from(levels),
            key,
            base_ticks: instrument.base_ticks + spread(1, 5, instrument.base_ticks),
            block_volume: (instrument.lots_per_minute + spread(2, 50, instrument.lots_per_minute)).max(3 * slots),
            open_interest: if instrument.has_open_interest { open_interest } else { 0 },
            day: Day { number: i64::MIN, ..Day::default() },
            block: Block { number: i64::MIN, ..Block::default() },
            walk: Walk::default(),
            instrument,
        })
    }

    /// The last slot that stands at or before `ms` since the epoch.
    #[must_use]
    pub fn slot_at(&self, ms: i64) -> i64 {
        let n = ms.div_euclid(self.interval_ms);
        if self.time_ms(n) <= ms { n } else { n - 1 }
    }

    /// Where slot `n` stands, milliseconds since the epoch.
    #[must_use]
    pub fn time_ms(&self, n: i64) -> i64 {
        n * self.interval_ms + self.phase_ms(n.div_euclid(self.slots()))
    }

    /// An identity of slot `n` among all contracts' slots: the same at every front, one in 2^64 by chance.
    #[must_use]
    pub const fn record_id(&self, n: i64) -> u64 {
        mix(self.key ^ 0x5eed, n.cast_unsigned())
    }

    /// The snapshot of slot `n`; `None` where none comes.
    #[must_use]
    pub fn snapshot(&mut self, n: i64) -> Option<Snapshot> {
        self.seek(n);
        (self.kind(n) != Kind::Silent).then(|| self.shown(n))
    }

    const fn slots(&self) -> i64 {
        BLOCK_MS / self.interval_ms
    }

    /// Shanghai stamps on the half second, Zhengzhou on the second, CFFEX at a phase of each contract, the others
    /// anywhere.
    fn phase_ms(&self, block: i64) -> i64 {
        let any = |hash: u64, of: i64| (hash % of.cast_unsigned()).cast_signed();
        match self.instrument.exchange {
            Exchange::Shfe | Exchange::Ine | Exchange::Czce => 0,
            Exchange::Cffex => any(mix(self.key, 3), 5) * self.interval_ms / 5,
            Exchange::Dce | Exchange::Gfex | Exchange::Sse | Exchange::Szse => {
                any(mix(self.key ^ 4, block.cast_unsigned()), self.interval_ms)
            }
        }
    }

    /// The price with which a block begins: a bounded walk around the base.
    fn anchor(&self, block: i64) -> i64 {
        let octave = |k: u64, period, weight: f64| weight * noise(self.key ^ k, block, period);
        let walk = octave(10, 4_096, 0.5) + octave(11, 512, 0.25) + octave(12, 64, 0.15) + octave(13, 8, 0.1);
        self.base_ticks + (self.instrument.limit_ticks as f64 / 4.0 * walk).round() as i64
    }

    fn open_interest_at(&self, block: i64) -> i64 {
        self.open_interest + (self.open_interest as f64 * 0.05 * noise(self.key ^ 14, block, 480)).round() as i64
    }

    fn outline(&self, block: i64, first: i64) -> Outline {
        let next = self.anchor(block + 1);
        let beyond = mix(self.key ^ 15, block.cast_unsigned());
        let (up, down) = ((beyond & 3).cast_signed(), (beyond >> 2 & 3).cast_signed());
        Outline { first, next, high: first.max(next) + up, low: first.min(next) - down }
    }

    /// Turnover of a whole block, without the multiplier.
    fn block_turnover(&self, outline: &Outline) -> f64 {
        self.block_volume as f64 * self.instrument.price(outline.first)
    }

    fn seek(&mut self, n: i64) {
        let (number, slot) = (n.div_euclid(self.slots()), n.rem_euclid(self.slots()));
        if number != self.block.number {
            self.enter(number);
        }
        if slot + 1 < self.walk.slots {
            self.walk = Walk::default();
        }
        while self.walk.slots <= slot {
            self.step();
        }
    }

    /// Goes to the beginning of a block; from the one before it in a step, else by summing up its day.
    fn enter(&mut self, number: i64) {
        let day = trading_day(number * BLOCK_MS);
        if day == self.day.number && number == self.block.number + 1 {
            let outline = self.block.outline;
            self.absorb(&outline);
        } else {
            self.begin_day(day);
            let mut first = self.day.open;
            for earlier in day_begins(day)..number {
                let outline = self.outline(earlier, first);
                self.absorb(&outline);
                first = outline.next;
            }
        }
        self.block = self.block(number);
        self.walk = Walk::default();
    }

    fn begin_day(&mut self, day: i64) {
        let begins = day_begins(day);
        let settled = (1..=4).map(|k| self.anchor(begins - k * 15)).sum::<i64>() / 4;
        self.day = Day {
            number: day,
            open: self.anchor(begins),
            high: i64::MIN,
            low: i64::MAX,
            turnover: 0.0,
            pre_close: self.anchor(begins - 1),
            pre_settlement: settled,
            pre_open_interest: self.open_interest_at(begins),
        };
    }

    fn absorb(&mut self, outline: &Outline) {
        self.day.high = self.day.high.max(outline.high);
        self.day.low = self.day.low.min(outline.low);
        self.day.turnover += self.block_turnover(outline);
    }

    fn block(&self, number: i64) -> Block {
        let half = self.slots() / 2;
        let hash = mix(self.key ^ 16, number.cast_unsigned());
        let any = |hash: u64, of: i64| (hash % of.cast_unsigned()).cast_signed();
        let (early, late) = (1 + any(hash >> 8, half - 1), half + any(hash >> 32, self.slots() - half));
        let (high_at, low_at) = if hash & 1 == 0 { (early, late) } else { (late, early) };
        let mut block = Block {
            number,
            outline: self.outline(number, self.anchor(number)),
            open_interest: (self.open_interest_at(number), self.open_interest_at(number + 1)),
            high_at,
            low_at,
            trades: 0,
            weights: 0,
        };
        let first = number * self.slots();
        for n in first..first + self.slots() {
            let hash = self.slot_hash(n);
            if self.kind_in(&block, n, hash) == Kind::Trade {
                block.trades += 1;
                block.weights += weight(hash);
            }
        }
        block
    }

    const fn slot_hash(&self, n: i64) -> u64 {
        mix(self.key ^ 17, n.cast_unsigned())
    }

    fn kind(&self, n: i64) -> Kind {
        self.kind_in(&self.block, n, self.slot_hash(n))
    }

    /// A block's first slot and its extremes are trades, so that no state crosses from block to block.
    fn kind_in(&self, block: &Block, n: i64, hash: u64) -> Kind {
        let slot = n.rem_euclid(self.slots());
        if slot == 0 || slot == block.high_at || slot == block.low_at {
            return Kind::Trade;
        }
        match hash & 0xffff {
            share if share < SILENT => Kind::Silent,
            share if share < REPEATS => {
                // On CZCE a repetition within a second would be the very same snapshot: it sends none.
                let same_second = (n * self.interval_ms).rem_euclid(1_000) >= self.interval_ms;
                if self.instrument.exchange == Exchange::Czce && same_second { Kind::Quiet } else { Kind::Repeats }
            }
            share if share < QUIET => Kind::Quiet,
            _ => Kind::Trade,
        }
    }

    fn step(&mut self) {
        let n = self.block.number * self.slots() + self.walk.slots;
        let hash = self.slot_hash(n);
        let kind = self.kind(n);
        if kind == Kind::Trade {
            let (last, slots) = (self.traded_price(n), self.slots());
            let walk = &mut self.walk;
            walk.trades += 1;
            walk.weights += weight(hash);
            (walk.high, walk.low) =
                if walk.trades == 1 { (last, last) } else { (walk.high.max(last), walk.low.min(last)) };
            walk.last = last;
            let (from, to) = self.block.open_interest;
            walk.open_interest = from + (to - from) * walk.slots / slots;
        }
        if matches!(kind, Kind::Trade | Kind::Quiet) {
            self.walk.book = self.book(n, kind);
        }
        self.walk.slots += 1;
    }

    fn traded_price(&self, n: i64) -> i64 {
        let slot = n.rem_euclid(self.slots());
        let Outline { first, next, high, low } = self.block.outline;
        match slot {
            0 => first,
            _ if slot == self.block.high_at => high,
            _ if slot == self.block.low_at => low,
            _ => {
                let aside = (3.0 * noise(self.key ^ 18, n, 8)).round() as i64;
                (first + (next - first) * slot / self.slots() + aside).clamp(low, high)
            }
        }
    }

    fn book(&self, n: i64, kind: Kind) -> Book {
        let hash = mix(self.key ^ 19, n.cast_unsigned());
        let below = if kind == Kind::Trade { hash & 1 } else { hash % 3 };
        let bid = self.walk.last - below.cast_signed();
        let size = |shift: u32| 1 + i32::from((hash >> shift & 0x7f) as u8);
        // The last bit tells neighbours apart: where two share a time stamp, they are no duplicates.
        let bid_volume = 2 * size(16) + i32::from(n & 1 == 1);
        let ask = bid + 1 + i64::from((hash >> 8) & 7 == 0);
        Book { bid, ask, bid_volume, ask_volume: size(24), sizes: hash }
    }

    fn shown(&self, n: i64) -> Snapshot {
        let (walk, day, block, instrument) = (&self.walk, &self.day, &self.block, &self.instrument);
        let price = |ticks| instrument.price(ticks);
        // Each trade counts at least one lot; the rest is shared out by weight.
        let traded = walk.trades + (self.block_volume - block.trades) * walk.weights / block.weights.max(1);
        let volume = (block.number - day_begins(day.number)) * self.block_volume + traded;
        let plain = day.turnover + traded as f64 * price(block.outline.first);
        let (turnover, average) = self.money(plain, volume);
        let ms = self.time_ms(n);
        let of_day = beijing_ms_of_day(ms);
        Snapshot {
            trading_day: date_text(day.number),
            action_day: date_text(beijing_day(ms)),
            update_time: time_text(of_day),
            exchange: instrument.exchange.id_in_depth(),
            update_ms: if instrument.exchange == Exchange::Czce { 0 } else { (of_day % 1_000) as i32 },
            volume: volume as i32,
            last: price(walk.last),
            pre_settlement: price(day.pre_settlement),
            pre_close: price(day.pre_close),
            pre_open_interest: day.pre_open_interest as f64,
            open: price(day.open),
            high: price(day.high.max(walk.high)),
            low: price(day.low.min(walk.low)),
            turnover,
            open_interest: walk.open_interest as f64,
            close: self.absent,
            settlement: self.absent,
            limit_up: price(day.pre_settlement + instrument.limit_ticks),
            limit_down: price(day.pre_settlement - instrument.limit_ticks),
            average,
            levels: self.levels(&walk.book),
        }
    }

    /// Turnover and average price. Zhengzhou's come from a rounded average, and lack the multiplier.
    fn money(&self, plain: f64, volume: i64) -> (f64, f64) {
        let (volume, multiplier) = (volume as f64, self.instrument.multiplier);
        if multiplier == 0.0 {
            (0.0, self.absent)
        } else if self.instrument.exchange == Exchange::Czce {
            let average = (plain / volume).round();
            (average * volume, average)
        } else {
            (plain * multiplier, plain * multiplier / volume)
        }
    }

    fn levels(&self, book: &Book) -> [Level; LEVELS] {
        let none = Level { bid_price: self.absent, bid_volume: 0, ask_price: self.absent, ask_volume: 0 };
        let mut levels = [none; LEVELS];
        for (k, level) in levels.iter_mut().enumerate().take(self.levels) {
            let away = k as i64;
            let size = |side| 1 + i32::from((mix(book.sizes, 2 * k as u64 + side) & 0xff) as u8);
            let (bid_volume, ask_volume) = if k == 0 { (book.bid_volume, book.ask_volume) } else { (size(0), size(1)) };
            *level = Level {
                bid_price: self.instrument.price(book.bid - away),
                bid_volume,
                ask_price: self.instrument.price(book.ask + away),
                ask_volume,
            };
        }
        levels
    }
}

/// The first block of a trading day.
const fn day_begins(day: i64) -> i64 {
    (beijing_midnight_ms(day) - 6 * 3_600_000) / BLOCK_MS
}

const fn weight(hash: u64) -> i64 {
    1 + (hash >> 16 & 0xff).cast_signed()
}
