//! Calls, admitted and settled.

use chrono::TimeDelta;
use domain::{
    attribution::Attribution,
    call::{Outcome, UsageSource},
    credit::Split,
    id::{CallId, ProjectId},
    money::Amount,
    pricing::{self, Charge, Discount, Excess},
    service_tier::ServiceTier,
    tokens::{CallUsage, Tokens},
};
use ledger::{Admitted, SettledCall};

use super::{Customer, MODEL, World, amount};

/// The same call, admitted on other terms.
pub(crate) fn with(mut call: Admitted, change: impl FnOnce(&mut Admitted)) -> Admitted {
    change(&mut call);
    call
}

impl World {
    /// A call that may cost so much, and for which nothing is leased yet.
    pub(crate) fn intent(&self, customer: Customer, held: &str) -> Admitted {
        let id = CallId::new(self.now, self.random());
        Admitted { held: amount(held), tokens_held: Tokens::from_sum(1_000_000), ..self.admitted(customer, id) }
    }

    /// A call of a customer's first key, of which its client says nothing, with nothing held.
    fn admitted(&self, customer: Customer, call_id: CallId) -> Admitted {
        Admitted {
            account_id: customer.account,
            call_id,
            key_id: customer.key,
            project_id: ProjectId::first_of(customer.account),
            member: Some(customer.user),
            attribution: Attribution::default(),
            model: MODEL.to_owned(),
            provider: "upstream".to_owned(),
            price_id: self.price,
            discount: Discount::NONE,
            stream: true,
            excess: Excess::WrittenOff,
            input_estimate: Tokens::from_sum(12),
            held: Amount::ZERO,
            tokens_held: Tokens::ZERO,
            epoch: None,
            split: Split::default(),
            asked_tier: ServiceTier::Default,
        }
    }

    /// A call that ended well after so many tokens, `ago` before now.
    pub(crate) fn call(&self, customer: Customer, prompt: i64, completion: i64, ago: TimeDelta) -> SettledCall {
        let random = self.random();
        self.call_of(customer, prompt, completion, ago, random)
    }

    /// [`Self::call`] with an id of the caller's.
    pub(crate) fn call_of(&self, customer: Customer, prompt: i64, completion: i64, ago: TimeDelta, random: [u8; 10]) -> SettledCall {
        let call_id = CallId::new(self.now - ago, random);
        let tokens = |count| Some(Tokens::from_sum(count));
        let usage = CallUsage::of_totals(tokens(prompt), tokens(completion), tokens(prompt + completion));
        let amount = pricing::price(&usage, &self.rates, Discount::NONE).unwrap().amount;
        let tokens_held = Tokens::from_sum(prompt + completion);
        SettledCall {
            admitted: Admitted { held: amount, tokens_held, ..self.admitted(customer, call_id) },
            upstream_model: Some("small-2026".to_owned()),
            outcome: Outcome::Ok,
            source: UsageSource::Upstream,
            usage,
            amount,
            written_off: Amount::ZERO,
            http_status: Some(200),
            latency_ms: 840,
            first_byte_ms: Some(120),
            raw_usage: Some(format!(r#"{{"prompt_tokens": {prompt}, "completion_tokens": {completion}}}"#)),
            attempts: Vec::new(),
            served_tier: None,
        }
    }

    /// The settlement of a call, which is paid from what was leased for it.
    pub(crate) fn settle(&self, intent: &Admitted, customer: Customer, prompt: i64, completion: i64) -> SettledCall {
        let call = self.call_of(customer, prompt, completion, TimeDelta::zero(), [0; 10]);
        let Charge { amount, written_off } = pricing::charge(&call.usage, &self.rates, intent.discount, intent.held, intent.excess);
        SettledCall { admitted: self.holding(intent), amount, written_off, ..call }
    }

    /// The settlement of a call by somebody who took its proxy for dead: its prompt, as it was counted before.
    pub(crate) fn interrupt(&self, intent: &Admitted, customer: Customer) -> SettledCall {
        let usage = CallUsage::of_totals(Some(intent.input_estimate), None, None);
        let Charge { amount, written_off } = pricing::charge(&usage, &self.rates, intent.discount, intent.held, intent.excess);
        let call = self.settle(intent, customer, 0, 0);
        let (outcome, source) = (Outcome::Interrupted, UsageSource::Interrupted);
        SettledCall { outcome, source, usage, amount, written_off, upstream_model: None, http_status: None, raw_usage: None, ..call }
    }
}
