//! Plans and packages: credit that is sold by the month, or once.

use chrono::{DateTime, Datelike, Months, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    credit::{Quantity, Unit, Window},
    id::{AccountId, PlanId, SubscriptionId},
    money::Amount,
    pricing::Discount,
};

/// The most that a plan costs: a billion currency units.
const FEE_MAX: Amount = Amount::from_nanos(1_000_000_000 * 1_000_000_000);
/// How long a package lasts at most: about ten years.
const DAYS_MAX: u32 = 3_660;

/// For how long what is bought lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// A plan: a month, and then another.
    Monthly,
    /// A package: so many days of 24 hours, once.
    Once {
        /// How many.
        days: u32,
    },
}

/// What becomes of calls once a plan's allowance is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overage {
    /// The prepaid balance pays for them.
    Wallet,
    /// They are refused until the next period.
    Refused,
}

/// What a plan bounds of all of an account's calls for as long as it lasts: what is beyond is refused. `None` bounds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanLimits {
    /// Requests in a minute.
    pub requests_a_minute: Option<Quantity>,
    /// Tokens of prompt and completion together in a minute.
    pub tokens_a_minute: Option<Quantity>,
    /// Money in a calendar month, UTC.
    pub money_a_month: Option<Quantity>,
}

/// One of [`PlanLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLimit {
    /// What it counts.
    pub unit: Unit,
    /// When it begins anew.
    pub window: Window,
    /// How much there is in each window.
    pub capacity: Quantity,
}

impl PlanLimits {
    /// None at all.
    pub const NONE: Self = Self { requests_a_minute: None, tokens_a_minute: None, money_a_month: None };

    /// Those that bound something.
    pub fn each(self) -> impl Iterator<Item = PlanLimit> {
        let all = [
            (Unit::Requests, Window::Minute, self.requests_a_minute),
            (Unit::Tokens, Window::Minute, self.tokens_a_minute),
            (Unit::Money, Window::Month, self.money_a_month),
        ];
        all.into_iter().filter_map(|(unit, window, capacity)| Some(PlanLimit { unit, window, capacity: capacity? }))
    }

    /// The first that bounds everything, by the name of its field.
    fn of_nothing(&self) -> Option<&'static str> {
        let Self { requests_a_minute, tokens_a_minute, money_a_month } = self;
        let all = [("requests_a_minute", requests_a_minute), ("tokens_a_minute", tokens_a_minute), ("money_a_month", money_a_month)];
        all.into_iter().find(|(_, capacity)| capacity.is_some_and(|capacity| capacity.get() <= 0)).map(|(field, _)| field)
    }
}

/// What one version of a plan or a package is. It never changes: who has bought it keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTerms {
    /// For how long.
    pub term: Term,
    /// What it costs, each month or once.
    pub fee: Amount,
    /// What the allowance is counted in: money, or tokens that pay for whole calls.
    pub unit: Unit,
    /// How much of it, each month or once.
    pub allowance: Quantity,
    /// The models that the allowance pays for; `None` for all.
    pub models: Option<Vec<String>>,
    /// What becomes of calls beyond it.
    pub overage: Overage,
    /// What calls are discounted by while the plan lasts, whatever pays for them.
    pub discount: Discount,
    /// What it bounds while it lasts.
    pub limits: PlanLimits,
}

/// Why terms cannot be: the input that is at fault, and what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PlanError {
    /// Which of the terms.
    pub field: &'static str,
    /// What is wrong.
    pub problem: &'static str,
}

impl PlanTerms {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// [`PlanError`] names the first that cannot be.
    pub fn check(&self) -> Result<(), PlanError> {
        let wrong = |field, problem| Err(PlanError { field, problem });
        match self {
            Self { fee, .. } if !(Amount::ZERO..=FEE_MAX).contains(fee) => wrong("fee", "write an amount from 0 to 1,000,000,000"),
            Self { unit: Unit::Requests, .. } => wrong("unit", "an allowance is counted in money or in tokens"),
            Self { allowance, .. } if allowance.get() <= 0 => wrong("allowance", "write how much is in it, above zero"),
            Self { models: Some(models), .. } if models.is_empty() => wrong("models", "name at least one, or leave them out for all"),
            Self { term: Term::Once { days }, .. } if !(1..=DAYS_MAX).contains(days) => wrong("days", "write from 1 to 3660"),
            Self { term: Term::Once { .. }, overage: Overage::Refused, .. } => {
                wrong("overage", "a package is used before the prepaid balance: only a plan can refuse what goes beyond it")
            }
            Self { term: Term::Once { .. }, discount, .. } if *discount != Discount::NONE => {
                wrong("discount", "only a plan discounts calls, for as long as it lasts")
            }
            Self { term: Term::Once { .. }, limits, .. } if *limits != PlanLimits::NONE => {
                wrong("limits", "only a plan bounds calls, for as long as it lasts")
            }
            Self { limits, .. } if limits.of_nothing().is_some() => {
                wrong(limits.of_nothing().unwrap_or_default(), "write how much there is, above zero, or leave it out")
            }
            _ => Ok(()),
        }
    }

    /// Whether it is sold by the month.
    #[must_use]
    pub const fn is_monthly(&self) -> bool {
        matches!(self.term, Term::Monthly)
    }
}

/// A plan or a package as it is sold now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The plan.
    pub id: PlanId,
    /// Its name.
    pub name: String,
    /// Which version: 1, 2, 3 and on.
    pub version: i64,
    /// Whether customers are shown it and may buy it.
    pub is_offered: bool,
    /// What it is.
    pub terms: PlanTerms,
}

/// A version of a plan or a package, as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanVersion {
    /// What it is.
    pub plan: Plan,
    /// Since when it is.
    pub set_at: DateTime<Utc>,
    /// Who wrote it.
    pub set_by: String,
}

/// An account that has a plan, or a package that still lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanHolder {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// The version that holds for it.
    pub version: i64,
    /// Until when it is paid for.
    pub until: DateTime<Utc>,
    /// Whether it ends then; every package does.
    pub ends: bool,
    /// The plan that follows then, if it is another.
    pub next: Option<String>,
    /// Since when the next period could not be paid for.
    pub unpaid_since: Option<DateTime<Utc>>,
}

/// What becomes of a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bought {
    /// It is paid for at once, and lasts until then.
    Now(DateTime<Utc>),
    /// It follows when the period ends that was paid for.
    Then(DateTime<Utc>),
}

/// What a purchase comes to at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// What is bought, in the version that is sold now.
    pub plan: Plan,
    /// When it begins, or how long it lasts.
    pub bought: Bought,
    /// What comes back of the plan before.
    pub credit: Amount,
    /// What leaves the balance now: the fee less that, and nothing of what begins later.
    pub due: Amount,
    /// What is in the wallet.
    pub balance: Amount,
    /// What of it can pay: neither held by running calls nor lent. Below zero where it owes.
    pub room: Amount,
    /// When.
    pub now: DateTime<Utc>,
}

impl Quote {
    /// What the wallet lacks; `None` where it can pay.
    #[must_use]
    pub fn missing(&self) -> Option<Amount> {
        let missing = self.due.checked_sub(self.room).unwrap_or(Amount::MAX);
        (self.due > Amount::ZERO && missing > Amount::ZERO).then_some(missing)
    }

    /// What is in the wallet once it is paid for; `None` of what cannot be written down.
    #[must_use]
    pub const fn balance_after(&self) -> Option<Amount> {
        self.balance.checked_sub(self.due)
    }
}

/// One month of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Month {
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when, itself not within it.
    pub to: DateTime<Utc>,
}

impl Month {
    /// The month after so many others from an anchor: at the same time of the same day, or of the month's last day where there is none such. So what
    /// began on 31 January renews on 28 February and on 31 March. `None` beyond what a date can say.
    #[must_use]
    pub fn nth(anchor: DateTime<Utc>, index: u32) -> Option<Self> {
        let after = |months| anchor.checked_add_months(Months::new(months));
        Some(Self { from: after(index)?, to: after(index.checked_add(1)?)? })
    }

    /// The month from an anchor that holds an instant; the first one before that.
    #[must_use]
    pub fn at(anchor: DateTime<Utc>, now: DateTime<Utc>) -> Option<Self> {
        let months = |at: DateTime<Utc>| i64::from(at.year()) * 12 + i64::from(at.month0());
        let index = u32::try_from(months(now) - months(anchor)).unwrap_or(0);
        // The day within the month decides between two.
        let this = Self::nth(anchor, index)?;
        if now < this.from && index > 0 { Self::nth(anchor, index - 1) } else { Some(this) }
    }

    /// What of a fee comes back when the period is given up now: as much as the lesser is of the time and of the allowance that are left, rounded down to a
    /// nano. Nobody gets the money back for an allowance that is used up, nor for a month that is over.
    #[must_use]
    pub fn unused(&self, fee: Amount, now: DateTime<Utc>, allowance: Quantity, left: Quantity) -> Amount {
        let part = |of: i64, left: i64| if of > 0 { (i128::from(left.clamp(0, of)), i128::from(of)) } else { (0, 1) };
        let time = part((self.to - self.from).num_milliseconds(), (self.to - now).num_milliseconds());
        let amount = part(allowance.get(), left.get());
        let (numerator, denominator) = if time.0 * amount.1 <= amount.0 * time.1 { time } else { amount };
        let back = i128::from(fee.nanos().max(0)) * numerator / denominator;
        Amount::from_nanos(i64::try_from(back).unwrap_or(i64::MAX))
    }
}

/// A customer's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The subscription.
    pub id: SubscriptionId,
    /// What was bought, in the version that holds for it.
    pub plan: Plan,
    /// The period that was paid for last.
    pub period: Month,
    /// The plan that follows when the period ends, if it is another.
    pub next: Option<Plan>,
    /// Whether it ends with the period.
    pub ends: bool,
    /// Since when the next period could not be paid for.
    pub unpaid_since: Option<DateTime<Utc>>,
    /// What is left of the allowance.
    pub left: Quantity,
}

/// A package that a customer has bought and that still lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPackage {
    /// The purchase.
    pub id: SubscriptionId,
    /// What was bought, in the version that holds for it.
    pub plan: Plan,
    /// What is left of it.
    pub left: Quantity,
    /// When it ends.
    pub until: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_ends_on_the_day_that_it_began_on_or_on_the_last_one() {
        let anchor = at("2027-01-31T12:00:00Z");
        let ends: Vec<_> = (0..4).map(|index| Month::nth(anchor, index).unwrap().to).collect();
        let expected = ["2027-02-28T12:00:00Z", "2027-03-31T12:00:00Z", "2027-04-30T12:00:00Z", "2027-05-31T12:00:00Z"];
        assert_eq!(ends, expected.map(at));
        assert_eq!(Month::nth(at("2028-01-31T12:00:00Z"), 0).unwrap().to, at("2028-02-29T12:00:00Z"), "a leap year's");
    }

    #[test]
    fn what_comes_back_is_the_lesser_part_of_time_and_allowance() {
        let period = Month { from: at("2027-04-01T00:00:00Z"), to: at("2027-05-01T00:00:00Z") };
        let (fee, allowance) = (Amount::from_nanos(30_000), Quantity::from_count(1_000));
        let back = |now, left| period.unused(fee, at(now), allowance, Quantity::from_count(left)).nanos();
        assert_eq!(back("2027-04-11T00:00:00Z", 1_000), 20_000, "ten days of thirty are gone");
        assert_eq!(back("2027-04-11T00:00:00Z", 250), 7_500, "three quarters are used");
        assert_eq!((back("2027-04-01T00:00:00Z", 1_000), back("2027-05-01T00:00:00Z", 1_000)), (30_000, 0));
        assert_eq!(
            (back("2027-06-01T00:00:00Z", 1_000), back("2027-03-01T00:00:00Z", 2_000), back("2027-04-11T00:00:00Z", -5)),
            (0, 30_000, 0)
        );
    }

    #[test]
    fn terms_that_cannot_be_are_refused_by_name() {
        let month = PlanTerms {
            term: Term::Monthly,
            fee: Amount::from_nanos(1),
            unit: Unit::Tokens,
            allowance: Quantity::from_count(1),
            models: None,
            overage: Overage::Refused,
            discount: Discount::NONE,
            limits: PlanLimits { requests_a_minute: Some(Quantity::from_count(60)), ..PlanLimits::NONE },
        };
        assert_eq!(month.check(), Ok(()));
        let once = PlanTerms { term: Term::Once { days: 30 }, overage: Overage::Wallet, limits: PlanLimits::NONE, ..month.clone() };
        let bounded = |capacity| PlanLimits { money_a_month: Some(Quantity::from_count(capacity)), ..PlanLimits::NONE };
        assert_eq!(once.check(), Ok(()));
        for (field, wrong) in [
            ("fee", PlanTerms { fee: Amount::from_nanos(-1), ..month.clone() }),
            ("unit", PlanTerms { unit: Unit::Requests, ..month.clone() }),
            ("allowance", PlanTerms { allowance: Quantity::ZERO, ..month.clone() }),
            ("money_a_month", PlanTerms { limits: bounded(0), ..month.clone() }),
            ("models", PlanTerms { models: Some(vec![]), ..month }),
            ("limits", PlanTerms { limits: bounded(1), ..once.clone() }),
            ("days", PlanTerms { term: Term::Once { days: 0 }, ..once.clone() }),
            ("overage", PlanTerms { overage: Overage::Refused, ..once.clone() }),
            ("discount", PlanTerms { discount: Discount::from_bps(1).unwrap(), ..once }),
        ] {
            assert_eq!(wrong.check().map_err(|error| error.field), Err(field));
        }
    }

    proptest! {
        #[test]
        fn months_follow_each_other_and_each_instant_is_in_one(start in 0_i64..4_000_000_000, after in 0_i64..1_000_000_000) {
            let anchor = DateTime::from_timestamp(start, 0).unwrap();
            let now = anchor + TimeDelta::seconds(after);
            let period = Month::at(anchor, now).unwrap();
            prop_assert!(period.from <= now && now < period.to, "{period:?}");
            let next = Month::at(anchor, period.to).unwrap();
            prop_assert_eq!(next.from, period.to);
        }

        #[test]
        fn what_comes_back_is_never_more_than_was_paid(fee in 0_i64..i64::MAX, allowance in 1_i64..i64::MAX, left: i64, seconds in 0_i64..3_000_000) {
            let from = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
            let period = Month::nth(from, 0).unwrap();
            let back = period.unused(Amount::from_nanos(fee), from + TimeDelta::seconds(seconds), Quantity::from_count(allowance), Quantity::from_count(left));
            prop_assert!((0..=fee).contains(&back.nanos()));
        }
    }
}
