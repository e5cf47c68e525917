//! `make bench`: what a tick's way costs, beside its peers, in one run.
//!
//! Every row is measured between processes on this machine, at the same rate and with payloads of the same size, and
//! repeated; medians are reported. All senders have the same beat: each millisecond its share of the rate. A large burst
//! would measure the queue, not the path.
//!
//! | section | measures |
//! |---|---|
//! | `latency` | the whole path (simulated vendor library, worker, pipe, feed, ZMTP) beside raw TCP, libzmq, crate `zeromq`, vnpy; and
//! |  | with vnpy_ctp's gateway in Python as its worker |
//! | `climb` | the whole path at rising rates, until it no longer keeps up |
//! | `flood` | unique ticks/s out of the feed with two sources, beside vnpy |
//! | `lossless` | the rate at which eight subscribers lose nothing, beside libzmq |
//! | `incidents` | `kill -9` of the primary, failover, detection |
//! | `memory` | a hub with 20,000 contracts |
//! | `start` | the demo's start to its first tick |
//! | `micro` | every step of a tick's way on one core |
//!
//! `make bench ARGS="--quick latency"`: less of it, and these sections only.

mod clock;
mod crate_zeromq;
mod feed_alone;
mod footprint;
mod hub;
mod incidents;
mod latency;
mod libzmq;
mod machine;
mod micro;
mod payload;
mod raw_tcp;
mod report;
mod throughput;
mod vnpy;
mod zmtp_client;

use std::path::Path;
use std::process::ExitCode;

use hdrhistogram::Histogram;

use report::Found;
use vnpy::Vnpy;

/// A failure, said in a sentence.
type Failure = String;

/// Latencies in nanoseconds.
type Latencies = Histogram<u64>;

/// Bytes of a peer's payload: what a tick takes on the wire of the whole path, within some bytes.
const PAYLOAD_BYTES: usize = 1_000;

/// What may wait for a subscriber of libzmq's: as many messages as are in the hub's 16 MiB.
const PEER_BUFFER_MESSAGES: i32 = 16 * 1024 * 1024 / PAYLOAD_BYTES as i32;

/// The topic of the peers.
const TOPIC: &str = "m2705.DCE";

const SECTIONS: [&str; 8] = ["latency", "climb", "flood", "lossless", "incidents", "memory", "start", "micro"];

/// How much of everything.
pub(crate) struct Effort {
    name: &'static str,
    /// Each row is measured this often; odd, so that the median is one of them.
    repeats: usize,
    /// How long one repeat of a latency measures.
    seconds: f64,
    rates: &'static [u32],
    climb_rates: &'static [u32],
    vnpy_climb_rates: &'static [u32],
    flood_ticks: u64,
    fan_out_rates: &'static [u32],
    fan_out_seconds: f64,
    contracts: u32,
    /// The log is filled to one part in so many.
    log_share: usize,
    micro_calls: u32,
}

const FULL: Effort = Effort {
    name: "Full run",
    repeats: 3,
    seconds: 2.0,
    rates: &[1_000, 10_000],
    climb_rates: &[1_000, 20_000, 40_000, 60_000, 80_000, 120_000, 160_000],
    vnpy_climb_rates: &[1_000, 5_000, 10_000, 20_000, 30_000, 40_000],
    flood_ticks: 1_000_000,
    fan_out_rates: &[10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 110_000, 150_000, 200_000],
    fan_out_seconds: 0.7,
    contracts: 20_000,
    log_share: 1,
    micro_calls: 200_000,
};

const QUICK: Effort = Effort {
    name: "Quick run, to try it out: its figures mean little",
    repeats: 1,
    seconds: 0.5,
    rates: &[10_000],
    climb_rates: &[40_000],
    vnpy_climb_rates: &[5_000],
    flood_ticks: 100_000,
    fan_out_rates: &[10_000, 40_000],
    fan_out_seconds: 0.3,
    contracts: 2_000,
    log_share: 10,
    micro_calls: 20_000,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match sender(&arguments).unwrap_or_else(|| compare(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// This program as one of the senders that it starts.
fn sender(arguments: &[&str]) -> Option<Result<(), Failure>> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?}: a number is needed"));
    let rate = |text: &str| number(text).map(|rate| rate as u32);
    Some(match *arguments {
        ["tcp-sender", address, r] => rate(r).and_then(|rate| raw_tcp::send(address, rate)),
        [role @ ("libzmq-sender" | "zeromq-sender"), address, r, count, go] => (|| {
            let send = if role == "libzmq-sender" { libzmq::send } else { crate_zeromq::send };
            send(address, rate(r)?, number(count)?, number(go)?)
        })(),
        ["feed", address, sources, r, count, go, result] => (|| {
            feed_alone::serve(&feed_alone::Task {
                address,
                sources: number(sources)? as u8,
                rate: rate(r)?,
                count: number(count)?,
                go_ns: number(go)?,
                result: Path::new(result),
            })
        })(),
        _ => return None,
    })
}

fn compare(arguments: &[&str]) -> Result<(), Failure> {
    let (options, sections): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|a| a.starts_with("--"));
    if let Some(unknown) = options.iter().find(|o| **o != "--quick") {
        return Err(format!("{unknown} is unknown: allowed are --quick, and the sections {}", SECTIONS.join(", ")));
    }
    if let Some(unknown) = sections.iter().find(|s| !SECTIONS.contains(s)) {
        return Err(format!("section {unknown:?} is unknown: there are {}", SECTIONS.join(", ")));
    }
    let effort = if options.is_empty() { FULL } else { QUICK };
    let machine = machine::Machine::look();
    let mut found = Found::default();
    let wanted = |section: &str| sections.is_empty() || sections.contains(&section);
    let asks_vnpy = wanted("latency") || wanted("flood");
    let vnpy = if asks_vnpy { Vnpy::prepare() } else { Err("not asked for".into()) };
    if let (true, Err(failure)) = (asks_vnpy, &vnpy) {
        found.skipped.push(format!("vnpy: {failure}"));
    }
    if let (true, Err(failure)) = (wanted("latency") || wanted("climb"), hub::Driver::Vnpy.is_there()) {
        found.skipped.push(format!("the worker of vnpy_ctp: {failure}"));
    }
    measure(&mut found, &effort, &wanted, vnpy.as_ref());
    found.write(&machine, &effort)?;
    if found.failures.is_empty() { Ok(()) } else { Err(format!("{} not measured", found.failures.len())) }
}

/// Every section that is wanted; one that fails leaves the others alone.
fn measure(found: &mut Found, effort: &Effort, wanted: &dyn Fn(&str) -> bool, vnpy: Result<&Vnpy, &Failure>) {
    let Found { latencies, climb, flood, lossless, incidents, footprint, start_s, micro, failures, .. } = found;
    let mut section = Section { wanted, failures };
    section.run("micro", micro, || micro::measure(effort));
    section.run("latency", latencies, || latency::compare(effort, vnpy));
    section.run("climb", climb, || latency::climb(effort));
    section.run("flood", flood, || throughput::flood(effort, vnpy));
    section.run("lossless", lossless, || throughput::lossless(effort));
    section.run("incidents", incidents, || incidents::measure(effort));
    section.run("memory", footprint, || footprint::measure(effort));
    section.run("start", start_s, || footprint::start(effort));
}

struct Section<'a> {
    wanted: &'a dyn Fn(&str) -> bool,
    failures: &'a mut Vec<String>,
}

impl Section<'_> {
    fn run<T>(&mut self, name: &str, into: &mut Option<T>, measure: impl FnOnce() -> Result<T, Failure>) {
        if !(self.wanted)(name) {
            return;
        }
        eprintln!("{name}");
        match measure() {
            Ok(value) => *into = Some(value),
            Err(failure) => self.failures.push(format!("{name}: {failure}")),
        }
    }
}

/// An empty histogram for latencies from 1 us to 10 s.
fn latencies() -> Result<Latencies, Failure> {
    Histogram::new_with_bounds(1_000, 10_000_000_000, 3).map_err(|e| e.to_string())
}
