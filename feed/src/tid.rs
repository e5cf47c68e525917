//! `tid`: the identity of a snapshot, equal for every copy of it from whichever front.
//!
//! # Recipe, for any language
//!
//! `tid` is XXH3-64 with seed 0 of these bytes, in this order, all numbers little endian:
//!
//! | bytes | what |
//! |---|---|
//! | n | `vt_symbol`, ASCII, for example `rb2701.SHFE` |
//! | 1 | `0x00` |
//! | 8 | exchange time (`datetime`), milliseconds since the epoch UTC, i64 |
//! | 8 | `volume`, i64 |
//! | 8 | `open_interest`, f64 |
//! | 8 | `last_price`, f64 |
//! | 8 | `bid_price_1`, f64 |
//! | 8 | `bid_volume_1`, i64; 0 where there is no bid |
//! | 8 | `ask_price_1`, f64 |
//! | 8 | `ask_volume_1`, i64; 0 where there is no ask |
//!
//! An f64 is its IEEE 754 bits, but minus zero is written as plus zero, and an absent number (nil) as the bits
//! `0x7ff8000000000000`. In Python: `xxhash.xxh3_64_intdigest(vt_symbol.encode() + b"\0" + struct.pack("<qqdddqdq", ...))`
//! with `x + 0.0` for minus zero and `float("nan")` for nil. Golden vectors: `tests/tid_vectors.json` of this crate.
//!
//! Levels 2 to 5, turnover, average price, limits, trading day and source stay out: they differ between fronts for the
//! same snapshot.

use mdhub_spec::tick::Tick;
use xxhash_rust::xxh3::xxh3_64;

use crate::arbitrate::View;

const ABSENT: u64 = 0x7ff8_0000_0000_0000;

/// Numbers behind the symbol.
const NUMBERS: usize = 8;

/// Computes the `tid`s of one contract.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `vt_symbol`, a zero, and room for the numbers.
    bytes: Box<[u8]>,
    /// Where the numbers begin.
    head: usize,
}

impl Identity {
    /// For the contract of this `vt_symbol`.
    #[must_use]
    pub fn new(vt_symbol: &str) -> Self {
        let head = vt_symbol.len() + 1;
        let mut bytes = vt_symbol.as_bytes().to_vec();
        bytes.resize(head + NUMBERS * 8, 0);
        Self { bytes: bytes.into(), head }
    }

    /// The identity of a snapshot of this contract.
    pub fn tid(&mut self, tick: &Tick) -> u64 {
        let ([bid, ..], [ask, ..]) = (tick.bids, tick.asks);
        let numbers: [[u8; 8]; NUMBERS] = [
            tick.exchange_time_ms.to_le_bytes(),
            tick.volume.to_le_bytes(),
            bits(tick.open_interest).to_le_bytes(),
            bits(tick.last_price).to_le_bytes(),
            bits(bid.price).to_le_bytes(),
            i64::from(bid.volume).to_le_bytes(),
            bits(ask.price).to_le_bytes(),
            i64::from(ask.volume).to_le_bytes(),
        ];
        self.bytes[self.head..].copy_from_slice(numbers.as_flattened());
        xxh3_64(&self.bytes)
    }

    /// Last price and first level of the snapshot that [`Self::tid`] was last asked about: what two fronts show alike, as far
    /// as both show it, or one of them is wrong.
    #[must_use]
    pub fn view(&self) -> View {
        let statement = |bytes: &[u8]| (xxh3_64(bytes) as u32).max(1);
        let is_absent = |price: &[u8]| price == ABSENT.to_le_bytes();
        // Behind time, volume and open interest; a side is a price and a size.
        let (last, book) = self.bytes[self.head + 3 * 8..].split_at(8);
        let is_empty = is_absent(&book[..8]) && is_absent(&book[16..24]);
        View {
            last: if is_absent(last) { 0 } else { statement(last) },
            book: if is_empty { 0 } else { statement(book) },
        }
    }
}

/// The bits of a number, one pattern for each meaning.
fn bits(value: f64) -> u64 {
    // Adding zero turns minus zero into plus zero, and changes nothing else.
    if value.is_nan() { ABSENT } else { (value + 0.0).to_bits() }
}

#[cfg(test)]
mod tests {
    use mdhub_spec::tick::Quote;

    use super::*;
    use crate::cleanse::rules::tests::tick;

    #[test]
    fn a_view_says_what_is_there_and_one_side_alone_is_a_book() {
        let mut identity = Identity::new("rb2701.SHFE");
        let mut view = |tick: &Tick| {
            identity.tid(tick);
            identity.view()
        };
        let (full, absent) = (tick(), [Quote::ABSENT; 5]);
        let says = |view: View| (view.last != 0, view.book != 0);
        assert_eq!(says(view(&full)), (true, true));
        assert_eq!(says(view(&Tick { last_price: f64::NAN, ..full })), (false, true));
        assert_eq!(says(view(&Tick { last_price: 0.0, bids: absent, asks: absent, ..full })), (true, false));
        assert_eq!(view(&Tick { last_price: f64::NAN, bids: absent, asks: absent, ..full }), View::NOTHING);
        let one_sided = view(&Tick { asks: absent, ..full });
        assert_eq!(says(one_sided), (true, true));
        assert!(one_sided.contradicts(view(&full)), "an empty side is a statement beside one that is not");
        assert_ne!(one_sided, view(&Tick { bids: absent, ..full }));
    }

    #[test]
    fn every_nan_is_the_same_absence_and_minus_zero_is_zero() {
        assert_eq!(bits(f64::from_bits(0xfff8_0000_0000_0001)), ABSENT);
        assert_eq!(bits(f64::NAN), ABSENT);
        assert_eq!(bits(-0.0), 0);
        assert_eq!(bits(-1.5), (-1.5f64).to_bits());
    }
}
