//! Why the proxy does not run. What a client is told is in [`reply`](crate::reply).

/// What starting can end with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger did not answer, or not sensibly.
    #[error("the proxy cannot start: {0}")]
    Ledger(#[from] ledger::Error),
}

/// What starting returns.
pub type Result<T> = std::result::Result<T, Error>;
