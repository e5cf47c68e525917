//! Where ticks come in: one operating-system process for each account, and the manager that supervises them.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`vendor`] | the hand-made binding to the vendor's market-data library, CTP and SOPT |
//! | [`worker`] | the process that runs a vendor library and hands its ticks to the hub |
//! | [`probe`] | a login test by hand, in a throw-away worker |
//! | [`program`] | what is executed as a worker: mdhub itself, or vnpy's Python |
//! | [`manager`] | supervises the workers: the only other place that spawns and signals processes |

mod clock;
pub mod manager;
pub mod probe;
pub mod program;
pub mod vendor;
pub mod worker;
