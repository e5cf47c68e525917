//! Dates, trading days and clock times, by tables and arithmetic of this test's own.

pub(crate) const MS: i64 = 1;
pub(crate) const SECOND: i64 = 1_000 * MS;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Beijing is ahead of UTC by this, all year.
const BEIJING: i64 = 8 * HOUR;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(pub(crate) i64);

/// The first day of 2024: counting from here saves most of the way.
const IN_2024: Day = Day(19_723);

/// Weekdays of 2026 without trading.
const SHUT: [u32; 19] = [
    20_260_101, 20_260_102, 20_260_216, 20_260_217, 20_260_218, 20_260_219, 20_260_220, 20_260_223, 20_260_406,
    20_260_501, 20_260_504, 20_260_505, 20_260_619, 20_260_925, 20_261_001, 20_261_002, 20_261_005, 20_261_006,
    20_261_007,
];

impl Day {
    /// The day written `YYYYMMDD`: by counting the days of whole years and months.
    pub(crate) fn of(yyyymmdd: u32) -> Self {
        let (year, month, day) = (yyyymmdd / 10_000, yyyymmdd / 100 % 100, yyyymmdd % 100);
        let years: i64 = (1970..year).map(|y| if is_leap(y) { 366 } else { 365 }).sum();
        let months: i64 = (1..month).map(|m| month_days(year, m)).sum();
        Self(years + months + i64::from(day) - 1)
    }

    /// As `YYYYMMDD`.
    pub(crate) fn number(self) -> u32 {
        let (mut left, mut year, mut month) =
            if self >= IN_2024 { (self.0 - IN_2024.0, 2024, 1) } else { (self.0, 1970, 1) };
        while left >= if is_leap(year) { 366 } else { 365 } {
            left -= if is_leap(year) { 366 } else { 365 };
            year += 1;
        }
        while left >= month_days(year, month) {
            left -= month_days(year, month);
            month += 1;
        }
        year * 10_000 + month * 100 + left as u32 + 1
    }

    /// The day that it is in Beijing.
    pub(crate) fn at(time_ms: i64) -> Self {
        Self((time_ms + BEIJING).div_euclid(DAY))
    }

    /// This many milliseconds after the day's midnight in Beijing, in ms since the epoch (UTC).
    pub(crate) fn plus(self, of_day_ms: i64) -> i64 {
        self.0 * DAY - BEIJING + of_day_ms
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Monday is 0.
    fn weekday(self) -> i64 {
        (self.0 + 3).rem_euclid(7)
    }

    /// The day itself, or the next one that is a Saturday.
    pub(crate) fn saturday(self) -> Self {
        Self(self.0 + (5 - self.weekday()).rem_euclid(7))
    }

    fn is_weekend(self) -> bool {
        self.weekday() > 4
    }

    pub(crate) fn trades(self) -> bool {
        !self.is_weekend() && !SHUT.contains(&self.number())
    }

    /// The trading day after this day.
    pub(crate) fn following(self) -> Self {
        let mut day = self.next();
        while !day.trades() {
            day = day.next();
        }
        day
    }

    /// The trading day before this day.
    pub(crate) fn preceding(self) -> Self {
        let mut day = Self(self.0 - 1);
        while !day.trades() {
            day = Self(day.0 - 1);
        }
        day
    }

    /// Whether a night section precedes this trading day: not when a public holiday lies in between.
    pub(crate) fn has_night(self) -> bool {
        (self.preceding().0 + 1..self.0).all(|day| Self(day).is_weekend())
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

fn month_days(year: u32, month: u32) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Milliseconds after midnight in Beijing.
pub(crate) fn of_day(time_ms: i64) -> i64 {
    (time_ms + BEIJING).rem_euclid(DAY)
}

/// `HH:MM:SS` in Beijing.
pub(crate) fn clock_text(time_ms: i64) -> String {
    let seconds = of_day(time_ms) / SECOND;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[test]
fn days_and_their_neighbours_are_those_of_a_printed_calendar() {
    assert_eq!(Day::of(20_240_412).0, 19_825);
    assert_eq!((Day::of(20_240_101), IN_2024.number()), (IN_2024, 20_240_101));
    assert_eq!(Day(IN_2024.0 - 1).number(), 20_231_231);
    for (day, weekday, before, after, has_night) in [
        (20_260_105, 0, 20_251_231, 20_260_106, false),
        (20_260_224, 1, 20_260_213, 20_260_225, false),
        (20_260_407, 1, 20_260_403, 20_260_408, false),
        (20_260_403, 4, 20_260_402, 20_260_407, true),
        (20_260_622, 0, 20_260_618, 20_260_623, false),
        (20_260_803, 0, 20_260_731, 20_260_804, true),
        (20_261_008, 3, 20_260_930, 20_261_009, false),
        (20_261_231, 3, 20_261_230, 20_270_101, true),
    ] {
        let found = Day::of(day);
        let neighbours = (found.preceding().number(), found.following().number());
        assert_eq!((found.number(), found.weekday(), neighbours), (day, weekday, (before, after)));
        assert_eq!(found.has_night(), has_night, "{day}");
    }
    // 2026-11-20 21:00:00 in Beijing is 13:00:00 UTC: `date -d 2026-11-20T13:00:00Z +%s`.
    assert_eq!(Day::of(20_261_120).plus(21 * HOUR), 1_795_179_600_000);
    assert_eq!(clock_text(1_795_179_600_000), "21:00:00");
    assert_eq!(Day::at(1_795_179_600_000 + 3 * HOUR), Day::of(20_261_121));
}
