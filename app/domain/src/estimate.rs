//! What a month would cost, from what somebody expects of it: the same pricing as a call's, without and with a plan.

use serde::{Deserialize, Serialize};

use crate::{
    credit::Unit,
    money::Amount,
    plan::{Overage, PlanTerms},
    pricing::{Discount, price},
    rates::Rates,
    tokens::{CallUsage, Tokens},
};

/// The most tokens that are expected of a side: more than all of the world's.
pub const TOKENS_MAX: i64 = 1_000_000_000_000_000;
/// The most calls.
pub const CALLS_MAX: i64 = 1_000_000_000_000;

/// What is expected of one model in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The model.
    pub model: &'a str,
    /// Its price. Of context tiers the first counts: how long single calls are is not expected.
    pub price: ExpectedPrice<'a>,
    /// All prompt tokens; from 0 to [`TOKENS_MAX`].
    pub prompt: i64,
    /// All completion tokens; the same.
    pub completion: i64,
    /// In how many calls, for a fee per call; from 0 to [`CALLS_MAX`].
    pub calls: i64,
}

/// Whose price it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedPrice<'a> {
    /// What everyone pays, less the discount of a plan.
    Everyones(&'a Rates),
    /// What the customer has agreed on ([`crate::own_price`]): no discount is taken off it.
    Own(&'a Rates),
}

impl<'a> ExpectedPrice<'a> {
    /// Its rates.
    #[must_use]
    pub const fn rates(self) -> &'a Rates {
        match self {
            Self::Everyones(rates) | Self::Own(rates) => rates,
        }
    }

    /// What is taken off it where a plan has this discount.
    const fn discount(self, of_plan: Discount) -> Discount {
        match self {
            Self::Everyones(_) => of_plan,
            Self::Own(_) => Discount::NONE,
        }
    }
}

/// What a month comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The plan's fee; zero without one.
    pub fee: Amount,
    /// What the allowance pays for, in money.
    pub covered: Amount,
    /// What the balance pays for calls.
    pub calls: Amount,
    /// What calls would cost that the plan refuses.
    pub refused: Amount,
    /// Fee and calls.
    pub total: Amount,
}

/// What a month without a plan comes to, or with one. `None` where it is more than an amount holds.
#[must_use]
pub fn estimate(expected: &[Expected<'_>], plan: Option<&PlanTerms>) -> Option<Estimate> {
    let discount = plan.map_or(Discount::NONE, |plan| plan.discount);
    let pays_for = |one: &&Expected<'_>| {
        plan.is_some_and(|plan| plan.models.as_ref().is_none_or(|models| models.iter().any(|name| name == one.model)))
    };
    let (within, outside): (Vec<_>, Vec<_>) = expected.iter().partition(pays_for);
    let sum = |rows: &[&Expected<'_>]| rows.iter().try_fold(Amount::ZERO, |sum, one| sum.checked_add(one.cost(discount)?));
    let (cost, outside) = (sum(&within)?, sum(&outside)?);
    let tokens = within.iter().try_fold(0_i64, |sum, one| sum.checked_add(one.prompt)?.checked_add(one.completion))?;
    let beyond = plan.map_or(Some(cost), |plan| beyond(plan, cost, tokens))?;
    let unpaid = beyond.checked_add(outside)?;
    let (calls, refused) =
        if plan.is_some_and(|plan| plan.overage == Overage::Refused) { (Amount::ZERO, unpaid) } else { (unpaid, Amount::ZERO) };
    let fee = plan.map_or(Amount::ZERO, |plan| plan.fee);
    Some(Estimate { fee, covered: cost.checked_sub(beyond)?, calls, refused, total: fee.checked_add(calls)? })
}

impl Expected<'_> {
    /// All of it as if it were one call of the first tier, but for the fee of each.
    fn cost(&self, of_plan: Discount) -> Option<Amount> {
        let (rates, discount) = (self.price.rates(), self.price.discount(of_plan));
        let per_call = rates.per_call.nanos().checked_mul(self.calls).map(Amount::from_nanos)?;
        let rates = Rates { base: rates.base.clone(), per_call, tiers: Vec::new() };
        let usage = CallUsage::of_totals(Some(Tokens::from_sum(self.prompt)), Some(Tokens::from_sum(self.completion)), None);
        let amount = price(&usage, &rates, discount).ok()?.amount;
        (amount < Amount::MAX).then_some(amount)
    }
}

/// What of a cost the allowance does not pay for. Of tokens, the part beyond costs as much each as all of them do.
fn beyond(plan: &PlanTerms, cost: Amount, tokens: i64) -> Option<Amount> {
    let allowance = plan.allowance.get();
    match plan.unit {
        Unit::Tokens if tokens <= allowance => Some(Amount::ZERO),
        Unit::Tokens => {
            let part = i128::from(cost.nanos()) * i128::from(tokens - allowance);
            i64::try_from((part + i128::from(tokens) / 2) / i128::from(tokens)).ok().map(Amount::from_nanos)
        }
        Unit::Money | Unit::Requests => cost.checked_sub(Amount::from_nanos(allowance)).map(|rest| rest.max(Amount::ZERO)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use proptest::prelude::*;

    use super::*;
    use crate::{
        credit::Quantity,
        plan::{PlanLimits, Term},
        rates::{BucketRates, ContextTier},
    };

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn rates() -> Rates {
        Rates::plain(amount("0.15"), amount("0.6"))
    }

    fn expected(rates: &Rates, prompt: i64, completion: i64) -> Expected<'_> {
        Expected { model: "small", price: ExpectedPrice::Everyones(rates), prompt, completion, calls: 10 }
    }

    fn plan(unit: Unit, allowance: i64) -> PlanTerms {
        PlanTerms {
            term: Term::Monthly,
            fee: amount("20"),
            unit,
            allowance: Quantity::from_count(allowance),
            models: None,
            overage: Overage::Wallet,
            discount: Discount::NONE,
            limits: PlanLimits::NONE,
        }
    }

    #[test]
    fn without_a_plan_it_is_tokens_times_rates_and_the_fee_of_each_call() {
        let mut rates = Rates { per_call: amount("0.01"), ..rates() };
        rates.tiers.push(ContextTier { from_prompt_tokens: Tokens::from_sum(100), rates: BucketRates::plain(amount("9"), amount("9")) });
        let month = estimate(&[expected(&rates, 100_000, 10_000)], None).unwrap();
        assert_eq!((month.total, month.fee, month.refused), (amount("21.1"), Amount::ZERO, Amount::ZERO), "15 + 6 + 10 × 0.01");
    }

    #[test]
    fn no_discount_is_taken_off_a_price_that_was_agreed() {
        let (everyones, own) = (rates(), Rates::plain(amount("0.1"), amount("0.5")));
        let half = PlanTerms { discount: Discount::from_bps(5_000).unwrap(), ..plan(Unit::Money, 0) };
        let rows = [
            expected(&everyones, 100_000, 10_000),
            Expected { model: "large", price: ExpectedPrice::Own(&own), ..expected(&own, 100_000, 10_000) },
        ];
        let of = |plan| estimate(&rows, plan).unwrap().calls;
        assert_eq!((of(None), of(Some(&half))), (amount("36"), amount("25.5")), "21 and 15; half of 21, and 15");
    }

    #[test]
    fn an_allowance_pays_first_and_for_its_models_alone() {
        let rates = rates();
        let rows = [expected(&rates, 100_000, 10_000), Expected { model: "large", ..expected(&rates, 20_000, 0) }];
        let of_all = estimate(&rows, Some(&plan(Unit::Money, 25_000_000_000))).unwrap();
        assert_eq!((of_all.covered, of_all.calls, of_all.total), (amount("24"), Amount::ZERO, amount("20")), "21 and 3 are less than 25");
        let scoped = PlanTerms { models: Some(vec!["small".to_owned()]), ..plan(Unit::Money, 20_000_000_000) };
        let scoped = estimate(&rows, Some(&scoped)).unwrap();
        assert_eq!(
            (scoped.covered, scoped.calls, scoped.total),
            (amount("20"), amount("4"), amount("24")),
            "1 beyond it, and 3 of the other"
        );
        let tokens = estimate(&rows[..1], Some(&plan(Unit::Tokens, 55_000))).unwrap();
        assert_eq!((tokens.covered, tokens.total), (amount("10.5"), amount("30.5")), "half of the tokens, half of the 21");
    }

    #[test]
    fn what_a_plan_refuses_is_paid_by_nobody_and_its_discount_is_of_every_call() {
        let rates = rates();
        let refusing = PlanTerms { overage: Overage::Refused, ..plan(Unit::Money, 10_000_000_000) };
        let month = estimate(&[expected(&rates, 100_000, 10_000)], Some(&refusing)).unwrap();
        assert_eq!((month.total, month.refused, month.covered), (amount("20"), amount("11"), amount("10")));
        let half = PlanTerms { discount: Discount::from_bps(5_000).unwrap(), ..plan(Unit::Money, 500_000_000) };
        let month = estimate(&[expected(&rates, 100_000, 10_000)], Some(&half)).unwrap();
        assert_eq!((month.calls, month.total), (amount("10"), amount("30")), "10.5 at half the price, less 0.5");
    }

    #[test]
    fn what_no_amount_holds_is_none() {
        let dear = Rates::plain(Rates::MAX_PER_1K, Rates::MAX_PER_1K);
        assert_eq!(estimate(&[expected(&dear, TOKENS_MAX, TOKENS_MAX)], None), None);
        assert!(estimate(&[], None).unwrap().total.is_zero());
    }

    proptest! {
        #[test]
        fn nothing_of_a_months_cost_is_lost(
            prompt in 0_i64..10_000_000_000, completion in 0_i64..10_000_000_000, allowance in 1_i64..10_000_000_000_000, is_money: bool, refuses: bool,
        ) {
            let rates = rates();
            let rows = [expected(&rates, prompt, completion)];
            let overage = if refuses { Overage::Refused } else { Overage::Wallet };
            let plan = PlanTerms { overage, ..plan(if is_money { Unit::Money } else { Unit::Tokens }, allowance) };
            let (without, with) = (estimate(&rows, None).unwrap(), estimate(&rows, Some(&plan)).unwrap());
            prop_assert_eq!(with.covered.nanos() + with.calls.nanos() + with.refused.nanos(), without.total.nanos());
            prop_assert!(with.covered >= Amount::ZERO && with.total >= plan.fee);
        }
    }
}
