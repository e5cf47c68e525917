//! Says what subscribers' bytes mean: what each file holds that somebody sent to the tick socket.
//!
//! ```text
//! cargo run -p mdhub-feed --example zmtp_heard -- feed/tests/zmtp_corpus/*
//! ```
//!
//! It is the fuzz target of the protocol too: it reads each file whole and byte by byte, and aborts when that is not the
//! same or too much is held. For example with AFL:
//!
//! ```text
//! cargo afl build -p mdhub-feed --example zmtp_heard
//! cargo afl fuzz -i feed/tests/zmtp_corpus -o target/fuzz target/debug/examples/zmtp_heard @@
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use mdhub_feed::zmtp::heard;

/// The largest frame of a peer with its header.
const HELD_BYTES_MAX: usize = 4096 + 9;

fn main() -> Result<(), Box<dyn Error>> {
    // A fuzzer notices signals, not exit codes.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tell(info);
        std::process::abort();
    }));
    let mut out = io::stdout().lock();
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).map_err(|e| format!("{path}: {e}"))?;
        let whole = heard(&bytes, 0);
        let slowly = heard(&bytes, 1);
        assert_eq!((&whole.said, &whole.fault, whole.is_torn), (&slowly.said, &slowly.fault, slowly.is_torn), "{path}");
        assert!(slowly.held_bytes_max < HELD_BYTES_MAX, "{path}: {} bytes were held", slowly.held_bytes_max);
        writeln!(out, "{path}: {} bytes", bytes.len())?;
        whole.said.iter().try_for_each(|event| writeln!(out, "    {event}"))?;
        match (&whole.fault, whole.is_torn) {
            (Some(fault), _) => writeln!(out, "    sent away: {fault}")?,
            (None, true) => writeln!(out, "    the rest of a frame is missing")?,
            (None, false) => {}
        }
    }
    Ok(())
}
