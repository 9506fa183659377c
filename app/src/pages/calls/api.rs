use domain::{call::CallPage, filter::CallFilter, id::KeyId};
use leptos::{prelude::*, server_fn::codec::Json};
use serde::{Deserialize, Serialize};

use crate::{error::ConsoleError, parts::form::Form};

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CallsPage {
    /// What is shown.
    pub(crate) filter: CallFilter,
    /// What was asked for and could not be understood; then there are no calls to show.
    pub(crate) form: Form,
    /// The search for one call, when it found none.
    pub(crate) search: Form,
    /// The calls.
    pub(crate) page: CallPage,
    /// Whether newer calls precede them.
    pub(crate) has_newer: bool,
    /// The account's keys.
    pub(crate) keys: Vec<(KeyId, String)>,
    /// The models it called.
    pub(crate) models: Vec<String>,
}

/// A page of the call log of the caller's account.
#[server(prefix = "/api", endpoint = "calls", input = Json)]
pub(crate) async fn calls(query: String) -> Result<CallsPage, ConsoleError> {
    use domain::filter::cursor_from_query;

    use crate::server::{Caller, answer, filter_or_default, parameter};

    /// Calls on a page.
    const PAGE: i64 = 50;

    answer(
        async {
            let caller = Caller::here()?;
            let reader = caller.reader().await?;
            let search = match parameter(&query, "id") {
                Some(id) => find(&reader, &id).await?,
                None => Form::default(),
            };
            let asked = CallFilter::from_query(&query).and_then(|filter| Ok((filter, cursor_from_query(&query)?)));
            let ((filter, before), form) = filter_or_default(asked, &query);
            let page = reader.calls(&filter, before, PAGE, caller.visitor.now).await?;
            let (keys, models) = (reader.key_names().await?, reader.called_models().await?);
            Ok(CallsPage { filter, form, search, page, has_newer: before.is_some(), keys, models })
        }
        .await,
    )
}

/// Leads to the call of this id; without one, the search comes back with why.
#[cfg(feature = "ssr")]
async fn find(reader: &ledger::AccountReader, id: &str) -> Result<Form, ConsoleError> {
    use domain::id::CallId;
    use http::StatusCode;

    use crate::{
        parts::form::Problem,
        server::{page_redirect, page_status},
    };

    let (status, problem) = match id.trim().parse::<CallId>() {
        Err(_) => (
            StatusCode::BAD_REQUEST,
            "This is no request id. It looks like 0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f and comes with every answer as x-request-id.",
        ),
        Ok(call) => match reader.call(call).await {
            Ok(_) => {
                page_redirect(&format!("/calls/{call}"));
                return Ok(Form::default());
            }
            Err(ledger::Error::NotFound) => {
                (StatusCode::NOT_FOUND, "None of this account's calls has this id. A running call appears when it ends.")
            }
            Err(error) => return Err(error.into()),
        },
    };
    page_status(status);
    Ok(Form { typed: [("id".to_owned(), id.to_owned())].into(), problem: Some(Problem::new("id", problem)), ..Form::default() })
}
