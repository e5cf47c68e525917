//! The vendor's structures to ours and back: byte slices in, values out. No unsafe code, and nothing is read beyond a
//! slice's end, whatever its length.

use encoding_rs::GB18030;
use mdhub_spec::raw_tick::{RawLevel, RawTick, text};
use zeroize::Zeroizing;

use super::layout::{Layout, depth, login, rsp_info};

/// The vendor's answer to a request: 0 is success.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// `ErrorID`.
    pub code: i32,
    /// `ErrorMsg`, decoded from GB18030.
    pub message: String,
}

impl Answer {
    /// Whether the request was refused.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        self.code != 0
    }
}

/// Reads `CThostFtdcRspInfoField`. Vendors leave the pointer null on success.
#[must_use]
pub fn answer(rsp_info: Option<&[u8]>) -> Answer {
    let Some(bytes) = rsp_info else { return Answer::default() };
    let (at, size) = rsp_info::ERROR_MSG;
    Answer { code: i32_at(bytes, rsp_info::ERROR_ID), message: decode(slice(bytes, at, size)) }
}

/// Text of the vendor, which is GB18030; what does not decode becomes the replacement character.
#[must_use]
pub fn decode(field: &[u8]) -> String {
    GB18030.decode_without_bom_handling(text(field)).0.into_owned()
}

/// The instrument of a `CThostFtdcSpecificInstrumentField`.
#[must_use]
pub fn instrument(layout: &Layout, field: &[u8]) -> String {
    let (at, size) = layout.instrument;
    decode(slice(field, at, size))
}

/// `TradingDay` of the answer to a login, its first field in both flavours.
#[must_use]
pub fn login_trading_day(field: &[u8]) -> String {
    decode(slice(field, 0, 9))
}

/// What a login needs.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `BrokerID`, 10 bytes at most.
    pub broker_id: &'a str,
    /// `UserID`, 15 bytes at most.
    pub user_id: &'a str,
    /// `Password`, 40 bytes at most.
    pub password: &'a str,
}

/// A filled `CThostFtdcReqUserLoginField`, wiped when dropped.
pub type LoginRequest = Zeroizing<[u8; login::BYTES]>;

/// Fills `CThostFtdcReqUserLoginField`.
///
/// # Errors
/// The name of the first field that does not fit its place with a terminating zero, and how much does.
pub fn login_request(credentials: Credentials<'_>) -> Result<LoginRequest, String> {
    let mut request = Zeroizing::new([0; login::BYTES]);
    for (name, value, (at, size)) in [
        ("broker_id", credentials.broker_id, login::BROKER_ID),
        ("user_id", credentials.user_id, login::USER_ID),
        ("password", credentials.password, login::PASSWORD),
    ] {
        let bytes = value.as_bytes();
        if bytes.len() >= size || bytes.contains(&0) {
            return Err(format!(
                "{name} has {} bytes: allowed are up to {}, none of them zero",
                bytes.len(),
                size.saturating_sub(1)
            ));
        }
        if let Some(place) = request.get_mut(at..at.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }
    Ok(request)
}

/// Copies a depth record. The caller stamps it.
#[must_use]
pub fn raw_tick(layout: &Layout, record: &[u8]) -> RawTick {
    let price = |at| f64_at(record, at).into();
    let mut levels = [RawLevel::default(); 5];
    for (i, level) in levels.iter_mut().enumerate() {
        let at = depth::LEVELS + i * depth::LEVEL_BYTES;
        *level = RawLevel {
            bid_price: price(at),
            bid_volume: i32_at(record, at + 8).into(),
            ask_price: price(at + 16),
            ask_volume: i32_at(record, at + 24).into(),
        };
    }
    let (instrument_at, instrument_size) = layout.depth_instrument;
    RawTick {
        ingress_mono_ns: 0.into(),
        ingress_real_ns: 0.into(),
        instrument: array(slice(record, instrument_at, instrument_size)),
        exchange: array(slice(record, depth::EXCHANGE, 9)),
        trading_day: array(slice(record, depth::TRADING_DAY, 9)),
        action_day: array(slice(record, depth::ACTION_DAY, 9)),
        update_time: array(slice(record, depth::UPDATE_TIME, 9)),
        update_ms: i32_at(record, depth::UPDATE_MS).into(),
        volume: i32_at(record, depth::VOLUME).into(),
        turnover: price(depth::TURNOVER),
        open_interest: price(depth::OPEN_INTEREST),
        last_price: price(depth::LAST_PRICE),
        open_price: price(depth::OPEN),
        high_price: price(depth::HIGH),
        low_price: price(depth::LOW),
        pre_close: price(depth::PRE_CLOSE),
        pre_settlement: price(depth::PRE_SETTLEMENT),
        pre_open_interest: price(depth::PRE_OPEN_INTEREST),
        close_price: price(depth::CLOSE),
        settlement: price(depth::SETTLEMENT),
        limit_up: price(depth::LIMIT_UP),
        limit_down: price(depth::LIMIT_DOWN),
        average_price: price(depth::AVERAGE_PRICE),
        levels,
    }
}

fn slice(bytes: &[u8], at: usize, size: usize) -> &[u8] {
    bytes.get(at..at.saturating_add(size)).unwrap_or_default()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let kept = bytes.len().min(N);
    out[..kept].copy_from_slice(&bytes[..kept]);
    out
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(array(slice(bytes, at, 4)))
}

fn f64_at(bytes: &[u8], at: usize) -> f64 {
    f64::from_ne_bytes(array(slice(bytes, at, 8)))
}

#[cfg(test)]
mod tests {
    use mdhub_spec::dialect::Dialect;
    use proptest::prelude::*;

    use super::*;

    /// A record in which every f64 and i32 field holds its own offset, so that a swapped pair shows.
    fn numbered(layout: &Layout, size: usize) -> Vec<u8> {
        let mut record = vec![0; size];
        for at in (80..400).step_by(8) {
            record[at..at + 8].copy_from_slice(&(at as f64).to_ne_bytes());
        }
        for at in [136, 220, 232, 248, 264, 280, 296, 312, 328, 344, 360, 376] {
            record[at..at + 4].copy_from_slice(&i32::try_from(at).expect("small").to_ne_bytes());
        }
        for (at, value) in [(0, "20260105"), (40, "SHFE"), (208, "21:00:00"), (392, "20260102")] {
            record[at..at + value.len() + 1].copy_from_slice(format!("{value}\0").as_bytes());
        }
        let at = layout.depth_instrument.0;
        record[at..at + 7].copy_from_slice(b"rb2701\0");
        record
    }

    #[test]
    fn every_field_of_a_depth_record_is_copied_from_its_own_place_in_both_flavours() {
        for kind in [Dialect::Ctp, Dialect::Sopt] {
            let layout = Layout::of(kind);
            let tick = raw_tick(layout, &numbered(layout, layout.depth_bytes));
            let texts = [&tick.instrument[..], &tick.exchange, &tick.trading_day, &tick.update_time, &tick.action_day];
            assert_eq!(texts.map(text), [&b"rb2701"[..], b"SHFE", b"20260105", b"21:00:00", b"20260102"], "{kind}");
            assert_eq!((tick.volume.get(), tick.update_ms.get()), (136, 220));
            let prices = [
                tick.last_price,
                tick.pre_settlement,
                tick.pre_close,
                tick.pre_open_interest,
                tick.open_price,
                tick.high_price,
                tick.low_price,
                tick.turnover,
                tick.open_interest,
                tick.close_price,
                tick.settlement,
                tick.limit_up,
                tick.limit_down,
                tick.average_price,
            ];
            let offsets = [80, 88, 96, 104, 112, 120, 128, 144, 152, 160, 168, 176, 184, 384];
            assert_eq!(prices.map(|p| p.get()), offsets.map(f64::from));
            for (i, level) in tick.levels.iter().enumerate() {
                let at = 224 + 32 * i32::try_from(i).expect("five");
                assert_eq!((level.bid_price.get(), level.ask_price.get()), (f64::from(at), f64::from(at + 16)));
                assert_eq!((level.bid_volume.get(), level.ask_volume.get()), (at + 8, at + 24));
            }
        }
    }

    #[test]
    fn a_refusal_is_decoded_from_gb18030_and_a_null_answer_is_success() {
        let mut info = [0; rsp_info::BYTES];
        info[..4].copy_from_slice(&3i32.to_ne_bytes());
        let words = b"CTP:\xb2\xbb\xba\xcf\xb7\xa8\xb5\xc4\xb5\xc7\xc2\xbc";
        info[4..4 + words.len()].copy_from_slice(words);
        assert_eq!(answer(Some(&info)), Answer { code: 3, message: "CTP:不合法的登录".into() });
        assert!(!answer(None).is_refusal());
    }

    #[test]
    fn a_login_request_is_filled_at_the_measured_offsets_and_never_overflows() {
        let filled = login_request(Credentials { broker_id: "9999", user_id: "u", password: "secret" }).expect("fits");
        assert_eq!((&filled[9..14], &filled[20..22], &filled[36..43]), (&b"9999\0"[..], &b"u\0"[..], &b"secret\0"[..]));
        let long = "x".repeat(41);
        let error = login_request(Credentials { broker_id: "", user_id: "", password: &long }).err();
        assert_eq!(error.as_deref(), Some("password has 41 bytes: allowed are up to 40, none of them zero"));
    }

    proptest! {
        #[test]
        fn no_record_of_any_length_or_content_makes_the_decoder_fall(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            for kind in [Dialect::Ctp, Dialect::Sopt] {
                let _ = (raw_tick(Layout::of(kind), &bytes), instrument(Layout::of(kind), &bytes));
            }
            let _ = (answer(Some(&bytes)), login_trading_day(&bytes));
        }
    }
}
