use chrono::{DateTime, Utc};
use domain::{account::Key, id::KeyId};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use super::FreshKey;
use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeysPage {
    /// The account's keys.
    pub(crate) keys: Vec<Key>,
    /// When they were read.
    pub(crate) now: DateTime<Utc>,
    /// The key that was just revoked.
    pub(crate) revoked: Option<KeyId>,
    /// Whether the visitor may make and revoke keys.
    pub(crate) can_manage: bool,
}

/// Everything on the page of a new key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NewKeyPage {
    /// The form.
    pub(crate) form: Form,
    /// The key that it made.
    pub(crate) fresh_key: Option<FreshKey>,
    /// Where the key is used.
    pub(crate) proxy_url: String,
    /// A model to try it with.
    pub(crate) model: Option<String>,
    /// When the page was made.
    pub(crate) now: DateTime<Utc>,
}

/// The keys of the caller's account.
#[server(prefix = "/api", endpoint = "keys", input = Json)]
pub(crate) async fn keys(query: String) -> Result<KeysPage, ConsoleError> {
    use domain::account::Role;

    use crate::server::{Caller, answer, parameter};

    answer(
        async {
            let caller = Caller::here()?;
            let now = caller.visitor.now;
            let keys = caller.reader().await?.keys(now).await?;
            let revoked = parameter(&query, "revoked").and_then(|id| id.parse().ok());
            let membership = caller.visitor.visit.person.and_then(|person| person.account);
            let can_manage = membership.is_some_and(|membership| membership.role >= Role::Member);
            Ok(KeysPage { keys, now, revoked, can_manage })
        }
        .await,
    )
}

/// What the form of a new key needs.
#[server(prefix = "/api", endpoint = "new_key", input = Json)]
pub(crate) async fn new_key() -> Result<NewKeyPage, ConsoleError> {
    use crate::server::{Caller, Posted, answer};

    answer(
        async {
            let fresh_key = use_context::<Posted>().and_then(|posted| posted.fresh_key);
            let caller = Caller::here()?;
            let form = caller.form();
            caller.member().await?;
            let now = caller.visitor.now;
            let prices = caller.console.ledger.price_list(now).await?;
            let model = prices.into_iter().find(|priced| priced.sale.is_some()).map(|priced| priced.model.name);
            Ok(NewKeyPage { form, fresh_key, proxy_url: caller.console.settings.proxy_url.clone(), model, now })
        }
        .await,
    )
}
