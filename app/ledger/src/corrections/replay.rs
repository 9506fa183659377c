//! What a model's past calls would have been charged by other rates. Nothing is written.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use chrono::{DateTime, Utc};
use domain::{
    call::CorrectionKind,
    catalog::PriceKind,
    id::{AccountId, CallId, PriceId},
    money::{Amount, ExactAmount},
    period::Step,
    price_history::PriceHistory,
    pricing::{self, Discount},
    rates::Rates,
    replay::{Charged, Replay, Replayed, ReplayedCustomer},
    service_tier::ServiceTier,
    tokens::CallUsage,
};
use sqlx::PgConnection;

use super::{CorrectionRecord, overflow, record};
use crate::{Error, Operator, Result, prices::histories_of, settled::CallRecord};

/// How many calls are read at once.
const PAGE: i64 = 2_000;

/// Calls to be replayed, and by which rates.
#[derive(Debug, Clone, Copy)]
pub struct Replayable<'a> {
    /// The model's public name.
    pub model: &'a str,
    /// At which service tier: calls that were charged by what it costs everyone there, or, where it is the cost that is another, that were served there.
    pub service_tier: ServiceTier,
    /// The first instant at which they began.
    pub from: DateTime<Utc>,
    /// The first one at which they did not.
    pub to: DateTime<Utc>,
    /// What customers would have paid; `None` for what they were charged.
    pub sale: Option<&'a Rates>,
    /// What the provider would have charged; `None` for the costs that were in force.
    pub cost: Option<&'a Rates>,
    /// How many calls at most: customers beyond it are counted, those first who used least.
    pub calls_max: u64,
    /// How many customers are named at most: those whom it changes most.
    pub customers_max: usize,
}

impl Operator {
    /// What calls would have come to. 185,000 calls took 1.1 s on two busy cores (27 November 2026).
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown model.
    pub async fn replay(&self, replayable: Replayable<'_>) -> Result<Replay> {
        let connection = &mut *self.database.read().await?;
        let histories = histories_of(connection, replayable.model).await?;
        let prices = versions_of(histories.get(&replayable.service_tier));
        let mut provider = ProviderSide { histories: &histories, cost: replayable.cost, parts: Some([0; 2]) };
        let (mut sums, mut customers, mut left_out) = (Replayed::default(), Vec::new(), 0);
        for account in accounts(connection, replayable.model, replayable.from, replayable.to).await? {
            if sums.calls + sums.in_tokens + account.calls > replayable.calls_max {
                left_out += 1;
                continue;
            }
            let own = replayed(connection, account.id, &replayable, &prices, &mut provider).await?;
            sums = sums.plus(own).ok_or_else(overflow)?;
            customers.push(ReplayedCustomer { account: account.id, name: account.name, email: account.email, sums: own });
        }
        customers.sort_by_cached_key(|customer| Reverse(customer.sums.difference().map_or(0, |amount| amount.nanos().unsigned_abs())));
        customers.truncate(replayable.customers_max);
        Ok(Replay { from: replayable.from, to: replayable.to, sums, provider: provider.sums(), customers, left_out })
    }
}

async fn replayed(
    connection: &mut PgConnection,
    account: AccountId,
    replayable: &Replayable<'_>,
    prices: &HashSet<PriceId>,
    provider: &mut ProviderSide<'_>,
) -> Result<Replayed> {
    let mut sums = Replayed::default();
    let mut after = None;
    loop {
        let calls = calls(connection, account, replayable.model, (replayable.from, replayable.to), after).await?;
        let Some(last) = calls.last() else { return Ok(sums) };
        after = Some((last.started_at, last.call_id));
        let corrections = corrections(connection, account, &calls).await?;
        for call in &calls {
            let corrections = corrections.get(&call.call_id).map_or(&[][..], Vec::as_slice);
            let end = End::of(call, corrections)?;
            let is_asked_for = match replayable.sale {
                Some(_) => prices.contains(&end.price),
                None => end.service_tier == replayable.service_tier || provider.tier(end.service_tier) == replayable.service_tier,
            };
            if !is_asked_for {
                continue;
            }
            sums = sums.plus(of_call(call, corrections, replayable.sale)?).ok_or_else(overflow)?;
            provider.add(call, &end)?;
        }
    }
}

/// What one call comes to.
pub(super) fn of_call(call: &CallRecord, corrections: &[CorrectionRecord], sale: Option<&Rates>) -> Result<Replayed> {
    let Some(charged) = charged(call, corrections)? else { return Ok(Replayed { in_tokens: 1, ..Replayed::default() }) };
    let given_back = sale.map_or(Amount::ZERO, |rates| charged.given_back(rates));
    Ok(Replayed {
        calls: 1,
        in_tokens: 0,
        charged: charged.amount,
        replayed: sale.map_or(charged.amount, |rates| charged.at(rates)),
        given_back,
        lowered: u64::from(!given_back.is_zero()),
    })
}

/// What a call was charged in the end; `None` of one that was paid in tokens.
pub(crate) fn charged(call: &CallRecord, corrections: &[CorrectionRecord]) -> Result<Option<Charged>> {
    if call.tokens_paid.is_some() {
        return Ok(None);
    }
    let with = |counts: fn(&CorrectionRecord) -> bool| {
        let mut amounts = corrections.iter().filter(|correction| counts(correction)).map(|correction| correction.amount);
        amounts.try_fold(call.amount, i64::checked_add).map(Amount::from_nanos).ok_or_else(overflow)
    };
    let is_capped = call.written_off > 0 || corrections.iter().any(|correction| correction.written_off > 0);
    let End { usage, discount, .. } = End::of(call, corrections)?;
    Ok(Some(Charged {
        usage,
        discount,
        amount: with(|correction| correction.kind != CorrectionKind::Credit)?,
        cost: with(|_| true)?,
        is_capped,
    }))
}

/// What is known of a call in the end: of one that was settled late, what came late.
pub(super) struct End {
    usage: CallUsage,
    /// What it is charged by.
    pub(super) price: PriceId,
    discount: Discount,
    service_tier: ServiceTier,
}

impl End {
    pub(super) fn of(call: &CallRecord, corrections: &[CorrectionRecord]) -> Result<Self> {
        for correction in corrections.iter().rev() {
            if let Some(late) = correction.late()? {
                let service_tier = late.served_tier.unwrap_or(late.asked_tier);
                return Ok(Self { usage: late.usage, price: late.price_id, discount: late.discount, service_tier });
            }
        }
        let discount = Discount::from_bps(call.discount_bps).map_err(|error| Error::Corrupt(format!("call {}: {error}", call.call_id)))?;
        Ok(Self { usage: call.usage(), price: call.price_id, discount, service_tier: call.served_at() })
    }
}

/// What a call is charged by in the end.
pub(crate) fn price_of(call: &CallRecord, corrections: &[CorrectionRecord]) -> Result<PriceId> {
    Ok(End::of(call, corrections)?.price)
}

/// By what a model costs everyone at a service tier, or ever did.
pub(super) fn versions_of(history: Option<&PriceHistory>) -> HashSet<PriceId> {
    history.iter().flat_map(|history| &history.versions).map(|version| version.id).collect()
}

/// What the provider charged for calls, and would have.
struct ProviderSide<'a> {
    histories: &'a HashMap<ServiceTier, PriceHistory>,
    cost: Option<&'a Rates>,
    /// In parts of a nano, which are rounded at the end alone, as [`crate::Operator::today`] does; `None` as soon as a call had no cost.
    parts: Option<[i128; 2]>,
}

impl ProviderSide<'_> {
    /// At which tier's cost a call is counted that was served at one: at the default's where its own never had any.
    fn tier(&self, served: ServiceTier) -> ServiceTier {
        let has_cost = self.histories.get(&served).is_some_and(|history| history.latest(PriceKind::Cost).is_some());
        if has_cost { served } else { ServiceTier::Default }
    }

    fn add(&mut self, call: &CallRecord, end: &End) -> Result<()> {
        let Some([was, would_be]) = self.parts else { return Ok(()) };
        let at = |tier| self.histories.get(&tier).and_then(|history| history.at(PriceKind::Cost, call.started_at));
        let then = at(end.service_tier).or_else(|| at(ServiceTier::Default)).map(|version| &version.rates);
        let with = |sum: i128, rates: &Rates| {
            let exact = pricing::price(&end.usage, rates, Discount::NONE).map_err(|error| Error::Corrupt(error.to_string()))?.exact;
            sum.checked_add(exact.parts()).ok_or_else(overflow)
        };
        self.parts = match (then, self.cost.or(then)) {
            (Some(then), Some(cost)) => Some([with(was, then)?, with(would_be, cost)?]),
            _ => None,
        };
        Ok(())
    }

    fn sums(&self) -> Option<[Amount; 2]> {
        let [was, would_be] = self.parts?.map(|parts| ExactAmount::from_parts(parts).round_half_up());
        was.zip(would_be).map(<[Amount; 2]>::from)
    }
}

/// A customer with calls of a model.
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) name: String,
    email: Option<String>,
    calls: u64,
}

/// Whose calls began on the days of a window, those first who used most.
pub(super) async fn accounts(connection: &mut PgConnection, model: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<Account>> {
    let rows = sqlx::query!(
        r#"
        select
            a.account_id as "id: AccountId", a.name, d.calls as "calls!",
            (
                select u.email from memberships m join users u using (user_id)
                where m.account_id = a.account_id and m.role = 'owner' order by u.created_at limit 1
            ) as email
        from (
            select account_id, sum(requests)::bigint as calls, sum(amount) as amount from usage_daily
            where model = $1 and day between $2 and $3
            group by account_id
        ) d join accounts a using (account_id)
        order by d.amount desc, a.account_id
        "#,
        model,
        Step::Day.floor(from),
        to
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    Ok(rows.map(|row| Account { id: row.id, name: row.name, email: row.email, calls: row.calls.unsigned_abs() }).collect())
}

/// The next calls of an account by a model that began in a window, oldest first.
pub(super) async fn calls(
    connection: &mut PgConnection,
    account: AccountId,
    model: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    after: Option<(DateTime<Utc>, CallId)>,
) -> Result<Vec<CallRecord>> {
    let (after_start, after_call) = after.unzip();
    let rows = sqlx::query_as(
        "select * from calls where account_id = $1 and model = $2 and started_at >= $3 and started_at < $4 \
         and ($5::timestamptz is null or (started_at, call_id) > ($5, $6)) order by started_at, call_id limit $7",
    );
    let rows = rows.bind(account.uuid()).bind(model).bind(after_start.unwrap_or(from)).bind(to).bind(after_start);
    Ok(rows.bind(after_call.map(CallId::uuid)).bind(PAGE).fetch_all(connection).await?)
}

/// The corrections of some calls of an account, each call's oldest first.
pub(super) async fn corrections(
    connection: &mut PgConnection,
    account: AccountId,
    calls: &[CallRecord],
) -> Result<HashMap<CallId, Vec<CorrectionRecord>>> {
    let ids: Vec<_> = calls.iter().map(|call| call.call_id.uuid()).collect();
    let rows = sqlx::query_scalar!(
        r#"select to_jsonb(x) as "record!" from corrections x where account_id = $1 and call_id = any($2) order by call_id, seq"#,
        account.uuid(),
        &ids
    );
    let mut of_calls: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows.fetch_all(connection).await? {
        let record = record::from_json(row)?;
        of_calls.entry(record.call_id).or_default().push(record);
    }
    Ok(of_calls)
}
