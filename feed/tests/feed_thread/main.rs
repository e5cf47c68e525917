//! The whole feed: its thread, real pipes, and a subscriber on a socket.

#[cfg(test)]
#[expect(dead_code, reason = "written for the publisher's tests, which use all of it")]
#[path = "../zmtp_server/client.rs"]
mod client;
#[cfg(test)]
mod day;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod publisher;
#[cfg(test)]
mod recorded_day;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod subscriber;
