//! The vendor's own libraries against listeners that misbehave: the right exit code, in bounded time, and never a signal.

use mdhub_gateways::worker::{EXIT_ASKED, EXIT_PIPE};
use mdhub_spec::dialect::Dialect;
use mdhub_spec::frame::{Command, Limits, Report};
use mdhub_spec::process::{EXIT_DISCONNECTS, EXIT_NO_FRONT};
use rustix::process::Signal;

use super::listeners::{Act, Front, nothing_listens};
use super::rig::{PASSWORD, PATIENT, Wanted, vendor_library};

const KINDS: [Dialect; 2] = [Dialect::Ctp, Dialect::Sopt];

fn wanted(kind: Dialect, address: &str, limits: Limits) -> Option<Wanted> {
    let mut wanted = Wanted::new(kind, &vendor_library(kind)?, &[address.to_owned()]);
    wanted.start.limits = limits;
    Some(wanted)
}

#[test]
fn where_nothing_listens_the_worker_leaves_at_the_front_timeout() {
    let (address, _held) = nothing_listens();
    for kind in KINDS {
        let limits = Limits { front_timeout_ms: 1_500, ..PATIENT };
        let Some(wanted) = wanted(kind, &address, limits) else { return };
        let end = wanted.start().end();
        end.left(EXIT_NO_FRONT, 60, &["no front answered within 1.5 s", "said nothing at all"]);
        assert!(end.took.as_millis() >= 1_500, "{:?}", end.took);
    }
}

#[test]
fn a_front_that_accepts_and_says_nothing_ends_the_worker_at_the_front_timeout() {
    let front = Front::new(Act::Silence);
    for kind in KINDS {
        let limits = Limits { front_timeout_ms: 1_500, ..PATIENT };
        let Some(wanted) = wanted(kind, &front.address, limits) else { return };
        let before = front.accepted();
        wanted.start().end().left(EXIT_NO_FRONT, 60, &["no front answered within 1.5 s"]);
        assert!(front.accepted() > before, "{kind}: it connected");
    }
}

#[test]
fn fronts_that_close_at_once_or_answer_junk_end_the_worker_as_a_storm() {
    for (act, reason) in [(Act::Close, "0x1001"), (Act::Junk, "0x2003")] {
        let front = Front::new(act);
        for kind in KINDS {
            let limits = Limits { disconnects_max: 20, disconnects_window_ms: 60_000, ..PATIENT };
            let Some(wanted) = wanted(kind, &front.address, limits) else { return };
            let end = wanted.start().end();
            end.left(EXIT_DISCONNECTS, 60, &["lost 21 times within", reason, "at most 20 within 60.0 s"]);
            let told = end.count(|r| matches!(r, Report::FrontDisconnected { .. }));
            assert!((1..=21).contains(&told), "{act:?} {kind}: told {told} times");
        }
    }
}

#[test]
fn a_storm_that_is_borne_floods_neither_the_log_nor_the_reports() {
    for kind in KINDS {
        let front = Front::new(Act::Close);
        let limits = Limits { front_timeout_ms: 3_000, ..PATIENT };
        let Some(wanted) = wanted(kind, &front.address, limits) else { return };
        let end = wanted.start().end();
        end.left(EXIT_NO_FRONT, 60, &["attempts failed, the last for reason 0x1001"]);
        assert!(front.accepted() > 50, "no storm: {}", front.accepted());
        let (told, lines) = (end.count(|r| matches!(r, Report::FrontDisconnected { .. })), end.stderr.lines().count());
        assert!((1..=8).contains(&told), "{kind}: told {told} times");
        assert!(lines < 100, "{kind}: {lines} lines");
        assert!(end.stderr.contains("more lines in one second"), "{kind}: {}", end.stderr);
    }
}

#[test]
fn asked_by_term_or_stop_or_a_closed_pipe_the_worker_leaves_with_a_bye_whatever_the_library_does() {
    let (silent, closing) = (Front::new(Act::Silence), Front::new(Act::Close));
    let (nothing, _held) = nothing_listens();
    for kind in KINDS {
        for address in [&silent.address, &closing.address, &nothing] {
            for (how, code, word) in
                [("TERM", EXIT_ASKED, "TERM"), ("Stop", EXIT_ASKED, "asked to stop"), ("", EXIT_PIPE, "closed")]
            {
                let Some(wanted) = wanted(kind, address, PATIENT) else { return };
                let mut worker = wanted.start();
                worker.until("a loaded library", |r| matches!(r, Report::LibraryLoaded { known: true, .. }));
                match how {
                    "TERM" => worker.signal(Signal::TERM),
                    "Stop" => worker.tell(&Command::Stop),
                    _ => worker.close_commands(),
                }
                worker.end().left(code, 60, &[word]);
            }
        }
    }
}

#[test]
fn environment_and_command_line_hold_no_secret() {
    let (address, _held) = nothing_listens();
    let Some(wanted) = wanted(Dialect::Ctp, &address, PATIENT) else { return };
    let mut worker = wanted.start();
    worker.until("a heartbeat", |r| matches!(r, Report::Heartbeat { .. }));
    for file in ["environ", "cmdline"] {
        // The environment of a process that cannot be dumped is not to be read by its own user either.
        match std::fs::read(format!("/proc/{}/{file}", worker.pid())) {
            Ok(bytes) => assert!(!String::from_utf8_lossy(&bytes).contains(PASSWORD), "{file}"),
            Err(e) => assert_eq!((file, e.kind()), ("environ", std::io::ErrorKind::PermissionDenied)),
        }
    }
}
