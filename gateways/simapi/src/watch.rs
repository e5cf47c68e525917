//! Looks at the world file while the library runs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::world::{WORLD_VARIABLE, World};

/// From one look to the next.
pub(crate) const BEAT_NS: i64 = 50_000_000;

/// A file that was written so recently may be written once more without a sign of it: time stamps are coarse.
const YOUNG_NS: i64 = 200_000_000;

/// What tells that a file is another than before: device, inode, size, and the time of its last change in nanoseconds.
type Stamp = (u64, u64, u64, i64);

/// The world file, and what is known of it.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    stamp: Option<Stamp>,
    text: String,
    /// What was wrong at the last look, and is not said yet: the file may be in the middle of being written.
    suspicion: String,
    /// Said already.
    complaint: String,
}

impl Watch {
    /// Of a file of which nothing is known yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            stamp: None,
            text: String::new(),
            suspicion: String::new(),
            complaint: String::new(),
        }
    }

    /// The world, if the file is another one and good; what is wrong with it at two looks is said once on stderr.
    pub(crate) fn look(&mut self, now_ns: i64) -> Option<World> {
        match self.changed(now_ns) {
            Ok(None) => None,
            Ok(Some(text)) => {
                self.text = text;
                self.judge()
            }
            Err(e) => self.complain(format!("{WORLD_VARIABLE}={}: {e}", self.path.display())),
        }
    }

    /// The text, if it may be another one than before.
    fn changed(&mut self, now_ns: i64) -> std::io::Result<Option<String>> {
        let found = fs::metadata(&self.path)?;
        let changed_ns = found.ctime().saturating_mul(1_000_000_000).saturating_add(found.ctime_nsec());
        let stamp = (found.dev(), found.ino(), found.size(), changed_ns);
        if self.stamp == Some(stamp) && now_ns - changed_ns > YOUNG_NS && self.suspicion.is_empty() {
            return Ok(None);
        }
        let text = fs::read_to_string(&self.path)?;
        let is_bad = !(self.suspicion.is_empty() && self.complaint.is_empty());
        let is_new = self.stamp.is_none() || text != self.text || is_bad;
        self.stamp = Some(stamp);
        Ok(is_new.then_some(text))
    }

    fn judge(&mut self) -> Option<World> {
        match World::read(&self.path, &self.text) {
            Ok(world) => {
                self.suspicion.clear();
                self.complaint.clear();
                Some(world)
            }
            Err(why) => self.complain(why),
        }
    }

    fn complain<T>(&mut self, why: String) -> Option<T> {
        if why != self.suspicion {
            self.suspicion = if why == self.complaint { String::new() } else { why };
        } else {
            self.suspicion.clear();
            eprintln!("mdhub-sim: {why}; the last good world stays in force");
            self.complaint = why;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long after every file of this test was written: nothing is young.
    const LATER_NS: i64 = i64::MAX / 2;

    fn seed(watch: &mut Watch, now_ns: i64) -> Option<u64> {
        watch.look(now_ns).map(|world| world.seed)
    }

    #[test]
    fn a_file_that_is_replaced_or_written_in_place_is_read_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("world.json");
        fs::write(&path, r#"{"seed":1}"#).expect("written");
        let mut watch = Watch::new(&path);
        assert_eq!((seed(&mut watch, LATER_NS), seed(&mut watch, LATER_NS)), (Some(1), None));
        fs::write(dir.path().join("next"), r#"{"seed":2}"#).expect("written");
        fs::rename(dir.path().join("next"), &path).expect("replaced");
        assert_eq!((seed(&mut watch, LATER_NS), seed(&mut watch, LATER_NS)), (Some(2), None));
        fs::write(&path, r#"{"seed":3}"#).expect("written");
        assert_eq!((seed(&mut watch, 0), seed(&mut watch, 0)), (Some(3), None), "a young file is read, not reported");
    }

    #[test]
    fn a_bad_or_missing_file_changes_nothing_and_a_good_one_counts_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("world.json");
        fs::write(&path, r#"{"seed":1}"#).expect("written");
        let mut watch = Watch::new(&path);
        assert_eq!(seed(&mut watch, LATER_NS), Some(1));
        for half in [r#"{"seed":2"#, "", r#"{"seeds":2}"#] {
            fs::write(&path, half).expect("written");
            assert_eq!((seed(&mut watch, 0), seed(&mut watch, LATER_NS)), (None, None), "{half}");
            assert!(watch.complaint.contains("world.json"), "{}", watch.complaint);
        }
        assert!(watch.complaint.contains("unknown field `seeds`"), "{}", watch.complaint);
        fs::remove_file(&path).expect("removed");
        assert_eq!((seed(&mut watch, LATER_NS), seed(&mut watch, LATER_NS)), (None, None));
        assert!(watch.complaint.contains("No such file"), "{}", watch.complaint);
        fs::write(&path, r#"{"seed":1}"#).expect("written");
        assert_eq!((seed(&mut watch, LATER_NS), watch.complaint.as_str()), (Some(1), ""));
    }
}
