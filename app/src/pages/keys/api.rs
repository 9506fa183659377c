use chrono::{DateTime, Utc};
use domain::{credit::Scope, id::KeyId, rates::Rates};
use ledger::AccountReader;

use super::{
    FreshKey,
    page::{Keys, NewKey},
};
use crate::{
    error::ConsoleError,
    parts::search::{SEARCH, Search},
    server::{Caller, FormAnswer, Seen, parameter},
};

/// The keys of an account, and what bounds them.
pub(crate) async fn keys(caller: &Caller, seen: &Seen, query: &str) -> Result<Keys, ConsoleError> {
    let (now, reader) = (caller.visitor.now, &seen.reader);
    let (mut keys, projects) = (reader.keys(now).await?, reader.projects().await?);
    let mut limits = reader.limits(now).await?;
    let revoked: Option<KeyId> = parameter(query, "revoked").and_then(|id| id.parse().ok());
    // Those that are revoked stand last, perhaps on no page.
    let revoked = keys.iter().find(|key| revoked == Some(key.id) && key.revoked_at.is_some()).map(|key| key.name.clone());
    let search = Search::narrow(parameter(query, SEARCH), &mut keys, |key| key.name.as_str());
    limits.retain(|state| match &state.limit.scope {
        Scope::Key(of) => keys.iter().any(|key| key.id == *of),
        _ => true,
    });
    let can_manage = seen.manages_keys();
    let base_url = caller.console.settings.base_url();
    let without_credit = is_spent(reader, now).await?;
    Ok(Keys { keys, search, projects, limits, now, revoked, can_manage, base_url, without_credit, form: caller.form() })
}

/// What the form of a new key needs, or the key that it just made.
pub(crate) async fn new_key(caller: &Caller) -> Result<NewKey, ConsoleError> {
    let fresh_key = FormAnswer::here().and_then(|answer| answer.fresh_key);
    let form = caller.form();
    let member = caller.member().await?;
    let projects = member.projects().await?;
    let now = caller.visitor.now;
    let prices = caller.console.ledger.price_list(now).await?;
    let models = prices.iter().map(|priced| priced.model.name.clone()).collect();
    // Whoever tries their key should not pay more than it takes.
    let allowed = fresh_key.as_ref().and_then(|fresh: &FreshKey| fresh.models.clone());
    let priced = prices.into_iter().filter(|priced| allowed.as_ref().is_none_or(|allowed| allowed.contains(&priced.model.name)));
    let model = priced.filter_map(|priced| Some((weight(&priced.sale?.rates), priced.model.name))).min().map(|(_, name)| name);
    let base_url = caller.console.settings.base_url();
    Ok(NewKey { form, projects, models, fresh_key, base_url, without_credit: is_spent(&member, now).await?, model, now })
}

async fn is_spent(account: &AccountReader, now: DateTime<Utc>) -> Result<bool, ConsoleError> {
    Ok(account.balance(now).await?.is_spent(now))
}

/// What a model's price is compared by: a call with 1,000 tokens each way, in nanos.
fn weight(rates: &Rates) -> i128 {
    [rates.base.input, rates.base.output, rates.per_call].map(|rate| i128::from(rate.nanos())).iter().sum()
}
