//! placeholder
pub mod zmtp;
