use proptest::prelude::*;

use super::*;

const PACE: Pace = Pace { gather_ms: 1_000, repeat_ms: 1_800_000, per_hour_max: 20 };
const MINUTE_MS: i64 = 60_000;

fn cause(name: &str, account: Option<&str>) -> Cause {
    Cause { name: name.into(), account: account.map(str::to_owned) }
}

fn error(name: &str, account: Option<&str>, text: &str) -> Report {
    Report::Error { cause: cause(name, account), text: text.into(), lasts: false }
}

fn lasting(name: &str, account: &str) -> Report {
    Report::Error { cause: cause(name, Some(account)), text: "refused".into(), lasts: true }
}

fn subjects(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.subject.as_str()).collect()
}

#[test]
fn a_thousand_texts_of_one_cause_are_one_message_and_one_more_if_they_go_on() {
    let mut desk = Desk::default();
    for n in 0..1_000 {
        desk.hear(error("src/a.rs:7", Some("ctp-a"), &format!("text {n}")), n);
    }
    assert_eq!(desk.due(999, true, PACE), []);
    let told = desk.due(1_000, true, PACE);
    assert_eq!(subjects(&told), ["ctp-a: src/a.rs:7"]);
    assert_eq!(told[0].body, "text 0\nlast: text 999\n1000 times in 1 s");
    (0..1_000).for_each(|n| desk.hear(error("src/a.rs:7", Some("ctp-a"), &n.to_string()), 2_000));
    assert_eq!(desk.due(2_000, true, PACE), []);
    assert_eq!(subjects(&desk.due(1_000 + PACE.repeat_ms, true, PACE)), ["ctp-a: src/a.rs:7 goes on"]);
}

#[test]
fn what_lasts_is_repeated_in_session_only_and_its_end_is_told_once() {
    let mut desk = Desk::default();
    desk.hear(lasting("Blocked", "ctp-a"), 0);
    assert_eq!(subjects(&desk.due(1_000, false, PACE)), ["ctp-a: Blocked"]);
    let repeat_at = 1_000 + PACE.repeat_ms;
    assert_eq!(desk.due(repeat_at, false, PACE), []);
    assert_eq!(subjects(&desk.due(repeat_at, true, PACE)), ["ctp-a: Blocked goes on"]);
    assert_eq!(desk.due(repeat_at + 1, true, PACE), []);
    desk.hear(Report::Over { cause: cause("Blocked", Some("ctp-a")) }, repeat_at + 2);
    desk.hear(Report::Over { cause: cause("Blocked", Some("ctp-a")) }, repeat_at + 3);
    assert_eq!(subjects(&desk.due(repeat_at + 4, false, PACE)), ["ctp-a: Blocked is over"]);
    assert_eq!(desk.due(repeat_at + 5, true, PACE), []);
    assert_eq!(desk.open(), 0);
}

#[test]
fn what_is_over_before_it_was_told_is_one_message() {
    let mut desk = Desk::default();
    desk.hear(lasting("Unhealthy", "ctp-a"), 0);
    desk.hear(Report::AllOver { account: "ctp-a".into() }, 500);
    assert_eq!(subjects(&desk.due(1_000, true, PACE)), ["ctp-a: Unhealthy (over already)"]);
    assert_eq!(desk.due(1_000 + PACE.repeat_ms, true, PACE), []);
    assert_eq!(desk.open(), 0);
}

#[test]
fn an_account_that_is_well_ends_its_own_incidents_and_no_others() {
    let mut desk = Desk::default();
    for account in ["ctp-a", "ctp-b"] {
        desk.hear(error("ProcessExited", Some(account), "signal 9"), 0);
    }
    desk.hear(error("disk", None, "full"), 0);
    assert_eq!(desk.due(1_000, true, PACE).len(), 3);
    desk.hear(Report::AllOver { account: "ctp-a".into() }, 2_000);
    assert_eq!(subjects(&desk.due(2_000, true, PACE)), ["ctp-a: ProcessExited is over"]);
    assert_eq!(desk.open(), 2);
}

#[test]
fn beyond_twenty_an_hour_a_digest_says_the_rest_once_there_is_room() {
    let mut desk = Desk::default();
    (0..70).for_each(|n| desk.hear(error(&format!("cause {n:02}"), None, "text"), 0));
    assert_eq!(desk.due(1_000, true, PACE).len(), 20);
    assert_eq!(desk.due(MINUTE_MS, true, PACE), []);
    let room_at = 1_000 + HOUR_MS;
    assert_eq!(desk.due(room_at - 1, true, PACE), []);
    let told = desk.due(room_at, true, PACE);
    assert_eq!(subjects(&told), ["50 messages beyond 20 an hour"]);
    assert!(told[0].body.starts_with("cause 20\ncause 21\n") && told[0].body.ends_with("... and 10 more"));
    assert_eq!(desk.due(room_at + 1, true, PACE), []);
}

#[test]
fn incidents_without_number_find_their_limit() {
    let mut desk = Desk::default();
    (0..10_000).for_each(|n| desk.hear(error(&format!("cause {n}"), None, &"長".repeat(5_000)), n));
    assert_eq!(desk.incidents.len(), INCIDENTS_MAX + 1);
    assert!(desk.incidents.values().all(|i| i.first_text.len() <= TEXT_BYTES_MAX));
    let others = &desk.incidents[&cause(OTHERS, None)];
    assert_eq!(others.count as usize, 10_000 - INCIDENTS_MAX);
}

#[test]
fn what_nobody_ends_is_forgotten_when_it_is_silent() {
    let mut desk = Desk::default();
    desk.hear(error("src/a.rs:7", None, "text"), 0);
    assert_eq!(desk.due(1_000, true, PACE).len(), 1);
    assert_eq!(desk.due(FORGOTTEN_MS - 1, true, PACE), []);
    assert_eq!(desk.open(), 1);
    assert_eq!(desk.due(FORGOTTEN_MS, true, PACE), []);
    assert_eq!(desk.open(), 0);
}

#[test]
fn a_desk_that_was_written_down_goes_on_where_it_was() {
    let mut desk = Desk::default();
    desk.hear(lasting("Blocked", "ctp-a"), 0);
    desk.hear(error("src/a.rs:7", None, "text"), 0);
    assert_eq!(desk.due(1_000, true, PACE).len(), 2);
    let text = serde_json::to_string(&desk).expect("written");
    let mut read: Desk = serde_json::from_str(&text).expect("read");
    assert_eq!(read, desk);
    read.hear(lasting("Blocked", "ctp-a"), 2_000);
    assert_eq!(read.due(2_000, true, PACE), []);
}

proptest! {
    /// Whatever comes, whenever it is asked: never more than the hour allows, and everything that was heard was told or
    /// waits to be.
    #[test]
    fn no_hour_has_more_than_it_may_and_no_cause_is_swallowed(
        steps in prop::collection::vec((0_i64..600_000, 0_usize..40, 0_usize..4), 1..400),
        per_hour_max in 1_usize..8,
    ) {
        let pace = Pace { per_hour_max, ..PACE };
        let mut desk = Desk::default();
        let (mut now, mut at) = (0, Vec::new());
        let mut heard = std::collections::BTreeSet::new();
        let mut told = std::collections::BTreeSet::new();
        for (wait, number, what) in steps {
            now += wait;
            let (name, account) = (format!("cause {number}"), format!("ctp-{}", number % 5));
            match what {
                0 => desk.hear(Report::AllOver { account }, now),
                1 => desk.hear(Report::Over { cause: cause(&name, Some(&account)) }, now),
                _ => {
                    heard.insert((name.clone(), account.clone()));
                    desk.hear(Report::Error { cause: cause(&name, Some(&account)), text: name, lasts: what == 2 }, now);
                }
            }
            for message in desk.due(now, true, pace) {
                at.push(now);
                told.insert(message.subject.clone());
                told.extend(message.body.lines().map(str::to_owned));
            }
        }
        for message in desk.due(now + pace.gather_ms, true, pace) {
            at.push(now + pace.gather_ms);
            told.insert(message.subject);
            // A digest has them in its body.
            told.extend(message.body.lines().map(str::to_owned));
        }
        for (i, first) in at.iter().enumerate() {
            let within = at[i..].iter().take_while(|t| **t - first < HOUR_MS).count();
            prop_assert!(within <= per_hour_max, "{within} in the hour after {first}");
        }
        let waiting = desk.digest.lines.clone();
        for (name, account) in heard {
            let of = format!("{account}: {name}");
            let is_known = told.iter().chain(&waiting).any(|line| line.starts_with(&of)) || desk.digest.more > 0
                || told.iter().any(|line| line.contains("more"));
            prop_assert!(is_known, "{of} was swallowed");
        }
    }
}
