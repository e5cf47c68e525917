use super::*;

const MS: u64 = 1_000_000;
const ANSWER_MS: u64 = 5_000;

fn contracts(count: usize) -> Vec<Contract> {
    (0..count).map(|n| format!("x{n:04}.SHFE").parse().expect("valid")).collect()
}

fn session(count: usize) -> Session {
    Session::new(contracts(count), ANSWER_MS)
}

fn answer_all(session: &mut Session, batch: &[String]) {
    batch.iter().for_each(|symbol| assert!(session.answered(symbol, true)));
}

/// Accepted, refused, unanswered; `None` when there is nothing new.
fn news(session: &mut Session, ms: u64) -> Option<(usize, usize, usize)> {
    session.newly_settled(Mono(ms * MS)).map(|s| (s.accepted, s.refused, s.unanswered))
}

#[test]
fn nothing_is_asked_before_the_login_and_all_of_it_in_batches_after() {
    let mut session = session(450);
    assert_eq!(session.next_batch(Mono(0)), None);
    assert_eq!(news(&mut session, 0), None);
    session.logged_in();
    let mut sizes = Vec::new();
    while let Some(batch) = session.next_batch(Mono(0)) {
        assert_eq!(news(&mut session, 0), None);
        answer_all(&mut session, &batch);
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [200, 200, 50]);
    assert_eq!((news(&mut session, 0), news(&mut session, 0)), (Some((450, 0, 0)), None));
}

#[test]
fn an_unanswered_batch_holds_the_next_one_back_but_not_for_ever() {
    let mut session = session(300);
    session.logged_in();
    let first = session.next_batch(Mono(0)).expect("due");
    assert_eq!(session.wake_at(), Some(Mono(100 * MS)));
    assert_eq!(session.next_batch(Mono(99 * MS)), None);
    assert_eq!(session.next_batch(Mono(100 * MS)).map(|b| b.len()), Some(100));
    answer_all(&mut session, &first);
    assert_eq!(news(&mut session, 100), None);
}

#[test]
fn a_refused_subscription_is_an_answer_and_not_an_acceptance() {
    let mut session = session(2);
    session.logged_in();
    session.next_batch(Mono(0));
    assert!(session.answered("x0000", true) && session.answered("x0001", false));
    assert!(!session.answered("ghost", true));
    assert_eq!(news(&mut session, 0), Some((1, 1, 0)));
}

#[test]
fn a_new_login_asks_for_everything_again() {
    let mut session = session(3);
    for _ in 0..2 {
        session.logged_in();
        let batch = session.next_batch(Mono(0)).expect("due");
        assert_eq!(batch.len(), 3);
        answer_all(&mut session, &batch);
        assert_eq!(news(&mut session, 0), Some((3, 0, 0)));
        session.disconnected();
        assert!(!session.answered("x0000", true), "an answer of the old connection");
        assert_eq!((session.next_batch(Mono(0)), news(&mut session, 0)), (None, None));
    }
}

#[test]
fn what_changed_while_there_was_no_connection_is_what_the_next_login_asks_for() {
    let mut session = session(3);
    session.logged_in();
    let batch = session.next_batch(Mono(0)).expect("due");
    answer_all(&mut session, &batch);
    session.remove(&contracts(1));
    session.disconnected();
    session.add(vec!["new.SHFE".parse().expect("valid")]);
    session.remove(&["x0001.SHFE".parse().expect("valid")]);
    assert_eq!((session.next_batch(Mono(0)), session.next_drop(Mono(0))), (None, None));
    session.logged_in();
    assert_eq!(session.next_batch(Mono(0)), Some(vec!["new".to_owned(), "x0002".to_owned()]));
    assert_eq!(session.next_drop(Mono(0)), None, "the front has forgotten what it was asked before");
}

#[test]
fn what_could_not_be_sent_is_tried_again_a_second_later() {
    let mut session = session(2);
    session.logged_in();
    let batch = session.next_batch(Mono(0)).expect("due");
    session.put_back(batch.clone(), Mono(0));
    assert_eq!((session.next_batch(Mono(999 * MS)), news(&mut session, 999)), (None, None));
    assert_eq!(session.next_batch(Mono(1000 * MS)), Some(batch.clone()));
    answer_all(&mut session, &batch);
    session.remove(&contracts(2));
    let drop = session.next_drop(Mono(0)).expect("due");
    session.put_back_drop(drop.clone(), Mono(0));
    assert_eq!((session.next_drop(Mono(999 * MS)), session.wake_at()), (None, Some(Mono(1000 * MS))));
    assert_eq!(session.next_drop(Mono(1000 * MS)), Some(drop));
}

#[test]
fn additions_and_removals_are_told_when_they_are_settled() {
    let mut session = session(2);
    session.logged_in();
    let batch = session.next_batch(Mono(0)).expect("due");
    answer_all(&mut session, &batch);
    assert_eq!(news(&mut session, 0), Some((2, 0, 0)));
    session.add(contracts(3));
    assert_eq!(session.next_batch(Mono(0)), Some(vec!["x0002".to_owned()]));
    session.remove(&contracts(4));
    assert_eq!(session.next_drop(Mono(0)), Some(vec!["x0000".to_owned(), "x0001".into(), "x0002".into()]));
    assert_eq!(news(&mut session, 0), Some((0, 0, 0)));
}

#[test]
fn one_that_comes_back_before_it_was_dropped_is_not_dropped_after_it_was_asked() {
    let mut session = session(1);
    session.logged_in();
    let batch = session.next_batch(Mono(0)).expect("due");
    answer_all(&mut session, &batch);
    session.remove(&contracts(1));
    session.add(contracts(1));
    assert_eq!((session.next_drop(Mono(0)), session.next_batch(Mono(0))), (None, Some(batch)));
}

#[test]
fn a_worker_without_contracts_is_ready_at_its_login() {
    let mut session = session(0);
    session.logged_in();
    assert_eq!(news(&mut session, 0), Some((0, 0, 0)));
}

#[test]
fn what_is_never_answered_is_waited_for_until_the_deadline_then_named_and_retried_alone() {
    let mut session = session(8);
    session.logged_in();
    let batch = session.next_batch(Mono(0)).expect("due");
    answer_all(&mut session, &batch[..1]);
    assert_eq!((session.wake_at(), news(&mut session, 4_999)), (Some(Mono(5_000 * MS)), None));
    let settled = session.newly_settled(Mono(5_000 * MS)).expect("its time is up");
    assert_eq!((settled.accepted, settled.unanswered), (1, 7));
    assert_eq!(settled.first, ["x0001", "x0002", "x0003", "x0004", "x0005"]);
    assert_eq!((news(&mut session, 5_001), session.next_retry(Mono(5_999 * MS))), (None, None));
    let mut asked = BTreeMap::new();
    for s in 6..60 {
        if let Some(symbol) = session.next_retry(Mono(s * 1_000 * MS)) {
            assert_eq!(session.next_retry(Mono(s * 1_000 * MS)), None, "one a second");
            *asked.entry(symbol).or_insert(0) += 1;
        }
    }
    assert_eq!(asked.len(), 7);
    assert!(asked.values().all(|tries| *tries == 3), "{asked:?}");
    assert_eq!(session.wake_at(), None, "nothing is retried for ever");
}

#[test]
fn late_answers_are_told_once_a_second() {
    let mut session = session(4);
    session.logged_in();
    session.next_batch(Mono(0));
    assert_eq!(news(&mut session, 5_000), Some((0, 0, 4)));
    assert!(session.answered("x0000", true) && session.answered("x0001", false));
    assert_eq!((news(&mut session, 5_999), session.wake_at()), (None, Some(Mono(6_000 * MS))));
    assert_eq!((news(&mut session, 6_000), news(&mut session, 9_000)), (Some((1, 1, 2)), None));
    session.next_retry(Mono(9_000 * MS));
    session.remove(&contracts(4));
    assert_eq!(news(&mut session, 9_000), Some((0, 0, 0)));
    assert_eq!(session.next_retry(Mono(20_000 * MS)), None);
}
