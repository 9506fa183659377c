//! What the spool's records say: types of the ledger, each in an encoding that has a version.
//!
//! They are written in [postcard](https://postcard.jamesmunns.com/wire-format): a type's fields in their order, without names. Another field, another order
//! or another kind in front of others is therefore another version, whose former types are kept to read the former one with. Over that is
//! [COBS](https://doi.org/10.1109/90.769765), which leaves no zero byte.

use std::io;

use ledger::{Admitted, SettledCall};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};

use crate::books::spool::{Found, Kind, Record};

mod former;
#[cfg(test)]
pub(crate) mod tests;

/// The encoding that is written.
pub(crate) const VERSION: u8 = 4;
/// The one before, which says nothing of service tiers.
const WITHOUT_SERVICE_TIERS: u8 = 3;
/// The one before that, whose settlements say nothing of attempts either; its intents are the same.
const WITHOUT_ATTEMPTS: u8 = 2;
/// The first: JSON.
const JSON: u8 = 1;

/// A record that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it was written by a later version of Farebox, in encoding {0}")]
    Later(u8),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("its body makes no sense: {0}")]
    Postcard(#[from] postcard::Error),
}

/// What most records have room in.
const BODY_BYTES: usize = 1_024;

/// The body of a record.
///
/// # Errors
/// None that is known of.
pub(crate) fn write(body: &impl Serialize) -> io::Result<Vec<u8>> {
    let plain = postcard::to_extend(body, Vec::with_capacity(BODY_BYTES)).map_err(io::Error::other)?;
    Ok(without_zeros(&plain))
}

/// The longest run that COBS writes as one.
const RUN_BYTES_MAX: usize = 254;

/// COBS without the zero that says where it ends, since its frame does: what is between two zeros, in runs, each behind its length and one. A run of
/// 254 bytes is followed by another, and no zero. Postcard's own encoder asks of each byte whether there is room for it.
fn without_zeros(plain: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(plain.len() + plain.len() / RUN_BYTES_MAX + 1);
    let mut push = |run: &[u8]| {
        encoded.push(u8::try_from(run.len() + 1).unwrap_or(u8::MAX));
        encoded.extend_from_slice(run);
    };
    for between in plain.split(|byte| *byte == 0) {
        let full = between.chunks_exact(RUN_BYTES_MAX);
        let rest = full.remainder();
        full.for_each(&mut push);
        push(rest);
    }
    encoded
}

/// What was known of a call when it began.
pub(crate) fn read_intent(record: &Record) -> Result<Admitted, Unreadable> {
    match record.version {
        JSON => Ok(serde_json::from_slice(&record.body)?),
        WITHOUT_ATTEMPTS | WITHOUT_SERVICE_TIERS => read::<former::Admitted>(record).map(Into::into),
        VERSION => read(record),
        other => Err(Unreadable::Later(other)),
    }
}

/// What a call came to.
pub(crate) fn read_settlement(record: &Record) -> Result<SettledCall, Unreadable> {
    match record.version {
        JSON => Ok(serde_json::from_slice(&record.body)?),
        WITHOUT_ATTEMPTS => read::<former::WithoutAttempts>(record).map(Into::into),
        WITHOUT_SERVICE_TIERS => read::<former::WithoutServiceTiers>(record).map(Into::into),
        VERSION => read(record),
        other => Err(Unreadable::Later(other)),
    }
}

fn read<T: DeserializeOwned>(record: &Record) -> Result<T, Unreadable> {
    Ok(postcard::from_bytes_cobs(&mut record.body.clone())?)
}

impl Found {
    /// What it says, for a person to read; `None` if this version cannot read it.
    #[must_use]
    pub fn to_json(&self) -> Option<Box<RawValue>> {
        match (self.record.version, self.kind) {
            (JSON, _) => serde_json::from_slice(&self.record.body).ok(),
            (_, Kind::Intent) => to_raw_value(&read_intent(&self.record).ok()?).ok(),
            (_, Kind::Settlement) => to_raw_value(&read_settlement(&self.record).ok()?).ok(),
        }
    }
}
