//! A world file that changes under a library that runs.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::client::{Api, Flavour};

/// The front that the scenarios are played at.
pub(crate) const FRONT: &str = "tcp://a:1";
/// One without any.
pub(crate) const OTHER: &str = "tcp://b:1";

pub(crate) struct World {
    directory: PathBuf,
    _made: Option<TempDir>,
    market: &'static str,
}

impl World {
    /// Fast and synthetic, with scenarios, as a JSON list.
    pub(crate) fn new(scenarios: &str) -> Self {
        Self::of(r#""interval_ms":10"#, scenarios)
    }

    /// With other parameters of the synthetic market.
    pub(crate) fn of(market: &'static str, scenarios: &str) -> Self {
        let made = tempfile::tempdir().expect("a directory");
        let world = Self { directory: made.path().to_owned(), _made: Some(made), market };
        world.play(scenarios);
        world
    }

    /// In a directory that another process has made, and looks into when this one is gone.
    pub(crate) fn within(directory: &Path, scenarios: &str) -> Self {
        let world = Self { directory: directory.to_owned(), _made: None, market: r#""interval_ms":10"# };
        world.play(scenarios);
        world
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory().join("world.json")
    }

    pub(crate) fn text(&self, scenarios: &str) -> String {
        format!(
            r#"{{"market":{{"kind":"synthetic",{}}},"fronts":{{
                "{FRONT}":{{"connect_ms":1,"journal":"journal","tape":"tape","scenarios":{scenarios}}},
                "{OTHER}":{{"connect_ms":1,"tape":"other"}}}}}}"#,
            self.market
        )
    }

    /// From now on these go wrong: the file is replaced.
    pub(crate) fn play(&self, scenarios: &str) {
        self.replace(&self.text(scenarios));
    }

    pub(crate) fn replace(&self, text: &str) {
        let draft = self.directory().join("draft");
        fs::write(&draft, text).expect("written");
        fs::rename(&draft, self.path()).expect("replaced");
    }

    pub(crate) fn start(&self, flavour: Flavour) -> Api {
        Api::start(flavour, self.directory(), Some(&self.path()), FRONT)
    }

    /// Started, logged in and subscribed.
    pub(crate) fn streaming(&self, flavour: Flavour, codes: &[&str]) -> Api {
        let api = self.start(flavour);
        api.connect_and_log_in();
        assert_eq!(api.subscribe(codes), 0);
        api
    }

    /// The whole rows of a tape.
    pub(crate) fn tape(&self, name: &str) -> Vec<Vec<String>> {
        tape(self.directory(), name)
    }
}

/// The whole rows of a tape in a directory.
pub(crate) fn tape(directory: &Path, name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}
