//! The recorded day of IF2101, where the third-party file is there: it passes untouched.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use mdhub_spec::contract::Exchange;
use mdhub_spec::dialect::Dialect;
use mdhub_spec::raw_tick::{RawTick, field};

use crate::days::{Day, HOUR, MINUTE, SECOND};
use crate::draw::Draw;
use crate::front::Style;
use crate::hub::Hub;
use crate::market::{Hours, Product};
use crate::oracle::{Oracle, judge, messages, missing};
use crate::scenario::{Arrival, Front, Label, Scenario};
use crate::stream::{Phase, TrueTick};

const SNAPSHOTS: usize = 27_955;

type Row<'a> = HashMap<&'a str, &'a str>;

fn number(row: &Row<'_>, name: &str) -> f64 {
    row[name].parse().expect("a number")
}

fn lots(row: &Row<'_>, name: &str) -> i32 {
    row[name].parse().expect("an integer")
}

/// The instant of a row, by this test's own arithmetic.
fn time_ms(row: &Row<'_>) -> i64 {
    let parts: Vec<i64> = row["UpdateTime"].split(':').map(|part| part.parse().expect("a number")).collect();
    let day = Day::of(row["ActionDay"].parse().expect("a date"));
    day.plus(parts[0] * HOUR + parts[1] * MINUTE + parts[2] * SECOND + i64::from(lots(row, "UpdateMillisec")))
}

fn record(row: &Row<'_>) -> RawTick {
    let mut raw = RawTick {
        instrument: field(row["InstrumentID"].as_bytes()),
        exchange: field(row["ExchangeID"].as_bytes()),
        trading_day: field(row["TradingDay"].as_bytes()),
        action_day: field(row["ActionDay"].as_bytes()),
        update_time: field(row["UpdateTime"].as_bytes()),
        update_ms: lots(row, "UpdateMillisec").into(),
        volume: lots(row, "Volume").into(),
        turnover: number(row, "Turnover").into(),
        open_interest: number(row, "OpenInterest").into(),
        last_price: number(row, "LastPrice").into(),
        open_price: number(row, "OpenPrice").into(),
        high_price: number(row, "HighestPrice").into(),
        low_price: number(row, "LowestPrice").into(),
        pre_close: number(row, "PreClosePrice").into(),
        pre_settlement: number(row, "PreSettlementPrice").into(),
        pre_open_interest: number(row, "PreOpenInterest").into(),
        close_price: f64::MAX.into(),
        settlement: number(row, "SettlementPrice").into(),
        limit_up: number(row, "UpperLimitPrice").into(),
        limit_down: number(row, "LowerLimitPrice").into(),
        average_price: f64::MAX.into(),
        ..RawTick::default()
    };
    raw.levels[0].bid_price = number(row, "BidPrice1").into();
    raw.levels[0].bid_volume = lots(row, "BidVolume1").into();
    raw.levels[0].ask_price = number(row, "AskPrice1").into();
    raw.levels[0].ask_volume = lots(row, "AskVolume1").into();
    raw
}

fn truth(row: &Row<'_>) -> TrueTick {
    let time_ms = time_ms(row);
    let trading_day = Day::of(row["TradingDay"].parse().expect("a date"));
    let since_midnight = time_ms - trading_day.plus(0);
    let phase = match since_midnight {
        before if before < 9 * HOUR + 30 * MINUTE => Phase::Auction,
        after if after > 15 * HOUR + MINUTE => Phase::PostClose,
        _ => Phase::Continuous,
    };
    let quote = |price: &str, volume: &str| Some((number(row, price), lots(row, volume)));
    TrueTick {
        product: 0,
        time_ms,
        happened_ms: time_ms,
        trading_day,
        phase,
        volume: lots(row, "Volume"),
        turnover: number(row, "Turnover"),
        open_interest: number(row, "OpenInterest"),
        last: Some(number(row, "LastPrice")),
        open: None,
        high: None,
        low: None,
        settlement: None,
        limit_up: number(row, "UpperLimitPrice"),
        limit_down: number(row, "LowerLimitPrice"),
        pre_settlement: number(row, "PreSettlementPrice"),
        bids: [quote("BidPrice1", "BidVolume1"), None, None, None, None],
        asks: [quote("AskPrice1", "AskVolume1"), None, None, None, None],
    }
}

fn scenario(text: &str) -> Scenario {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let rows: Vec<Row<'_>> = lines.map(|line| columns.iter().copied().zip(line.split(',')).collect()).collect();
    assert_eq!(rows.len(), SNAPSHOTS);
    let style = Style {
        dialect: Dialect::Ctp,
        absent: f64::MAX,
        lost_trading_day: None,
        names_exchange: true,
        is_deep: false,
        omits_limits: false,
        zeroes_book: true,
        omits_action_day: false,
    };
    let front = Front {
        style,
        delay_ms: 1,
        jitter_ms: 398,
        lost_percent: 0,
        twice_percent: 0,
        takes_one_in: 1,
        outage: None,
        replays_night: false,
    };
    let product = Product {
        symbol: "IF2101",
        exchange: Exchange::Cffex,
        hours: Hours::Index,
        price: 5_216.2,
        tick_size: 0.2,
        multiplier: 300.0,
        is_spread: false,
    };
    let mut scenario = Scenario {
        seed: 0,
        products: vec![product],
        days: vec![Day::of(20_210_104)],
        ticks: rows.iter().map(truth).collect(),
        fronts: vec![front.clone(), front],
        fences: Vec::new(),
        is_doubted: false,
        is_primary_only: false,
        arrivals: Vec::new(),
    };
    let mut draw = Draw::new(1);
    for source in 0..2 {
        let mut pipe_ns = 0;
        for (index, row) in rows.iter().enumerate() {
            if draw.below(10) == 0 {
                continue;
            }
            pipe_ns = (pipe_ns + 1_000)
                .max((scenario.ticks[index].happened_ms + 1) * 1_000_000 + draw.between(0, 398_000) * 1_000);
            let mut raw = record(row);
            raw.ingress_real_ns = pipe_ns.cast_unsigned().into();
            raw.ingress_mono_ns = scenario.mono_ns(pipe_ns).into();
            scenario.arrivals.push(Arrival { at_ns: pipe_ns, source, label: Label::True(index), raw });
        }
    }
    scenario.arrivals.sort_by_key(|arrival| arrival.at_ns);
    scenario
}

#[test]
fn the_recorded_day_passes_untouched() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/CFFEX.IF2101_20210104.ctp.csv.gz");
    let Ok(file) = std::fs::File::open(&data) else {
        println!("skipped: third-party data, not part of the project: {} is not there", data.display());
        return;
    };
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("the file unpacks");
    let scenario = scenario(&text);
    let fates = Hub::start(&scenario, |config| config).play();
    let expected = Oracle::follow(&scenario, &fates);
    let (tally, mut objections) = judge(&scenario, &expected, &fates);
    objections.extend(missing(&scenario, &expected, &messages(&fates)));
    assert!(objections.is_empty(), "{} objections: {:#?}", objections.len(), &objections[..objections.len().min(5)]);
    // A hundredth is lost by both sources.
    assert!(tally.published > SNAPSHOTS * 98 / 100, "{}", tally.published);
}
