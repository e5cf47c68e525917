//! Conditions (the truth) and phases (a word for people).

use serde::{Deserialize, Serialize};

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionType {
    /// A process exists for the account.
    ProcessRunning,
    /// The front holds a connection.
    FrontConnected,
    /// The front accepted the login.
    LoggedIn,
    /// Every contract's subscription was acknowledged.
    Subscribed,
    /// Its watched exchanges tick while their sections are open.
    CanaryFresh,
    /// Everything that the account needs in order to deliver is there.
    Ready,
    /// It cannot run until its account changes.
    Blocked,
    /// Its process ends again and again.
    CrashLoop,
    /// Its process group survives KILL.
    Stuck,
}

/// Three-valued, since much is not known at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    Unknown,
}

/// One statement about an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word for machines, CamelCase.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
}

/// One word for the whole of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Not wanted, and no process.
    Stopped,
    /// A process is being made.
    Starting,
    /// It runs and looks for its front.
    Connecting,
    /// Ready.
    Healthy,
    /// Ready, but one of its exchanges is silent.
    Degraded,
    /// It delivers nothing, or rubbish.
    Unhealthy,
    /// It waits for its next start.
    CoolingDown,
    /// It waits for a changed account.
    Blocked,
    /// It was asked to leave.
    Stopping,
}
