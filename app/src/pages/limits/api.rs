use chrono::{DateTime, Utc};
use domain::{
    account::{Key, Role},
    credit::Scope,
    id::LimitId,
};
use ledger::AccountReader;

use super::{
    page::{Done, Limits},
    subject,
};
use crate::{
    error::ConsoleError,
    server::{Caller, parameter},
};

/// The limits of one of the caller's keys, or of their account.
pub(crate) async fn limits(caller: &Caller, id: &str, query: &str) -> Result<Limits, ConsoleError> {
    let now = caller.visitor.now;
    let reader = caller.reader().await?;
    let key = key(&reader, id, now).await?;
    let scope = key.as_ref().map_or(Scope::Account, |key| Scope::Key(key.id));
    let states = reader.limits(now).await?.into_iter();
    let visit = &caller.visitor.visit;
    Ok(Limits {
        limits: states.filter(|state| state.limit.scope == scope).collect(),
        done: done(query),
        // What bounds all of the account is an owner's to set.
        can_manage: if key.is_some() { visit.manages_keys() } else { visit.role() == Some(Role::Owner) },
        key,
        now,
        form: caller.form(),
    })
}

async fn key(reader: &AccountReader, id: &str, now: DateTime<Utc>) -> Result<Option<Key>, ConsoleError> {
    let Some(wanted) = subject(id)? else { return Ok(None) };
    let keys = reader.keys(now).await?;
    keys.into_iter().find(|key| key.id == wanted).map(Some).ok_or(ConsoleError::NotFound)
}

fn done(query: &str) -> Option<Done> {
    let limit = |name| -> Option<LimitId> { parameter(query, name)?.parse().ok() };
    limit("set").map(Done::Set).or_else(|| limit("removed").map(Done::Removed))
}
