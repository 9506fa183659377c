use super::page::OneCall;
use crate::{error::ConsoleError, server::Caller};

/// One call of the caller's account. Somebody else's call is as unknown as none.
pub(crate) async fn call(caller: &Caller, id: &str) -> Result<OneCall, ConsoleError> {
    let reader = caller.reader().await?;
    let id = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let call = reader.call(id).await?;
    let has_projects = reader.projects().await?.len() > 1;
    Ok(OneCall { call, has_projects, now: caller.visitor.now })
}
