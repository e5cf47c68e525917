//! A ZMTP 3.1 PUB server (rfc.zeromq.org 37/ZMTP, 29/PUBSUB) on one thread, driven by its caller's epoll.
//!
//! # Layout
//!
//! | module | holds | pure |
//! |---|---|---|
//! | `greeting`, `frame`, `command` | the wire's grammar, both ways | yes |
//! | `session` | what one peer may say when: greeting, handshake, traffic | yes |
//! | `heard` | what a capture of a peer says | yes |
//! | `access` | who may subscribe: tokens, addresses, guesses | yes |
//! | `subscriptions` | who subscribed what; the prefixes of a topic | yes |
//! | `topics` | topics, the matching prefixes and the last payload of each | yes |
//! | `out_buffer` | bytes that wait for one peer, in pooled chunks | yes |
//! | `fault` | why a peer is sent away | yes |
//! | `log_gate` | how many lines a second peers may cause | yes |
//! | `listener`, `peer` | one socket each | no |
//! | `server` | all of it together: accepting, reading, publishing, snapshots | no |
//!
//! # Limits
//!
//! A peer chooses neither how much memory the hub takes nor how long it is busy: frames of a peer end at 4 KiB, prefixes
//! at 255 bytes, subscriptions at 3,000 a peer and 500,000 in all, reads at one small buffer a turn, accepts at four a
//! turn. What waits for a peer is bounded for each and for all; beyond it whole ticks are dropped and counted. Snapshots
//! go out 16 a turn, over all peers, and to a peer only while half of its budget is free. When every place is taken, the
//! oldest unfinished handshake makes room. Of those whose time is up 16 are looked at in a turn, and of those who left 64
//! subscriptions are forgotten.

mod access;
mod command;
mod config;
mod fault;
mod frame;
mod greeting;
mod heard;
mod listener;
mod log_gate;
mod out_buffer;
mod peer;
mod server;
mod session;
mod subscriptions;
mod topics;

pub use access::Access;
pub use config::ServerConfig;
pub use heard::{Heard, heard};
pub use server::{Named, PeerRef, Server};
pub use topics::TopicId;
