use proptest::prelude::*;

use super::*;

fn line(seq: u64, level: LogLevel, account: Option<&str>, message: &str) -> Arc<LogLine> {
    Arc::new(LogLine {
        seq,
        at_ms: 1_000,
        level,
        target: "mdhub::hub".into(),
        message: message.into(),
        account: account.map(str::to_owned),
        incarnation: None,
        fields: vec![("code".into(), json!(4097)), ("why".into(), json!("Wrong Front"))],
    })
}

pub(crate) fn two() -> Vec<Arc<LogLine>> {
    vec![line(1, LogLevel::Info, None, "up"), line(2, LogLevel::Error, Some("ctp-a"), "lost")]
}

#[test]
fn a_filter_goes_by_level_account_and_text_wherever_it_is_said() {
    use LogLevel::{Debug, Error, Info, Warn};
    let said = line(1, Warn, Some("ctp-a"), "Front lost");
    for (level, account, text, expected) in [
        (None, None, None, true),
        (None, None, Some(""), true),
        (Some(Warn), None, None, true),
        (Some(Debug), None, None, true),
        (Some(Error), None, None, false),
        (None, Some("ctp-a"), None, true),
        (None, Some("ctp"), None, false),
        (None, None, Some("front LOST"), true),
        (None, None, Some("wrong front"), true),
        (None, None, Some("4097"), true),
        (None, None, Some("found"), false),
        (Some(Info), Some("ctp-a"), Some("hub"), true),
        (Some(Info), Some("ctp-b"), Some("hub"), false),
    ] {
        let filter = LogFilter::new(level, account.map(str::to_owned), text);
        assert_eq!(filter.matches(&said), expected, "{filter:?}");
    }
    assert!(!LogFilter::new(None, Some("ctp-a".into()), None).matches(&line(1, Warn, None, "of nobody")));
}

proptest! {
    #[test]
    fn pages_together_are_all_that_is_wanted_newest_first(
        lines in proptest::collection::vec((0_u8..3, any::<bool>()), 0..60),
        limit in 1_usize..20,
    ) {
        let kept: Vec<_> = lines.iter().enumerate().map(|(n, (account, is_bad))| {
            let level = if *is_bad { LogLevel::Error } else { LogLevel::Info };
            line(n as u64 + 7, level, Some(&format!("a{account}")), "x")
        }).collect();
        let filter = LogFilter::new(Some(LogLevel::Error), Some("a1".into()), None);
        let expected: Vec<u64> = lines.iter().enumerate().rev()
            .filter(|(_, of)| **of == (1, true)).map(|(n, _)| n as u64 + 7).collect();
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = page(&kept, &filter, limit, before);
            prop_assert!(page.items.len() <= limit);
            seen.extend(page.items.iter().map(|line| line.seq));
            match page.next {
                None => break,
                next => before = next,
            }
        }
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn a_line_is_an_object_with_its_fields_by_name() {
    let of = line(3, LogLevel::Warn, Some("ctp-a"), "lost");
    let expected = json!({
        "seq": 3, "at_ms": 1_000, "level": "warn", "target": "mdhub::hub", "message": "lost", "account": "ctp-a",
        "fields": {"code": 4097, "why": "Wrong Front"},
    });
    let live = LiveLine::new(of);
    assert_eq!(serde_json::from_str::<Value>(live.json()).expect("JSON"), expected);
}
