//! `scripts/tools`: what a build needs is named before it is missed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::tree::root;

/// Runs the check where only these tools exist, each answering `--version` with the text; gives success and stderr.
#[expect(clippy::disallowed_methods, reason = "the script under test is a process")]
fn tools(installed: &[(&str, &str)]) -> (bool, String) {
    let bin = tempfile::tempdir().expect("a directory");
    for (tool, version) in installed {
        let path = bin.path().join(tool);
        fs::write(&path, format!("#!/bin/bash\necho '{version}'\n")).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("is executable");
    }
    let script = root().join("scripts/tools");
    let ran = Command::new("/bin/bash").arg(script).env_clear().env("PATH", bin.path()).output().expect("bash runs");
    (ran.status.success(), String::from_utf8(ran.stderr).expect("UTF-8"))
}

const ALL: [(&str, &str); 5] = [
    ("cargo", "cargo 1.94.0 (abc 2026-01-01)"),
    ("cc", "cc (Debian) 12.2.0"),
    ("python3", "Python 3.10.1"),
    ("node", "v20.9.0"),
    ("npm", "10.1.0"),
];

#[test]
fn the_oldest_tools_that_will_do_pass() {
    assert_eq!(tools(&ALL), (true, String::new()));
}

#[test]
fn everything_that_is_missing_is_named_at_once_with_the_command_that_installs_it() {
    let (ok, said) = tools(&[]);
    assert!(!ok);
    for part in [
        "cargo 1.94",
        "rustup default stable",
        "cc is missing",
        "apt-get install -y gcc",
        "python3 3.10",
        "node 20.9",
        "npm is missing",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn a_tool_that_is_too_old_is_named_with_both_versions() {
    for (tool, version, wanted) in [
        ("cargo", "cargo 1.93.1 (abc 2025-12-01)", "cargo is 1.93.1, which is too old: 1.94 or newer"),
        ("python3", "Python 3.9.18", "python3 is 3.9.18, which is too old: 3.10 or newer"),
        ("node", "v18.19.0", "node is 18.19.0, which is too old: 20.9 or newer"),
        ("node", "no version here", "node does not say its version"),
    ] {
        let installed = ALL.map(|(name, text)| if name == tool { (name, version) } else { (name, text) });
        let (ok, said) = tools(&installed);
        assert!(!ok && said.contains(wanted), "{version}: {said}");
        assert_eq!(said.matches("  - ").count(), 1, "{said}");
    }
}
