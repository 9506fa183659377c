//! Prices that change while calls run.

use chrono::TimeDelta;
use domain::{
    catalog::PriceKind,
    id::PriceId,
    money::Amount,
    pricing::{self, Charge, Discount},
    rates::Rates,
    service_tier::ServiceTier,
};
use ledger::{Admitted, Error, NewPrice, SettledCall};

use super::Walk;
use crate::world::MODEL;

impl Walk {
    pub(super) fn at_its_price(&self, intent: &Admitted, call: SettledCall) -> SettledCall {
        let rates = &self.rates[&intent.price_id];
        let Charge { amount, written_off } = pricing::charge(&call.usage, rates, Discount::NONE, intent.held, intent.excess);
        SettledCall { amount, written_off, ..call }
    }

    /// A price begins ahead of every call that was admitted: also of those of a clock that has been set back since.
    pub(super) async fn change_price(&mut self) {
        if self.world.now < self.latest {
            return;
        }
        let rates = Rates::plain(Amount::from_nanos(self.dice.between(0, 2_000_000)), Amount::from_nanos(self.dice.between(0, 2_000_000)));
        let id = PriceId::new(self.world.now, self.world.random());
        let new = NewPrice {
            id,
            model: MODEL,
            kind: PriceKind::Sale,
            rates: rates.clone(),
            effective_from: self.world.now,
            actor: "sim",
            now: self.world.now,
            service_tier: ServiceTier::Default,
        };
        match self.world.ledger.system().import_price(new).await {
            // It is known ten seconds later.
            Ok(()) => {
                self.rates.insert(id, rates);
                self.prices.insert(self.world.now, id);
                self.world.now += TimeDelta::seconds(20);
            }
            Err(Error::Taken(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
