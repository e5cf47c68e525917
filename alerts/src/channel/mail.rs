//! Mail.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Date};
use lettre::{SmtpTransport, Transport as _};
use mdhub_spec::settings::Alerts;
use url::Url;

use super::{ChannelError, is_loopback};
use crate::message::Message;

/// From a step of the conversation to its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The way to a mail server.
pub(super) struct Mail {
    server: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

// The server holds a password.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

impl Mail {
    pub(super) fn new(alerts: &Alerts, smtp_url: Option<&str>) -> Result<Self, ChannelError> {
        let say = |why: String| ChannelError(format!("mail: MDHUB_SMTP_URL: {why}"));
        let example = "write smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST:587?tls=required";
        let text = smtp_url.ok_or_else(|| say(format!("alerts.mail_to needs a mail server: {example}")))?;
        let url = Url::parse(text).map_err(|e| say(format!("{e}; {example}")))?;
        let is_safe = url.scheme() == "smtps" || url.query_pairs().any(|(k, v)| k == "tls" && v == "required");
        if !is_safe && !is_loopback(&url) {
            return Err(say(format!("without TLS a password would be read on its way; {example}")));
        }
        // Its errors say what is wrong, and not with which text.
        let server = SmtpTransport::from_url(text).map_err(|e| say(format!("{e}; {example}")))?;
        let mailbox = |field: &str, address: &str| {
            address
                .parse()
                .map(|at| Mailbox::new(None, at))
                .map_err(|e| ChannelError(format!("{field}: {address:?} is not allowed: {e}")))
        };
        let sender = alerts.mail_from.clone().unwrap_or_else(|| sender(&url));
        let from = mailbox("alerts.mail_from", &sender)?;
        let to = alerts.mail_to.iter().map(|to| mailbox("alerts.mail_to", to)).collect::<Result<_, _>>()?;
        Ok(Self { server: server.timeout(Some(TIMEOUT)).build(), from, to })
    }

    pub(super) fn deliver(&self, message: &Message) -> Result<(), ChannelError> {
        let failed = |e: &dyn std::error::Error| ChannelError(with_sources(e));
        let at = std::time::UNIX_EPOCH + Duration::from_millis(message.at_ms.max(0).unsigned_abs());
        let builder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(format!("[mdhub] {}", message.subject))
            .header(Date::new(at))
            .header(ContentType::TEXT_PLAIN);
        let builder = self.to.iter().fold(builder, |builder, to| builder.to(to.clone()));
        let mail = builder.body(message.body.clone()).map_err(|e| failed(&e))?;
        self.server.send(&mail).map(|_| ()).map_err(|e| failed(&e))
    }
}

/// Most servers take mail from the user that is logged in only, who often has the form of an address.
fn sender(url: &Url) -> String {
    let user = url.username().replace("%40", "@");
    match url.host_str() {
        _ if user.contains('@') => user,
        Some(host) if user.is_empty() => format!("mdhub@{host}"),
        Some(host) => format!("{user}@{}", host.strip_prefix("smtp.").unwrap_or(host)),
        None => user,
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(url: &str) -> Result<String, String> {
        let alerts = Alerts { mail_to: vec!["ops@desk.example".into()], ..Alerts::default() };
        Mail::new(&alerts, Some(url)).map(|mail| mail.from.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_sender_is_the_user_that_logs_in() {
        for (url, from) in [
            ("smtps://desk%40163.com:secret@smtp.163.com", "desk@163.com"),
            ("smtps://desk:secret@smtp.163.com:465", "desk@163.com"),
            ("smtp://mail.example:587?tls=required", "mdhub@mail.example"),
        ] {
            assert_eq!(mail(url).as_deref(), Ok(from), "{url}");
        }
    }

    #[test]
    fn a_password_never_travels_in_the_clear() {
        for (url, part) in [
            ("smtp://u:secret@mail.example", "without TLS"),
            ("smtp://u:secret@mail.example?tls=opportunistic", "without TLS"),
            ("mailto:x", "smtps://USER"),
            ("nonsense", "smtps://USER"),
        ] {
            let refused = mail(url).expect_err(url);
            assert!(refused.contains(part) && !refused.contains("secret"), "{url}: {refused}");
        }
        assert_eq!(mail("smtp://localhost:25").as_deref(), Ok("mdhub@localhost"));
    }

    #[test]
    fn without_a_server_it_says_what_is_missing() {
        let alerts = Alerts { mail_to: vec!["ops@desk.example".into()], ..Alerts::default() };
        let refused = Mail::new(&alerts, None).expect_err("no server").to_string();
        assert!(refused.contains("MDHUB_SMTP_URL") && refused.contains("alerts.mail_to"), "{refused}");
    }
}
