//! A Markdown page under `target/bench/`, and the same on the terminal.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::footprint::Footprint;
use crate::incidents::Incidents;
use crate::latency::{Path, Row, Step};
use crate::machine::Machine;
use crate::micro::Cost;
use crate::throughput::{Flood, Lossless};
use crate::{Effort, Failure, PAYLOAD_BYTES};

/// What a run found; what was not asked for, or failed, is not there.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) latencies: Option<Vec<Row>>,
    pub(crate) climb: Option<Vec<Step>>,
    pub(crate) flood: Option<Flood>,
    pub(crate) lossless: Option<Lossless>,
    pub(crate) incidents: Option<Incidents>,
    pub(crate) footprint: Option<Footprint>,
    pub(crate) start_s: Option<Vec<f64>>,
    pub(crate) micro: Option<Vec<Cost>>,
    /// Which peer was not to be had, and why.
    pub(crate) skipped: Vec<String>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

/// The middle one; of an even number the upper of the two. NaN of none.
pub(crate) fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `target/bench`: this program lies in `target/release` or `target/debug`.
pub(crate) fn place() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let target = program.parent().and_then(|p| p.parent()).ok_or("this program lies in no target directory")?;
    let place = target.join("bench");
    fs::create_dir_all(&place).map_err(|e| format!("{}: {e}", place.display()))?;
    Ok(place)
}

/// Which side of a target is good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    More,
}

/// A line of the first table.
struct Target {
    what: &'static str,
    must: String,
    aim: String,
    measured: String,
    verdict: &'static str,
}

/// What a figure is worth. Without a figure nothing is claimed.
fn verdict(better: Better, measured: f64, must: f64, aim: f64) -> &'static str {
    let reaches = |limit: f64| if better == Better::Less { measured <= limit } else { measured >= limit };
    match () {
        () if measured.is_nan() || must.is_nan() => "not measured",
        () if reaches(aim) => "aim",
        () if reaches(must) => "must",
        () => "**missed**",
    }
}

fn target(what: &'static str, better: Better, unit: &str, measured: f64, must: f64, aim: f64) -> Target {
    let sign = if better == Better::Less { "<=" } else { ">=" };
    let limit = |limit: f64| if limit.is_nan() { "-".into() } else { format!("{sign} {}{unit}", short(limit)) };
    let shown = match measured {
        m if m.is_nan() => "-".into(),
        m if m.is_infinite() => "never".into(),
        m => format!("{}{unit}", short(m)),
    };
    Target { what, must: limit(must), aim: limit(aim), measured: shown, verdict: verdict(better, measured, must, aim) }
}

/// Three digits, or all in front of the point.
fn short(n: f64) -> String {
    let digits = if n.abs() >= 100.0 || n.fract() == 0.0 { 0 } else { usize::from(n.abs() < 10.0) + 1 };
    format!("{n:.digits$}")
}

impl Found {
    fn us(&self, path: Path, rate: u32, quantile: f64) -> f64 {
        let row = self.latencies.iter().flatten().find(|row| row.path == path && row.rate == rate);
        row.map_or(f64::NAN, |row| row.us(quantile))
    }

    fn targets(&self) -> Vec<Target> {
        use Better::{Less, More};
        const AT: u32 = 10_000;
        let p50 = |path| self.us(path, AT, 0.5);
        let (libzmq, tcp) = (p50(Path::Libzmq), p50(Path::RawTcp));
        let p99 = self.us(Path::HubToLibzmq, AT, 0.99);
        let ratio = self.flood.as_ref().and_then(Flood::ratio).unwrap_or(f64::NAN);
        let lossless = self.lossless.unwrap_or_default();
        let incidents = self.incidents.as_ref().filter(|found| found.compared > 0);
        let [death, failover, front, front_failover] = incidents.map_or([f64::NAN; 4], Incidents::medians);
        let count = |of: fn(&Incidents) -> u64| incidents.map_or(f64::NAN, |found| of(found) as f64);
        // Where neither kept the lowest rate, nothing is known.
        let (feed, peer) = if lossless.feed + lossless.libzmq > 0 {
            (f64::from(lossless.feed), f64::from(lossless.libzmq))
        } else {
            (f64::NAN, f64::NAN)
        };
        // A quick run has fewer.
        let rss = self.footprint.filter(|f| f.contracts == 20_000).map_or(f64::NAN, |f| f.hub_mib);
        let start = self.start_s.as_deref().map_or(f64::NAN, median);
        vec![
            target(
                "whole path -> libzmq SUB, p50 at 10k ticks/s, of bare libzmq's",
                Less,
                "x",
                p50(Path::HubToLibzmq) / libzmq,
                1.0,
                0.75,
            ),
            target(
                "whole path -> raw-socket ZMTP, p50 at 10k ticks/s, of raw TCP's",
                Less,
                "x",
                p50(Path::HubToSocket) / tcp,
                2.0,
                1.4,
            ),
            target("p99 of the whole path -> libzmq SUB, at 10k ticks/s", Less, " us", p99, 1_000.0, 250.0),
            target("unique ticks/s out with two sources, of vnpy's", More, "x", ratio, 10.0, 20.0),
            target(
                "8 subscribers, lossless, ticks/s each; must: libzmq's in this run",
                More,
                "",
                feed,
                peer,
                150_000.0,
            ),
            target("kill -9 of the primary, second source healthy: ticks lost", Less, "", count(|i| i.lost), 0.0, 0.0),
            target("the same: gaps in seq", Less, "", count(|i| i.gaps), 0.0, 0.0),
            target("failover: kill -> standby's first tick (`primary_only`)", Less, " ms", failover, 100.0, 20.0),
            target("detection: a process's death", Less, " ms", death, 50.0, 10.0),
            target("detection: a front's loss (its last tick -> `status.json`)", Less, " ms", front, 50.0, 10.0),
            target("a front's loss -> standby's first tick (`primary_only`)", Less, " ms", front_failover, 100.0, 20.0),
            target(
                "hub's memory: 20,000 contracts, 2 sources, 8 idle peers, log full",
                Less,
                " MiB",
                rss,
                250.0,
                120.0,
            ),
            target("demo's start -> first published tick", Less, " s", start, 3.0, 1.0),
        ]
    }

    /// The page.
    fn text(&self, machine: &Machine, effort: &Effort) -> String {
        let mut text = format!(
            "# mdhub bench\n\n{}\n\n{}: {} repeats of {} s, those of the peers interleaved; medians over the repeats; peers' payloads {PAYLOAD_BYTES} bytes.\n\n\
             | what | must | aim | measured | verdict |\n|---|---:|---:|---:|---|\n",
            machine.describe(),
            effort.name,
            effort.repeats,
            effort.seconds
        );
        for Target { what, must, aim, measured, verdict } in self.targets() {
            let _ = writeln!(text, "| {what} | {must} | {aim} | {measured} | {verdict} |");
        }
        self.put_latencies(&mut text);
        self.put_climb(&mut text);
        self.put_throughput(&mut text);
        self.put_rest(&mut text);
        if !self.failures.is_empty() || !self.skipped.is_empty() {
            text.push_str("\n## Not measured\n\n");
            self.skipped.iter().chain(&self.failures).for_each(|failure| text.push_str(&format!("- {failure}\n")));
        }
        text
    }

    fn put_latencies(&self, text: &mut String) {
        let Some(rows) = &self.latencies else { return };
        text.push_str(
            "\n## Latency, microseconds\n\n| ticks/s | path | p50 | p99 | p50 / libzmq | p50 / raw TCP | samples |\n|---:|---|---:|---:|---:|---:|---:|\n",
        );
        for row in rows {
            let (p50, p99) = (row.us(0.5), row.us(0.99));
            let of = |path| p50 / self.us(path, row.rate, 0.5);
            let samples: u64 = row.repeats.iter().map(|r| r.len()).sum();
            let _ = writeln!(
                text,
                "| {} | {} | {p50:.1} | {p99:.1} | {:.2} | {:.2} | {samples} |",
                row.rate,
                row.path.name(),
                of(Path::Libzmq),
                of(Path::RawTcp)
            );
        }
    }

    fn put_climb(&self, text: &mut String) {
        let Some(steps) = &self.climb else { return };
        text.push_str(
            "\n## Whole path to saturation, one source, one raw-socket client\n\n| worker | ticks/s due | came | p50 us | p99 us | given up by the worker | feed's system calls a tick: waits, reads, writes | kept |\n|---|---:|---:|---:|---:|---:|---|---|\n",
        );
        for step in steps {
            let Step { driver, rate, per_second, p50_us, p99_us, ring_dropped, calls } = step;
            let kept = if step.is_kept() { "yes" } else { "no" };
            let calls = calls.map(|calls| format!("{calls:.2}")).join(", ");
            let _ = writeln!(
                text,
                "| {driver:?} | {rate} | {per_second:.0} | {p50_us:.1} | {p99_us:.1} | {ring_dropped} | {calls} | {kept} |"
            );
        }
        text.push_str(
            "\nOf each hundred snapshots that are due the simulated market leaves out one or two. A latency begins where the \
             worker's own code is called; what vnpy's binding does before that shows in what came, not in the latency.\n",
        );
    }

    fn put_throughput(&self, text: &mut String) {
        if let Some(flood) = &self.flood {
            let vnpy =
                if flood.vnpy.is_empty() { "not measured".into() } else { format!("{:.0}", median(&flood.vnpy)) };
            let _ = writeln!(
                text,
                "\n## As fast as it goes, ticks/s\n\n| | ticks/s |\n|---|---:|\n\
                 | the feed alone, two sources that bring the same: unique ticks published | {:.0} |\n\
                 | of those, to one raw-socket subscriber | {:.1} % |\n| vnpy EventEngine + RpcServer, to the same subscriber | {vnpy} |",
                flood.published(),
                median(&flood.delivered) * 100.0
            );
        }
        if let Some(Lossless { feed, libzmq }) = self.lossless {
            let _ = writeln!(
                text,
                "\n## Eight raw-socket subscribers, no tick lost\n\nHighest rate kept, each ticks/s: the feed alone {feed}, libzmq PUB {libzmq}. Both may hold 16 MiB for each subscriber."
            );
        }
    }

    fn put_rest(&self, text: &mut String) {
        if let Some(Incidents { lost, compared, gaps, .. }) = &self.incidents {
            let _ = writeln!(
                text,
                "\n## Incidents\n\nOf {compared} ticks that the surviving front handed over around the kill {lost} were not published; {gaps} gaps in seq. \
                 Redundancy is always that of all sources today: every source subscribes every contract, so that there is no subscribe call at the standby to be timed; its first tick is."
            );
        }
        if let Some(Footprint { contracts, hub_mib, workers_mib: [first, second] }) = self.footprint {
            let _ = writeln!(
                text,
                "\n## Memory, MiB\n\nWith {contracts} contracts: hub {hub_mib:.0}; its two workers, the simulated library included, {first:.0} and {second:.0}."
            );
        }
        if let Some(costs) = &self.micro {
            text.push_str("\n## A tick's way, step by step, on one core\n\n| step | ns |\n|---|---:|\n");
            costs.iter().for_each(|Cost { step, ns }| text.push_str(&format!("| {step} | {ns:.0} |\n")));
        }
    }

    /// Writes the page, and prints it.
    pub(crate) fn write(&self, machine: &Machine, effort: &Effort) -> Result<(), Failure> {
        let text = self.text(machine, effort);
        fs::write(place()?.join("report.md"), &text).map_err(|e| e.to_string())?;
        println!("{text}\nwritten to target/bench/report.md");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_judged_by_its_better_side() {
        use Better::{Less, More};
        for (better, measured, must, aim, expected) in [
            (Less, 0.7, 1.0, 0.75, "aim"),
            (Less, 1.0, 1.0, 0.75, "must"),
            (Less, 1.1, 1.0, 0.75, "**missed**"),
            (More, 9.9, 10.0, 20.0, "**missed**"),
            (More, 20.0, 10.0, 20.0, "aim"),
            (Less, f64::NAN, 1.0, 0.75, "not measured"),
            (More, 5.0, f64::NAN, 150.0, "not measured"),
        ] {
            assert_eq!(verdict(better, measured, must, aim), expected, "{measured}");
        }
    }

    #[test]
    fn the_middle_one_is_the_median() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn what_was_not_measured_claims_nothing() {
        let found = Found::default();
        assert!(found.targets().iter().all(|t| t.verdict == "not measured" && t.measured == "-"));
    }
}
