//! A feed that does not answer in time.

use super::*;

#[tokio::test]
async fn what_only_the_feed_knows_is_503_while_it_does_not_answer() {
    let port = Port::well().await;
    for path in ["/api/contracts", "/api/subscribers", "/api/quarantine", "/api/ticks/rb2701.SHFE"] {
        let (code, problem) = port.as_admin(path).await;
        assert_eq!((code, problem["status"].as_u64()), (503, Some(503)), "{path}");
        assert!(problem["detail"].as_str().is_some_and(|why| why.contains("the feed does not answer")), "{problem}");
    }
    assert_eq!(port.as_admin("/api/gateways").await.0, 200, "everything else goes on");
    assert_eq!(port.ask("/api/contracts", "").await.0, 401);
}
