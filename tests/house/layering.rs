//! Who may import whom, over what cargo itself says of every package.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::tree::{SourceFile, root, tracked};

/// Which of our packages a package may depend on.
const MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("mdhub-spec", &[]),
    ("mdhub-simapi", &[]),
    ("mdhub-bench", &["mdhub-spec", "mdhub-feed"]),
    ("mdhub-reconciler", &["mdhub-spec"]),
    ("mdhub-gateways", &["mdhub-spec"]),
    ("mdhub-feed", &["mdhub-spec"]),
    ("mdhub-store", &["mdhub-spec"]),
    ("mdhub-alerts", &["mdhub-spec"]),
    ("mdhub-api", &["mdhub-spec"]),
    (
        "mdhub",
        &["mdhub-spec", "mdhub-reconciler", "mdhub-gateways", "mdhub-feed", "mdhub-store", "mdhub-alerts", "mdhub-api"],
    ),
];

/// Outside packages that give a power which only some of ours may have.
const ONLY_IN: [(&str, &[&str]); 11] = [
    ("sqlx", &["mdhub-store"]),
    ("mongodb", &["mdhub-store"]),
    ("libloading", &["mdhub-gateways"]),
    ("command-fds", &["mdhub-gateways"]),
    ("axum", &["mdhub-api"]),
    ("lettre", &["mdhub-alerts"]),
    ("ureq", &["mdhub-alerts"]),
    ("zeromq", &["mdhub", "mdhub-bench"]),
    ("clap", &["mdhub"]),
    ("tokio", &["mdhub-reconciler", "mdhub-gateways", "mdhub-store", "mdhub-api", "mdhub", "mdhub-bench"]),
    ("rustix", &["mdhub-gateways", "mdhub-simapi", "mdhub-feed", "mdhub", "mdhub-bench"]),
];

/// One package that names another in its manifest, for whatever kind of use.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: String,
    to: String,
    is_dev: bool,
}

fn edge(from: &str, to: &str, is_dev: bool) -> Edge {
    Edge { from: from.into(), to: to.into(), is_dev }
}

fn metadata() -> Metadata {
    let manifest = root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata runs")
}

fn edges(metadata: &Metadata) -> Vec<Edge> {
    let of = |p: &cargo_metadata::Package| -> Vec<Edge> {
        p.dependencies.iter().map(|d| edge(&p.name, &d.name, d.kind == DependencyKind::Development)).collect()
    };
    metadata.packages.iter().flat_map(of).collect()
}

fn breaches(edges: &[Edge]) -> Vec<String> {
    let ours = |name: &str| MAY_IMPORT.iter().find(|(package, _)| *package == name).map(|(_, allowed)| *allowed);
    let only_in = |name: &str| ONLY_IN.iter().find(|(package, _)| *package == name).map(|(_, users)| *users);
    let mut faults = Vec::new();
    for Edge { from, to, is_dev } in edges {
        let allowed = ours(from).unwrap_or_default();
        if ours(to).is_some() && !allowed.contains(&to.as_str()) {
            faults.push(format!("{from} may not import {to}: of ours it may import {allowed:?}"));
        }
        // What tests use gives the product no power.
        if let Some(users) = only_in(to).filter(|users| !is_dev && !users.contains(&from.as_str())) {
            faults.push(format!("{from} may not import {to}: only {users:?} may"));
        }
    }
    faults
}

#[test]
fn imports_follow_the_layers() {
    assert_eq!(breaches(&edges(&metadata())), Vec::<String>::new());
}

#[test]
fn every_package_has_its_place_in_the_layers() {
    let placed = MAY_IMPORT.map(|(name, _)| name);
    for package in metadata().packages {
        assert!(placed.contains(&package.name.as_str()), "{} has no place in MAY_IMPORT", package.name);
    }
}

#[test]
fn a_breach_of_the_layers_is_seen() {
    assert_eq!(
        breaches(&[edge("mdhub-feed", "mdhub-spec", false), edge("mdhub", "clap", false)]),
        Vec::<String>::new()
    );
    for (from, to, is_dev) in [
        ("mdhub-feed", "mdhub-reconciler", false),
        ("mdhub-feed", "mdhub-gateways", true),
        ("mdhub-simapi", "mdhub-spec", false),
        ("mdhub-spec", "mdhub", false),
        ("mdhub-api", "sqlx", false),
        ("mdhub-feed", "tokio", false),
    ] {
        assert_eq!(breaches(&[edge(from, to, is_dev)]).len(), 1, "{from} -> {to}");
    }
    assert!(breaches(&[edge("mdhub-feed", "tokio", true)]).is_empty());
}

/// Parts of a package that are functions of their arguments, and parts that keep to themselves: path prefixes, the
/// words that may not occur there, and why.
const KEPT_APART: [(&[&str], &[&str], &str); 4] = [
    (
        &["reconciler/src/plan", "feed/src/normalise", "feed/src/cleanse", "feed/src/arbitrate"],
        &["tokio", "tracing", "rustix", "Instant", "SystemTime", "std::fs", "std::io", "std::net", "std::env", "rand"],
        "is a function of its arguments: no clock, no I/O, no randomness, no logging",
    ),
    (
        &["spec/src/"],
        &[
            "tokio",
            "tracing",
            "rustix",
            "Instant",
            "SystemTime",
            "std::fs",
            "std::io",
            "std::env",
            "std::thread",
            "rand",
        ],
        "is vocabulary: data, and functions of data",
    ),
    (&["gateways/src/worker"], &["crate::manager", "super::manager"], "is a worker, and knows spec only"),
    (&["gateways/src/manager"], &["crate::vendor", "super::vendor"], "is the manager: no vendor code runs in the hub"),
];

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
}

/// The product's own lines: no comments, and nothing from the tests at a file's end on.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let before_tests = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    before_tests.enumerate().map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
}

fn reaches(file: &SourceFile) -> Vec<String> {
    let mut faults = Vec::new();
    for (prefixes, words, why) in KEPT_APART {
        if !prefixes.iter().any(|prefix| file.path.starts_with(prefix)) {
            continue;
        }
        for (number, line) in code_lines(&file.text) {
            for word in words.iter().filter(|word| has_word(line, word)) {
                faults.push(format!("{}:{number}: {word}: this {why}", file.path));
            }
        }
    }
    faults
}

#[test]
fn pure_parts_reach_for_nothing_outside() {
    let files = tracked();
    assert_eq!(files.iter().flat_map(reaches).collect::<Vec<_>>(), Vec::<String>::new());
    for (prefixes, _, why) in KEPT_APART {
        for prefix in prefixes {
            assert!(files.iter().any(|f| f.path.starts_with(prefix)), "no file is at {prefix}, which {why}");
        }
    }
}

#[test]
fn a_pure_part_that_reaches_outside_is_seen() {
    let faults = |path: &str, text: &str| reaches(&SourceFile { path: path.into(), text: text.into() }).len();
    assert_eq!(faults("feed/src/cleanse.rs", "use std::time::Instant;"), 1);
    assert_eq!(faults("feed/src/cleanse/rules.rs", "    tracing::info!(\"x\");"), 1);
    assert_eq!(faults("gateways/src/worker/main_loop.rs", "use crate::manager::Exit;"), 1);
    assert_eq!(faults("feed/src/cleanse.rs", "// an Instant is not read here\nlet operand = 1;"), 0);
    assert_eq!(faults("feed/src/cleanse.rs", "#[cfg(test)]\nmod tests { use std::fs; }"), 0);
    assert_eq!(faults("feed/src/thread.rs", "use std::time::Instant;"), 0);
}
