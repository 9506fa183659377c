//! Credit for a call: held before it is forwarded, given back when it is not.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::{
    credit::{Exhausted, Quantity, Refuser, Unit, Window},
    money::Amount,
    tokens::Tokens,
};
use ledger::Intent;
use tokio::time::timeout;

use super::Call;
use crate::{
    Shared,
    auth::unavailable,
    bound::{Available, Bound, Terms},
    reply::Refusal,
    settings::LEASES_MAX,
    turns::Turn,
};

/// Pauses between tries to give back a hold.
const RELEASE_AGAIN_FIRST: Duration = Duration::from_millis(50);
const RELEASE_AGAIN_LAST: Duration = Duration::from_secs(2);
/// How long that is tried once the proxy must stop.
const RELEASE_WHEN_STOPPING: Duration = Duration::from_secs(1);

/// Why no credit is held for a call.
pub(super) struct NotHeld {
    pub(super) refusal: Refusal,
    /// Nobody knows whether it is held after all: the ledger's answer did not arrive.
    pub(super) perhaps: bool,
    /// The account's turn, which lasts until that was asked.
    pub(super) turn: Option<Turn>,
}

impl From<Refusal> for NotHeld {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, perhaps: false, turn: None }
    }
}

/// Why there is no lease.
enum Unleased {
    Refused(ledger::Error),
    /// The ledger took too long to say.
    Late,
}

impl Call {
    /// Holds the full bound; where credit or a limit is too short for it, a closer one. A free call needs no credit, but limits count it too.
    pub(super) async fn hold(&self, shared: &Shared) -> Result<Bound, NotHeld> {
        let terms = Terms { request: &self.request, model: &self.entry.model, rates: &self.price.rates, discount: self.discount() };
        let mut bound = terms.full().map_err(|_| Refusal::invalid("max_tokens", "this call could cost more than any account can hold"))?;
        let turn = timeout(shared.settings.lease_timeout, shared.turns.of(self.key.account_id)).await;
        let turn = turn.map_err(|_| Refusal::unavailable())?;
        let mut available = Available::EVERYTHING;
        for _ in 0..LEASES_MAX {
            let exhausted = match self.lease(shared, bound).await {
                Ok(paid_in) => return Ok(Bound { paid_in, ..bound }),
                Err(Unleased::Refused(ledger::Error::Exhausted(exhausted))) => exhausted,
                Err(unleased) => return Err(not_held(unleased, turn)),
            };
            let refusal = || Refusal::exhausted(&exhausted, self.key.line.mode(), Utc::now(), &shared.settings).into();
            let Some(room) = room(&exhausted) else { return Err(refusal()) };
            available = lowered(available, exhausted.pool.unit(), room);
            // Where not even the shortest answer fits, it is that which is refused: the least that would have to be there.
            let closer = terms.within(available).or_else(|| terms.least());
            bound = closer.filter(|closer| *closer != bound).ok_or_else(refusal)?;
        }
        Err(Refusal::unavailable().into())
    }

    async fn lease(&self, shared: &Shared, bound: Bound) -> Result<Unit, Unleased> {
        let intent = Intent {
            admitted: self.admitted(bound),
            proxy: shared.settings.instance,
            expires_at: self.at + TimeDelta::from_std(shared.settings.longest_call()).unwrap_or(TimeDelta::MAX),
        };
        match timeout(shared.settings.lease_timeout, shared.meter.lease(&intent)).await {
            Ok(leased) => leased.map_err(Unleased::Refused),
            Err(_) => Err(Unleased::Late),
        }
    }

    /// Gives back the hold of a call that was not forwarded, until that is known to be done: a hold that stayed would later be charged. It keeps the
    /// account's `turn` for its first try and takes another for each that follows: between two of them the account's calls have theirs, or a database
    /// that takes no writes would keep all of them waiting to hear so.
    pub(super) async fn release(&self, shared: &Shared, mut turn: Option<Turn>) {
        let release = async {
            let mut pause = RELEASE_AGAIN_FIRST;
            while let Err(error) = shared.meter.release(self.key.account_id, self.id).await {
                tracing::warn!(%error, call = %self.id, "a hold could not be given back; trying again");
                drop(turn.take());
                // Nobody waits for it: the process need not, either.
                if shared.calls.is_closed() {
                    tracing::warn!(call = %self.id, "its hold was not given back; the next start does it");
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RELEASE_AGAIN_LAST);
                turn = shared.turns.of(self.key.account_id).await;
            }
        };
        // The next start gives back what the spool knows nothing of.
        let stopping = async {
            shared.stop.cancelled().await;
            tokio::time::sleep(RELEASE_WHEN_STOPPING).await;
        };
        tokio::select! {
            biased;
            () = release => {}
            () = stopping => tracing::warn!(call = %self.id, "its hold was not given back; the next start does it"),
        }
    }
}

fn not_held(unleased: Unleased, turn: Option<Turn>) -> NotHeld {
    match unleased {
        Unleased::Refused(ledger::Error::KeyRevoked) => Refusal::no_key("The API key was revoked or has expired.").into(),
        Unleased::Refused(ledger::Error::AccountSuspended) => Refusal::account_suspended().into(),
        Unleased::Refused(error) => NotHeld { refusal: unavailable(&error), perhaps: !error.did_nothing(), turn },
        Unleased::Late => NotHeld { refusal: Refusal::unavailable(), perhaps: true, turn },
    }
}

/// How much of a pool that refused a call a shorter answer may take; `None` where none helps. Of a minute's limit only what exceeds the whole minute is
/// cut off: whoever comes again soon has the whole answer.
fn room(exhausted: &Exhausted) -> Option<Quantity> {
    match exhausted.pool {
        Refuser::Limit { unit: Unit::Requests, .. } => None,
        Refuser::Limit { window: Window::Minute, capacity, .. } => (exhausted.needed > capacity).then_some(capacity),
        Refuser::Limit { .. } | Refuser::Credit { .. } => Some(exhausted.available),
    }
}

/// What is left of what there is, when a pool has no more than this.
fn lowered(available: Available, unit: Unit, room: Quantity) -> Available {
    match unit {
        Unit::Money => Available { money: available.money.min(Amount::from_nanos(room.get())), ..available },
        Unit::Tokens => Available { tokens: available.tokens.min(Tokens::from_sum(room.get())), ..available },
        // A call is one request, however short its answer.
        Unit::Requests => available,
    }
}
