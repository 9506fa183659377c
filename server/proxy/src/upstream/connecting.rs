//! Connecting, within one time-out for all of it.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use tokio::time::timeout;
use tower::Service;

/// A connector that gives up in time, also where a name is not found out or an upstream accepts and stays silent instead of agreeing on TLS.
#[derive(Debug, Clone)]
pub(super) struct InTime<C> {
    connector: C,
    within: Duration,
}

impl<C> InTime<C> {
    pub(super) const fn new(connector: C, within: Duration) -> Self {
        Self { connector, within }
    }
}

type Failure = Box<dyn Error + Send + Sync>;

impl<C> Service<Uri> for InTime<C>
where
    C: Service<Uri, Error: Into<Failure>, Future: Send + 'static>,
{
    type Response = C::Response;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.within, self.connector.call(uri));
        Box::pin(async {
            match connecting.await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "its name, the connection and TLS took too long together").into()),
            }
        })
    }
}
