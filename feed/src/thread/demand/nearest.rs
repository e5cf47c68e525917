//! The name that somebody most likely meant.

use super::Audience;

/// Names that are compared, on either side of where each way of writing it would be.
const REACH: usize = 32;

/// The most similar name of a topic: by edit distance, among those beside it in the order of names, as it is written and in
/// the other case.
pub(super) fn to(name: &str, audience: &impl Audience) -> Option<String> {
    let (symbol, exchange) = name.rsplit_once('.')?;
    let exchange = exchange.to_ascii_uppercase();
    let cases = [symbol.to_owned(), symbol.to_ascii_lowercase(), symbol.to_ascii_uppercase()];
    let written = cases.map(|symbol| format!("{symbol}.{exchange}"));
    let candidates = written.iter().flat_map(|written| audience.around(written, REACH));
    let measured = candidates.map(|candidate| (distance(name.as_bytes(), candidate.as_bytes()), candidate));
    let (distance, best) = measured.min()?;
    (distance <= name.len() / 2).then(|| best.to_owned())
}

/// How many letters have to be added, taken away or exchanged; the other case counts too.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "abd", 1), ("abc", "ac", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }
}
