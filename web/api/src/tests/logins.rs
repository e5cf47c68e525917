//! Logins over real sockets.

use super::*;

const RIGHT: &str = r#"{"username": "admin", "password": "a right password"}"#;
const OWN_PAGE: &str = "Sec-Fetch-Site: same-origin\r\n";

/// The header that a browser sends after this answer.
fn cookie(head: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    format!("Cookie: theme=dark; {}\r\n", line.split(';').next().expect("a value"))
}

/// Logs in.
async fn cookie_of(port: &Port) -> String {
    let (code, head, body) = port.send("POST", "/api/session", OWN_PAGE, RIGHT).await;
    assert_eq!(code, 200, "{body}");
    cookie(&head)
}

#[tokio::test]
async fn a_login_lets_in_until_it_is_ended() {
    let port = Port::well().await;
    let (code, head, body) = port.send("POST", "/api/session", "", RIGHT).await;
    let shown: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((code, shown["username"].as_str()), (200, Some("admin")));
    let ends_at_ms = 1_800_000_000_000_u64 + 1_000_000 + 8 * 3_600_000;
    assert_eq!(shown["expires_at_ms"].as_u64(), Some(ends_at_ms));
    assert!(head.contains("; HttpOnly; SameSite=Strict; Path=/") && !head.contains("Secure"), "{head}");
    let cookie = cookie(&head);
    assert_eq!(port.ask("/api/gateways", &cookie).await.0, 200);
    let (code, _, body) = port.ask("/api/session", &cookie).await;
    assert_eq!(code, 200);
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON"), shown);
    let (code, head, _) = port.send("DELETE", "/api/session", &format!("{cookie}{OWN_PAGE}"), "").await;
    assert_eq!(code, 204);
    assert!(head.contains("mdhub_session=;") && head.contains("Max-Age=0"), "{head}");
    assert_eq!(port.ask("/api/gateways", &cookie).await.0, 401);
    assert_eq!(port.ask("/api/session", &cookie).await.0, 401);
    let (_, head, body) = port.ask("/api/session", &basic("admin", PASSWORD)).await;
    assert!(body.contains(r#""expires_at_ms":null"#) && !head.contains("set-cookie"), "{head} {body}");
}

#[tokio::test]
async fn a_login_ends_when_nothing_is_asked_or_its_time_is_over_or_the_password_changes() {
    let port = Port::well().await;
    let cookie = cookie_of(&port).await;
    let later = |hours: u64| port.ms.fetch_add(hours * 3_600_000, Ordering::Relaxed);
    for _ in 0..3 {
        later(7);
        assert_eq!(port.ask("/api/gateways", &cookie).await.0, 200);
    }
    later(3);
    assert_eq!(port.ask("/api/gateways", &cookie).await.0, 401, "24 hours are over");
    let idle = cookie_of(&port).await;
    later(8);
    assert_eq!(port.ask("/api/gateways", &idle).await.0, 401, "8 hours without a request");
    let (one, other) = (cookie_of(&port).await, cookie_of(&port).await);
    assert_ne!(one, other);
    let next = Administrator::with_password("admin", "another password").expect("allowed");
    port.administrator.send_replace(Arc::new(next));
    for cookie in [one, other] {
        assert_eq!(port.ask("/api/gateways", &cookie).await.0, 401, "the password is another one");
    }
}

#[tokio::test]
async fn whoever_has_no_right_password_gets_no_login_and_is_not_told_what_was_wrong() {
    let port = Port::well().await;
    let mut told = std::collections::BTreeSet::new();
    for body in [
        r#"{"username": "admin", "password": "a wrong password"}"#,
        r#"{"username": "root", "password": "a right password"}"#,
        r#"{"username": "", "password": ""}"#,
    ] {
        let (code, head, body) = port.send("POST", "/api/session", "", body).await;
        assert!(code == 401 && !head.contains("set-cookie"), "{head}");
        told.insert(serde_json::from_str::<Value>(&body).expect("JSON")["detail"].to_string());
    }
    assert_eq!(told.len(), 1, "{told:?}");
    for (body, code, part) in [
        ("{", 400, "JSON"),
        ("", 400, "JSON"),
        (r#"{"username": "admin"}"#, 422, "password"),
        (r#"{"username": "admin", "password": 7}"#, 422, "password"),
        (r#"{"username": "admin", "password": "x", "remember": true}"#, 422, "remember"),
    ] {
        let (found, head, said) = port.send("POST", "/api/session", "", body).await;
        assert!(
            found == code && head.contains("application/problem+json") && said.contains(part),
            "{body}: {head} {said}"
        );
        assert_eq!(said.contains("\"errors\""), code == 422, "{said}");
    }
}

#[tokio::test]
async fn forged_cookies_let_nobody_in_and_a_right_one_among_them_does() {
    let port = Port::well().await;
    let right = cookie_of(&port).await;
    let value = right.trim().rsplit('=').next().expect("a value").to_owned();
    assert_eq!(value.len(), 43, "256 bits");
    let mut other = value.clone().into_bytes();
    other[0] ^= 1;
    let other = String::from_utf8(other).expect("text");
    for forged in ["", "x", &other, &value.to_lowercase(), &"A".repeat(43), &"A".repeat(5_000), &format!("{value}x")] {
        let header = format!("Cookie: mdhub_session={forged}\r\n");
        assert_eq!(port.ask("/api/gateways", &header).await.0, 401, "{forged}");
    }
    assert_eq!(port.ask("/api/gateways", &format!("Cookie: session={value}\r\n")).await.0, 401);
    let both = format!("Cookie: mdhub_session={other}; mdhub_session={value}\r\n");
    assert_eq!(port.ask("/api/gateways", &both).await.0, 200, "another hub of this host has cookies of this name");
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let port = Port::well().await;
    let cookie = cookie_of(&port).await;
    let own = format!("http://localhost:{}", port.address.port());
    let host = format!("Host: localhost:{}\r\n", port.address.port());
    let other_port = format!("http://localhost:{}", port.address.port().wrapping_add(1));
    for (header, expected) in [
        (String::new(), 403),
        ("Sec-Fetch-Site: none\r\n".to_owned(), 403),
        ("Sec-Fetch-Site: same-site\r\n".to_owned(), 403),
        (format!("Origin: {other_port}\r\nSec-Fetch-Site: same-site\r\n"), 403),
        (format!("Origin: {other_port}\r\n"), 403),
        ("Origin: null\r\n".to_owned(), 403),
        ("Origin: http://evil.example\r\n".to_owned(), 403),
        (format!("Origin: {own}\r\n"), 405),
        (OWN_PAGE.to_owned(), 405),
    ] {
        let (code, head, body) = port.send("POST", "/api/gateways", &format!("{host}{cookie}{header}"), "{}").await;
        assert_eq!(code, expected, "{header}: {body}");
        assert!(head.contains("application/problem+json"), "{head}");
    }
    let upgrade = format!("{host}{cookie}Upgrade: websocket\r\n");
    assert_eq!(port.send("GET", "/api/gateways", &upgrade, "").await.0, 403, "so does a WebSocket");
    assert_eq!(
        port.send("POST", "/api/gateways", &basic("admin", PASSWORD), "{}").await.0,
        405,
        "a script has no page"
    );
}
