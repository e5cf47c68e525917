//! Others' words, made fit for a report: no control characters, and never long.

use mdhub_spec::frame::Report;

/// Bytes of a sentence.
const SENTENCE_BYTES_MAX: usize = 1024;
/// Bytes of a symbol, a version, a date: the vendor's longest field has 81.
const NAME_BYTES_MAX: usize = 256;

/// Cuts a text to so many bytes, at a character's border, and takes control characters out.
pub(super) fn clean(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > bytes_max {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// The report with every text in it made fit.
pub(super) fn cleaned(report: Report) -> Report {
    let name = |text: String| clean(&text, NAME_BYTES_MAX);
    let sentence = |text: String| clean(&text, SENTENCE_BYTES_MAX);
    match report {
        Report::LibraryLoaded { version, known } => Report::LibraryLoaded { version: name(version), known },
        Report::LoggedIn { trading_day } => Report::LoggedIn { trading_day: name(trading_day) },
        Report::LoginRefused { code, message } => Report::LoginRefused { code, message: sentence(message) },
        Report::SubscribeAck { symbol, refused } => Report::SubscribeAck {
            symbol: name(symbol),
            refused: refused.map(|(code, message)| (code, sentence(message))),
        },
        Report::Unanswered { count, first } => {
            Report::Unanswered { count, first: first.into_iter().map(name).collect() }
        }
        Report::Bye { code, reason } => Report::Bye { code, reason: sentence(reason) },
        other @ (Report::Hello { .. }
        | Report::FrontConnected
        | Report::FrontDisconnected { .. }
        | Report::Ready { .. }
        | Report::Heartbeat { .. }) => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_lose_control_characters_and_length_but_not_their_language() {
        assert_eq!(clean("CTP:不合法的登录\r\n\x1b[31m\0", 100), "CTP:不合法的登录[31m");
        assert_eq!(clean("不合法", 4), "不…");
        let long = "x".repeat(5_000);
        let Report::Bye { reason, .. } = cleaned(Report::Bye { code: 1, reason: long.clone() }) else { panic!() };
        assert_eq!(reason.chars().count(), SENTENCE_BYTES_MAX + 1);
        let refused = cleaned(Report::LoginRefused { code: 3, message: format!("\u{7}{long}") });
        assert!(
            matches!(refused, Report::LoginRefused { message, .. } if message.len() < 1_100 && message.starts_with('x'))
        );
    }

    proptest! {
        #[test]
        fn whatever_is_said_fits(text in any::<String>(), bytes_max in 0usize..50) {
            let out = clean(&text, bytes_max);
            prop_assert!(out.len() <= bytes_max + '…'.len_utf8());
            prop_assert!(!out.chars().any(char::is_control));
        }
    }
}
