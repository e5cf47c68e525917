//! The products of the six futures exchanges, as of 2026.
//!
//! Sources: the product tables of WonderTrader (`dist/common`, MIT) and TqSdk (2020-06-16, Apache-2.0), with the exchanges'
//! rules where the tables are wrong or too old: natural rubber's night ends at 23:00, treasury futures trade from 09:30 to
//! 15:15, CFFEX and GFEX have no night. Rows marked [`Quality::Unchecked`] are of products that are younger than both.

use jiff::civil::Date;

use super::{Product, Quality};
use crate::calendar::Hours;
use crate::contract::Exchange;

/// One row.
pub(super) struct Row {
    pub(super) code: &'static str,
    multiplier: Option<f64>,
    price_tick: Option<f64>,
    hours: Hours,
    quality: Quality,
}

impl Row {
    pub(super) fn product(&self) -> Product {
        Product {
            multiplier: self.multiplier,
            price_tick: self.price_tick,
            quality: self.quality,
            hours: vec![(Date::MIN, self.hours.clone())],
        }
    }
}

/// The hours of a product that the table does not have.
pub(super) const fn widest(exchange: Exchange) -> Hours {
    match exchange {
        Exchange::Shfe | Exchange::Ine => Hours::NIGHT_0230,
        Exchange::Dce | Exchange::Czce => Hours::NIGHT_2300,
        Exchange::Cffex => Hours::BOND,
        Exchange::Gfex => Hours::DAY,
        Exchange::Sse | Exchange::Szse => Hours::STOCK,
    }
}

const fn row(code: &'static str, hours: Hours, multiplier: f64, price_tick: f64) -> Row {
    Row { code, multiplier: Some(multiplier), price_tick: Some(price_tick), hours, quality: Quality::Checked }
}

/// Younger than the public tables.
const fn young(code: &'static str, hours: Hours, multiplier: f64, price_tick: f64) -> Row {
    Row { code, multiplier: Some(multiplier), price_tick: Some(price_tick), hours, quality: Quality::Unchecked }
}

/// Of which only the hours are known, and the numbers are not.
const fn vague(code: &'static str, hours: Hours) -> Row {
    Row { code, multiplier: None, price_tick: None, hours, quality: Quality::Unchecked }
}

use Hours as H;

/// Code, hours, multiplier, tick size.
pub(super) const TABLE: &[(Exchange, &[Row])] = &[
    (Exchange::Shfe, SHFE),
    (Exchange::Ine, INE),
    (Exchange::Dce, DCE),
    (Exchange::Czce, CZCE),
    (Exchange::Cffex, CFFEX),
    (Exchange::Gfex, GFEX),
];

const SHFE: &[Row] = &[
    row("cu", H::NIGHT_0100, 5.0, 10.0),
    row("al", H::NIGHT_0100, 5.0, 5.0),
    row("zn", H::NIGHT_0100, 5.0, 5.0),
    row("pb", H::NIGHT_0100, 5.0, 5.0),
    row("ni", H::NIGHT_0100, 1.0, 10.0),
    row("sn", H::NIGHT_0100, 1.0, 10.0),
    row("ss", H::NIGHT_0100, 5.0, 5.0),
    young("ao", H::NIGHT_0100, 20.0, 1.0),
    young("ad", H::NIGHT_0100, 10.0, 5.0),
    row("au", H::NIGHT_0230, 1000.0, 0.02),
    row("ag", H::NIGHT_0230, 15.0, 1.0),
    row("rb", H::NIGHT_2300, 10.0, 1.0),
    row("hc", H::NIGHT_2300, 10.0, 1.0),
    row("bu", H::NIGHT_2300, 10.0, 1.0),
    row("ru", H::NIGHT_2300, 10.0, 5.0),
    row("fu", H::NIGHT_2300, 10.0, 1.0),
    row("sp", H::NIGHT_2300, 10.0, 2.0),
    young("br", H::NIGHT_2300, 5.0, 5.0),
    vague("op", H::NIGHT_2300),
    row("wr", H::DAY, 10.0, 1.0),
];

const INE: &[Row] = &[
    row("sc", H::NIGHT_0230, 1000.0, 0.1),
    row("lu", H::NIGHT_2300, 10.0, 1.0),
    row("nr", H::NIGHT_2300, 10.0, 5.0),
    row("bc", H::NIGHT_0100, 5.0, 10.0),
    young("ec", H::DAY, 50.0, 0.1),
];

const DCE: &[Row] = &[
    row("a", H::NIGHT_2300, 10.0, 1.0),
    row("b", H::NIGHT_2300, 10.0, 1.0),
    row("c", H::NIGHT_2300, 10.0, 1.0),
    row("cs", H::NIGHT_2300, 10.0, 1.0),
    row("m", H::NIGHT_2300, 10.0, 1.0),
    row("y", H::NIGHT_2300, 10.0, 2.0),
    row("p", H::NIGHT_2300, 10.0, 2.0),
    row("l", H::NIGHT_2300, 5.0, 1.0),
    row("v", H::NIGHT_2300, 5.0, 1.0),
    row("pp", H::NIGHT_2300, 5.0, 1.0),
    row("j", H::NIGHT_2300, 100.0, 0.5),
    row("jm", H::NIGHT_2300, 60.0, 0.5),
    row("i", H::NIGHT_2300, 100.0, 0.5),
    row("eg", H::NIGHT_2300, 10.0, 1.0),
    row("eb", H::NIGHT_2300, 5.0, 1.0),
    row("pg", H::NIGHT_2300, 20.0, 1.0),
    row("rr", H::NIGHT_2300, 10.0, 1.0),
    vague("bz", H::NIGHT_2300),
    row("jd", H::DAY, 10.0, 1.0),
    row("lh", H::DAY, 16.0, 5.0),
    row("fb", H::DAY, 10.0, 0.5),
    row("bb", H::DAY, 500.0, 0.05),
    // Whether it has a night is not known: an hour too many rejects nothing.
    vague("lg", H::NIGHT_2300),
];

const CZCE: &[Row] = &[
    row("CF", H::NIGHT_2300, 5.0, 5.0),
    row("CY", H::NIGHT_2300, 5.0, 5.0),
    row("FG", H::NIGHT_2300, 20.0, 1.0),
    row("MA", H::NIGHT_2300, 10.0, 1.0),
    row("OI", H::NIGHT_2300, 10.0, 1.0),
    row("PF", H::NIGHT_2300, 5.0, 2.0),
    row("RM", H::NIGHT_2300, 10.0, 1.0),
    row("SA", H::NIGHT_2300, 20.0, 1.0),
    row("SR", H::NIGHT_2300, 10.0, 1.0),
    row("TA", H::NIGHT_2300, 5.0, 2.0),
    row("ZC", H::NIGHT_2300, 100.0, 0.2),
    young("PX", H::NIGHT_2300, 5.0, 2.0),
    young("SH", H::NIGHT_2300, 30.0, 1.0),
    vague("PR", H::NIGHT_2300),
    vague("PL", H::NIGHT_2300),
    row("AP", H::DAY, 10.0, 1.0),
    row("CJ", H::DAY, 5.0, 5.0),
    row("JR", H::DAY, 20.0, 1.0),
    row("LR", H::DAY, 20.0, 1.0),
    row("PK", H::DAY, 5.0, 2.0),
    row("PM", H::DAY, 50.0, 1.0),
    row("RI", H::DAY, 20.0, 1.0),
    row("RS", H::DAY, 10.0, 1.0),
    row("SF", H::DAY, 5.0, 2.0),
    row("SM", H::DAY, 5.0, 2.0),
    row("UR", H::DAY, 20.0, 1.0),
    row("WH", H::DAY, 20.0, 1.0),
];

const CFFEX: &[Row] = &[
    row("IF", H::INDEX, 300.0, 0.2),
    row("IC", H::INDEX, 200.0, 0.2),
    row("IH", H::INDEX, 300.0, 0.2),
    young("IM", H::INDEX, 200.0, 0.2),
    row("IO", H::INDEX, 100.0, 0.2),
    young("HO", H::INDEX, 100.0, 0.2),
    young("MO", H::INDEX, 100.0, 0.2),
    row("T", H::BOND, 10_000.0, 0.005),
    row("TF", H::BOND, 10_000.0, 0.005),
    // Both public tables have its old tick size, 0.005.
    young("TS", H::BOND, 20_000.0, 0.002),
    young("TL", H::BOND, 10_000.0, 0.01),
];

const GFEX: &[Row] = &[
    young("si", H::DAY, 5.0, 5.0),
    young("lc", H::DAY, 1.0, 20.0),
    young("ps", H::DAY, 3.0, 5.0),
    vague("pt", H::DAY),
    vague("pd", H::DAY),
];
