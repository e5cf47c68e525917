//! The ways to people.

use std::path::Path;

use mdhub_spec::settings::Alerts;
use thiserror::Error;
use url::{Host, Url};

use crate::message::Message;

mod mail;
mod webhook;

pub(crate) use webhook::ping;

/// Why a channel could not be made, or did not deliver. Never shows an address' secret part.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ChannelError(pub String);

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// One way to people.
#[derive(Debug)]
pub struct Channel {
    name: String,
    how: How,
}

#[derive(Debug)]
enum How {
    Mail(Box<mail::Mail>),
    Post(webhook::Post),
}

impl Channel {
    /// What it is called in logs and files: `mail`, or `webhook NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Delivers, or says why not. May take some ten seconds.
    ///
    /// # Errors
    /// What the server or the way to it said.
    pub fn deliver(&self, message: &Message, now_ms: i64) -> Result<(), ChannelError> {
        match &self.how {
            How::Mail(mail) => mail.deliver(message),
            How::Post(post) => post.deliver(message, now_ms),
        }
    }
}

/// The channels that the settings ask for, and what is wrong with the others. `smtp_url` names the mail server.
#[must_use]
pub fn channels(alerts: &Alerts, smtp_url: Option<&str>) -> Vec<Result<Channel, ChannelError>> {
    let mut channels = Vec::new();
    if !alerts.mail_to.is_empty() {
        let how = mail::Mail::new(alerts, smtp_url).map(|mail| How::Mail(Box::new(mail)));
        channels.push(how.map(|how| Channel { name: "mail".into(), how }));
    }
    for webhook in &alerts.webhooks {
        let name = format!("webhook {}", webhook.name);
        let at = |what: &str, why: ChannelError| ChannelError(format!("alerts.webhooks: {name}: {what}: {why}"));
        let made = (|| {
            let url = read(Path::new(&webhook.url_file)).map_err(|e| at("url_file", e))?;
            let url = web_url(&url).map_err(|e| at("url_file", e))?;
            let secret = webhook.secret_file.as_ref().map(|file| read(Path::new(file)));
            let secret = secret.transpose().map_err(|e| at("secret_file", e))?;
            Ok(How::Post(webhook::Post::new(webhook.kind, url, secret)))
        })();
        channels.push(made.map(|how| Channel { name: name.clone(), how }));
    }
    channels
}

fn read(path: &Path) -> Result<String, ChannelError> {
    let text = std::fs::read_to_string(path).map_err(|e| ChannelError(format!("{}: {e}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// An address of the web that may be reached. Without TLS only on this machine.
///
/// # Errors
/// What is wrong with it.
pub fn web_url(text: &str) -> Result<Url, ChannelError> {
    let url = Url::parse(text).map_err(|e| ChannelError(format!("what is there is no URL: {e}")))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        scheme => Err(ChannelError(format!("{scheme}:// is not allowed: https://, or http:// on this machine"))),
    }
}
