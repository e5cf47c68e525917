//! Product codes: `rb` of `rb2701`, `IO` of `IO2612-C-4000`.

use crate::contract::{Contract, Exchange};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_the_leading_letters_of_the_first_leg() {
        for (vt_symbol, expected) in [
            ("rb2701.SHFE", Some("rb")),
            ("IO2612-C-4000.CFFEX", Some("IO")),
            ("SPD MA705&MA709.CZCE", Some("MA")),
            ("10009123.SSE", None),
            ("510050.SSE", None),
        ] {
            let contract: Contract = vt_symbol.parse().expect("a contract");
            assert_eq!(code(&contract), expected, "{vt_symbol}");
        }
    }
}
