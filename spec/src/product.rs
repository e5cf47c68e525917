//! Products: what a contract is one of, and what is known of it. `rb` of `rb2701`, `IO` of `IO2612-C-4000`.

mod shipped;

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::calendar::{Hours, Span};
use crate::contract::{Contract, Exchange};
use crate::settings;

/// The product's code: the letters that an instrument code begins with. Options and ETFs of SSE and SZSE are numbers, so
/// they have none; a spread answers with the product of its first leg.
#[must_use]
pub fn code(contract: &Contract) -> Option<&str> {
    if matches!(contract.exchange(), Exchange::Sse | Exchange::Szse) {
        return None;
    }
    let symbol = contract.symbol();
    let leg = symbol.split_once(' ').map_or(symbol, |(_, legs)| legs);
    let letters = leg.bytes().take_while(u8::is_ascii_alphabetic).count();
    (letters > 0).then(|| &leg[..letters])
}

/// What sort of instrument a contract is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A future.
    Future,
    /// An option on a future or an index.
    Option,
    /// A combination of contracts; its prices may be zero or negative.
    Spread,
    /// Trading at settlement; its prices are differences.
    Tas,
    /// An option of a stock exchange.
    StockOption,
    /// A fund, or any other paper of a stock exchange.
    Etf,
}

impl Kind {
    /// What this contract is, by its code.
    #[must_use]
    pub fn of(contract: &Contract) -> Self {
        let symbol = contract.symbol();
        if matches!(contract.exchange(), Exchange::Sse | Exchange::Szse) {
            return if symbol.len() == 8 { Self::StockOption } else { Self::Etf };
        }
        if symbol.contains(['&', ' ']) {
            return Self::Spread;
        }
        let behind_letters = symbol.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let rest = behind_letters.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.ends_with("TAS") {
            return Self::Tas;
        }
        // `-C-3000`, `C2500`, `-MS-P-3000`.
        let strike = rest.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_option = strike.len() < rest.len() && strike.trim_end_matches('-').ends_with(['C', 'P']);
        if is_option { Self::Option } else { Self::Future }
    }
}

/// How far a product's row can be trusted. Nothing but shadow rules depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// It stands in two public tables that agree, or in one and the exchange's rules.
    Checked,
    /// It is younger than the public tables, or they contradict each other: check before relying on it.
    Unchecked,
    /// The settings say so.
    Configured,
}

/// One product of a futures exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// Units in a lot, where sure.
    pub multiplier: Option<f64>,
    /// Smallest step of a future's price, where known.
    pub price_tick: Option<f64>,
    /// How sure all this is.
    pub quality: Quality,
    /// Its hours, each from a trading day on; sorted, the first one since ever.
    pub hours: Vec<(Date, Hours)>,
}

/// A product's place in the table, or an exchange's stand-in for products that are not in it. Dense from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductId(u16);

impl ProductId {
    /// From 0 to [`Products::len`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known of a contract.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Listing {
    /// Its product, whose hours it has.
    pub product: ProductId,
    /// What it is.
    pub kind: Kind,
    /// Whether its product is in the table.
    pub is_known: bool,
    /// Units in a lot, where sure. For futures only.
    pub multiplier: Option<f64>,
    /// Smallest step of its price, where known. For futures only.
    pub price_tick: Option<f64>,
}

/// All products.
#[derive(Debug, Clone, PartialEq)]
pub struct Products {
    rows: Vec<(String, Product)>,
    places: BTreeMap<(Exchange, String), ProductId>,
}

impl Products {
    /// What ships with mdhub.
    #[must_use]
    pub fn shipped() -> Self {
        let mut products = Self { rows: Vec::new(), places: BTreeMap::new() };
        for exchange in Exchange::ALL {
            let widest = shipped::widest(exchange);
            let product = Product {
                multiplier: None,
                price_tick: None,
                quality: Quality::Unchecked,
                hours: vec![(Date::MIN, widest)],
            };
            products.rows.push((exchange.to_string(), product));
        }
        for (exchange, rows) in shipped::TABLE {
            for row in *rows {
                products.put(row.code, *exchange, row.product());
            }
        }
        products
    }

    /// With what the settings say of some products; what they leave out stays as it was.
    #[must_use]
    pub fn with(mut self, given: &[settings::Product]) -> Self {
        for product in given {
            let code = (product.product.exchange, product.product.code.clone());
            let place = self.places.get(&code).copied().unwrap_or(ProductId(code.0 as u16));
            let mut row = self.rows[place.index()].1.clone();
            row.quality = Quality::Configured;
            row.multiplier = product.multiplier.map(settings::Number::get).or(row.multiplier);
            row.price_tick = product.price_tick.map(settings::Number::get).or(row.price_tick);
            if let Some(hours) = &product.hours {
                let from = product.from.map_or(Date::MIN, |day| day.0);
                row.hours.retain(|(since, _)| *since < from);
                row.hours.push((from, hours.into()));
            }
            self.put(&code.1, code.0, row);
        }
        self
    }

    fn put(&mut self, code: &str, exchange: Exchange, product: Product) {
        let key = (exchange, code.to_owned());
        if let Some(place) = self.places.get(&key) {
            self.rows[place.index()].1 = product;
        } else if let Ok(place) = u16::try_from(self.rows.len()) {
            self.rows.push((format!("{code}.{exchange}"), product));
            self.places.insert(key, ProductId(place));
        }
    }

    /// How many there are, the stand-ins of the exchanges included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every product: its id, its name (`rb.SHFE`, or `SHFE` for the exchange's stand-in), and what is known of it.
    pub fn iter(&self) -> impl Iterator<Item = (ProductId, &str, &Product)> {
        (0u16..).zip(&self.rows).map(|(i, (name, product))| (ProductId(i), name.as_str(), product))
    }

    /// `rb.SHFE`, or `SHFE` for the exchange's stand-in.
    #[must_use]
    pub fn name(&self, product: ProductId) -> &str {
        self.rows.get(product.index()).map_or("", |(name, _)| name)
    }

    /// The product's hours on a trading day.
    #[must_use]
    pub fn hours(&self, product: ProductId, day: Date) -> Option<&Hours> {
        let (_, product) = self.rows.get(product.index())?;
        product.hours.iter().rev().find(|(from, _)| *from <= day).map(|(_, hours)| hours)
    }

    /// What is known of a contract.
    #[must_use]
    pub fn listing(&self, contract: &Contract) -> Listing {
        let (exchange, kind) = (contract.exchange(), Kind::of(contract));
        let known = code(contract).and_then(|code| self.places.get(&(exchange, code.to_owned())));
        let product = known.copied().unwrap_or(ProductId(exchange as u16));
        let row = self.rows.get(product.index()).map(|(_, row)| row).filter(|_| kind == Kind::Future);
        Listing {
            product,
            kind,
            is_known: known.is_some() || matches!(exchange, Exchange::Sse | Exchange::Szse),
            multiplier: row.and_then(|row| row.multiplier),
            price_tick: row.and_then(|row| row.price_tick),
        }
    }
}

impl From<&settings::Hours> for Hours {
    fn from(hours: &settings::Hours) -> Self {
        let spans = |spans: &[Span]| std::borrow::Cow::Owned(spans.to_vec());
        Self {
            day: spans(&hours.day),
            auctions: spans(&hours.auctions),
            morning_auction: hours.morning_auction,
            night: hours.night,
            night_auction: hours.night_auction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(vt_symbol: &str) -> Contract {
        vt_symbol.parse().expect("a contract")
    }

    #[test]
    fn the_product_is_the_leading_letters_of_the_first_leg() {
        for (vt_symbol, expected) in [
            ("rb2701.SHFE", Some("rb")),
            ("IO2612-C-4000.CFFEX", Some("IO")),
            ("SPD MA705&MA709.CZCE", Some("MA")),
            ("10009123.SSE", None),
            ("510050.SSE", None),
        ] {
            assert_eq!(code(&contract(vt_symbol)), expected, "{vt_symbol}");
        }
    }

    #[test]
    fn the_code_says_what_a_contract_is() {
        for (vt_symbol, expected) in [
            ("rb2701.SHFE", Kind::Future),
            ("MA701.CZCE", Kind::Future),
            ("l2702F.DCE", Kind::Future),
            ("m2705-C-3000.DCE", Kind::Option),
            ("m2705-MS-P-3000.DCE", Kind::Option),
            ("MA701P2500.CZCE", Kind::Option),
            ("cu2701C70000.SHFE", Kind::Option),
            ("IO2612-C-4000.CFFEX", Kind::Option),
            ("SP m2705&m2709.DCE", Kind::Spread),
            ("SPD MA705&MA709.CZCE", Kind::Spread),
            ("sc2701_TAS.INE", Kind::Tas),
            ("sc2701TAS.INE", Kind::Tas),
            ("10009123.SSE", Kind::StockOption),
            ("159919.SZSE", Kind::Etf),
        ] {
            assert_eq!(Kind::of(&contract(vt_symbol)), expected, "{vt_symbol}");
        }
    }

    #[test]
    fn a_product_that_nobody_knows_has_the_widest_hours_of_its_exchange() {
        let products = Products::shipped();
        let day = jiff::civil::date(2026, 11, 18);
        for (vt_symbol, is_known, hours) in [
            ("rb2701.SHFE", true, Hours::NIGHT_2300),
            ("zz2701.SHFE", false, Hours::NIGHT_0230),
            ("zz2701.DCE", false, Hours::NIGHT_2300),
            ("ZZ701.CZCE", false, Hours::NIGHT_2300),
            ("ZZ2701.CFFEX", false, Hours::BOND),
            ("zz2701.GFEX", false, Hours::DAY),
            ("10009123.SSE", true, Hours::STOCK),
        ] {
            let listing = products.listing(&contract(vt_symbol));
            assert_eq!(listing.is_known, is_known, "{vt_symbol}");
            assert_eq!(products.hours(listing.product, day), Some(&hours), "{vt_symbol}");
        }
    }

    #[test]
    fn multiplier_and_tick_size_are_the_futures_alone() {
        let products = Products::shipped();
        let of = |vt_symbol: &str| {
            let listing = products.listing(&contract(vt_symbol));
            (listing.multiplier, listing.price_tick)
        };
        assert_eq!(of("IF2612.CFFEX"), (Some(300.0), Some(0.2)));
        assert_eq!(of("m2705-C-3000.DCE"), (None, None));
        assert_eq!(of("SP m2705&m2709.DCE"), (None, None));
    }

    #[test]
    fn every_row_is_there_once_and_plausible() {
        let products = Products::shipped();
        assert_eq!(products.places.len() + Exchange::ALL.len(), products.len());
        let rows: usize = shipped::TABLE.iter().map(|(_, rows)| rows.len()).sum();
        assert_eq!(products.places.len(), rows, "a code stands twice in the table");
        for (id, name, product) in products.iter() {
            assert_eq!(products.name(id), name);
            assert!(product.multiplier.is_none_or(|m| (1.0..=20_000.0).contains(&m)), "{name}");
            assert!(product.price_tick.is_none_or(|t| (0.001..=50.0).contains(&t)), "{name}");
        }
        for missing in
            ["si.GFEX", "lc.GFEX", "ps.GFEX", "IM.CFFEX", "TL.CFFEX", "ao.SHFE", "br.SHFE", "PX.CZCE", "SH.CZCE"]
        {
            assert!(products.iter().any(|(_, name, _)| name == missing), "{missing}");
        }
    }
}
