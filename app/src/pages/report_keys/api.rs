use domain::account::Role;

use super::page::ReportKeys;
use crate::{
    error::ConsoleError,
    server::{Caller, FormAnswer, parameter},
};

/// The report keys of the visitor's account.
pub(crate) async fn report_keys(caller: &Caller, query: &str) -> Result<ReportKeys, ConsoleError> {
    let form = caller.form();
    let seen = caller.seen("").await?;
    let keys = seen.reader.report_keys().await?;
    let revoked = parameter(query, "revoked");
    let revoked = keys.iter().find(|key| key.revoked_at.is_some() && Some(key.id.to_string()) == revoked).map(|key| key.name.clone());
    Ok(ReportKeys {
        keys,
        fresh: FormAnswer::here().and_then(|answer| answer.fresh_key),
        revoked,
        can_manage: seen.role == Some(Role::Owner),
        base_url: caller.console.settings.base_url(),
        form,
    })
}
