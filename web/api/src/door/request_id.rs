//! The name of a request, in the log and in problems: the client's own, or one that is made.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName};

/// The header that has it, in both directions.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a client's that is taken over.
const BYTES_MAX: usize = 64;

/// Makes ids.
pub(super) struct Ids {
    /// Tells one run of the hub from another.
    run: String,
    next: AtomicU64,
}

impl Ids {
    pub(super) fn new() -> Self {
        let mut random = [0; 4];
        // Without randomness the numbers alone tell requests of this run apart.
        let _ = getrandom::fill(&mut random);
        let mut run = String::new();
        for byte in random {
            let _ = write!(run, "{byte:02x}");
        }
        Self { run, next: AtomicU64::new(1) }
    }

    /// The id of a request with these headers.
    pub(super) fn of(&self, headers: &HeaderMap) -> String {
        let given = headers.get(HEADER).and_then(|id| id.to_str().ok()).filter(|id| is_well_formed(id));
        given.map_or_else(|| format!("{}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed)), str::to_owned)
    }
}

fn is_well_formed(id: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=BYTES_MAX).contains(&id.len()) && id.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_is_taken_over_and_any_other_request_gets_one_of_its_own() {
        let ids = Ids::new();
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, id.parse().expect("a value"));
            ids.of(&headers)
        };
        assert_eq!(of("trace-7.a_B"), "trace-7.a_B");
        let long = "x".repeat(65);
        let made = ["", "two words", "a\"b", "a=b", &long].map(of);
        assert!(made.iter().all(|id| is_well_formed(id)), "{made:?}");
        let different: std::collections::BTreeSet<&String> = made.iter().collect();
        assert_eq!(different.len(), made.len());
    }
}
