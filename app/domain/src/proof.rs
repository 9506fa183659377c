//! The proof: what was recomputed, and what does not hold.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// What was checked, and what does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Accounts that were checked.
    pub accounts: u64,
    /// Calls that were checked.
    pub calls: u64,
    /// Every claim, with the number of rows that disagree, counted up to a hundred.
    pub checks: Vec<Check>,
    /// Every row that disagrees; at most a hundred per claim.
    pub faults: Vec<Fault>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What must hold.
    pub claim: String,
    /// Rows that disagree.
    pub faults: usize,
}

/// A row that disagrees with what it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What should hold.
    pub claim: String,
    /// Which row does not.
    pub row: String,
    /// What it should say.
    pub expected: String,
    /// What it says.
    pub found: String,
}

impl Proof {
    /// Whether everything adds up.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Rows that are named per claim. A damaged disk should not fill another one.
pub const NAMED_MAX: usize = 100;

/// How far a proof is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Accounts there are.
    pub accounts: u64,
    /// Accounts that are done.
    pub done: u64,
    /// Calls of those.
    pub calls: u64,
}

/// A run of the proof that is kept, so that operators see how the last one ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRun {
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// Who asked for it; empty for the daily one.
    pub asked_by: String,
    /// The day from which on it looks at what was posted; `None` if at everything.
    pub since: Option<NaiveDate>,
    /// How far it came.
    pub progress: Progress,
    /// How it ended.
    pub end: ProofEnd,
}

/// How a run of the proof ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProofEnd {
    /// Not yet.
    Running,
    /// With a result.
    Ended {
        /// When.
        at: DateTime<Utc>,
        /// The result.
        proof: Proof,
    },
    /// Without one.
    Failed {
        /// When.
        at: DateTime<Utc>,
        /// Why, in words.
        why: String,
    },
    /// Its process is gone.
    Lost,
}

/// A day whose books were sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedDay {
    /// The day, in UTC.
    pub day: NaiveDate,
    /// How many accounts had a posting by its end.
    pub accounts: i64,
    /// Its root, as it is logged, kept elsewhere, and given to `farebox verify --against`.
    pub root: String,
}
