//! Desired against observed: what to do next, and the loop that keeps asking.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`plan`](mod@plan) | the planner: a pure function of desired state, observed state and an instant |
//! | [`controller`] | the loop: a keyed queue, one run per key at a time, retries with backoff |
//!
//! The planner reads no clock, does no I/O, draws no random number and logs nothing, so that a test can put it into any
//! state and an explorer into all of them (`tests/explorer.rs`). `tests/scenarios.rs` shows it by example.

pub mod controller;
pub mod plan;

pub use plan::plan;
