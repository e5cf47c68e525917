use base64::Engine as _;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use std::sync::atomic::{AtomicU64, Ordering};

use mdhub_spec::time::Mono;

use super::*;

mod away;
mod doors;
mod lines;
mod live;
mod logins;
mod pages;
mod silent_feed;
mod sockets;
mod strangers;

const PASSWORD: &str = "a right password";

struct Port {
    address: std::net::SocketAddr,
    status: watch::Sender<Arc<Value>>,
    administrator: watch::Sender<Arc<Administrator>>,
    rates: watch::Sender<Arc<Value>>,
    events: broadcast::Sender<Event>,
    logs: LogSource,
    /// What the clock shows, milliseconds.
    ms: Arc<AtomicU64>,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

impl Port {
    async fn open(health: HealthProbe, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::with(Http::default(), health, shutdown).await
    }

    async fn with(http: Http, health: HealthProbe, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::showing(Pages::default(), http, health, shutdown).await
    }

    async fn showing(
        pages: Pages,
        http: Http,
        health: HealthProbe,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let accounts = json!({"ctp-a": {"phase": "Healthy", "generation": 2, "observed_generation": 1}, "ctp-b": {}});
        let status = watch::Sender::new(Arc::new(json!({"accounts": accounts, "silent_markets": []})));
        let administrator = Administrator::with_password("admin", PASSWORD).expect("allowed");
        let administrator = watch::Sender::new(Arc::new(administrator));
        let ms = Arc::new(AtomicU64::new(1_000_000));
        let shown = Arc::clone(&ms);
        let now = move || {
            let mono = Mono(0).plus_ms(shown.load(Ordering::Relaxed));
            Now { mono, wall_ns: 1_800_000_000_000_000_000 + mono.0 }
        };
        let (logs, events) = (LogSource::of_two(), broadcast::Sender::new(64));
        let rates = watch::Sender::new(Arc::new(Value::Null));
        let sources = Sources {
            clock: Arc::new(now),
            http,
            ready: health.clone(),
            health,
            status: status.subscribe(),
            counters: Arc::new(|id| if id == "ctp-a" { json!({"received": 7}) } else { Value::Null }),
            logs: logs.clone(),
            events: events.clone(),
            rates: rates.subscribe(),
            canaries: watch::Sender::new(Arc::default()).subscribe(),
            feed: Arc::new(away::Away),
            trials: Arc::new(away::Away),
            metrics: Arc::new(|| "# TYPE mdhub_build_info gauge\nmdhub_build_info 1\n".to_owned()),
            pages: Arc::new(pages),
            store: Arc::new(away::Away),
            logins: watch::Sender::default(),
            administrator: administrator.subscribe(),
        };
        let server = tokio::spawn(serve(listener, sources, shutdown));
        Self { address, status, administrator, rates, events, logs, ms, server }
    }

    async fn well() -> Self {
        Self::open(Arc::new(|| Ok(())), std::future::pending()).await
    }

    /// One request over a real socket: status code, head, body.
    async fn ask(&self, path: &str, header: &str) -> (u16, String, String) {
        talk(TcpStream::connect(self.address).await.expect("connects"), "GET", path, header).await
    }

    /// One with any method, and a body.
    async fn send(&self, method: &str, path: &str, header: &str, body: &str) -> (u16, String, String) {
        let mut client = TcpStream::connect(self.address).await.expect("connects");
        let host = if header.contains("Host: ") { "" } else { "Host: localhost\r\n" };
        let head = format!("{method} {path} HTTP/1.1\r\n{host}{header}Connection: close\r\n");
        let length = body.len();
        let request = format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        client.write_all(request.as_bytes()).await.expect("writes");
        answer(client).await
    }

    /// One from another address of this machine.
    async fn ask_from(&self, last: u8, path: &str, header: &str) -> (u16, String, String) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, last], 0).into()).expect("an address of this machine");
        talk(socket.connect(self.address).await.expect("connects"), "GET", path, header).await
    }

    async fn as_admin(&self, path: &str) -> (u16, Value) {
        let (code, _, body) = self.ask(path, &basic("admin", PASSWORD)).await;
        (code, serde_json::from_str(&body).expect("JSON"))
    }
}

/// One request and its answer: status code, head, body.
async fn talk(mut client: TcpStream, method: &str, path: &str, header: &str) -> (u16, String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("writes");
    answer(client).await
}

async fn answer(mut client: TcpStream) -> (u16, String, String) {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("reads");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, head.to_owned(), body.to_owned())
}

fn basic(user: &str, password: &str) -> String {
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {credentials}\r\n")
}

#[tokio::test]
async fn health_is_ok_while_the_hub_is_well() {
    let (code, _, body) = Port::well().await.ask("/health", "").await;
    assert_eq!((code, body.as_str()), (200, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn health_is_503_with_the_reason_when_it_is_not() {
    let port = Port::open(Arc::new(|| Err("the feed thread is silent for 12 s".into())), std::future::pending()).await;
    let (code, _, body) = port.ask("/health", "").await;
    assert_eq!(code, 503);
    assert!(body.contains("the feed thread is silent for 12 s"), "{body}");
}

#[tokio::test]
async fn gateways_are_shown_to_the_administrator_and_to_nobody_else() {
    let port = Port::well().await;
    let (code, list) = port.as_admin("/api/gateways").await;
    assert_eq!((code, list["items"][0]["id"].as_str()), (200, Some("ctp-a")));
    assert_eq!(list["items"][0]["counters"]["received"], 7);
    let (code, one) = port.as_admin("/api/gateways/ctp-b").await;
    assert_eq!((code, &one["id"], &one["counters"]), (200, &json!("ctp-b"), &Value::Null));
    // From another address each, since whoever is wrong waits longer each time.
    let mut from = 0;
    for header in [
        String::new(),
        basic("admin", "wrong password"),
        basic("root", PASSWORD),
        basic("", ""),
        "Authorization: Basic ???\r\n".to_owned(),
        "Authorization: Bearer x\r\n".to_owned(),
        format!("Authorization: Basic {}\r\n", "A".repeat(3_000)),
    ] {
        for path in ["/api/gateways", "/api/gateways/ctp-a", "/api/nothing"] {
            from += 1;
            let (code, head, body) = port.ask_from(from, path, &header).await;
            assert_eq!(code, 401, "{path} {header}");
            assert!(head.contains("application/problem+json") && !head.contains("www-authenticate"), "{head}");
            assert!(!body.contains("ctp-a") && !body.contains("received"), "{body}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_that_names_it() {
    let port = Port::well().await;
    let (code, problem) = port.as_admin("/api/gateways/ctp-c").await;
    assert_eq!((code, problem["status"].as_u64()), (404, Some(404)));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("ctp-c")), "{problem}");
    assert_eq!(port.as_admin("/api/nothing").await.0, 404);
    assert_eq!(port.ask("/nothing", "").await.0, 404);
    assert_eq!(port.as_admin("/api/gateways/..%2f..%2fetc").await.0, 404);
    let (code, _, _) = port.ask("/api/gateways/ctp-a?wait_generation=x", &basic("admin", PASSWORD)).await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn a_generation_is_waited_for() {
    let port = Port::well().await;
    let mover = port.status.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        mover.send_replace(Arc::new(json!({"accounts": {"ctp-a": {"observed_generation": 2}}})));
    });
    let began = Instant::now();
    let (_, one) = port.as_admin("/api/gateways/ctp-a?wait_generation=2").await;
    assert_eq!(one["observed_generation"], 2);
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_never_comes_is_answered_and_an_unknown_account_at_once() {
    let port = Port::well().await;
    assert_eq!(port.as_admin("/api/gateways").await.0, 200);
    let began = Instant::now();
    assert_eq!(port.as_admin("/api/gateways/ctp-c?wait_generation=2").await.0, 404);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let (code, one) = port.as_admin("/api/gateways/ctp-a?wait_generation=2").await;
    assert_eq!((code, one["observed_generation"].as_u64()), (200, Some(1)));
    assert!(began.elapsed() >= Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn whoever_guesses_does_not_keep_out_the_administrator_whose_password_is_known() {
    let port = Arc::new(Port::well().await);
    assert_eq!(port.as_admin("/api/gateways").await.0, 200);
    let guesses: Vec<_> = (0..60)
        .map(|n| {
            let port = Arc::clone(&port);
            tokio::spawn(async move { port.ask("/api/gateways", &basic("admin", &format!("guess {n:04}"))).await.0 })
        })
        .collect();
    let began = Instant::now();
    assert_eq!(port.as_admin("/api/gateways").await.0, 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let mut codes = std::collections::BTreeSet::new();
    for guess in guesses {
        codes.insert(guess.await.expect("answered"));
    }
    assert!(codes.iter().all(|code| [401, 429].contains(code)) && codes.contains(&401), "{codes:?}");
}

#[tokio::test]
async fn a_password_that_was_changed_lets_nobody_in_any_more_at_once() {
    let port = Port::well().await;
    assert_eq!(port.as_admin("/api/gateways").await.0, 200);
    let next = Administrator::with_password("admin", "another password").expect("allowed");
    port.administrator.send_replace(Arc::new(next));
    assert_eq!(port.as_admin("/api/gateways").await.0, 401);
    assert_eq!(port.ask("/api/gateways", &basic("admin", "another password")).await.0, 200);
}

#[tokio::test]
async fn a_request_that_is_never_finished_does_not_hold_up_the_end() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let port = Port::open(Arc::new(|| Ok(())), async { drop(ended.await) }).await;
    let mut half = TcpStream::connect(port.address).await.expect("connects");
    half.write_all(b"GET /hea").await.expect("writes");
    // Connections are taken in order: once the second is answered, the first was taken.
    let mut whole = TcpStream::connect(port.address).await.expect("connects");
    whole.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("writes");
    assert!(whole.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0));
    drop(end);
    let served = tokio::time::timeout(CLOSING * 10, port.server).await;
    assert!(served.is_ok_and(|joined| joined.is_ok_and(|served| served.is_ok())));
}
