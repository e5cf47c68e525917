//! The tick socket and the Rust client that the product itself uses: crate `zeromq`. The same scenarios run with libzmq's
//! own crate in `benches/tests/interop`, and, against libzmq's publisher too, with pyzmq in `tests/e2e/zmtp_conformance.py`.

#[cfg(test)]
#[path = "../../feed/tests/zmtp_server/hub.rs"]
mod hub;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod zeromq_client;
