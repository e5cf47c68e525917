//! The vocabulary of mdhub: what crates share that may not import each other.
//!
//! Everything here is data and pure functions of data. No I/O, no clock, no randomness, no async runtime.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`account`] | desired state: `MarketDataAccount`, its settings and secrets |
//! | [`dialect`] | the vendor's interface that a source's ticks come through |
//! | [`contract`] | exchanges, instrument codes, `vt_symbol` |
//! | [`raw_tick`] | the fixed wire layout in which a worker hands on a vendor's depth record |
//! | [`tick`] | a normalised tick, as the feed works with it |
//! | [`frame`] | the protocol between the hub and its workers |
//! | [`operation`] | what an operator may do to an account |
//! | [`process`] | what is observed of a gateway process |
//! | [`condition`] | conditions and phases, as people read them |
//! | [`plane`] | where control plane and data plane meet |
//! | [`ports`] | traits that outer crates implement |
//! | [`settings`] | `mdhub.yaml` |
//! | [`calendar`], [`product`] | trading days and product codes |
//! | [`time`] | instants that come in as arguments |

pub mod account;
pub mod calendar;
pub mod condition;
pub mod contract;
pub mod dialect;
pub mod frame;
pub mod operation;
pub mod plane;
pub mod ports;
pub mod process;
pub mod product;
pub mod raw_tick;
pub mod settings;
pub mod tick;
pub mod time;
