//! The main thread: news in, decisions made, reports out.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError};

use mdhub_spec::frame::{Command, Report, Start};
use mdhub_spec::process::{EXIT_ASKED, EXIT_INTERNAL, EXIT_LOGIN_REFUSED, EXIT_PIPE, EXIT_PROTOCOL, EXIT_START};
use mdhub_spec::time::Mono;

use super::control::{self, Control};
use super::fronts::Fronts;
use super::login::LoginPace;
use super::receiver::Receiver;
use super::ring::TickRing;
use super::session::Session;
use super::watchdog::{Watchdog, reason_words, shown};
use super::{Event, Leave, log};
use crate::clock;
use crate::vendor::record::{Answer, LoginRequest};
use crate::vendor::{Api, spi};

/// From one heartbeat to the next.
const HEARTBEAT_MS: u64 = 1_000;
/// Lost connections without one in between are told so often.
const DISCONNECTS_TOLD_MS: u64 = 1_000;

/// A library that connects.
pub(super) struct Connection {
    pub(super) api: Api,
    pub(super) receiver: Arc<Receiver>,
    pub(super) login: LoginRequest,
    pub(super) fronts: Fronts,
}

/// The main thread's belongings.
pub(super) struct Worker<'a> {
    control: &'a mut Control,
    connection: Connection,
    ring: Arc<TickRing>,
    session: Session,
    watchdog: Watchdog,
    login_pace: LoginPace,
    report_timeout_ms: u64,
    heartbeat_at: Mono,
    answers_known: bool,
    /// Whether something was unanswered when last told.
    has_unanswered: bool,
    /// Lost connections since one was last told, and when that was.
    untold_disconnects: u64,
    disconnect_told_at: Option<Mono>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(control: &'a mut Control, connection: Connection, ring: Arc<TickRing>, start: Start) -> Self {
        let limits = start.limits;
        Self {
            control,
            connection,
            ring,
            session: Session::new(start.contracts, limits.subscribe_timeout_ms),
            watchdog: Watchdog::new(limits, start.session_open, clock::mono()),
            login_pace: LoginPace::default(),
            report_timeout_ms: limits.report_timeout_ms,
            heartbeat_at: Mono(0),
            answers_known: true,
            has_unanswered: false,
            untold_disconnects: 0,
            disconnect_told_at: None,
        }
    }

    pub(super) fn run(mut self, inbox: &Inbox<Event>) -> Result<Infallible, Leave> {
        let Err(leave) = self.turns(inbox);
        if leave.code == EXIT_ASKED && self.watchdog.is_well(self.ring.received(), clock::mono()) {
            self.connection.fronts.keep();
        }
        Err(leave)
    }

    fn turns(&mut self, inbox: &Inbox<Event>) -> Result<Infallible, Leave> {
        loop {
            let now = clock::mono();
            self.beat(now)?;
            self.control.look(self.report_timeout_ms, now)?;
            self.log_in_due(now);
            self.subscribe_due(now);
            self.tell_settled(now)?;
            self.watchdog.check(self.ring.received(), now)?;
            match inbox.recv_timeout(now.until(self.wake_at(now))) {
                Ok(event) => self.handle(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Leave::new(EXIT_INTERNAL, "every source of events is gone"));
                }
            }
        }
    }

    fn wake_at(&self, now: Mono) -> Mono {
        let look_at = self.control.is_waiting().then(|| now.plus_ms(control::LOOK_MS));
        let due = [self.session.wake_at(), self.watchdog.wake_at(), self.login_pace.due_at(), look_at];
        due.into_iter().flatten().fold(self.heartbeat_at, Mono::min)
    }

    fn beat(&mut self, now: Mono) -> Result<(), Leave> {
        if now < self.heartbeat_at {
            return Ok(());
        }
        self.heartbeat_at = now.plus_ms(HEARTBEAT_MS);
        if spi::panics() > 0 {
            return Err(Leave::new(EXIT_INTERNAL, "mdhub's own code panicked in a callback"));
        }
        let lost = self.connection.receiver.events_lost();
        if lost > 0 {
            return Err(Leave::new(EXIT_INTERNAL, format!("{lost} events of the library found the queue full")));
        }
        let (received, ring_dropped) = (self.ring.received(), self.ring.dropped());
        self.control.send(Report::Heartbeat { received, ring_dropped })?;
        self.watchdog.beat(ring_dropped)
    }

    fn log_in_due(&mut self, now: Mono) {
        if self.login_pace.due_at().is_none_or(|at| now < at) {
            return;
        }
        let code = self.connection.api.login(&self.connection.login, 1);
        self.login_pace.tried(code == 0, now);
        if code != 0 {
            log::warn(&format!("the login was not sent, code {code}; it is tried again"));
        }
    }

    fn subscribe_due(&mut self, now: Mono) {
        let api = &self.connection.api;
        if let Some(drop) = self.session.next_drop(now) {
            let code = api.unsubscribe(&drop);
            log::info(&format!("{} contracts dropped, code {code}", drop.len()));
            if code != 0 {
                self.session.put_back_drop(drop, now);
            }
        }
        if let Some(batch) = self.session.next_batch(now) {
            let code = api.subscribe(&batch);
            if code != 0 {
                log::warn(&format!(
                    "subscribing {} contracts was not sent, code {code}; it is tried again",
                    batch.len()
                ));
                self.session.put_back(batch, now);
            }
        }
        if let Some(symbol) = self.session.next_retry(now) {
            let code = api.subscribe(std::slice::from_ref(&symbol));
            log::info(&format!("subscription of {symbol} asked for again, code {code}"));
        }
    }

    fn tell_settled(&mut self, now: Mono) -> Result<(), Leave> {
        let Some(settled) = self.session.newly_settled(now) else { return Ok(()) };
        self.watchdog.settled(&settled, self.ring.received(), now)?;
        let (accepted, refused, count) = (settled.accepted, settled.refused, settled.unanswered);
        log::info(&format!("ready: {accepted} subscriptions accepted, {refused} refused, {count} unanswered"));
        self.control.send(Report::Ready { accepted: u32::try_from(accepted).unwrap_or(u32::MAX) })?;
        if count > 0 {
            log::warn(&format!("{count} subscriptions are unanswered: {}", shown(&settled.first, count)));
        }
        if count > 0 || self.has_unanswered {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            self.control.send(Report::Unanswered { count, first: settled.first })?;
        }
        self.has_unanswered = count > 0;
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), Leave> {
        match event {
            Event::Command(command) => self.obey(command),
            Event::CommandsEnded => Err(Leave::new(EXIT_PIPE, "the hub closed the commands")),
            Event::BadCommand(why) => Err(Leave::new(EXIT_PROTOCOL, why)),
            Event::TickPipeBroken(why) => Err(Leave::new(EXIT_PIPE, format!("tick pipe: {why}"))),
            Event::Term => Err(Leave::new(EXIT_ASKED, "asked to leave by TERM")),
            Event::FrontConnected => {
                log::info("front connected");
                self.watchdog.connected(clock::mono());
                self.login_pace.connected();
                self.disconnect_told_at = None;
                self.control.send(Report::FrontConnected)
            }
            Event::FrontDisconnected(reason) => self.disconnected(reason, clock::mono()),
            Event::HeartbeatWarning(lapse_s) => {
                log::warn(&format!("the front has been silent for {lapse_s} s"));
                Ok(())
            }
            Event::Login { answer, trading_day } => self.logged_in(answer, trading_day),
            Event::Error(answer) => {
                log::warn(&format!("the front reports error {}: {}", answer.code, answer.message));
                Ok(())
            }
            Event::Subscribed { symbol, answer } => self.subscribed(symbol, answer),
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), Leave> {
        match command {
            Command::Start(_) => return Err(Leave::new(EXIT_START, "Start came a second time")),
            Command::Subscribe(contracts) => self.session.add(contracts),
            Command::Unsubscribe(contracts) => self.session.remove(&contracts),
            Command::Session { open } => self.watchdog.session(open, clock::mono()),
            Command::Stop => return Err(Leave::new(EXIT_ASKED, "asked to stop")),
        }
        Ok(())
    }

    /// Attempts that fail one after another change nothing, so they are counted, and told once a second.
    fn disconnected(&mut self, reason: i32, now: Mono) -> Result<(), Leave> {
        self.session.disconnected();
        self.login_pace.disconnected();
        let outcome = self.watchdog.disconnected(reason, now);
        self.untold_disconnects += 1;
        if outcome.is_ok() && self.disconnect_told_at.is_some_and(|told| now < told.plus_ms(DISCONNECTS_TOLD_MS)) {
            return Ok(());
        }
        self.disconnect_told_at = Some(now);
        let count = std::mem::take(&mut self.untold_disconnects);
        log::warn(&format!("front disconnected, {count} times since this was last said; {}", reason_words(reason)));
        self.control.send(Report::FrontDisconnected { reason })?;
        outcome
    }

    fn logged_in(&mut self, answer: Answer, trading_day: String) -> Result<(), Leave> {
        if answer.is_refusal() {
            let Answer { code, message } = answer;
            let reason = format!("the front refused the login, code {code}: {message}");
            self.control.send(Report::LoginRefused { code, message })?;
            return Err(Leave::new(EXIT_LOGIN_REFUSED, reason));
        }
        log::info(&format!("logged in, trading day {trading_day}"));
        self.watchdog.logged_in();
        self.session.logged_in();
        self.control.send(Report::LoggedIn { trading_day })
    }

    fn subscribed(&mut self, symbol: String, answer: Answer) -> Result<(), Leave> {
        if !self.session.answered(&symbol, !answer.is_refusal()) {
            if std::mem::take(&mut self.answers_known) {
                log::warn(&format!("the front answers a subscription of {symbol:?} that nobody asked for"));
            }
            return Ok(());
        }
        let refused = answer.is_refusal().then_some((answer.code, answer.message));
        if let Some((code, message)) = &refused {
            log::warn(&format!("subscription of {symbol} refused, code {code}: {message}"));
        }
        self.control.send(Report::SubscribeAck { symbol, refused })
    }
}
