//! The world file: what is played, and what each front makes of it.
//!
//! ```json
//! { "seed": 1,
//!   "market": {"kind": "synthetic", "interval_ms": 500, "levels": 1},
//!   "fronts": {"tcp://127.0.0.1:41213": {"delay_ms": 0.0, "loss_rate": 0.0, "loss_share": 0, "connect_ms": 20, "journal": null}} }
//! ```
//!
//! Every key may be left out, but `files` of a replay; an unknown one is refused. Relative paths start at the world
//! file's directory. The other market is
//!
//! ```json
//! {"kind": "replay", "files": ["a.csv"], "speed": 100.0, "start_at_ms": 1790000000000, "gap_ms_max": 2000}
//! ```
//!
//! **Which front.** Of the addresses that the client registers, the first one that stands in `fronts`. Where `fronts` is
//! empty, every address is served with the defaults; where it is not, an address that it lacks is one at which nothing
//! listens: never a callback, as with the vendor's library, and one line on stderr.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Names the world file. Without it the default world is played: synthetic, seed 1.
pub const WORLD_VARIABLE: &str = "SIMAPI_WORLD";

/// What is played.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct World {
    /// Decides all chance. Default 1.
    pub seed: u64,
    /// What is traded. Default: the synthetic market.
    pub market: Market,
    /// By address, `tcp://HOST:PORT`.
    pub fronts: BTreeMap<String, Front>,
}

impl Default for World {
    fn default() -> Self {
        Self { seed: 1, market: Market::default(), fronts: BTreeMap::new() }
    }
}

/// Where the records come from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Market {
    /// Made up, the same in every process, and never closed.
    Synthetic {
        /// From one snapshot of a contract to the next. 5 to 10,000, and a divisor of 60,000. Default 500.
        #[serde(default = "interval_ms")]
        interval_ms: u32,
        /// Levels of the book that are filled: 1 or 5. Default 1.
        #[serde(default = "levels")]
        levels: u8,
    },
    /// Recorded.
    Replay {
        /// CSV files with CTP's column names, merged by market time.
        files: Vec<PathBuf>,
        /// Market time runs so much faster. Default 1.
        #[serde(default = "speed")]
        speed: f64,
        /// When the first record is due at a front without delay, milliseconds since the epoch, `CLOCK_REALTIME`.
        /// Default: the first subscription.
        #[serde(default)]
        start_at_ms: Option<i64>,
        /// A longer gap between successive records takes only so many milliseconds of market time. Default: as long as
        /// it was.
        #[serde(default)]
        gap_ms_max: Option<u32>,
    },
}

impl Default for Market {
    fn default() -> Self {
        Self::Synthetic { interval_ms: interval_ms(), levels: levels() }
    }
}

/// What one front makes of the market.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Front {
    /// Each record comes so much late: in market time for a replay, else in milliseconds. Default 0.
    pub delay_ms: f64,
    /// Share of the records that are lost. Default 0.
    pub loss_rate: f64,
    /// Which records are lost: fronts with different shares never lose the same one. Default 0.
    pub loss_share: u32,
    /// From `Init` to `OnFrontConnected`. Default 20.
    pub connect_ms: u32,
    /// Where to append `index,mono_ns` for each record handed over. Default: nowhere.
    pub journal: Option<PathBuf>,
}

impl Default for Front {
    fn default() -> Self {
        Self { delay_ms: 0.0, loss_rate: 0.0, loss_share: 0, connect_ms: 20, journal: None }
    }
}

const fn interval_ms() -> u32 {
    500
}

const fn levels() -> u8 {
    1
}

const fn speed() -> f64 {
    1.0
}

impl World {
    /// Reads and checks a world file.
    ///
    /// # Errors
    /// A line that names the file, the key, the value and what is allowed.
    pub fn load(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|e| format!("{WORLD_VARIABLE}={shown}: {e}"))?;
        let mut world = Self::parse(&text).map_err(|e| format!("{WORLD_VARIABLE}={shown}: {e}"))?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        if let Market::Replay { files, .. } = &mut world.market {
            files.iter_mut().for_each(|file| *file = directory.join(&file));
        }
        for journal in world.fronts.values_mut().filter_map(|f| f.journal.as_mut()) {
            *journal = directory.join(&journal);
        }
        Ok(world)
    }

    /// Reads and checks the text of a world file.
    ///
    /// # Errors
    /// Names the key, the value and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let world: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        world.market.check()?;
        for (address, front) in &world.fronts {
            front.check().map_err(|e| format!("fronts.{address:?}.{e}"))?;
        }
        Ok(world)
    }

    /// The front that answers at one of `registered`, in the client's order; `None` where nothing listens.
    #[must_use]
    pub fn front(&self, registered: &[String]) -> Option<Front> {
        if self.fronts.is_empty() {
            return (!registered.is_empty()).then(Front::default);
        }
        registered.iter().find_map(|address| self.fronts.get(address)).cloned()
    }
}

impl Market {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Synthetic { interval_ms, .. } if !(5..=10_000).contains(interval_ms) || 60_000 % interval_ms != 0 => {
                Err(format!("market.interval_ms is {interval_ms}: allowed are the divisors of 60000 from 5 to 10000"))
            }
            Self::Synthetic { levels, .. } if !matches!(levels, 1 | 5) => {
                Err(format!("market.levels is {levels}: allowed are 1 and 5"))
            }
            Self::Replay { files, .. } if files.is_empty() => {
                Err("market.files is empty: at least one CSV file is needed".to_owned())
            }
            Self::Replay { speed, .. } if !(*speed >= 0.01 && *speed <= 1e6) => {
                Err(format!("market.speed is {speed}: allowed are 0.01 to 1000000"))
            }
            _ => Ok(()),
        }
    }
}

impl Front {
    fn check(&self) -> Result<(), String> {
        let Self { delay_ms, loss_rate, loss_share, .. } = self;
        if !(*delay_ms >= 0.0 && *delay_ms <= 3_600_000.0) {
            return Err(format!("delay_ms is {delay_ms}: allowed are 0 to 3600000"));
        }
        if !(0.0..=1.0).contains(loss_rate) || loss_rate * (f64::from(*loss_share) + 1.0) > 1.0 + 1e-9 {
            return Err(format!(
                "loss_rate is {loss_rate} with loss_share {loss_share}: allowed is 0 <= loss_rate and (loss_share + 1) * loss_rate <= 1"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(World::parse("{}"), Ok(World::default()));
        let world = World::parse(r#"{"market":{"kind":"synthetic"},"fronts":{"tcp://a:1":{}}}"#).expect("a world");
        assert_eq!(world.market, Market::Synthetic { interval_ms: 500, levels: 1 });
        assert_eq!(world.front(&["tcp://a:1".into()]), Some(Front::default()));
        let replay = World::parse(r#"{"market":{"kind":"replay","files":["a.csv"],"start_at_ms":null}}"#);
        let market = Market::Replay { files: vec!["a.csv".into()], speed: 1.0, start_at_ms: None, gap_ms_max: None };
        assert_eq!(replay.map(|w| w.market), Ok(market));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (text, part) in [
            (r#"{"sed":1}"#, "unknown field `sed`, expected one of `seed`, `market`, `fronts`"),
            (r#"{"market":{"kind":"synthetic","interval":5}}"#, "unknown field `interval`"),
            (r#"{"market":{"kind":"replay","files":["a"],"seed":1}}"#, "unknown field `seed`"),
            (r#"{"market":{"kind":"live"}}"#, "unknown variant `live`"),
            (r#"{"market":{"kind":"replay"}}"#, "missing field `files`"),
            (r#"{"market":{"kind":"replay","files":[]}}"#, "market.files is empty"),
            (r#"{"market":{"kind":"replay","files":["a"],"speed":0}}"#, "market.speed is 0"),
            (r#"{"market":{"kind":"synthetic","interval_ms":7}}"#, "market.interval_ms is 7"),
            (r#"{"market":{"kind":"synthetic","levels":3}}"#, "market.levels is 3: allowed are 1 and 5"),
            (r#"{"fronts":{"tcp://a:1":{"delay":1}}}"#, "unknown field `delay`"),
            (r#"{"fronts":{"tcp://a:1":{"loss_rate":0.6,"loss_share":1}}}"#, "fronts.\"tcp://a:1\".loss_rate is 0.6"),
            (r#"{"fronts":{"tcp://a:1":{"delay_ms":-1}}}"#, "delay_ms is -1"),
        ] {
            let error = World::parse(text);
            assert!(error.as_ref().is_err_and(|e| e.contains(part)), "{text}: {error:?}");
        }
    }

    #[test]
    fn the_first_registered_address_that_has_a_front_is_served() {
        let world = World::parse(r#"{"fronts":{"tcp://a:1":{"connect_ms":1},"tcp://b:1":{"connect_ms":2}}}"#);
        let world = world.expect("a world");
        let chosen = |addresses: &[&str]| {
            world.front(&addresses.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>()).map(|f| f.connect_ms)
        };
        assert_eq!(chosen(&["tcp://c:1", "tcp://b:1", "tcp://a:1"]), Some(2));
        assert_eq!(chosen(&["tcp://c:1"]), None);
        assert_eq!(World::default().front(&[]), None);
    }

    #[test]
    fn relative_paths_start_at_the_world_files_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("world.json");
        let text = r#"{"market":{"kind":"replay","files":["a.csv","/b.csv"]},"fronts":{"tcp://a:1":{"journal":"j"}}}"#;
        fs::write(&path, text).expect("written");
        let world = World::load(&path).expect("a world");
        assert_eq!(world.front(&["tcp://a:1".into()]).and_then(|f| f.journal), Some(dir.path().join("j")));
        let Market::Replay { files, .. } = world.market else { panic!("a replay") };
        assert_eq!(files, [dir.path().join("a.csv"), "/b.csv".into()]);
    }
}
