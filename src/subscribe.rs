//! `mdhub subscribe`: prints ticks, for a look and for scripts.

use std::io::{self, Write as _};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use rmpv::Value;
use serde_json::{Map, json as value};
use zeromq::{Socket, SocketRecv, SubSocket};

use crate::Failure;
use crate::cli::SubscribeArgs;

/// Prints ticks until there were enough, or for ever.
///
/// # Errors
/// When the hub cannot be reached or sends what is no tick.
pub(crate) async fn run(args: SubscribeArgs) -> Result<(), Failure> {
    let endpoint = String::from(args.zmq);
    let mut socket = SubSocket::new();
    socket.connect(&endpoint).await.map_err(|e| format!("{endpoint}: {e}; is the hub running?"))?;
    socket.subscribe(&args.topic).await.map_err(|e| format!("{endpoint}: {e}"))?;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let message = socket.recv().await.map_err(|e| format!("{endpoint}: {e}"))?;
        let payload = message.get(1).ok_or("a message without payload came")?;
        let tick =
            rmpv::decode::read_value(&mut &payload[..]).map_err(|e| format!("a payload is no MessagePack: {e}"))?;
        let line = if args.json { json_line(&tick) } else { human_line(&tick) };
        if let Err(e) = writeln!(io::stdout().lock(), "{line}") {
            // Whoever read the lines has had enough.
            return if e.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(e.to_string()) };
        }
        left -= 1;
    }
    Ok(())
}

/// A payload as JSON; `None` where it is no MessagePack.
pub(crate) fn as_json(mut payload: &[u8]) -> Option<serde_json::Value> {
    rmpv::decode::read_value(&mut payload).ok().map(|tick| json(&tick))
}

fn json_line(tick: &Value) -> String {
    json(tick).to_string()
}

/// Every field. Numbers that JSON readers would round are strings.
fn json(tick: &Value) -> serde_json::Value {
    let fields = tick.as_map().map(Vec::as_slice).unwrap_or_default();
    let object: Map<_, _> = fields
        .iter()
        .filter_map(|(key, value)| {
            let key = key.as_str()?;
            let exact = matches!(key, "tid" | "epoch") || key.ends_with("_ns");
            Some((key.to_owned(), if exact { value!(value.to_string()) } else { json_value(value) }))
        })
        .collect();
    serde_json::Value::Object(object)
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Boolean(b) => value!(b),
        Value::Integer(i) => i.as_i64().map_or_else(|| value!(i.as_u64()), |i| value!(i)),
        Value::F32(f) => value!(f),
        Value::F64(f) => value!(f),
        Value::String(s) => value!(s.as_str()),
        Value::Ext(-1, bytes) => value!(instant(bytes).map(|t| beijing(t, "%Y-%m-%dT%H:%M:%S%.6f%:z"))),
        _ => serde_json::Value::Null,
    }
}

fn human_line(tick: &Value) -> String {
    let field = |name: &str| &tick[name];
    let number = |name: &str| field(name).as_f64().map_or_else(|| "-".into(), |f| f.to_string());
    let time = match field("datetime") {
        Value::Ext(-1, bytes) => instant(bytes).map_or_else(|| "-".into(), |t| beijing(t, "%H:%M:%S%.3f")),
        _ => "-".into(),
    };
    format!(
        "{time} {:<16} last {:>10} bid {:>10} x {:<6} ask {:>10} x {:<6} volume {:>10} oi {:>10} seq {} from {}",
        field("vt_symbol").as_str().unwrap_or("-"),
        number("last_price"),
        number("bid_price_1"),
        number("bid_volume_1"),
        number("ask_price_1"),
        number("ask_volume_1"),
        number("volume"),
        number("open_interest"),
        field("seq"),
        field("source").as_str().unwrap_or("-"),
    )
}

/// A MessagePack timestamp, in any of its three forms.
fn instant(bytes: &[u8]) -> Option<Timestamp> {
    let (seconds, nanoseconds) = match bytes.len() {
        4 => (i64::from(u32::from_be_bytes(bytes.try_into().ok()?)), 0),
        8 => {
            let word = u64::from_be_bytes(bytes.try_into().ok()?);
            (i64::try_from(word & 0x3_ffff_ffff).ok()?, i32::try_from(word >> 34).ok()?)
        }
        12 => {
            let (nanos, seconds) = bytes.split_at(4);
            (i64::from_be_bytes(seconds.try_into().ok()?), i32::from_be_bytes(nanos.try_into().ok()?))
        }
        _ => return None,
    };
    Timestamp::new(seconds, nanoseconds).ok()
}

fn beijing(at: Timestamp, format: &str) -> String {
    at.to_zoned(TimeZone::fixed(Offset::constant(8))).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick() -> Value {
        let instant = [(123_000_000u64 << 34 | 1_795_000_000).to_be_bytes().as_slice()].concat();
        Value::Map(vec![
            ("vt_symbol".into(), "rb2701.SHFE".into()),
            ("last_price".into(), 3142.0.into()),
            ("limit_up".into(), Value::Nil),
            ("tid".into(), u64::MAX.into()),
            ("ingress_ns".into(), 1_795_000_000_123_456_789u64.into()),
            ("seq".into(), 7.into()),
            ("datetime".into(), Value::Ext(-1, instant)),
        ])
    }

    #[test]
    fn json_keeps_every_digit_of_what_must_be_exact() {
        let line: serde_json::Value = serde_json::from_str(&json_line(&tick())).expect("JSON");
        assert_eq!(line["tid"], "18446744073709551615");
        assert_eq!(line["ingress_ns"], "1795000000123456789");
        assert_eq!(line["seq"], 7);
        assert_eq!(line["limit_up"], serde_json::Value::Null);
        assert_eq!(line["datetime"], "2026-11-18T19:06:40.123000+08:00");
    }

    #[test]
    fn a_line_for_people_shows_a_dash_for_what_is_absent() {
        let line = human_line(&tick());
        assert!(line.starts_with("19:06:40.123 rb2701.SHFE"), "{line}");
        assert!(line.contains("last       3142") && line.contains("bid          -"), "{line}");
    }
}
