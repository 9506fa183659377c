//! A settled call: what the proxy hands over, and the row that it becomes.

mod insert;
mod payment;
mod raw_usage;
mod seal;

use std::ops::Deref;

use chrono::{DateTime, Utc};
use domain::{
    attribution::{Attribution, Label, Tags},
    call::{Attempt, Outcome, UsageSource},
    credit::{self, Caller, Demand, Split, Strictness, Unit},
    id::{AccountId, CallId, KeyId, PriceId, ProjectId, UserId},
    money::Amount,
    pricing::{Charge, Excess},
    service_tier::ServiceTier,
    tokens::{CallUsage, Flag, TokenCounts, Tokens},
};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use self::raw_usage::RawUsage;
pub(crate) use self::{
    insert::insert,
    payment::{PaidShare, Payment},
};
use crate::{Admitted, Result, encoding::Seal, limits::Counted};

/// A call whose cost is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledCall {
    /// What was known of it when it began.
    pub admitted: Admitted,
    /// The model that the upstream says has answered.
    pub upstream_model: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where its counts come from.
    pub source: UsageSource,
    /// Its usage.
    pub usage: CallUsage,
    /// What the customer pays if it pays in money: [`domain::pricing::charge`] of usage, price, discount and hold. What was held says in what it does.
    pub amount: Amount,
    /// What of its price exceeds the hold: the operator's loss.
    pub written_off: Amount,
    /// The upstream's status.
    pub http_status: Option<i32>,
    /// From admission to the last byte.
    pub latency_ms: i64,
    /// From admission to the first byte of the answer's body.
    pub first_byte_ms: Option<i64>,
    /// The upstream's usage object, byte for byte.
    pub raw_usage: Option<String>,
    /// What was tried before the provider that `admitted` names, and failed. Nobody pays for it.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// The service tier that its answer says has served it; `None` where that says nothing, or a tier that nobody here knows.
    #[serde(default)]
    pub served_tier: Option<ServiceTier>,
}

impl SettledCall {
    /// What it costs and what it changes in each pool, where this is what it holds.
    #[must_use]
    pub fn charge(&self, held: &Split, strictness: Strictness) -> credit::Charge {
        let tokens = tokens_owed(&self.usage, self.tokens_held);
        credit::settle(held, Demand { money: self.amount, tokens, requests: 1 }, strictness)
    }

    /// The same call, as if nobody knew any more than that it began.
    pub(crate) fn of_unknown_end(self) -> Self {
        Self {
            upstream_model: None,
            outcome: Outcome::Interrupted,
            source: UsageSource::Interrupted,
            usage: CallUsage::default(),
            amount: Amount::ZERO,
            written_off: Amount::ZERO,
            http_status: None,
            first_byte_ms: None,
            raw_usage: None,
            attempts: Vec::new(),
            served_tier: None,
            ..self
        }
    }
}

impl Deref for SettledCall {
    type Target = Admitted;

    fn deref(&self) -> &Admitted {
        &self.admitted
    }
}

/// A row of `calls`: a column each, under the column's name.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
#[cfg_attr(test, derive(Deserialize))]
pub(crate) struct CallRecord {
    pub(crate) account_id: AccountId,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) call_id: CallId,
    pub(crate) key_id: KeyId,
    pub(crate) project_id: ProjectId,
    pub(crate) end_user: Option<Label>,
    pub(crate) session: Option<Label>,
    pub(crate) client: Option<Label>,
    #[sqlx(json(nullable))]
    pub(crate) tags: Option<Tags>,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) upstream_model: Option<String>,
    pub(crate) stream: bool,
    pub(crate) is_lenient: bool,
    pub(crate) outcome: Outcome,
    pub(crate) source: UsageSource,
    pub(crate) prompt_tokens: Option<Tokens>,
    pub(crate) completion_tokens: Option<Tokens>,
    pub(crate) total_tokens: Option<Tokens>,
    pub(crate) input_tokens: Option<Tokens>,
    pub(crate) cache_read_tokens: Option<Tokens>,
    pub(crate) cache_write_5m_tokens: Option<Tokens>,
    pub(crate) cache_write_1h_tokens: Option<Tokens>,
    pub(crate) audio_input_tokens: Option<Tokens>,
    pub(crate) output_tokens: Option<Tokens>,
    pub(crate) reasoning_tokens: Option<Tokens>,
    pub(crate) audio_output_tokens: Option<Tokens>,
    pub(crate) flag: Option<Flag>,
    pub(crate) price_id: PriceId,
    pub(crate) discount_bps: i32,
    /// Nanos.
    pub(crate) amount: i64,
    /// Nanos.
    pub(crate) held: i64,
    pub(crate) tokens_held: i64,
    /// What was paid in tokens; such a call costs no money.
    pub(crate) tokens_paid: Option<i64>,
    /// Nanos.
    pub(crate) written_off: i64,
    #[sqlx(flatten)]
    pub(crate) paid_by: Payment,
    pub(crate) http_status: Option<i32>,
    pub(crate) latency_ms: i64,
    pub(crate) first_byte_ms: Option<i64>,
    pub(crate) raw_usage: Option<RawUsage>,
    /// None where nothing failed before.
    #[sqlx(json(nullable))]
    pub(crate) attempts: Option<Vec<Attempt>>,
    /// None of the default.
    pub(crate) service_tier: Option<ServiceTier>,
    /// None where it is the one that served it.
    pub(crate) asked_tier: Option<ServiceTier>,
    pub(crate) posted_at: DateTime<Utc>,
}

/// A row of `calls` with what proves that it is the one that was posted.
#[derive(Debug, Clone)]
pub(crate) struct SealedCall {
    pub(crate) record: CallRecord,
    pub(crate) seal: Seal,
}

impl Deref for SealedCall {
    type Target = CallRecord;

    fn deref(&self) -> &CallRecord {
        &self.record
    }
}

impl SettledCall {
    /// The row of this call, paid in a unit by these grants.
    pub(crate) fn into_record(self, unit: Unit, paid_by: Vec<PaidShare>, posted_at: DateTime<Utc>) -> Result<CallRecord> {
        let tokens_paid = (unit == Unit::Tokens).then(|| paid_by.iter().map(|share| share.amount).sum());
        let in_money = |amount: Amount| if tokens_paid.is_some() { 0 } else { amount.nanos() };
        let TokenCounts { input, cache_read, cache_write_5m, cache_write_1h, audio_input, output, reasoning, audio_output } =
            self.usage.counts;
        let started_at = self.started_at()?;
        let Admitted {
            account_id,
            call_id,
            key_id,
            project_id,
            attribution,
            model,
            provider,
            price_id,
            discount,
            stream,
            excess,
            held,
            asked_tier,
            ..
        } = self.admitted;
        let service_tier = self.served_tier.unwrap_or(asked_tier);
        let Attribution { end_user, session, client, tags } = attribution;
        Ok(CallRecord {
            started_at,
            account_id,
            call_id,
            key_id,
            project_id,
            end_user,
            session,
            client,
            tags: Some(tags).filter(|tags| !tags.is_empty()),
            model,
            provider,
            upstream_model: self.upstream_model,
            stream,
            is_lenient: excess.is_charged(),
            outcome: self.outcome,
            source: self.source,
            prompt_tokens: self.usage.prompt_tokens,
            completion_tokens: self.usage.completion_tokens,
            total_tokens: self.usage.total_tokens,
            input_tokens: input,
            cache_read_tokens: cache_read,
            cache_write_5m_tokens: cache_write_5m,
            cache_write_1h_tokens: cache_write_1h,
            audio_input_tokens: audio_input,
            output_tokens: output,
            reasoning_tokens: reasoning,
            audio_output_tokens: audio_output,
            flag: self.usage.flag,
            price_id,
            discount_bps: discount.bps(),
            amount: in_money(self.amount),
            held: held.nanos(),
            tokens_held: self.admitted.tokens_held.get(),
            tokens_paid,
            written_off: in_money(self.written_off),
            paid_by: paid_by.into(),
            http_status: self.http_status,
            latency_ms: self.latency_ms,
            first_byte_ms: self.first_byte_ms,
            raw_usage: self.raw_usage.map(RawUsage::from),
            attempts: Some(self.attempts).filter(|attempts| !attempts.is_empty()),
            service_tier: service_tier.other(),
            asked_tier: Some(asked_tier).filter(|asked| *asked != service_tier),
            posted_at,
        })
    }
}

/// What a call or a correction of one is paid in: where its tokens are said, in these.
pub(crate) const fn paid_in(tokens_paid: Option<i64>) -> Unit {
    if tokens_paid.is_some() { Unit::Tokens } else { Unit::Money }
}

/// What a call is paid in tokens, where a token grant pays: prompt and completion, at most what was held for them, whatever its account's terms.
pub(crate) fn tokens_owed(usage: &CallUsage, held: Tokens) -> Tokens {
    Tokens::from_sum(tokens_counted(usage, held, Excess::WrittenOff))
}

/// What limits count: prompt and completion, at most what was held for them where their price is charged at most so too.
pub(crate) fn tokens_counted(usage: &CallUsage, held: Tokens, excess: Excess) -> i64 {
    let side = |count: Option<Tokens>| count.unwrap_or(Tokens::ZERO);
    let taken = side(usage.prompt_tokens).saturating_add(side(usage.completion_tokens));
    if excess.is_charged_of(usage) { taken } else { taken.min(held) }.get()
}

impl CallRecord {
    /// What limits count of it, as a call of a key of this member.
    pub(crate) fn counted(&self, member: Option<UserId>) -> Counted {
        let tokens = tokens_counted(&self.usage(), Tokens::from_sum(self.tokens_held), self.excess());
        let caller = self.caller(member);
        Counted { caller, started_at: self.started_at, amount: Amount::from_nanos(self.amount), tokens, requests: 1 }
    }

    /// What it is paid in.
    pub(crate) const fn unit(&self) -> Unit {
        paid_in(self.tokens_paid)
    }

    /// What is paid for it, in that.
    pub(crate) fn paid(&self) -> i64 {
        self.tokens_paid.unwrap_or(self.amount)
    }

    /// Who bears what it comes to beyond its hold: of tokens that a grant pays nobody, whatever the account's terms.
    pub(crate) const fn excess(&self) -> Excess {
        if self.tokens_paid.is_some() { Excess::WrittenOff } else { Excess::of(self.is_lenient) }
    }

    /// The service tier that served it, as far as its answer said, else the one that was asked for.
    pub(crate) fn served_at(&self) -> ServiceTier {
        self.service_tier.unwrap_or_default()
    }

    /// The service tier that was asked for.
    pub(crate) fn asked_for(&self) -> ServiceTier {
        self.asked_tier.unwrap_or_else(|| self.served_at())
    }

    /// Whose call it is, to limits.
    pub(crate) fn caller(&self, member: Option<UserId>) -> Caller {
        Caller { key: self.key_id, project: self.project_id, member, run: self.session.clone() }
    }

    /// What its client said of it.
    pub(crate) fn attribution(&self) -> Attribution {
        Attribution {
            end_user: self.end_user.clone(),
            session: self.session.clone(),
            client: self.client.clone(),
            tags: self.tags.clone().unwrap_or_default(),
        }
    }

    /// The same, sealed.
    pub(crate) fn sealed(self) -> SealedCall {
        SealedCall { seal: self.seal(), record: self }
    }

    /// Its usage, back from the columns.
    pub(crate) fn usage(&self) -> CallUsage {
        CallUsage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            total_tokens: self.total_tokens,
            counts: TokenCounts {
                input: self.input_tokens,
                cache_read: self.cache_read_tokens,
                cache_write_5m: self.cache_write_5m_tokens,
                cache_write_1h: self.cache_write_1h_tokens,
                audio_input: self.audio_input_tokens,
                output: self.output_tokens,
                reasoning: self.reasoning_tokens,
                audio_output: self.audio_output_tokens,
            },
            flag: self.flag,
        }
    }

    /// Its charge.
    pub(crate) const fn charge(&self) -> Charge {
        Charge { amount: Amount::from_nanos(self.amount), written_off: Amount::from_nanos(self.written_off) }
    }
}
