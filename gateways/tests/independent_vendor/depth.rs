//! Every field of a depth record, from the library's memory to the tick frame.

use mdhub_spec::dialect::Dialect;
use mdhub_spec::raw_tick::{RawTick, text};

use super::library::hex;
use super::scene::{ID, KINDS, Scene};

/// Prices and amounts of a record, without the levels.
const NUMBERS: [&str; 16] = [
    "LastPrice",
    "PreSettlementPrice",
    "PreClosePrice",
    "PreOpenInterest",
    "OpenPrice",
    "HighestPrice",
    "LowestPrice",
    "Turnover",
    "OpenInterest",
    "ClosePrice",
    "SettlementPrice",
    "UpperLimitPrice",
    "LowerLimitPrice",
    "PreDelta",
    "CurrDelta",
    "AveragePrice",
];

const PRICES: [u64; 12] = [
    f64::MAX.to_bits(),
    f64::MIN.to_bits(),
    // Quiet and signalling NaNs with a payload, of either sign.
    0x7ff8_dead_beef_0001,
    0xfff8_0000_0000_0042,
    0x7ff0_0000_0000_0001,
    f64::INFINITY.to_bits(),
    f64::NEG_INFINITY.to_bits(),
    0x8000_0000_0000_0000,
    1,
    0xc042_d0a3_d70a_3d71, // -37.63
    0x47ef_ffff_e000_0000, // FLT_MAX
    0,
];

const SIZES: [i32; 6] = [i32::MIN, i32::MAX, -1, 0, 1, 0x0102_0304];

/// Name and bytes of each field, in memory order of its value.
type Record = Vec<(String, Vec<u8>)>;

/// One record from what the three functions say of the n-th field.
fn record(
    kind: Dialect,
    price: impl Fn(usize) -> u64,
    size: impl Fn(usize) -> i32,
    string: impl Fn(usize, usize) -> Vec<u8>,
) -> Record {
    let id = if kind == Dialect::Ctp { 81 } else { 31 };
    let strings = [
        ("TradingDay", 9),
        ("ExchangeID", 9),
        ("UpdateTime", 9),
        ("ActionDay", 9),
        ("InstrumentID", id),
        ("ExchangeInstID", id),
    ];
    let levels = |name: &'static str| (1..=5).map(move |level| format!("{name}{level}"));
    let prices = NUMBERS.map(str::to_owned).into_iter().chain(levels("BidPrice")).chain(levels("AskPrice"));
    let sizes = ["Volume", "UpdateMillisec"]
        .map(str::to_owned)
        .into_iter()
        .chain(levels("BidVolume"))
        .chain(levels("AskVolume"));
    let prices = prices.enumerate().map(|(n, name)| (name, price(n).to_le_bytes().to_vec()));
    let sizes = sizes.enumerate().map(|(n, name)| (name, size(n).to_le_bytes().to_vec()));
    let strings = strings.into_iter().enumerate().map(|(n, (name, bytes))| (name.to_owned(), string(n, bytes)));
    prices.chain(sizes).chain(strings).collect()
}

/// A generator of bits, the same in every run (SplitMix64).
fn bits(seed: usize) -> u64 {
    let mut z = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Bytes without a zero, half of them not ASCII.
fn letters(seed: usize, count: usize) -> Vec<u8> {
    let byte = |n: usize| u8::try_from(bits(seed * 1000 + n) % 255 + 1).expect("1 to 255");
    (0..count).map(byte).collect()
}

fn records(kind: Dialect) -> Vec<Record> {
    // A value of its own in every field: so that no two are confused.
    let distinct = record(
        kind,
        |n| (1000.5 + n as f64).to_bits(),
        |n| 100 + i32::try_from(n).expect("small"),
        |n, _| format!("text{n}").into_bytes(),
    );
    // Every extreme in every field, beside others, and each text full to its last byte, with no zero behind it.
    let extremes = (0..PRICES.len()).map(|k| {
        record(
            kind,
            |n| PRICES[(n + k) % PRICES.len()],
            |n| SIZES[(n + k) % SIZES.len()],
            |n, bytes| letters(k * 7 + n, bytes),
        )
    });
    let random = (100..300).map(|k| {
        let size = |n: usize| i32::from_le_bytes(bits(k * 100 + 50 + n).to_le_bytes()[..4].try_into().expect("four"));
        record(
            kind,
            |n| bits(k * 100 + n),
            size,
            |n, bytes| letters(k * 7 + n, usize::try_from(bits(k + n)).expect("64 bits") % (bytes + 1)),
        )
    });
    std::iter::once(distinct).chain(extremes).chain(random).collect()
}

/// The fields of a tick, under the vendor's names.
fn fields(tick: &RawTick) -> Record {
    let prices = [
        ("LastPrice", tick.last_price),
        ("PreSettlementPrice", tick.pre_settlement),
        ("PreClosePrice", tick.pre_close),
        ("PreOpenInterest", tick.pre_open_interest),
        ("OpenPrice", tick.open_price),
        ("HighestPrice", tick.high_price),
        ("LowestPrice", tick.low_price),
        ("Turnover", tick.turnover),
        ("OpenInterest", tick.open_interest),
        ("ClosePrice", tick.close_price),
        ("SettlementPrice", tick.settlement),
        ("UpperLimitPrice", tick.limit_up),
        ("LowerLimitPrice", tick.limit_down),
        ("AveragePrice", tick.average_price),
    ];
    let strings = [
        ("TradingDay", text(&tick.trading_day)),
        ("ExchangeID", text(&tick.exchange)),
        ("UpdateTime", text(&tick.update_time)),
        ("ActionDay", text(&tick.action_day)),
        ("InstrumentID", text(&tick.instrument)),
    ];
    let sizes = [("Volume", tick.volume), ("UpdateMillisec", tick.update_ms)];
    let levels = (1..).zip(&tick.levels).flat_map(|(n, level)| {
        [
            (format!("BidPrice{n}"), level.bid_price.to_bytes().to_vec()),
            (format!("BidVolume{n}"), level.bid_volume.to_bytes().to_vec()),
            (format!("AskPrice{n}"), level.ask_price.to_bytes().to_vec()),
            (format!("AskVolume{n}"), level.ask_volume.to_bytes().to_vec()),
        ]
    });
    let prices = prices.map(|(name, value)| (name.to_owned(), value.to_bytes().to_vec()));
    let sizes = sizes.map(|(name, value)| (name.to_owned(), value.to_bytes().to_vec()));
    let strings = strings.map(|(name, value)| (name.to_owned(), value.to_vec()));
    prices.into_iter().chain(sizes).chain(strings).chain(levels).collect()
}

/// Sorted, and without what a tick does not carry.
fn carried(mut record: Record) -> Record {
    record.retain(|(name, _)| !["PreDelta", "CurrDelta", "ExchangeInstID"].contains(&name.as_str()));
    record.sort();
    record
}

#[tokio::test]
async fn every_field_of_a_depth_record_arrives_bit_for_bit() {
    for kind in KINDS {
        let mut scene = Scene::ready(kind, &["10007001.SSE"]).await;
        let records = records(kind);
        let value = |(name, bytes): &(String, Vec<u8>)| format!("{name}={}", hex(bytes));
        let line = |record: &Record| {
            format!("OnRtnDepthMarketData {}", record.iter().map(value).collect::<Vec<_>>().join(","))
        };
        scene.run(&records.iter().map(line).collect::<Vec<_>>()).await;
        let mut mono = 0;
        for (number, (tick, record)) in scene.ticks.read(records.len()).await.iter().zip(records).enumerate() {
            assert_eq!(carried(fields(tick)), carried(record), "{kind}, record {number}");
            assert!(tick.ingress_mono_ns.get() >= mono && tick.ingress_real_ns.get() > 1_600_000_000_000_000_000);
            mono = tick.ingress_mono_ns.get();
        }
        scene.hub.kill(ID, scene.life).await;
    }
}
