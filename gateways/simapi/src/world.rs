//! The world file: what is played, and what each front makes of it.
//!
//! ```json
//! { "seed": 1,
//!   "market": {"kind": "synthetic", "interval_ms": 500, "levels": 1},
//!   "fronts": {"tcp://127.0.0.1:41213": {"delay_ms": 0.0, "loss_rate": 0.0, "loss_share": 0, "connect_ms": 20,
//!                                        "journal": null, "tape": null, "scenarios": [{"kind": "stall"}]}} }
//! ```
//!
//! Every key may be left out, but `files` of a replay; an unknown one is refused. Relative paths start at the world
//! file's directory. The other market is
//!
//! ```json
//! {"kind": "replay", "files": ["a.csv"], "speed": 100.0, "start_at_ms": 1790000000000, "gap_ms_max": 2000}
//! ```
//!
//! **Which front.** Of the addresses that the client registers, the first one that stands in `fronts` and is not
//! [`refused`](crate::scenario). Where `fronts` is empty, every address is served with the defaults; where it is not, an
//! address that it lacks is one at which nothing listens: never a callback, as with the vendor's library, and one line on
//! stderr.
//!
//! **Changes.** The file is looked at every 50 ms; replace it by a rename, or write it in place. What is wrong or half
//! written leaves the last good one in force, with one line on stderr. All of `fronts` may change: what a front does, what
//! goes wrong there ([`scenario`](crate::scenario)), which ones there are. `seed` and `market` are those of the start.
//!
//! **What was handed over.** `journal` gets the line `index,mono_ns` for each *true* record. `tape` gets a line for each
//! record, true or not, with what identifies it: [`TAPE_COLUMNS`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::scenario::Scenario;

/// Names the world file. Without it the default world is played: synthetic, seed 1.
pub const WORLD_VARIABLE: &str = "SIMAPI_WORLD";

/// The columns of a tape, by the vendor's names where it has one. `index` is that of the true record, or of the one that a
/// dirty record was made from; `kind` is `true`, or the scenario's.
pub const TAPE_COLUMNS: &str = "index,mono_ns,kind,instrument,TradingDay,ActionDay,UpdateTime,UpdateMillisec,Volume,Turnover,OpenInterest,LastPrice,BidPrice1,BidVolume1,AskPrice1,AskVolume1";

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
        /// The market's clock is so far ahead of the machine's, milliseconds: it can be night at will. Default 0.
        #[serde(default)]
        offset_ms: i64,
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
        Self::Synthetic { interval_ms: interval_ms(), levels: levels(), offset_ms: 0 }
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
    /// Where to append `index,mono_ns` for each true record handed over. Default: nowhere.
    pub journal: Option<PathBuf>,
    /// Where to append every record handed over. Default: nowhere.
    pub tape: Option<PathBuf>,
    /// What goes wrong here.
    pub scenarios: Vec<Scenario>,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            delay_ms: 0.0,
            loss_rate: 0.0,
            loss_share: 0,
            connect_ms: 20,
            journal: None,
            tape: None,
            scenarios: Vec::new(),
        }
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
        Self::read(path, &text)
    }

    /// Checks the text of a world file that stands at `path`.
    ///
    /// # Errors
    /// As [`World::load`].
    pub fn read(path: &Path, text: &str) -> Result<Self, String> {
        let mut world = Self::parse(text).map_err(|e| format!("{WORLD_VARIABLE}={}: {e}", path.display()))?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        if let Market::Replay { files, .. } = &mut world.market {
            files.iter_mut().for_each(|file| *file = directory.join(&file));
        }
        for front in world.fronts.values_mut() {
            for file in [&mut front.journal, &mut front.tape].into_iter().flatten() {
                *file = directory.join(&file);
            }
        }
        Ok(world)
    }

    /// Reads and checks the text of a world file.
    ///
    /// # Errors
    /// Names the key, the value and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let world: Self = serde_path_to_error::deserialize(&mut reader).map_err(|e| e.to_string())?;
        reader.end().map_err(|e| e.to_string())?;
        world.market.check()?;
        for (address, front) in &world.fronts {
            front.check().map_err(|e| format!("fronts.{address:?}.{e}"))?;
        }
        Ok(world)
    }

    /// The front at an address; `None` where nothing listens.
    #[must_use]
    pub fn front(&self, address: &str) -> Option<Front> {
        if self.fronts.is_empty() { Some(Front::default()) } else { self.fronts.get(address).cloned() }
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
    use crate::scenario::Kind;

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(World::parse("{}"), Ok(World::default()));
        let world = World::parse(r#"{"market":{"kind":"synthetic"},"fronts":{"tcp://a:1":{}}}"#).expect("a world");
        assert_eq!(world.market, Market::Synthetic { interval_ms: 500, levels: 1, offset_ms: 0 });
        assert_eq!(world.front("tcp://a:1"), Some(Front::default()));
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
    fn an_address_that_is_not_listed_has_no_front_unless_none_is() {
        let world = World::parse(r#"{"fronts":{"tcp://a:1":{"connect_ms":1}}}"#).expect("a world");
        assert_eq!(world.front("tcp://a:1").map(|f| f.connect_ms), Some(1));
        assert_eq!(world.front("tcp://b:1"), None);
        assert_eq!(World::default().front("tcp://b:1"), Some(Front::default()));
    }

    #[test]
    fn every_kind_of_scenario_is_read_with_its_defaults_and_stands_in_the_table() {
        let table = include_str!("scenario.rs");
        for kind in Kind::NAMES {
            let text = format!(r#"{{"fronts":{{"tcp://a:1":{{"scenarios":[{{"kind":"{kind}"}}]}}}}}}"#);
            let world = World::parse(&text).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(world.fronts["tcp://a:1"].scenarios[0].kind.name(), *kind);
            assert!(table.contains(&format!("//! | `{kind}`")), "{kind} is not documented");
        }
    }

    #[test]
    fn what_is_wrong_in_a_scenario_is_named_with_its_place() {
        for (scenario, part) in [
            ("{}", "kind is missing: allowed are"),
            (r#"{"kind":"stal"}"#, r#"kind is "stal": allowed are ["refused", "#),
            (r#"{"kind":"stall","hours":1}"#, "stall.hours: unknown field `hours`, there are no fields"),
            (r#"{"kind":"stall","exchange":["DCE"]}"#, "stall.exchange: unknown field"),
            (r#"{"kind":"stall","exchanges":"DCE"}"#, "stall.exchanges: invalid type"),
            (r#"{"kind":"stall","times":1}"#, "stall.times does not suit this kind"),
            (r#"{"kind":"refused","instruments":["m2705"]}"#, "refused.exchanges or instruments does not suit"),
            (r#"{"kind":"stall","rate":0.5}"#, "stall.rate or instead does not suit"),
            (r#"{"kind":"jump","every_ms":100}"#, "jump.every_ms does not suit"),
            (r#"{"kind":"jump","rate":1.5}"#, "jump.rate is 1.5: allowed are 0 to 1"),
            (r#"{"kind":"disconnect","reason":"0x1001"}"#, "disconnect.reason: invalid type"),
            (r#"{"kind":"fork","children":100,"generations":99}"#, "fork.children * (generations + 1) is 10000"),
            (r#"{"kind":"leak","mib_max":4096}"#, "leak.mib_max is 4096: allowed are 1 to 1024"),
            (r#"{"kind":"junk_time","form":"late"}"#, "junk_time.form: unknown variant `late`, expected one of"),
        ] {
            let text = format!(r#"{{"fronts":{{"tcp://a:1":{{"scenarios":[{{"kind":"stall"}},{scenario}]}}}}}}"#);
            let error = World::parse(&text).expect_err(scenario);
            assert!(error.contains(part) && error.contains("scenarios[1]"), "{scenario}: {error}");
        }
    }

    #[test]
    fn relative_paths_start_at_the_world_files_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("world.json");
        let text = r#"{"market":{"kind":"replay","files":["a.csv","/b.csv"]},"fronts":{"tcp://a:1":{"journal":"j","tape":"t"}}}"#;
        fs::write(&path, text).expect("written");
        let world = World::load(&path).expect("a world");
        let front = world.front("tcp://a:1").expect("listed");
        assert_eq!((front.journal, front.tape), (Some(dir.path().join("j")), Some(dir.path().join("t"))));
        let Market::Replay { files, .. } = world.market else { panic!("a replay") };
        assert_eq!(files, [dir.path().join("a.csv"), "/b.csv".into()]);
    }
}
