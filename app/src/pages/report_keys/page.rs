use domain::account::ReportKeyLine;

use crate::{pages::keys::FreshKey, parts::form::Form};

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct ReportKeys {
    /// The account's report keys.
    pub(crate) keys: Vec<ReportKeyLine>,
    /// The one that was just made, whole.
    pub(crate) fresh: Option<FreshKey>,
    /// The name of the one that was just revoked.
    pub(crate) revoked: Option<String>,
    /// Whether the visitor may make and revoke them.
    pub(crate) can_manage: bool,
    /// Where reports are asked for.
    pub(crate) base_url: String,
    /// The form of a new one.
    pub(crate) form: Form,
}
