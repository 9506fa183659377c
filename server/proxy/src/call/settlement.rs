//! What a call comes to, in the spool before the client sees its end.

use std::{borrow::Cow, sync::Arc, time::Duration};

use domain::{
    call::UsageSource,
    catalog::Model,
    credit::{Strictness, Unit},
    money::Amount,
    pricing::{self, Charge},
    service_tier::{ServiceTier, charged_at},
    tokens::{CallUsage, Flag, Tokens},
};
use ledger::{Admitted, SettledCall};

use super::{Begun, Call};
use crate::{
    Shared,
    admit::{bound::Bound, catalog::Price},
    books::{poster::Queued, running::NotSpooled},
    call::outcome::{Answer, End},
    dialect::reading::Reading,
};

impl Call {
    /// Settles into the spool: nobody sees the end of a call before that. Takes the usage that the upstream gave, and what it calls its model, out of the
    /// answer. Returns what the call costs, as it stands on its receipt.
    pub(super) async fn settle(
        &self,
        shared: &Shared,
        Begun { bound, running }: Begun,
        answer: &mut Answer,
        first_byte: Option<Duration>,
    ) -> Amount {
        if answer.wants_estimate() {
            self.request.prompt.count_apart(&shared.runtime).await;
            answer.reading.text.kept.count_apart(&shared.runtime).await;
        }
        let mut settled = Arc::new(self.settlement(running.admitted().clone(), bound, answer, first_byte));
        if let Some(once) = self.once.as_ref().filter(|_| settled.source != UsageSource::None) {
            once.is_charged();
        }
        self.route.meters.count(self.request.dialect, &settled, self.started.elapsed(), first_byte);
        let amount = settled.amount;
        if let Err(not) = running.settle(&mut settled).await {
            tracing::error!(error = %not, call = %self.id, "a call is posted from memory");
            Box::pin(self.post_from_memory(shared, settled, not)).await; // rare, and no call keeps room for it
        }
        amount
    }

    /// Nobody sees the end of what is neither on the disk nor in the books.
    async fn post_from_memory(&self, shared: &Shared, settled: Arc<SettledCall>, NotSpooled { left, held, .. }: NotSpooled) {
        let charge = settled.charge(&settled.split, Strictness::Strict);
        let (queued, posted) = Queued::of_memory(settled, left);
        let poster = shared.poster.clone();
        // Where it outlives the core, which ends before what is settled is posted.
        shared.calls.spawn_on(async move { poster.take(vec![queued]).await }, &shared.runtime);
        tokio::select! {
            _ = posted => {}
            () = shared.stop.heard() => {}
        }
        held.settle(&charge);
    }

    fn settlement(&self, mut admitted: Admitted, bound: Bound, answer: &mut Answer, first_byte: Option<Duration>) -> SettledCall {
        let model = &self.route.model;
        if !self.attempts.is_empty() {
            // Not the one that it was sent to first.
            admitted.provider.clone_from(&model.provider);
        }
        let completion_max = self.completion_max(bound);
        let (outcome, source, usage) = answer.judge(|| self.request.prompt.tokens_estimated(model), completion_max);
        if answer.reading.unreadable && self.warns("unreadable") {
            tracing::warn!(call = %self.id, provider = model.provider, "part of the answer could not be read by the meter");
        }
        let served_tier = answer.reading.served_tier;
        let price = self.price_of(served_tier);
        (admitted.price_id, admitted.discount) = (price.version.id, price.discount);
        let unpriced_tier =
            served_tier.filter(|served| served.wants_a_price() && *served != price.version.service_tier).map(ServiceTier::name);
        self.alarm_of_terms(&answer.reading, unpriced_tier);
        let is_counted = source != UsageSource::None;
        let usage = CallUsage { flag: usage.flag.or(unpriced_tier.filter(|_| is_counted).map(|_| Flag::OtherTerms)), ..usage };
        let usage = usage.within(self.prompt_max(), completion_max);
        let charge = pricing::charge(&usage, &price.version.rates, price.discount, bound.held, self.key.line.excess);
        self.alarm_of_loss(bound, charge, &usage);
        let is_no_answer =
            source == UsageSource::None && answer.end == End::Complete && answer.status.is_some_and(|status| status.is_success());
        if is_no_answer && self.warns("no_answer") {
            tracing::warn!(call = %self.id, provider = model.provider, "an answer was no answer that can be charged");
        }
        SettledCall {
            admitted,
            upstream_model: answer.reading.model.take(),
            outcome,
            source,
            usage,
            amount: charge.amount,
            written_off: charge.written_off,
            http_status: answer.status.map(|status| i32::from(status.as_u16())),
            latency_ms: millis(self.started.elapsed()),
            first_byte_ms: first_byte.map(millis),
            raw_usage: answer.reading.raw_usage.take(),
            attempts: self.attempts.clone(),
            served_tier,
        }
    }

    /// What it is charged by, of the tier that served it as far as its answer says: of its prices as they were when it was admitted.
    fn price_of(&self, served: Option<ServiceTier>) -> Cow<'_, Price> {
        let own = &self.price;
        if served.is_none_or(|served| served == own.version.service_tier) {
            return Cow::Borrowed(own);
        }
        let at = |tier| self.entry.price_at((self.key.account_id, self.key.discount), tier, self.at);
        charged_at(self.request.service_tier, served).find_map(at).map_or(Cow::Borrowed(own), Cow::Owned)
    }

    /// What was served at a tier without a price, or in part by a second model, is charged by the model's own price.
    fn alarm_of_terms(&self, reading: &Reading, unpriced_tier: Option<&str>) {
        let (tier, other) = (reading.unknown_tier.as_deref().or(unpriced_tier), reading.other_model.as_deref());
        let reason = match (tier, other) {
            (Some(_), _) => "other_tier",
            (None, Some(_)) => "other_model",
            (None, None) => return,
        };
        if self.warns(reason) {
            let Model { name, provider, .. } = &self.route.model;
            tracing::error!(call = %self.id, model = name, provider, tier, other, "a call was served on terms that the model has no price for");
        }
    }

    /// The operator bears what exceeds a hold, and can mend its cause: a model's bounds, or an upstream that cannot count.
    fn alarm_of_loss(&self, bound: Bound, charge: Charge, usage: &CallUsage) {
        let Charge { amount, written_off } = charge;
        let Model { name, provider, .. } = &self.route.model;
        if bound.paid_in == Unit::Tokens {
            let side = |count: Option<Tokens>| count.unwrap_or_default();
            let tokens = side(usage.prompt_tokens).saturating_add(side(usage.completion_tokens));
            if tokens > bound.tokens {
                self.route.meters.write_off(Amount::ZERO);
                if self.warns("tokens_written_off") {
                    tracing::error!(call = %self.id, model = name, provider, %tokens, held = %bound.tokens, "a call took more tokens than were held for it: nobody pays the rest");
                }
            }
            return;
        }
        if written_off.is_zero() {
            return;
        }
        self.route.meters.write_off(written_off);
        if !self.warns("money_written_off") {
            return;
        }
        tracing::error!(
            call = %self.id, model = name, provider, %amount, %written_off, flag = ?usage.flag, prompt_tokens = ?usage.prompt_tokens,
            completion_tokens = ?usage.completion_tokens, "a call came to more than was held for it: the rest is written off"
        );
    }

    /// Counts what is amiss, and says whether the log is to say it now.
    fn warns(&self, reason: &'static str) -> bool {
        self.route.health.warns(reason, &self.route.model.name)
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
