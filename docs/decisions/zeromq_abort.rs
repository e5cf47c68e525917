//! Why mdhub has a publisher of its own: a subscriber that finishes its handshake and then announces an impossible frame
//! ends the whole process that publishes with the crate `zeromq`.
//!
//! `cargo run --example zeromq_abort`; see `own-publisher.md` beside this file. Should it ever print "still here", the
//! decision is to be looked at again.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use zeromq::{PubSocket, Socket, SocketSend};

/// A ZMTP 3.0 greeting, mechanism NULL, as a client.
fn greeting() -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

/// A subscriber that behaves until it is let in, and then sends `rubbish`.
fn hostile(address: &str, rubbish: &[u8]) -> std::io::Result<()> {
    let mut peer = TcpStream::connect(address)?;
    peer.write_all(&greeting())?;
    peer.read_exact(&mut [0; 64])?;
    peer.write_all(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")?;
    peer.write_all(rubbish)?;
    let _ = peer.read(&mut [0; 256])?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut publisher = PubSocket::new();
    let endpoint = publisher.bind("tcp://127.0.0.1:0").await?.to_string();
    let address = endpoint.trim_start_matches("tcp://").to_owned();
    // A long frame of 2^46 bytes: nine bytes on the wire, and as much memory as the peer likes.
    let mut rubbish = vec![0x02];
    rubbish.extend_from_slice(&(1u64 << 46).to_be_bytes());
    println!("a subscriber announces a frame of 64 TiB");
    let peer = tokio::task::spawn_blocking(move || hostile(&address, &rubbish));
    tokio::time::sleep(Duration::from_secs(2)).await;
    publisher.send("a tick".into()).await?;
    println!("still here");
    peer.abort();
    std::process::exit(0);
}
