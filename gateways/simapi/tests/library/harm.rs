//! What the library does to the process that it is in. Each happens in a process of its own: this test, run again.
#![expect(unsafe_code, reason = "signals and forked processes are looked at with libc")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::client::{Flavour, Tick};
use crate::crashes::{directory, in_a_process_of_its_own};
use crate::world::{World, tape};

/// Longer than a call that returns takes.
const LONG: Duration = Duration::from_millis(400);

/// Waits for a condition that other processes bring about.
fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2_000 {
        if let Some(found) = condition() {
            return found;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("never: {what}")
}

#[test]
fn the_library_aborts_or_faults_at_once_or_after_so_many_ticks() {
    const TEST: &str = "harm::the_library_aborts_or_faults_at_once_or_after_so_many_ticks";
    if let Some(directory) = directory() {
        let world = World::within(&directory, &fs::read_to_string(directory.join("kind")).expect("asked"));
        let api = world.start(Flavour::Ctp);
        api.connect_and_log_in();
        assert_eq!(api.subscribe(&["rb2701"]), 0);
        loop {
            api.tick();
        }
    }
    for (kind, after, signal, ticks) in [
        ("abort", "", libc::SIGABRT, 0..=0),
        ("segfault", "", libc::SIGSEGV, 0..=0),
        ("abort", r#","after_ticks":7"#, libc::SIGABRT, 7..=7),
        ("segfault", r#","after_ms":300"#, libc::SIGSEGV, 5..=10_000),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("kind"), format!(r#"[{{"kind":"{kind}"{after}}}]"#)).expect("written");
        let (output, said) = in_a_process_of_its_own(TEST, dir.path());
        assert_eq!(output.status.signal(), Some(signal), "{kind}{after}: {said}");
        assert!(said.contains("mdhub-sim:"), "{said}");
        let on_tape = tape(dir.path(), "tape").len();
        assert!(ticks.contains(&on_tape), "{kind}{after}: {on_tape} ticks");
    }
}

#[test]
fn a_call_never_returns() {
    const TEST: &str = "harm::a_call_never_returns";
    if let Some(directory) = directory() {
        let place = fs::read_to_string(directory.join("place")).expect("asked");
        let world = World::new(&format!(r#"[{{"kind":"endless","at":"{place}"}}]"#));
        let (done, returned) = channel();
        thread::spawn(move || {
            let api = world.start(Flavour::Sopt);
            done.send("init").expect("heard");
            api.connected();
            assert_eq!(api.login(1), 0);
            done.send("login").expect("heard");
            assert_eq!(api.subscribe(&["510050"]), 0);
            done.send("subscribe").expect("heard");
            api.release();
            done.send("release").expect("heard");
        });
        let calls: Vec<&str> = std::iter::from_fn(|| match returned.recv_timeout(LONG) {
            Ok(call) => Some(call),
            Err(RecvTimeoutError::Timeout) => None,
            Err(e) => panic!("{e}"),
        })
        .collect();
        eprintln!("returned: {calls:?}.");
        // Threads that never end are left behind.
        std::process::exit(0);
    }
    for (place, returned) in [
        ("init", "[]"),
        ("login", r#"["init"]"#),
        ("subscribe", r#"["init", "login"]"#),
        ("release", r#"["init", "login", "subscribe"]"#),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("place"), place).expect("written");
        let (output, said) = in_a_process_of_its_own(TEST, dir.path());
        assert!(output.status.success() && said.contains(&format!("returned: {returned}.")), "{place}: {said}");
    }
}

#[test]
fn the_librarys_own_thread_stops_for_ever() {
    let world = World::new(r#"[{"kind":"endless","at":"callback","after_ticks":9}]"#);
    let api = world.streaming(Flavour::Ctp, &["rb2701"]);
    let ticks: Vec<Tick> = (0..9).map(|_| api.tick()).collect();
    assert_eq!((api.login(2), api.subscribe(&["m2705"])), (0, 0), "requests are still taken");
    assert!(api.until_silent(LONG).is_empty(), "none is answered");
    assert_eq!(world.tape("tape").len(), ticks.len(), "the tape is whole");
    // Its release would wait for that thread.
    std::mem::forget(api);
}

#[test]
fn sigterm_does_nothing_while_the_library_says_so() {
    const TEST: &str = "harm::sigterm_does_nothing_while_the_library_says_so";
    if directory().is_some() {
        let handler = || {
            // SAFETY: plain data, filled in by the call.
            unsafe {
                let mut now: libc::sigaction = std::mem::zeroed();
                libc::sigaction(libc::SIGTERM, std::ptr::null(), &raw mut now);
                now.sa_sigaction
            }
        };
        for (scenario, is_ignored) in [("", false), (r#","handler":false"#, true)] {
            let world = World::new("[]");
            let api = world.streaming(Flavour::Ctp, &["rb2701"]);
            assert_eq!(handler(), libc::SIG_DFL);
            world.play(&format!(r#"[{{"kind":"ignore_term"{scenario}}}]"#));
            eventually("a handler", || (handler() != libc::SIG_DFL).then_some(()));
            assert_eq!(handler() == libc::SIG_IGN, is_ignored);
            // SAFETY: a signal to this process, which survives it.
            assert_eq!(unsafe { libc::raise(libc::SIGTERM) }, 0);
            api.tick();
            world.play("[]");
            eventually("none", || (handler() == libc::SIG_DFL).then_some(()));
            api.release();
        }
        // SAFETY: the end of this process.
        unsafe { libc::raise(libc::SIGTERM) };
        panic!("still alive");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (output, said) = in_a_process_of_its_own(TEST, dir.path());
    assert_eq!(output.status.signal(), Some(libc::SIGTERM), "{said}");
}

/// Process, parent, group and session of each living child that was forked in this directory's test.
fn children(of: &Path) -> Vec<[i32; 4]> {
    let of = of.as_os_str().as_encoded_bytes();
    let stat = |entry: fs::DirEntry| {
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let is_ours = environment.windows(of.len()).any(|part| part == of);
        if is_ours { fs::read_to_string(entry.path().join("stat")).ok() } else { None }
    };
    let all = fs::read_dir("/proc").expect("there").filter_map(Result::ok).filter_map(stat);
    all.filter_map(|stat| {
        let (head, rest) = stat.split_once(" (simapi-child) ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |i: usize| fields[i].parse().expect("a number");
        (fields[0] != "Z").then(|| [head.parse().expect("a number"), number(1), number(2), number(3)])
    })
    .collect()
}

#[test]
fn it_forks_children_that_leave_the_group_ignore_term_and_outlive_it() {
    const TEST: &str = "harm::it_forks_children_that_leave_the_group_ignore_term_and_outlive_it";
    if let Some(directory) = directory() {
        let world = World::new(&fs::read_to_string(directory.join("fork")).expect("asked"));
        let api = world.start(Flavour::Ctp);
        api.connected();
        eventually("word from the test", || directory.join("done").exists().then_some(()));
        std::process::exit(0);
    }
    for (parameters, count, leave) in [
        (r#""children":3"#, 3, false),
        (r#""children":2,"generations":3,"setsid":true,"ignores_term":true"#, 8, true),
        (r#""generations":400,"hop_ms":5"#, 1, false),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        // Their descriptors would keep this test from seeing the end of their parent's output.
        let text = format!(r#"[{{"kind":"fork","closes_descriptors":true,{parameters}}}]"#);
        fs::write(dir.path().join("fork"), text).expect("written");
        let path = dir.path().to_owned();
        let parent = thread::spawn(move || in_a_process_of_its_own(TEST, &path));
        let seen = eventually(parameters, || Some(children(dir.path())).filter(|seen| seen.len() >= count));
        if parameters.contains("hop_ms") {
            let first = seen[0][0];
            eventually("a successor", || children(dir.path()).iter().any(|[pid, ..]| *pid != first).then_some(()));
        } else {
            assert_eq!(seen.len(), count, "{parameters}: {seen:?}");
        }
        for [pid, _, group, session] in &seen {
            assert_eq!(pid == session && pid == group, leave, "{parameters}: {seen:?}");
        }
        if leave {
            for [pid, ..] in &seen {
                // SAFETY: signals to processes that this test has made.
                unsafe { libc::kill(*pid, libc::SIGTERM) };
            }
            thread::park_timeout(LONG);
            assert_eq!(children(dir.path()).len(), count, "TERM does nothing to them");
        }
        fs::write(dir.path().join("done"), "").expect("written");
        let (output, said) = parent.join().expect("no panic");
        assert!(output.status.success(), "{said}");
        assert!(parameters.contains("hop_ms") || children(dir.path()).len() == count, "they outlive it");
        eventually("all gone", || {
            for [pid, ..] in children(dir.path()) {
                // SAFETY: as above.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            children(dir.path()).is_empty().then_some(())
        });
    }
}

#[test]
fn it_prints_junk_on_both_streams() {
    const TEST: &str = "harm::it_prints_junk_on_both_streams";
    if directory().is_some() {
        let world = World::new(r#"[{"kind":"flood","stream":"both","bytes":300000}]"#);
        let api = world.streaming(Flavour::Ctp, &["rb2701"]);
        api.tick();
        api.release();
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (output, _) = in_a_process_of_its_own(TEST, dir.path());
    assert!(output.status.success());
    for (name, printed) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        assert!((300_000..310_000).contains(&printed.len()), "{name}: {}", printed.len());
        assert!(printed.contains(&0) && printed.contains(&0x1b) && std::str::from_utf8(printed).is_err(), "{name}");
    }
}

#[test]
fn memory_leaks_up_to_its_bound_and_is_given_back() {
    const TEST: &str = "harm::memory_leaks_up_to_its_bound_and_is_given_back";
    if directory().is_some() {
        let resident_mib = || {
            let status = fs::read_to_string("/proc/self/statm").expect("there");
            status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") / 256
        };
        let world = World::new("[]");
        let api = world.streaming(Flavour::Ctp, &["rb2701"]);
        let before = resident_mib();
        world.play(r#"[{"kind":"leak","mib_per_s":400,"mib_max":80}]"#);
        eventually("80 MiB more", || (resident_mib() >= before + 75).then_some(()));
        api.until_silent(Duration::ZERO);
        assert!(resident_mib() < before + 100, "{}", resident_mib());
        world.play("[]");
        eventually("less", || (resident_mib() < before + 20).then_some(()));
        api.release();
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (output, said) = in_a_process_of_its_own(TEST, dir.path());
    assert!(output.status.success(), "{said}");
}
