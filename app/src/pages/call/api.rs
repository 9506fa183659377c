use domain::call::CallDetail;

use crate::{error::ConsoleError, server::Caller};

/// One call of the caller's account. Somebody else's call is as unknown as none.
pub(crate) async fn call(caller: &Caller, id: &str) -> Result<CallDetail, ConsoleError> {
    let reader = caller.reader().await?;
    let id = id.parse().map_err(|_| ConsoleError::NotFound)?;
    Ok(reader.call(id).await?)
}
