use super::page::ProofPage;
use crate::{
    error::ConsoleError,
    server::{Caller, parameter},
};

/// Sealed days on the list.
const DAYS: i64 = 10;

/// The last run of the proof and the days that were sealed, for operators.
pub(crate) async fn proof(caller: &Caller, query: &str) -> Result<ProofPage, ConsoleError> {
    let operator = caller.operator().await?;
    let last = operator.last_proof(false).await?;
    let whole = if last.as_ref().is_some_and(|run| run.since.is_some()) { operator.last_proof(true).await? } else { None };
    Ok(ProofPage {
        last,
        whole,
        already: parameter(query, "already").is_some(),
        sealed: operator.sealed_days(DAYS).await?,
        proxies: operator.proxies().await?,
        form: caller.form(),
    })
}
