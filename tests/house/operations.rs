//! docs/operations.md names what exists, and has its paragraph for whatever a hub may show to whoever is woken.

use std::collections::BTreeSet;

use crate::tree::{read, tracked};

const GUIDE: &str = "docs/operations.md";

/// Whether it is a word as reasons and alerts are spelled: `CrashLoop`.
fn is_camel(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.len() > 1
        && word.chars().all(|c| c.is_ascii_alphabetic())
        && word.chars().any(|c| c.is_ascii_lowercase())
}

/// What stands between backticks, in one line, and is such a word.
fn named(markdown: &str) -> BTreeSet<String> {
    let spans = markdown.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| is_camel(span)).map(str::to_owned).collect()
}

/// Rust code without the tests that it ends with.
fn without_tests(rust: &str) -> &str {
    rust.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// The text literals of Rust code that are such words; tests are left out.
fn literals(rust: &str) -> BTreeSet<String> {
    without_tests(rust).split('"').filter(|word| is_camel(word)).map(str::to_owned).collect()
}

/// The variants of an enum in Rust code.
fn variants(rust: &str, name: &str) -> BTreeSet<String> {
    let Some((_, rest)) = rust.split_once(&format!("enum {name} {{")) else { return BTreeSet::new() };
    let body = rest.split("\n}").next().unwrap_or_default();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with(' '));
    let heads = lines.map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default());
    heads.filter(|head| head.starts_with(|c: char| c.is_ascii_uppercase())).map(str::to_owned).collect()
}

/// The words that code hands to a call or field as its first text: reasons of events, names of incidents.
fn told(rust: &str, marker: &str) -> BTreeSet<String> {
    let firsts = without_tests(rust).split(marker).skip(1).filter_map(|rest| {
        let (before, word) = rest.split_once('"')?;
        let is_near = before.len() < 40 && !before.contains(';');
        is_near.then(|| word.split(['"', ' ']).next().unwrap_or_default())
    });
    firsts.filter(|word| is_camel(word)).map(str::to_owned).collect()
}

/// Alerts that `examples/monitoring` has for Prometheus.
fn rules() -> BTreeSet<String> {
    let rules = read("examples/monitoring/mdhub-rules.yaml").expect("the rules are there");
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

/// Whatever a hub may show or send, and somebody must know what to do about.
fn shown() -> BTreeSet<String> {
    let conditions = read("spec/src/condition.rs").expect("conditions are there");
    let mut all = variants(&conditions, "ConditionType");
    all.extend(variants(&conditions, "Phase"));
    all.extend(literals(&read("reconciler/src/plan/status.rs").expect("reasons are there")));
    all.extend(variants(&read("src/hub/watch.rs").expect("it is there"), "Standing"));
    // These two are no news.
    all.remove("Unread");
    all.remove("Current");
    for file in
        tracked().iter().filter(|f| f.path.starts_with("src/") && f.path.ends_with(".rs") && !f.path.contains("tests"))
    {
        for marker in ["hub_event(", "incident = ", "INCIDENT: &str = "] {
            all.extend(told(&file.text, marker));
        }
    }
    all.extend(rules());
    all
}

#[test]
fn whatever_a_hub_shows_or_sends_is_in_the_operators_guide() {
    let (guide, shown) = (named(&read(GUIDE).expect("it is there")), shown());
    for known in ["CrashLoop", "CoolingDown", "LoginRefused", "NoSource", "StoodStill", "MdhubDown", "DesiredStale"] {
        assert!(shown.contains(known), "{known} was not found in the code: this test looks in the wrong place");
    }
    let missing: Vec<_> = shown.difference(&guide).collect();
    assert!(missing.is_empty(), "{GUIDE} does not say what to do about {missing:?}");
}

#[test]
fn the_operators_guide_names_nothing_that_no_hub_says() {
    let mut said = rules();
    for file in tracked().iter().filter(|f| f.path.ends_with(".rs") && !f.path.contains("tests")) {
        said.extend(literals(&file.text));
        let units = file.text.lines().filter_map(|line| line.trim().strip_suffix(','));
        said.extend(units.filter(|word| is_camel(word)).map(str::to_owned));
    }
    let strangers: Vec<_> =
        named(&read(GUIDE).expect("it is there")).into_iter().filter(|w| !said.contains(w)).collect();
    assert!(strangers.is_empty(), "{GUIDE} names what no hub says: {strangers:?}");
}

/// `ResetPassword`, `data_dir`: as the command line spells it.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    text
}

/// Commands and options of mdhub that a document uses and `cli`, the code of its command line, does not have.
fn unknown_commands(markdown: &str, cli: &str) -> Vec<String> {
    let commands = |name: &str| variants(cli, name).iter().map(|v| kebab(v)).collect::<BTreeSet<_>>();
    let groups = [("account", "AccountAction"), ("admin", "AdminCommand"), ("alert", "AlertCommand")];
    let fields = cli.lines().filter_map(|line| line.trim().split_once(':').map(|(name, _)| name));
    let names = fields.map(|name| name.trim_start_matches("pub(crate) "));
    let options: BTreeSet<String> =
        names.filter(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '_')).map(kebab).collect();
    let mut unknown = Vec::new();
    for (at, _) in markdown.match_indices("mdhub ") {
        if markdown[..at].ends_with(|c: char| !c.is_whitespace() && !matches!(c, '`' | '(')) {
            continue;
        }
        let line = markdown[at + 6..].split(['`', '\n', '|', '#', ')', '&', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(first) = words.next().filter(|w| w.chars().all(|c| c.is_ascii_lowercase() || c == '-')) else {
            continue;
        };
        let is_service = markdown[..at].ends_with("exec ");
        if first.starts_with('-') || is_service {
            continue;
        }
        let group = groups.iter().find(|(name, _)| *name == first).map(|(_, group)| commands(group));
        let second = words.clone().find(|word| !word.starts_with('-'));
        let is_known = commands("Command").contains(first)
            && group.is_none_or(|group| second.is_some_and(|second| group.contains(second)));
        let flags = words.filter_map(|word| word.strip_prefix("--"));
        if !is_known || flags.clone().any(|flag| !options.contains(flag)) {
            unknown.push(format!("mdhub {line}"));
        }
    }
    unknown
}

#[test]
fn the_commands_in_the_operators_guide_exist() {
    let (guide, cli) = (read(GUIDE).expect("it is there"), read("src/cli.rs").expect("it is there"));
    assert!(guide.matches("mdhub describe").count() > 3);
    let unknown = unknown_commands(&guide, &cli);
    assert!(unknown.is_empty(), "{GUIDE}: {unknown:?}");
}

#[test]
fn words_and_commands_that_do_not_exist_are_seen() {
    let cli = "enum Command {\n    /// x\n    Run(Args),\n    ConfirmAll,\n    Admin(AdminCommand),\n}\n\
               enum AdminCommand {\n    ResetPassword(Args),\n}\nstruct Args {\n    pub(crate) data_dir: PathBuf,\n}\n";
    for good in [
        "`mdhub run --data-dir x`",
        "`mdhub confirm-all`",
        "mdhub admin reset-password\n",
        "cd mdhub && x",
        "exec mdhub mdhub run",
    ] {
        assert_eq!(unknown_commands(good, cli), Vec::<String>::new(), "{good}");
    }
    for bad in ["`mdhub walk`", "`mdhub run --data x`", "mdhub admin reset\n", "mdhub admin\n", "exec mdhub mdhub walk"]
    {
        assert_eq!(unknown_commands(bad, cli).len(), 1, "{bad}");
    }
    assert_eq!(named("| `NoRoom` | a `mdhub x` `KILL` |\n```\n`x"), BTreeSet::from(["NoRoom".to_owned()]));
    assert_eq!(
        literals("a(\"NoRoom\", \"no room\");\n#[cfg(test)]\nmod tests {\n\"Gone\""),
        BTreeSet::from(["NoRoom".to_owned()])
    );
    let code = "x.hub_event(\n    Some(id),\n    \"Came\", \"Not\"); hub_event(None, reason); y = \"Other\"; incident = \"Went {kind}\"";
    assert_eq!(told(code, "hub_event("), BTreeSet::from(["Came".to_owned()]));
    assert_eq!(told(code, "incident = "), BTreeSet::from(["Went".to_owned()]));
}
