//! `docs/requirements.md`: every requirement once, with its place and with tests that exist.

use std::collections::BTreeSet;

use crate::tree::{read, root, test_names, tracked};

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    id: String,
    state: String,
    places: Vec<String>,
    tests: Vec<String>,
}

/// Every requirement that the product has.
fn wanted() -> BTreeSet<String> {
    let numbered = |prefix: &str, count: usize| (1..=count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let mut all: BTreeSet<_> =
        [numbered("FR", 12), numbered("NFR", 9), numbered("UI", 6), numbered("T", 3)].concat().into_iter().collect();
    for (story, criteria) in [
        ("1.1", 3),
        ("1.2", 2),
        ("1.3", 3),
        ("1.4", 4),
        ("2.1", 4),
        ("2.2", 2),
        ("2.3", 3),
        ("2.4", 2),
        ("3.1", 4),
        ("3.2", 4),
        ("3.3", 3),
        ("4.1", 2),
        ("4.2", 3),
        ("4.3", 3),
        ("4.4", 3),
    ] {
        all.extend((1..=criteria).map(|n| format!("S{story}-{n}")));
    }
    all
}

/// Reads the rows `| id | requirement | state | place | tests |` of every table in the document.
fn rows(markdown: &str) -> Vec<Requirement> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let row = |line: &str| {
        let cells: Vec<_> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [id, _, state, places, tests] = cells[..] else { return None };
        let is_head = id == "id" || id.starts_with("--");
        (!is_head).then(|| Requirement {
            id: id.into(),
            state: state.into(),
            places: quoted(places),
            tests: quoted(tests),
        })
    };
    markdown.lines().filter_map(row).collect()
}

fn faults(
    rows: &[Requirement],
    wanted: &BTreeSet<String>,
    tests: &BTreeSet<String>,
    exists: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    for id in wanted {
        let times = rows.iter().filter(|row| row.id == *id).count();
        if times != 1 {
            faults.push(format!("{id} is listed {times} times: once"));
        }
    }
    for Requirement { id, state, places, tests: named } in rows {
        if !wanted.contains(id) {
            faults.push(format!("{id} is no requirement"));
        }
        match state.as_str() {
            "open" => {}
            "done" | "partly" if named.is_empty() => faults.push(format!("{id} is {state}, and names no test")),
            "done" | "partly" if places.is_empty() => faults.push(format!("{id} is {state}, and names no place")),
            "done" | "partly" => {}
            other => faults.push(format!("{id}: {other:?}: a requirement is done, partly or open")),
        }
        faults.extend(named.iter().filter(|t| !tests.contains(*t)).map(|t| format!("{id}: there is no test {t}")));
        faults.extend(places.iter().filter(|p| !exists(p)).map(|p| format!("{id}: {p} is not there")));
    }
    faults
}

#[test]
fn every_requirement_is_listed_once_with_tests_that_exist() {
    let rows = rows(&read("docs/requirements.md").expect("it is there"));
    let faults = faults(&rows, &wanted(), &test_names(&tracked()), |path| root().join(path).exists());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_requirement_that_is_missing_doubled_or_unproven_is_seen() {
    let wanted = BTreeSet::from(["FR1".to_owned()]);
    let tests = BTreeSet::from(["it_holds".to_owned()]);
    let faults_of = |table: &str| faults(&rows(table), &wanted, &tests, |path| path == "store/src").len();
    let good = "| id | requirement | state | place | tests |\n|---|---|---|---|---|\n| FR1 | accounts | done | `store/src` | `it_holds` |";
    assert_eq!(faults_of(good), 0);
    assert_eq!(faults_of("| FR1 | accounts | open | | |"), 0);
    assert_eq!(faults_of(""), 1);
    assert_eq!(faults_of(&format!("{good}\n| FR1 | again | open | | |")), 1);
    assert_eq!(faults_of(&format!("{good}\n| FR2 | unheard of | open | | |")), 1);
    for bad in [
        "| FR1 | accounts | done | `store/src` | |",
        "| FR1 | accounts | done | | `it_holds` |",
        "| FR1 | accounts | done | `store/src` | `it_fell` |",
        "| FR1 | accounts | done | `gone/src` | `it_holds` |",
        "| FR1 | accounts | nearly | `store/src` | `it_holds` |",
    ] {
        assert_eq!(faults_of(bad), 1, "{bad}");
    }
}
