//! A day of the whole gateway.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion},
    money::{Amount, ExactAmount},
    period::Step,
    pricing::{Discount, price},
    rates::Rates,
    service_tier::ServiceTier,
    today::{ProviderCost, Quarantine, Today},
    tokens::{CallUsage, TokenCounts, Tokens},
};
use sqlx::PgConnection;

use crate::{
    Operator, Result,
    catalog::{current_and_scheduled, models},
};

impl Operator {
    /// What all accounts' calls came to since the day of `now` began, in one snapshot. Reads what was posted since yesterday, whatever there is besides.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn today(&self, now: DateTime<Utc>) -> Result<Today> {
        let day = Step::Day.floor(now);
        let mut tx = self.database.snapshot().await?;
        let sums = sums(&mut tx, day).await?;
        let cost = cost(&mut tx, day).await?;
        let quarantine = sqlx::query_as!(Quarantine, r#"select count(*) as "calls!", min(at) as since from quarantine_of_unposted"#);
        let quarantine = quarantine.fetch_one(&mut *tx).await?;
        Ok(Today { cost, quarantine, ..sums })
    }
}

/// The sums of a day and the one before it. To post a call of an account, or a correction, dates the head of its books: those that are dated earlier have
/// none.
async fn sums(connection: &mut PgConnection, day: DateTime<Utc>) -> Result<Today> {
    let row = sqlx::query!(
        r#"
        select
            coalesce(sum(d.requests) filter (where d.day = $1), 0)::bigint as "calls!",
            coalesce(sum(d.amount) filter (where d.day = $1), 0)::bigint as "revenue!: Amount",
            coalesce(sum(d.written_off) filter (where d.day = $1), 0)::bigint as "written_off!: Amount",
            coalesce(sum(d.requests) filter (where d.day = $2), 0)::bigint as "calls_before!",
            coalesce(sum(d.amount) filter (where d.day = $2), 0)::bigint as "revenue_before!: Amount"
        from heads h join usage_daily d using (account_id)
        where h.posted_at >= $2 and d.day in ($1, $2)
        "#,
        day,
        day - TimeDelta::days(1)
    );
    let row = row.fetch_one(connection).await?;
    Ok(Today {
        calls: row.calls,
        revenue: row.revenue,
        written_off: row.written_off,
        before: (row.calls_before, row.revenue_before),
        cost: ProviderCost::default(),
        quarantine: Quarantine::default(),
    })
}

/// Calls that are priced alike: of a model, at a service tier, within some time, with a prompt within some length.
struct Priced {
    model: String,
    service_tier: ServiceTier,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    prompt_from: i64,
    prompt_until: i64,
    /// Without tiers.
    rates: Rates,
}

/// What the calls of a day cost. The sums of a price's calls are priced as one call, which comes to the same: nothing is rounded before the end.
async fn cost(connection: &mut PgConnection, day: DateTime<Utc>) -> Result<ProviderCost> {
    let priced = priced(connection, day).await?;
    let rows = sqlx::query!(
        r#"
        select
            s.place, count(*) as "calls!",
            count(*) filter (where num_nonnulls(
                input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, audio_input_tokens, output_tokens, reasoning_tokens,
                audio_output_tokens
            ) > 0) as "counted!",
            sum(input_tokens)::bigint as input, sum(cache_read_tokens)::bigint as cache_read, sum(cache_write_5m_tokens)::bigint as cache_write_5m,
            sum(cache_write_1h_tokens)::bigint as cache_write_1h, sum(audio_input_tokens)::bigint as audio_input,
            sum(output_tokens)::bigint as output, sum(reasoning_tokens)::bigint as reasoning, sum(audio_output_tokens)::bigint as audio_output
        from heads h
        join calls c on c.account_id = h.account_id and c.started_at >= $1 and c.started_at < $2
        left join unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::text[])
            with ordinality s (model, from_at, until_at, from_prompt, until_prompt, service_tier, place)
            on s.model = c.model and s.service_tier = coalesce(c.service_tier, 'default') and c.started_at >= s.from_at and c.started_at < s.until_at
            and coalesce(c.prompt_tokens, 0) >= s.from_prompt and coalesce(c.prompt_tokens, 0) < s.until_prompt
        where h.posted_at >= $1
        group by s.place
        "#,
        day,
        day + TimeDelta::days(1),
        &priced.iter().map(|one| one.model.clone()).collect::<Vec<_>>(),
        &priced.iter().map(|one| one.from).collect::<Vec<_>>(),
        &priced.iter().map(|one| one.until).collect::<Vec<_>>(),
        &priced.iter().map(|one| one.prompt_from).collect::<Vec<_>>(),
        &priced.iter().map(|one| one.prompt_until).collect::<Vec<_>>(),
        &priced.iter().map(|one| one.service_tier.name().to_owned()).collect::<Vec<_>>()
    );
    let (mut parts, mut unknown) = (Some(0_i128), 0_i64);
    for row in rows.fetch_all(connection).await? {
        let one = row.place.and_then(|place| priced.get(usize::try_from(place).ok()?.checked_sub(1)?));
        let Some(one) = one else {
            unknown = row.calls;
            continue;
        };
        let counts = TokenCounts {
            input: row.input.map(Tokens::from_sum),
            cache_read: row.cache_read.map(Tokens::from_sum),
            cache_write_5m: row.cache_write_5m.map(Tokens::from_sum),
            cache_write_1h: row.cache_write_1h.map(Tokens::from_sum),
            audio_input: row.audio_input.map(Tokens::from_sum),
            output: row.output.map(Tokens::from_sum),
            reasoning: row.reasoning.map(Tokens::from_sum),
            audio_output: row.audio_output.map(Tokens::from_sum),
        };
        parts = parts.and_then(|parts| parts.checked_add(exact(counts, row.counted, &one.rates)?));
    }
    Ok(ProviderCost { amount: parts.and_then(|parts| ExactAmount::from_parts(parts).round_half_up()), unknown })
}

/// What so many calls cost together, in parts of a nano.
fn exact(counts: TokenCounts, calls: i64, rates: &Rates) -> Option<i128> {
    let fees = i128::from(calls).checked_mul(i128::from(rates.per_call.nanos()))?.checked_mul(ExactAmount::PARTS_PER_NANO)?;
    let tokens = Rates { per_call: Amount::ZERO, ..rates.clone() };
    let receipt = price(&CallUsage { counts, ..CallUsage::default() }, &tokens, Discount::NONE).ok()?;
    receipt.exact.parts().checked_add(fees)
}

/// How the calls of a day are priced: of each cost price in force during it, its base and each of its tiers. A service tier costs what the default does
/// until it has a cost of its own.
async fn priced(connection: &mut PgConnection, day: DateTime<Utc>) -> Result<Vec<Priced>> {
    let names: HashMap<_, _> = models(connection).await?.into_iter().map(|model| (model.id, model.name)).collect();
    let mut costs: HashMap<_, Vec<PriceVersion>> = HashMap::new();
    for version in current_and_scheduled(connection, PriceKind::Cost, day).await? {
        costs.entry((version.model_id, version.service_tier)).or_default().push(version);
    }
    let end = day + TimeDelta::days(1);
    let of = |id, tier| costs.get(&(id, tier)).map_or(&[][..], Vec::as_slice);
    let mut priced = Vec::new();
    for (id, model) in names {
        for service_tier in ServiceTier::ALL {
            let own = of(id, service_tier);
            // As long as it has none of its own.
            let first = own.first().map_or(end, |version| version.effective_from);
            let default = if service_tier == ServiceTier::Default { &[] } else { of(id, ServiceTier::Default) };
            for (version, until) in spans(default, first).chain(spans(own, end)) {
                priced.extend(by_prompt(&version.rates).map(|(prompt_from, prompt_until, rates)| Priced {
                    model: model.clone(),
                    service_tier,
                    from: version.effective_from,
                    until,
                    prompt_from,
                    prompt_until,
                    rates,
                }));
            }
        }
    }
    Ok(priced)
}

/// Until when each version is in force that begins before an end.
fn spans(versions: &[PriceVersion], end: DateTime<Utc>) -> impl Iterator<Item = (&PriceVersion, DateTime<Utc>)> {
    let ends = versions.iter().skip(1).map(|next| next.effective_from).chain([end]);
    versions
        .iter()
        .zip(ends)
        .map(move |(version, until)| (version, until.min(end)))
        .filter(|(version, until)| version.effective_from < *until)
}

/// The rates by the prompt's length: from, and below which.
fn by_prompt(rates: &Rates) -> impl Iterator<Item = (i64, i64, Rates)> {
    let from = std::iter::once(0).chain(rates.tiers.iter().map(|tier| tier.from_prompt_tokens.get()));
    let until = rates.tiers.iter().map(|tier| tier.from_prompt_tokens.get()).chain([i64::MAX]);
    let base = std::iter::once(&rates.base).chain(rates.tiers.iter().map(|tier| &tier.rates));
    from.zip(until)
        .zip(base)
        .map(|((from, until), base)| (from, until, Rates { base: base.clone(), per_call: rates.per_call, tiers: Vec::new() }))
}
