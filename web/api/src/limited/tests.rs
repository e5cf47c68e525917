use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;

const QUICK: Times =
    Times { head: Duration::from_millis(600), idle: Duration::from_millis(600), stuck: Duration::from_secs(30) };

async fn open(places: Limits, times: Times) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let limited = Limited::with(listener, places, times, Vec::new());
    let slow = || async {
        tokio::time::sleep(QUICK.idle * 3).await;
        "slow"
    };
    let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
    let router = router.route("/long", get(|| async { vec![b'x'; 16 << 20] }));
    let router = router.layer(axum::middleware::from_fn(crate::door::progress));
    let service = router.into_make_service_with_connect_info::<crate::actor::Peer>();
    (address, tokio::spawn(async move { axum::serve(limited, service).await }))
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut client = TcpStream::connect(address).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), client.read_to_string(&mut answer)).await;
    assert!(read.is_ok_and(|read| read.is_ok()), "{answer}");
    answer
}

/// Waits until the other end closes.
async fn is_cut(mut client: TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn half_open_connections_push_out_one_another_and_whoever_asks_is_answered() {
    let (address, server) = open(Limits { connections: 8, of_one: 8, reserved: 0 }, TIMES).await;
    let mut half_open = Vec::new();
    for _ in 0..50 {
        let mut client = TcpStream::connect(address).await.expect("connects");
        // The other end may be gone before.
        let _ = client.write_all(b"GET / HT").await;
        half_open.push(client);
    }
    assert!(ask(address, "/").await.ends_with("hello"));
    assert!(is_cut(half_open.swap_remove(0)).await, "the first is long gone");
    server.abort();
}

#[tokio::test]
async fn whoever_takes_nothing_of_an_answer_gives_way() {
    let (address, server) = open(Limits { connections: 8, of_one: 8, reserved: 0 }, TIMES).await;
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let mut client = TcpStream::connect(address).await.expect("connects");
        client.write_all(b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("writes");
        client.read_exact(&mut [0; 12]).await.expect("an answer begins");
        stuck.push(client);
    }
    // An answer is stuck once the kernel takes no more of it.
    let answered = async {
        loop {
            let mut client = TcpStream::connect(address).await.expect("connects");
            let _ = client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
            let mut answer = String::new();
            if client.read_to_string(&mut answer).await.is_ok() && answer.ends_with("hello") {
                return;
            }
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), answered).await.is_ok(), "they keep everybody out");
    server.abort();
}

#[tokio::test]
async fn a_head_that_trickles_in_has_one_deadline_as_a_whole() {
    let (address, server) = open(PLACES, QUICK).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    let trickle = async {
        for letter in b"GET / HTTP/1.1\r\nHost: h\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
            if client.write_all(&[*letter]).await.is_err() {
                break;
            }
            tokio::time::sleep(QUICK.head / 10).await;
        }
    };
    assert!(tokio::time::timeout(QUICK.head * 20, trickle).await.is_ok(), "never cut");
    server.abort();
}

#[tokio::test]
async fn a_client_that_keeps_silent_after_an_answer_is_cut() {
    let (address, server) = open(PLACES, QUICK).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    for _ in 0..2 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("writes");
        assert!(client.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0));
    }
    assert!(is_cut(client).await);
    server.abort();
}

#[tokio::test]
async fn no_limit_cuts_while_a_request_is_being_answered() {
    let (address, server) = open(PLACES, QUICK).await;
    assert!(ask(address, "/slow").await.ends_with("slow"));
    server.abort();
}

#[tokio::test]
async fn a_head_without_end_is_cut() {
    let (address, server) = open(PLACES, TIMES).await;
    let mut client = TcpStream::connect(address).await.expect("connects");
    client.write_all(b"GET / HTTP/1.1\r\n").await.expect("writes");
    let line = format!("X: {}\r\n", "x".repeat(4_000));
    for _ in 0..100 {
        if client.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "longer than a head may take, and still open");
    server.abort();
}
