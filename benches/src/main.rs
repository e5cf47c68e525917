//! `make bench`: what a tick's way costs, beside its peers, in one run.
//!
//! Every row is measured between two processes on this machine, at the same rate and with payloads of the same size, and
//! repeated; medians are reported. All senders have the same beat: each millisecond its share of the rate. A large burst
//! would measure the queue, not the path.
//!
//! | row | path |
//! |---|---|
//! | whole path | simulated vendor library -> worker -> pipe -> feed -> ZMTP -> libzmq SUB |
//! | bare libzmq | libzmq PUB -> libzmq SUB |
//! | raw TCP | one process writes, the other reads |

mod clock;
mod libzmq;
mod raw_tcp;
mod report;
mod whole_path;

use std::process::ExitCode;

use hdrhistogram::Histogram;

/// A failure, said in a sentence.
type Failure = String;

/// Latencies in nanoseconds.
type Latencies = Histogram<u64>;

/// Ticks a second.
const RATES: [u32; 2] = [1_000, 10_000];

/// Each row is measured this often; odd, so that the median is one of them.
const REPEATS: usize = 3;

/// Bytes of a peer's payload: what a tick takes on the wire of the whole path, within some bytes.
const PAYLOAD_BYTES: usize = 1_000;

/// How long one repeat measures.
const SECONDS: u32 = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["libzmq-sender", endpoint, rate] => libzmq::send(endpoint, rate),
        ["tcp-sender", address, rate] => raw_tcp::send(address, rate),
        _ => compare(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for rate in RATES {
        let mut row = report::Row::new(rate);
        for repeat in 1..=REPEATS {
            eprintln!("{rate} ticks/s, repeat {repeat} of {REPEATS}");
            row.raw_tcp.push(raw_tcp::measure(rate)?);
            row.libzmq.push(libzmq::measure(rate)?);
            row.whole_path.push(whole_path::measure(rate)?);
        }
        rows.push(row);
    }
    report::write(&rows)
}

/// An empty histogram for latencies from 1 us to 10 s.
fn latencies() -> Result<Latencies, Failure> {
    Histogram::new_with_bounds(1_000, 10_000_000_000, 3).map_err(|e| e.to_string())
}
