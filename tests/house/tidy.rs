//! Rules that compilers do not know: sizes, names, and where dangerous things may stand.

use std::path::Path;

use crate::tree::{SourceFile, tracked};

const FILE_LINES_MAX: usize = 600;

/// Names that say nothing of what is in a file.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "stuff"];

/// Where unsafe code may be: beside the vendor's C++ objects, on either side of the call.
const UNSAFE_IN: [&str; 3] = ["gateways/src/vendor", "gateways/simapi/src/", "gateways/simapi/tests/"];

/// The edges: product files that may read a clock, sleep, or make and signal processes. Tests, benches and examples may, too.
const EDGES: [&str; 8] = [
    "src/clock.rs",
    "feed/src/clock.rs",
    "gateways/src/clock.rs",
    "gateways/src/manager/",
    "gateways/src/program.rs",
    "gateways/src/probe/",
    "gateways/simapi/src/",
    "store/src/clock.rs",
];

/// What a tool has written: nobody reads it line by line.
const GENERATED: [&str; 1] = ["web/dashboard/src/api/schema.d.ts"];

/// Extensions of files that people write and that lines are counted in.
const SOURCES: [&str; 6] = ["rs", "py", "ts", "tsx", "sh", "sql"];

fn extension(file: &SourceFile) -> &str {
    Path::new(&file.path).extension().and_then(|e| e.to_str()).unwrap_or_default()
}

/// Lines of a Rust file without comments, numbered from 1.
fn rust_lines(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let is_rust = extension(file) == "rs";
    let lines = file.text.lines().enumerate().filter(move |_| is_rust);
    lines.map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
}

fn is_under(file: &SourceFile, places: &[&str]) -> bool {
    places.iter().any(|place| file.path.starts_with(place))
}

/// Tests, benches and examples are not the product.
fn is_product(file: &SourceFile) -> bool {
    !file.path.split('/').any(|part| ["tests", "benches", "examples"].contains(&part))
}

fn long_file(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().count();
    let is_long = SOURCES.contains(&extension(file)) && !is_under(file, &GENERATED) && lines > FILE_LINES_MAX;
    is_long
        .then(|| format!("{}: {lines} lines: at most {FILE_LINES_MAX}, one subject each", file.path))
        .into_iter()
        .collect()
}

fn empty_name(file: &SourceFile) -> Vec<String> {
    let is_empty = |part: &str| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or_default()) || part == "mod.rs";
    let parts = file.path.split('/').filter(|part| is_empty(part));
    parts.map(|part| format!("{}: {part} says nothing of what is in it", file.path)).collect()
}

fn silenced_lint(file: &SourceFile) -> Vec<String> {
    let silenced = |line: &str| line.trim_start().starts_with("#[allow") || line.trim_start().starts_with("#![allow");
    let found = rust_lines(file).filter(|(_, line)| silenced(line));
    found.map(|(n, _)| format!("{}:{n}: write #[expect(..., reason = ...)] instead of allow", file.path)).collect()
}

fn unfinished(file: &SourceFile) -> Vec<String> {
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!(")];
    let found = rust_lines(file).filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
    found.map(|(n, _)| format!("{}:{n}: unfinished: leave the whole out instead", file.path)).collect()
}

fn unsafe_elsewhere(file: &SourceFile) -> Vec<String> {
    let marks = [
        concat!("unsafe", " {"),
        concat!("unsafe", " fn"),
        concat!("unsafe", " impl"),
        concat!("unsafe", " extern"),
        concat!("unsafe", "("),
    ];
    let found = rust_lines(file).filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
    let stray = found.filter(|_| !is_under(file, &UNSAFE_IN));
    stray.map(|(n, _)| format!("{}:{n}: unsafe code may be in {UNSAFE_IN:?} only", file.path)).collect()
}

fn stray_edge(file: &SourceFile) -> Vec<String> {
    let mark = concat!("expect(clippy::", "disallowed_methods");
    let found = rust_lines(file).filter(|(_, line)| line.contains(mark));
    let stray = found.filter(|_| is_product(file) && !is_under(file, &EDGES));
    stray.map(|(n, _)| format!("{}:{n}: clocks and processes are for the edges {EDGES:?}", file.path)).collect()
}

/// Paths that exist on one machine only, and places that packages came from on one machine only.
fn this_machine(file: &SourceFile) -> Vec<String> {
    let marks = [
        concat!("/", "work/"),
        concat!("/", "root/"),
        concat!("/", "home/"),
        concat!("arti", "factory"),
        concat!("--index", "-url"),
        concat!("--find", "-links"),
    ];
    let found = file.text.lines().enumerate().filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
    found.map(|(i, line)| format!("{}:{}: holds on one machine only: {}", file.path, i + 1, line.trim())).collect()
}

/// Lock files name public registries and nothing else.
fn strange_registry(file: &SourceFile) -> Vec<String> {
    let key = match file.path.rsplit('/').next().unwrap_or_default() {
        "Cargo.lock" => "source = ",
        "package-lock.json" => "\"resolved\": ",
        _ => return Vec::new(),
    };
    let public = ["\"registry+https://github.com/rust-lang/crates.io-index\"", "\"https://registry.npmjs.org/"];
    let sources = file.text.lines().filter_map(|line| line.trim().strip_prefix(key));
    let strange = sources.filter(|source| source.contains("://") && !public.iter().any(|p| source.starts_with(p)));
    strange.map(|source| format!("{}: {source} is no public registry", file.path)).collect()
}

type Rule = fn(&SourceFile) -> Vec<String>;

const RULES: [Rule; 8] =
    [long_file, empty_name, silenced_lint, unfinished, unsafe_elsewhere, stray_edge, this_machine, strange_registry];

#[test]
fn every_tracked_file_keeps_the_rules() {
    let faults: Vec<_> = tracked().iter().flat_map(|file| RULES.map(|rule| rule(file)).concat()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_breach_of_any_rule_is_seen() {
    let long = "x\n".repeat(FILE_LINES_MAX + 1);
    let fits = "x\n".repeat(FILE_LINES_MAX);
    let silenced = concat!("#[", "allow(dead_code)]");
    let unsafe_block = concat!("let x = unsafe", " { *p };");
    let clock = concat!("#[expect(clippy::", "disallowed_methods, reason = \"\")]");
    let machine = concat!("path = /", "root/x");
    let mirror = "source = \"registry+https://mirror.example/index\"";
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let table: [(Rule, &str, &str, usize); 21] = [
        (long_file, "a.rs", &long, 1),
        (long_file, "a.rs", &fits, 0),
        (long_file, "requirements.txt", &long, 0),
        (empty_name, "feed/src/utils.rs", "", 1),
        (empty_name, "feed/common/a.rs", "", 1),
        (empty_name, "feed/src/zmtp/mod.rs", "", 1),
        (empty_name, "feed/src/commonplace.rs", "", 0),
        (silenced_lint, "a.rs", silenced, 1),
        (silenced_lint, "a.rs", "#[expect(dead_code, reason = \"\")]", 0),
        (unfinished, "a.rs", concat!("    todo", "!()"), 1),
        (unsafe_elsewhere, "feed/src/a.rs", unsafe_block, 1),
        (unsafe_elsewhere, "gateways/src/vendor/api.rs", unsafe_block, 0),
        (unsafe_elsewhere, "feed/src/a.rs", "// no unsafe { here", 0),
        (stray_edge, "feed/src/cleanse.rs", clock, 1),
        (stray_edge, "src/clock.rs", clock, 0),
        (stray_edge, "feed/tests/a.rs", clock, 0),
        (this_machine, "README.md", machine, 1),
        (this_machine, "README.md", "see docs/", 0),
        (strange_registry, "Cargo.lock", mirror, 1),
        (strange_registry, "Cargo.lock", public, 0),
        (strange_registry, "README.md", mirror, 0),
    ];
    for (i, (rule, path, text, faults)) in table.into_iter().enumerate() {
        let file = SourceFile { path: path.into(), text: text.into() };
        assert_eq!(rule(&file).len(), faults, "row {i}: {path}: {:?}", text.lines().next());
    }
}
