//! Recorded depth records in CSV, with CTP's column names. Values go out as they stand there; a column or a value that is
//! missing is absent.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};

use crate::date::{beijing_midnight_ms, parse_date, parse_time, previous_weekday};
use crate::flavour::Flavour;
use crate::instrument::{Exchange, Instrument};
use crate::record::{Level, Snapshot};

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `InstrumentID`.
    pub instrument: Vec<u8>,
    /// When it was taken, milliseconds since the epoch; the time of the row before where it has none.
    pub market_ms: i64,
    /// Its values.
    pub snapshot: Snapshot,
}

type Text = fn(&mut Snapshot) -> &mut [u8; 9];
type Number = fn(&mut Snapshot, f64);
type LevelNumber = fn(&mut Level, f64);

/// What a column's values become.
#[derive(Clone, Copy)]
enum Column {
    Instrument,
    Text(Text),
    Number(Number),
    Level(usize, LevelNumber),
    Unknown,
}

const TEXTS: &[(&str, Text)] = &[
    ("TradingDay", |s| &mut s.trading_day),
    ("ActionDay", |s| &mut s.action_day),
    ("UpdateTime", |s| &mut s.update_time),
    ("ExchangeID", |s| &mut s.exchange),
];

const NUMBERS: &[(&str, Number)] = &[
    ("UpdateMillisec", |s, v| s.update_ms = v as i32),
    ("Volume", |s, v| s.volume = v as i32),
    ("LastPrice", |s, v| s.last = v),
    ("PreSettlementPrice", |s, v| s.pre_settlement = v),
    ("PreClosePrice", |s, v| s.pre_close = v),
    ("PreOpenInterest", |s, v| s.pre_open_interest = v),
    ("OpenPrice", |s, v| s.open = v),
    ("HighestPrice", |s, v| s.high = v),
    ("LowestPrice", |s, v| s.low = v),
    ("Turnover", |s, v| s.turnover = v),
    ("OpenInterest", |s, v| s.open_interest = v),
    ("ClosePrice", |s, v| s.close = v),
    ("SettlementPrice", |s, v| s.settlement = v),
    ("UpperLimitPrice", |s, v| s.limit_up = v),
    ("LowerLimitPrice", |s, v| s.limit_down = v),
    ("AveragePrice", |s, v| s.average = v),
];

/// Followed by the level, 1 to 5.
const LEVELS: &[(&str, LevelNumber)] = &[
    ("BidPrice", |l, v| l.bid_price = v),
    ("BidVolume", |l, v| l.bid_volume = v as i32),
    ("AskPrice", |l, v| l.ask_price = v),
    ("AskVolume", |l, v| l.ask_volume = v as i32),
];

const REQUIRED: [&str; 4] = ["InstrumentID", "TradingDay", "UpdateTime", "LastPrice"];

impl Column {
    fn of(name: &str) -> Self {
        if name == "InstrumentID" {
            return Self::Instrument;
        }
        if let Some((_, field)) = TEXTS.iter().find(|(n, _)| *n == name) {
            return Self::Text(*field);
        }
        if let Some((_, put)) = NUMBERS.iter().find(|(n, _)| *n == name) {
            return Self::Number(*put);
        }
        let level = |(n, put): &(&str, LevelNumber)| match name.strip_prefix(n)?.as_bytes() {
            [digit @ b'1'..=b'5'] => Some(Self::Level(usize::from(digit - b'1'), *put)),
            _ => None,
        };
        LEVELS.iter().find_map(level).unwrap_or(Self::Unknown)
    }
}

/// Reads a file's rows, at most `rows_max` of them.
///
/// # Errors
/// Names the file, the line, the column, the value and what is allowed.
pub fn read(path: &Path, flavour: Flavour, rows_max: usize) -> Result<Vec<Row>, String> {
    let shown = path.display();
    let failed = |e: &dyn std::fmt::Display| format!("market.files: {shown}: {e}");
    let mut reader = ReaderBuilder::new().from_path(path).map_err(|e| failed(&e))?;
    let names = reader.headers().map_err(|e| failed(&e))?.clone();
    if let Some(missing) = REQUIRED.iter().find(|r| !names.iter().any(|n| n == **r)) {
        return Err(failed(&format!("column {missing} is missing: CTP's column names are needed")));
    }
    let columns: Vec<Column> = names.iter().map(Column::of).collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|e| failed(&e))? {
        if rows.len() == rows_max {
            return Err(failed(&format!("more than {rows_max} records in all: a replay is held in memory")));
        }
        let line = record.position().map_or(0, csv::Position::line);
        let before_ms = rows.last().map(|r| r.market_ms);
        let row = row(&record, &columns, flavour, before_ms).map_err(|(column, value)| {
            failed(&format!("line {line}: {} is {value}", names.get(column).unwrap_or("?")))
        })?;
        rows.push(row);
    }
    Ok(rows)
}

/// One row; on failure the column and what is wrong with its value.
fn row(
    record: &ByteRecord,
    columns: &[Column],
    flavour: Flavour,
    before_ms: Option<i64>,
) -> Result<Row, (usize, String)> {
    let mut instrument = Vec::new();
    let mut snapshot = blank(flavour);
    for (i, (value, column)) in record.iter().zip(columns).enumerate() {
        let refuse = |allowed: &str| (i, format!("{:?}: allowed is {allowed}", String::from_utf8_lossy(value)));
        let number = || std::str::from_utf8(value).ok().and_then(|v| v.trim().parse::<f64>().ok());
        match column {
            _ if value.is_empty() => {}
            Column::Instrument if value.len() > 80 => return Err(refuse("a code of up to 80 bytes")),
            Column::Instrument => instrument = value.to_vec(),
            Column::Text(field) => {
                let place = field(&mut snapshot).get_mut(..value.len().min(9)).filter(|_| value.len() <= 8);
                place.ok_or_else(|| refuse("a text of up to 8 bytes"))?.copy_from_slice(value);
            }
            Column::Number(put) => put(&mut snapshot, number().ok_or_else(|| refuse("a number"))?),
            Column::Level(k, put) => put(&mut snapshot.levels[*k], number().ok_or_else(|| refuse("a number"))?),
            Column::Unknown => {}
        }
    }
    let market_ms = market_ms(&instrument, &snapshot).or(before_ms).unwrap_or_default();
    Ok(Row { instrument, market_ms, snapshot })
}

fn blank(flavour: Flavour) -> Snapshot {
    let absent = flavour.absent();
    let none = Level { bid_price: absent, bid_volume: 0, ask_price: absent, ask_volume: 0 };
    Snapshot {
        last: absent,
        pre_settlement: absent,
        pre_close: absent,
        open: absent,
        high: absent,
        low: absent,
        close: absent,
        settlement: absent,
        limit_up: absent,
        limit_down: absent,
        average: absent,
        levels: [none; 5],
        ..Snapshot::default()
    }
}

/// When a snapshot was taken, milliseconds since the epoch. At night the exchanges date it in three ways: Zhengzhou's
/// `ActionDay` is right, elsewhere `TradingDay` is, and a night belongs to the weekday before it.
fn market_ms(instrument: &[u8], snapshot: &Snapshot) -> Option<i64> {
    let of_day = parse_time(text(&snapshot.update_time))? + i64::from(snapshot.update_ms);
    let (trading, action) = (parse_date(text(&snapshot.trading_day)), parse_date(text(&snapshot.action_day)));
    let zhengzhou = Instrument::of(instrument, Flavour::Ctp).is_some_and(|i| i.exchange == Exchange::Czce);
    let date = match (zhengzhou, of_day / 3_600_000) {
        (true, _) => action.or(trading)?,
        (false, 5..18) => trading.or(action)?,
        (false, 18..) => previous_weekday(trading?),
        (false, _) => previous_weekday(trading?) + 1,
    };
    Some(beijing_midnight_ms(date) + of_day)
}

fn text(field: &[u8; 9]) -> &str {
    std::str::from_utf8(field).unwrap_or_default().trim_end_matches('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<Row>, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("day.csv");
        std::fs::write(&path, text).expect("written");
        read(&path, Flavour::Ctp, 3)
    }

    const HEAD: &str =
        "TradingDay,InstrumentID,LastPrice,UpdateTime,UpdateMillisec,BidPrice1,AskVolume5,ActionDay,Mood";

    #[test]
    fn values_go_out_as_they_stand_and_what_is_missing_is_absent() {
        let text =
            format!("{HEAD}\n20240415,m2405,-0.5,21:00:00,45,,7,20240415,good\n20240415,m2405,1,99:99:99,0,2,,,\n");
        let rows = rows(&text).expect("rows");
        let first = &rows[0].snapshot;
        assert_eq!((first.last, first.update_ms, first.levels[0].bid_price), (-0.5, 45, f64::MAX));
        assert_eq!((first.levels[4].ask_volume, first.close, first.volume), (7, f64::MAX, 0));
        assert_eq!(&rows[1].snapshot.update_time, b"99:99:99\0");
        // DCE dates a Friday night by Monday; a row without a time stands where the row before it stood.
        let friday_night = 1_712_926_800_045;
        assert_eq!(rows.iter().map(|r| r.market_ms).collect::<Vec<_>>(), [friday_night, friday_night]);
    }

    #[test]
    fn nights_stand_before_the_days_they_belong_to() {
        for (row, beijing) in [
            ("20240415,rb2405,1,21:00:00,0,1,1,20240412,", 1_712_926_800_000_i64),
            ("20240412,MA405,1,21:00:00,0,1,1,20240412,", 1_712_926_800_000),
            ("20240415,ag2406,1,00:30:00,0,1,1,20240413,", 1_712_939_400_000),
            ("20240415,rb2405,1,09:00:00,0,1,1,20240415,", 1_713_142_800_000),
        ] {
            assert_eq!(rows(&format!("{HEAD}\n{row}\n")).expect("a row")[0].market_ms, beijing, "{row}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        let row = "20240415,m2405,1,21:00:00,45,1,7,20240415,";
        for (text, part) in [
            ("TradingDay,InstrumentID\n".to_owned(), "column UpdateTime is missing"),
            (format!("{HEAD}\n{row}\n20240415,m2405,x,21:00:00,45,,7,,\n"), "line 3: LastPrice is \"x\""),
            (format!("{HEAD}\n2024-04-15,m2405,1,21:00:00,45,,7,,\n"), "line 2: TradingDay is \"2024-04-15\""),
            (format!("{HEAD}\n{row}\n{row}\n{row}\n{row}\n"), "more than 3 records"),
        ] {
            let error = rows(&text);
            assert!(error.as_ref().is_err_and(|e| e.contains(part)), "{error:?}");
        }
    }
}
