//! Paths that try to be something else.

/// Whether every part of a path says what it is: nothing empty but the last, nothing that climbs, no slash or control character
/// in disguise.
pub(super) fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let decoded = decoded(part.as_bytes());
        let is_hidden = |byte: &u8| matches!(byte, b'/' | b'\\') || byte.is_ascii_control();
        if (decoded.is_empty() && !is_last) || decoded == b"." || decoded == b".." || decoded.iter().any(is_hidden) {
            return false;
        }
    }
    true
}

/// A part of a path without its escapes; what is no escape stays.
fn decoded(part: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [first, more @ ..] = rest {
        if let (b'%', [high, low, after @ ..]) = (*first, more)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_say_what_they_are_are_plain() {
        for path in
            ["/", "/health", "/api/gateways/ctp-a", "/docs/", "/api/ticks/SPD%20MA701&MA705.CZCE", "/a..b/.c/%e4%b8%ad"]
        {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "",
            "*",
            "api",
            "//",
            "//evil.example/",
            "/api//gateways",
            "/..",
            "/../etc/passwd",
            "/api/./gateways",
            "/api/%2e%2e/health",
            "/api/%2E./health",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0ab",
            "/%7f",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
