//! Real servers: one of each kind for the whole run, a new database for every test.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use mongodb::Client;
use mongodb::bson::doc;
use sqlx::{ConnectOptions, Connection, Executor};

/// A server that `tests/servers/serve.py` runs; that ends it when this process ends, however it does.
pub(crate) struct Server {
    pub(crate) port: u16,
    #[expect(dead_code, reason = "held: when its stdin ends, so does the server")]
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Server {
    /// Starts one; `None` where it is not installed.
    #[expect(clippy::disallowed_methods, reason = "a test of real servers starts them")]
    pub(crate) fn start(kind: &str) -> Option<Self> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/servers/serve.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(kind).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 runs");
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let Some(port) = port(&mut stdout) else {
            let status = child.wait().expect("ended");
            assert_eq!(status.code(), Some(3), "{kind} does not start");
            return None;
        };
        Some(Self { port, child, pipes: Mutex::new((stdin, stdout)) })
    }

    /// `kill` or `start`.
    pub(crate) fn tell(&self, order: &str) {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "{order}").expect("told");
        assert_eq!(port(&mut pipes.1), Some(self.port), "{order}");
    }
}

fn port(stdout: &mut impl BufRead) -> Option<u16> {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("readable");
    let told: serde_json::Value = serde_json::from_str(&line).ok()?;
    told["port"].as_u64()?.try_into().ok()
}

/// Says that a test cannot run here; with `CI=true` that is a failure.
pub(crate) fn skip(kind: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{kind} is not installed, and must be where CI=true");
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    println!("skipped: {test}: {kind} is not installed; get it with: sudo make deps");
}

/// A name that no other test has.
pub(crate) fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Prepares a server on a runtime and thread of its own: the tests' runtimes come and go.
fn apart<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let run = move || tokio::runtime::Runtime::new().expect("a runtime").block_on(work);
    std::thread::spawn(run).join().expect("prepared")
}

/// A new database on MariaDB, and its user: `hub` with a password, and no rights elsewhere.
pub(crate) async fn mariadb() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Server::start("mariadb")).as_ref()?;
    Some(mariadb_database(server.port).await)
}

pub(crate) async fn mariadb_database(port: u16) -> String {
    let name = fresh_name();
    let root: sqlx::mysql::MySqlConnectOptions = format!("mysql://root@127.0.0.1:{port}").parse().expect("a URL");
    let mut root = root.disable_statement_logging().connect().await.expect("connected");
    for statement in [
        format!("CREATE DATABASE {name}"),
        format!("CREATE USER '{name}'@'127.0.0.1' IDENTIFIED BY 'hunter2'"),
        format!("GRANT ALL ON {name}.* TO '{name}'@'127.0.0.1'"),
    ] {
        root.execute(sqlx::AssertSqlSafe(statement)).await.expect("done");
    }
    root.close().await.expect("closed");
    format!("mysql://{name}:hunter2@127.0.0.1:{port}/{name}")
}

/// A new database on a MongoDB replica set.
pub(crate) async fn mongod() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let ready = || Server::start("mongod").inspect(|server| apart(initiate(server.port)));
    let port = SERVER.get_or_init(ready).as_ref()?.port;
    Some(format!("mongodb://127.0.0.1:{port}/{}?replicaSet=rs0", fresh_name()))
}

pub(crate) async fn initiate(port: u16) {
    let client = Client::with_uri_str(format!("mongodb://127.0.0.1:{port}/?directConnection=true")).await;
    let admin = client.expect("a client").database("admin");
    let member = doc! {"_id": 0, "host": format!("127.0.0.1:{port}")};
    admin.run_command(doc! {"replSetInitiate": {"_id": "rs0", "members": [member]}}).await.expect("initiated");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let hello = admin.run_command(doc! {"hello": 1}).await.expect("an answer");
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "no primary");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A new database on a MongoDB that stands alone and asks for users.
pub(crate) async fn mongod_auth() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let ready = || Server::start("mongod-auth").inspect(|server| apart(first_user(server.port)));
    let port = SERVER.get_or_init(ready).as_ref()?.port;
    let name = fresh_name();
    let root = Client::with_uri_str(format!("mongodb://root:hunter2@127.0.0.1:{port}/admin")).await.expect("a client");
    let user = doc! {"createUser": &name, "pwd": "hunter2", "roles": ["readWrite"]};
    root.database(&name).run_command(user).await.expect("a user");
    Some(format!("mongodb://{name}:hunter2@127.0.0.1:{port}/{name}"))
}

/// The server lets the first user in from its own machine.
async fn first_user(port: u16) {
    let client = Client::with_uri_str(format!("mongodb://127.0.0.1:{port}/")).await.expect("a client");
    let user = doc! {"createUser": "root", "pwd": "hunter2", "roles": ["root"]};
    client.database("admin").run_command(user).await.expect("the first user");
}
