//! The shared object as a client sees it: symbols, vtables, structures, threads.
#![expect(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod client;
mod crashes;
mod dirt;
mod harm;
mod recorded;
mod scenarios;
mod structures;
mod world;

use std::collections::HashSet;
use std::sync::mpsc::channel;
use std::thread;

use client::{Api, Event, Flavour, Tick, version, write_world};

const FAST: &str = r#"{"market":{"kind":"synthetic","interval_ms":10,"levels":5},
    "fronts":{"tcp://a:1":{"connect_ms":1},"tcp://lossy:1":{"connect_ms":1,"loss_rate":0.5}}}"#;
const FINE: &[u8] = b"\xd5\xfd\xc8\xb7";

fn started(flavour: Flavour, world: &str, front: &str) -> (tempfile::TempDir, Api) {
    let dir = tempfile::tempdir().expect("a directory");
    let world = write_world(dir.path(), world);
    let api = Api::start(flavour, dir.path(), Some(&world), front);
    (dir, api)
}

/// The next answers to a call with instruments: (code, error, whether the last).
fn answers(api: &Api, call: &str, count: usize) -> Vec<(String, i32, bool)> {
    let answer = || {
        api.wait_for(|event| match event {
            Event::Instrument(of, code, error, is_last) if of == call => {
                if error.0 == 0 {
                    assert_eq!(error.1, FINE);
                }
                Some((String::from_utf8_lossy(&code).into_owned(), error.0, is_last))
            }
            Event::Instrument(of, ..) => panic!("{of} is answered, not {call}"),
            Event::Wrong(slot) => panic!("slot {slot} was called"),
            _ => None,
        })
    };
    (0..count).map(|_| answer()).collect()
}

#[test]
fn both_flavours_tell_versions_of_their_own() {
    let (ctp, sopt) = (version(Flavour::Ctp), version(Flavour::Sopt));
    assert!(ctp.starts_with("mdhub-sim v6.7.7") && sopt.starts_with("mdhub-sim v3.7.0"), "{ctp} {sopt}");
}

#[test]
fn a_session_runs_through_the_same_steps_in_both_flavours() {
    for (flavour, codes, absent) in
        [(Flavour::Ctp, ["rb2701", "MA701"], f64::MAX), (Flavour::Sopt, ["10009123", "510050"], 0.0)]
    {
        let dir = tempfile::tempdir().expect("a directory");
        let world = write_world(dir.path(), FAST);
        let api = Api::create(flavour, dir.path(), Some(&world)).expect("an API object");
        api.register_spi();
        api.register_front("tcp://unlisted:1");
        api.register_front("tcp://a:1");
        assert_eq!((api.login(1), api.subscribe(&codes), api.logout(1)), (-1, -1, -1), "before the connection");
        assert!(api.trading_day().is_empty());
        api.init();
        assert!(matches!(api.next().1, Event::Connected));
        assert_eq!(api.login(7), 0);
        logged_in(&api);
        assert_eq!(api.subscribe(&[codes[0], "nonsense", codes[1]]), 0);
        let expected = [(codes[0], 0, false), ("nonsense", 16, false), (codes[1], 0, true)];
        assert_eq!(answers(&api, "subscribe", 3), expected.map(|(c, e, l)| (c.to_owned(), e, l)));
        let ticks: Vec<Tick> = (0..40).map(|_| api.tick()).collect();
        for tick in &ticks {
            consistent(tick, absent);
        }
        // The snapshots of before the subscription come first, one for each contract.
        let first: HashSet<&[u8]> = ticks[..2].iter().map(|t| t.instrument.as_slice()).collect();
        assert_eq!(first, HashSet::from(codes.map(str::as_bytes)));
        assert_eq!(api.unsubscribe(&codes[..1]), 0);
        assert_eq!(answers(&api, "unsubscribe", 1), [(codes[0].to_owned(), 0, true)]);
        assert!((0..20).all(|_| api.tick().instrument == codes[1].as_bytes()));
        assert_eq!(api.subscribe_for_quotes(&codes[..1]), 0);
        assert_eq!(answers(&api, "subscribe for quotes", 1), [(codes[0].to_owned(), 0, true)]);
        assert_eq!(api.unsubscribe_for_quotes(&codes[..1]), 0);
        assert_eq!(answers(&api, "unsubscribe for quotes", 1), [(codes[0].to_owned(), 0, true)]);
        assert_eq!(api.logout(9), 0);
        logged_out(&api);
        assert!(api.release().is_empty(), "{flavour:?}: nothing comes after a logout");
    }
}

fn logged_in(api: &Api) {
    let Event::Login { broker, user, trading_day, error, request_id, is_last } = api.next().1 else {
        panic!("a login is answered first")
    };
    assert_eq!((broker.as_slice(), user.as_slice()), (b"9999".as_slice(), b"demo".as_slice()));
    assert_eq!((error, request_id, is_last), ((0, FINE.to_vec()), 7, true));
    assert!(trading_day.len() == 8 && trading_day.iter().all(u8::is_ascii_digit));
    assert_eq!(trading_day, api.trading_day());
}

fn logged_out(api: &Api) {
    let (user, error, request_id, is_last) = api.wait_for(|event| match event {
        Event::Logout { user, error, request_id, is_last } => Some((user, error, request_id, is_last)),
        _ => None,
    });
    assert_eq!((user.as_slice(), error, request_id, is_last), (b"demo".as_slice(), 0, 9, true));
}

/// Whether every field stands where the vendor's header has it: a misplaced one would break these relations.
fn consistent(tick: &Tick, absent: f64) {
    let v = &tick.values;
    let show = String::from_utf8_lossy(&tick.instrument);
    assert_eq!((tick.trading_day.len(), tick.action_day.len()), (8, 8), "{show}");
    assert!(v.update_time[2] == b':' && v.update_time[5] == b':' && v.update_time[8] == 0, "{show}");
    assert!((0..1_000).contains(&v.update_ms) && v.volume > 0, "{show}");
    assert!(v.low <= v.last && v.last <= v.high && v.low <= v.open && v.open <= v.high, "{show}");
    assert!(v.limit_down < v.low && v.high < v.limit_up, "{show}");
    for statics in [v.pre_settlement, v.pre_close] {
        assert!(v.limit_down < statics && statics < v.limit_up, "{show}");
    }
    assert_eq!([v.close, v.settlement, v.pre_delta, v.curr_delta], [absent; 4], "{show}");
    assert!((v.turnover / f64::from(v.volume) / v.average - 1.0).abs() < 1e-9, "{show}");
    assert_eq!(v.open_interest > 0.0, tick.instrument.len() != 6 || tick.instrument[0].is_ascii_alphabetic(), "{show}");
    assert_eq!(v.pre_open_interest > 0.0, v.open_interest > 0.0, "{show}");
    for level in &v.levels {
        assert!(level.bid_price < level.ask_price && level.bid_volume > 0 && level.ask_volume > 0, "{show}");
        assert!(v.limit_down < level.bid_price && level.ask_price < v.limit_up, "{show}");
    }
    let exchange: &[u8] = match tick.instrument[0] {
        b'r' => b"",
        b'M' => b"CZCE",
        _ => b"SSE",
    };
    assert_eq!(tick.exchange, exchange, "{show}");
}

#[test]
fn callbacks_come_from_one_thread_that_is_not_the_callers() {
    let (_dir, api) = started(Flavour::Ctp, FAST, "tcp://lossy:1");
    let (library, event) = api.next();
    assert!(matches!(event, Event::Connected));
    assert_ne!(library, thread::current().id());
    assert_eq!(api.login(1), 0);
    assert_eq!(api.subscribe(&["rb2701"]), 0);
    assert!((0..20).all(|_| api.next().0 == library));
    api.release();
}

#[test]
fn without_a_login_the_front_refuses_each_instrument_in_its_own_words() {
    let (_dir, api) = started(Flavour::Ctp, FAST, "tcp://a:1");
    assert!(matches!(api.next().1, Event::Connected));
    assert_eq!(api.subscribe(&["rb2701", "m2705"]), 0);
    assert_eq!(answers(&api, "subscribe", 2), [("rb2701".to_owned(), 6, false), ("m2705".to_owned(), 6, true)]);
    assert_eq!(api.login(1), 0);
    assert_eq!(api.subscribe(&["x"]), 0);
    let message = api.wait_for(|event| if let Event::Instrument(_, _, e, _) = event { Some(e.1) } else { None });
    // "CTP:找不到合约" in GB18030.
    assert_eq!(message, b"CTP:\xd5\xd2\xb2\xbb\xb5\xbd\xba\xcf\xd4\xbc");
    api.release();
}

#[test]
fn where_nothing_listens_there_is_never_a_callback() {
    let (_dir, api) = started(Flavour::Ctp, FAST, "tcp://unlisted:1");
    assert_eq!((api.login(1), api.subscribe(&["rb2701"])), (-1, -1));
    assert!(api.release().is_empty());
}

#[test]
fn without_a_world_file_every_address_is_a_front_of_the_default_world() {
    let dir = tempfile::tempdir().expect("a directory");
    let api = Api::start(Flavour::Sopt, dir.path(), None, "tcp://anywhere:1");
    api.connect_and_log_in();
    assert_eq!(api.subscribe(&["159919"]), 0);
    assert_eq!(api.tick().exchange, b"SZSE");
    api.release();
}

#[test]
fn release_ends_a_waiting_join_and_works_before_init() {
    let (_dir, api) = started(Flavour::Ctp, FAST, "tcp://a:1");
    api.connect_and_log_in();
    let (join, (told, id)) = (api.joiner(), channel());
    let waiting = thread::spawn(move || {
        told.send(rustix::thread::gettid()).expect("the test listens");
        join()
    });
    until_asleep(id.recv().expect("its id"));
    assert!(!waiting.is_finished());
    api.release();
    assert_eq!(waiting.join().expect("no panic"), 0);

    let dir = tempfile::tempdir().expect("a directory");
    assert!(Api::create(Flavour::Sopt, dir.path(), None).expect("an API object").release().is_empty());
}

/// Waits until a thread of this process waits too.
fn until_asleep(id: rustix::thread::Pid) {
    let path = format!("/proc/self/task/{}/stat", id.as_raw_pid());
    let asleep = || {
        std::fs::read_to_string(&path).is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('S')))
    };
    assert!(
        (0..1_000_000).any(|_| asleep() || {
            thread::yield_now();
            false
        }),
        "it never waits"
    );
}

#[test]
fn release_from_within_a_callback_does_not_wait_for_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = write_world(dir.path(), FAST);
    let api = Api::create(Flavour::Ctp, dir.path(), Some(&world)).expect("an API object");
    api.register_spi();
    api.register_front("tcp://a:1");
    api.release_when_connected();
    api.init();
    assert!(matches!(api.next().1, Event::Connected));
    assert!(matches!(api.next().1, Event::Released));
    assert!(api.left().is_empty());
}

#[test]
fn after_null_is_registered_nobody_is_called() {
    let (_dir, api) = started(Flavour::Ctp, FAST, "tcp://a:1");
    api.connect_and_log_in();
    api.unregister_spi();
    assert_eq!(api.subscribe(&["rb2701"]), 0);
    assert!(api.release().is_empty());
}
