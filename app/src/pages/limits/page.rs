use chrono::{DateTime, Utc};
use domain::{account::Key, credit::LimitState, id::LimitId};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The key whose calls they count; `None` for the account's.
    pub(crate) key: Option<Key>,
    /// The name of the key's project, where there are several.
    pub(crate) project: Option<String>,
    /// The models that there are, where the visitor may change which of them a key may call.
    pub(crate) models: Vec<String>,
    /// The limits by whose they are, shortest window first.
    pub(crate) limits: Vec<LimitState>,
    /// What was just done to one of them.
    pub(crate) done: Option<Done>,
    /// Whether the visitor may set and remove them.
    pub(crate) can_manage: bool,
    /// When they were read.
    pub(crate) now: DateTime<Utc>,
    /// The form that sets one.
    pub(crate) form: Form,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was set.
    Set(LimitId),
    /// It was removed.
    Removed(LimitId),
    /// None: which models the key may call was set.
    Models,
    /// Nor to one: whether the answers to the key's calls tell their cost was set.
    Cost,
}
