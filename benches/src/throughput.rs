//! How many ticks a second: what one subscriber gets when everything runs as fast as it goes, and what eight subscribers
//! get without losing one.

use std::fs;

use serde_json::Value;

use crate::clock::{Running, free_address, mono_ns, soon, until};
use crate::report::median;
use crate::vnpy::Vnpy;
use crate::zmtp_client::ZmtpClient;
use crate::{Effort, Failure};

/// Subscribers of the second table.
const SUBSCRIBERS: usize = 8;

/// What a sender that was told to start at an instant gets to be ready.
const READY_MS: u64 = 1_000;

/// A rate is kept when the last tick comes no later than this after its time.
const LATE_S_MAX: f64 = 0.1;

/// So many silences in a row are the end.
const SILENCES_MAX: u32 = 4;

/// What one subscriber got.
#[derive(Debug, Clone, Copy)]
struct Got {
    messages: u64,
    /// From the first one to the last.
    seconds: f64,
}

/// Counts what comes until there are `expected`, or nothing comes any more.
fn count(address: &str, expected: u64) -> Result<Got, Failure> {
    let mut client = until(10, "a publisher that listens", || ZmtpClient::subscribe(address, b"").ok())?;
    let (mut messages, mut first, mut last, mut silences) = (0, 0, 0, 0);
    // Ten seconds for the first one.
    while messages < expected && silences < if messages == 0 { 50 } else { SILENCES_MAX } {
        let before = messages;
        silences = match client.read(|_| messages += 1) {
            Ok(came) => {
                if came {
                    0
                } else {
                    silences + 1
                }
            }
            // A publisher that cuts a subscriber off has lost the rest.
            Err(_) if before > 0 => break,
            Err(failure) => return Err(failure),
        };
        if messages > before {
            last = mono_ns();
            first = if before == 0 { last } else { first };
        }
    }
    Ok(Got { messages, seconds: (last - first) as f64 / 1e9 })
}

/// Ticks a second, as fast as it goes.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    /// Unique ticks that the feed published, of two sources that bring the same.
    pub(crate) published: Vec<f64>,
    /// Of those, the share that the one subscriber got.
    pub(crate) delivered: Vec<f64>,
    /// What vnpy's RPC server got out to the same subscriber.
    pub(crate) vnpy: Vec<f64>,
}

/// The feed with two sources, and vnpy.
pub(crate) fn flood(effort: &Effort, vnpy: Result<&Vnpy, &Failure>) -> Result<Flood, Failure> {
    let mut flood = Flood::default();
    for _ in 0..effort.repeats {
        let ticks = effort.flood_ticks;
        let place = tempfile::tempdir().map_err(|e| e.to_string())?;
        let result = place.path().join("result.json");
        let address = free_address()?;
        let _feed = feed(&address, 2, 0, ticks, &result)?;
        let got = count(&address, ticks)?;
        let done: Value =
            until(70, "the feed's own counts", || serde_json::from_str(&fs::read_to_string(&result).ok()?).ok())?;
        let published = done["published"].as_f64().unwrap_or_default();
        flood.published.push(published / (done["elapsed_ns"].as_f64().unwrap_or(f64::NAN) / 1e9));
        flood.delivered.push(got.messages as f64 / published);
        if let Ok(vnpy) = vnpy {
            let (address, ticks) = (free_address()?, ticks / 10);
            let _server = vnpy.server(&address, 0, ticks, soon(2 * READY_MS))?;
            let got = count(&address, ticks)?;
            flood.vnpy.push(got.messages as f64 / got.seconds);
        }
    }
    Ok(flood)
}

impl Flood {
    pub(crate) fn published(&self) -> f64 {
        median(&self.published)
    }

    /// Nothing when vnpy was not to be had.
    pub(crate) fn ratio(&self) -> Option<f64> {
        (!self.vnpy.is_empty()).then(|| median(&self.published) / median(&self.vnpy))
    }
}

fn feed(address: &str, sources: u8, rate: u32, count: u64, result: &std::path::Path) -> Result<Running, Failure> {
    let numbers = [u64::from(sources), u64::from(rate), count, soon(READY_MS)].map(|n| n.to_string());
    let [sources, rate, count, go_ns] = numbers.each_ref().map(String::as_str);
    Running::sender(&["feed", address, sources, rate, count, go_ns, &result.display().to_string()])
}

/// Who publishes to eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Publisher {
    Feed,
    Libzmq,
}

/// The highest rates at which every one of eight subscribers got every tick, on time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lossless {
    pub(crate) feed: u32,
    pub(crate) libzmq: u32,
}

/// Climbs the rates, both publishers in turn, until each has failed.
pub(crate) fn lossless(effort: &Effort) -> Result<Lossless, Failure> {
    let mut found = Lossless::default();
    let mut failed = [false, false];
    for &rate in effort.fan_out_rates {
        for publisher in [Publisher::Libzmq, Publisher::Feed] {
            let failed = &mut failed[usize::from(publisher == Publisher::Feed)];
            if *failed {
                continue;
            }
            // One that lost a tick for once gets a second chance: the machine may have been elsewhere.
            if keeps(publisher, rate, effort)? || keeps(publisher, rate, effort)? {
                *(if publisher == Publisher::Feed { &mut found.feed } else { &mut found.libzmq }) = rate;
            } else {
                *failed = true;
            }
        }
    }
    Ok(found)
}

fn keeps(publisher: Publisher, rate: u32, effort: &Effort) -> Result<bool, Failure> {
    let ticks = (f64::from(rate) * effort.fan_out_seconds) as u64;
    let address = free_address()?;
    let place = tempfile::tempdir().map_err(|e| e.to_string())?;
    let _sender = match publisher {
        Publisher::Feed => feed(&address, 1, rate, ticks, &place.path().join("result.json"))?,
        Publisher::Libzmq => {
            let numbers = [u64::from(rate), ticks, soon(READY_MS)].map(|n| n.to_string());
            let [rate, count, go_ns] = numbers.each_ref().map(String::as_str);
            Running::sender(&["libzmq-sender", &address, rate, count, go_ns])?
        }
    };
    let got: Vec<Got> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..SUBSCRIBERS).map(|_| scope.spawn(|| count(&address, ticks))).collect();
        let join = |reader: std::thread::ScopedJoinHandle<'_, _>| reader.join().map_err(|_| "a reader panicked")?;
        readers.into_iter().map(join).collect::<Result<_, Failure>>()
    })?;
    let lost: u64 = got.iter().map(|got| ticks - got.messages).sum();
    let slowest = got.iter().map(|got| got.seconds).fold(0.0, f64::max);
    eprintln!("  {publisher:?}, 8 subscribers, {rate} ticks/s: {lost} lost, {slowest:.2} s");
    Ok(lost == 0 && slowest <= effort.fan_out_seconds + LATE_S_MAX)
}
