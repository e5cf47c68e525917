//! Prints the ticks of a hub, in Rust: crates `zeromq` and `rmpv` are all it takes.
//!
//! ```text
//! cargo run --example subscriber -- rb2701.SHFE tcp://127.0.0.1:5555
//! ```
//!
//! The topic is a `vt_symbol` or any prefix of one. A message has two frames: the `vt_symbol`, and a MessagePack map with
//! the field names of vnpy's `TickData`. An absent number is nil.

use std::error::Error;
use std::io::{self, Write as _};

use rmpv::Value;
use zeromq::{Socket, SocketRecv, SubSocket};

/// The last known tick, which a newcomer may get on subscribing. It is not news: a strategy must not trade on it.
const FLAG_SNAPSHOT: u64 = 1;

/// One tick for people.
fn line(tick: &Value) -> String {
    let text = |name: &str| tick[name].as_str().unwrap_or("-").to_owned();
    let number = |name: &str| tick[name].as_f64().map_or_else(|| "-".to_owned(), |n| n.to_string());
    format!(
        "{:<16} last {} bid {} x {} ask {} x {} volume {} seq {} from {}",
        text("vt_symbol"),
        number("last_price"),
        number("bid_price_1"),
        number("bid_volume_1"),
        number("ask_price_1"),
        number("ask_volume_1"),
        number("volume"),
        tick["seq"],
        text("source"),
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let topic = arguments.next().unwrap_or_default();
    let endpoint = arguments.next().unwrap_or_else(|| "tcp://127.0.0.1:5555".to_owned());

    let mut socket = SubSocket::new();
    socket.connect(&endpoint).await?;
    socket.subscribe(&topic).await?;
    let mut out = io::stdout().lock();
    loop {
        let message = socket.recv().await?;
        let payload = message.get(1).ok_or("a message without payload came")?;
        let tick = rmpv::decode::read_value(&mut &payload[..])?;
        if tick["flags"].as_u64().unwrap_or_default() & FLAG_SNAPSHOT == 0 {
            writeln!(out, "{}", line(&tick))?;
        }
    }
}
