use domain::{
    proof::{ProofRun, SealedDay},
    proxies::ProxyState,
};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProofPage {
    /// The last run, if there was one.
    pub(crate) last: Option<ProofRun>,
    /// The last one of everything, if that one covers the last days alone.
    pub(crate) whole: Option<ProofRun>,
    /// Whether the visitor asked for a run while that one was running.
    pub(crate) already: bool,
    /// The days that were sealed, newest first.
    pub(crate) sealed: Vec<SealedDay>,
    /// The proxies that there are, and those that have left something leased.
    pub(crate) proxies: Vec<ProxyState>,
    /// The form that begins a run.
    pub(crate) form: Form,
}
