//! The rules of the house, held by tests: who may import whom, where unsafe code and clocks may be, that the documents
//! name what exists, and that every requirement is accounted for.
//!
//! Every rule is a function from text to faults, so that each can be shown a breach and must see it.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod requirements;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod tree;
