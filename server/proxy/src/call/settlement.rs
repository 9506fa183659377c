//! What a call comes to, posted before the client sees its end.

use std::time::Duration;

use domain::{call::UsageSource, pricing};
use ledger::SettledCall;
use tokio::time::timeout;

use super::Call;
use crate::{
    Shared,
    bound::Bound,
    settle::{Answer, End},
};

impl Call {
    /// Settles and posts, with nobody waiting for it.
    pub(super) async fn settle(&self, shared: &Shared, bound: Bound, answer: Answer, first_byte: Option<Duration>) {
        self.settle_then(shared, bound, answer, first_byte, async {}).await;
    }

    /// Settles and posts; what comes `then` waits for that, but for a database that is away only so long. The posting itself goes on.
    pub(super) async fn settle_then(
        &self,
        shared: &Shared,
        bound: Bound,
        answer: Answer,
        first_byte: Option<Duration>,
        then: impl Future<Output = ()>,
    ) {
        let settled = self.settlement(bound, answer, first_byte);
        metrics::counter!("farebox_calls_total", "outcome" => settled.outcome.name()).increment(1);
        metrics::histogram!("gen_ai.client.operation.duration").record(self.started.elapsed());
        let mut posting = std::pin::pin!(shared.poster.post(settled));
        let in_time = timeout(shared.settings.settle_timeout, &mut posting).await;
        let posted = match in_time {
            Ok(posted) => {
                then.await;
                posted
            }
            Err(_) => tokio::join!(posting, then).0,
        };
        if !posted {
            tracing::error!(call = %self.id, "the call was not posted before the process ended");
        }
    }

    fn settlement(&self, bound: Bound, answer: Answer, first_byte: Option<Duration>) -> SettledCall {
        let model = &self.entry.model;
        let completion_max = self.request.output_tokens_max(bound.cap.min(model.context_window));
        let (outcome, source, usage) = answer.judge(|| self.request.prompt.tokens_estimated(model.context_window), completion_max);
        if answer.reading.unreadable {
            tracing::warn!(call = %self.id, provider = model.provider, "part of the answer could not be read by the meter");
        }
        let amount = pricing::price(&usage, &self.price.rates, self.discount()).map_or_else(
            |overflow| {
                tracing::error!(%overflow, call = %self.id, ?usage, "charged what was held instead");
                bound.held
            },
            |receipt| receipt.amount,
        );
        if amount > bound.held {
            tracing::error!(call = %self.id, %amount, held = %bound.held, provider = model.provider, "a call cost more than the most it could");
        }
        if source == UsageSource::None && answer.end == End::Complete && answer.status.is_some_and(|status| status.is_success()) {
            tracing::warn!(call = %self.id, provider = model.provider, "an answer was no answer that can be charged");
        }
        SettledCall {
            account_id: self.key.account_id,
            call_id: self.id,
            key_id: self.key.key_id,
            model: model.name.clone(),
            provider: model.provider.clone(),
            upstream_model: answer.reading.model,
            stream: self.request.stream,
            outcome,
            source,
            usage,
            price_id: self.price.id,
            discount: self.discount(),
            amount,
            held: bound.held,
            http_status: answer.status.map(|status| i32::from(status.as_u16())),
            latency_ms: millis(self.started.elapsed()),
            first_byte_ms: first_byte.map(millis),
            raw_usage: answer.reading.raw_usage,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
