use domain::{call::CallPage, filter::CallFilter, usage::FilterChoices};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Calls {
    /// What is shown.
    pub(crate) filter: CallFilter,
    /// What was asked for and could not be understood; then there are no calls to show.
    pub(crate) form: Form,
    /// The search for one call, when it found none.
    pub(crate) search: Form,
    /// The calls.
    pub(crate) page: CallPage,
    /// Whether newer calls precede them.
    pub(crate) has_newer: bool,
    /// What the filters can be set to.
    pub(crate) choices: FilterChoices,
}
