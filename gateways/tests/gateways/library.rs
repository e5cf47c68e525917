//! Loading libraries: the vendor's own, and those that must be refused.

use std::path::Path;

use mdhub_gateways::vendor::Library;
use mdhub_gateways::vendor::layout::Layout;
use mdhub_spec::dialect::Dialect;

use super::harness::vendor_library;

fn refusal(path: &Path, sha256: Option<&str>, kind: Dialect) -> String {
    Library::load(path, sha256, Layout::of(kind)).err().map_or_else(|| "loaded".into(), |e| e.to_string())
}

#[test]
fn both_vendor_libraries_load_in_one_process_and_report_their_versions() {
    let (Some(ctp), Some(sopt)) = (vendor_library(Dialect::Ctp), vendor_library(Dialect::Sopt)) else {
        return;
    };
    for (path, kind, version) in
        [(&ctp, Dialect::Ctp, "v6.7.7_20240607 15:51:36.7347"), (&sopt, Dialect::Sopt, "v3.7.0_20230901")]
    {
        let library = Library::load(path, None, Layout::of(kind)).expect("loads");
        assert!(library.version().starts_with(version), "{kind}: {:?}", library.version());
        assert!(library.is_known());
    }
    for (path, kind, found) in [(&ctp, Dialect::Sopt, "a ctp library"), (&sopt, Dialect::Ctp, "a sopt library")] {
        let refused = refusal(path, None, kind);
        for part in [path.to_str().expect("text"), found, kind.as_str(), "CreateFtdcMdApi", "is missing"] {
            assert!(refused.contains(part), "{part:?} is not in {refused:?}");
        }
    }
}

#[test]
fn what_is_no_market_data_library_is_refused_by_the_symbol_that_it_lacks() {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("readable");
    let libc = maps.lines().filter_map(|l| l.split_whitespace().nth(5)).find(|p| p.contains("libc.so")).expect("libc");
    let refused = refusal(Path::new(libc), None, Dialect::Ctp);
    assert!(refused.contains("no ctp market-data library") && refused.contains("_ZN15CThostFtdcMdApi"), "{refused}");
    let missing = refusal(Path::new("/nonexistent.so"), None, Dialect::Sopt);
    assert!(missing.contains("/nonexistent.so") && missing.contains("No such file"), "{missing}");
    let text = refusal(Path::new("/etc/passwd"), None, Dialect::Ctp);
    assert!(text.contains("cannot be loaded"), "{text}");
}

#[test]
fn a_library_of_another_hash_is_refused_with_both_before_it_is_loaded() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), b"abc").expect("written");
    // FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let wrong = "0".repeat(64);
    let refused = refusal(file.path(), Some(&wrong), Dialect::Ctp);
    assert!(refused.contains(abc) && refused.contains(&wrong), "{refused}");
    let loaded = refusal(file.path(), Some(&abc.to_uppercase()), Dialect::Ctp);
    assert!(loaded.contains("cannot be loaded"), "the hash fits, so the loader has its say: {loaded}");
}
