use super::page::OneCall;
use crate::{
    error::ConsoleError,
    server::{Caller, Seen},
};

/// One call of an account. Somebody else's call is as unknown as none.
pub(crate) async fn call(caller: &Caller, seen: &Seen, id: &str) -> Result<OneCall, ConsoleError> {
    let reader = &seen.reader;
    let id = id.parse().map_err(|_| ConsoleError::NotFound)?;
    let call = reader.call(id).await?;
    let has_projects = reader.projects().await?.len() > 1;
    Ok(OneCall { call, has_projects, now: caller.visitor.now })
}
