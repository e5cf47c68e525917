//! A small table of products: tick sizes, multipliers and levels that make a market look like itself.
//! Dated 2026; the exchanges change them, and nothing here has to follow.

use crate::instrument::Exchange;

/// One product. Prices are counted in ticks of `step / scale`, so that each is the double nearest to its decimal text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product {
    /// The letters of its codes; empty for a stand-in.
    pub name: &'static str,
    /// Where it trades.
    pub exchange: Exchange,
    /// A plausible price.
    pub price: f64,
    /// Tick size, numerator.
    pub step: i32,
    /// Tick size, denominator: a power of ten.
    pub scale: i32,
    /// Units in a lot.
    pub multiplier: f64,
    /// Daily limit, as a share of the price.
    pub limit_rate: f64,
    /// Lots traded in a minute.
    pub lots_per_minute: i32,
}

macro_rules! table {
    ($($name:literal $exchange:ident $price:literal, $step:literal / $scale:literal, $multiplier:literal, $limit:literal, $lots:literal;)*) => {
        &[$(Product {
            name: $name,
            exchange: Exchange::$exchange,
            price: $price,
            step: $step,
            scale: $scale,
            multiplier: $multiplier,
            limit_rate: $limit,
            lots_per_minute: $lots,
        }),*]
    };
}

/// Futures.
pub const FUTURES: &[Product] = table! {
    "rb" Shfe 3_200.0, 1 / 1, 10.0, 0.07, 1_500;
    "hc" Shfe 3_350.0, 1 / 1, 10.0, 0.07, 900;
    "cu" Shfe 86_000.0, 10 / 1, 5.0, 0.09, 300;
    "al" Shfe 21_500.0, 5 / 1, 5.0, 0.09, 400;
    "au" Shfe 920.0, 2 / 100, 1_000.0, 0.12, 500;
    "ag" Shfe 11_500.0, 1 / 1, 15.0, 0.15, 1_200;
    "ru" Shfe 15_500.0, 5 / 1, 10.0, 0.08, 400;
    "fu" Shfe 2_800.0, 1 / 1, 10.0, 0.10, 900;
    "sc" Ine 480.0, 1 / 10, 1_000.0, 0.10, 300;
    "m" Dce 3_050.0, 1 / 1, 10.0, 0.07, 1_400;
    "y" Dce 8_200.0, 2 / 1, 10.0, 0.07, 700;
    "p" Dce 9_000.0, 2 / 1, 10.0, 0.08, 900;
    "i" Dce 780.0, 5 / 10, 100.0, 0.11, 500;
    "c" Dce 2_200.0, 1 / 1, 10.0, 0.07, 600;
    "MA" Czce 2_350.0, 1 / 1, 10.0, 0.08, 1_300;
    "TA" Czce 4_700.0, 2 / 1, 5.0, 0.07, 1_100;
    "CF" Czce 13_600.0, 5 / 1, 5.0, 0.07, 400;
    "SR" Czce 5_500.0, 1 / 1, 10.0, 0.07, 500;
    "RM" Czce 2_500.0, 1 / 1, 10.0, 0.07, 1_000;
    "IF" Cffex 4_600.0, 2 / 10, 300.0, 0.10, 180;
    "IC" Cffex 7_200.0, 2 / 10, 200.0, 0.10, 160;
    "IH" Cffex 3_000.0, 2 / 10, 300.0, 0.10, 100;
    "IM" Cffex 7_500.0, 2 / 10, 200.0, 0.10, 250;
    "T" Cffex 108.5, 5 / 1_000, 10_000.0, 0.02, 150;
    "TF" Cffex 105.8, 5 / 1_000, 10_000.0, 0.012, 120;
    "TS" Cffex 102.4, 2 / 1_000, 20_000.0, 0.005, 90;
    "TL" Cffex 115.0, 1 / 100, 10_000.0, 0.035, 180;
    "si" Gfex 8_600.0, 5 / 1, 5.0, 0.09, 600;
    "lc" Gfex 92_000.0, 20 / 1, 1.0, 0.09, 800;
};

/// What stands in for a futures product that is not in [`FUTURES`].
pub const ANY_FUTURE: Product = Product {
    name: "",
    exchange: Exchange::Shfe,
    price: 5_000.0,
    step: 1,
    scale: 1,
    multiplier: 10.0,
    limit_rate: 0.08,
    lots_per_minute: 200,
};

/// An ETF of a stock exchange; volumes are shares.
pub const ETF: Product = Product {
    name: "",
    exchange: Exchange::Sse,
    price: 3.0,
    step: 1,
    scale: 1_000,
    multiplier: 1.0,
    limit_rate: 0.10,
    lots_per_minute: 400_000,
};

/// An option of a stock exchange.
pub const ETF_OPTION: Product = Product {
    name: "",
    exchange: Exchange::Sse,
    price: 0.08,
    step: 1,
    scale: 10_000,
    multiplier: 10_000.0,
    limit_rate: 0.6,
    lots_per_minute: 120,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_lies_on_its_tick_size_and_its_day_fits_the_vendors_integer() {
        for product in FUTURES.iter().chain([&ANY_FUTURE, &ETF, &ETF_OPTION]) {
            let ticks = product.price * f64::from(product.scale) / f64::from(product.step);
            assert!((ticks - ticks.round()).abs() < 1e-6, "{}", product.name);
            assert!(product.lots_per_minute < i32::MAX / 1_440 / 2, "{}", product.name);
        }
    }
}
