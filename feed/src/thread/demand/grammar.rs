//! What a contract's code can be. Only for what subscribers ask for: what the settings name is never doubted.

use mdhub_spec::contract::{Contract, Exchange};
use mdhub_spec::product::{self, Kind, Products};

/// Whether an exchange could have this contract.
///
/// # Errors
/// Why not, for people.
pub(super) fn check(contract: &Contract, products: &Products) -> Result<(), String> {
    let (symbol, exchange) = (contract.symbol(), contract.exchange());
    if matches!(exchange, Exchange::Sse | Exchange::Szse) {
        let is_number = symbol.bytes().all(|b| b.is_ascii_digit());
        return if is_number && matches!(symbol.len(), 6 | 8) {
            Ok(())
        } else {
            Err(format!("{exchange} has codes of 6 or 8 digits"))
        };
    }
    if !products.listing(contract).is_known {
        return Err(format!("{exchange} has no product {:?}", product::code(contract).unwrap_or_default()));
    }
    if Kind::of(contract) == Kind::Spread {
        return Ok(());
    }
    let month = symbol.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let digits = month.bytes().take_while(u8::is_ascii_digit).count();
    let wanted = if exchange == Exchange::Czce { 3 } else { 4 };
    let is_month = digits == wanted && month[digits - 2..digits].parse::<u8>().is_ok_and(|m| (1..=12).contains(&m));
    if is_month { Ok(()) } else { Err(format!("{exchange} writes year and month in {wanted} digits")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_exchange_could_have_fits_and_nothing_else() {
        let products = Products::shipped();
        for (vt_symbol, expected) in [
            ("rb2701.SHFE", None),
            ("MA701.CZCE", None),
            ("IO2612-C-4000.CFFEX", None),
            ("m2705-C-3000.DCE", None),
            ("MA701C2500.CZCE", None),
            ("SP m2705&m2709.DCE", None),
            ("10009123.SSE", None),
            ("159919.SZSE", None),
            ("RB2701.SHFE", Some("no product \"RB\"")),
            ("rb2701.DCE", Some("no product \"rb\"")),
            ("rb701.SHFE", Some("in 4 digits")),
            ("rb2713.SHFE", Some("in 4 digits")),
            ("rb.SHFE", Some("in 4 digits")),
            ("MA2701.CZCE", Some("in 3 digits")),
            ("1000912.SSE", Some("6 or 8 digits")),
            ("abcdef.SSE", Some("6 or 8 digits")),
        ] {
            let found = check(&vt_symbol.parse().expect("a contract"), &products);
            match expected {
                None => assert_eq!(found, Ok(()), "{vt_symbol}"),
                Some(part) => assert!(found.as_ref().is_err_and(|e| e.contains(part)), "{vt_symbol}: {found:?}"),
            }
        }
    }
}
