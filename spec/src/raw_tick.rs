//! A vendor's depth record on its way from a worker to the hub: a fixed layout, little endian, unaligned, decoded in
//! place. The vendor's values travel untouched; what they mean is the feed's affair.

use zerocopy::little_endian::{F64, I32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One side pair of the book.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RawLevel {
    /// Bid price; vendors write `DBL_MAX` for none.
    pub bid_price: F64,
    /// Bid size, lots.
    pub bid_volume: I32,
    /// Ask price; vendors write `DBL_MAX` for none.
    pub ask_price: F64,
    /// Ask size, lots.
    pub ask_volume: I32,
}

/// A depth record, as the vendor gave it, and when the worker got it. Texts end at the first zero byte.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct RawTick {
    /// Receipt in the worker, nanoseconds of `CLOCK_MONOTONIC`.
    pub ingress_mono_ns: U64,
    /// Receipt in the worker, nanoseconds since the epoch, `CLOCK_REALTIME`.
    pub ingress_real_ns: U64,
    /// `InstrumentID`.
    pub instrument: [u8; 81],
    /// `ExchangeID`; often empty in CTP.
    pub exchange: [u8; 9],
    /// `TradingDay`, `YYYYMMDD`.
    pub trading_day: [u8; 9],
    /// `ActionDay`, `YYYYMMDD`; may be empty or wrong.
    pub action_day: [u8; 9],
    /// `UpdateTime`, `HH:MM:SS` Beijing.
    pub update_time: [u8; 9],
    /// `UpdateMillisec`, 0 to 999.
    pub update_ms: I32,
    /// `Volume`, lots since the start of the trading day.
    pub volume: I32,
    /// `Turnover`, currency since the start of the trading day.
    pub turnover: F64,
    /// `OpenInterest`, lots.
    pub open_interest: F64,
    /// `LastPrice`.
    pub last_price: F64,
    /// `OpenPrice`.
    pub open_price: F64,
    /// `HighestPrice`.
    pub high_price: F64,
    /// `LowestPrice`.
    pub low_price: F64,
    /// `PreClosePrice`.
    pub pre_close: F64,
    /// `PreSettlementPrice`.
    pub pre_settlement: F64,
    /// `PreOpenInterest`, lots.
    pub pre_open_interest: F64,
    /// `ClosePrice`.
    pub close_price: F64,
    /// `SettlementPrice`.
    pub settlement: F64,
    /// `UpperLimitPrice`.
    pub limit_up: F64,
    /// `LowerLimitPrice`.
    pub limit_down: F64,
    /// `AveragePrice`; with the contract's multiplier in it, except on CZCE.
    pub average_price: F64,
    /// Five levels, best first.
    pub levels: [RawLevel; 5],
}

/// Size of a [`RawTick`] on the wire.
pub const RAW_TICK_BYTES: usize = size_of::<RawTick>();

impl Default for RawTick {
    fn default() -> Self {
        zerocopy::FromZeros::new_zeroed()
    }
}

impl RawTick {
    /// Reads a record in place.
    ///
    /// Returns `None` when `body` does not have exactly [`RAW_TICK_BYTES`] bytes.
    #[must_use]
    pub fn from_wire(body: &[u8]) -> Option<&Self> {
        Self::ref_from_bytes(body).ok()
    }

    /// The record's bytes on the wire.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// A fixed-size text field up to its first zero byte (the whole field when there is none).
#[must_use]
pub fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// Copies `value` into a zero-filled field; what does not fit beside the terminating zero is cut.
#[must_use]
pub fn field<const N: usize>(value: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let kept = value.len().min(N.saturating_sub(1));
    out[..kept].copy_from_slice(&value[..kept]);
    out
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn the_wire_layout_is_pinned() {
        assert_eq!(size_of::<RawLevel>(), 24);
        assert_eq!(RAW_TICK_BYTES, 373);
        assert_eq!(align_of::<RawTick>(), 1);
        assert_eq!(offset_of!(RawTick, instrument), 16);
        assert_eq!(offset_of!(RawTick, exchange), 97);
        assert_eq!(offset_of!(RawTick, update_time), 124);
        assert_eq!(offset_of!(RawTick, update_ms), 133);
        assert_eq!(offset_of!(RawTick, volume), 137);
        assert_eq!(offset_of!(RawTick, turnover), 141);
        assert_eq!(offset_of!(RawTick, average_price), 245);
        assert_eq!(offset_of!(RawTick, levels), 253);
    }

    #[test]
    fn golden_bytes_of_a_record() {
        let mut raw = RawTick {
            ingress_mono_ns: 0x0102_0304_0506_0708.into(),
            instrument: field(b"rb2701"),
            update_ms: 500.into(),
            volume: (-2).into(),
            last_price: 1.0.into(),
            ..RawTick::default()
        };
        raw.levels[0].ask_volume = 7.into();
        let wire = raw.wire();
        assert_eq!(&wire[..8], &[8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(&wire[16..23], b"rb2701\0");
        assert_eq!(&wire[133..137], &[0xf4, 1, 0, 0]);
        assert_eq!(&wire[137..141], &[0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(&wire[157..165], &1.0f64.to_le_bytes());
        assert_eq!(&wire[273..277], &[7, 0, 0, 0]);
    }

    #[test]
    fn a_record_of_the_wrong_length_is_refused() {
        assert!(RawTick::from_wire(&[0; RAW_TICK_BYTES - 1]).is_none());
        assert!(RawTick::from_wire(&[0; RAW_TICK_BYTES + 1]).is_none());
        assert!(RawTick::from_wire(&[0; RAW_TICK_BYTES]).is_some());
    }

    #[test]
    fn text_ends_at_the_first_zero_and_a_long_value_is_cut() {
        assert_eq!(text(b"ab\0cd"), b"ab");
        assert_eq!(text(b"abc"), b"abc");
        assert_eq!(text(b""), b"");
        assert_eq!(field::<4>(b"abcdef"), *b"abc\0");
    }
}
