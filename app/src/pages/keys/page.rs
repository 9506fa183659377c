use chrono::{DateTime, Utc};
use domain::{
    account::{Key, Project},
    credit::LimitState,
};
use serde::{Deserialize, Serialize};

use super::FreshKey;
use crate::parts::{form::Form, search::Search};

/// Everything on the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// The account's keys: the first of those that were looked for.
    pub(crate) keys: Vec<Key>,
    /// Which those are.
    pub(crate) search: Search,
    /// The projects that they are in.
    pub(crate) projects: Vec<Project>,
    /// What bounds the account and each of them.
    pub(crate) limits: Vec<LimitState>,
    /// When they were read.
    pub(crate) now: DateTime<Utc>,
    /// The name of the key that was just revoked.
    pub(crate) revoked: Option<String>,
    /// Whether the visitor may make, limit and revoke keys.
    pub(crate) can_manage: bool,
    /// Where keys are used.
    pub(crate) base_url: String,
    /// Whether calls that cost anything are refused for want of credit, whatever their key.
    pub(crate) without_credit: bool,
    /// A revocation that comes back.
    pub(crate) form: Form,
}

impl Keys {
    /// Whether there are projects to tell apart.
    pub(crate) fn has_projects(&self) -> bool {
        self.projects.len() > 1
    }
}

/// Everything on the page of a new key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewKey {
    /// The form.
    pub(crate) form: Form,
    /// The projects that it can be in, the first one first.
    pub(crate) projects: Vec<Project>,
    /// The models that there are.
    pub(crate) models: Vec<String>,
    /// The key that it made.
    pub(crate) fresh_key: Option<FreshKey>,
    /// Where the key is used.
    pub(crate) base_url: String,
    /// Whether its calls are refused for want of credit, if they cost anything.
    pub(crate) without_credit: bool,
    /// A model to try it with.
    pub(crate) model: Option<String>,
    /// When the page was made.
    pub(crate) now: DateTime<Utc>,
}
