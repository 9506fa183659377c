use chrono::{DateTime, Utc};
use domain::call::CallDetail;
use serde::{Deserialize, Serialize};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OneCall {
    /// The call.
    pub(crate) call: CallDetail,
    /// Whether its account has projects to tell apart.
    pub(crate) has_projects: bool,
    /// When it was read.
    pub(crate) now: DateTime<Utc>,
}
