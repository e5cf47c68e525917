//! Section `calendar`: which days trade, and what trades when.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Fault, Number};
use crate::calendar::Span;
use crate::contract::Exchange;

/// Most products that the settings describe.
const PRODUCTS_MAX: usize = 1_000;

/// Section `calendar`. What it holds is added to what ships with mdhub.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calendar {
    /// For environments that run 7x24: no calendar and no clock applies, and a tick's date is its `ActionDay`.
    pub always_open: bool,
    /// Weekdays that do not trade, `YYYY-MM-DD`; the shipped list reaches from 2024 to 2026.
    pub holidays: Vec<Day>,
    /// Evenings without a night section, beside those before holidays.
    pub no_night: Vec<Day>,
    /// The last day that all these holidays cover. Beyond it every weekday trades.
    pub valid_until: Option<Day>,
    /// Products that are new or have changed.
    pub products: Vec<Product>,
}

/// A product that is new or has changed. What is left out stays as it ships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// `rb.SHFE`.
    pub product: ProductCode,
    /// The first trading day with these hours; without it they are for every day.
    #[serde(default)]
    pub from: Option<Day>,
    /// When it trades.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// Units in a lot.
    #[serde(default)]
    pub multiplier: Option<Number>,
    /// Smallest step of a future's price.
    #[serde(default)]
    pub price_tick: Option<Number>,
}

/// When a product trades; each span is written `HH:MM-HH:MM`, Beijing time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Sections of the day.
    pub day: Vec<Span>,
    /// Auctions of every day.
    #[serde(default)]
    pub auctions: Vec<Span>,
    /// The auction in the morning after an evening without a night section.
    #[serde(default)]
    pub morning_auction: Option<Span>,
    /// The night section, in the evening before.
    #[serde(default)]
    pub night: Option<Span>,
    /// The auction before the night section.
    #[serde(default)]
    pub night_auction: Option<Span>,
}

impl Calendar {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.products.len() > PRODUCTS_MAX {
            let given = self.products.len();
            return Err(("calendar.products", format!("{given} products are not allowed: at most {PRODUCTS_MAX}")));
        }
        for product in &self.products {
            let Some(hours) = &product.hours else { continue };
            let code = String::from(product.product.clone());
            if !(1..=4).contains(&hours.day.len()) || hours.auctions.len() > 2 {
                let given = (hours.day.len(), hours.auctions.len());
                return Err((
                    "calendar.products.hours",
                    format!(
                        "{code}: {} sections and {} auctions are not allowed: 1 to 4 and 0 to 2; \
                         the night and its auction, and the morning's, have fields of their own",
                        given.0, given.1
                    ),
                ));
            }
            let is_sorted = hours.day.windows(2).all(|pair| pair[0].to <= pair[1].from);
            let is_by_day = hours.day.iter().chain(&hours.auctions).all(|span| span.to <= 18 * 60);
            if !is_sorted || !is_by_day {
                return Err((
                    "calendar.products.hours.day",
                    format!("{code}: the sections of a day are in order, do not overlap, and end by 18:00"),
                ));
            }
        }
        Ok(())
    }
}

/// A date, written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        // jiff reads a date with a time behind it too.
        let date = (s.len() == "YYYY-MM-DD".len()).then(|| s.parse().ok()).flatten();
        date.map(Self)
            .ok_or_else(|| format!("{s:?} is not allowed: write a date as YYYY-MM-DD, for example 2026-10-01"))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0.to_string()
    }
}

/// A product of a futures exchange, written `rb.SHFE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProductCode {
    /// The letters that its codes begin with.
    pub code: String,
    /// Where it trades.
    pub exchange: Exchange,
}

impl TryFrom<String> for ProductCode {
    type Error = String;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        let parts = s.rsplit_once('.').filter(|(code, _)| (1..=8).contains(&code.len()));
        parts
            .filter(|(code, _)| code.bytes().all(|b| b.is_ascii_alphabetic()))
            .and_then(|(code, exchange)| Some(Self { code: code.to_owned(), exchange: exchange.parse().ok()? }))
            .ok_or_else(|| format!("{s:?} is not allowed: write letters, a dot, and the exchange, for example rb.SHFE"))
    }
}

impl From<ProductCode> for String {
    fn from(product: ProductCode) -> Self {
        format!("{}.{}", product.code, product.exchange)
    }
}
