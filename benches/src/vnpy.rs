//! The peer: vnpy 4.1.0, in a virtual environment under `target/bench/venv`.

use std::fs;
use std::path::PathBuf;

use crate::clock::{Running, free_address, run, soon};
use crate::{Failure, Latencies, latencies, report};

/// vnpy itself comes without its dependencies, most of which are its user interface.
const VNPY: &str = "vnpy==4.1.0";
/// What its engine and its RPC need to be imported.
const NEEDS: [&str; 5] = ["numpy==2.4.6", "ta-lib==0.8.2", "tzlocal==5.4.5", "loguru==0.7.3", "pyzmq==27.3.0"];
const PEER: &str = include_str!("vnpy_peer.py");

/// A Python that has vnpy.
pub(crate) struct Vnpy {
    python: PathBuf,
    script: String,
}

impl Vnpy {
    /// Makes the environment unless it is there.
    pub(crate) fn prepare() -> Result<Self, Failure> {
        let place = report::place()?;
        let (venv, script) = (place.join("venv"), place.join("vnpy_peer.py"));
        fs::write(&script, PEER).map_err(|e| e.to_string())?;
        let found = Self { python: venv.join("bin/python"), script: script.display().to_string() };
        if found.imports().is_err() {
            eprintln!("a virtual environment with {VNPY} is made in target/bench/venv");
            let python = std::env::var_os("PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
            run(&python, &["-m", "venv", "--clear", &venv.display().to_string()])?;
            let pip = |arguments: &[&str]| {
                let head = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"];
                run(&found.python, &[&head, arguments].concat())
            };
            pip(&["--no-deps", VNPY])?;
            pip(&NEEDS)?;
            found.imports()?;
        }
        Ok(found)
    }

    fn imports(&self) -> Result<Vec<u8>, Failure> {
        run(
            &self.python,
            &["-c", "import vnpy; assert vnpy.__version__ == '4.1.0'; import vnpy.trader.object, vnpy.rpc"],
        )
    }

    /// One that publishes `count` ticks from the instant `go_ns` on.
    pub(crate) fn server(&self, address: &str, rate: u32, count: u64, go_ns: u64) -> Result<Running, Failure> {
        let numbers = [u64::from(rate), count, go_ns].map(|n| n.to_string());
        let [rate, count, go_ns] = numbers.each_ref().map(String::as_str);
        Running::start(&self.python, &[&self.script, "server", address, rate, count, go_ns])
    }

    /// Measures one repeat, from before the event engine to vnpy's own client.
    pub(crate) fn measure(&self, rate: u32, seconds: f64) -> Result<Latencies, Failure> {
        let address = free_address()?;
        let _server = self.server(&address, rate, u64::MAX >> 1, soon(800))?;
        let printed = run(&self.python, &[&self.script, "client", &address, &seconds.to_string()])?;
        let mut found = latencies()?;
        for ns in printed.as_chunks().0 {
            found.saturating_record(u64::from_le_bytes(*ns));
        }
        if found.is_empty() { Err("vnpy's client got nothing".into()) } else { Ok(found) }
    }
}
