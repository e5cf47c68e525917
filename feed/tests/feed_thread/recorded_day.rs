//! The recorded day of IF2101, where the third-party file is there.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use mdhub_spec::raw_tick::{RawTick, field};

use crate::day::{Snapshot, replay};

const SNAPSHOTS: usize = 27_955;

fn read() -> Option<Vec<Snapshot>> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/CFFEX.IF2101_20210104.ctp.csv.gz");
    let Ok(file) = std::fs::File::open(&data) else {
        println!("skipped: third-party data, not part of the project: {} is not there", data.display());
        return None;
    };
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("the file unpacks");
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let day: Vec<_> = lines.map(|line| snapshot(&columns.iter().copied().zip(line.split(',')).collect())).collect();
    assert_eq!(day.len(), SNAPSHOTS);
    Some(day)
}

fn snapshot(row: &HashMap<&str, &str>) -> Snapshot {
    let float = |name: &str| row[name].parse::<f64>().expect("a number").into();
    let integer = |name: &str| row[name].parse::<i32>().expect("an integer").into();
    let mut raw = RawTick {
        instrument: field(row["InstrumentID"].as_bytes()),
        trading_day: field(row["TradingDay"].as_bytes()),
        action_day: field(row["ActionDay"].as_bytes()),
        update_time: field(row["UpdateTime"].as_bytes()),
        update_ms: integer("UpdateMillisec"),
        volume: integer("Volume"),
        turnover: float("Turnover"),
        open_interest: float("OpenInterest"),
        last_price: float("LastPrice"),
        settlement: float("SettlementPrice"),
        ..RawTick::default()
    };
    raw.levels[0].bid_price = float("BidPrice1");
    raw.levels[0].bid_volume = integer("BidVolume1");
    raw.levels[0].ask_price = float("AskPrice1");
    raw.levels[0].ask_volume = integer("AskVolume1");
    let local = format!("{} {}", row["ActionDay"], row["UpdateTime"]);
    let local = DateTime::strptime("%Y%m%d %H:%M:%S", local).expect("a time");
    let at = local.to_zoned(TimeZone::fixed(Offset::constant(8))).expect("an instant").timestamp();
    Snapshot { raw, time_ms: at.as_millisecond() + i64::from(raw.update_ms.get()) }
}

#[test]
fn with_a_skew_below_400_ms_the_recorded_day_comes_out_whole() {
    let Some(day) = read() else { return };
    assert_eq!(replay("IF2101.CFFEX", &day, 399), 0);
}

#[test]
fn with_a_larger_skew_the_recorded_day_is_published_or_late_unique() {
    let Some(day) = read() else { return };
    let unique = replay("IF2101.CFFEX", &day, 20_000);
    assert!(unique > 1_000, "only {unique} came late: the skew was to make more so");
}
