//! The engine from outside: what becomes of a record, with time as an argument.

#[cfg(test)]
mod clock;
#[cfg(test)]
mod contracts;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod state;
