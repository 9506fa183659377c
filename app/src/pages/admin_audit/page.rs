use domain::audit::{AuditFilter, AuditLine, AuditPlace};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Audit {
    /// What is shown.
    pub(crate) filter: AuditFilter,
    /// What was asked for and could not be understood; then there are no lines to show.
    pub(crate) form: Form,
    /// The lines, newest first, each with what changed.
    pub(crate) lines: Vec<(AuditLine, Vec<Changed>)>,
    /// Where older lines begin.
    pub(crate) next: Option<AuditPlace>,
    /// Whether newer lines precede them.
    pub(crate) has_newer: bool,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Its name, as the log has it: `balance`, `rates.base.input`.
    pub(crate) what: String,
    /// How it was; `None` of what was not there.
    pub(crate) before: Option<String>,
    /// How it is since; `None` of what is gone.
    pub(crate) after: Option<String>,
}
