//! Weekdays on which the mainland exchanges are shut, as (year, month, day).
//!
//! Source: the Shanghai calendar of PyPI's `exchange_calendars` 4.13 (Apache-2.0), which ends with 2026.

use jiff::civil::Date;

/// The first day that the list covers.
pub(super) const FROM: Date = jiff::civil::date(2024, 1, 1);

/// The last day that the list covers.
pub(super) const UNTIL: Date = jiff::civil::date(2026, 12, 31);

/// The list.
pub(super) fn shipped() -> impl Iterator<Item = Date> {
    let year = |year: i16, days: &'static [(i8, i8)]| days.iter().map(move |&(month, day)| (year, month, day));
    let all = year(2024, OF_2024).chain(year(2025, OF_2025)).chain(year(2026, OF_2026));
    all.filter_map(|(year, month, day)| Date::new(year, month, day).ok())
}

const OF_2024: &[(i8, i8)] = &[
    (1, 1),
    (2, 9),
    (2, 12),
    (2, 13),
    (2, 14),
    (2, 15),
    (2, 16),
    (4, 4),
    (4, 5),
    (5, 1),
    (5, 2),
    (5, 3),
    (6, 10),
    (9, 16),
    (9, 17),
    (10, 1),
    (10, 2),
    (10, 3),
    (10, 4),
    (10, 7),
];

const OF_2025: &[(i8, i8)] = &[
    (1, 1),
    (1, 28),
    (1, 29),
    (1, 30),
    (1, 31),
    (2, 3),
    (2, 4),
    (4, 4),
    (5, 1),
    (5, 2),
    (5, 5),
    (6, 2),
    (10, 1),
    (10, 2),
    (10, 3),
    (10, 6),
    (10, 7),
    (10, 8),
];

const OF_2026: &[(i8, i8)] = &[
    (1, 1),
    (1, 2),
    (2, 16),
    (2, 17),
    (2, 18),
    (2, 19),
    (2, 20),
    (2, 23),
    (4, 6),
    (5, 1),
    (5, 4),
    (5, 5),
    (6, 19),
    (9, 25),
    (10, 1),
    (10, 2),
    (10, 5),
    (10, 6),
    (10, 7),
];
