//! The whole feed under attack, beside a healthy subscriber: what it loses, how much longer it waits, and what the attack
//! costs in memory and descriptors. One test at a time, since each measures the whole process.

#[cfg(test)]
mod attacker;
#[cfg(test)]
mod attacks;
#[cfg(test)]
#[expect(dead_code, reason = "written for the publisher's tests, which use all of it")]
#[path = "../zmtp_server/client.rs"]
mod client;
#[cfg(test)]
mod market;
#[cfg(test)]
#[expect(dead_code, reason = "written for the tests of the whole feed, which use all of it")]
#[path = "../feed_thread/rig.rs"]
mod rig;
#[cfg(test)]
mod stuck;
