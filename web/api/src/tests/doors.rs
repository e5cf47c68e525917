//! What every request passes.

use mdhub_spec::settings::Network;

use super::*;

pub(super) fn header_of<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_from_mischief() {
    let port = Port::well().await;
    for (path, header) in [
        ("/health", String::new()),
        ("/nothing", String::new()),
        ("/api/gateways", basic("admin", PASSWORD)),
        ("//", String::new()),
    ] {
        let (_, head, _) = port.ask(path, &header).await;
        let policy = header_of(&head, "content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'self'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header_of(&head, name), Some(value), "{path}: {head}");
        }
        let is_api = path.starts_with("/api");
        assert_eq!(header_of(&head, "cache-control"), is_api.then_some("no-store"), "{path}");
        assert!(header_of(&head, "x-request-id").is_some_and(|id| id.len() > 8), "{head}");
    }
}

#[tokio::test]
async fn a_problem_says_which_request_it_is_about() {
    let port = Port::well().await;
    let (_, head, body) = port.ask("/nothing", "X-Request-Id: trace-7\r\n").await;
    assert_eq!(header_of(&head, "x-request-id"), Some("trace-7"));
    assert!(body.contains(r#""request_id":"trace-7""#), "{body}");
    let (_, head, body) = port.ask("/api/gateways", "X-Request-Id: a b\r\n").await;
    let made = header_of(&head, "x-request-id").expect("an id");
    assert!(made != "a b" && body.contains(&format!(r#""request_id":"{made}""#)), "{head} {body}");
    assert_eq!(head.matches("\ncontent-type: ").count(), 1, "{head}");
}

#[tokio::test]
async fn only_requests_for_the_hubs_own_names_are_answered() {
    let http = Http { allowed_hosts: vec!["hub.desk.lan".into()], ..Http::default() };
    let port = Port::with(http, Arc::new(|| Ok(())), std::future::pending()).await;
    let admin = basic("admin", PASSWORD);
    let two = format!("Host: localhost\r\nHost: localhost\r\n{admin}");
    assert_eq!(port.send("GET", "/api/gateways", &two, "").await.0, 421, "which of them?");
    for (host, expected) in [("hub.desk.lan:8080", 200), ("localhost", 200), ("evil.example", 421), ("10.1.2.3", 421)] {
        let (code, _, body) = port.send("GET", "/api/gateways", &format!("Host: {host}\r\n{admin}"), "").await;
        assert_eq!(code, expected, "{host}: {body}");
        assert!(code == 200 || (body.contains("http.allowed_hosts") && body.contains(host)), "{body}");
        assert_eq!(
            port.send("GET", "/health", &format!("Host: {host}\r\n"), "").await.0,
            200,
            "load balancers know no name"
        );
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_with_tls_the_cookie_is_for_tls_only() {
    let proxies = vec![Network::try_from("127.0.0.0/8".to_owned()).expect("a network")];
    let trusting = Http { trusted_proxies: proxies, ..Http::default() };
    let login = format!(r#"{{"username": "admin", "password": "{PASSWORD}"}}"#);
    let forwarded = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 10.9.8.7\r\nOrigin: https://localhost\r\n";
    for (http, expected) in [(trusting, 200), (Http::default(), 403)] {
        let port = Port::with(http, Arc::new(|| Ok(())), std::future::pending()).await;
        let (code, head, body) = port.send("POST", "/api/session", forwarded, &login).await;
        assert_eq!(code, expected, "{body}");
        assert_eq!(head.contains("; Secure"), expected == 200, "{head}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_with_a_problem() {
    let port = Port::well().await;
    let cases = [("/api/session", String::new(), 4 * 1024), ("/api/gateways", basic("admin", PASSWORD), 256 * 1024)];
    for (path, header, allowed) in cases {
        let (code, _, body) = port.send("POST", path, &header, &"x".repeat(allowed + 1)).await;
        assert!(code == 413 && body.contains(&format!("{allowed} bytes")), "{path}: {code} {body}");
        let (code, ..) = port.send("POST", path, &header, &"x".repeat(allowed)).await;
        assert!([400, 405].contains(&code), "{path}: {code}");
    }
    let mut endless = TcpStream::connect(port.address).await.expect("connects");
    let head = "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let head = format!("{head}Content-Length: 99999999999\r\n\r\n");
    endless.write_all(head.as_bytes()).await.expect("writes");
    let mut start = [0; 12];
    endless.read_exact(&mut start).await.expect("an answer before the body");
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_in_is_not_waited_for() {
    let port = Port::well().await;
    let mut slow = TcpStream::connect(port.address).await.expect("connects");
    let head = "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    slow.write_all(format!("{head}Content-Length: 100\r\n\r\n{{").as_bytes()).await.expect("writes");
    let began = Instant::now();
    let (code, _, body) = answer(slow).await;
    assert!(code == 408 && body.contains("10 s"), "{code} {body}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn paths_that_try_to_be_something_else_are_not_there() {
    let port = Port::well().await;
    for path in [
        "/api/../health",
        "/api//gateways",
        "/%2e%2e/health",
        "/health%00",
        "/api/gateways/..%2fctp-a",
        "//evil.example/",
    ] {
        let (code, _, body) = port.ask(path, &basic("admin", PASSWORD)).await;
        assert!(code == 404 && body.contains("nothing at this path"), "{path}: {code} {body}");
    }
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_whoever_understands_it() {
    let port = Port::well().await;
    let accounts: serde_json::Map<String, Value> =
        (0..100).map(|n| (format!("ctp-{n}"), json!({"phase": "Healthy"}))).collect();
    port.status.send_replace(Arc::new(json!({"accounts": accounts})));
    let admin = basic("admin", PASSWORD);
    let (_, head, long) = port.ask("/api/gateways", &admin).await;
    assert_eq!(header_of(&head, "content-encoding"), None);
    let (_, head, short) = port.ask("/api/gateways", &format!("{admin}Accept-Encoding: gzip\r\n")).await;
    assert_eq!(header_of(&head, "content-encoding"), Some("gzip"));
    assert!(short.len() * 3 < long.len(), "{} {}", short.len(), long.len());
    let (_, head, _) = port.ask("/health", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(header_of(&head, "content-encoding"), None, "not worth it");
}

#[tokio::test]
async fn ready_says_whether_the_hub_does_its_work() {
    assert_eq!(Port::well().await.ask("/ready", "").await.2, r#"{"status":"ready"}"#);
    let port = Port::open(Arc::new(|| Err("no account was read yet".into())), std::future::pending()).await;
    let (code, _, body) = port.ask("/ready", "").await;
    assert!(code == 503 && body.contains("no account was read yet"), "{code} {body}");
}
