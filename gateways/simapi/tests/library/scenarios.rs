//! What goes wrong with the connection, the login, subscriptions and the stream, set and taken away while the library runs.

use std::fs;
use std::time::Duration;

use crate::client::{Api, Event, Flavour};
use crate::crashes::{directory, in_a_process_of_its_own};
use crate::world::{FRONT, OTHER, World};

/// Longer than the library needs to see a change, and than any of these markets is silent by itself.
const QUIET: Duration = Duration::from_millis(250);
/// "不合法的登录" in GB18030.
const ILLEGAL_LOGIN: &[u8] = b"\xb2\xbb\xba\xcf\xb7\xa8\xb5\xc4\xb5\xc7\xc2\xbc";
/// "CTP:还没有初始化" in GB18030.
const NOT_INITIALISED: &[u8] = b"CTP:\xbb\xb9\xc3\xbb\xd3\xd0\xb3\xf5\xca\xbc\xbb\xaf";

fn disconnected(api: &Api) -> i32 {
    api.wait_for(|event| if let Event::Disconnected(reason) = event { Some(reason) } else { None })
}

/// The codes of the ticks that come until there were so many.
fn codes(api: &Api, count: usize) -> Vec<String> {
    (0..count).map(|_| String::from_utf8_lossy(&api.tick().instrument).into_owned()).collect()
}

/// The answer to a subscription of one contract.
fn answer(api: &Api) -> (String, i32, Vec<u8>) {
    api.wait_for(|event| match event {
        Event::Instrument("subscribe", code, (error, text), _) => {
            Some((String::from_utf8_lossy(&code).into_owned(), error, text))
        }
        _ => None,
    })
}

#[test]
fn a_refused_front_never_calls_and_one_that_listens_again_does() {
    for flavour in [Flavour::Ctp, Flavour::Sopt] {
        let world = World::new(r#"[{"kind":"refused"}]"#);
        let api = world.start(flavour);
        assert!(api.until_silent(QUIET).is_empty());
        assert_eq!(api.login(1), -1);
        world.play("[]");
        api.connected();
        world.play(r#"[{"kind":"refused"}]"#);
        assert_eq!(disconnected(&api), 0x1001);
        assert!(api.until_silent(QUIET).is_empty());
        api.release();
    }
}

#[test]
fn where_one_address_is_refused_the_next_one_is_taken() {
    let world = World::new("[]");
    let api = Api::create(Flavour::Ctp, world.directory(), Some(&world.path())).expect("an API object");
    api.register_spi();
    for address in [FRONT, OTHER] {
        api.register_front(address);
    }
    api.init();
    api.connect_and_log_in();
    world.play(r#"[{"kind":"refused"}]"#);
    assert_eq!(disconnected(&api), 0x1001);
    api.connect_and_log_in();
    assert_eq!(api.subscribe(&["rb2701"]), 0);
    codes(&api, 5);
    api.release();
    assert!(world.tape("tape").is_empty() && world.tape("other").len() >= 5);
}

#[test]
fn a_front_may_leave_the_world_and_come_back() {
    let world = World::new("[]");
    let api = world.start(Flavour::Ctp);
    api.connected();
    world.replace(&format!(r#"{{"market":{{"kind":"synthetic","interval_ms":10}},"fronts":{{"{OTHER}":{{}}}}}}"#));
    assert_eq!(disconnected(&api), 0x1001);
    assert!(api.until_silent(QUIET).is_empty());
    world.play("[]");
    api.connected();
    api.release();
}

#[test]
fn in_a_storm_each_connection_breaks_at_once_without_backoff() {
    for (kind, reason) in [("drop_storm", 0x1001), ("junk_storm", 0x2003)] {
        let world = World::new(&format!(r#"[{{"kind":"{kind}"}}]"#));
        let api = world.start(Flavour::Ctp);
        for _ in 0..50 {
            assert!(matches!(api.next().1, Event::Disconnected(is) if is == reason), "{kind}");
        }
        assert_eq!(api.login(1), -1);
        world.play(&format!(r#"[{{"kind":"{kind}","connects":true,"times":3}}]"#));
        api.connected();
        let rest = api.until_silent(QUIET);
        let connected = rest.iter().filter(|event| matches!(event, Event::Connected)).count();
        assert_eq!((connected, rest.len()), (3, 6), "{kind}: three break, the fourth stands: {rest:?}");
        api.release();
    }
}

#[test]
fn after_a_disconnect_the_client_must_log_in_and_subscribe_again() {
    for (flavour, code) in [(Flavour::Ctp, "rb2701"), (Flavour::Sopt, "510050")] {
        let world = World::new("[]");
        let api = world.streaming(flavour, &[code]);
        for reason in [0x1001, 0x1002, 0x2001, 0x2002, 0x2003] {
            codes(&api, 3);
            world.play(&format!(r#"[{{"kind":"disconnect","reason":{reason}}}]"#));
            assert_eq!(disconnected(&api), reason);
            api.connected();
            if reason == 0x1001 {
                assert!(api.until_silent(QUIET).is_empty(), "nothing is subscribed any more, and it happens once");
            }
            assert_eq!(api.subscribe(&[code]), 0);
            assert_eq!(answer(&api).1, 6, "not logged in");
            assert_eq!(api.log_in().0, 0);
            assert_eq!(api.subscribe(&[code]), 0);
            assert_eq!(answer(&api).1, 0);
        }
        codes(&api, 3);
        api.release();
    }
}

#[test]
fn an_event_repeats_and_is_over_as_asked() {
    let world = World::new(r#"[{"kind":"heartbeat_warning","lapse_s":61,"every_ms":60,"times":3}]"#);
    let api = world.start(Flavour::Sopt);
    api.connected();
    let came = api.until_silent(QUIET);
    assert!(came.len() == 3 && came.iter().all(|event| matches!(event, Event::HeartBeatWarning(61))), "{came:?}");
    api.release();
}

#[test]
fn a_login_is_refused_with_any_code_and_text_or_not_answered() {
    let world = World::new(r#"[{"kind":"login_refused","times":2},{"kind":"not_initialised","times":1}]"#);
    let api = world.start(Flavour::Ctp);
    api.connected();
    assert_eq!(api.log_in(), (3, ILLEGAL_LOGIN.to_vec()));
    assert_eq!(api.log_in(), (3, ILLEGAL_LOGIN.to_vec()));
    assert_eq!(api.log_in(), (7, NOT_INITIALISED.to_vec()));
    assert!(api.trading_day().is_empty());
    assert_eq!(api.log_in().0, 0);
    world.play(r#"[{"kind":"login_refused","error":140,"text":"CTP:首次登录"}]"#);
    let until_refused = || Some(api.log_in()).filter(|(error, _)| *error != 0);
    let refused = std::iter::repeat_with(until_refused).take(1_000_000).flatten().next();
    assert_eq!(refused, Some((140, b"CTP:\xca\xd7\xb4\xce\xb5\xc7\xc2\xbc".to_vec())));
    world.play(r#"[{"kind":"login_silent"}]"#);
    api.until_silent(QUIET);
    assert_eq!(api.login(1), 0);
    assert!(api.until_silent(QUIET).is_empty());
    api.release();
}

#[test]
fn a_front_that_is_not_initialised_for_a_while_is_fine_then() {
    let world = World::new(r#"[{"kind":"not_initialised","for_ms":300}]"#);
    let api = world.start(Flavour::Sopt);
    api.connected();
    assert_eq!(api.log_in(), (7, NOT_INITIALISED.to_vec()));
    let until_granted = || Some(api.log_in()).filter(|(error, _)| *error == 0);
    assert!(std::iter::repeat_with(until_granted).take(1_000_000).flatten().next().is_some());
    // Counted from a moment that everybody knows, it is over for a process that begins later.
    world.play(r#"[{"kind":"not_initialised","since_ms":1600000000000,"for_ms":300}]"#);
    api.until_silent(QUIET);
    assert_eq!(api.log_in().0, 0);
    api.release();
}

#[test]
fn an_acknowledgement_is_late_missing_or_a_refusal_for_the_named_contracts() {
    let world = World::new(
        r#"[{"kind":"ack_late","by_ms":300,"instruments":["rb2701"]},
            {"kind":"ack_missing","exchanges":["DCE"]},
            {"kind":"ack_missing","ticks":true,"instruments":["au2612"]},
            {"kind":"subscription_refused","instruments":["IF2612"]}]"#,
    );
    let api = world.streaming(Flavour::Ctp, &["rb2701", "m2705", "au2612", "IF2612", "MA701"]);
    let not_found = b"CTP:\xd5\xd2\xb2\xbb\xb5\xbd\xba\xcf\xd4\xbc".to_vec();
    assert_eq!(answer(&api), ("IF2612".to_owned(), 16, not_found));
    assert_eq!(answer(&api), ("MA701".to_owned(), 0, b"\xd5\xfd\xc8\xb7".to_vec()));
    let mut before = Vec::new();
    let late = api.wait_for(|event| match event {
        Event::Instrument(_, code, (0, _), true | false) => Some(code),
        Event::Depth(tick) => {
            before.push(String::from_utf8_lossy(&tick.instrument).into_owned());
            None
        }
        _ => None,
    });
    assert_eq!(late, b"rb2701");
    assert!(["rb2701", "au2612", "MA701"].iter().all(|code| before.iter().any(|c| c == code)), "{before:?}");
    assert!(!before.iter().any(|code| code == "m2705" || code == "IF2612"), "{before:?}");
    let rest = api.until_silent(Duration::ZERO);
    assert!(!rest.iter().any(|event| matches!(event, Event::Instrument(..))), "{rest:?}");
    api.release();
}

/// Skips what was on its way, and tells which codes still tick.
fn ticking(api: &Api) -> Vec<String> {
    std::thread::park_timeout(QUIET);
    api.until_silent(Duration::ZERO);
    let mut codes = codes(api, 60);
    codes.sort();
    codes.dedup();
    codes
}

#[test]
fn a_stall_holds_back_everything_or_one_exchange_while_the_connection_stands() {
    let world = World::new("[]");
    let api = world.streaming(Flavour::Ctp, &["rb2701", "m2705", "i2701", "MA701"]);
    codes(&api, 10);
    world.play(r#"[{"kind":"stall"}]"#);
    api.until_silent(QUIET);
    assert_eq!(api.log_in().0, 0, "the front answers");
    assert!(api.until_silent(QUIET).is_empty());
    world.play(r#"[{"kind":"stall","exchanges":["DCE"]}]"#);
    assert_eq!(ticking(&api), ["MA701", "rb2701"]);
    world.play(r#"[{"kind":"stall","instruments":["rb2701"]}]"#);
    assert_eq!(ticking(&api), ["MA701", "i2701", "m2705"]);
    world.play("[]");
    assert_eq!(ticking(&api), ["MA701", "i2701", "m2705", "rb2701"]);
    api.release();
}

#[test]
fn a_scenario_begins_after_its_time_and_ticks_and_ends_after_its_length() {
    let world = World::new(r#"[{"kind":"stall","after_ticks":5,"after_ms":200,"for_ms":600}]"#);
    let api = world.streaming(Flavour::Ctp, &["rb2701"]);
    codes(&api, 6);
    let before = api.until_silent(QUIET).len();
    assert!(before >= 5, "200 ms of ticks come first: {before}");
    codes(&api, 10);
    api.release();
}

#[test]
fn a_half_written_or_wrong_file_leaves_the_last_good_one_in_force_and_is_named_once() {
    const TEST: &str = "scenarios::a_half_written_or_wrong_file_leaves_the_last_good_one_in_force_and_is_named_once";
    if directory().is_some() {
        let world = World::new("[]");
        let api = world.streaming(Flavour::Ctp, &["rb2701", "m2705"]);
        // In place, as an editor or a careless script writes.
        fs::write(world.path(), world.text(r#"[{"kind":"stall","exchanges":["DCE"]}]"#)).expect("written");
        assert_eq!(ticking(&api), ["rb2701"]);
        let good = world.text("[]");
        for bad in [&good[..good.len() / 2], &world.text(r#"[{"kind":"stall","hours":1}]"#)] {
            fs::write(world.path(), bad).expect("written");
            assert_eq!(ticking(&api), ["rb2701"]);
        }
        fs::remove_file(world.path()).expect("removed");
        assert_eq!(ticking(&api), ["rb2701"]);
        world.play("[]");
        assert_eq!(ticking(&api), ["m2705", "rb2701"]);
        api.release();
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (output, said) = in_a_process_of_its_own(TEST, dir.path());
    assert!(output.status.success(), "{said}");
    for part in ["EOF while parsing", "scenarios[0]: stall.hours: unknown field `hours`", "No such file"] {
        let mut lines: Vec<&str> = said.lines().filter(|line| line.contains(part)).collect();
        assert!(
            !lines.is_empty()
                && lines.iter().all(|line| line.contains("world.json") && line.contains("stays in force")),
            "{said}"
        );
        let said_so = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), said_so, "each is said once: {said}");
    }
}
