use chrono::{DateTime, Utc};
use domain::{proof::ProofRun, proxies::ProxyState, today};
use serde::{Deserialize, Serialize};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Today {
    /// When it was read.
    pub(crate) now: DateTime<Utc>,
    /// What the day's calls came to.
    pub(crate) day: today::Today,
    /// The names of models that are refused, since they have no sale price in force.
    pub(crate) unpriced: Vec<String>,
    /// How many payments an operator must look at.
    pub(crate) payments: i64,
    /// The proxies that there are, and those that have left something leased.
    pub(crate) proxies: Vec<ProxyState>,
    /// The last run of the proof, if there was one.
    pub(crate) last_proof: Option<ProofRun>,
}
