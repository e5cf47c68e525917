//! The tick socket and libzmq by its Rust binding, crate `zmq`, which takes a C++ compiler. The scenarios are those of
//! `tests/interop`.

#[cfg(test)]
#[path = "../../../feed/tests/zmtp_server/hub.rs"]
mod hub;
#[cfg(test)]
mod libzmq_client;
#[cfg(test)]
#[path = "../../../tests/interop/scenarios.rs"]
mod scenarios;
