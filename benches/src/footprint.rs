//! What a large hub takes of memory, and how soon a small one is there.

use std::path::Path;

use serde_json::json;

use crate::clock::{Running, free_address, mono_ns, until};
use crate::hub::{Driver, Hub, Plan, beside, resident_kib};
use crate::zmtp_client::ZmtpClient;
use crate::{Effort, Failure};

const PEERS: usize = 8;

/// The log of recent ticks, by default; it is full when so much was published.
const LOG_BYTES: usize = 48 * 1024 * 1024;

/// Resident memory, MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) contracts: u32,
    pub(crate) hub_mib: f64,
    pub(crate) workers_mib: [f64; 2],
}

/// A hub with many contracts, two sources, eight idle peers and a full log.
pub(crate) fn measure(effort: &Effort) -> Result<Footprint, Failure> {
    let plan = Plan {
        fronts: vec![json!({}), json!({"delay_ms": 1.0})],
        contracts: effort.contracts,
        interval_ms: 2_000,
        settings: "",
        driver: Driver::Native,
    };
    let hub = Hub::start(&plan)?;
    let idle = |_| ZmtpClient::subscribe(hub.address(), b"nothing begins like this");
    let _idle = (0..PEERS).map(idle).collect::<Result<Vec<_>, _>>()?;
    let mut reader = ZmtpClient::subscribe(hub.address(), b"")?;
    let (mut bytes, wanted) = (0, LOG_BYTES / effort.log_share);
    until(90, "the log to be full", || {
        reader.read(|payload| bytes += payload.len()).ok()?;
        (bytes >= wanted).then_some(())
    })?;
    drop(reader);
    let mib = |kib: Option<u64>| kib.map_or(f64::NAN, |kib| kib as f64 / 1_024.0);
    let workers_mib = [mib(resident_kib(hub.worker(1)?)), mib(resident_kib(hub.worker(2)?))];
    Ok(Footprint { contracts: effort.contracts, hub_mib: mib(hub.resident_kib()), workers_mib })
}

/// From the start of the demo's process to the first tick in a subscriber's hands, seconds, for each repeat.
pub(crate) fn start(effort: &Effort) -> Result<Vec<f64>, Failure> {
    (0..effort.repeats).map(|_| start_once(&beside("mdhub")?)).collect()
}

fn start_once(program: &Path) -> Result<f64, Failure> {
    let (place, address) = (tempfile::tempdir().map_err(|e| e.to_string())?, free_address()?);
    let (data, zmq) = (place.path().display().to_string(), format!("tcp://{address}"));
    let start = mono_ns();
    let _demo = Running::start(program, &["demo", "--data-dir", &data, "--http", "127.0.0.1:0", "--zmq", &zmq])?;
    let mut client = until(30, "the demo to listen", || ZmtpClient::subscribe(&address, b"").ok())?;
    let first = until(30, "the demo's first tick", || {
        let mut came = None;
        client.read(|_| came = came.or_else(|| Some(mono_ns()))).ok()?;
        came
    })?;
    Ok((first - start) as f64 / 1e9)
}
