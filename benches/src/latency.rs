//! How long a tick takes, from the sender's hands to the subscriber's.

use crate::clock::{Running, free_address, passed, real_ns, soon};
use crate::hub::{Driver, Hub, Plan};
use crate::libzmq::{receive, subscriber};
use crate::report::median;
use crate::vnpy::Vnpy;
use crate::zmtp_client::ZmtpClient;
use crate::{Effort, Failure, Latencies, latencies, payload, raw_tcp};

/// The share of the simulated market's slots that bring a tick.
const TICKS_PER_SLOT: f64 = 0.985;

/// A hub keeps up while this share of what is due comes, and its workers give nothing up.
const KEPT_SHARE: f64 = 0.98;

/// The first seconds hold the snapshots that come on subscribing, and the start of the workers.
const WARM_UP_S: f64 = 1.0;

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// One socket.
    RawTcp,
    /// libzmq's PUB to its SUB.
    Libzmq,
    /// The crate's PUB to libzmq's SUB.
    CrateZeromq,
    /// vnpy's event engine to its RPC client.
    Vnpy,
    /// The whole hub to libzmq's SUB.
    HubToLibzmq,
    /// The whole hub to a bare socket that speaks ZMTP.
    HubToSocket,
    /// The whole hub with vnpy's gateway as its source, to libzmq's SUB.
    VnpyWorker,
}

impl Path {
    pub(crate) const ALL: [Self; 7] = [
        Self::RawTcp,
        Self::Libzmq,
        Self::CrateZeromq,
        Self::Vnpy,
        Self::HubToLibzmq,
        Self::HubToSocket,
        Self::VnpyWorker,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RawTcp => "raw TCP",
            Self::Libzmq => "libzmq PUB -> libzmq SUB",
            Self::CrateZeromq => "crate zeromq PUB -> libzmq SUB",
            Self::Vnpy => "vnpy EventEngine + RpcServer -> RpcClient",
            Self::HubToLibzmq => "mdhub whole path -> libzmq SUB",
            Self::HubToSocket => "mdhub whole path -> raw-socket ZMTP",
            Self::VnpyWorker => "mdhub, worker of vnpy_ctp -> libzmq SUB",
        }
    }
}

/// Every repeat of one path at one rate.
pub(crate) struct Row {
    pub(crate) path: Path,
    pub(crate) rate: u32,
    pub(crate) repeats: Vec<Latencies>,
}

impl Row {
    /// The median over the repeats of one quantile, in microseconds.
    pub(crate) fn us(&self, quantile: f64) -> f64 {
        median(&self.repeats.iter().map(|r| r.value_at_quantile(quantile) as f64 / 1_000.0).collect::<Vec<_>>())
    }
}

/// Every path at every rate, the repeats interleaved.
pub(crate) fn compare(effort: &Effort, vnpy: Result<&Vnpy, &Failure>) -> Result<Vec<Row>, Failure> {
    let is_there = |path: &Path| match path {
        Path::Vnpy => vnpy.is_ok(),
        Path::VnpyWorker => Driver::Vnpy.is_there().is_ok(),
        _ => true,
    };
    let paths: Vec<Path> = Path::ALL.into_iter().filter(is_there).collect();
    let mut rows = Vec::new();
    for &rate in effort.rates {
        let mut of_rate: Vec<Row> = paths.iter().map(|&path| Row { path, rate, repeats: Vec::new() }).collect();
        for repeat in 1..=effort.repeats {
            eprintln!("  {rate} ticks/s, repeat {repeat} of {}", effort.repeats);
            for row in &mut of_rate {
                let found = measure(row.path, rate, effort.seconds, vnpy);
                row.repeats.push(found.map_err(|e| format!("{} at {rate} ticks/s: {e}", row.path.name()))?);
            }
        }
        rows.extend(of_rate);
    }
    Ok(rows)
}

fn measure(path: Path, rate: u32, seconds: f64, vnpy: Result<&Vnpy, &Failure>) -> Result<Latencies, Failure> {
    match path {
        Path::RawTcp => raw_tcp::measure(rate, seconds),
        Path::Libzmq => of_peer("libzmq-sender", rate, seconds),
        Path::CrateZeromq => of_peer("zeromq-sender", rate, seconds),
        Path::Vnpy => vnpy.map_err(Clone::clone)?.measure(rate, seconds),
        Path::HubToLibzmq => {
            let hub = Hub::start(&Plan::at_rate(rate))?;
            to_libzmq(&hub.endpoint, seconds, payload::ingress_ns)
        }
        Path::VnpyWorker => {
            let hub = Hub::start(&Plan::at_rate(rate).driven_by(Driver::Vnpy))?;
            to_libzmq(&hub.endpoint, seconds, payload::ingress_ns)
        }
        Path::HubToSocket => Ok(to_socket(&Hub::start(&Plan::at_rate(rate))?, seconds)?.0),
    }
}

/// A peer that writes the time into the head of its payloads.
fn of_peer(role: &str, rate: u32, seconds: f64) -> Result<Latencies, Failure> {
    let address = free_address()?;
    let numbers = [u64::from(rate), u64::MAX >> 1, soon(300)].map(|n| n.to_string());
    let [rate, count, go_ns] = numbers.each_ref().map(String::as_str);
    let _sender = Running::sender(&[role, &address, rate, count, go_ns])?;
    to_libzmq(&format!("tcp://{address}"), seconds, |payload| payload.first_chunk().copied().map(u64::from_le_bytes))
}

fn to_libzmq(endpoint: &str, seconds: f64, sent: impl Fn(&[u8]) -> Option<u64>) -> Result<Latencies, Failure> {
    let socket = subscriber(endpoint)?;
    let mut found = latencies()?;
    receive(&socket)?;
    for (warm_up, seconds) in [(true, WARM_UP_S), (false, seconds)] {
        let start = real_ns();
        while !passed(start, seconds) {
            let (payload, now) = receive(&socket)?;
            let sent = sent(&payload).ok_or("a payload does not say when it was sent")?;
            if !warm_up {
                found.saturating_record(now.saturating_sub(sent));
            }
        }
    }
    Ok(found)
}

/// Latencies, and the ticks a second that came.
fn to_socket(hub: &Hub, seconds: f64) -> Result<(Latencies, f64), Failure> {
    let mut client = ZmtpClient::subscribe(hub.address(), b"")?;
    let mut found = latencies()?;
    crate::clock::until(20, "the first tick", || {
        let mut came = false;
        client.read(|_| came = true).ok()?;
        came.then_some(())
    })?;
    for (warm_up, seconds) in [(true, WARM_UP_S), (false, seconds)] {
        let start = real_ns();
        while !passed(start, seconds) {
            client.read(|payload| {
                let now = real_ns();
                if let (false, Some(sent)) = (warm_up, payload::ingress_ns(payload)) {
                    found.saturating_record(now.saturating_sub(sent));
                }
            })?;
        }
    }
    let per_second = found.len() as f64 / seconds;
    Ok((found, per_second))
}

/// The whole path at one rate of the climb.
pub(crate) struct Step {
    pub(crate) driver: Driver,
    pub(crate) rate: u32,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Ticks that workers gave up.
    pub(crate) ring_dropped: u64,
    /// The feed thread's system calls for each published tick: it waits, reads a pipe, writes to the subscriber.
    pub(crate) calls: [f64; 3],
}

impl Step {
    /// Whether everything that was due came.
    pub(crate) fn is_kept(&self) -> bool {
        self.ring_dropped == 0 && self.per_second >= f64::from(self.rate) * TICKS_PER_SLOT * KEPT_SHARE
    }
}

/// Raises the rate of the whole path until it is no longer kept, with each driver that is there.
pub(crate) fn climb(effort: &Effort) -> Result<Vec<Step>, Failure> {
    let there = Driver::ALL.into_iter().filter(|driver| driver.is_there().is_ok());
    let climbs = there.map(|driver| climb_with(driver, effort)).collect::<Result<Vec<_>, _>>()?;
    Ok(climbs.into_iter().flatten().collect())
}

fn climb_with(driver: Driver, effort: &Effort) -> Result<Vec<Step>, Failure> {
    let mut steps: Vec<Step> = Vec::new();
    let rates = if driver == Driver::Vnpy { effort.vnpy_climb_rates } else { effort.climb_rates };
    for &rate in rates {
        if steps.last().is_some_and(|step| !step.is_kept()) {
            break;
        }
        eprintln!("  whole path, {driver:?} worker, {rate} ticks/s");
        let hub = Hub::start(&Plan::at_rate(rate).driven_by(driver))?;
        let (found, per_second) = to_socket(&hub, effort.seconds)?;
        let [p50_us, p99_us] = [0.5, 0.99].map(|q| found.value_at_quantile(q) as f64 / 1_000.0);
        steps.push(Step {
            driver,
            rate,
            per_second,
            p50_us,
            p99_us,
            ring_dropped: hub.ring_dropped(),
            calls: hub.calls(),
        });
    }
    Ok(steps)
}
