use domain::account::Role;
use leptos::prelude::use_context;

use super::page::{Keys, NewKey};
use crate::{
    error::ConsoleError,
    server::{Caller, Posted, parameter},
};

/// The keys of the caller's account.
pub(crate) async fn keys(caller: &Caller, query: &str) -> Result<Keys, ConsoleError> {
    let now = caller.visitor.now;
    let keys = caller.reader().await?.keys(now).await?;
    let revoked = parameter(query, "revoked").and_then(|id| id.parse().ok());
    let can_manage = caller.visitor.visit.role().is_some_and(|role| role >= Role::Member);
    Ok(Keys { keys, now, revoked, can_manage })
}

/// What the form of a new key needs, or the key that it just made.
pub(crate) async fn new_key(caller: &Caller) -> Result<NewKey, ConsoleError> {
    let fresh_key = use_context::<Posted>().and_then(|posted| posted.fresh_key);
    let form = caller.form();
    caller.member().await?;
    let now = caller.visitor.now;
    let prices = caller.console.ledger.price_list(now).await?;
    let model = prices.into_iter().find(|priced| priced.sale.is_some()).map(|priced| priced.model.name);
    Ok(NewKey { form, fresh_key, proxy_url: caller.console.settings.proxy_url.clone(), model, now })
}
