//! The library reconnects by itself; the worker logs in and subscribes again, at most once a second, and as it is wanted by
//! then. And which of several fronts is used.

use std::time::Duration;

use mdhub_spec::contract::Contract;
use mdhub_spec::frame::{Command, Limits, Report};
use mdhub_spec::process::{EXIT_ASKED, EXIT_NO_FRONT};
use rustix::process::Signal;

use super::rig::{PATIENT, Wanted};

fn contracts(codes: &[&str]) -> Vec<Contract> {
    codes.iter().map(|c| c.parse().expect("valid")).collect()
}

#[test]
fn after_a_reconnect_the_worker_is_subscribed_to_what_is_wanted_by_then() {
    let scenario = |ms| {
        format!(r#"{{"tcp://front.sim:1":{{"scenarios":[{{"kind":"disconnect","name":"{ms}","reason":8193}}]}}}}"#)
    };
    let Some(wanted) = Wanted::simulated(r#"{"tcp://front.sim:1":{}}"#, &["rb2701.SHFE", "m2705.DCE"]) else { return };
    let mut worker = wanted.start();
    worker.until("ready", |r| *r == Report::Ready { accepted: 2 });
    worker.tell(&Command::Subscribe(contracts(&["au2702.SHFE"])));
    worker.until("one more", |r| *r == Report::Ready { accepted: 3 });
    worker.tell(&Command::Unsubscribe(contracts(&["rb2701.SHFE"])));
    worker.until("one less", |r| *r == Report::Ready { accepted: 2 });
    wanted.set_world(50, &scenario(1));
    worker.until("lost", |r| *r == Report::FrontDisconnected { reason: 0x2001 });
    let mut acknowledged = Vec::new();
    let ready = std::cell::RefCell::new(&mut acknowledged);
    worker.until("ready again", |r| {
        if let Report::SubscribeAck { symbol, refused: None } = r {
            ready.borrow_mut().push(symbol.clone());
        }
        *r == Report::Ready { accepted: 2 }
    });
    acknowledged.sort();
    assert_eq!(acknowledged, ["au2702", "m2705"]);
    worker.tell(&Command::Stop);
    worker.end().left(EXIT_ASKED, 60, &[]);
}

#[test]
fn however_often_the_front_comes_back_there_is_at_most_one_login_a_second() {
    let front =
        r#"{"tcp://front.sim:1":{"connect_ms":5,"scenarios":[{"kind":"disconnect","every_ms":150,"reconnect_ms":5}]}}"#;
    let Some(wanted) = Wanted::simulated(front, &[]) else { return };
    let mut worker = wanted.start();
    let mut logins: Vec<Duration> = Vec::new();
    while logins.len() < 6 {
        logins.push(worker.until("a login", |r| matches!(r, Report::LoggedIn { .. })));
    }
    worker.tell(&Command::Stop);
    let end = worker.end();
    end.left(EXIT_ASKED, 60, &[]);
    // When the first and the last answer are read jitters; when a login is sent does not.
    assert!(logins[5] - logins[0] > Duration::from_millis(3_500), "{logins:?}");
    assert!(end.count(|r| *r == Report::FrontConnected) > logins.len(), "{:?}", end.reports);
}

#[test]
fn each_start_takes_the_next_front_and_stays_with_one_that_ticks() {
    let Some(mut wanted) = Wanted::simulated(r#"{"tcp://b.sim:1":{}}"#, &["rb2701.SHFE"]) else { return };
    wanted.start.md_address = ["a", "b", "c"].map(|host| format!("tcp://{host}.sim:1")).into();
    wanted.start.limits = Limits { front_timeout_ms: 500, ..PATIENT };
    let registered = |stderr: &str| {
        let line = stderr.lines().find(|line| line.contains("registered")).expect("said");
        line.split_whitespace().nth(2).expect("an address").to_owned()
    };
    let dead = wanted.start().end();
    dead.left(EXIT_NO_FRONT, 60, &[]);
    assert_eq!(registered(&dead.stderr), "tcp://a.sim:1");
    wanted.start.limits = PATIENT;
    for _ in 0..2 {
        let mut worker = wanted.start();
        worker.until("ticks", |r| matches!(r, Report::Heartbeat { received: 1.., .. }));
        worker.signal(Signal::TERM);
        let end = worker.end();
        end.left(EXIT_ASKED, 60, &["TERM"]);
        assert_eq!(registered(&end.stderr), "tcp://b.sim:1");
    }
    let mut killed = wanted.start();
    killed.until("ticks", |r| matches!(r, Report::Heartbeat { received: 1.., .. }));
    killed.signal(Signal::KILL);
    assert_eq!(registered(&killed.end().stderr), "tcp://b.sim:1");
    let mut next = wanted.start();
    next.until("a heartbeat", |r| matches!(r, Report::Heartbeat { .. }));
    next.signal(Signal::TERM);
    assert_eq!(registered(&next.end().stderr), "tcp://c.sim:1", "the one before ended badly");
}
