//! `mdhub health`: what the hub of a data directory answers to `GET /health`, for supervisors that have no HTTP client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::cli::HealthArgs;
use crate::data_dir::DataDir;
use crate::{Failure, say};

/// A hub answers in milliseconds or stands still. Docker waits for five seconds.
const STEP_MAX: Duration = Duration::from_secs(2);
/// More than any answer to this question.
const ANSWER_BYTES_MAX: u64 = 65_536;

/// Prints the answer.
///
/// # Errors
/// When no hub answers, or one that is not healthy.
pub(crate) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let http = DataDir::existing(&args.data_dir)?
        .announced_http()
        .ok_or_else(|| format!("{}: no hub has told in run.json where it answers", args.data_dir.display()))?;
    say(ask(http)?)
}

fn ask(http: SocketAddr) -> Result<String, Failure> {
    let answer = answer(http).map_err(|e| format!("http://{http}/health: no answer: {e}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).unwrap_or("no status");
    if status == "200" {
        Ok(body.trim().to_owned())
    } else {
        Err(format!("http://{http}/health: {status}: {}", body.trim()))
    }
}

fn answer(http: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&http, STEP_MAX)?;
    stream.set_read_timeout(Some(STEP_MAX))?;
    stream.set_write_timeout(Some(STEP_MAX))?;
    write!(stream, "GET /health HTTP/1.0\r\nHost: localhost:{}\r\n\r\n", http.port())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::*;

    fn asked_of(answer: &'static str) -> (Result<String, Failure>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("its address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let lines = BufReader::new(stream.try_clone().expect("its other half")).lines();
            let asked: Vec<_> = lines.map(|line| line.expect("a line")).take_while(|line| !line.is_empty()).collect();
            stream.write_all(answer.as_bytes()).expect("it reads");
            asked.join("|").replace(&at.port().to_string(), "PORT")
        });
        (ask(at), server.join().expect("the server ends"))
    }

    #[test]
    fn only_a_200_is_healthy_and_the_body_says_why() {
        let (said, asked) = asked_of("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"healthy\":true}\n");
        assert_eq!(said.as_deref(), Ok("{\"healthy\":true}"));
        assert_eq!(asked, "GET /health HTTP/1.0|Host: localhost:PORT");
        for (answer, why) in [
            (
                "HTTP/1.1 503 Service Unavailable\r\n\r\nthe feed thread stands still",
                ": 503: the feed thread stands still",
            ),
            ("HTTP/1.0 421 Misdirected\r\n\r\n", ": 421: "),
            ("nonsense", ": no status: "),
            ("", ": no status: "),
        ] {
            let refused = asked_of(answer).0.expect_err(answer);
            assert!(refused.ends_with(why), "{refused}");
        }
    }

    #[test]
    fn where_nobody_listens_it_says_so() {
        let at =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port that was free");
        let refused = ask(at).expect_err("nobody is there");
        assert!(refused.contains("no answer: "), "{refused}");
    }
}
