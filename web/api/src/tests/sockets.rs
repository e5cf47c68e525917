//! WebSockets, and those who opened them.

use axum::extract::WebSocketUpgrade;
use axum::routing::any;

use super::*;

/// A WebSocket at `/ws`.
async fn upgraded(address: std::net::SocketAddr, header: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.expect("connects");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let request = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}{key}{header}\r\n");
    client.write_all(request.as_bytes()).await.expect("writes");
    let mut start = [0; 12];
    client.read_exact(&mut start).await.expect("reads");
    assert_eq!(&start, b"HTTP/1.1 101");
    client
}

#[tokio::test]
async fn a_logout_closes_the_websocket_that_was_opened_with_the_login() {
    let port = Port::well().await;
    let login = format!(r#"{{"username": "admin", "password": "{PASSWORD}"}}"#);
    let (_, head, _) = port.send("POST", "/api/session", "", &login).await;
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next()).expect("a cookie");
    let own = format!("Cookie: {cookie}\r\nOrigin: http://localhost\r\n");
    let mut client = upgraded(port.address, &own).await;
    assert_eq!(port.send("DELETE", "/api/session", &own, "").await.0, 204);
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "it is still open");
}

#[tokio::test]
async fn a_websocket_lasts_as_long_as_whoever_opened_it_would_be_let_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let administrator = Arc::new(Administrator::with_password("admin", PASSWORD).expect("allowed"));
    let administrator = watch::Sender::new(administrator);
    let guard = Guard::new(
        administrator.subscribe(),
        Sessions::new(&Http::default(), Arc::new(Now::default), watch::Sender::default()),
    );
    let endless = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move { while socket.recv().await.is_some_and(|found| found.is_ok()) {} })
    };
    let router = Router::new().route("/ws", any(endless)).layer(middleware::from_fn_with_state(guard, guard::admit));
    let router = router.layer(middleware::from_fn_with_state(Door::new(&Http::default(), address.ip()), door::enter));
    let service = router.layer(middleware::from_fn(door::progress)).into_make_service_with_connect_info::<Peer>();
    tokio::spawn(async move { axum::serve(Limited::new(listener, Vec::new()), service).await });

    let mut client = upgraded(address, &basic("admin", PASSWORD)).await;
    let mut rest = Vec::new();
    let waited = tokio::time::timeout(Duration::from_secs(3), client.read_to_end(&mut rest)).await;
    assert!(waited.is_err(), "it was closed: {}", String::from_utf8_lossy(&rest));
    let next = Administrator::with_password("admin", "another password").expect("allowed");
    administrator.send_replace(Arc::new(next));
    let closed = tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "it is still open");
}
