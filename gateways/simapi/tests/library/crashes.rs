//! What the library refuses, and what it dies of, as the vendor's does. Each happens in a process of its own: this test,
//! run again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::client::{Api, Flavour, write_world};

/// Set in the processes that die: the directory to die in.
const DIRECTORY: &str = "SIMAPI_TEST_DIRECTORY";

pub(crate) fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "a test of what ends a process needs one")]
pub(crate) fn in_a_process_of_its_own(test: &str, directory: &Path) -> (Output, String) {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this test's path"));
    command.args(["--exact", test, "--nocapture"]).env(DIRECTORY, directory);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, said)
}

#[test]
fn a_wrong_world_makes_no_object_and_is_named_on_stderr() {
    if let Some(directory) = directory() {
        let world = directory.join("world.json");
        assert!(Api::create(Flavour::Ctp, &directory, Some(&world)).is_none());
        return;
    }
    for (world, part) in [
        (r#"{"seeds":1}"#, "unknown field `seeds`, expected one of `seed`, `market`, `fronts` at line 1"),
        (r#"{"market":{"kind":"replay","files":["no.csv"]}}"#, "no.csv: No such file"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = write_world(dir.path(), world);
        let (output, said) =
            in_a_process_of_its_own("crashes::a_wrong_world_makes_no_object_and_is_named_on_stderr", dir.path());
        assert!(output.status.success(), "{said}");
        assert!(said.contains(part) && said.contains("no API object is made"), "{said}");
        assert!(world.contains("replay") || said.contains(&path.display().to_string()), "{said}");
    }
}

#[test]
fn a_missing_flow_directory_is_a_crash() {
    if let Some(directory) = directory() {
        let api = Api::create(Flavour::Ctp, &directory.join("missing"), None);
        panic!("still alive, with an object: {}", api.is_some());
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (output, said) = in_a_process_of_its_own("crashes::a_missing_flow_directory_is_a_crash", dir.path());
    assert!(!output.status.success() && said.contains("can not open CFlow file"), "{said}");
    assert!(!said.contains("still alive"), "{said}");
}

#[test]
fn an_address_without_tcp_is_a_crash() {
    if let Some(directory) = directory() {
        Api::create(Flavour::Sopt, &directory, None).expect("an API object").register_front("127.0.0.1:41213");
        panic!("still alive");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (output, said) = in_a_process_of_its_own("crashes::an_address_without_tcp_is_a_crash", dir.path());
    assert!(!output.status.success() && said.contains("does not begin with tcp://"), "{said}");
    assert!(!said.contains("still alive"), "{said}");
}

#[test]
fn the_flow_files_lie_in_the_flow_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    Api::create(Flavour::Ctp, dir.path(), None).expect("an API object").release();
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).expect("there").map(|e| e.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["DialogRsp.con", "QueryRsp.con", "TradingDay.con"]);
}
