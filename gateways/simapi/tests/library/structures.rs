//! The vendor's structures as its headers have them, laid out by the compiler: an oracle for the offsets that the
//! library writes by.

/// One level of the book.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level {
    pub(crate) bid_price: f64,
    pub(crate) bid_volume: i32,
    pub(crate) ask_price: f64,
    pub(crate) ask_volume: i32,
}

/// `CThostFtdcDepthMarketDataField` of CTP 6.7.7.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CtpDepth {
    pub(crate) trading_day: [u8; 9],
    reserve1: [u8; 31],
    pub(crate) exchange: [u8; 9],
    reserve2: [u8; 31],
    pub(crate) values: Values,
    pub(crate) action_day: [u8; 9],
    pub(crate) instrument: [u8; 81],
    exchange_instrument: [u8; 81],
    banding_upper: f64,
    banding_lower: f64,
}

/// `CThostFtdcDepthMarketDataField` of SOPT 3.7.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SoptDepth {
    pub(crate) trading_day: [u8; 9],
    pub(crate) instrument: [u8; 31],
    pub(crate) exchange: [u8; 9],
    exchange_instrument: [u8; 31],
    pub(crate) values: Values,
    pub(crate) action_day: [u8; 9],
    circuit_reference_price: f64,
    sending_time: [u8; 13],
    big_volume: i64,
}

/// What both depth records have in common: it begins and ends on a multiple of eight bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values {
    pub(crate) last: f64,
    pub(crate) pre_settlement: f64,
    pub(crate) pre_close: f64,
    pub(crate) pre_open_interest: f64,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) volume: i32,
    pub(crate) turnover: f64,
    pub(crate) open_interest: f64,
    pub(crate) close: f64,
    pub(crate) settlement: f64,
    pub(crate) limit_up: f64,
    pub(crate) limit_down: f64,
    pub(crate) pre_delta: f64,
    pub(crate) curr_delta: f64,
    pub(crate) update_time: [u8; 9],
    pub(crate) update_ms: i32,
    pub(crate) levels: [Level; 5],
    pub(crate) average: f64,
}

/// `CThostFtdcRspInfoField`
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct RspInfo {
    pub(crate) error_id: i32,
    pub(crate) message: [u8; 81],
}

/// The head of `CThostFtdcReqUserLoginField`, and what follows it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ReqUserLogin {
    pub(crate) trading_day: [u8; 9],
    pub(crate) broker: [u8; 11],
    pub(crate) user: [u8; 16],
    pub(crate) password: [u8; 41],
    rest: [u8; 187],
}

/// `CThostFtdcRspUserLoginField` of SOPT; CTP's goes on.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SoptRspUserLogin {
    pub(crate) trading_day: [u8; 9],
    pub(crate) login_time: [u8; 9],
    pub(crate) broker: [u8; 11],
    pub(crate) user: [u8; 16],
    pub(crate) system_name: [u8; 41],
    pub(crate) front_id: i32,
    pub(crate) session_id: i32,
    max_order_ref: [u8; 13],
    times: [[u8; 9]; 5],
}

/// `CThostFtdcRspUserLoginField` of CTP.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CtpRspUserLogin {
    pub(crate) trading_day: [u8; 9],
    pub(crate) login_time: [u8; 9],
    pub(crate) broker: [u8; 11],
    pub(crate) user: [u8; 16],
    pub(crate) system_name: [u8; 41],
    pub(crate) front_id: i32,
    pub(crate) session_id: i32,
    max_order_ref: [u8; 13],
    times: [[u8; 9]; 5],
    pub(crate) system_version: [u8; 41],
    gfex_time: [u8; 9],
}

/// `CThostFtdcSpecificInstrumentField` of CTP.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CtpInstrument {
    reserve1: [u8; 31],
    pub(crate) instrument: [u8; 81],
}

/// `CThostFtdcSpecificInstrumentField` of SOPT.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SoptInstrument {
    pub(crate) instrument: [u8; 31],
}

impl ReqUserLogin {
    pub(crate) fn new(broker: &[u8], user: &[u8]) -> Self {
        let mut field =
            Self { trading_day: [0; 9], broker: [0; 11], user: [0; 16], password: [b'x'; 41], rest: [b'x'; 187] };
        field.broker[..broker.len()].copy_from_slice(broker);
        field.user[..user.len()].copy_from_slice(user);
        field
    }
}

/// A field's text, up to its zero byte.
pub(crate) fn text(field: &[u8]) -> Vec<u8> {
    field.split(|b| *b == 0).next().unwrap_or_default().to_vec()
}

#[test]
fn the_oracle_itself_has_the_measured_sizes() {
    assert_eq!((size_of::<CtpDepth>(), size_of::<SoptDepth>()), (584, 440));
    assert_eq!((size_of::<CtpRspUserLogin>(), size_of::<SoptRspUserLogin>()), (204, 156));
    assert_eq!((size_of::<CtpInstrument>(), size_of::<SoptInstrument>()), (112, 31));
    assert_eq!((size_of::<RspInfo>(), size_of::<ReqUserLogin>()), (88, 264));
    assert_eq!(std::mem::offset_of!(CtpDepth, instrument), 401);
    assert_eq!(std::mem::offset_of!(CtpDepth, values) + std::mem::offset_of!(Values, average), 384);
}
