//! The simulated vendor library: a shared object that exports the market-data API of CTP and of SOPT, with the vendor's
//! symbols, vtables and structures, and plays a market through it. It drives whatever drives the vendor's library.
//!
//! What it plays is the *world*, a JSON file named by the environment variable `SIMAPI_WORLD`: see [`world`].
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | [`world`] | the world file |
//! | [`scenario`] | what may go wrong at a front: the table of kinds and parameters |
//! | `watch` | looks at the world file while the library runs |
//! | `play`, `dirt` | which scenarios are in force, and the records that they make, as functions |
//! | `harm` | what a library does to its own process |
//! | [`flavour`] | what differs between CTP and SOPT |
//! | [`record`] | the vendor's structures, written by offset |
//! | [`instrument`], [`product`] | what a contract's code says about it |
//! | [`live`] | every subscribed contract of the synthetic market, merged by due time |
//! | [`synthetic`] | snapshot n of a contract, as a function of seed, code and n |
//! | [`replay`], [`csv_day`] | recorded days |
//! | [`feed`] | which record is due at a front, and when |
//! | [`hash`], [`date`] | numbers and dates, as functions |
//! | `session`, `library`, `inbox` | the API object, the library's thread, and where they meet |
//! | `journal`, `clock` | its other edges |
//! | `exports`, `spi` | calls in and out; with `harm` the only unsafe code |

mod clock;
pub mod csv_day;
pub mod date;
mod dirt;
mod exports;
pub mod feed;
pub mod flavour;
mod harm;
pub mod hash;
mod inbox;
pub mod instrument;
mod journal;
mod library;
pub mod live;
mod play;
pub mod product;
pub mod record;
pub mod replay;
pub mod scenario;
mod session;
mod spi;
pub mod synthetic;
mod watch;
pub mod world;
