//! Why the proxy does not run. What a client is told is in [`reply`](crate::reply).

/// What starting, and looking after a spool, can end with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger did not answer, or not sensibly.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The spool is not this proxy's, or cannot be read or written.
    #[error(transparent)]
    Spool(#[from] crate::books::spool::OpenError),
    /// Another process is this proxy.
    #[error(
        "another process runs as proxy {0}, with another spool: each proxy needs an instance id and a spool of its own. Copy no data folder of one that runs; \
         where the other was moved here, stop it there"
    )]
    ProxyInUse(uuid::Uuid),
    /// The system has no threads or files for what serves.
    #[error("the proxy cannot serve: {0}")]
    Threads(std::io::Error),
    /// A defect.
    #[error("reading the spool panicked")]
    Panicked,
    /// All is posted, but that could not be written down.
    #[error("how far the spool is posted could not be written down, and will be posted again, which does nothing: {0}")]
    Closing(std::io::Error),
}

/// What starting returns.
pub type Result<T> = std::result::Result<T, Error>;
