use domain::call::CallDetail;
use leptos::{prelude::*, server_fn::codec::Json};

use crate::error::ConsoleError;

/// One call of the caller's account. Somebody else's call is as unknown as none.
#[server(prefix = "/api", endpoint = "call", input = Json)]
pub(crate) async fn call(id: String) -> Result<CallDetail, ConsoleError> {
    use crate::server::{Caller, answer};

    answer(
        async {
            let reader = Caller::here()?.reader().await?;
            let id = id.parse().map_err(|_| ConsoleError::NotFound)?;
            Ok(reader.call(id).await?)
        }
        .await,
    )
}
