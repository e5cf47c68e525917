//! The log over a real socket.

use super::*;

#[tokio::test]
async fn the_log_is_shown_to_the_administrator_and_what_is_asked_wrongly_is_a_problem() {
    let port = Port::well().await;
    assert_eq!(port.ask("/api/logs", "").await.0, 401);
    let seqs = |page: Value| -> Vec<u64> {
        page["items"].as_array().into_iter().flatten().filter_map(|line| line["seq"].as_u64()).collect()
    };
    for (query, expected) in [
        ("", &[2, 1][..]),
        ("?limit=1", &[2]),
        ("?before=2", &[1]),
        ("?level=error", &[2]),
        ("?account=ctp-a&text=LOST", &[2]),
        ("?text=nowhere", &[]),
    ] {
        let (code, page) = port.as_admin(&format!("/api/logs{query}")).await;
        assert_eq!((code, seqs(page)), (200, expected.to_vec()), "{query}");
    }
    assert_eq!(port.as_admin("/api/logs?limit=1").await.1["next"], 2);
    for query in ["limit=0", "limit=1001", "limit=x", "level=loud", "before=-1", "acount=a", "text=a&text=b"] {
        let (code, problem) = port.as_admin(&format!("/api/logs?{query}")).await;
        assert_eq!((code, &problem["status"]), (400, &json!(400)), "{query}: {problem}");
    }
}
