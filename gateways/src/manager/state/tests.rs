use super::*;

const LIFE: Incarnation = Incarnation { epoch: 1, counter: 1 };
const NEXT: Incarnation = Incarnation { epoch: 1, counter: 2 };

fn id() -> AccountId {
    "ctp-main".parse().expect("a slug")
}

fn launching(incarnation: Incarnation) -> Launching {
    Launching { account: id(), incarnation, fingerprint: Fingerprint(7), restart_generation: 3, started_at: Mono(5) }
}

/// A state with one process that does not exist: its group's number is beyond what the kernel gives out.
fn running() -> State {
    let mut state = State::default();
    state.reserve(&launching(LIFE), None).expect("free");
    start(&mut state, LIFE);
    state
}

fn start(state: &mut State, incarnation: Incarnation) {
    let nobody = Pid::from_raw(i32::MAX).expect("positive");
    state.started(&launching(incarnation), nobody, crate::manager::commands::queue().0);
}

fn push_line(state: &mut State, incarnation: Incarnation, line: &str) {
    state.push_lines(&id(), incarnation, vec![line.to_owned()], 0);
}

fn hello(protocol_version: u32, incarnation: Incarnation) -> Report {
    Report::Hello { protocol_version, account: id(), incarnation }
}

fn apply(state: &mut State, report: Report) -> Result<bool, String> {
    let mut applied = Applied::default();
    state.apply(&id(), LIFE, report, Mono(9), &mut applied).map(|()| applied.is_changed)
}

fn view(state: &State) -> ProcessView {
    state.observe()[&id()].process.clone().expect("a process")
}

#[test]
fn the_fence_lets_one_start_pass_and_no_other() {
    let mut state = State::default();
    let refused = state.reserve(&launching(LIFE), Some(NEXT));
    assert!(matches!(refused, Err(Refused::After { after: Some(NEXT), found: None, .. })), "{refused:?}");
    state.reserve(&launching(LIFE), None).expect("free");
    assert!(matches!(state.reserve(&launching(NEXT), None), Err(Refused::Exists { found: LIFE, .. })));
    state.not_started(&launching(LIFE), "no program", Mono(6));
    let stale = state.reserve(&launching(NEXT), None);
    assert!(matches!(stale, Err(Refused::After { after: None, found: Some(LIFE), .. })), "{stale:?}");
    assert!(state.reserve(&launching(LIFE), Some(LIFE)).is_err(), "a life is used once");
    state.reserve(&launching(NEXT), Some(LIFE)).expect("the fence is met");
    state.close();
    assert!(matches!(state.reserve(&launching(NEXT), Some(LIFE)), Err(Refused::Closing(_))));
}

#[test]
fn only_the_last_end_keeps_its_lines() {
    let mut state = running();
    push_line(&mut state, LIFE, "first");
    state.ended(&id(), LIFE, ExitReason::Code(1), Mono(6));
    assert_eq!(state.observe()[&id()].exits[0].stderr, ["first"]);
    state.reserve(&launching(NEXT), Some(LIFE)).expect("free");
    start(&mut state, NEXT);
    push_line(&mut state, NEXT, "second");
    state.ended(&id(), NEXT, ExitReason::Code(1), Mono(7));
    let kept: Vec<_> = state.observe()[&id()].exits.iter().map(|exit| exit.stderr.clone()).collect();
    assert_eq!(kept, [vec![], vec!["second".to_owned()]]);
}

#[test]
fn a_signal_for_another_life_is_refused() {
    let mut state = running();
    let refused = state.signal(&id(), NEXT, Signal::TERM, Mono(6));
    assert!(matches!(refused, Err(Refused::NotRunning { given: NEXT, found: Some(LIFE), .. })), "{refused:?}");
    assert_eq!(view(&state).ending, Ending::No);
}

#[test]
fn an_ending_is_dated_by_its_first_signal_and_its_last_kill() {
    let mut state = running();
    let mut signal = |signal, at| {
        state.signal(&id(), LIFE, signal, Mono(at)).expect("running");
        view(&state).ending
    };
    assert_eq!(signal(Signal::TERM, 6), Ending::Terminating { since: Mono(6) });
    assert_eq!(signal(Signal::TERM, 7), Ending::Terminating { since: Mono(6) });
    assert_eq!(signal(Signal::KILL, 8), Ending::Killing { since: Mono(8), last: Mono(8) });
    assert_eq!(signal(Signal::KILL, 9), Ending::Killing { since: Mono(8), last: Mono(9) });
    assert_eq!(signal(Signal::TERM, 10), Ending::Killing { since: Mono(8), last: Mono(9) });
}

#[test]
fn reports_become_the_view() {
    let mut state = running();
    apply(&mut state, hello(PROTOCOL_VERSION, LIFE)).expect("good");
    apply(&mut state, Report::FrontConnected).expect("good");
    apply(&mut state, Report::LoggedIn { trading_day: "20260105".into() }).expect("good");
    let ack = |refused| Report::SubscribeAck { symbol: "rb2701".into(), refused };
    apply(&mut state, ack(None)).expect("good");
    apply(&mut state, ack(Some((16, "no".into())))).expect("good");
    assert_eq!((view(&state).acknowledged, view(&state).ready_at), (1, None));
    assert_eq!(view(&state).refused, [("rb2701".to_owned(), "16, no".to_owned())].into());
    apply(&mut state, Report::Unanswered { count: 2, first: vec!["au2702".into()] }).expect("good");
    assert_eq!(view(&state).unanswered, 2);
    apply(&mut state, Report::Ready { accepted: 1 }).expect("good");
    assert_eq!((view(&state).hello_at, view(&state).ready_at), (Some(Mono(9)), Some(Mono(9))));
    assert_eq!(apply(&mut state, Report::Heartbeat { received: 5, ring_dropped: 0 }), Ok(false));
    assert_eq!(apply(&mut state, Report::Heartbeat { received: 6, ring_dropped: 2 }), Ok(true));
    assert_eq!(view(&state).heartbeat_at, Some(Mono(9)));
    apply(&mut state, Report::FrontDisconnected { reason: 0x1001 }).expect("good");
    let seen = view(&state);
    assert_eq!((seen.front, seen.ready_at, seen.acknowledged), (FrontState::Disconnected { reason: 0x1001 }, None, 0));
    assert_eq!((seen.refused.len(), seen.unanswered), (0, 0), "the next connection is asked anew");
    apply(&mut state, Report::LoginRefused { code: 3, message: "不合法的登录".into() }).expect("good");
    assert!(matches!(view(&state).front, FrontState::Refused { code: 3, .. }));
}

#[test]
fn a_worker_that_does_not_introduce_itself_rightly_is_refused() {
    assert!(apply(&mut running(), Report::FrontConnected).is_err_and(|e| e.contains("must be Hello")));
    assert!(apply(&mut running(), hello(PROTOCOL_VERSION, NEXT)).is_err_and(|e| e.contains("1.2")));
    let mut state = running();
    apply(&mut state, hello(PROTOCOL_VERSION + 1, LIFE)).expect("told, not killed");
    let seen = view(&state);
    assert_eq!((seen.protocol_mismatch, seen.hello_at), (Some(PROTOCOL_VERSION + 1), None));
    assert!(!state.understands(&id(), LIFE));
}

#[test]
fn an_exit_carries_what_was_known_and_only_so_many_are_kept() {
    let mut state = running();
    apply(&mut state, hello(PROTOCOL_VERSION, LIFE)).expect("good");
    apply(&mut state, Report::Bye { code: 6, reason: "refused".into() }).expect("good");
    (0..STDERR_LINES_MAX + 5).for_each(|n| push_line(&mut state, LIFE, &n.to_string()));
    state.ended(&id(), LIFE, ExitReason::Code(6), Mono(20));
    let mut last = LIFE;
    for counter in 2..40 {
        let next = launching(Incarnation { epoch: 1, counter });
        state.reserve(&next, Some(last)).expect("the fence is met");
        if counter == 2 {
            let exit = state.observe()[&id()].exits[0].clone();
            assert_eq!((exit.reason, exit.asked, exit.bye), (ExitReason::Code(6), false, Some("refused".into())));
            assert_eq!((exit.stderr.len(), exit.stderr[0].as_str()), (STDERR_LINES_MAX, "5"));
            assert_eq!((exit.fingerprint, exit.restart_generation, exit.heard_at), (Fingerprint(7), 3, Mono(9)));
            assert!(exit.jitter_permille < 1000);
        }
        state.not_started(&next, "x", Mono(21));
        last = next.incarnation;
    }
    assert_eq!(state.observe()[&id()].exits.len(), EXITS_MAX);
    assert_eq!(state.observe()[&id()].last_incarnation(), Some(last));
}

#[test]
fn more_accounts_than_are_remembered_push_out_the_one_that_ended_first() {
    let mut state = State::default();
    for n in 0..=ACCOUNTS_MAX {
        let launching = Launching { account: format!("a{n}").parse().expect("a slug"), ..launching(LIFE) };
        state.reserve(&launching, None).expect("free");
        state.not_started(&launching, "x", Mono(n as u64));
    }
    assert_eq!(state.observe().len(), ACCOUNTS_MAX);
    assert!(!state.observe().contains_key(&"a0".parse().expect("a slug")));
}

#[test]
fn an_end_was_asked_for_only_if_nobody_had_ended_it_before() {
    for (condemned_first, asked) in [(true, false), (false, true)] {
        let mut state = running();
        if condemned_first {
            state.kill_unasked(&id(), LIFE, Some("rubbish"), Mono(6));
        }
        state.signal(&id(), LIFE, Signal::KILL, Mono(7)).expect("running");
        state.ended(&id(), LIFE, ExitReason::Signal(9), Mono(8));
        assert_eq!(state.observe()[&id()].exits[0].asked, asked);
    }
}
