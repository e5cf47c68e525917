//! Each limit ends the worker with its own exit code and words: on the simulated library, which plays what no listener can.

use mdhub_gateways::worker::EXIT_LOGIN_REFUSED;
use mdhub_spec::frame::{Command, Limits, Report};
use mdhub_spec::process::{
    EXIT_ASKED, EXIT_DISCONNECTS, EXIT_LOGIN_UNANSWERED, EXIT_NO_FRONT, EXIT_OVERFLOW, EXIT_REPORTS_UNREAD,
    EXIT_SILENT, EXIT_UNANSWERED,
};
use rustix::process::Signal;

use super::rig::{PATIENT, Wanted};

const FRONT: &str = "tcp://front.sim:1";

/// One front with these scenarios, the insides of a JSON list.
fn at_front(scenarios: &str) -> String {
    format!(r#"{{"{FRONT}":{{"scenarios":[{scenarios}]}}}}"#)
}

fn simulated(scenarios: &str, codes: &[&str], limits: Limits) -> Option<Wanted> {
    let mut wanted = Wanted::simulated(&at_front(scenarios), codes)?;
    wanted.start.limits = limits;
    Some(wanted)
}

fn codes(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("cu2701C{}.SHFE", 70_000 + n * 100)).collect()
}

#[test]
fn each_refusal_and_silence_of_a_front_has_its_own_exit_code_and_words() {
    let short = |limits: Limits| limits;
    for (scenario, limits, code, parts) in [
        (r#"{"kind":"refused"}"#, short(Limits { front_timeout_ms: 700, ..PATIENT }), EXIT_NO_FRONT, &["0.7 s"][..]),
        (
            r#"{"kind":"drop_storm","connects":true}"#,
            Limits { disconnects_max: 5, ..PATIENT },
            EXIT_DISCONNECTS,
            &["6 times", "0x1001"],
        ),
        (r#"{"kind":"junk_storm"}"#, Limits { disconnects_max: 5, ..PATIENT }, EXIT_DISCONNECTS, &["0x2003"]),
        (r#"{"kind":"login_silent"}"#, Limits { login_timeout_ms: 700, ..PATIENT }, EXIT_LOGIN_UNANSWERED, &["0.7 s"]),
        (r#"{"kind":"login_refused"}"#, PATIENT, EXIT_LOGIN_REFUSED, &["code 3", "不合法的登录"]),
        (r#"{"kind":"not_initialised"}"#, PATIENT, EXIT_LOGIN_REFUSED, &["code 7", "还没有初始化"]),
        (
            r#"{"kind":"ack_missing"}"#,
            Limits { subscribe_timeout_ms: 700, ..PATIENT },
            EXIT_UNANSWERED,
            &["none of 2 subscriptions", "m2705, rb2701"],
        ),
        (r#"{"kind":"stall"}"#, Limits { silent_ms: 700, ..PATIENT }, EXIT_SILENT, &["0.7 s", "open session"]),
    ] {
        let Some(mut wanted) = simulated(scenario, &["rb2701.SHFE", "m2705.DCE"], limits) else { return };
        wanted.start.session_open = true;
        wanted.start().end().left(code, 60, parts);
    }
}

#[test]
fn a_brokers_endless_words_are_cut_and_cleaned() {
    let words = "拒".repeat(26);
    let scenario = format!(r#"{{"kind":"login_refused","error":63,"text":"\u0007{words}"}}"#);
    let Some(wanted) = simulated(&scenario, &[], PATIENT) else { return };
    let end = wanted.start().end();
    end.left(EXIT_LOGIN_REFUSED, 60, &["code 63"]);
    let refused = |r: &Report| matches!(r, Report::LoginRefused { code: 63, message } if *message == words);
    assert_eq!(end.count(refused), 1, "{:?}", end.reports);
}

#[test]
fn contracts_that_stay_unanswered_are_named_and_keep_nobody_from_ready() {
    let scenario = r#"{"kind":"ack_missing","instruments":["m2705","m2709"]}"#;
    let limits = Limits { subscribe_timeout_ms: 700, ..PATIENT };
    let Some(wanted) = simulated(scenario, &["rb2701.SHFE", "m2705.DCE", "m2709.DCE"], limits) else { return };
    let mut worker = wanted.start();
    worker.until("ready", |r| *r == Report::Ready { accepted: 1 });
    let named = vec!["m2705".to_owned(), "m2709".to_owned()];
    worker.until("named", |r| *r == Report::Unanswered { count: 2, first: named.clone() });
    wanted.set_world(50, &at_front(""));
    worker.until("asked for again, answered", |r| *r == Report::Unanswered { count: 0, first: Vec::new() });
    worker.tell(&Command::Stop);
    let end = worker.end();
    end.left(EXIT_ASKED, 60, &[]);
    assert!(end.reports.iter().any(|(_, r)| *r == Report::Ready { accepted: 3 }), "{:?}", end.reports);
    assert!(end.stderr.contains("warn 2 subscriptions are unanswered: m2705, m2709"), "{}", end.stderr);
}

#[test]
fn silence_counts_only_while_the_hub_says_that_the_session_is_open() {
    let limits = Limits { silent_ms: 500, ..PATIENT };
    let Some(wanted) = simulated(r#"{"kind":"stall"}"#, &["rb2701.SHFE"], limits) else { return };
    let mut worker = wanted.start();
    worker.until("ready", |r| matches!(r, Report::Ready { .. }));
    for _ in 0..2 {
        worker.until("a heartbeat later", |r| matches!(r, Report::Heartbeat { .. }));
    }
    worker.tell(&Command::Session { open: true });
    worker.end().left(EXIT_SILENT, 60, &["not one tick", "0.5 s"]);
}

#[test]
fn ticks_keep_an_open_session_alive() {
    let Some(mut wanted) = simulated("", &["rb2701.SHFE"], Limits { silent_ms: 4_000, ..PATIENT }) else { return };
    wanted.start.session_open = true;
    let mut worker = wanted.start();
    worker.until("ready", |r| matches!(r, Report::Ready { .. }));
    for _ in 0..6 {
        worker.until("a heartbeat later", |r| matches!(r, Report::Heartbeat { .. }));
    }
    worker.signal(Signal::TERM);
    let end = worker.end();
    end.left(EXIT_ASKED, 60, &["TERM"]);
    assert!(end.ticks > 20, "{} ticks", end.ticks);
}

#[test]
fn a_hub_that_keeps_dropping_ticks_is_left() {
    let all = codes(100);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let Some(mut wanted) = simulated("", &all, Limits { overflow_beats_max: 2, ..PATIENT }) else { return };
    wanted.reads_ticks = false;
    wanted.set_world(5, &at_front(""));
    wanted.start().end().left(EXIT_OVERFLOW, 60, &["each of 2 consecutive seconds", "does not keep up"]);
}

#[test]
fn a_hub_that_does_not_read_reports_is_left_and_holds_up_no_tick() {
    let all = codes(200);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let Some(mut wanted) = simulated("", &all, Limits { report_timeout_ms: 3_000, ..PATIENT }) else { return };
    (wanted.reads_reports, wanted.report_pipe_bytes) = (false, 4_096);
    let end = wanted.start().end();
    assert_eq!((end.code, end.signal), (Some(EXIT_REPORTS_UNREAD), None), "{end:#?}");
    assert!(end.stderr.contains("the hub has read no report for 3"), "{}", end.stderr);
    assert!(end.ticks > 500, "{} ticks", end.ticks);
}

#[test]
fn term_ends_a_worker_whose_main_thread_hangs_in_the_library() {
    for at in ["init", "login", "subscribe", "callback"] {
        let after_ticks = u32::from(at == "callback");
        let scenario = format!(r#"{{"kind":"endless","at":"{at}","after_ticks":{after_ticks}}}"#);
        let Some(wanted) = simulated(&scenario, &["rb2701.SHFE"], PATIENT) else { return };
        let mut worker = wanted.start();
        worker.until("nearly there", |r| match (at, r) {
            ("init", Report::LibraryLoaded { .. }) | ("login", Report::FrontConnected) => true,
            ("subscribe", Report::LoggedIn { .. }) => true,
            ("callback", Report::Heartbeat { received, .. }) => *received > 0,
            _ => false,
        });
        worker.signal(Signal::TERM);
        let end = worker.end();
        assert_eq!((end.code, end.signal), (Some(EXIT_ASKED), None), "{at}: {end:#?}");
    }
}

#[test]
fn what_a_library_prints_reaches_neither_the_ticks_nor_floods_the_log() {
    let scenario = r#"{"kind":"flood","bytes":4000000,"after_ticks":20}"#;
    let Some(wanted) = simulated(scenario, &["rb2701.SHFE"], PATIENT) else { return };
    let mut worker = wanted.start();
    worker.until("ticks", |r| matches!(r, Report::Heartbeat { received: 60.., .. }));
    worker.tell(&Command::Stop);
    let end = worker.end();
    end.left(EXIT_ASKED, 60, &[]);
    assert!(end.stderr.len() < 200_000, "{} bytes of log", end.stderr.len());
    assert!(end.stderr.contains("the library prints"), "{}", end.stderr);
}
