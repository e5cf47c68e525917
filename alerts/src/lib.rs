//! Tells people of errors, by mail and by posts to group robots.
//!
//! ```text
//! tracing -> Ear (layer) -> bounded queue -> desk (what, when) -> outbox (file) -> one thread a channel -> mail, posts
//! ```
//!
//! | file | is about |
//! |---|---|
//! | `report`, `ear` | what the log says, as the desk hears it |
//! | `desk` | one message for an incident, repeats, ends, the hour's limit: a function of what was heard and the time |
//! | `outbox` | what waits for each channel, tries and pauses |
//! | `channel` | mail and webhooks |
//! | `thread` | the thread that holds them together, the file, the deadman's ping |
//!
//! Everything blocks on threads of its own: a server that hangs holds up its own channel and nothing else. A message is
//! delivered at least once; a hub that is killed between a delivery and its note delivers it again.

mod channel;
mod desk;
mod ear;
mod message;
mod outbox;
mod report;
mod thread;

pub use channel::{Channel, ChannelError, channels, web_url};
pub use desk::{Desk, Pace};
pub use ear::Ear;
pub use message::{Kind, Message};
pub use report::{Cause, Report};
pub use thread::{Alerts, Config, Surroundings, Vitals, Waiting};
