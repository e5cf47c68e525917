//! What the two flavours of the vendor's interface look like in memory: CTP 6.7.7 and SOPT 3.7.x, on x86-64.
//!
//! Measured on the vendor's own libraries and headers; the tests pin every number.

use mdhub_spec::dialect::Dialect;

/// Slots of the API's vtable that mdhub calls; the same in both flavours.
pub mod api_slot {
    /// `Init()`
    pub const INIT: usize = 1;
    /// `RegisterFront(char *address)`
    pub const REGISTER_FRONT: usize = 4;
    /// `RegisterSpi(CThostFtdcMdSpi *)`
    pub const REGISTER_SPI: usize = 7;
    /// `SubscribeMarketData(char *instruments[], int count)`
    pub const SUBSCRIBE: usize = 8;
    /// `UnSubscribeMarketData(char *instruments[], int count)`
    pub const UNSUBSCRIBE: usize = 9;
    /// `ReqUserLogin(CThostFtdcReqUserLoginField *, int request_id)`
    pub const LOGIN: usize = 12;
}

/// Offsets in the depth record; the same in both flavours but for the instrument's name.
pub mod depth {
    /// `TradingDay[9]`
    pub const TRADING_DAY: usize = 0;
    /// `ExchangeID[9]`
    pub const EXCHANGE: usize = 40;
    /// `LastPrice`
    pub const LAST_PRICE: usize = 80;
    /// `PreSettlementPrice`
    pub const PRE_SETTLEMENT: usize = 88;
    /// `PreClosePrice`
    pub const PRE_CLOSE: usize = 96;
    /// `PreOpenInterest`
    pub const PRE_OPEN_INTEREST: usize = 104;
    /// `OpenPrice`
    pub const OPEN: usize = 112;
    /// `HighestPrice`
    pub const HIGH: usize = 120;
    /// `LowestPrice`
    pub const LOW: usize = 128;
    /// `Volume`, i32
    pub const VOLUME: usize = 136;
    /// `Turnover`
    pub const TURNOVER: usize = 144;
    /// `OpenInterest`
    pub const OPEN_INTEREST: usize = 152;
    /// `ClosePrice`
    pub const CLOSE: usize = 160;
    /// `SettlementPrice`
    pub const SETTLEMENT: usize = 168;
    /// `UpperLimitPrice`
    pub const LIMIT_UP: usize = 176;
    /// `LowerLimitPrice`
    pub const LIMIT_DOWN: usize = 184;
    /// `UpdateTime[9]`
    pub const UPDATE_TIME: usize = 208;
    /// `UpdateMillisec`, i32
    pub const UPDATE_MS: usize = 220;
    /// `BidPrice1`; each level has bid price, bid size, ask price, ask size, at intervals of eight bytes.
    pub const LEVELS: usize = 224;
    /// From one level to the next.
    pub const LEVEL_BYTES: usize = 32;
    /// `AveragePrice`
    pub const AVERAGE_PRICE: usize = 384;
    /// `ActionDay[9]`
    pub const ACTION_DAY: usize = 392;
}

/// `CThostFtdcReqUserLoginField`; the same in both flavours.
pub mod login {
    /// Its size.
    pub const BYTES: usize = 264;
    /// `BrokerID[11]`
    pub const BROKER_ID: (usize, usize) = (9, 11);
    /// `UserID[16]`
    pub const USER_ID: (usize, usize) = (20, 16);
    /// `Password[41]`
    pub const PASSWORD: (usize, usize) = (36, 41);
}

/// `CThostFtdcRspInfoField`; the same in both flavours.
pub mod rsp_info {
    /// Its size.
    pub const BYTES: usize = 88;
    /// `ErrorID`, i32
    pub const ERROR_ID: usize = 0;
    /// `ErrorMsg[81]`, GB18030
    pub const ERROR_MSG: (usize, usize) = (4, 81);
}

/// What differs between the flavours.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whose layout this is.
    pub dialect: Dialect,
    /// Mangled `CThostFtdcMdApi::CreateFtdcMdApi(char const*, bool, bool)`.
    pub create_symbol: &'static str,
    /// Mangled `CThostFtdcMdApi::GetApiVersion()`.
    pub version_symbol: &'static str,
    /// Versions that mdhub was tested with, as the library names itself.
    pub known_versions: &'static [&'static str],
    /// Size of the depth record.
    pub depth_bytes: usize,
    /// Its `InstrumentID`: offset and size.
    pub depth_instrument: (usize, usize),
    /// Size of the answer to a login.
    pub rsp_login_bytes: usize,
    /// Size of `CThostFtdcSpecificInstrumentField`.
    pub instrument_bytes: usize,
    /// Its `InstrumentID`: offset and size.
    pub instrument: (usize, usize),
    /// Size of the quote-request record.
    pub for_quote_bytes: usize,
    /// Slots in the SPI's vtable.
    pub spi_slots: usize,
}

/// What every simulated library's version begins with.
pub const SIMULATED_PREFIX: &str = "mdhub-sim";

static CTP: Layout = Layout {
    dialect: Dialect::Ctp,
    create_symbol: "_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb",
    version_symbol: "_ZN15CThostFtdcMdApi13GetApiVersionEv",
    known_versions: &["v6.7.7_20240607 15:51:36.7347"],
    depth_bytes: 584,
    depth_instrument: (401, 81),
    rsp_login_bytes: 204,
    instrument_bytes: 112,
    instrument: (31, 81),
    for_quote_bytes: 169,
    spi_slots: 13,
};

static SOPT: Layout = Layout {
    dialect: Dialect::Sopt,
    create_symbol: "_ZN8ctp_sopt15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb",
    version_symbol: "_ZN8ctp_sopt15CThostFtdcMdApi13GetApiVersionEv",
    known_versions: &["v3.7.0_20230901"],
    depth_bytes: 440,
    depth_instrument: (9, 31),
    rsp_login_bytes: 156,
    instrument_bytes: 31,
    instrument: (0, 31),
    for_quote_bytes: 88,
    spi_slots: 12,
};

impl Layout {
    /// The layout of one flavour.
    #[must_use]
    pub fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Ctp => &CTP,
            Dialect::Sopt => &SOPT,
        }
    }

    /// The layout of the other flavour.
    #[must_use]
    pub fn other(&self) -> &'static Self {
        match self.dialect {
            Dialect::Ctp => &SOPT,
            Dialect::Sopt => &CTP,
        }
    }

    /// Whether mdhub was tested with this version of the library.
    #[must_use]
    pub fn knows(&self, version: &str) -> bool {
        let version = version.trim();
        version.starts_with(SIMULATED_PREFIX) || self.known_versions.iter().any(|known| version.starts_with(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendor's structures, written down a second time as C lays them out: an oracle that shares nothing with the
    /// table above.
    mod oracle {
        type F = f64;

        #[repr(C)]
        pub(super) struct Level {
            bid: F,
            bid_volume: i32,
            ask: F,
            ask_volume: i32,
        }

        #[repr(C)]
        pub(super) struct DepthCtp {
            pub trading_day: [u8; 9],
            reserve1: [u8; 31],
            pub exchange: [u8; 9],
            reserve2: [u8; 31],
            pub last: F,
            pub pre_settlement: F,
            pub pre_close: F,
            pub pre_open_interest: F,
            pub open: F,
            pub high: F,
            pub low: F,
            pub volume: i32,
            pub turnover: F,
            pub open_interest: F,
            pub close: F,
            pub settlement: F,
            pub limit_up: F,
            pub limit_down: F,
            pre_delta: F,
            curr_delta: F,
            pub update_time: [u8; 9],
            pub update_ms: i32,
            pub levels: [Level; 5],
            pub average: F,
            pub action_day: [u8; 9],
            pub instrument: [u8; 81],
            exchange_instrument: [u8; 81],
            banding: [F; 2],
        }

        #[repr(C)]
        pub(super) struct DepthSopt {
            trading_day: [u8; 9],
            pub instrument: [u8; 31],
            pub exchange: [u8; 9],
            exchange_instrument: [u8; 31],
            pub last: F,
            prices_before_volume: [F; 6],
            pub volume: i32,
            turnover: F,
            to_delta: [F; 7],
            pub update_time: [u8; 9],
            pub update_ms: i32,
            pub levels: [Level; 5],
            pub average: F,
            pub action_day: [u8; 9],
            tail: [F; 4],
        }
    }

    #[test]
    fn the_depth_record_lies_where_a_c_compiler_puts_it() {
        use std::mem::offset_of;

        use oracle::DepthCtp as C;
        let table = [
            (offset_of!(C, trading_day), depth::TRADING_DAY),
            (offset_of!(C, exchange), depth::EXCHANGE),
            (offset_of!(C, last), depth::LAST_PRICE),
            (offset_of!(C, pre_settlement), depth::PRE_SETTLEMENT),
            (offset_of!(C, pre_close), depth::PRE_CLOSE),
            (offset_of!(C, pre_open_interest), depth::PRE_OPEN_INTEREST),
            (offset_of!(C, open), depth::OPEN),
            (offset_of!(C, high), depth::HIGH),
            (offset_of!(C, low), depth::LOW),
            (offset_of!(C, volume), depth::VOLUME),
            (offset_of!(C, turnover), depth::TURNOVER),
            (offset_of!(C, open_interest), depth::OPEN_INTEREST),
            (offset_of!(C, close), depth::CLOSE),
            (offset_of!(C, settlement), depth::SETTLEMENT),
            (offset_of!(C, limit_up), depth::LIMIT_UP),
            (offset_of!(C, limit_down), depth::LIMIT_DOWN),
            (offset_of!(C, update_time), depth::UPDATE_TIME),
            (offset_of!(C, update_ms), depth::UPDATE_MS),
            (offset_of!(C, levels), depth::LEVELS),
            (size_of::<oracle::Level>(), depth::LEVEL_BYTES),
            (offset_of!(C, average), depth::AVERAGE_PRICE),
            (offset_of!(C, action_day), depth::ACTION_DAY),
            (offset_of!(C, instrument), CTP.depth_instrument.0),
            (size_of::<C>(), CTP.depth_bytes),
            (offset_of!(oracle::DepthSopt, instrument), SOPT.depth_instrument.0),
            (offset_of!(oracle::DepthSopt, exchange), depth::EXCHANGE),
            (offset_of!(oracle::DepthSopt, last), depth::LAST_PRICE),
            (offset_of!(oracle::DepthSopt, volume), depth::VOLUME),
            (offset_of!(oracle::DepthSopt, update_time), depth::UPDATE_TIME),
            (offset_of!(oracle::DepthSopt, levels), depth::LEVELS),
            (offset_of!(oracle::DepthSopt, action_day), depth::ACTION_DAY),
            (size_of::<oracle::DepthSopt>(), SOPT.depth_bytes),
        ];
        for (row, (measured, ours)) in table.into_iter().enumerate() {
            assert_eq!(measured, ours, "row {row}");
        }
    }

    #[test]
    fn every_measured_number_is_pinned() {
        assert_eq!(
            [depth::TRADING_DAY, depth::EXCHANGE, depth::LAST_PRICE, depth::VOLUME, depth::TURNOVER],
            [0, 40, 80, 136, 144]
        );
        assert_eq!([depth::UPDATE_TIME, depth::UPDATE_MS, depth::LEVELS], [208, 220, 224]);
        assert_eq!([depth::AVERAGE_PRICE, depth::ACTION_DAY], [384, 392]);
        assert_eq!((CTP.depth_bytes, CTP.depth_instrument), (584, (401, 81)));
        assert_eq!((SOPT.depth_bytes, SOPT.depth_instrument), (440, (9, 31)));
        assert_eq!((CTP.rsp_login_bytes, SOPT.rsp_login_bytes), (204, 156));
        assert_eq!((CTP.instrument_bytes, CTP.instrument), (112, (31, 81)));
        assert_eq!((SOPT.instrument_bytes, SOPT.instrument), (31, (0, 31)));
        assert_eq!((CTP.for_quote_bytes, SOPT.for_quote_bytes), (169, 88));
        assert_eq!(
            (login::BYTES, login::BROKER_ID, login::USER_ID, login::PASSWORD),
            (264, (9, 11), (20, 16), (36, 41))
        );
        assert_eq!((rsp_info::BYTES, rsp_info::ERROR_ID, rsp_info::ERROR_MSG), (88, 0, (4, 81)));
        use api_slot::{INIT, LOGIN, REGISTER_FRONT, REGISTER_SPI, SUBSCRIBE, UNSUBSCRIBE};
        assert_eq!([INIT, REGISTER_FRONT, REGISTER_SPI, SUBSCRIBE, UNSUBSCRIBE, LOGIN], [1, 4, 7, 8, 9, 12]);
        assert_eq!((CTP.spi_slots, SOPT.spi_slots), (13, 12));
    }

    #[test]
    fn each_flavour_knows_its_versions_and_every_simulated_one() {
        assert!(CTP.knows("v6.7.7_20240607 15:51:36.7347"));
        assert!(!CTP.knows("v3.7.0_20230901"));
        assert!(SOPT.knows("v3.7.0_20230901 10:00:00"));
        assert!(SOPT.knows("mdhub-sim 0.1"));
        assert!(!SOPT.knows(""));
        assert_eq!(Layout::of(Dialect::Ctp).other(), Layout::of(Dialect::Sopt));
    }
}
