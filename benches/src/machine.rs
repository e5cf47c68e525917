//! What it is measured on, and whether something else ran there.

use std::fs;

/// With more than this, other work stole time.
const QUIET_LOAD_MAX: f64 = 0.5;

/// The machine, as it was when the run began.
pub(crate) struct Machine {
    text: String,
    load: f64,
}

impl Machine {
    /// Looks now.
    pub(crate) fn look() -> Self {
        let read = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
            line.split_once(':').map_or_else(|| "unknown".into(), |(_, v)| v.trim().to_owned())
        };
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let (processor, memory) = (read("/proc/cpuinfo", "model name"), read("/proc/meminfo", "MemTotal"));
        Self {
            text: format!("{processor}, {cores} cores, {memory} of memory, Linux {}", kernel.trim()),
            load: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|l| l.split(' ').next()?.parse().ok())
                .unwrap_or(f64::NAN),
        }
    }

    /// A paragraph for the report.
    pub(crate) fn describe(&self) -> String {
        let verdict = if self.is_quiet() {
            "quiet"
        } else {
            "**not quiet: other work took time from every row, and figures of one run are comparable only with each other**"
        };
        format!("Machine: {}. Load average (1 min) at the start: {:.2}, {verdict}.", self.text, self.load)
    }

    fn is_quiet(&self) -> bool {
        self.load <= QUIET_LOAD_MAX
    }
}
