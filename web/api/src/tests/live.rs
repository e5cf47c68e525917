//! `/ws` over a real socket, with frames written and read by hand.

use super::*;

const OPENING: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client that knows frames, and no more.
struct Client {
    stream: TcpStream,
    /// What is inside of masked frames is exclusive-ored with this.
    mask: [u8; 4],
}

impl Client {
    /// One that has room for little, before it reads.
    async fn open(port: &Port) -> Self {
        let (client, head) = Self::open_from(1, port).await;
        // The answer to this key is in RFC 6455, section 1.3.
        assert!(head.starts_with("http/1.1 101") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        client
    }

    /// One from another address of this machine, and the answer's head.
    async fn open_from(last: u8, port: &Port) -> (Self, String) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("allowed");
        socket.bind(([127, 0, 0, last], 0).into()).expect("an address of this machine");
        let mut stream = socket.connect(port.address).await.expect("connects");
        let (user, path) = (basic("admin", PASSWORD), "/ws");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{user}{OPENING}\r\n");
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        (Self { stream, mask: [1, 2, 3, 4] }, String::from_utf8_lossy(&head).to_lowercase())
    }

    /// The next frame: its kind and its content.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let next = async {
            let (first, second) = (self.stream.read_u8().await?, self.stream.read_u8().await?);
            let length = match second {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            let mut content = vec![0; usize::try_from(length).expect("short")];
            self.stream.read_exact(&mut content).await?;
            Ok::<_, io::Error>((first & 0x0f, content))
        };
        let read = tokio::time::timeout(Duration::from_secs(20), next).await.expect("a frame in time");
        // An end without a word is one, too.
        read.unwrap_or((8, Vec::new()))
    }

    async fn told(&mut self) -> Value {
        loop {
            match self.frame().await {
                (1, text) => return serde_json::from_slice(&text).expect("JSON"),
                (8, end) => panic!("closed: {}", String::from_utf8_lossy(&end)),
                _ => {}
            }
        }
    }

    /// The next message of this kind, or event of this topic.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            let told = self.told().await;
            if told["type"] == kind || told["topic"] == kind {
                return told;
            }
        }
    }

    /// How it is closed: the code, 0 for none.
    async fn closed(&mut self) -> (u16, String) {
        loop {
            if let (8, end) = self.frame().await {
                let code = end.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                return (code, String::from_utf8_lossy(end.get(2..).unwrap_or_default()).into_owned());
            }
        }
    }

    async fn say(&mut self, kind: u8, content: &[u8]) {
        let mut frame = vec![0x80 | kind];
        match u16::try_from(content.len()) {
            Ok(short @ ..126) => frame.push(0x80 | short.to_le_bytes()[0]),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend((content.len() as u64).to_be_bytes());
            }
        }
        frame.extend(self.mask);
        frame.extend(content.iter().zip(self.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        let _ = self.stream.write_all(&frame).await;
    }
}

fn event(n: i64) -> Event {
    Event { at_ms: n, account: None, actor: "hub".into(), reason: "Done".into(), message: "x".repeat(100) }
}

#[tokio::test]
async fn a_client_is_told_the_state_and_then_each_change_with_the_next_revision() {
    let port = Port::well().await;
    let mut client = Client::open(&port).await;
    let snapshot = client.told().await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["state"]["gateways"][0]["id"], "ctp-a");
    let mut revision = snapshot["revision"].as_u64().expect("a number");
    port.status.send_replace(Arc::new(json!({"accounts": {"ctp-a": {"phase": "Blocked"}}, "sections": {"items": []}})));
    port.rates.send_replace(Arc::new(json!({"hub": {"ticks_per_s": 7}})));
    let _ = port.events.send(event(5));
    let mut seen = std::collections::BTreeMap::new();
    while seen.len() < 5 {
        let told = client.told().await;
        revision += 1;
        assert_eq!((&told["type"], &told["revision"]), (&json!("event"), &json!(revision)));
        seen.insert(told["topic"].as_str().expect("a topic").to_owned(), told);
    }
    assert_eq!(seen["gateways"]["items"], json!([{"id": "ctp-a", "phase": "Blocked"}]));
    assert_eq!(seen["removed"]["ids"], json!(["ctp-b"]));
    assert_eq!(seen["hub"]["hub"]["sections"], json!({"items": []}));
    assert_eq!(seen["rates"]["rates"]["hub"]["ticks_per_s"], 7);
    assert_eq!(seen["event"]["event"]["at_ms"], 5);
}

#[tokio::test]
async fn strangers_and_pages_of_other_sites_get_no_socket() {
    let port = Port::well().await;
    assert_eq!(port.ask("/ws", OPENING).await.0, 401);
    let foreign = format!("{OPENING}Origin: http://elsewhere.example\r\n{}", basic("admin", PASSWORD));
    assert_eq!(port.ask("/ws", &foreign).await.0, 403);
    let (code, problem) = port.as_admin("/ws").await;
    assert!((400..500).contains(&code) && problem["status"] == code, "{problem}");
}

#[tokio::test]
async fn lines_of_the_log_come_to_whoever_asked_for_them_and_pass_their_filter() {
    let port = Port::well().await;
    let (mut client, mut other) = (Client::open(&port).await, Client::open(&port).await);
    client.next("snapshot").await;
    client.say(1, br#"{"subscribe":"logs","level":"error","account":"ctp-a"}"#).await;
    let lines = (port.logs.kept)();
    let found = loop {
        lines.iter().for_each(|line| drop(port.logs.live.send(Arc::new(LiveLine::new(line.clone())))));
        if let Ok(told) = tokio::time::timeout(Duration::from_millis(300), client.next("log")).await {
            break told;
        }
    };
    assert_eq!(found["items"][0]["seq"], 2);
    assert_eq!(found["dropped"], 0);
    assert!(found["items"].as_array().is_some_and(|items| items.iter().all(|line| line["seq"] == 2)), "{found}");
    let _ = port.events.send(event(1));
    other.next("snapshot").await;
    assert_eq!(other.told().await["topic"], "event", "it did not ask for lines");
}

#[tokio::test]
async fn whoever_does_not_read_for_long_gets_a_fresh_snapshot_and_misses_nothing_silently() {
    let port = Port::well().await;
    let mut client = Client::open(&port).await;
    let mut revision = client.told().await["revision"].as_u64().expect("a number");
    let mut watcher = Client::open(&port).await;
    watcher.next("snapshot").await;
    // Some megabytes more than all the buffers on the way hold.
    let long = "x".repeat(200_000);
    for n in 0..200 {
        port.rates.send_replace(Arc::new(json!({"n": n, "text": long})));
        watcher.next("rates").await;
    }
    port.rates.send_replace(Arc::new(json!({"n": "last"})));
    let mut snapshots = 0;
    loop {
        let told = client.told().await;
        let next = told["revision"].as_u64().expect("a number");
        if told["type"] == "snapshot" {
            snapshots += 1;
            assert!(next > revision + 1, "there was no need for it");
        } else {
            assert_eq!(next, revision + 1, "a hole that nobody told of");
        }
        revision = next;
        if told["rates"]["n"] == "last" || told["state"]["rates"]["n"] == "last" {
            break;
        }
    }
    assert!(snapshots > 0, "it was never too slow");
}

#[tokio::test]
async fn what_is_malformed_ends_its_client_and_no_other() {
    let port = Port::well().await;
    let mut well = Client::open(&port).await;
    well.next("snapshot").await;
    for (kind, content, expected) in [
        (1, b"{".to_vec(), 1008),
        (1, br#"{"subscribe":"ticks"}"#.to_vec(), 1008),
        (2, vec![0; 8], 1008),
        (1, vec![0xff, 0xfe], 1002),
        (1, vec![b' '; 5_000], 1002),
        (1, vec![b' '; 200_000], 1002),
        (3, Vec::new(), 1002),
        (9, vec![0; 126], 1002),
    ] {
        let mut client = Client::open(&port).await;
        client.next("snapshot").await;
        client.say(kind, &content).await;
        let (code, reason) = client.closed().await;
        assert!([expected, 0].contains(&code), "{kind} {} bytes: {code} {reason}", content.len());
        assert!(code != 1008 || !reason.is_empty());
    }
    let mut hasty = Client::open(&port).await;
    hasty.next("snapshot").await;
    for _ in 0..50 {
        hasty.say(1, br#"{"unsubscribe":"logs"}"#).await;
    }
    assert_eq!(hasty.closed().await.0, 1008);
    let _ = port.events.send(event(1));
    assert_eq!(well.told().await["topic"], "event");
}

#[tokio::test]
async fn of_too_many_clients_the_last_is_refused_and_a_place_is_free_again() {
    let port = Port::well().await;
    let mut clients = Vec::new();
    for n in 0..256_u16 {
        let (mut client, head) = Client::open_from(if n < 128 { 2 } else { 3 }, &port).await;
        assert!(head.starts_with("http/1.1 101"), "{n}: {head}");
        client.next("snapshot").await;
        clients.push(client);
    }
    let (_, head) = Client::open_from(4, &port).await;
    assert!(head.starts_with("http/1.1 503") && head.contains("application/problem+json"), "{head}");
    drop(clients);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !Client::open_from(4, &port).await.1.starts_with("http/1.1 101") {
        assert!(Instant::now() < deadline, "no place becomes free");
    }
}

#[tokio::test]
async fn another_password_ends_what_the_former_one_opened_and_the_hubs_end_is_told() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let port = Port::open(Arc::new(|| Ok(())), async { drop(ended.await) }).await;
    let mut client = Client::open(&port).await;
    client.next("snapshot").await;
    let next = Administrator::with_password("admin", "another password").expect("allowed");
    let before = port.administrator.send_replace(Arc::new(next));
    client.closed().await;
    port.administrator.send_replace(before);
    let mut client = Client::open(&port).await;
    client.next("snapshot").await;
    drop(end);
    assert_eq!(client.closed().await.0, 1001);
}
