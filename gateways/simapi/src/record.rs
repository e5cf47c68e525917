//! The vendor's structures as bytes, written by offset. Sizes and offsets were measured on the vendor's headers, CTP
//! 6.7.7 and SOPT 3.7.x, on x86-64; integers and doubles are little endian.

use crate::date::{DateText, TimeText};
use crate::flavour::Flavour;

/// Levels of the book.
pub const LEVELS: usize = 5;

/// One level of the book.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Bid price.
    pub bid_price: f64,
    /// Bid size, lots.
    pub bid_volume: i32,
    /// Ask price.
    pub ask_price: f64,
    /// Ask size, lots.
    pub ask_volume: i32,
}

/// The values of a depth record, as they go out: absent prices are the flavour's own sentinel already.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Snapshot {
    /// `TradingDay`, terminated.
    pub trading_day: DateText,
    /// `ActionDay`, terminated.
    pub action_day: DateText,
    /// `UpdateTime`, terminated.
    pub update_time: TimeText,
    /// `ExchangeID`, terminated; may be empty.
    pub exchange: [u8; 9],
    /// `UpdateMillisec`.
    pub update_ms: i32,
    /// `Volume`.
    pub volume: i32,
    /// `LastPrice`.
    pub last: f64,
    /// `PreSettlementPrice`.
    pub pre_settlement: f64,
    /// `PreClosePrice`.
    pub pre_close: f64,
    /// `PreOpenInterest`.
    pub pre_open_interest: f64,
    /// `OpenPrice`.
    pub open: f64,
    /// `HighestPrice`.
    pub high: f64,
    /// `LowestPrice`.
    pub low: f64,
    /// `Turnover`.
    pub turnover: f64,
    /// `OpenInterest`.
    pub open_interest: f64,
    /// `ClosePrice`.
    pub close: f64,
    /// `SettlementPrice`.
    pub settlement: f64,
    /// `UpperLimitPrice`.
    pub limit_up: f64,
    /// `LowerLimitPrice`.
    pub limit_down: f64,
    /// `AveragePrice`.
    pub average: f64,
    /// Best first.
    pub levels: [Level; LEVELS],
}

/// A vendor's structure of up to `N` bytes, aligned as the vendor's compiler aligns it.
#[derive(Debug, Clone)]
#[repr(C, align(8))]
pub struct Record<const N: usize>([u8; N]);

/// `CThostFtdcDepthMarketDataField`; SOPT's is the first 440 bytes.
pub type Depth = Record<584>;
/// `CThostFtdcRspUserLoginField`; SOPT's is the first 156 bytes.
pub type RspUserLogin = Record<204>;
/// `CThostFtdcRspInfoField`.
pub type RspInfo = Record<88>;
/// `CThostFtdcSpecificInstrumentField`; SOPT's is the first 31 bytes.
pub type SpecificInstrument = Record<112>;
/// `CThostFtdcUserLogoutField`.
pub type UserLogout = Record<27>;

impl<const N: usize> Default for Record<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Record<N> {
    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn put_f64(&mut self, at: usize, value: f64) {
        self.put(at, &value.to_le_bytes());
    }

    fn put_i32(&mut self, at: usize, value: i32) {
        self.put(at, &value.to_le_bytes());
    }

    /// Writes a text into a field of `size` bytes; it ends with a zero byte there, and is cut where it does not fit.
    fn put_text(&mut self, at: usize, size: usize, text: &[u8]) {
        let text = &text[..text.len().min(size - 1)];
        if let Some(place) = self.0.get_mut(at..at + size) {
            place.fill(0);
        }
        self.put(at, text);
    }
}

/// Bytes of an instrument's code that a flavour's structures hold.
#[must_use]
pub const fn instrument_bytes_max(flavour: Flavour) -> usize {
    match flavour {
        Flavour::Ctp => 80,
        Flavour::Sopt => 30,
    }
}

/// Writes a depth record over `out`, which held one of the same flavour or none.
pub fn put_depth(out: &mut Depth, flavour: Flavour, instrument: &[u8], s: &Snapshot) {
    let absent = flavour.absent();
    out.put(0, &s.trading_day);
    out.put(40, &s.exchange);
    let prices = [s.last, s.pre_settlement, s.pre_close, s.pre_open_interest, s.open, s.high, s.low];
    for (i, price) in prices.into_iter().enumerate() {
        out.put_f64(80 + 8 * i, price);
    }
    out.put_i32(136, s.volume);
    let values = [s.turnover, s.open_interest, s.close, s.settlement, s.limit_up, s.limit_down, absent, absent];
    for (i, value) in values.into_iter().enumerate() {
        out.put_f64(144 + 8 * i, value);
    }
    out.put(208, &s.update_time);
    out.put_i32(220, s.update_ms);
    for (i, level) in s.levels.iter().enumerate() {
        let at = 224 + 32 * i;
        out.put_f64(at, level.bid_price);
        out.put_i32(at + 8, level.bid_volume);
        out.put_f64(at + 16, level.ask_price);
        out.put_i32(at + 24, level.ask_volume);
    }
    out.put_f64(384, s.average);
    out.put(392, &s.action_day);
    match flavour {
        Flavour::Ctp => out.put_text(401, 81, instrument),
        Flavour::Sopt => {
            out.put_text(9, 31, instrument);
            out.put_text(49, 31, instrument);
        }
    }
}

/// The answer about one instrument.
#[must_use]
pub fn specific_instrument(flavour: Flavour, instrument: &[u8]) -> SpecificInstrument {
    let mut record = SpecificInstrument::default();
    match flavour {
        Flavour::Ctp => record.put_text(31, 81, instrument),
        Flavour::Sopt => record.put_text(0, 31, instrument),
    }
    record
}

/// An error code (0 for none) and the front's words in GB18030.
#[must_use]
pub fn rsp_info(error_id: i32, message: &[u8]) -> RspInfo {
    let mut record = RspInfo::default();
    record.put_i32(0, error_id);
    record.put_text(4, 81, message);
    record
}

/// Who is logged in, as the client spelled it; texts end at a zero byte or fill their field.
#[derive(Debug, Clone, Copy)]
pub struct User {
    /// `BrokerID`.
    pub broker: [u8; 11],
    /// `UserID`.
    pub user: [u8; 16],
}

/// Bytes of `CThostFtdcReqUserLoginField` that name the user: all before the password.
pub const REQ_USER_LOGIN_NAMES: usize = 36;

impl User {
    /// Reads the head of a `CThostFtdcReqUserLoginField`.
    #[must_use]
    pub fn of_login(head: &[u8; REQ_USER_LOGIN_NAMES]) -> Self {
        let mut user = Self { broker: [0; 11], user: [0; 16] };
        user.broker.copy_from_slice(&head[9..20]);
        user.user.copy_from_slice(&head[20..36]);
        user
    }
}

/// The answer to a login at Beijing time `time`.
#[must_use]
pub fn rsp_user_login(flavour: Flavour, user: &User, trading_day: DateText, time: TimeText) -> RspUserLogin {
    let mut record = RspUserLogin::default();
    record.put(0, &trading_day);
    record.put(9, &time);
    record.put_text(18, 11, until_zero(&user.broker));
    record.put_text(29, 16, until_zero(&user.user));
    record.put_text(45, 41, b"mdhub-sim");
    record.put_i32(88, 1);
    record.put_i32(92, 1);
    record.put_text(96, 13, b"1");
    // SHFE, DCE, CZCE, CFFEX, INE.
    for i in 0..5 {
        record.put(109 + 9 * i, &time);
    }
    if flavour == Flavour::Ctp {
        record.put_text(154, 41, b"mdhub-sim");
        record.put(195, &time);
    }
    record
}

/// The answer to a logout.
#[must_use]
pub fn user_logout(user: &User) -> UserLogout {
    let mut record = UserLogout::default();
    record.put_text(0, 11, until_zero(&user.broker));
    record.put_text(11, 16, until_zero(&user.user));
    record
}

fn until_zero(text: &[u8]) -> &[u8] {
    text.split(|b| *b == 0).next().unwrap_or_default()
}
