//! Credit for a call: held in what is leased before it is forwarded.

use chrono::Utc;
use domain::{
    credit::{self, Caller, Demand, Exhausted, Quantity, Refuser, Unit, Window},
    money::Amount,
    pricing::Discount,
    rates::Rates,
    tokens::Tokens,
};

use super::Call;
use crate::{
    Shared,
    admit::{
        bound::{Available, Bound, Terms},
        catalog::Price,
        leases::{Held, NoHold, Wanted},
    },
    reply::{Refusal, Remedy},
    settings::HOLDS_MAX,
};

impl Call {
    /// Holds the full bound; where credit or a limit is too short for it, a closer one. A free call needs no credit, but limits count it too.
    pub(super) async fn hold(&self, shared: &Shared) -> Result<(Bound, Held), Refusal> {
        let terms =
            Terms { request: &self.request, model: &self.entry.model, price: at(&self.price), or_price: self.or_price.as_ref().map(at) };
        let mut bound = terms.full().map_err(|_| Refusal::invalid("max_tokens", "this call could cost more than any account can hold"))?;
        let mut available = Available::EVERYTHING;
        for _ in 0..HOLDS_MAX {
            let exhausted = match shared.leases.hold(self.key.account_id, &self.wanted(bound)).await {
                Ok(held) => return Ok((Bound { paid_in: credit::unit_of(&held.split().payment), ..bound }, held)),
                Err(NoHold::Exhausted(exhausted)) => exhausted,
                Err(NoHold::Unavailable) => return Err(Refusal::unavailable()),
            };
            let there_is = lowered(available, exhausted.pool.unit(), exhausted.available);
            let remedy = if terms.fits_with_a_lower_cap(there_is) { Remedy::LowerCap } else { Remedy::ShorterPrompt };
            let refusal = || Refusal::exhausted(&exhausted, remedy, self.key.line.mode(), Utc::now(), &shared.settings);
            let Some(room) = room(&exhausted) else { return Err(refusal()) };
            available = lowered(available, exhausted.pool.unit(), room);
            // Where not even the shortest answer fits, it is that which is refused: the least that would have to be there.
            let closer = terms.within(available).or_else(|| terms.least());
            bound = closer.filter(|closer| *closer != bound).ok_or_else(refusal)?;
        }
        Err(Refusal::unavailable())
    }

    fn wanted(&self, bound: Bound) -> Wanted {
        let Self { key, attribution, .. } = self;
        Wanted {
            demand: Demand { money: bound.held, tokens: bound.tokens, requests: 1 },
            caller: Caller { key: key.key_id, project: key.project_id, member: key.member, run: attribution.session.clone() },
            model: self.entry.model.name.clone(),
            at: self.at,
        }
    }
}

fn at(price: &Price) -> (&Rates, Discount) {
    (&price.version.rates, price.discount)
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
