//! The PUB server over real sockets, against a raw client that is written from the RFC alone.

#[cfg(test)]
mod budget;
#[cfg(test)]
mod client;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod subscriptions;
