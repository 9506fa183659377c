use chrono::{DateTime, Utc};
use domain::{account::Key, credit::LimitState, id::LimitId};

use crate::{parts::form::Form, server::parameter};

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
    /// What was just done.
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
    /// A limit was set.
    Set(LimitId),
    /// A limit was removed.
    Removed(LimitId),
    /// Which models the key may call was set.
    Models,
    /// Whether answers to calls with the key tell their cost was set.
    Cost,
}

impl Done {
    /// How an address says it.
    pub(super) fn to_query(self) -> String {
        match self {
            Self::Set(limit) => format!("set={limit}"),
            Self::Removed(limit) => format!("removed={limit}"),
            Self::Models => "changed=models".to_owned(),
            Self::Cost => "changed=cost".to_owned(),
        }
    }

    /// What an address says.
    pub(super) fn of_query(query: &str) -> Option<Self> {
        let limit = |name| -> Option<LimitId> { parameter(query, name)?.parse().ok() };
        let changed = || [Self::Models, Self::Cost].into_iter().find(|done| done.to_query() == query);
        limit("set").map(Self::Set).or_else(|| limit("removed").map(Self::Removed)).or_else(changed)
    }
}
