//! The PUB server over real sockets, against a raw client that is written from the RFC alone.

#[cfg(test)]
mod access;
#[cfg(test)]
mod budget;
#[cfg(test)]
#[expect(dead_code, reason = "written for all tests with a bare client")]
mod client;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod subscriptions;
