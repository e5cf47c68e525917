//! Where ticks flow out: normalise, cleanse, arbitrate, number, publish.
//!
//! # Layout
//!
//! | module | holds | pure |
//! |---|---|---|
//! | [`normalise`] | a vendor's record becomes a tick with an exchange time | yes |
//! | [`cleanse`] | named rules that condemn a tick | yes |
//! | [`quarantine`] | the ticks that they condemned lately | yes |
//! | [`tid`] | the identity of a snapshot, and its recipe | yes |
//! | [`arbitrate`] | which copy of a snapshot is published | yes |
//! | [`encode`] | the payload, version 1 | yes |
//! | [`engine`], `contracts` | all of these together, for all contracts | yes |
//! | `recent` | the last published ticks, for who missed some | yes |
//! | `thread`, `clock` | epoll, pipes, time: the one thread | no |
//! | `latency` | how long ticks take through the hub | yes |
//! | `handle` | the running feed from outside | no |
//! | [`zmtp`] | the PUB server | no |
//!
//! Nothing on a tick's way awaits, locks, logs, or allocates once warm.

pub mod arbitrate;
pub mod cleanse;
mod clock;
mod contracts;
pub mod encode;
pub mod engine;
mod handle;
mod latency;
pub mod normalise;
pub mod quarantine;
mod recent;
mod thread;
pub mod tid;
mod vitals;
pub mod zmtp;

pub use handle::{FeedBusy, FeedConfig, FeedHandle};
pub use latency::{LATENCY_BUCKETS, Latencies, LatencyVitals, bound_us};
pub use thread::{EventSink, spawn};
pub use vitals::{LAG_BUCKETS, LagVitals, RuleVitals};
