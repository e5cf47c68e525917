//! What must be refused before the vendor's library sees it, since it crashes there; and libraries that are not what they
//! should be. Each is said in words that tell what to do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mdhub_gateways::worker::{EXIT_LIBRARY, EXIT_START};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame::{Limits, Report};
use mdhub_spec::process::EXIT_DISCONNECTS;

use super::listeners::{Act, Front};
use super::rig::{PATIENT, Wanted, vendor_library};

const ADDRESS: &str = "tcp://127.0.0.1:9";
const CTP: Dialect = Dialect::Ctp;

fn wanted(kind: Dialect) -> Option<Wanted> {
    Some(Wanted::new(kind, &vendor_library(kind)?, &[ADDRESS.to_owned()]))
}

#[test]
fn flow_directories_that_the_library_would_crash_on_are_refused() {
    for kind in [CTP, Dialect::Sopt] {
        let Some(mut missing) = wanted(kind) else { return };
        missing.start.flow_dir.push_str("/none");
        missing.start().end().left(EXIT_LIBRARY, 60, &["flow_dir", "/none", "No such file"]);
        let Some(file) = wanted(kind) else { return };
        std::fs::remove_dir(&file.start.flow_dir).expect("empty");
        std::fs::write(&file.start.flow_dir, b"").expect("written");
        file.start().end().left(EXIT_LIBRARY, 60, &["flow_dir", "no directory"]);
        let Some(taken) = wanted(kind) else { return };
        std::fs::create_dir(Path::new(&taken.start.flow_dir).join("QueryRsp.con")).expect("made");
        taken.start().end().left(EXIT_LIBRARY, 60, &["QueryRsp.con", "no regular file"]);
    }
}

#[test]
fn a_flow_directory_that_others_can_read_is_made_private() {
    let Some(wanted) = wanted(CTP) else { return };
    let mode = || std::fs::metadata(&wanted.start.flow_dir).expect("there").permissions().mode() & 0o777;
    std::fs::set_permissions(&wanted.start.flow_dir, std::fs::Permissions::from_mode(0o755)).expect("ours");
    let mut worker = wanted.start();
    worker.until("a heartbeat", |r| matches!(r, Report::Heartbeat { .. }));
    assert_eq!(mode(), 0o700);
}

#[test]
fn addresses_without_tcp_are_refused_before_the_library_is_loaded() {
    for kind in [CTP, Dialect::Sopt] {
        for address in ["127.0.0.1:41213", "ssl://127.0.0.1:41213", "tcp://", ""] {
            let Some(mut wanted) = wanted(kind) else { return };
            wanted.start.md_address = vec![ADDRESS.into(), address.into()];
            let end = wanted.start().end();
            end.left(EXIT_START, 60, &["tcp://HOST:PORT", &format!("{address:?}")]);
            assert_eq!(end.count(|r| matches!(r, Report::LibraryLoaded { .. })), 0);
        }
    }
    let Some(mut none) = wanted(CTP) else { return };
    none.start.md_address.clear();
    none.start().end().left(EXIT_START, 60, &["md_address is empty"]);
}

#[test]
fn libraries_that_are_not_what_they_should_be_are_refused() {
    let (Some(ctp), Some(sopt)) = (vendor_library(CTP), vendor_library(Dialect::Sopt)) else { return };
    for (kind, library, word) in [(CTP, &sopt, "a sopt library"), (Dialect::Sopt, &ctp, "a ctp library")] {
        let mut wanted = Wanted::new(kind, library, &[ADDRESS.to_owned()]);
        wanted.start().end().left(EXIT_LIBRARY, 60, &[word, "is missing"]);
        wanted.start.library_sha256 = Some("0".repeat(64));
        wanted.start().end().left(EXIT_LIBRARY, 60, &["sha256", "0000", "it was not loaded"]);
    }
    let text = Wanted::new(CTP, Path::new("/etc/passwd"), &[ADDRESS.to_owned()]);
    text.start().end().left(EXIT_LIBRARY, 60, &["/etc/passwd", "cannot be loaded", "ELF"]);
    let none = Wanted::new(CTP, Path::new("/none.so"), &[ADDRESS.to_owned()]);
    none.start().end().left(EXIT_LIBRARY, 60, &["/none.so", "No such file"]);
    // To hash it would not end.
    let mut endless = Wanted::new(CTP, Path::new("/dev/zero"), &[ADDRESS.to_owned()]);
    endless.start().end().left(EXIT_LIBRARY, 60, &["/dev/zero", "no regular file"]);
    endless.start.library_sha256 = Some("0".repeat(64));
    endless.start().end().left(EXIT_LIBRARY, 60, &["/dev/zero", "no regular file"]);
}

#[test]
fn an_unknown_version_of_the_library_is_used_and_said_to_be_unknown() {
    let Some(library) = vendor_library(CTP) else { return };
    let front = Front::new(Act::Close);
    let dir = tempfile::tempdir().expect("a directory");
    let (copy, mut bytes) = (dir.path().join("patched.so"), std::fs::read(&library).expect("readable"));
    let (known, patched) = (b"v6.7.7_20240607", b"v6.7.9_20991231");
    let places: Vec<_> = (0..bytes.len() - known.len()).filter(|at| bytes[*at..].starts_with(known)).collect();
    assert!(!places.is_empty(), "the library does not hold its version");
    places.into_iter().for_each(|at| bytes[at..at + known.len()].copy_from_slice(patched));
    std::fs::write(&copy, bytes).expect("written");
    let mut wanted = Wanted::new(CTP, &copy, std::slice::from_ref(&front.address));
    wanted.start.limits = Limits { disconnects_max: 3, ..PATIENT };
    let end = wanted.start().end();
    end.left(EXIT_DISCONNECTS, 60, &["0x1001"]);
    let unknown =
        |r: &Report| matches!(r, Report::LibraryLoaded { version, known: false } if version.starts_with("v6.7.9_2099"));
    assert_eq!(end.count(unknown), 1, "{:?}", end.reports);
    assert!(end.stderr.contains("warn mdhub was not tested with version \"v6.7.9_20991231"), "{}", end.stderr);
}
