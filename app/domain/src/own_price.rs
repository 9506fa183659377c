//! Prices that one customer has agreed on: from an instant on, and to one if they have an end, such a price takes the place of the one that everyone pays.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{PriceKind, PriceVersion},
    id::AccountId,
    price_history::PriceHistory,
    pricing::Discount,
    rates::Rates,
};

/// One immutable version of what a model costs one customer. It is the whole price: no discount is taken off it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPrice {
    /// What calls are charged by; a price of the side that customers pay.
    pub version: PriceVersion,
    /// The model's public name.
    pub model: String,
    /// Whose.
    pub account: AccountId,
    /// From when on the customer pays what everyone pays, unless another version of theirs has begun by then; later than it begins.
    pub ends_at: Option<DateTime<Utc>>,
    /// When it was taken back, before it began: it never is in force.
    pub withdrawn_at: Option<DateTime<Utc>>,
}

impl OwnPrice {
    /// Whether it has begun, and was not taken back before.
    fn has_begun(&self, instant: DateTime<Utc>) -> bool {
        self.withdrawn_at.is_none() && self.version.effective_from <= instant
    }

    fn has_ended(&self, instant: DateTime<Utc>) -> bool {
        self.ends_at.is_some_and(|end| end <= instant)
    }
}

/// Of one customer's versions for one model, in any order, that which a call is charged by that is admitted at this instant; `None` if it costs what it costs
/// everyone: the last one to begin counts, and has not ended.
pub fn in_force<'a>(versions: impl IntoIterator<Item = &'a OwnPrice>, instant: DateTime<Utc>) -> Option<&'a OwnPrice> {
    let begun = versions.into_iter().filter(|own| own.has_begun(instant));
    begun.max_by_key(|own| own.version.effective_from).filter(|own| !own.has_ended(instant))
}

/// What a customer pays at an instant, be that their own price or everyone's less their discount, and what the provider charges then.
#[must_use]
pub fn sides(own: &[OwnPrice], everyones: &PriceHistory, discount: Discount, instant: DateTime<Utc>) -> [Option<Rates>; 2] {
    let at = |kind| everyones.at(kind, instant).map(|version| &version.rates);
    let own = in_force(own, instant).map(|own| own.version.rates.clone());
    [own.or_else(|| at(PriceKind::Sale).map(|rates| rates.less(discount))), at(PriceKind::Cost).cloned()]
}

/// When a version is over among all of a customer's: at its end, or when the next one for its model begins; `None` while neither is in sight. What it had
/// taken the place of does not come back.
#[must_use]
pub fn over_at(own: &OwnPrice, all: &[OwnPrice]) -> Option<DateTime<Utc>> {
    let others = all.iter().filter(|other| other.model == own.model && other.withdrawn_at.is_none());
    let next = others.map(|other| other.version.effective_from).filter(|begins| *begins > own.version.effective_from).min();
    own.ends_at.into_iter().chain(next).min()
}

/// How often a customer's versions for a model were written to, ends and withdrawals included: whoever has read them at this number has read all of them.
#[must_use]
pub fn revision(versions: &[OwnPrice]) -> i64 {
    versions.iter().map(|own| if own.withdrawn_at.is_some() || own.ends_at.is_some() { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        id::{ModelId, PriceId},
        money::Amount,
        service_tier::ServiceTier,
    };

    fn hour(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    fn own(number: u8, begins: i64, ends: Option<i64>, is_withdrawn: bool) -> OwnPrice {
        OwnPrice {
            version: PriceVersion {
                id: PriceId::new(DateTime::UNIX_EPOCH, [number; 10]),
                model_id: ModelId::new(DateTime::UNIX_EPOCH, [0; 10]),
                kind: PriceKind::Sale,
                effective_from: hour(begins),
                rates: Rates::plain(Amount::ZERO, Amount::ZERO),
                created_at: hour(i64::from(number)),
                created_by: "somebody".to_owned(),
                service_tier: ServiceTier::Default,
            },
            model: "small".to_owned(),
            account: AccountId::new(DateTime::UNIX_EPOCH, [0; 10]),
            ends_at: ends.map(hour),
            withdrawn_at: is_withdrawn.then_some(hour(0)),
        }
    }

    #[test]
    fn a_price_holds_from_its_beginning_to_its_end_or_to_the_next() {
        let versions = [own(1, 10, Some(20), false), own(2, 15, None, false), own(3, 30, Some(40), false), own(4, 35, None, true)];
        for (at, expected) in
            [(9, None), (10, Some(0)), (14, Some(0)), (15, Some(1)), (29, Some(1)), (30, Some(2)), (39, Some(2)), (40, None)]
        {
            assert_eq!(in_force(&versions, hour(at)), expected.map(|index: usize| &versions[index]), "at {at}");
        }
        assert_eq!(revision(&versions), 7, "two have an end, and one was withdrawn");
        let over = versions.each_ref().map(|own| over_at(own, &versions));
        assert_eq!(over, [Some(hour(15)), Some(hour(30)), Some(hour(40)), None]);
        assert_eq!(in_force(&[], hour(1)), None);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_order_they_stand(begins in proptest::collection::btree_set(0_i64..50, 0..8), at in 0_i64..60, ends in 0_i64..60) {
            let versions: Vec<_> = (0..).zip(&begins).map(|(number, begins)| own(number, *begins, (ends > *begins).then_some(ends), ends % 3 == 0)).collect();
            prop_assert_eq!(in_force(&versions, hour(at)), in_force(versions.iter().rev(), hour(at)));
        }
    }
}
