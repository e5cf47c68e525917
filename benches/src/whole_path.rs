//! mdhub itself: a release build of the hub with one simulated account, and libzmq's SUB at its socket. A tick's latency
//! runs from the vendor's callback in the worker (`ingress_ns`) to the subscriber's hands.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::clock::{Running, passed, real_ns};
use crate::libzmq::{receive, subscriber};
use crate::{Failure, Latencies, SECONDS, latencies};

const FRONT: &str = "tcp://bench.sim:1";

/// Each contract's snapshots come this often; the rate makes the number of contracts.
const INTERVAL_MS: u32 = 50;

/// Measures one repeat.
pub(crate) fn measure(rate: u32) -> Result<Latencies, Failure> {
    let place = tempfile::tempdir().map_err(|e| e.to_string())?;
    let hub = Hub::start(place.path(), rate)?;
    let socket = subscriber(&hub.endpoint)?;
    let mut found = latencies()?;
    // The first second holds the snapshots that come on subscribing.
    for warm_up in [true, false] {
        let start = real_ns();
        while !passed(start, if warm_up { 1 } else { SECONDS }) {
            let (payload, now) = receive(&socket)?;
            let sent = ingress_ns(&payload).ok_or("a payload has no ingress_ns")?;
            if !warm_up {
                found.saturating_record(now.saturating_sub(sent));
            }
        }
    }
    Ok(found)
}

/// The value behind the key `ingress_ns`: MessagePack writes it as 0xcf and eight bytes, big endian.
fn ingress_ns(payload: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"ingress_ns\xcf";
    let at = payload.windows(KEY.len()).position(|w| w == KEY)? + KEY.len();
    payload.get(at..)?.first_chunk().copied().map(u64::from_be_bytes)
}

/// A hub of its own.
struct Hub {
    endpoint: String,
    _process: Running,
}

impl Hub {
    fn start(place: &Path, rate: u32) -> Result<Self, Failure> {
        let program = beside("mdhub")?;
        let library = beside("libmdhub_simapi.so")?;
        let data = place.join("data");
        let (data_text, config) = (data.display().to_string(), place.join("mdhub.yaml"));
        let contracts = rate * INTERVAL_MS / 1_000;
        fs::write(place.join("world.json"), world().to_string()).map_err(|e| e.to_string())?;
        fs::write(&config, settings(&library, &place.join("world.json"), contracts)).map_err(|e| e.to_string())?;
        add_account(&program, &data_text)?;
        let process =
            Running::start(&program, &["run", "--config", &config.display().to_string(), "--data-dir", &data_text])?;
        let endpoint = answered(&data.join("run.json"))?;
        Ok(Self { endpoint, _process: process })
    }
}

/// A file that was built beside this program.
fn beside(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::current_exe().map_err(|e| e.to_string())?.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(format!("{}: build it first: make bench does", path.display())) }
}

fn world() -> Value {
    json!({"seed": 1, "market": {"kind": "synthetic", "interval_ms": INTERVAL_MS, "levels": 5}, "fronts": {FRONT: {}}})
}

/// Contracts of DCE: its snapshots come at any millisecond, so that the load is spread.
fn settings(library: &Path, world: &Path, contracts: u32) -> String {
    let mut text = format!(
        "apiVersion: mdhub/v1\nkind: Hub\nhttp: {{listen: 127.0.0.1:0}}\npublish: {{listen: 'tcp://127.0.0.1:0'}}\n\
         calendar: {{always_open: true}}\nlibraries: {{sim: {{path: '{}', env: {{SIMAPI_WORLD: '{}'}}}}}}\ncontracts:\n  list:\n",
        library.display(),
        world.display()
    );
    for i in 0..contracts {
        let _ = writeln!(text, "    - m{:04}-C-{}.DCE", 2701 + i % 12, 2000 + i);
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "a benchmark starts the processes that it measures")]
fn add_account(program: &Path, data: &str) -> Result<(), Failure> {
    let arguments = [
        "account",
        "--data-dir",
        data,
        "add",
        "--id",
        "bench",
        "--gateway",
        "ctp",
        "--library",
        "sim",
        "--md-address",
        FRONT,
    ];
    let done = std::process::Command::new(program).args(arguments).output().map_err(|e| e.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

/// Waits for the hub to say where it publishes.
#[expect(clippy::disallowed_methods, reason = "it looks again every 20 ms, with a deadline")]
fn answered(run: &Path) -> Result<String, Failure> {
    let start = real_ns();
    while !passed(start, 30) {
        let told = fs::read_to_string(run).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        if let Some(endpoint) = told.as_ref().and_then(|v| v["zmq"].as_str()) {
            return Ok(endpoint.to_owned());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err("the hub did not come up within 30 s".into())
}
