//! Which of an account's fronts this worker uses: the one after its predecessor's, unless that one was well.
//!
//! The vendor's library connects to all that are registered at once, keeps the first to answer, and does so anew after
//! every loss (measured: a front that accepts and closes is tried as often as a good one beside it, thousands of times). So
//! exactly one is registered, and it is known which.

use std::fs;
use std::path::{Path, PathBuf};

use mdhub_spec::account::FrontAddress;

use super::log;

/// In the flow directory: the address to use next.
const FILE: &str = "next-front";

/// An account's fronts, one of them chosen.
#[derive(Debug)]
pub(super) struct Fronts {
    all: Vec<FrontAddress>,
    chosen: usize,
    file: PathBuf,
}

impl Fronts {
    /// Chooses one, and notes the next: whatever happens to this process, its successor tries another. `None` without any.
    pub(super) fn choose(all: Vec<FrontAddress>, flow_dir: &Path) -> Option<Self> {
        let file = flow_dir.join(FILE);
        let noted = fs::read_to_string(&file).unwrap_or_default();
        let chosen = all.iter().position(|front| front.as_str() == noted.trim()).unwrap_or(0);
        let fronts = Self { all, chosen, file };
        let next = fronts.all.get((chosen + 1) % fronts.all.len().max(1))?;
        fronts.note(next);
        Some(fronts)
    }

    /// The one to use.
    pub(super) fn chosen(&self) -> Option<&FrontAddress> {
        self.all.get(self.chosen)
    }

    /// The successor is to use it too.
    pub(super) fn keep(&self) {
        if let Some(front) = self.chosen() {
            self.note(front);
        }
    }

    fn note(&self, front: &FrontAddress) {
        if self.all.len() < 2 {
            return;
        }
        // Losing the note costs one try of the same front.
        if let Err(e) = fs::write(&self.file, front.as_str()) {
            log::warn(&format!("{}: {e}; the next start does not know which front comes next", self.file.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fronts(addresses: &[&str]) -> Vec<FrontAddress> {
        addresses.iter().map(|a| a.parse().expect("valid")).collect()
    }

    #[test]
    fn each_start_takes_the_next_front_unless_the_last_one_was_well() {
        let dir = tempfile::tempdir().expect("a directory");
        let start = |addresses: &[&str], is_well: bool| {
            let chosen = Fronts::choose(fronts(addresses), dir.path()).expect("some");
            if is_well {
                chosen.keep();
            }
            chosen.chosen().expect("one").as_str().to_owned()
        };
        let all = ["tcp://a:1", "tcp://b:1", "tcp://c:1"];
        let taken: Vec<_> = [false, false, true, true, false, false].map(|is_well| start(&all, is_well)).into();
        assert_eq!(taken, ["tcp://a:1", "tcp://b:1", "tcp://c:1", "tcp://c:1", "tcp://c:1", "tcp://a:1"]);
        assert_eq!(
            start(&["tcp://x:1", "tcp://y:1"], false),
            "tcp://x:1",
            "the noted one is not the account's any more"
        );
        fs::write(dir.path().join(FILE), b"\xff\xfe\0").expect("written");
        assert_eq!(start(&all, false), "tcp://a:1", "a broken note is no note");
    }

    #[test]
    fn a_single_front_leaves_no_note_and_none_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(Fronts::choose(fronts(&["tcp://a:1"]), dir.path()).is_some());
        assert!(!dir.path().join(FILE).exists());
        assert!(Fronts::choose(Vec::new(), dir.path()).is_none());
    }
}
