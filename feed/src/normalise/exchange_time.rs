//! The exchange's time of a snapshot, from the dates and the time of day that vendors write.
//!
//! A night section belongs to the next trading day, and exchanges disagree on how to say so. For a Friday night:
//!
//! | exchange | `TradingDay` | `ActionDay` |
//! |---|---|---|
//! | SHFE, INE | Monday | Friday |
//! | DCE | Monday | Monday, wrong |
//! | CZCE | Friday, wrong | Friday |
//!
//! So CZCE is dated by its `ActionDay`, and its trading day is derived; every other exchange is dated by its `TradingDay`:
//! from 05:00 to 18:00 it is that day, from 18:00 the date of the trading day before, and until 05:00 the calendar day
//! after that one. A date that is empty, unreadable or (as `TradingDay`) no trading day gives way to the other one; two dates
//! that lie weeks apart are none.

use jiff::civil::Date;
use mdhub_spec::calendar::{TradingCalendar, compact, midnight_ms};
use mdhub_spec::contract::Exchange;
use mdhub_spec::raw_tick::{RawTick, text};

/// `TradingDay` and `ActionDay` lie no further apart: the longest holidays are eleven days with their weekends.
const DAYS_APART_MAX: i32 = 15;

/// Which days trade, and whether that matters.
#[derive(Debug, Clone, Copy)]
pub struct DayRule<'a> {
    /// Trading days.
    pub calendar: &'a TradingCalendar,
    /// For environments that run 7x24: the date is the `ActionDay`, else the `TradingDay`, and no calendar applies.
    pub always_open: bool,
    /// Whether `ActionDay` is right on every exchange: it is in ticks that another program has dated.
    pub is_action_day_right: bool,
}

/// Why a record has no exchange time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFault {
    /// `UpdateTime` is empty.
    NoTime,
    /// `UpdateTime` is not `HH:MM:SS` of a day.
    TimeOfDay,
    /// `UpdateMillisec` is not 0 to 999.
    Millisecond,
    /// Neither `TradingDay` nor `ActionDay` is a date, `YYYYMMDD` from 1990 to 2099, or they lie weeks apart.
    Date,
}

/// When a snapshot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since the epoch, UTC.
    pub exchange_time_ms: i64,
    /// `YYYYMMDD`.
    pub trading_day: u32,
}

/// What a time of day says about its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// 00:00 to 05:00: the rest of a night section.
    EarlyMorning,
    /// 05:00 to 18:00.
    Day,
    /// 18:00 to 24:00: of the next trading day.
    Evening,
}

impl Part {
    const fn of_hour(hour: u32) -> Self {
        match hour {
            0..5 => Self::EarlyMorning,
            5..18 => Self::Day,
            _ => Self::Evening,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    trading_day: [u8; 9],
    action_day: [u8; 9],
    part: Part,
    dated: Option<Dated>,
}

#[derive(Debug, Clone, Copy)]
struct Dated {
    /// Beijing midnight of the snapshot's date, ms since the epoch.
    midnight_ms: i64,
    trading_day: u32,
}

/// The dates that a source sent last, one entry an exchange: dates change twice a day, ticks twice a second.
#[derive(Debug, Clone, Default)]
pub struct DateCache([Option<Entry>; Exchange::ALL.len()]);

/// The exchange time and trading day of a record.
///
/// # Errors
/// When the time of day or the dates make none.
pub fn stamp(raw: &RawTick, exchange: Exchange, rule: &DayRule<'_>, cache: &mut DateCache) -> Result<Stamp, TimeFault> {
    let (hour, since_midnight_ms) = time_of_day(&raw.update_time, raw.update_ms.get())?;
    let part = Part::of_hour(hour);
    let slot = &mut cache.0[exchange as usize];
    let cached = slot.filter(|e| e.part == part && e.trading_day == raw.trading_day && e.action_day == raw.action_day);
    let entry = cached.unwrap_or_else(|| {
        let dated = dated(raw, part, exchange, rule);
        Entry { trading_day: raw.trading_day, action_day: raw.action_day, part, dated }
    });
    *slot = Some(entry);
    let Dated { midnight_ms, trading_day } = entry.dated.ok_or(TimeFault::Date)?;
    Ok(Stamp { exchange_time_ms: midnight_ms + since_midnight_ms, trading_day })
}

/// Hour, and milliseconds since midnight.
fn time_of_day(field: &[u8; 9], update_ms: i32) -> Result<(u32, i64), TimeFault> {
    let time = text(field);
    if time.is_empty() {
        return Err(TimeFault::NoTime);
    }
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = time else { return Err(TimeFault::TimeOfDay) };
    let pair = |a, b, below| number(&[a, b]).filter(|n| *n < below).ok_or(TimeFault::TimeOfDay);
    let (hour, minute, second) = (pair(h1, h2, 24)?, pair(m1, m2, 60)?, pair(s1, s2, 60)?);
    if !(0..1000).contains(&update_ms) {
        return Err(TimeFault::Millisecond);
    }
    Ok((hour, i64::from((hour * 60 + minute) * 60 + second) * 1000 + i64::from(update_ms)))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// `YYYYMMDD`, or nothing where that is no day that markets know.
fn parse(field: &[u8; 9]) -> Option<Date> {
    let digits: &[u8; 8] = text(field).try_into().ok()?;
    let year = i16::try_from(number(&digits[..4])?).ok().filter(|year| (1990..2100).contains(year))?;
    let month = i8::try_from(number(&digits[4..6])?).ok()?;
    let day = i8::try_from(number(&digits[6..])?).ok()?;
    Date::new(year, month, day).ok()
}

fn dated(raw: &RawTick, part: Part, exchange: Exchange, rule: &DayRule<'_>) -> Option<Dated> {
    let (trading_day, action_day) = (parse(&raw.trading_day), parse(&raw.action_day));
    if let (Some(trading_day), Some(action_day)) = (trading_day, action_day)
        && !rule.always_open
        && (trading_day - action_day).get_days().abs() > DAYS_APART_MAX
    {
        return None;
    }
    let (date, trading_day) = if rule.always_open {
        let date = action_day.or(trading_day)?;
        (date, trading_day.unwrap_or(date))
    } else if exchange == Exchange::Czce || rule.is_action_day_right {
        by_date(action_day.or(trading_day)?, part, rule.calendar)?
    } else {
        by_trading_day(trading_day, action_day, part, exchange, rule.calendar)?
    };
    Some(Dated { midnight_ms: midnight_ms(date), trading_day: compact(trading_day) })
}

/// By `TradingDay`, where it is one. Else by `ActionDay`; but at night DCE's and GFEX's are trading days too, and a
/// `TradingDay` without an `ActionDay` can only mean the next day that trades.
fn by_trading_day(
    trading_day: Option<Date>,
    action_day: Option<Date>,
    part: Part,
    exchange: Exchange,
    calendar: &TradingCalendar,
) -> Option<(Date, Date)> {
    if let Some(day) = trading_day.filter(|day| calendar.is_trading_day(*day)) {
        return Some((date_of(day, part, calendar)?, day));
    }
    let is_action_day_right = part == Part::Day || !matches!(exchange, Exchange::Dce | Exchange::Gfex);
    match action_day.filter(|_| is_action_day_right) {
        Some(date) => by_date(date, part, calendar),
        None => {
            let given = trading_day.or(action_day)?;
            if part == Part::Day {
                return Some((given, given));
            }
            let day = if calendar.is_trading_day(given) { given } else { calendar.after(given)? };
            Some((date_of(day, part, calendar)?, day))
        }
    }
}

/// The calendar date of a part of trading day `day`.
fn date_of(day: Date, part: Part, calendar: &TradingCalendar) -> Option<Date> {
    match part {
        Part::Day => Some(day),
        Part::Evening => calendar.before(day),
        Part::EarlyMorning => calendar.before(day)?.tomorrow().ok(),
    }
}

/// `date` with the trading day that a part of it belongs to.
fn by_date(date: Date, part: Part, calendar: &TradingCalendar) -> Option<(Date, Date)> {
    let trading_day = match part {
        Part::Day => date,
        Part::Evening => calendar.after(date)?,
        // The first trading day from this date on.
        Part::EarlyMorning => calendar.after(date.yesterday().ok()?)?,
    };
    Some((date, trading_day))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::{Offset, TimeZone};
    use mdhub_spec::raw_tick::field;

    use super::*;

    fn raw(trading_day: &str, action_day: &str, time: &str, ms: i32) -> RawTick {
        RawTick {
            trading_day: field(trading_day.as_bytes()),
            action_day: field(action_day.as_bytes()),
            update_time: field(time.as_bytes()),
            update_ms: ms.into(),
            ..RawTick::default()
        }
    }

    fn calendar() -> TradingCalendar {
        // 2024-04-04 and 05 were holidays, before a weekend.
        TradingCalendar::new([date(2024, 4, 4), date(2024, 4, 5)], date(2024, 12, 31))
    }

    /// The Beijing time as people write it, and the trading day.
    fn shown(raw: &RawTick, exchange: Exchange, always_open: bool) -> Result<(String, u32), TimeFault> {
        let rule = DayRule { calendar: &calendar(), always_open, is_action_day_right: false };
        let stamp = stamp(raw, exchange, &rule, &mut DateCache::default())?;
        let at = jiff::Timestamp::from_millisecond(stamp.exchange_time_ms).expect("in range");
        let at = at.to_zoned(TimeZone::fixed(Offset::constant(8)));
        Ok((at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(), stamp.trading_day))
    }

    #[test]
    fn a_friday_night_is_dated_right_however_the_exchange_writes_it() {
        use Exchange::{Cffex, Czce, Dce, Ine, Shfe};
        for (exchange, trading_day, action_day, time, expected) in [
            (Shfe, "20240415", "20240412", "21:00:00", "2024-04-12 21:00:00.005"),
            (Ine, "20240415", "20240413", "02:29:59", "2024-04-13 02:29:59.005"),
            (Dce, "20240415", "20240415", "21:00:00", "2024-04-12 21:00:00.005"),
            (Dce, "20240415", "20240415", "00:30:00", "2024-04-13 00:30:00.005"),
            (Czce, "20240412", "20240412", "21:00:00", "2024-04-12 21:00:00.005"),
            (Czce, "20240412", "20240413", "00:30:00", "2024-04-13 00:30:00.005"),
            (Czce, "20240412", "", "21:00:00", "2024-04-12 21:00:00.005"),
            (Dce, "20240415", "20240415", "20:59:00", "2024-04-12 20:59:00.005"),
            (Dce, "20240415", "20240415", "23:59:59", "2024-04-12 23:59:59.005"),
            (Cffex, "20240415", "", "09:30:00", "2024-04-15 09:30:00.005"),
        ] {
            let found = shown(&raw(trading_day, action_day, time, 5), exchange, false);
            assert_eq!(found, Ok((expected.into(), 20_240_415)), "{exchange} {trading_day}/{action_day} {time}");
        }
    }

    #[test]
    fn around_holidays_and_in_midweek_nights_too() {
        use Exchange::{Czce, Dce};
        for (exchange, trading_day, action_day, time, expected) in [
            (Dce, "20240408", "20240408", "21:00:00", ("2024-04-03 21:00:00.000", 20_240_408)),
            (Czce, "20240403", "20240403", "21:00:00", ("2024-04-03 21:00:00.000", 20_240_408)),
            (Dce, "20240417", "20240417", "00:00:00", ("2024-04-17 00:00:00.000", 20_240_417)),
            (Czce, "20240416", "20240417", "00:00:00", ("2024-04-17 00:00:00.000", 20_240_417)),
            (Czce, "20240416", "20240416", "15:00:00", ("2024-04-16 15:00:00.000", 20_240_416)),
            (Dce, "20240416", "20240416", "05:00:00", ("2024-04-16 05:00:00.000", 20_240_416)),
            (Dce, "20240416", "20240416", "17:59:59", ("2024-04-16 17:59:59.000", 20_240_416)),
            (Dce, "20240416", "20240416", "18:00:00", ("2024-04-15 18:00:00.000", 20_240_416)),
        ] {
            let found = shown(&raw(trading_day, action_day, time, 0), exchange, false);
            assert_eq!(found, Ok((expected.0.into(), expected.1)), "{exchange} {trading_day}/{action_day} {time}");
        }
    }

    #[test]
    fn an_unusable_date_gives_way_to_the_other_one() {
        use Exchange::{Czce, Dce, Shfe};
        for (exchange, trading_day, action_day, expected) in [
            (Shfe, "", "20240412", Ok(("2024-04-12 21:00:00.000", 20_240_415))),
            (Shfe, "20240413", "20240412", Ok(("2024-04-12 21:00:00.000", 20_240_415))),
            (Shfe, "20240231", "20240412", Ok(("2024-04-12 21:00:00.000", 20_240_415))),
            (Shfe, "20240413", "", Ok(("2024-04-12 21:00:00.000", 20_240_415))),
            (Shfe, "20240405", "20240403", Ok(("2024-04-03 21:00:00.000", 20_240_408))),
            (Dce, "20240413", "20240413", Ok(("2024-04-12 21:00:00.000", 20_240_415))),
            (Dce, "", "20240415", Ok(("2024-04-12 21:00:00.000", 20_240_415))),
            (Shfe, "20240415", "20240101", Err(TimeFault::Date)),
            (Shfe, "20250415", "20240415", Err(TimeFault::Date)),
            (Shfe, "00000000", "", Err(TimeFault::Date)),
            (Shfe, "2024041x", "1989", Err(TimeFault::Date)),
            (Shfe, "19700101", "99991231", Err(TimeFault::Date)),
            (Czce, "20240412", "20241301", Ok(("2024-04-12 21:00:00.000", 20_240_415))),
            (Czce, "", "", Err(TimeFault::Date)),
        ] {
            let found = shown(&raw(trading_day, action_day, "21:00:00", 0), exchange, false);
            assert_eq!(found, expected.map(|(at, day)| (at.into(), day)), "{exchange} {trading_day}/{action_day}");
        }
    }

    #[test]
    fn an_environment_that_never_closes_is_dated_by_its_action_day() {
        for (trading_day, action_day, expected) in [
            ("20240415", "20240413", ("2024-04-13 21:00:00.000", 20_240_415)),
            ("20240413", "", ("2024-04-13 21:00:00.000", 20_240_413)),
            ("", "20240413", ("2024-04-13 21:00:00.000", 20_240_413)),
        ] {
            for exchange in [Exchange::Dce, Exchange::Czce] {
                let found = shown(&raw(trading_day, action_day, "21:00:00", 0), exchange, true);
                assert_eq!(found, Ok((expected.0.into(), expected.1)), "{exchange} {trading_day}/{action_day}");
            }
        }
    }

    #[test]
    fn a_time_that_no_clock_shows_is_a_fault_and_milliseconds_are_an_integer() {
        for (time, ms, expected) in [
            ("", 0, Err(TimeFault::NoTime)),
            ("99:99:99", 0, Err(TimeFault::TimeOfDay)),
            ("24:00:00", 0, Err(TimeFault::TimeOfDay)),
            ("09:60:00", 0, Err(TimeFault::TimeOfDay)),
            ("09:00:60", 0, Err(TimeFault::TimeOfDay)),
            ("9:00:00", 0, Err(TimeFault::TimeOfDay)),
            ("09-00-00", 0, Err(TimeFault::TimeOfDay)),
            ("0a:00:00", 0, Err(TimeFault::TimeOfDay)),
            ("09:00:00", -1, Err(TimeFault::Millisecond)),
            ("09:00:00", 1000, Err(TimeFault::Millisecond)),
            ("09:00:00", 5, Ok("2024-04-15 09:00:00.005")),
            ("09:00:00", 45, Ok("2024-04-15 09:00:00.045")),
            ("09:00:00", 999, Ok("2024-04-15 09:00:00.999")),
        ] {
            let found = shown(&raw("20240415", "20240415", time, ms), Exchange::Shfe, false);
            assert_eq!(found.map(|(at, _)| at), expected.map(str::to_owned), "{time} {ms}");
        }
    }

    #[test]
    fn the_cache_never_answers_for_another_date_part_or_exchange() {
        let calendar = calendar();
        let (mut cache, rule) =
            (DateCache::default(), DayRule { calendar: &calendar, always_open: false, is_action_day_right: false });
        let days = ["20240412", "20240415", "20240416", "", "bad"];
        let parts = ["00:30:00", "10:00:00", "21:00:00"];
        for (trading_day, action_day) in days.iter().flat_map(|t| days.iter().map(move |a| (*t, *a))) {
            for (time, exchange) in parts.iter().flat_map(|t| [(*t, Exchange::Shfe), (*t, Exchange::Czce)]) {
                let raw = raw(trading_day, action_day, time, 0);
                let fresh = stamp(&raw, exchange, &rule, &mut DateCache::default());
                for _ in 0..2 {
                    assert_eq!(stamp(&raw, exchange, &rule, &mut cache), fresh, "{trading_day}/{action_day} {time}");
                }
            }
        }
    }
}
