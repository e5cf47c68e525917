//! Posts to group robots, and to whoever takes JSON.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use mdhub_spec::settings::WebhookKind;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::{ChannelError, is_loopback};
use crate::message::Message;

/// From a request to its answer, the connection included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// WeCom takes 2,048 bytes of text; the others more.
const TEXT_BYTES_MAX: usize = 2_000;

/// One receiver.
pub(super) struct Post {
    kind: WebhookKind,
    url: Url,
    secret: Option<String>,
    agent: ureq::Agent,
}

// The address is a secret of its own.
impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn agent(url: &Url) -> ureq::Agent {
    // A redirect would lead out of what was checked.
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0);
    // The environment may name a way out of this machine, which is none back to it.
    let config = if is_loopback(url) { config.proxy(None) } else { config };
    config.http_status_as_error(false).build().new_agent()
}

/// What became of a request, without its address.
fn failed(error: &ureq::Error) -> ChannelError {
    match error {
        ureq::Error::BadUri(_) => ChannelError("the address is not understood".into()),
        other => ChannelError(other.to_string()),
    }
}

/// Asks for an address, so that somebody outside knows that the hub lives.
pub(crate) fn ping(url: &Url) -> Result<(), ChannelError> {
    let answer = agent(url).get(url.as_str()).call().map_err(|e| failed(&e))?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(ChannelError(format!("the answer is {status}"))) }
}

impl Post {
    pub(super) fn new(kind: WebhookKind, url: Url, secret: Option<String>) -> Self {
        let agent = agent(&url);
        Self { kind, url, secret, agent }
    }

    pub(super) fn deliver(&self, message: &Message, now_ms: i64) -> Result<(), ChannelError> {
        let body = serde_json::to_vec(&self.body(message, now_ms)).map_err(|e| ChannelError(e.to_string()))?;
        let request = self.agent.post(self.signed_url(now_ms).as_str()).header("content-type", "application/json");
        let mut answer = request.send(&body[..]).map_err(|e| failed(&e))?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(|e| failed(&e))?;
        if !status.is_success() {
            return Err(ChannelError(format!("the answer is {status}")));
        }
        self.understood(&text)
    }

    fn body(&self, message: &Message, now_ms: i64) -> Value {
        let text = || message.text(TEXT_BYTES_MAX);
        match self.kind {
            WebhookKind::Wecom | WebhookKind::Dingtalk => json!({"msgtype": "text", "text": {"content": text()}}),
            WebhookKind::Feishu => {
                let mut body = json!({"msg_type": "text", "content": {"text": text()}});
                if let Some(secret) = &self.secret {
                    let stamp = (now_ms / 1_000).to_string();
                    // Of Feishu's two parts the text to be signed is the key, and what is signed is empty.
                    body["sign"] = signature(&format!("{stamp}\n{secret}"), "").into();
                    body["timestamp"] = stamp.into();
                }
                body
            }
            WebhookKind::Generic => json!({"source": "mdhub", "alert": message}),
        }
    }

    fn signed_url(&self, now_ms: i64) -> Url {
        let mut url = self.url.clone();
        if let (WebhookKind::Dingtalk, Some(secret)) = (self.kind, &self.secret) {
            let sign = signature(secret, &format!("{now_ms}\n{secret}"));
            url.query_pairs_mut().append_pair("timestamp", &now_ms.to_string()).append_pair("sign", &sign);
        }
        url
    }

    /// Robots answer 200 to what they refuse, too; a code other than zero says so.
    fn understood(&self, answer: &[u8]) -> Result<(), ChannelError> {
        let (code, words) = match self.kind {
            WebhookKind::Generic => return Ok(()),
            WebhookKind::Wecom | WebhookKind::Dingtalk => ("errcode", "errmsg"),
            WebhookKind::Feishu => ("code", "msg"),
        };
        let answer: Value = serde_json::from_slice(answer)
            .map_err(|_| ChannelError("the answer is not that of such a robot: no JSON".into()))?;
        match answer[code].as_i64() {
            Some(0) => Ok(()),
            Some(other) => Err(ChannelError(format!("the robot says {code} {other}: {}", answer[words]))),
            None => Err(ChannelError(format!("the answer is not that of such a robot: it has no {code}"))),
        }
    }
}

/// Base64 of HMAC-SHA256.
fn signature(key: &str, text: &str) -> String {
    // A key of any length is allowed.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
