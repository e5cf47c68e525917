//! Payload v1: a tick as a MessagePack map of 52 fields.
//!
//! Order and names are stable: those of vnpy's `TickData`, then further market data, then the hub's own. Prices, turnover
//! and open interest are f64, or nil when absent; `volume`, `last_volume` and the sizes of the book are integers, the
//! sizes 0 where there is no quote. `datetime` (exchange time) and `localtime` (receipt in the worker) are MessagePack
//! timestamps of the 64-bit form, `trading_day` is the text `YYYYMMDD`, `name` is the symbol.
//!
//! `last_volume` is `volume` less that of the last published tick; 0 for the first tick since the hub started, and the
//! volume itself for the first of a new trading day.

use mdhub_spec::account::AccountId;
use mdhub_spec::contract::Contract;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::tick::{Quote, Tick};

/// Version of the payload.
pub const VERSION: u64 = 1;

/// Fields of the map.
const FIELDS: u16 = 52;

/// Seconds of a 64-bit MessagePack timestamp have 34 bits: until the year 2514.
const TIMESTAMP_SECONDS_MAX: u64 = (1 << 34) - 1;

const BID_PRICES: [&str; 5] = ["bid_price_1", "bid_price_2", "bid_price_3", "bid_price_4", "bid_price_5"];
const ASK_PRICES: [&str; 5] = ["ask_price_1", "ask_price_2", "ask_price_3", "ask_price_4", "ask_price_5"];
const BID_VOLUMES: [&str; 5] = ["bid_volume_1", "bid_volume_2", "bid_volume_3", "bid_volume_4", "bid_volume_5"];
const ASK_VOLUMES: [&str; 5] = ["ask_volume_1", "ask_volume_2", "ask_volume_3", "ask_volume_4", "ask_volume_5"];

/// A contract's constant fields, encoded.
#[derive(Debug, Clone)]
pub struct ContractFields {
    /// The map's head, `symbol`, `exchange`.
    head: Box<[u8]>,
    name: Box<[u8]>,
    vt_symbol: Box<[u8]>,
}

impl ContractFields {
    /// Of this contract.
    #[must_use]
    pub fn new(contract: &Contract) -> Self {
        let mut head = vec![0xde];
        head.extend_from_slice(&FIELDS.to_be_bytes());
        text(&mut head, "symbol", contract.symbol());
        text(&mut head, "exchange", contract.exchange().as_str());
        let (mut name, mut vt_symbol) = (Vec::new(), Vec::new());
        text(&mut name, "name", contract.symbol());
        text(&mut vt_symbol, "vt_symbol", &contract.vt_symbol());
        Self { head: head.into(), name: name.into(), vt_symbol: vt_symbol.into() }
    }
}

/// A source's constant fields, encoded.
#[derive(Debug, Clone)]
pub struct SourceFields {
    gateway_name: Box<[u8]>,
    source: Box<[u8]>,
}

impl SourceFields {
    /// Of this account, which writes so.
    #[must_use]
    pub fn new(account: &AccountId, dialect: Dialect) -> Self {
        let (mut gateway_name, mut source) = (Vec::new(), Vec::new());
        let kind = match dialect {
            Dialect::Ctp => "CTP",
            Dialect::Sopt => "SOPT",
        };
        text(&mut gateway_name, "gateway_name", kind);
        text(&mut source, "source", account.as_str());
        Self { gateway_name: gateway_name.into(), source: source.into() }
    }
}

/// What the hub adds to a tick.
#[derive(Debug, Clone, Copy)]
pub struct Envelope {
    /// Number within the topic, from 1.
    pub seq: u64,
    /// The hub's start.
    pub epoch: u64,
    /// Identity of the snapshot.
    pub tid: u64,
    /// Lots since the last published tick.
    pub last_volume: i64,
    /// When it leaves the feed, nanoseconds since the epoch, `CLOCK_REALTIME`.
    pub egress_ns: u64,
}

/// Replaces the content of `out` by the tick's payload.
pub fn encode(out: &mut Vec<u8>, contract: &ContractFields, source: &SourceFields, tick: &Tick, envelope: &Envelope) {
    out.clear();
    out.extend_from_slice(&contract.head);
    let exchange_time_ms = u64::try_from(tick.exchange_time_ms).unwrap_or_default();
    timestamp(out, "datetime", exchange_time_ms / 1000, exchange_time_ms % 1000 * 1_000_000);
    out.extend_from_slice(&contract.name);
    integer(out, "volume", tick.volume);
    number(out, "turnover", tick.turnover);
    number(out, "open_interest", tick.open_interest);
    number(out, "last_price", tick.last_price);
    integer(out, "last_volume", envelope.last_volume);
    number(out, "limit_up", tick.limit_up);
    number(out, "limit_down", tick.limit_down);
    number(out, "open_price", tick.open_price);
    number(out, "high_price", tick.high_price);
    number(out, "low_price", tick.low_price);
    number(out, "pre_close", tick.pre_close);
    book(out, tick);
    timestamp(out, "localtime", tick.ingress_real_ns / 1_000_000_000, tick.ingress_real_ns % 1_000_000_000);
    out.extend_from_slice(&source.gateway_name);
    out.extend_from_slice(&contract.vt_symbol);
    trading_day(out, tick.trading_day);
    number(out, "settlement", tick.settlement);
    number(out, "pre_settlement", tick.pre_settlement);
    number(out, "close_price", tick.close_price);
    number(out, "pre_open_interest", tick.pre_open_interest);
    number(out, "average_price", tick.average_price);
    unsigned(out, "seq", envelope.seq);
    unsigned(out, "epoch", envelope.epoch);
    unsigned(out, "tid", envelope.tid);
    out.extend_from_slice(&source.source);
    unsigned(out, "flags", tick.flags.into());
    unsigned(out, "ingress_ns", tick.ingress_real_ns);
    unsigned(out, "egress_ns", envelope.egress_ns);
    unsigned(out, "v", VERSION);
}

fn book(out: &mut Vec<u8>, tick: &Tick) {
    let prices = |out: &mut Vec<u8>, names: [&str; 5], side: &[Quote; 5]| {
        for (name, quote) in names.into_iter().zip(side) {
            number(out, name, quote.price);
        }
    };
    let volumes = |out: &mut Vec<u8>, names: [&str; 5], side: &[Quote; 5]| {
        for (name, quote) in names.into_iter().zip(side) {
            integer(out, name, quote.volume.into());
        }
    };
    prices(out, BID_PRICES, &tick.bids);
    prices(out, ASK_PRICES, &tick.asks);
    volumes(out, BID_VOLUMES, &tick.bids);
    volumes(out, ASK_VOLUMES, &tick.asks);
}

/// `YYYYMMDD` as text; nil when unknown.
fn trading_day(out: &mut Vec<u8>, day: u32) {
    put_text(out, "trading_day");
    if day == 0 {
        return out.push(0xc0);
    }
    let digits: [u8; 8] = std::array::from_fn(|i| b'0' + (day / 10u32.pow(7 - i as u32) % 10) as u8);
    out.push(0xa8);
    out.extend_from_slice(&digits);
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    put_text(out, name);
    put_text(out, value);
}

fn number(out: &mut Vec<u8>, name: &str, value: f64) {
    put_text(out, name);
    if value.is_nan() {
        out.push(0xc0);
    } else {
        out.push(0xcb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn unsigned(out: &mut Vec<u8>, name: &str, value: u64) {
    put_text(out, name);
    put_unsigned(out, value);
}

fn integer(out: &mut Vec<u8>, name: &str, value: i64) {
    put_text(out, name);
    if let Ok(value) = u64::try_from(value) {
        put_unsigned(out, value);
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn timestamp(out: &mut Vec<u8>, name: &str, seconds: u64, nanoseconds: u64) {
    put_text(out, name);
    out.extend_from_slice(&[0xd7, 0xff]);
    out.extend_from_slice(&(nanoseconds << 34 | seconds.min(TIMESTAMP_SECONDS_MAX)).to_be_bytes());
}

/// A text of up to 255 bytes; names, codes and slugs are shorter.
fn put_text(out: &mut Vec<u8>, value: &str) {
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    if length < 32 {
        out.push(0xa0 | length);
    } else {
        out.extend_from_slice(&[0xd9, length]);
    }
    out.extend_from_slice(&value.as_bytes()[..length.into()]);
}

/// The shortest form.
fn put_unsigned(out: &mut Vec<u8>, value: u64) {
    if let Ok(value) = u8::try_from(value) {
        if value >= 128 {
            out.push(0xcc);
        }
        out.push(value);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xcd);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xce);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;

    fn tick() -> Tick {
        let level = |price: f64, volume| Quote { price, volume };
        Tick {
            exchange_time_ms: 1_795_000_000_123,
            trading_day: 20_261_118,
            volume: 70_000,
            turnover: 1.5e11,
            open_interest: 0.0,
            last_price: -3.5,
            open_price: 1.0,
            high_price: 2.0,
            low_price: 3.0,
            limit_up: f64::NAN,
            limit_down: 4.0,
            pre_close: 5.0,
            pre_settlement: 6.0,
            pre_open_interest: 7.0,
            settlement: f64::NAN,
            close_price: 8.0,
            average_price: 9.0,
            bids: std::array::from_fn(|i| level(100.0 - i as f64, 1 + i as i32)),
            asks: [level(101.0, 127), level(102.0, 128), level(103.0, 255), level(104.0, 256), Quote::ABSENT],
            flags: 0,
            ingress_mono_ns: 1,
            ingress_real_ns: 1_795_000_000_456_789_012,
        }
    }

    fn envelope() -> Envelope {
        Envelope {
            seq: 65_536,
            epoch: u64::MAX,
            tid: 1 << 63,
            last_volume: 65_535,
            egress_ns: 1_795_000_000_456_999_999,
        }
    }

    fn encoded(tick: &Tick, envelope: &Envelope) -> Vec<u8> {
        let contract = "rb2701.SHFE".parse().expect("a contract");
        let account = "ctp-main".parse().expect("an id");
        let mut out = b"what was there before".to_vec();
        let source = SourceFields::new(&account, Dialect::Ctp);
        encode(&mut out, &ContractFields::new(&contract), &source, tick, envelope);
        out
    }

    fn decoded(bytes: &[u8]) -> Vec<(String, Value)> {
        let mut rest = bytes;
        let value = rmpv::decode::read_value(&mut rest).expect("MessagePack");
        assert!(rest.is_empty(), "{} bytes behind the map", rest.len());
        let Value::Map(map) = value else { panic!("no map: {value}") };
        map.into_iter().map(|(k, v)| (k.as_str().expect("a name").to_owned(), v)).collect()
    }

    /// A timestamp by the words of the MessagePack specification: nanoseconds in the upper 30 bits, seconds below.
    fn instant(seconds: u64, nanoseconds: u64) -> Value {
        Value::Ext(-1, (nanoseconds * (1 << 34) + seconds).to_be_bytes().to_vec())
    }

    #[test]
    fn the_payload_has_every_field_in_its_order_and_with_its_type() {
        let mut expected: Vec<(&str, Value)> = vec![
            ("symbol", "rb2701".into()),
            ("exchange", "SHFE".into()),
            ("datetime", instant(1_795_000_000, 123_000_000)),
            ("name", "rb2701".into()),
            ("volume", 70_000.into()),
            ("turnover", 1.5e11.into()),
            ("open_interest", 0.0.into()),
            ("last_price", (-3.5).into()),
            ("last_volume", 65_535.into()),
            ("limit_up", Value::Nil),
            ("limit_down", 4.0.into()),
            ("open_price", 1.0.into()),
            ("high_price", 2.0.into()),
            ("low_price", 3.0.into()),
            ("pre_close", 5.0.into()),
        ];
        expected.extend(BID_PRICES.into_iter().zip([100.0, 99.0, 98.0, 97.0, 96.0].map(Value::from)));
        let asks = [101.0.into(), 102.0.into(), 103.0.into(), 104.0.into(), Value::Nil];
        expected.extend(ASK_PRICES.into_iter().zip(asks));
        expected.extend(BID_VOLUMES.into_iter().zip([1, 2, 3, 4, 5].map(Value::from)));
        expected.extend(ASK_VOLUMES.into_iter().zip([127, 128, 255, 256, 0].map(Value::from)));
        expected.extend([
            ("localtime", instant(1_795_000_000, 456_789_012)),
            ("gateway_name", "CTP".into()),
            ("vt_symbol", "rb2701.SHFE".into()),
            ("trading_day", "20261118".into()),
            ("settlement", Value::Nil),
            ("pre_settlement", 6.0.into()),
            ("close_price", 8.0.into()),
            ("pre_open_interest", 7.0.into()),
            ("average_price", 9.0.into()),
            ("seq", 65_536.into()),
            ("epoch", u64::MAX.into()),
            ("tid", (1u64 << 63).into()),
            ("source", "ctp-main".into()),
            ("flags", 0.into()),
            ("ingress_ns", 1_795_000_000_456_789_012u64.into()),
            ("egress_ns", 1_795_000_000_456_999_999u64.into()),
            ("v", 1.into()),
        ]);
        let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let found = decoded(&encoded(&tick(), &envelope()));
        assert_eq!(found, expected);
        assert_eq!(found.len(), usize::from(FIELDS));
    }

    #[test]
    fn integers_survive_at_the_edges_of_their_encodings() {
        for value in [0, 1, 127, 128, 255, 256, 65_535, 65_536, u64::from(u32::MAX), 1 << 32, u64::MAX] {
            let found = decoded(&encoded(&tick(), &Envelope { seq: value, ..envelope() }));
            assert!(found.contains(&("seq".into(), value.into())), "{value}");
        }
        let found = decoded(&encoded(&Tick { volume: -1, ..tick() }, &envelope()));
        assert!(found.contains(&("volume".into(), (-1).into())));
    }

    #[test]
    fn an_unknown_trading_day_is_nil_and_no_instant_breaks_the_payload() {
        let odd = Tick { trading_day: 0, exchange_time_ms: -1, ingress_real_ns: u64::MAX, ..tick() };
        let found = decoded(&encoded(&odd, &envelope()));
        assert!(found.contains(&("trading_day".into(), Value::Nil)));
        assert!(found.contains(&("datetime".into(), instant(0, 0))));
        assert!(found.contains(&("localtime".into(), instant(TIMESTAMP_SECONDS_MAX, u64::MAX % 1_000_000_000))));
    }

    #[test]
    fn the_longest_names_there_are_keep_their_length() {
        let symbol = "a".repeat(mdhub_spec::contract::SYMBOL_BYTES_MAX);
        let contract = Contract::new(&symbol, mdhub_spec::contract::Exchange::Cffex).expect("a contract");
        let account = "a".repeat(mdhub_spec::account::ACCOUNT_ID_BYTES_MAX).parse().expect("an id");
        let mut out = Vec::new();
        let source = SourceFields::new(&account, Dialect::Sopt);
        encode(&mut out, &ContractFields::new(&contract), &source, &tick(), &envelope());
        let found = decoded(&out);
        assert!(found.contains(&("vt_symbol".into(), format!("{symbol}.CFFEX").into())));
        assert!(found.contains(&("source".into(), account.as_str().into())));
        assert!(found.contains(&("gateway_name".into(), "SOPT".into())));
    }
}
