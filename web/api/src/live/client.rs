//! One client.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::logs::{LiveLine, LogFilter, LogSource};

use super::Live;
use super::asked::{Asked, Pace};

/// Longest message of a client, bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Lines of the log are told so often, together.
const LINES_EVERY: Duration = Duration::from_millis(250);
/// Of the lines that are told together, so much; what is beyond it is counted.
const LINES_BYTES_MAX: usize = 256 * 1024;
/// How often it is looked whether the client is still there.
const LOOK: Duration = Duration::from_secs(5);
/// A client that was silent for so long is pinged.
const QUIET: Duration = Duration::from_secs(15);
/// One that was silent for so long has gone.
const SILENT: Duration = Duration::from_secs(40);
/// A client that takes nothing for so long has gone, too.
const STUCK: Duration = Duration::from_secs(30);
/// Longest reason of a close frame, bytes.
const REASON_BYTES_MAX: usize = 120;

/// Why it ends.
#[derive(Debug)]
enum Over {
    /// The client has gone, or is not heard.
    Gone,
    /// It is told so.
    Closed(u16, String),
}

/// A client's connection.
pub(super) struct Client {
    socket: WebSocket,
    live: Arc<Live>,
    logs: LogSource,
    lines: Option<Lines>,
    pace: Pace,
    began: Instant,
    heard: Instant,
}

/// Lines of the log, for one client.
struct Lines {
    filter: LogFilter,
    live: broadcast::Receiver<Arc<LiveLine>>,
}

impl Client {
    pub(super) fn new(socket: WebSocket, live: Arc<Live>, logs: LogSource) -> Self {
        let began = Instant::now();
        Self { socket, live, logs, lines: None, pace: Pace::default(), began, heard: began }
    }

    /// Tells and listens until either end has enough.
    pub(super) async fn run(mut self) {
        if let Err(Over::Closed(code, reason)) = self.talk().await {
            let frame = CloseFrame { code, reason: reason.into() };
            let _ = timeout(LOOK, self.socket.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn talk(&mut self) -> Result<(), Over> {
        let mut events = self.join().await?;
        let (mut looks, mut flushes) = (interval(LOOK), interval(LINES_EVERY));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(text) => self.say(Message::Text(text)).await?,
                    Err(RecvError::Lagged(_)) => events = self.join().await?,
                    Err(RecvError::Closed) => return Err(ended()),
                },
                said = self.socket.recv() => self.hear(said)?,
                _ = flushes.tick(), if self.lines.is_some() => {
                    if let Some(text) = self.lines.as_mut().and_then(Lines::told) {
                        self.say(Message::Text(text)).await?;
                    }
                }
                _ = looks.tick() => {
                    match self.heard.elapsed() {
                        silent if silent >= SILENT => return Err(Over::Gone),
                        silent if silent >= QUIET => self.say(Message::Ping(Vec::new().into())).await?,
                        _ => {}
                    }
                }
            }
        }
    }

    /// From here on: the state, then what changes.
    async fn join(&mut self) -> Result<broadcast::Receiver<Utf8Bytes>, Over> {
        let (snapshot, events) = self.live.join().ok_or_else(ended)?;
        self.say(Message::Text(snapshot)).await?;
        Ok(events)
    }

    async fn say(&mut self, message: Message) -> Result<(), Over> {
        match timeout(STUCK, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Over::Gone),
        }
    }

    fn hear(&mut self, said: Option<Result<Message, axum::Error>>) -> Result<(), Over> {
        let said = match said {
            None | Some(Ok(Message::Close(_))) => return Err(Over::Gone),
            // A message that is too long, or no WebSocket at all.
            Some(Err(e)) => return Err(Over::Closed(close_code::PROTOCOL, reason(&e.to_string()))),
            Some(Ok(said)) => said,
        };
        self.heard = Instant::now();
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if !self.pace.allows(at_ms) {
            return Err(broken("too many messages in a second".into()));
        }
        match said {
            Message::Text(text) => match Asked::read(&text).map_err(broken)? {
                Asked::Logs(filter) => self.lines = Some(Lines { filter, live: self.logs.live.subscribe() }),
                Asked::NoLogs => self.lines = None,
            },
            Message::Binary(_) => return Err(broken("not understood: a binary message".into())),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
        }
        Ok(())
    }
}

impl Lines {
    /// What has come since the last time, as one message; `None` when nothing has.
    fn told(&mut self) -> Option<Utf8Bytes> {
        let (mut items, mut dropped) = (String::new(), 0_u64);
        loop {
            match self.live.try_recv() {
                Ok(line) if !self.filter.matches(line.line()) => {}
                Ok(line) if items.len() + line.json().len() > LINES_BYTES_MAX => dropped += 1,
                Ok(line) => {
                    if !items.is_empty() {
                        items.push(',');
                    }
                    items.push_str(line.json());
                }
                Err(TryRecvError::Lagged(lost)) => dropped += lost,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        let is_something = !items.is_empty() || dropped > 0;
        is_something.then(|| format!(r#"{{"type":"log","items":[{items}],"dropped":{dropped}}}"#).into())
    }
}

fn ended() -> Over {
    Over::Closed(close_code::AWAY, "the hub ends".to_owned())
}

fn broken(why: String) -> Over {
    Over::Closed(close_code::POLICY, reason(&why))
}

fn reason(why: &str) -> String {
    why[..why.floor_char_boundary(REASON_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::Value;

    use super::*;
    use crate::logs::{LogLevel, LogLine};

    fn line(seq: u64, message: String) -> Arc<LiveLine> {
        let (level, target) = (LogLevel::Info, Cow::Borrowed("t"));
        let (account, incarnation, fields) = (None, None, Vec::new());
        Arc::new(LiveLine::new(Arc::new(LogLine {
            seq,
            at_ms: 0,
            level,
            target,
            message,
            account,
            incarnation,
            fields,
        })))
    }

    fn told(lines: &mut Lines) -> (Vec<u64>, u64) {
        let text = lines.told().expect("something");
        let told: Value = serde_json::from_str(&text).expect("JSON");
        let items =
            told["items"].as_array().expect("a list").iter().map(|line| line["seq"].as_u64().expect("a number"));
        (items.collect(), told["dropped"].as_u64().expect("a number"))
    }

    #[test]
    fn lines_are_told_together_and_what_is_left_out_is_counted() {
        let source = broadcast::Sender::new(8);
        let mut lines = Lines { filter: LogFilter::new(None, None, Some("yes")), live: source.subscribe() };
        assert!(lines.told().is_none());
        for (n, message) in ["yes", "no", "Yes again"].into_iter().enumerate() {
            let _ = source.send(line(n as u64, message.into()));
        }
        assert_eq!(told(&mut lines), (vec![0, 2], 0));
        assert!(lines.told().is_none());
        (0..20).for_each(|n| drop(source.send(line(n, "yes".into()))));
        assert_eq!(told(&mut lines), ((12..20).collect(), 12));
        let long = || format!("yes{}", "x".repeat(LINES_BYTES_MAX / 2));
        (0..3).for_each(|n| drop(source.send(line(n, long()))));
        assert_eq!(told(&mut lines), (vec![0], 2));
    }
}
