//! Dirty records, each made from a true one. Pure.

use crate::date::{
    DAY_MS, DateText, beijing_midnight_ms, date_text, next_weekday, parse_date, parse_time, previous_weekday, time_text,
};
use crate::flavour::Flavour;
use crate::instrument::Instrument;
use crate::record::{LEVELS, Snapshot};
use crate::scenario::{AbsentValue, AbsentValues, Disputed, Field, JunkTime, Kind, TimeForm};

/// What `Handed::kind` is of a true record.
pub(crate) const TRUE: &str = "true";

/// Lots of a day that was traded to its end.
const FULL_DAY_LOTS: i32 = 100_000;

const HOUR_MS: i64 = 3_600_000;

/// A record to hand over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Handed {
    /// [`TRUE`], or the scenario's kind.
    pub(crate) kind: &'static str,
    /// Another instrument than the true record's.
    pub(crate) stray: Option<Vec<u8>>,
    pub(crate) snapshot: Snapshot,
}

impl Handed {
    pub(crate) const fn truth(snapshot: &Snapshot) -> Self {
        Self { kind: TRUE, stray: None, snapshot: *snapshot }
    }
}

/// Adds what a scenario makes of a true record: nothing where it cannot be told from the truth.
pub(crate) fn make(kind: &Kind, code: &[u8], truth: &Snapshot, flavour: Flavour, out: &mut Vec<Handed>) {
    let mut stray = None;
    let mut dirty = *truth;
    let tick = Instrument::of(code, flavour).map_or(1.0, |i| i.price(1));
    match kind {
        Kind::AbsentValues(absent) => absent_values(&mut dirty, absent, flavour),
        Kind::JunkTime(junk) => junk_time(&mut dirty, junk),
        Kind::BackwardsVolume(back) => {
            let before = f64::from(dirty.volume.max(1));
            dirty.volume = dirty.volume.saturating_sub(back.lots).max(0);
            dirty.turnover *= f64::from(dirty.volume) / before;
        }
        Kind::BackwardsTurnover(back) => dirty.turnover *= 1.0 - back.percent / 100.0,
        Kind::Jump(jump) => prices(&mut dirty, |price| {
            let ticks = price * (1.0 + jump.percent / 100.0) / tick;
            ticks.round() * tick
        }),
        Kind::CrossedBook(_) => {
            let best = &mut dirty.levels[0];
            std::mem::swap(&mut best.bid_price, &mut best.ask_price);
        }
        Kind::NegativePrice(_) => prices(&mut dirty, |price| -price),
        Kind::SameSecond(same) => {
            for _ in 0..same.copies {
                dirty.levels[0].bid_volume = dirty.levels[0].bid_volume.saturating_add(1);
                out.push(Handed { kind: kind.name(), stray: None, snapshot: dirty });
            }
            return;
        }
        Kind::StrayInstrument(other) => stray = Some(other.code.as_bytes().to_vec()),
        Kind::ClosingResend(resend) => closing(&mut dirty, resend.time.as_bytes()),
        Kind::NightReplay(replay) => return night(truth, replay.records, tick, out),
        Kind::Disagree(disagree) => differ(&mut dirty, disagree.field, f64::from(disagree.ticks) * tick),
        Kind::WrongActionDay(_) if is_night(truth) => dirty.action_day = truth.trading_day,
        Kind::WrongTradingDay(_) if is_night(truth) => dirty.trading_day = truth.action_day,
        _ => return,
    }
    if stray.is_some() || dirty != *truth {
        out.push(Handed { kind: kind.name(), stray, snapshot: dirty });
    }
}

fn text(field: &[u8; 9]) -> &str {
    std::str::from_utf8(field).unwrap_or_default().trim_end_matches('\0')
}

fn of_day_ms(snapshot: &Snapshot) -> Option<i64> {
    parse_time(text(&snapshot.update_time))
}

/// Between 18:00 and 05:00.
fn is_night(snapshot: &Snapshot) -> bool {
    of_day_ms(snapshot).is_some_and(|ms| !(5 * HOUR_MS..18 * HOUR_MS).contains(&ms))
}

/// Last price and the book.
fn prices(s: &mut Snapshot, change: impl Fn(f64) -> f64) {
    let is_there = |price: f64| price.is_finite() && price.abs() < f64::from(f32::MAX) && price != 0.0;
    let levels = s.levels.iter_mut().flat_map(|level| [&mut level.bid_price, &mut level.ask_price]);
    for price in levels.chain([&mut s.last]).filter(|price| is_there(**price)) {
        *price = change(*price);
    }
}

fn absent_values(s: &mut Snapshot, absent: &AbsentValues, flavour: Flavour) {
    let value = match absent.value {
        AbsentValue::Flavour => flavour.absent(),
        AbsentValue::DblMax => f64::MAX,
        AbsentValue::FltMax => f64::from(f32::MAX),
        AbsentValue::Nan => f64::NAN,
        AbsentValue::Infinity => f64::INFINITY,
        AbsentValue::Zero => 0.0,
    };
    let all = [
        Field::Last,
        Field::Open,
        Field::High,
        Field::Low,
        Field::Close,
        Field::Settlement,
        Field::PreClose,
        Field::PreSettlement,
        Field::Limits,
        Field::Book,
        Field::Average,
    ];
    for field in if absent.fields.is_empty() { &all[..] } else { &absent.fields } {
        match field {
            Field::Last => s.last = value,
            Field::Open => s.open = value,
            Field::High => s.high = value,
            Field::Low => s.low = value,
            Field::Close => s.close = value,
            Field::Settlement => s.settlement = value,
            Field::PreClose => s.pre_close = value,
            Field::PreSettlement => s.pre_settlement = value,
            Field::Limits => (s.limit_up, s.limit_down) = (value, value),
            Field::Average => s.average = value,
            Field::Book => {
                for level in s.levels.iter_mut().take(LEVELS) {
                    (level.bid_price, level.ask_price, level.bid_volume, level.ask_volume) = (value, value, 0, 0);
                }
            }
        }
    }
}

fn junk_time(s: &mut Snapshot, junk: &JunkTime) {
    match junk.form {
        TimeForm::EmptyTime => s.update_time = [0; 9],
        TimeForm::Nines => s.update_time = *b"99:99:99\0",
        TimeForm::ImpossibleDate => (s.trading_day, s.action_day) = (*b"20260230\0", *b"20260230\0"),
        TimeForm::EmptyDate => (s.trading_day, s.action_day) = ([0; 9], [0; 9]),
        TimeForm::EmptyActionDay => s.action_day = [0; 9],
        TimeForm::Stale => earlier(s, i64::from(junk.hours) * HOUR_MS),
    }
}

/// Sets a record's clock back. The trading day goes by whole days.
fn earlier(s: &mut Snapshot, by_ms: i64) {
    let (Some(of_day), Some(day)) = (of_day_ms(s), parse_date(text(&s.action_day))) else { return };
    let ms = day * DAY_MS + of_day - by_ms;
    s.update_time = time_text(ms.rem_euclid(DAY_MS));
    s.action_day = date_text(ms.div_euclid(DAY_MS));
    if let Some(trading) = parse_date(text(&s.trading_day)) {
        s.trading_day = date_text(trading - by_ms / DAY_MS);
    }
}

/// The snapshot after the close, with a full day's volume. By day the next trading day has not begun: it is dated ahead.
fn closing(s: &mut Snapshot, time: &[u8]) {
    if !is_night(s) {
        s.trading_day = following(&s.trading_day);
    }
    s.update_time = [0; 9];
    s.update_time[..time.len().min(8)].copy_from_slice(&time[..time.len().min(8)]);
    s.update_ms = 0;
    s.volume = s.volume.saturating_add(FULL_DAY_LOTS);
    s.close = s.last;
    s.settlement = s.last;
}

fn following(day: &DateText) -> DateText {
    parse_date(text(day)).map_or(*day, |day| date_text(next_weekday(day)))
}

/// A night section from 21:00 on, half a second apart, whose volume grows towards the true record's: that of the record's
/// trading day, or of the one before as long as that night is not over yet.
fn night(truth: &Snapshot, records: u32, tick: f64, out: &mut Vec<Handed>) {
    let (Some(trading), Some(now_ms)) = (parse_date(text(&truth.trading_day)), moment_ms(truth)) else { return };
    let begins_ms = |trading| beijing_midnight_ms(previous_weekday(trading)) + 21 * HOUR_MS;
    let is_ahead = begins_ms(trading) + 500 * i64::from(records) > now_ms;
    let trading = if is_ahead { previous_weekday(trading) } else { trading };
    let begins_ms = begins_ms(trading);
    for k in 0..i64::from(records) {
        let ms = begins_ms + 500 * k;
        let mut record = *truth;
        record.trading_day = date_text(trading);
        record.action_day = date_text(crate::date::beijing_day(ms));
        record.update_time = time_text(crate::date::beijing_ms_of_day(ms));
        record.update_ms = (ms % 1_000) as i32;
        record.volume = (i64::from(truth.volume) * (k + 1) / (i64::from(records) + 1)) as i32;
        record.turnover = truth.turnover * f64::from(record.volume) / f64::from(truth.volume.max(1));
        record.last += (k % 3) as f64 * tick;
        out.push(Handed { kind: "night_replay", stray: None, snapshot: record });
    }
}

/// When a record says that it was made, milliseconds since the epoch.
fn moment_ms(s: &Snapshot) -> Option<i64> {
    Some(beijing_midnight_ms(parse_date(text(&s.action_day))?) + of_day_ms(s)?)
}

fn differ(s: &mut Snapshot, field: Disputed, by: f64) {
    match field {
        Disputed::Last => s.last += by,
        Disputed::Level1 => {
            s.levels[0].bid_price -= by;
            s.levels[0].ask_price += by;
        }
        Disputed::Limits => (s.limit_up, s.limit_down) = (s.limit_up + by, s.limit_down - by),
    }
}
