//! The probe: each step told in its order, each failure with its own verdict, and nothing left behind.

use std::collections::BTreeMap;

use mdhub_gateways::probe::{
    self, EXIT_CONTRACTS_REFUSED, EXIT_DEADLINE, EXIT_NO_TICK, EXIT_UNREACHABLE, Probe, Verdict, What,
};
use mdhub_gateways::program::Library;
use mdhub_spec::account::{GatewayKind, Secret};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::process::{EXIT_DISCONNECTS, EXIT_LIBRARY, EXIT_LOGIN_REFUSED, EXIT_LOGIN_UNANSWERED, EXIT_UNANSWERED};

use super::listeners::{Act, Front, nothing_listens};
use super::rig::{PASSWORD, program, simulated_library, vendor_library};

struct Bench {
    probe: Probe,
    _front: Front,
    _dir: tempfile::TempDir,
}

/// A simulated front at a real address with these scenarios.
fn bench(scenarios: &str, codes: &[&str]) -> Option<Bench> {
    let library = simulated_library()?;
    let front = Front::new(Act::Silence);
    let dir = tempfile::tempdir().expect("a directory");
    let world = dir.path().join("world.json");
    let text = format!(r#"{{"fronts":{{"{}":{{"scenarios":[{scenarios}]}}}}}}"#, front.address);
    std::fs::write(&world, text).expect("written");
    std::fs::create_dir(dir.path().join("scratch")).expect("made");
    let env = BTreeMap::from([("SIMAPI_WORLD".to_owned(), world.display().to_string())]);
    let probe = Probe {
        program: program("gateways-worker"),
        kind: GatewayKind::Ctp,
        library: Library { path: library, sha256: None, env, vnpy_class: None },
        user_id: "u".into(),
        password: Secret::new(PASSWORD.into()),
        broker_id: "b".into(),
        md_address: vec![front.address.parse().expect("valid")],
        contracts: codes.iter().map(|c| c.parse().expect("valid")).collect(),
        check_password: false,
        deadline_ms: 30_000,
        scratch_dir: dir.path().join("scratch"),
    };
    Some(Bench { probe, _front: front, _dir: dir })
}

fn run(probe: &Probe) -> (Verdict, Vec<What>, Vec<String>) {
    let (mut steps, mut at) = (Vec::new(), 0);
    let verdict = probe::run(probe, &|| true, &mut |step| {
        assert!(step.at_ms >= at, "steps come in their order");
        at = step.at_ms;
        steps.push(step.what);
    });
    let lines: Vec<String> = steps.iter().map(What::to_string).collect();
    assert!(!format!("{verdict:?} {lines:?}").contains(PASSWORD));
    (verdict, steps, lines)
}

#[test]
fn a_good_account_is_followed_from_the_library_to_its_first_tick() {
    let Some(bench) = bench("", &["rb2701.SHFE", "m2705.DCE"]) else { return };
    let (verdict, steps, lines) = run(&bench.probe);
    assert_eq!(verdict.code, 0, "{verdict:?} {lines:#?}");
    let parts = [
        "sha256",
        "is 127.0.0.1:",
        "reached by TCP",
        "library loaded",
        "front connected",
        "login accepted",
        "2 of 2",
        "first tick",
    ];
    assert_eq!(lines.len(), parts.len(), "{lines:#?}");
    for (line, part) in lines.iter().zip(parts) {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(matches!(steps.last(), Some(What::FirstTick { symbol, .. }) if symbol == "rb2701" || symbol == "m2705"));
}

#[test]
fn without_contracts_the_login_alone_is_tried() {
    let Some(bench) = bench("", &[]) else { return };
    let (verdict, steps, _) = run(&bench.probe);
    assert_eq!((verdict.code, matches!(steps.last(), Some(What::LoggedIn { .. }))), (0, true), "{steps:?}");
}

#[test]
fn each_failure_has_its_own_verdict_and_words() {
    let code = ["rb2701.SHFE"];
    for (scenario, codes, expected, part) in [
        (r#"{"kind":"login_refused"}"#, &code[..], EXIT_LOGIN_REFUSED, "code 3: CTP:不合法的登录"),
        (r#"{"kind":"login_refused","error":63,"text":"口令错误"}"#, &[], EXIT_LOGIN_REFUSED, "code 63: 口令错误"),
        (r#"{"kind":"login_silent"}"#, &[], EXIT_LOGIN_UNANSWERED, "has not answered the login"),
        (r#"{"kind":"ack_missing"}"#, &code, EXIT_UNANSWERED, "none of 1 subscriptions"),
        (r#"{"kind":"subscription_refused"}"#, &code, EXIT_CONTRACTS_REFUSED, "no contract was subscribed"),
        (r#"{"kind":"drop_storm"}"#, &[], EXIT_DISCONNECTS, "0x1001"),
        (r#"{"kind":"stall"}"#, &code, EXIT_NO_TICK, "market closed?"),
    ] {
        let Some(bench) = bench(scenario, codes) else { return };
        let (verdict, _, lines) = run(&bench.probe);
        assert_eq!(verdict.code, expected, "{scenario}: {verdict:?} {lines:#?}");
        let said = verdict.reason.replace("CTP:", "");
        assert!(said.contains(&part.replace("CTP:", "")), "{scenario}: {verdict:?}");
    }
}

#[test]
fn a_crash_in_the_library_is_told_and_goes_no_further() {
    let Some(bench) = bench(r#"{"kind":"segfault"}"#, &["rb2701.SHFE"]) else { return };
    let (verdict, _, lines) = run(&bench.probe);
    assert!(verdict.reason.contains("signal: 11"), "{verdict:?} {lines:#?}");
}

#[test]
fn a_front_that_checks_no_password_is_said_to_check_none() {
    let Some(mut bench) = bench("", &[]) else { return };
    bench.probe.check_password = true;
    let (verdict, steps, _) = run(&bench.probe);
    assert_eq!((verdict.code, steps.last()), (0, Some(&What::PasswordNotChecked)));
}

#[test]
fn a_deadline_ends_it_and_leaves_nothing_behind() {
    let Some(mut bench) = bench(r#"{"kind":"endless","at":"init"}"#, &[]) else { return };
    bench.probe.deadline_ms = 1_500;
    let (verdict, _, lines) = run(&bench.probe);
    assert_eq!(verdict.code, EXIT_DEADLINE, "{verdict:?} {lines:#?}");
    let scratch = &bench.probe.scratch_dir;
    assert_eq!(std::fs::read_dir(scratch).expect("there").count(), 0);
    let processes = std::fs::read_dir("/proc").expect("readable").flatten();
    let inside =
        |p: &std::fs::DirEntry| std::fs::read_link(p.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(scratch));
    assert_eq!(processes.filter(inside).count(), 0);
}

#[test]
fn the_vendors_own_libraries_are_probed_without_harm() {
    let (closing, (nothing, _held)) = (Front::new(Act::Close), nothing_listens());
    for dialect in Dialect::ALL {
        let (Some(library), Some(mut bench)) = (vendor_library(dialect), bench("", &[])) else { return };
        (bench.probe.kind, bench.probe.library.path) = (dialect.into(), library);
        let kind = bench.probe.kind;
        bench.probe.md_address = vec![nothing.parse().expect("valid"), closing.address.parse().expect("valid")];
        let (verdict, steps, lines) = run(&bench.probe);
        assert_eq!(verdict.code, EXIT_DISCONNECTS, "{kind}: {verdict:?} {lines:#?}");
        assert!(matches!(&steps[2], What::Unreachable { why, .. } if why.contains("refused")), "{lines:#?}");
        bench.probe.md_address.truncate(1);
        bench.probe.deadline_ms = 2_500;
        let (verdict, _, lines) = run(&bench.probe);
        assert!([EXIT_UNREACHABLE, EXIT_DEADLINE].contains(&verdict.code), "{kind}: {verdict:?} {lines:#?}");
        bench.probe.library.path = "/none.so".into();
        assert_eq!(run(&bench.probe).0.code, EXIT_LIBRARY);
    }
}
