//! What those who do not know the password can bring about.

use std::collections::BTreeSet;

use super::*;

#[tokio::test]
async fn the_right_password_gets_in_while_a_hundred_guess_from_elsewhere() {
    let port = Arc::new(Port::well().await);
    let guessers: Vec<_> = (0..100_u8)
        .map(|n| {
            let port = Arc::clone(&port);
            tokio::spawn(async move {
                for guess in 0.. {
                    port.ask_from(100 + n, "/api/gateways", &basic("admin", &format!("guess {n} {guess}"))).await;
                }
            })
        })
        .collect();
    // Guessers are at it once each has been wrong.
    let (code, ..) = port.ask_from(199, "/api/gateways", &basic("admin", "wrong password")).await;
    assert!([401, 429].contains(&code), "{code}");
    for (n, password, expected) in [(2, PASSWORD, 200), (3, "a wrong password", 401), (3, PASSWORD, 200)] {
        let began = Instant::now();
        let (code, ..) = port.ask_from(n, "/api/gateways/ctp-a", &basic("admin", password)).await;
        assert_eq!(code, expected);
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
    guessers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn connections_that_never_ask_or_never_end_asking_do_not_keep_anybody_from_asking() {
    let port = Port::well().await;
    let mut half_open = Vec::new();
    for _ in 0..600 {
        let mut client = TcpStream::connect(port.address).await.expect("connects");
        let begun: &[u8] = match half_open.len() % 2 {
            0 => b"GET /health HTTP/1.1\r\n",
            _ => b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        };
        let _ = client.write_all(begun).await;
        half_open.push(client);
    }
    assert_eq!(port.ask("/health", "").await.0, 200);
    assert_eq!(port.as_admin("/api/gateways").await.0, 200);
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let port = Port::well().await;
    let admin = basic("admin", PASSWORD);
    let mut seen = BTreeSet::new();
    for (method, path, header, expected) in [
        ("GET", "/api/gateways/ctp-a?wait_generation=x", &admin, 400),
        ("GET", "/api/gateways/ctp-a?wait_generatoin=1", &admin, 400),
        ("GET", "/api/gateways/ctp-a?wait_generation=-1", &admin, 400),
        ("GET", "/api/gateways/%ff", &admin, 400),
        ("POST", "/api/gateways", &admin, 405),
        ("DELETE", "/health", &String::new(), 405),
        ("GET", "/nothing", &String::new(), 404),
        ("GET", "/api/nothing", &admin, 404),
        ("GET", "/api/gateways", &String::new(), 401),
    ] {
        let stream = TcpStream::connect(port.address).await.expect("connects");
        let (code, head, body) = talk(stream, method, path, header).await;
        assert_eq!(code, expected, "{method} {path}: {body}");
        assert!(head.contains("content-type: application/problem+json"), "{method} {path}: {head}");
        let problem: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(problem["status"], expected, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
        assert_eq!(expected == 405, head.contains("allow: GET"), "{head}");
        seen.insert(expected);
    }
    assert_eq!(seen.len(), 4);
}
