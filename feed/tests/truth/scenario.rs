//! What is played: a true stream, the sources that bring it, and every record in the order of arrival.

use mdhub_spec::dialect::Dialect;
use mdhub_spec::raw_tick::RawTick;

use crate::days::{Day, HOUR, MINUTE, SECOND};
use crate::draw::Draw;
use crate::front::{LostDay, Style};
use crate::market::{PRODUCTS, Product};
use crate::stream::{Density, TrueTick, course};

/// Nanoseconds per millisecond.
const NS: i64 = 1_000_000;

/// What an arrival is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Label {
    /// A copy of this true tick.
    True(usize),
    /// A copy of this true tick, brought again long after.
    Again(usize, Dirt),
    /// No true tick.
    Dirt(Dirt),
}

/// Every kind of dirt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dirt {
    EmptyTime,
    Nines,
    ImpossibleTime,
    ImpossibleDate,
    /// At 07:3x, 18:3x, 19:1x, 08:5x, 11:3x or 02:3x.
    OutOfSession,
    /// A night tick on the eve of a holiday, or where there are no nights.
    NoSuchNight,
    /// The exchanges test on Saturdays.
    Weekend,
    /// A tick of yesterday.
    Yesterday,
    /// The whole night section again, after the morning's login.
    NightReplay,
    /// What a source missed or had brought, again after its connection came back.
    Reconnect,
    /// A closing snapshot again in the evening, under the next trading day.
    EveningResend,
    TradingDayBackwards,
    /// Of tomorrow, or of another year.
    FutureDay,
    /// Half an hour ahead.
    FutureTime,
    VolumeBackwards,
    TurnoverBackwards,
    NotPositive,
    BeyondLimits,
    Crossed,
    Absurd,
    UnknownContract,
    /// Another last price or first level under the same time and volume.
    Disagreement,
    /// Another limit or pre-settlement price.
    Statics,
}

impl Dirt {
    pub(crate) const ALL: [Self; 23] = [
        Self::EmptyTime,
        Self::Nines,
        Self::ImpossibleTime,
        Self::ImpossibleDate,
        Self::OutOfSession,
        Self::NoSuchNight,
        Self::Weekend,
        Self::Yesterday,
        Self::NightReplay,
        Self::Reconnect,
        Self::EveningResend,
        Self::TradingDayBackwards,
        Self::FutureDay,
        Self::FutureTime,
        Self::VolumeBackwards,
        Self::TurnoverBackwards,
        Self::NotPositive,
        Self::BeyondLimits,
        Self::Crossed,
        Self::Absurd,
        Self::UnknownContract,
        Self::Disagreement,
        Self::Statics,
    ];
}

/// A record at the hub's door.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// Nanoseconds since the epoch.
    pub(crate) at_ns: i64,
    pub(crate) source: usize,
    pub(crate) label: Label,
    pub(crate) raw: RawTick,
}

/// A front and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    pub(crate) style: Style,
    /// Least delay, and what comes on top of it at most.
    pub(crate) delay_ms: i64,
    pub(crate) jitter_ms: i64,
    pub(crate) lost_percent: u64,
    pub(crate) twice_percent: u64,
    /// Takes one snapshot in so many.
    pub(crate) takes_one_in: u64,
    /// Down from the first moment to the second; what came in the first half of the outage is brought again after it.
    pub(crate) outage: Option<(i64, i64)>,
    /// Whether it brings the night section again after the morning's login.
    pub(crate) replays_night: bool,
}

/// From this moment on these sources, a bit each, feed the contract, and one of them is its primary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) at_ns: i64,
    pub(crate) product: usize,
    pub(crate) sources: u64,
    pub(crate) primary: usize,
}

/// All that the oracle knows.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) products: Vec<Product>,
    pub(crate) days: Vec<Day>,
    /// In the order in which they happened.
    pub(crate) ticks: Vec<TrueTick>,
    pub(crate) fronts: Vec<Front>,
    /// In order of time.
    pub(crate) fences: Vec<Fence>,
    /// Whether what is published must be flagged with `calendar_doubt`.
    pub(crate) is_doubted: bool,
    /// Whether only a contract's primary is published.
    pub(crate) is_primary_only: bool,
    /// In order of arrival.
    pub(crate) arrivals: Vec<Arrival>,
}

/// How far the sources are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skew {
    /// Below every gap between snapshots.
    BelowGap,
    /// Up to some seconds.
    AboveGap,
}

/// Trading days in a row, with a holiday, a weekend, or the end of a month or of the year between them.
pub(crate) const DAYS: [&[u32]; 11] = [
    &[20_260_105, 20_260_106],
    &[20_260_213, 20_260_224],
    &[20_260_403, 20_260_407],
    &[20_260_430, 20_260_506],
    &[20_260_618, 20_260_622],
    &[20_260_731, 20_260_803],
    &[20_260_924, 20_260_928],
    &[20_260_930, 20_261_008, 20_261_009],
    &[20_261_120, 20_261_123],
    &[20_261_130, 20_261_201],
    &[20_261_230, 20_261_231],
];

/// What one seed plays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) skew: Skew,
    /// Trading days, `YYYYMMDD`.
    pub(crate) days: &'static [u32],
    /// Contracts at once.
    pub(crate) products: usize,
    pub(crate) density: Density,
    /// Whether sources lose ticks, skip snapshots, break down and bring things again.
    pub(crate) is_lossy: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64, skew: Skew) -> Self {
        Self {
            seed,
            skew,
            days: DAYS[seed as usize % DAYS.len()],
            products: 7,
            density: Density { bursts: 3, ticks: 12 },
            is_lossy: !seed.is_multiple_of(4),
        }
    }
}

impl Scenario {
    /// The true stream and the sources' copies of it, without dirt.
    pub(crate) fn of(plan: Plan) -> Self {
        let mut draw = Draw::new(plan.seed);
        let days: Vec<Day> = plan.days.iter().map(|day| Day::of(*day)).collect();
        let products = choose(plan, &mut draw);
        let mut ticks: Vec<TrueTick> = Vec::new();
        for (index, product) in products.iter().enumerate() {
            ticks.extend(course(index, product, &days, plan.density, &mut draw));
        }
        ticks.sort_by_key(|tick| tick.happened_ms);
        let span = (ticks[0].happened_ms, ticks[ticks.len() - 1].happened_ms);
        let mut fronts = Vec::new();
        for dialect in [Dialect::Ctp, Dialect::Sopt] {
            for place in 0..2 + draw.below(3) {
                fronts.push(front(plan, dialect, place, span, &mut draw));
            }
        }
        let mut scenario = Self {
            seed: plan.seed,
            products,
            days,
            ticks,
            fronts,
            fences: Vec::new(),
            is_doubted: false,
            is_primary_only: false,
            arrivals: Vec::new(),
        };
        for source in 0..scenario.fronts.len() {
            let mut arrivals = scenario.brought_by(source, &mut draw);
            scenario.arrivals.append(&mut arrivals);
        }
        scenario.arrivals.sort_by_key(|arrival| (arrival.at_ns, arrival.source));
        scenario
    }

    /// Whether a source can bring this product at all.
    pub(crate) fn carries(&self, source: usize, product: &Product) -> bool {
        product.is_stock_option() == (self.fronts[source].style.dialect == Dialect::Sopt)
    }

    /// The time of the worker's monotonic clock at this moment.
    pub(crate) fn mono_ns(&self, at_ns: i64) -> u64 {
        (at_ns - self.ticks[0].happened_ms * NS).unsigned_abs() + 5_000_000_000
    }

    /// The record of a true tick as a source writes it.
    pub(crate) fn record(&self, source: usize, tick: usize, at_ns: i64) -> RawTick {
        let tick = &self.ticks[tick];
        self.fronts[source].style.write(tick, &self.products[tick.product], at_ns, self.mono_ns(at_ns))
    }

    fn arrival(&self, source: usize, tick: usize, label: Label, at_ns: i64) -> Arrival {
        Arrival { at_ns, source, label, raw: self.record(source, tick, at_ns) }
    }

    /// What one source brings; it never overtakes itself, as in a pipe.
    fn brought_by(&self, source: usize, draw: &mut Draw) -> Vec<Arrival> {
        let front = &self.fronts[source];
        let mut out = Vec::new();
        let mut pipe_ns = i64::MIN;
        let mut put = |out: &mut Vec<Arrival>, tick: usize, label: Label, at_ns: i64| {
            pipe_ns = at_ns.max(pipe_ns + 1_000);
            out.push(self.arrival(source, tick, label, pipe_ns));
        };
        let mut login = self.ticks[0].happened_ms;
        let mut missed: Vec<usize> = Vec::new();
        for (index, tick) in self.ticks.iter().enumerate() {
            if !self.carries(source, &self.products[tick.product]) {
                continue;
            }
            if let Some(morning) = night_replay(front, login, tick) {
                login = morning;
                for night in self.night_before(source, tick.trading_day) {
                    put(&mut out, night, Label::Again(night, Dirt::NightReplay), morning * NS);
                }
            }
            if let Some((down, up)) = front.outage {
                if (down..up).contains(&tick.happened_ms) {
                    if tick.happened_ms < down + (up - down) / 2 {
                        missed.push(index);
                    }
                    continue;
                }
                if tick.happened_ms >= up {
                    for again in missed.drain(..) {
                        put(&mut out, again, Label::Again(again, Dirt::Reconnect), up * NS);
                    }
                }
            }
            if draw.chance(front.lost_percent) || draw.below(front.takes_one_in) != 0 {
                continue;
            }
            let at_ns = (tick.happened_ms + front.delay_ms) * NS + draw.between(0, front.jitter_ms * 1_000) * 1_000;
            put(&mut out, index, Label::True(index), at_ns);
            if draw.chance(front.twice_percent) {
                put(&mut out, index, Label::True(index), at_ns);
            }
        }
        out
    }

    /// The ticks of the night section of this trading day.
    fn night_before(&self, source: usize, trading_day: Day) -> Vec<usize> {
        let is_night = |tick: &TrueTick| {
            tick.trading_day == trading_day
                && tick.happened_ms < trading_day.plus(4 * HOUR)
                && self.carries(source, &self.products[tick.product])
        };
        (0..self.ticks.len()).filter(|index| is_night(&self.ticks[*index])).collect()
    }
}

/// When a source logs in that morning and brings the night again; nothing when it has done so already.
fn night_replay(front: &Front, last_login: i64, tick: &TrueTick) -> Option<i64> {
    let morning = tick.trading_day.plus(8 * HOUR + 56 * MINUTE);
    (front.replays_night && tick.happened_ms > morning && morning > last_login).then_some(morning)
}

/// Contracts of this seed: over a few seeds all of them.
fn choose(plan: Plan, draw: &mut Draw) -> Vec<Product> {
    let mut left: Vec<Product> = PRODUCTS.to_vec();
    let mut chosen: Vec<Product> = Vec::new();
    while chosen.len() < plan.products.min(PRODUCTS.len()) {
        chosen.push(left.swap_remove(draw.below(left.len() as u64) as usize));
    }
    chosen
}

fn front(plan: Plan, dialect: Dialect, place: u64, span: (i64, i64), draw: &mut Draw) -> Front {
    let (delay_ms, jitter_ms) = match plan.skew {
        Skew::BelowGap => (draw.between(1, 40), draw.between(1, 150)),
        Skew::AboveGap => (draw.between(1, 3_000), draw.pick(&[20, 400, 2_000, 12_000])),
    };
    let is_lossy = plan.is_lossy;
    let down = span.0 + draw.below((span.1 - span.0).unsigned_abs()).cast_signed();
    let down = snap_to_bursts(down, span);
    Front {
        style: Style {
            dialect,
            absent: draw.pick(&[f64::MAX, f64::MAX, f64::from(f32::MAX), f64::NAN]),
            lost_trading_day: draw.chance(20).then(|| draw.pick(&[LostDay::Empty, LostDay::Zeros, LostDay::Saturday])),
            names_exchange: draw.chance(40),
            is_deep: draw.chance(50),
            omits_limits: draw.chance(20),
            zeroes_book: draw.chance(30),
            omits_action_day: draw.chance(20),
        },
        delay_ms,
        jitter_ms,
        lost_percent: if is_lossy { draw.below(25) } else { 0 },
        twice_percent: draw.below(6),
        takes_one_in: if is_lossy && place > 0 && draw.chance(30) { 1 + draw.below(3) } else { 1 },
        outage: (is_lossy && draw.chance(60)).then_some((down, down + draw.between(3, 20) * MINUTE + 30 * SECOND)),
        replays_night: is_lossy && draw.chance(50),
    }
}

/// Sections begin on the full and half hours: an outage that begins before one of them takes ticks with it.
fn snap_to_bursts(at: i64, span: (i64, i64)) -> i64 {
    (at - at.rem_euclid(30 * MINUTE) + 25 * MINUTE).clamp(span.0 + MINUTE, span.1)
}

impl Front {
    /// Whether some of what happened never comes through it.
    pub(crate) fn is_lossy(&self) -> bool {
        self.lost_percent > 0 || self.takes_one_in > 1 || self.outage.is_some()
    }
}
