use chrono::{DateTime, Utc};
use domain::{
    account::{Key, Role},
    credit::Scope,
};
use ledger::AccountReader;

use super::{
    page::{Done, Limits},
    subject,
};
use crate::{
    error::ConsoleError,
    server::{Caller, Seen},
};

/// The limits of one of an account's keys, or of all of it.
pub(crate) async fn limits(caller: &Caller, seen: &Seen, id: &str, query: &str) -> Result<Limits, ConsoleError> {
    let (now, reader) = (caller.visitor.now, &seen.reader);
    let key = key(reader, id, now).await?;
    let project = project(reader, key.as_ref()).await?;
    let states = reader.limits(now).await?.into_iter();
    // What bounds all of the account is an owner's to set.
    let can_manage = if key.is_some() { seen.manages_keys() } else { seen.role == Some(Role::Owner) };
    let prices = if key.is_some() && can_manage { caller.console.ledger.price_list(now).await? } else { Vec::new() };
    Ok(Limits {
        models: prices.into_iter().map(|priced| priced.model.name).collect(),
        limits: states.filter(|state| is_shown(&state.limit.scope, key.as_ref())).collect(),
        done: Done::of_query(query),
        can_manage,
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

/// A key's page has what bounds the key, its project or its member, the account's everything else that is not a key's.
fn is_shown(scope: &Scope, key: Option<&Key>) -> bool {
    match (scope, key) {
        (Scope::Key(id), Some(key)) => *id == key.id,
        (Scope::Project(id), Some(key)) => *id == key.project,
        (Scope::Member(id), Some(key)) => key.member == Some(*id),
        (Scope::Account | Scope::Run(_), Some(_)) | (Scope::Key(_), None) => false,
        (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        id::{KeyId, ProjectId, UserId},
        money::Amount,
    };

    use super::*;

    #[test]
    fn a_keys_page_has_what_bounds_the_key_its_project_or_its_member() {
        let at = DateTime::UNIX_EPOCH;
        let [ours, others] =
            [1, 2].map(|number| (KeyId::new(at, [number; 10]), ProjectId::new(at, [number; 10]), UserId::new(at, [number; 10])));
        let key = Key {
            id: ours.0,
            name: "laptop".to_owned(),
            project: ours.1,
            member: Some(ours.2),
            member_email: None,
            last_four: "abcd".to_owned(),
            models: None,
            tells_cost: false,
            created_at: at,
            expires_at: None,
            revoked_at: None,
            last_used: None,
            spent_this_month: Amount::ZERO,
        };
        let run = Scope::Run("nightly".parse().unwrap());
        let parts = |(key, project, member)| [Scope::Key(key), Scope::Project(project), Scope::Member(member)];
        for scope in parts(ours) {
            assert!(is_shown(&scope, Some(&key)), "{scope:?}");
        }
        for scope in parts(others).into_iter().chain([Scope::Account, run.clone()]) {
            assert!(!is_shown(&scope, Some(&key)), "{scope:?}");
        }
        let nobodys = Key { member: None, ..key };
        assert!(!is_shown(&Scope::Member(ours.2), Some(&nobodys)));
        for scope in [Scope::Account, Scope::Project(ours.1), Scope::Member(ours.2), run] {
            assert!(is_shown(&scope, None), "{scope:?}");
        }
        assert!(!is_shown(&Scope::Key(ours.0), None));
    }
}
