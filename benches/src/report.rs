//! A Markdown table under `target/bench/`, and the same on the terminal.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::{Failure, Latencies, PAYLOAD_BYTES, REPEATS, SECONDS};

/// Every repeat at one rate.
pub(crate) struct Row {
    rate: u32,
    pub(crate) raw_tcp: Vec<Latencies>,
    pub(crate) libzmq: Vec<Latencies>,
    pub(crate) whole_path: Vec<Latencies>,
}

impl Row {
    pub(crate) const fn new(rate: u32) -> Self {
        Self { rate, raw_tcp: Vec::new(), libzmq: Vec::new(), whole_path: Vec::new() }
    }
}

/// The median over the repeats of one quantile, in microseconds.
fn median_us(repeats: &[Latencies], quantile: f64) -> f64 {
    let mut found: Vec<u64> = repeats.iter().map(|r| r.value_at_quantile(quantile)).collect();
    found.sort_unstable();
    found.get(found.len() / 2).map_or(f64::NAN, |ns| *ns as f64 / 1_000.0)
}

/// Writes the report.
pub(crate) fn write(rows: &[Row]) -> Result<(), Failure> {
    let mut text = format!(
        "# mdhub bench\n\n{}\n\n{REPEATS} repeats of {SECONDS} s each; medians over the repeats; peers' payloads {PAYLOAD_BYTES} bytes; microseconds.\n\n\
         | ticks/s | path | p50 | p99 | p50 / bare libzmq | p50 / raw TCP | samples |\n|---:|---|---:|---:|---:|---:|---:|\n",
        machine()
    );
    for row in rows {
        let (tcp, zmq) = (median_us(&row.raw_tcp, 0.5), median_us(&row.libzmq, 0.5));
        for (name, repeats) in
            [("raw TCP", &row.raw_tcp), ("bare libzmq PUB-SUB", &row.libzmq), ("mdhub whole path", &row.whole_path)]
        {
            let (p50, p99) = (median_us(repeats, 0.5), median_us(repeats, 0.99));
            let samples: u64 = repeats.iter().map(Latencies::len).sum();
            let _ = writeln!(
                text,
                "| {} | {name} | {p50:.1} | {p99:.1} | {:.2} | {:.2} | {samples} |",
                row.rate,
                p50 / zmq,
                p50 / tcp
            );
        }
    }
    let place = target().join("bench");
    fs::create_dir_all(&place).map_err(|e| e.to_string())?;
    fs::write(place.join("report.md"), &text).map_err(|e| e.to_string())?;
    println!("{text}\nwritten to target/bench/report.md");
    Ok(())
}

/// This program lies in `target/release`.
fn target() -> PathBuf {
    std::env::current_exe().ok().and_then(|p| Some(p.parent()?.parent()?.to_owned())).unwrap_or_default()
}

fn machine() -> String {
    let read = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(|| "unknown".into(), |(_, v)| v.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let (processor, memory) = (read("/proc/cpuinfo", "model name"), read("/proc/meminfo", "MemTotal"));
    format!("Machine: {processor}, {cores} cores, {memory} of memory, Linux {}", kernel.trim())
}
