//! Why a peer is sent away.

use thiserror::Error;

use super::frame::BODY_BYTES_MAX;
use super::subscriptions::{PEER_SUBSCRIPTIONS_MAX, PREFIX_BYTES_MAX, SUBSCRIPTIONS_MAX};

/// Most bytes of a peer's own words that are repeated in the log.
const QUOTED_BYTES_MAX: usize = 40;

/// A breach of the protocol or of a limit. Shown in the log, so it quotes a peer's bytes only escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    #[error("it does not greet as ZMTP does")]
    Signature,
    #[error("it speaks ZMTP {0}; 3.0 and later are understood")]
    Version(u8),
    #[error("its mechanism is {0}; {1} is offered")]
    Mechanism(String, &'static str),
    #[error("it set reserved bits of a frame's flags: {0:#04x}")]
    Flags(u8),
    #[error("it announced a frame of {0} bytes; at most {BODY_BYTES_MAX} are read")]
    FrameLength(u64),
    #[error("it sent a command without a name")]
    CommandName,
    #[error("it sent a message before its handshake was done")]
    EarlyMessage,
    #[error("it sent the command {0} where its handshake has another")]
    NotReady(String),
    #[error("its HELLO does not hold a name and a password")]
    Hello,
    #[error("its token is not in publish.tokens")]
    Token,
    #[error("too many wrong tokens came from its address; one more a second is looked at")]
    TokenGuesses,
    #[error("publish.tokens, publish.anonymous or publish.allow has changed and no longer lets it in")]
    Revoked,
    #[error("its READY does not hold properties")]
    Metadata,
    #[error("its socket type is {0}; SUB and XSUB may subscribe")]
    SocketType(String),
    #[error("it sent a PING without a time to live")]
    Ping,
    #[error("it gave up: {0}")]
    Refused(String),
    #[error("it subscribed a prefix of {0} bytes; at most {PREFIX_BYTES_MAX} are allowed")]
    PrefixLength(usize),
    #[error("it wants more than {PEER_SUBSCRIPTIONS_MAX} subscriptions")]
    PeerSubscriptions,
    #[error("all subscribers together want more than {SUBSCRIPTIONS_MAX} subscriptions")]
    Subscriptions,
}

impl Fault {
    /// What the peer is told in an ERROR command, which the protocol knows during the handshake only. Printable
    /// characters without spaces, as its grammar asks.
    pub(crate) const fn reason(&self) -> Option<&'static [u8]> {
        match self {
            Self::SocketType(_) => Some(b"socket-type-must-be-SUB-or-XSUB"),
            Self::Metadata => Some(b"malformed-READY"),
            Self::NotReady(_) => Some(b"another-command-expected"),
            Self::Hello => Some(b"malformed-HELLO"),
            _ => None,
        }
    }
}

/// A peer's words, fit for a log.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let kept = bytes.get(..QUOTED_BYTES_MAX).unwrap_or(bytes);
    format!("\"{}\"", kept.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_words_are_escaped_and_cut() {
        assert_eq!(quoted(b"a\n\x1b[31m"), "\"a\\n\\x1b[31m\"");
        assert_eq!(quoted(&[b'x'; 1000]).len(), QUOTED_BYTES_MAX + 2);
    }

    #[test]
    fn a_reason_is_printable_and_has_no_space() {
        for fault in [Fault::SocketType(String::new()), Fault::Metadata, Fault::NotReady(String::new()), Fault::Hello] {
            let reason = fault.reason().expect("told in the handshake");
            assert!(reason.iter().all(u8::is_ascii_graphic), "{fault}");
        }
        assert_eq!(Fault::Ping.reason(), None);
    }
}
