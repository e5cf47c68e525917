//! The hand-made binding to the vendor's market-data library.
//!
//! One binding drives CTP and SOPT at run time: [`layout::Layout`] is a table of what differs between them. The vendor's
//! headers are not needed to build, and only a missing symbol or the other flavour's library is refused; an unknown
//! version merely is reported.
//!
//! | module | holds |
//! |---|---|
//! | [`layout`] | sizes, offsets and vtable slots, as a table of two |
//! | [`record`] | the vendor's structures to ours and back, in safe code |
//! | [`library`] | loading: hash, symbols, flavour, version |
//! | [`api`] | calls into the library |
//! | [`spi`] | calls out of the library |

pub mod api;
pub mod layout;
pub mod library;
pub mod record;
pub mod spi;

pub use api::Api;
pub use library::{Library, LoadError};
pub use spi::Spi;
