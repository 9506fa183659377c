//! Proxies, as operators see them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{id::EpochId, money::Amount, tokens::Tokens};

/// What a proxy says of itself, every few seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Calls that run.
    pub running: u64,
    /// Calls that have ended, are in its spool, and are not in the books yet.
    pub unposted: u64,
    /// When the first of these began, or shortly before.
    pub unposted_since: Option<DateTime<Utc>>,
}

/// A life of a proxy that has leased something, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyState {
    /// The proxy.
    pub proxy: Uuid,
    /// The life.
    pub epoch: EpochId,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When it was last heard of.
    pub heard_at: DateTime<Utc>,
    /// Whether it goes on.
    pub standing: Standing,
    /// What it said then.
    pub report: Report,
    /// Accounts of which it has leased something.
    pub accounts: u64,
    /// What it has leased of their credit in money: free, held by running calls, or used by calls that are not posted yet.
    pub money: Amount,
    /// The same in tokens.
    pub tokens: Tokens,
}

/// Whether a proxy's life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It admits calls.
    Serves,
    /// It has not been heard of for so long that it admits none. It may come back; what it has leased goes back when none of its calls can be running.
    Silent,
    /// It is over: what it had leased is going back.
    Ends,
}

impl Standing {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Silent => "silent",
            Self::Ends => "ends",
        }
    }
}
