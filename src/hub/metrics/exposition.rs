//! Prometheus' text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// What kind of number a family's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, until the hub starts anew.
    Counter,
    Gauge,
    Histogram,
}

/// Families, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a family; the samples of it must follow at once.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ =
            writeln!(self.0, "# HELP {name} {}\n# TYPE {name} {kind}", help.replace('\\', "\\\\").replace('\n', "\\n"));
    }

    /// One number of the family that was begun.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.0, "{}{label}=\"", if n == 0 { '{' } else { ',' });
            for c in text.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A histogram's buckets, `(upper bound in seconds, ticks below it that no earlier one counts)`, and their count. The last bound
    /// may be infinite.
    pub(super) fn buckets(&mut self, name: &str, labels: &[(&str, &str)], buckets: impl Iterator<Item = (f64, u64)>) {
        let mut count = 0;
        let bucket = format!("{name}_bucket");
        for (bound, ticks) in buckets {
            count += ticks;
            if bound.is_infinite() {
                continue;
            }
            self.sample(&bucket, &[labels, &[("le", &bound.to_string())]].concat(), count);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), count);
        self.sample(&format!("{name}_count"), labels, count);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_label_says_cannot_break_out_of_it() {
        let mut text = Exposition::default();
        text.family("a_total", Kind::Counter, "how many\nof \\ all");
        text.sample("a_total", &[("account", "x\"} 1\nb 2 \\"), ("rule", "r")], 3);
        text.sample("a_total", &[], 4.5);
        let expected = "# HELP a_total how many\\nof \\\\ all\n# TYPE a_total counter\n\
                        a_total{account=\"x\\\"} 1\\nb 2 \\\\\",rule=\"r\"} 3\na_total 4.5\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn buckets_add_up_to_their_count() {
        let mut text = Exposition::default();
        text.buckets("lag_seconds", &[("account", "a")], [(0.001, 2), (0.002, 0), (0.003, 5)].into_iter());
        let lines: Vec<String> = text.finish().lines().map(str::to_owned).collect();
        assert_eq!(lines[2], "lag_seconds_bucket{account=\"a\",le=\"0.003\"} 7");
        assert_eq!(lines[3], "lag_seconds_bucket{account=\"a\",le=\"+Inf\"} 7");
        assert_eq!(lines[4], "lag_seconds_count{account=\"a\"} 7");
    }
}
