//! The tracked files, and the tests that are in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tracked text file.
pub(crate) struct SourceFile {
    /// Relative to the repository.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The repository's directory.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every tracked file that is text and that exists.
#[expect(clippy::disallowed_methods, reason = "git is asked which files it tracks")]
pub(crate) fn tracked() -> Vec<SourceFile> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git runs");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let files: Vec<_> = names
        .split_terminator('\0')
        .filter_map(|path| Some(SourceFile { path: path.into(), text: read(path)? }))
        .collect();
    assert!(files.len() > 50, "only {} tracked files were found", files.len());
    files
}

/// The text of a file, by its path in the repository; none where it is missing or binary.
pub(crate) fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(root().join(path)).ok()
}

/// The names of all tests: functions in Rust and in Python, titles in TypeScript.
pub(crate) fn test_names(files: &[SourceFile]) -> BTreeSet<String> {
    files.iter().flat_map(|f| tests_of(&f.path, &f.text)).collect()
}

fn tests_of(path: &str, text: &str) -> Vec<String> {
    match Path::new(path).extension().and_then(|e| e.to_str()) {
        Some("rs") => rust_tests(text),
        Some("py") => named(text, "def ").filter(|name| name.starts_with("test_")).collect(),
        Some("ts" | "tsx") => ["test(\"", "it(\""].iter().flat_map(|call| titles(text, call)).collect(),
        _ => Vec::new(),
    }
}

/// Functions that follow a test attribute, with any lines between, and the cases of a conformance suite, which a macro
/// turns into tests of each backend.
fn rust_tests(text: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = named(line, "fn ").next() {
            names.extend((is_test || line.contains("(backend: &impl Backend)")).then_some(name));
            is_test = false;
        }
    }
    names
}

fn named<'a>(text: &'a str, keyword: &'a str) -> impl Iterator<Item = String> + 'a {
    text.lines().filter_map(move |line| {
        let line = line.trim_start().trim_start_matches("async ");
        let name: String =
            line.strip_prefix(keyword)?.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        Some(name)
    })
}

fn titles(text: &str, call: &str) -> Vec<String> {
    text.split(call).skip(1).filter_map(|rest| rest.split_once('"').map(|(title, _)| title.to_owned())).collect()
}

#[test]
fn tests_are_found_by_name_and_other_functions_are_not() {
    let rust = "fn helper() {}\n#[test]\n#[cfg(unix)]\nfn it_holds() {}\n#[tokio::test(start_paused = true)]\nasync fn it_waits() {}\nfn after() {}\nasync fn it_keeps(backend: &impl Backend) {}";
    assert_eq!(tests_of("a.rs", rust), ["it_holds", "it_waits", "it_keeps"]);
    assert_eq!(
        tests_of("a.py", "def helper():\n\ndef test_one(hub):\n    async def test_two():"),
        ["test_one", "test_two"]
    );
    assert_eq!(tests_of("a.ts", "test(\"shows a tick\", () => {});"), ["shows a tick"]);
    assert!(tests_of("a.md", "def test_one():").is_empty());
}
