//! Decides who is told of what, and when: one message for an incident however many lines it writes, again while it goes on,
//! once when it is over, and never more than a few an hour.
//!
//! Times are milliseconds since the epoch, since what waits outlives the hub; a clock that is set back counts as standing.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::message::{Kind, Message};
use crate::report::{Cause, Report};

#[cfg(test)]
mod tests;

/// Incidents that are open at once; what is beyond is told as one of a common cause.
const INCIDENTS_MAX: usize = 256;
/// Lines of a digest; the rest is a number.
const DIGEST_LINES_MAX: usize = 40;
/// From one digest to the next, at least.
const DIGEST_SPACING_MS: i64 = 900_000;
/// What is silent for so long, and has no end that anybody tells, is over.
const FORGOTTEN_MS: i64 = 3_600_000;
const HOUR_MS: i64 = 3_600_000;
/// The cause that stands for all those that found no room.
const OTHERS: &str = "others";
/// Bytes of one text that are kept.
const TEXT_BYTES_MAX: usize = 2_000;

/// How often people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From an incident's first line to its message.
    pub gather_ms: i64,
    /// From a message to the next one of the same incident.
    pub repeat_ms: i64,
    /// Messages in any hour.
    pub per_hour_max: usize,
}

/// What is open, and what was told of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    incidents: BTreeMap<Cause, Incident>,
    /// When messages went out, the latest last; none is older than an hour.
    told_at_ms: VecDeque<i64>,
    digest: Digest,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Incident {
    first_ms: i64,
    last_ms: i64,
    count: u64,
    first_text: String,
    last_text: String,
    /// Somebody will say when it is over.
    lasts: bool,
    told_ms: Option<i64>,
    /// Its lines when it was told last.
    told_count: u64,
    over_ms: Option<i64>,
}

/// Messages that the hour had no room for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Digest {
    lines: Vec<String>,
    more: u64,
    sent_ms: Option<i64>,
}

impl Desk {
    /// Takes what was reported at `now_ms`.
    pub fn hear(&mut self, report: Report, now_ms: i64) {
        match report {
            Report::Error { cause, text, lasts } => self.error(cause, &text, lasts, now_ms),
            Report::Over { cause } => {
                self.incidents.get_mut(&cause).into_iter().for_each(|incident| incident.end(now_ms));
            }
            Report::AllOver { account } => {
                let of_account =
                    self.incidents.iter_mut().filter(|(cause, _)| cause.account.as_ref() == Some(&account));
                of_account.for_each(|(_, incident)| incident.end(now_ms));
            }
        }
    }

    fn error(&mut self, cause: Cause, text: &str, lasts: bool, now_ms: i64) {
        let is_room = self.incidents.len() < INCIDENTS_MAX || self.incidents.contains_key(&cause);
        let cause = if is_room { cause } else { Cause { name: OTHERS.into(), account: None } };
        let text = shortened(text);
        let incident = self.incidents.entry(cause).or_insert_with(|| Incident {
            first_ms: now_ms,
            last_ms: now_ms,
            count: 0,
            first_text: text.clone(),
            last_text: String::new(),
            lasts,
            told_ms: None,
            told_count: 0,
            over_ms: None,
        });
        incident.last_ms = now_ms;
        incident.count += 1;
        incident.last_text = text;
        incident.lasts |= lasts;
        incident.over_ms = None;
    }

    /// What people are to be told at `now_ms`. What goes on is repeated only while `in_session`.
    pub fn due(&mut self, now_ms: i64, in_session: bool, pace: Pace) -> Vec<Message> {
        while self.told_at_ms.front().is_some_and(|at| now_ms - at >= HOUR_MS) {
            self.told_at_ms.pop_front();
        }
        let due: Vec<(Cause, Kind)> = self
            .incidents
            .iter()
            .filter_map(|(cause, incident)| Some((cause.clone(), incident.due(now_ms, in_session, pace)?)))
            .collect();
        let mut messages: Vec<Message> =
            due.into_iter().filter_map(|(cause, kind)| self.tell(cause, kind, now_ms, pace)).collect();
        self.incidents.retain(|_, incident| !incident.is_done(now_ms));
        messages.extend(self.digest(now_ms, pace));
        messages
    }

    fn tell(&mut self, cause: Cause, kind: Kind, now_ms: i64, pace: Pace) -> Option<Message> {
        let incident = self.incidents.get_mut(&cause)?;
        let message = incident.message(cause, kind, now_ms);
        incident.told_ms = Some(now_ms);
        incident.told_count = incident.count;
        if self.told_at_ms.len() < pace.per_hour_max {
            self.told_at_ms.push_back(now_ms);
            return Some(message);
        }
        if self.digest.lines.len() < DIGEST_LINES_MAX {
            self.digest.lines.push(message.subject);
        } else {
            self.digest.more += 1;
        }
        None
    }

    fn digest(&mut self, now_ms: i64, pace: Pace) -> Option<Message> {
        let is_spaced = self.digest.sent_ms.is_none_or(|at| now_ms - at >= DIGEST_SPACING_MS);
        if self.digest.lines.is_empty() || !is_spaced || self.told_at_ms.len() >= pace.per_hour_max {
            return None;
        }
        self.told_at_ms.push_back(now_ms);
        let Digest { lines, more, .. } = std::mem::take(&mut self.digest);
        self.digest.sent_ms = Some(now_ms);
        let count = lines.len() as u64 + more;
        let mut body = lines.join("\n");
        if more > 0 {
            body.push_str(&format!("\n... and {more} more"));
        }
        let subject = format!("{count} messages beyond {} an hour", pace.per_hour_max);
        Some(Message { kind: Kind::Digest, account: None, cause: "digest".into(), subject, body, at_ms: now_ms, count })
    }

    /// Incidents that were told and are not over.
    #[must_use]
    pub fn open(&self) -> usize {
        self.incidents.values().filter(|incident| incident.over_ms.is_none()).count()
    }
}

impl Incident {
    fn end(&mut self, now_ms: i64) {
        self.over_ms.get_or_insert(now_ms);
    }

    fn due(&self, now_ms: i64, in_session: bool, pace: Pace) -> Option<Kind> {
        let Some(told_ms) = self.told_ms else {
            return (now_ms - self.first_ms >= pace.gather_ms).then_some(Kind::Raised);
        };
        if self.over_ms.is_some() {
            return Some(Kind::Recovered);
        }
        let goes_on = self.lasts || self.count > self.told_count;
        (in_session && goes_on && now_ms - told_ms >= pace.repeat_ms).then_some(Kind::Repeated)
    }

    /// Whether nothing is left to be said of it: its end was told, or nobody will tell one.
    fn is_done(&self, now_ms: i64) -> bool {
        let is_end_told = self.over_ms.zip(self.told_ms).is_some_and(|(over, told)| told >= over);
        is_end_told || (!self.lasts && self.told_ms.is_some() && now_ms - self.last_ms >= FORGOTTEN_MS)
    }

    fn message(&self, cause: Cause, kind: Kind, now_ms: i64) -> Message {
        let Cause { name, account } = cause;
        let of = account.as_deref().map_or_else(|| name.clone(), |account| format!("{account}: {name}"));
        let word = match (kind, self.over_ms) {
            (Kind::Raised, Some(_)) => " (over already)",
            (Kind::Repeated, _) => " goes on",
            (Kind::Recovered, _) => " is over",
            _ => "",
        };
        let mut body = self.first_text.clone();
        if self.last_text != self.first_text {
            body.push_str(&format!("\nlast: {}", self.last_text));
        }
        let lasted_s = (self.over_ms.unwrap_or(now_ms) - self.first_ms).max(0) / 1_000;
        body.push_str(&format!("\n{} times in {lasted_s} s", self.count));
        Message { kind, account, cause: name, subject: format!("{of}{word}"), body, at_ms: now_ms, count: self.count }
    }
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
