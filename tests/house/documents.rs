//! The documents name what exists: links, the two walks, and what holds each invariant.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::tree::{SourceFile, read, root, test_names, tracked};

/// A link's text and target, in order of appearance; code blocks hold none.
fn links(markdown: &str) -> Vec<(&str, &str)> {
    let prose = markdown.split("```").step_by(2);
    prose
        .flat_map(|part| {
            part.match_indices("](").filter_map(move |(at, _)| {
                let text = part[..at].rsplit('[').next()?;
                let target = part[at + 2..].split(')').next()?;
                Some((text, target))
            })
        })
        .collect()
}

/// The path that a relative link in `document` leads to, without `..`.
fn resolve(document: &str, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in Path::new(document).parent().unwrap_or(Path::new("")).join(target).components() {
        if part == Component::ParentDir {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path
}

/// Relative links whose file is not there.
fn dead_links(document: &str, markdown: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let relative = links(markdown).into_iter().map(|(_, target)| target).filter(|target| !target.contains("://"));
    let files = relative.map(|target| target.split('#').next().unwrap_or_default()).filter(|file| !file.is_empty());
    let dead = files.filter(|file| !exists(&resolve(document, file)));
    dead.map(|file| format!("{document}: {file} is not there")).collect()
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let documents = tracked().into_iter().filter(|f| f.path.ends_with(".md"));
    let faults: Vec<_> =
        documents.flat_map(|f| dead_links(&f.path, &f.text, |path| root().join(path).exists())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_dead_link_is_seen() {
    let exists = |path: &Path| path == Path::new("feed/src/lib.rs");
    let text =
        "[feed](../feed/src/lib.rs#run) [web](https://example.org) [here](#part)\n```\n[x](y)\n```\n[gone](gone.md)";
    assert_eq!(dead_links("docs/a.md", text, exists), ["docs/a.md: gone.md is not there"]);
}

/// The part of a document under a heading, up to the next heading of any level.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let start = markdown.find(&format!("\n## {heading}\n")).map_or(markdown.len(), |at| at + heading.len() + 5);
    let rest = &markdown[start..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// What is wrong with a walk: it has exactly five links, each `file#symbol`, and the symbol stands in the file.
fn walk_faults(walk: &str, text_of: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let stops = links(walk);
    let mut faults = Vec::new();
    if stops.len() != 5 {
        faults.push(format!("{} links: five make the walk", stops.len()));
    }
    for (_, target) in stops {
        let Some((file, symbol)) = target.split_once('#') else {
            faults.push(format!("{target}: a stop is file#symbol"));
            continue;
        };
        let is_there = text_of(file).is_some_and(|text| defines(&text, symbol));
        if !is_there {
            faults.push(format!("{file} does not define {symbol}"));
        }
    }
    faults
}

/// Whether Rust code defines a function or type of this name.
fn defines(text: &str, symbol: &str) -> bool {
    ["fn ", "struct ", "enum ", "trait ", "type "].iter().any(|keyword| {
        let definition = format!("{keyword}{symbol}");
        text.match_indices(&definition)
            .any(|(at, _)| !text[at + definition.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

#[test]
fn both_walks_lead_through_code_that_exists() {
    let architecture = read("ARCHITECTURE.md").expect("it is there");
    for heading in ["Follow a tick", "Follow a toggle"] {
        let faults = walk_faults(section(&architecture, heading), read);
        assert!(faults.is_empty(), "{heading}: {}", faults.join("\n"));
    }
}

#[test]
fn a_walk_that_leads_nowhere_is_seen() {
    let text_of = |file: &str| (file == "a.rs").then(|| "pub fn run(x: u8) {}\nstruct Hub;".to_owned());
    let stops = |last: &str| format!("[1](a.rs#run) [2](a.rs#Hub) [3](a.rs#run) [4](a.rs#run) {last}");
    assert!(walk_faults(&stops("[5](a.rs#run)"), text_of).is_empty());
    for bad in ["", "[5](a.rs)", "[5](a.rs#runs)", "[5](a.rs#ru)", "[5](b.rs#run)"] {
        assert_eq!(walk_faults(&stops(bad), text_of).len(), 1, "{bad}");
    }
    assert_eq!(section("# A\n\n## One\nfirst\n\n## Two\nsecond\n", "One"), "first\n");
    assert_eq!(section("# A\n\n## One\nfirst\n", "Two"), "");
}

/// Bold invariants that name nothing that would hold them: a test by its function, or a lint or file by its name.
fn unheld_invariants(markdown: &str, tests: &BTreeSet<String>, others: &[&str]) -> Vec<String> {
    let invariants = markdown.split("**Architecture Invariant:**").skip(1);
    let line = |part: &str| part.split("\n\n").next().unwrap_or_default().to_owned();
    let unheld = invariants.map(line).filter_map(|line| {
        let held_by = line.rsplit_once("Held by").map(|(_, names)| names.to_owned()).unwrap_or_default();
        let names: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        let unknown: Vec<_> = names.iter().filter(|name| !tests.contains(**name) && !others.contains(*name)).collect();
        match (names.is_empty(), unknown.is_empty()) {
            (true, _) => Some(format!("names nothing that holds it:{line}")),
            (false, false) => Some(format!("{unknown:?} is no test or lint, in:{line}")),
            (false, true) => None,
        }
    });
    unheld.collect()
}

/// What may hold an invariant beside tests.
const LINTS: [&str; 6] =
    ["clippy.toml", "deny.toml", "unsafe_code", "clippy::disallowed_methods", "clippy::too_many_lines", "missing_docs"];

#[test]
fn every_invariant_names_the_test_or_lint_that_holds_it() {
    let files: Vec<SourceFile> = tracked();
    let architecture = read("ARCHITECTURE.md").expect("it is there");
    assert!(architecture.matches("**Architecture Invariant:**").count() >= 8);
    let faults = unheld_invariants(&architecture, &test_names(&files), &LINTS);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_invariant_that_nothing_holds_is_seen() {
    let tests = BTreeSet::from(["it_holds".to_owned()]);
    let faults = |line: &str| {
        unheld_invariants(&format!("**Architecture Invariant:** {line}\n\nmore"), &tests, &["deny.toml"]).len()
    };
    assert_eq!(faults("A. Held by `it_holds` and `deny.toml`."), 0);
    assert_eq!(faults("`A` is so. Held by `it_holds`."), 0);
    assert_eq!(faults("A. Held by `it_fell`."), 1);
    assert_eq!(faults("A. Held by nothing."), 1);
    assert_eq!(faults("A."), 1);
}
