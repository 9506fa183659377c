use chrono::{DateTime, Utc};
use domain::{money::Amount, payment::AutoTopUp};

use crate::{
    error::ConsoleError,
    parts::form::Form,
    server::{Caller, parameter},
};

/// Everything on the page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// How the account is topped up by itself, if its owner ever said.
    pub(super) auto: Option<AutoTopUp>,
    /// What can be paid at once.
    pub(super) range: (Amount, Amount),
    /// When it was read.
    pub(super) now: DateTime<Utc>,
    /// Whether it was just set.
    pub(super) is_done: bool,
    /// The form.
    pub(super) form: Form,
}

/// For the owner of an account. Whoever comes back from saving a card may be here before Stripe tells of it: it is asked.
pub(crate) async fn page(caller: &Caller, query: &str) -> Result<Page, ConsoleError> {
    let owner = caller.owner().await?;
    let Some(stripe) = caller.stripe() else { return Err(unavailable()) };
    if let Some(setup) = parameter(query, "setup")
        && let Err(error) = stripe.keep(&caller.console.ledger, &setup).await
    {
        tracing::warn!(%error, "which card was saved is not known yet");
    }
    let now = caller.visitor.now;
    let is_done = parameter(query, "done").is_some();
    Ok(Page { auto: owner.auto_top_up(now).await?, range: stripe.range(), now, is_done, form: caller.form() })
}

/// Where no payments are taken.
pub(super) fn unavailable() -> ConsoleError {
    ConsoleError::Forbidden("This gateway takes no payments by itself. Ask its operator for credit.".to_owned())
}
