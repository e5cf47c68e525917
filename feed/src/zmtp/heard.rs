//! What a peer's bytes mean, without a peer: for captures of a connection, and for fuzzing.

use super::fault::quoted;
use super::greeting::Offer;
use super::session::{Event, Session};

/// What somebody said who sent these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Each thing that it said, in order: greeting, handshake, subscriptions, PINGs.
    pub said: Vec<String>,
    /// Why it would have been sent away then.
    pub fault: Option<String>,
    /// Whether it ends in the middle of a greeting or a frame.
    pub is_torn: bool,
    /// Most bytes that were kept while the rest of a frame had not come.
    pub held_bytes_max: usize,
}

/// Reads what a peer sent to a server that takes NULL and, with any password, PLAIN, when it comes in so many bytes at a
/// time (0 for all at once).
#[must_use]
pub fn heard(bytes: &[u8], chunk_bytes: usize) -> Heard {
    let mut session = Session::new(Offer::Either);
    let mut heard = Heard { said: Vec::new(), fault: None, is_torn: false, held_bytes_max: 0 };
    let chunk_bytes = if chunk_bytes == 0 { bytes.len().max(1) } else { chunk_bytes };
    for chunk in bytes.chunks(chunk_bytes) {
        let outcome = session.receive(chunk, &mut |event| {
            heard.said.push(words(&event));
            Ok(())
        });
        if let Err(fault) = outcome {
            heard.fault = Some(fault.to_string());
            return heard;
        }
        heard.held_bytes_max = heard.held_bytes_max.max(session.held_bytes());
    }
    heard.is_torn = session.is_in_a_frame();
    heard
}

/// For people; a password is a secret.
fn words(event: &Event<'_>) -> String {
    match event {
        Event::Greeted(mechanism) => format!("greets, mechanism {mechanism:?}"),
        Event::Hello { name, password } => format!("is {}, password of {} bytes", quoted(name), password.len()),
        Event::Ready => "is ready".to_owned(),
        Event::Subscribe(prefix) => format!("subscribes \"{}\"", prefix.escape_ascii()),
        Event::Cancel(prefix) => format!("cancels \"{}\"", prefix.escape_ascii()),
        Event::Ping { ttl_ms, context } => format!("pings, {ttl_ms} ms to live, context {}", quoted(context)),
    }
}
