//! The built hub, from outside: started on a directory of its own with simulated fronts, and watched by what it writes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::Failure;
use crate::clock::{Running, run, until};

/// What a hub is to be like.
pub(crate) struct Plan {
    /// What each front makes of the market; the first one's account is the primary.
    pub(crate) fronts: Vec<Value>,
    /// How many contracts it subscribes.
    pub(crate) contracts: u32,
    /// From one snapshot of a contract to the next.
    pub(crate) interval_ms: u32,
    /// Further lines of `mdhub.yaml`.
    pub(crate) settings: &'static str,
    /// What drives the vendor's library.
    pub(crate) driver: Driver,
}

/// Whose worker drives the simulated vendor library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Driver {
    /// mdhub's own.
    #[default]
    Native,
    /// vnpy_ctp's gateway in Python, in the environment that `gateways/vnpy/install` made.
    Vnpy,
}

impl Driver {
    pub(crate) const ALL: [Self; 2] = [Self::Native, Self::Vnpy];

    /// Gateway and library of its accounts.
    const fn account(self) -> [&'static str; 2] {
        match self {
            Self::Native => ["ctp", "sim"],
            Self::Vnpy => ["vnpy", "vnpy"],
        }
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// What makes it.
    pub(crate) fn is_there(self) -> Result<(), Failure> {
        match self {
            Self::Native => Ok(()),
            Self::Vnpy if Path::new(VNPY).join("done.txt").is_file() => Ok(()),
            Self::Vnpy => Err(format!("{VNPY} is absent: run gateways/vnpy/install")),
        }
    }
}

/// Where `gateways/vnpy/install` puts its environment.
const VNPY: &str = "target/vnpy-venv";

impl Plan {
    /// One front, and so many ticks a second.
    pub(crate) fn at_rate(rate: u32) -> Self {
        // Many contracts cost memory, fast ones come in bursts at whole milliseconds.
        const INTERVAL_MS: u32 = 50;
        Self {
            fronts: vec![json!({})],
            contracts: rate * INTERVAL_MS / 1_000,
            interval_ms: INTERVAL_MS,
            settings: "",
            driver: Driver::Native,
        }
    }

    /// The same, driven so.
    pub(crate) fn driven_by(self, driver: Driver) -> Self {
        Self { driver, ..self }
    }
}

/// A running hub.
pub(crate) struct Hub {
    /// Where it publishes: `tcp://host:port`.
    pub(crate) endpoint: String,
    process: Running,
    world: Value,
    place: TempDir,
}

impl Hub {
    /// Starts one, and waits until it says where it publishes.
    pub(crate) fn start(plan: &Plan) -> Result<Self, Failure> {
        let program = beside("mdhub")?;
        let place = tempfile::tempdir().map_err(|e| e.to_string())?;
        let fronts: Map<_, _> = (1..).zip(&plan.fronts).map(|(n, front)| (address(n), front.clone())).collect();
        let market = json!({"kind": "synthetic", "interval_ms": plan.interval_ms, "levels": 5});
        let world = json!({"seed": 1, "market": market, "fronts": fronts});
        write_world(place.path(), &world)?;
        let config = place.path().join("mdhub.yaml");
        fs::write(&config, settings(place.path(), plan)?).map_err(|e| e.to_string())?;
        let (data, config) = (place.path().join("data").display().to_string(), config.display().to_string());
        for n in 1..=plan.fronts.len() {
            let (id, front, priority) = (account(n), address(n), n.to_string());
            let [gateway, library] = plan.driver.account();
            run(
                &program,
                &[
                    "account",
                    "--data-dir",
                    &data,
                    "add",
                    "--id",
                    &id,
                    "--gateway",
                    gateway,
                    "--library",
                    library,
                    "--md-address",
                    &front,
                    "--priority",
                    &priority,
                ],
            )?;
        }
        let process = Running::start(&program, &["run", "--config", &config, "--data-dir", &data])?;
        let endpoint = until(30, "the hub to come up", || Some(told(&data)?["zmq"].as_str()?.to_owned()))?;
        Ok(Self { endpoint, process, world, place })
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.endpoint.trim_start_matches("tcp://")
    }

    /// Where a front writes, when its plan names the file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// What the `n`th front does from now on; the first is 1.
    pub(crate) fn change_front(&mut self, n: usize, front: Value) -> Result<(), Failure> {
        self.world["fronts"][address(n)] = front;
        write_world(self.place.path(), &self.world)
    }

    /// The process of the `n`th account's worker, once it has one.
    pub(crate) fn worker(&self, n: usize) -> Result<u32, Failure> {
        until(20, "a worker", || u32::try_from(self.file("status.json")?["accounts"][account(n)]["pid"].as_u64()?).ok())
    }

    /// Ticks that workers gave up because their rings were full.
    pub(crate) fn ring_dropped(&self) -> u64 {
        let status = self.file("status.json").unwrap_or_default();
        let accounts = status["accounts"].as_object().into_iter().flat_map(Map::values);
        accounts.filter_map(|a| a["ring_dropped"].as_u64()).sum()
    }

    /// The feed thread's system calls for each tick that it has published: waits, reads, writes.
    pub(crate) fn calls(&self) -> [f64; 3] {
        let vitals = self.file("vitals.json").unwrap_or_default();
        let count = |name: &str| vitals[name].as_u64().unwrap_or(0) as f64;
        ["waits", "reads", "writes"].map(|name| count(name) / count("published").max(1.0))
    }

    /// Resident memory, KiB.
    pub(crate) fn resident_kib(&self) -> Option<u64> {
        resident_kib(self.process.id())
    }

    fn file(&self, name: &str) -> Option<Value> {
        let text = fs::read_to_string(self.place.path().join("data").join(name)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// The `n`th account's name.
pub(crate) fn account(n: usize) -> String {
    format!("bench-{n}")
}

/// Resident memory of a process, KiB.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a hub that listens has written down.
pub(crate) fn told(data: &str) -> Option<Value> {
    serde_json::from_str(&fs::read_to_string(Path::new(data).join("run.json")).ok()?).ok()
}

/// A file that was built beside this program.
pub(crate) fn beside(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::current_exe().map_err(|e| e.to_string())?.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(format!("{}: build it first: make bench does", path.display())) }
}

fn address(n: usize) -> String {
    format!("tcp://bench-{n}.sim:1")
}

fn write_world(place: &Path, world: &Value) -> Result<(), Failure> {
    // Replaced whole: the library may be looking.
    let draft = place.join("world.draft");
    fs::write(&draft, world.to_string())
        .and_then(|()| fs::rename(&draft, place.join("world.json")))
        .map_err(|e| e.to_string())
}

/// The entry of vnpy's gateway, on the simulated library under the vendor's name.
fn vnpy_library(place: &Path) -> Result<String, Failure> {
    let vendor = place.join("vendor");
    let linked = vendor.join("libthostmduserapi_se.so");
    fs::create_dir_all(&vendor)
        .and_then(|()| std::os::unix::fs::symlink(beside("libmdhub_simapi.so").map_err(std::io::Error::other)?, linked))
        .map_err(|e| e.to_string())?;
    let environment = std::path::absolute(VNPY).map_err(|e| e.to_string())?;
    Ok(format!(
        "  vnpy: {{path: '{}', gateway_class: vnpy_ctp.CtpGateway, env: {{LD_LIBRARY_PATH: '{}', SIMAPI_WORLD: '{}'}}}}\n",
        environment.display(),
        vendor.display(),
        place.join("world.json").display()
    ))
}

/// Contracts of DCE: its snapshots come at any millisecond, so that the load is spread.
fn settings(place: &Path, plan: &Plan) -> Result<String, Failure> {
    let mut text = format!(
        "apiVersion: mdhub/v1\nkind: Hub\nhttp: {{listen: 127.0.0.1:0}}\npublish: {{listen: 'tcp://127.0.0.1:0'}}\n\
         calendar: {{always_open: true}}\nlibraries:\n  sim: {{path: '{}', env: {{SIMAPI_WORLD: '{}'}}}}\n{}{}contracts:\n  list:\n",
        beside("libmdhub_simapi.so")?.display(),
        place.join("world.json").display(),
        if plan.driver == Driver::Vnpy { vnpy_library(place)? } else { String::new() },
        plan.settings
    );
    for i in 0..plan.contracts {
        let _ = writeln!(text, "    - m{:04}-C-{}.DCE", 2701 + i % 12, 2000 + i);
    }
    Ok(text)
}
