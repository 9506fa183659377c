use chrono::{DateTime, Utc};
use domain::{account::Key, credit::Scope, id::LimitId};
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
    Ok(Limits {
        key,
        limits: states.map(|state| state.limit).filter(|limit| limit.scope == scope).collect(),
        done: done(query),
        can_manage: caller.visitor.visit.manages_keys(),
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
