use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use domain::code::{Batch, BatchTerms};

use crate::parts::{form::Form, search::Search};

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    /// Batches, newest first, each with how often its codes were redeemed: the first of those that were looked for.
    pub(crate) batches: Vec<(Batch, i64)>,
    /// Which those are.
    pub(crate) search: Search,
    /// When they were read.
    pub(crate) now: DateTime<Utc>,
    /// The codes that were just made.
    pub(crate) fresh: Option<FreshCodes>,
    /// The form, as far as it was filled in.
    pub(crate) form: Form,
    /// What was asked for, before it is made.
    pub(crate) review: Option<BatchTerms>,
    /// The batch that was just revoked.
    pub(crate) revoked: Option<Batch>,
}

/// Codes that were just made: shown once, on the page that answers their form.
#[derive(Clone)]
pub(crate) struct FreshCodes {
    /// What they are.
    pub(crate) batch: Batch,
    /// The codes themselves.
    pub(crate) codes: Arc<[String]>,
}

impl fmt::Debug for FreshCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshCodes").field("batch", &self.batch.id).finish_non_exhaustive()
    }
}
