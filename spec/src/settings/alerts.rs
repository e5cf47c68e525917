//! Section `alerts`: who is told of errors, and how often.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Fault, within};

/// Recipients of mail, at most.
const RECIPIENTS_MAX: usize = 32;
/// Webhooks, at most: each has a thread of its own.
const WEBHOOKS_MAX: usize = 8;

/// Section `alerts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Mail addresses. The server is named by `MDHUB_SMTP_URL` or `MDHUB_SMTP_URL_FILE`, since it holds a password.
    pub mail_to: Vec<String>,
    /// The sender; by default the user of the server's URL.
    pub mail_from: Option<String>,
    /// Group robots and other receivers of a post.
    pub webhooks: Vec<Webhook>,
    /// What belongs to one incident is gathered for so long before it is told.
    pub gather_ms: u64,
    /// While a session is open, what goes on is told again after so long.
    pub repeat_ms: u64,
    /// Messages in any hour; what is beyond waits for a digest.
    pub per_hour_max: u64,
    /// An address that is asked for once a minute while a session is open, so that somebody outside notices when it is not.
    pub deadman_url: Option<String>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            mail_to: Vec::new(),
            mail_from: None,
            webhooks: Vec::new(),
            gather_ms: 1_000,
            repeat_ms: 1_800_000,
            per_hour_max: 20,
            deadman_url: None,
        }
    }
}

/// One receiver of posts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Names it in logs and answers, where its address must not stand.
    pub name: String,
    /// Whose format.
    pub kind: WebhookKind,
    /// A file that holds the address, which is a secret of its own.
    pub url_file: String,
    /// A file that holds the key that signs posts, where the robot asks for signatures (DingTalk, Feishu).
    #[serde(default)]
    pub secret_file: Option<String>,
}

/// Formats of posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// A group robot of WeCom.
    Wecom,
    /// A group robot of DingTalk.
    Dingtalk,
    /// A group robot of Feishu.
    Feishu,
    /// The alert as JSON.
    Generic,
}

impl Alerts {
    pub(super) fn check(&self) -> Result<(), Fault> {
        within("alerts.gather_ms", self.gather_ms, 0, 60_000)?;
        within("alerts.repeat_ms", self.repeat_ms, 1_000, 86_400_000)?;
        within("alerts.per_hour_max", self.per_hour_max, 1, 1_000)?;
        within("alerts.mail_to", self.mail_to.len() as u64, 0, RECIPIENTS_MAX as u64)?;
        within("alerts.webhooks", self.webhooks.len() as u64, 0, WEBHOOKS_MAX as u64)?;
        self.mail_to.iter().try_for_each(|address| is_address("alerts.mail_to", address))?;
        self.mail_from.iter().try_for_each(|address| is_address("alerts.mail_from", address))?;
        let mut names = BTreeSet::new();
        for Webhook { name, kind, secret_file, .. } in &self.webhooks {
            if name.is_empty() || !names.insert(name) {
                return Err(("alerts.webhooks", format!("name {name:?} is not allowed: each has one of its own")));
            }
            if secret_file.is_some() && !matches!(kind, WebhookKind::Dingtalk | WebhookKind::Feishu) {
                let message = format!("{name}.secret_file: only dingtalk and feishu sign posts");
                return Err(("alerts.webhooks", message));
            }
        }
        let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        match &self.deadman_url {
            Some(url) if !is_web(url) => {
                Err(("alerts.deadman_url", format!("{url:?} is not allowed: write https://HOST/PATH")))
            }
            _ => Ok(()),
        }
    }
}

/// No full grammar: what a mail server would refuse anyway is for the server to say.
fn is_address(field: &'static str, address: &str) -> Result<(), Fault> {
    let is_plain = address.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | ',' | ';'));
    match address.split_once('@') {
        Some((user, host)) if is_plain && !user.is_empty() && !host.is_empty() && !host.contains('@') => Ok(()),
        _ => Err((field, format!("{address:?} is not allowed: write NAME@HOST"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes one field wrong.
    type Spoil = fn(&mut Alerts);

    fn webhook(name: &str, kind: WebhookKind) -> Webhook {
        Webhook { name: name.into(), kind, url_file: "url".into(), secret_file: None }
    }

    #[test]
    fn each_fault_is_refused_under_its_field() {
        assert_eq!(Alerts::default().check(), Ok(()));
        let good = Alerts {
            mail_to: vec!["ops@desk.example".into()],
            webhooks: vec![webhook("a", WebhookKind::Wecom), webhook("b", WebhookKind::Generic)],
            deadman_url: Some("https://watch.example/ping".into()),
            ..Alerts::default()
        };
        assert_eq!(good.check(), Ok(()));
        let spoilt: [(&str, Spoil); 9] = [
            ("alerts.gather_ms", |a| a.gather_ms = 60_001),
            ("alerts.repeat_ms", |a| a.repeat_ms = 0),
            ("alerts.per_hour_max", |a| a.per_hour_max = 0),
            ("alerts.mail_to", |a| a.mail_to = vec!["nobody".into()]),
            ("alerts.mail_to", |a| a.mail_to = vec!["a@b\nBcc: c@d".into()]),
            ("alerts.mail_from", |a| a.mail_from = Some("a@b@c".into())),
            ("alerts.webhooks", |a| a.webhooks = vec![webhook("a", WebhookKind::Wecom); 2]),
            ("alerts.webhooks", |a| a.webhooks[0].secret_file = Some("key".into())),
            ("alerts.deadman_url", |a| a.deadman_url = Some("ftp://x".into())),
        ];
        for (field, spoil) in spoilt {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(bad.check().map_err(|(field, _)| field), Err(field));
        }
    }
}
