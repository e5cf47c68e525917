//! What a contract's code says about it.

use crate::flavour::Flavour;
use crate::product::{ANY_FUTURE, ETF, ETF_OPTION, FUTURES, Product};

/// Where a contract trades; it decides how snapshots are timed and which fields are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// Shanghai Futures Exchange.
    Shfe,
    /// Shanghai International Energy Exchange.
    Ine,
    /// Dalian Commodity Exchange.
    Dce,
    /// Guangzhou Futures Exchange.
    Gfex,
    /// Zhengzhou Commodity Exchange.
    Czce,
    /// China Financial Futures Exchange.
    Cffex,
    /// Shanghai Stock Exchange.
    Sse,
    /// Shenzhen Stock Exchange.
    Szse,
}

impl Exchange {
    /// Its name in a vt_symbol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shfe => "SHFE",
            Self::Ine => "INE",
            Self::Dce => "DCE",
            Self::Gfex => "GFEX",
            Self::Czce => "CZCE",
            Self::Cffex => "CFFEX",
            Self::Sse => "SSE",
            Self::Szse => "SZSE",
        }
    }

    /// `ExchangeID` in a depth record: most futures fronts leave it empty.
    #[must_use]
    pub const fn id_in_depth(self) -> [u8; 9] {
        match self {
            Self::Czce => *b"CZCE\0\0\0\0\0",
            Self::Cffex => *b"CFFEX\0\0\0\0",
            Self::Sse => *b"SSE\0\0\0\0\0\0",
            Self::Szse => *b"SZSE\0\0\0\0\0",
            Self::Shfe | Self::Ine | Self::Dce | Self::Gfex => [0; 9],
        }
    }
}

/// What the market knows of a contract. Prices are in ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instrument {
    /// Where it trades.
    pub exchange: Exchange,
    /// Tick size, numerator.
    pub step: i32,
    /// Tick size, denominator.
    pub scale: i32,
    /// Around which the price wanders.
    pub base_ticks: i64,
    /// The daily limits are this far from the pre-settlement price.
    pub limit_ticks: i64,
    /// Units in a lot; zero where the exchange reports no turnover (spreads and trades at settlement).
    pub multiplier: f64,
    /// Lots traded in a minute.
    pub lots_per_minute: i64,
    /// Whether open interest exists.
    pub has_open_interest: bool,
}

impl Instrument {
    /// Reads a code; `None` for one that a front of this flavour does not know.
    #[must_use]
    pub fn of(code: &[u8], flavour: Flavour) -> Option<Self> {
        let code = std::str::from_utf8(code).ok()?;
        match flavour {
            Flavour::Sopt => of_stock_exchange(code),
            Flavour::Ctp => match code.split_once(' ') {
                Some((kind, legs)) => spread(kind, legs),
                None => of_futures_exchange(code),
            },
        }
    }

    /// The price of so many ticks.
    #[must_use]
    pub fn price(&self, ticks: i64) -> f64 {
        (ticks * i64::from(self.step)) as f64 / f64::from(self.scale)
    }
}

/// Eight digits are an option, six an ETF; the first one tells the exchange.
fn of_stock_exchange(code: &str) -> Option<Instrument> {
    if !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (product, exchange) = match (code.len(), code.as_bytes().first()?) {
        (8, b'1') => (&ETF_OPTION, Exchange::Sse),
        (8, b'9') => (&ETF_OPTION, Exchange::Szse),
        (6, b'5') => (&ETF, Exchange::Sse),
        (6, b'1') => (&ETF, Exchange::Szse),
        _ => return None,
    };
    Some(Instrument { exchange, has_open_interest: code.len() == 8, ..outright(product) })
}

/// `rb2701`, `MA701`, `m2705-C-3000`, `cu2701C70000`, `sc2701_TAS`.
fn of_futures_exchange(code: &str) -> Option<Instrument> {
    let letters = code.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = code.bytes().skip(letters).take_while(u8::is_ascii_digit).count();
    let (name, rest) = code.split_at_checked(letters)?;
    let rest = rest.get(digits..)?;
    let product = product(name, digits)?;
    if rest.is_empty() {
        return Some(outright(&product));
    }
    if rest.trim_start_matches('_') == "TAS" {
        return Some(around_zero(&product, 0));
    }
    let strike = rest.trim_start_matches('-').strip_prefix(['C', 'P'])?.trim_start_matches('-');
    if strike.is_empty() || strike.len() > 8 || !strike.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let ticks = strike.parse::<i64>().ok()? * i64::from(product.scale) / i64::from(product.step) / 30;
    let base_ticks = ticks.max(80);
    Some(Instrument {
        base_ticks,
        limit_ticks: base_ticks * 6 / 10,
        lots_per_minute: i64::from(product.lots_per_minute / 10),
        ..outright(&product)
    })
}

/// `SP m2705&m2709`, `SPD MA705&MA709`: priced by difference, which may be negative.
fn spread(kind: &str, legs: &str) -> Option<Instrument> {
    let named = (2..=4).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_uppercase());
    let (near, far) = legs.split_once('&')?;
    let leg = |code: &str| {
        let letters = code.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, digits) = code.split_at_checked(letters)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| product(name, digits.len()))?
    };
    let (product, _) = (leg(near)?, leg(far)?);
    named.then(|| around_zero(&product, 10))
}

/// The product behind a code's letters, checked against how many digits the exchange writes.
fn product(name: &str, digits: usize) -> Option<Product> {
    if !(1..=4).contains(&name.len()) {
        return None;
    }
    let lower = name.bytes().all(|b| b.is_ascii_lowercase());
    let product = FUTURES.iter().find(|p| p.name == name).copied().or_else(|| {
        let exchange = match (digits, lower) {
            (3, false) => Exchange::Czce,
            (_, true) if name.len() == 1 => Exchange::Dce,
            (_, true) => Exchange::Shfe,
            (_, false) => Exchange::Cffex,
        };
        Some(Product { exchange, ..ANY_FUTURE })
    })?;
    let expected = if product.exchange == Exchange::Czce { 3 } else { 4 };
    (digits == expected).then_some(product)
}

fn outright(product: &Product) -> Instrument {
    let base = product.price * f64::from(product.scale) / f64::from(product.step);
    Instrument {
        exchange: product.exchange,
        step: product.step,
        scale: product.scale,
        base_ticks: base.round() as i64,
        limit_ticks: (base * product.limit_rate).round() as i64,
        multiplier: product.multiplier,
        lots_per_minute: i64::from(product.lots_per_minute),
        has_open_interest: true,
    }
}

fn around_zero(product: &Product, base_ticks: i64) -> Instrument {
    Instrument {
        base_ticks,
        limit_ticks: 200,
        multiplier: 0.0,
        lots_per_minute: i64::from(product.lots_per_minute / 20),
        ..outright(product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_shape_of_code_is_known_to_fronts_of_its_flavour_only() {
        for (code, exchange) in [
            ("rb2701", Exchange::Shfe),
            ("sc2701", Exchange::Ine),
            ("m2705", Exchange::Dce),
            ("lc2701", Exchange::Gfex),
            ("MA701", Exchange::Czce),
            ("IF2612", Exchange::Cffex),
            ("m2705-C-3000", Exchange::Dce),
            ("MA701C2500", Exchange::Czce),
            ("IO2612-C-4000", Exchange::Cffex),
            ("cu2701C70000", Exchange::Shfe),
            ("SP m2705&m2709", Exchange::Dce),
            ("SPD MA701&MA705", Exchange::Czce),
            ("sc2701_TAS", Exchange::Ine),
            ("zz2701", Exchange::Shfe),
            ("ZZ701", Exchange::Czce),
        ] {
            assert_eq!(Instrument::of(code.as_bytes(), Flavour::Ctp).map(|i| i.exchange), Some(exchange), "{code}");
            assert_eq!(Instrument::of(code.as_bytes(), Flavour::Sopt), None, "{code}");
        }
        for (code, exchange) in [
            ("10009123", Exchange::Sse),
            ("90001234", Exchange::Szse),
            ("510050", Exchange::Sse),
            ("159919", Exchange::Szse),
        ] {
            assert_eq!(Instrument::of(code.as_bytes(), Flavour::Sopt).map(|i| i.exchange), Some(exchange), "{code}");
            assert_eq!(Instrument::of(code.as_bytes(), Flavour::Ctp), None, "{code}");
        }
    }

    #[test]
    fn a_code_that_no_exchange_writes_is_unknown() {
        for code in
            ["", "rb", "rb27", "rb270101", "MA2701", "2701", "rb2701X", "m2705-C-", "zz701", "SP m2705", "rb2701 ", "&"]
        {
            assert_eq!(Instrument::of(code.as_bytes(), Flavour::Ctp), None, "{code}");
        }
        for code in ["20009123", "1000912", "610050", "51005a"] {
            assert_eq!(Instrument::of(code.as_bytes(), Flavour::Sopt), None, "{code}");
        }
        assert_eq!(Instrument::of(b"rb\xd5\xd2", Flavour::Ctp), None);
    }

    #[test]
    fn a_price_is_the_double_nearest_to_its_decimal_text() {
        let instrument = Instrument::of(b"IF2612", Flavour::Ctp).expect("known");
        assert_eq!(instrument.price(23_001).to_string(), "4600.2");
        let bond = Instrument::of(b"T2612", Flavour::Ctp).expect("known");
        assert_eq!(bond.price(21_701).to_string(), "108.505");
    }
}
