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
    let project = project(&reader, key.as_ref()).await?;
    let states = reader.limits(now).await?.into_iter();
    let visit = &caller.visitor.visit;
    Ok(Limits {
        limits: states.filter(|state| is_shown(&state.limit.scope, key.as_ref())).collect(),
        done: done(query),
        // What bounds all of the account is an owner's to set.
        can_manage: if key.is_some() { visit.manages_keys() } else { visit.role() == Some(Role::Owner) },
        key,
        project,
        now,
        form: caller.form(),
    })
}

async fn key(reader: &AccountReader, id: &str, now: DateTime<Utc>) -> Result<Option<Key>, ConsoleError> {
    let Some(wanted) = subject(id)? else { return Ok(None) };
    let keys = reader.keys(now).await?;
    keys.into_iter().find(|key| key.id == wanted).map(Some).ok_or(ConsoleError::NotFound)
}

async fn project(reader: &AccountReader, key: Option<&Key>) -> Result<Option<String>, ConsoleError> {
    let Some(key) = key else { return Ok(None) };
    let projects = reader.projects().await?;
    let are_several = projects.len() > 1;
    Ok(projects.into_iter().find(|project| are_several && project.id == key.project).map(|project| project.name))
}

/// A key's page has what bounds the key or its project, the account's everything else that is not a key's.
fn is_shown(scope: &Scope, key: Option<&Key>) -> bool {
    match (scope, key) {
        (Scope::Key(id), Some(key)) => *id == key.id,
        (Scope::Project(id), Some(key)) => *id == key.project,
        (Scope::Account | Scope::Member(_) | Scope::Run(_), Some(_)) | (Scope::Key(_), None) => false,
        (_, None) => true,
    }
}

fn done(query: &str) -> Option<Done> {
    let limit = |name| -> Option<LimitId> { parameter(query, name)?.parse().ok() };
    limit("set").map(Done::Set).or_else(|| limit("removed").map(Done::Removed))
}
