//! What the spool's records say: JSON of the ledger's types, under a version.

use ledger::{Admitted, SettledCall};
use serde::{Serialize, de::DeserializeOwned};

use crate::books::spool::Record;

/// The encoding that is written. Another one is needed once a version cannot read what the one before wrote.
pub(crate) const VERSION: u8 = 1;

/// A record that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it was written by a later version of Farebox, in encoding {0}")]
    Later(u8),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

/// The body of a record.
pub(crate) fn write(body: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(body)
}

/// What was known of a call when it began.
pub(crate) fn read_intent(record: &Record) -> Result<Admitted, Unreadable> {
    read(record)
}

/// What a call came to.
pub(crate) fn read_settlement(record: &Record) -> Result<SettledCall, Unreadable> {
    read(record)
}

fn read<T: DeserializeOwned>(record: &Record) -> Result<T, Unreadable> {
    if record.version > VERSION {
        return Err(Unreadable::Later(record.version));
    }
    Ok(serde_json::from_slice(&record.body)?)
}
