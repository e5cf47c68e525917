//! Beijing time (UTC+8, no daylight saving) and the proleptic Gregorian calendar, as functions.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Beijing is this far ahead of UTC.
const BEIJING_MS: i64 = 8 * 3_600_000;

/// `YYYYMMDD`, terminated.
pub type DateText = [u8; 9];
/// `HH:MM:SS`, terminated.
pub type TimeText = [u8; 9];

/// Days since 1970-01-01 of a Beijing date; `ms` is milliseconds since the epoch.
#[must_use]
pub const fn beijing_day(ms: i64) -> i64 {
    (ms + BEIJING_MS).div_euclid(DAY_MS)
}

/// Milliseconds since the Beijing midnight.
#[must_use]
pub const fn beijing_ms_of_day(ms: i64) -> i64 {
    (ms + BEIJING_MS).rem_euclid(DAY_MS)
}

/// Milliseconds since the epoch at which a Beijing day begins.
#[must_use]
pub const fn beijing_midnight_ms(day: i64) -> i64 {
    day * DAY_MS - BEIJING_MS
}

/// The trading day of an instant, as days since 1970-01-01: it begins at 18:00 of the day before. No calendar: a
/// synthetic market never closes.
#[must_use]
pub const fn trading_day(ms: i64) -> i64 {
    beijing_day(ms + 6 * 3_600_000)
}

/// A day as `YYYYMMDD`.
#[must_use]
pub const fn date_text(day: i64) -> DateText {
    let (year, month, day) = civil(day);
    let mut text = [0; 9];
    digits(&mut text, 0, 4, year);
    digits(&mut text, 4, 2, month);
    digits(&mut text, 6, 2, day);
    text
}

/// Milliseconds since midnight as `HH:MM:SS`.
#[must_use]
pub const fn time_text(ms_of_day: i64) -> TimeText {
    let mut text = [b':'; 9];
    digits(&mut text, 0, 2, ms_of_day / 3_600_000);
    digits(&mut text, 3, 2, ms_of_day / 60_000 % 60);
    digits(&mut text, 6, 2, ms_of_day / 1_000 % 60);
    text[8] = 0;
    text
}

/// Days since 1970-01-01 of a `YYYYMMDD`; `None` for anything else.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
    let days = days_from_civil(year, month, day);
    (civil(days) == (year, month, day)).then_some(days)
}

/// Milliseconds since midnight of an `HH:MM:SS`; `None` for anything else.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|p| if p.len() == 2 { p.parse::<u8>().ok().map(i64::from) } else { None });
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && hour < 24 && minute < 60 && second < 60)
        .then_some(((hour * 60 + minute) * 60 + second) * 1_000)
}

/// The last day before `day` that is neither Saturday nor Sunday.
#[must_use]
pub const fn previous_weekday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday: day + 3 counts from a Monday.
    match (day + 3).rem_euclid(7) {
        0 => day - 3,
        6 => day - 2,
        _ => day - 1,
    }
}

/// The first day after `day` that is neither Saturday nor Sunday.
#[must_use]
pub const fn next_weekday(day: i64) -> i64 {
    match (day + 3).rem_euclid(7) {
        4 => day + 3,
        5 => day + 2,
        _ => day + 1,
    }
}

const fn digits(text: &mut [u8; 9], at: usize, count: usize, mut value: i64) {
    let mut i = count;
    while i > 0 {
        i -= 1;
        text[at + i] = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day. Years begin in March here, so that the leap day comes last.
const fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year, month, of_year - (153 * month_from_march + 2) / 5 + 1)
}

const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - (month <= 2) as i64;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8; 9]) -> &str {
        assert_eq!(text[8], 0);
        std::str::from_utf8(&text[..8]).expect("ASCII")
    }

    #[test]
    fn known_instants_have_their_beijing_dates_and_trading_days() {
        // 2024-04-12 (a Friday) 12:59:59 UTC is 20:59:59 in Beijing.
        let ms = 1_712_926_799_000;
        assert_eq!(shown(&date_text(beijing_day(ms))), "20240412");
        assert_eq!(shown(&date_text(trading_day(ms))), "20240413");
        assert_eq!(shown(&time_text(beijing_ms_of_day(ms))), "20:59:59");
        // 2000-02-29 16:00 UTC is midnight in Beijing.
        assert_eq!(shown(&date_text(beijing_day(951_840_000_000))), "20000301");
    }

    #[test]
    fn dates_come_back_and_impossible_ones_are_refused() {
        for day in (-30_000..60_000).step_by(13) {
            assert_eq!(parse_date(shown(&date_text(day))), Some(day));
        }
        for bad in ["", "2024041", "20240230", "20241301", "2024-4-1", "+2024041"] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
        assert_eq!(parse_time("09:30:01"), Some(34_201_000));
        for bad in ["99:99:99", "", "9:30:00", "09:30", "24:00:00", "09:30:00:00"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_weekday_before_a_monday_is_a_friday() {
        let monday = parse_date("20240415").expect("a date");
        assert_eq!(shown(&date_text(previous_weekday(monday))), "20240412");
        assert_eq!(shown(&date_text(previous_weekday(monday - 1))), "20240412");
        assert_eq!(previous_weekday(monday + 1), monday);
        for friday_to_sunday in 1..=3 {
            assert_eq!(next_weekday(monday - friday_to_sunday), monday);
        }
        assert_eq!(next_weekday(monday), monday + 1);
    }
}
