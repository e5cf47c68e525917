//! Truth by oracle: a true stream, brought by sources that delay, lose, double, repeat and spoil it, and an oracle that
//! knows the truth and shares no code with the feed. What is published must be what the oracle says.

#[cfg(test)]
mod days;
#[cfg(test)]
mod dirt;
#[cfg(test)]
mod doubts;
#[cfg(test)]
mod draw;
#[cfg(test)]
mod front;
#[cfg(test)]
mod hub;
#[cfg(test)]
mod market;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod played;
#[cfg(test)]
mod recorded_day;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod the_oracle_itself;
