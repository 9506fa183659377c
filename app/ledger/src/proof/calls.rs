//! What must hold of each call by itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    catalog::{PriceKind, PriceVersion},
    credit::Unit,
    id::{AccountId, GrantId, ModelId, PriceId},
    money::Amount,
    own_price::{self, OwnPrice},
    price_history::LEAD_MIN,
    pricing::{self, Charge, Discount, Excess},
    rates::Rates,
    service_tier::{ServiceTier, charged_at},
    tokens::{Flag, Tokens},
};
use futures_util::TryStreamExt;
use sqlx::{FromRow, PgConnection, types::Json};

use super::{
    claim::{Claim, Findings},
    credit::GrantRow,
    limits::Limits,
    lines::Lines,
};
use crate::{
    Result,
    books::{OpenCalls, hours::hour_of},
    prices,
    settled::{CallRecord, tokens_owed},
};

/// The calls that were posted in one hour, summed.
#[derive(Debug)]
pub(super) struct Hour {
    pub(super) open: OpenCalls,
    /// What each grant paid.
    pub(super) charges: BTreeMap<GrantId, i128>,
}

/// An account's calls by the hour in which they were posted.
pub(super) type Hours = BTreeMap<DateTime<Utc>, Hour>;

/// A call that is posted later than this after its start is looked for only when an hour's calls are fewer than its posting says.
const LATE: TimeDelta = TimeDelta::days(2);

/// Checks every call that was posted since then, and sums them by the hour. Of those that began long before only if `all`.
pub(super) async fn check(
    connection: &mut PgConnection,
    account: AccountId,
    since: Option<DateTime<Utc>>,
    all: bool,
    terms: Terms<'_>,
    mut limits: Option<&mut Limits>,
    findings: &mut Findings,
) -> Result<(Hours, u64)> {
    // An hour that is open still may have begun before.
    let open = sqlx::query_scalar!("select hour from heads where account_id = $1", account.uuid())
        .fetch_optional(&mut *connection)
        .await?
        .flatten();
    let since = since.map(|since| open.map_or(since, |open| open.min(since)));
    let started_since = since.and_then(|since| since.checked_sub_signed(LATE)).filter(|_| !all);
    let mut hours = Hours::new();
    let mut count = 0;
    let mut rows = sqlx::query(
        "select * from calls where account_id = $1 and ($2::timestamptz is null or started_at >= $2) \
         and ($3::timestamptz is null or posted_at >= $3) order by posted_at, call_id",
    )
    .bind(account.uuid())
    .bind(started_since)
    .bind(since)
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        count += 1;
        match StoredCall::from_row(&row) {
            Ok(call) => {
                look_at(&call, terms, &mut hours, findings);
                if let Some(limits) = &mut limits {
                    limits.add_call(&call.record);
                }
            }
            Err(error) => findings.note(Claim::CallIsSealed, format!("a call of account {account}"), "a readable row", error),
        }
    }
    Ok((hours, count))
}

/// What calls are checked against.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) prices: &'a Prices,
    pub(super) lines: &'a Lines,
    pub(super) grants: &'a [GrantRow],
}

/// A row of `calls`, read column by column.
#[derive(Debug, FromRow)]
struct StoredCall {
    #[sqlx(flatten)]
    record: CallRecord,
    seal: Vec<u8>,
}

fn look_at(call: &StoredCall, terms: Terms<'_>, hours: &mut Hours, findings: &mut Findings) {
    let StoredCall { record, seal } = call;
    let Terms { prices, lines, grants } = terms;
    lines.look_at(record, findings);
    let row = || format!("call {}", record.call_id);
    findings.sealed(Claim::CallIsSealed, row, record.fits(seal));
    receipt(record, prices, findings);
    payment(record, grants, findings);
    if let Err(found) = prices.expect_in_force(record) {
        findings.note(Claim::CallIsAtItsPrice, row(), format!("{} at {}", record.model, record.started_at), found);
    }
    let usage = record.usage();
    if usage.flag != Some(Flag::Contradictory) && !usage.adds_up() {
        let totals = format!("{:?} prompt, {:?} completion", usage.prompt_tokens, usage.completion_tokens);
        findings.note(Claim::CallAddsUp, row(), totals, format!("{:?}", usage.counts));
    }
    let hour = hour_of(record.posted_at);
    let hour = hours.entry(hour).or_insert_with(|| Hour { open: OpenCalls::since(hour), charges: BTreeMap::new() });
    if hour.open.add(seal).is_none() {
        findings.note(Claim::UsageIsItsCalls, row(), "calls that can be counted", "too many");
    }
    for share in record.paid_by.iter() {
        *hour.charges.entry(share.grant_id).or_default() += i128::from(share.amount);
    }
}

/// What a call comes to: money by its price, or tokens at most as many as were held.
fn receipt(record: &CallRecord, prices: &Prices, findings: &mut Findings) {
    let row = || format!("call {}", record.call_id);
    let Some(paid) = record.tokens_paid else {
        let recomputed = prices.recompute(record);
        if recomputed != Ok(record.charge()) {
            let expected = recomputed.map_or_else(|problem| problem, in_words);
            findings.note(Claim::CallIsItsReceipt, row(), expected, in_words(record.charge()));
        }
        return;
    };
    let owed = tokens_owed(&record.usage(), Tokens::from_sum(record.tokens_held)).get();
    findings.compare(Claim::CallIsItsReceipt, || format!("{} (tokens)", row()), owed, paid);
    let nothing = Charge { amount: Amount::ZERO, written_off: Amount::ZERO };
    findings.compare(Claim::CallIsItsReceipt, row, in_words(nothing), in_words(record.charge()));
}

/// Who paid for a call: tokens are one grant's, and no grant pays for a model that it is not for.
fn payment(record: &CallRecord, grants: &[GrantRow], findings: &mut Findings) {
    let row = || format!("call {}", record.call_id);
    let (unit, shares) = (record.unit(), &record.paid_by);
    let paid: i128 = shares.iter().map(|share| i128::from(share.amount)).sum();
    findings.compare(Claim::CallIsPaid, row, i128::from(record.paid()), paid);
    if unit == Unit::Tokens && shares.len() > 1 {
        findings.note(Claim::CallIsPaid, row(), "one grant of tokens", shares.len());
    }
    for share in shares.iter() {
        let grant = grants.iter().find(|grant| grant.id == share.grant_id);
        if !grant.is_some_and(|grant| grant.unit == unit && grant.covers(&record.model)) {
            findings.note(Claim::CallIsPaid, row(), format!("a grant in {} that pays for its model", unit.name()), share.grant_id);
        }
    }
}

pub(super) fn in_words(charge: Charge) -> String {
    format!("{} charged, {} written off", charge.amount, charge.written_off)
}

/// Every version of every price.
pub(super) struct Prices {
    versions: HashMap<PriceId, Version>,
    /// When the sale prices of each model begin that everyone pays at each service tier, and when they were written.
    sales: HashMap<String, HashMap<ServiceTier, Vec<Sale>>>,
    /// What accounts pay instead, by model.
    own: HashMap<(AccountId, String), Vec<OwnPrice>>,
    /// Where something of that cannot be read: what calls of these cost nobody knows.
    unknown: HashSet<(AccountId, String)>,
}

struct Sale {
    begins: DateTime<Utc>,
    written: DateTime<Utc>,
}

impl Sale {
    /// Whether it had begun by then, and every proxy knew of it.
    fn had_begun(&self, instant: DateTime<Utc>) -> bool {
        self.begins <= instant && self.written.checked_add_signed(LEAD).is_some_and(|known| known <= instant)
    }
}

struct Version {
    model: String,
    /// Whose it is; `None` of what everyone pays.
    account: Option<AccountId>,
    service_tier: ServiceTier,
    is_sale: bool,
    /// It never was in force.
    is_withdrawn: bool,
    effective_from: DateTime<Utc>,
    /// As they are stored.
    rates: std::result::Result<Rates, String>,
}

/// A version counts as known so long after it was written, which is the least lead of one that follows another: proxies go by a catalog that is half as old.
const LEAD: TimeDelta = LEAD_MIN;

impl Prices {
    /// Reads all of them, and checks that each is the one that was written.
    pub(super) async fn read(connection: &mut PgConnection, findings: &mut Findings) -> Result<Self> {
        let rows = sqlx::query!(
            r#"
            select
                v.price_id as "id: PriceId", m.name as model, v.model_id as "model_id: ModelId", v.kind as "kind: PriceKind",
                v.service_tier as "service_tier: ServiceTier", v.effective_from, v.created_at, v.created_by, v.seal, v.withdrawn_at,
                v.rates as "rates: Json<serde_json::Value>", v.account_id as "account: AccountId", v.ends_at
            from price_versions v join models m using (model_id)
            "#
        )
        .fetch_all(connection)
        .await?;
        let mut prices = Self { versions: HashMap::new(), sales: HashMap::new(), own: HashMap::new(), unknown: HashSet::new() };
        for row in rows {
            let (is_sale, is_withdrawn) = (row.kind == PriceKind::Sale, row.withdrawn_at.is_some());
            if is_sale && !is_withdrawn && row.account.is_none() {
                let sales = prices.sales.entry(row.model.clone()).or_default().entry(row.service_tier).or_default();
                sales.push(Sale { begins: row.effective_from, written: row.created_at });
            }
            let name = || format!("price {} of {}", row.id, row.model);
            let rates: std::result::Result<Rates, _> = serde_json::from_value(row.rates.0);
            match &rates {
                Ok(rates) => {
                    let version = PriceVersion {
                        id: row.id,
                        model_id: row.model_id,
                        kind: row.kind,
                        service_tier: row.service_tier,
                        effective_from: row.effective_from,
                        rates: rates.clone(),
                        created_at: row.created_at,
                        created_by: row.created_by,
                    };
                    let fits = row
                        .account
                        .map_or_else(|| prices::fits(&version, &row.seal), |account| prices::own_fits(&version, account, &row.seal));
                    findings.sealed(Claim::PriceIsSealed, name, fits);
                    prices.own_of(row.account, version, (&row.model, row.ends_at, row.withdrawn_at));
                }
                Err(error) => {
                    findings.note(Claim::PriceIsSealed, name(), "a price that can be read", error);
                    prices.unknown.extend(row.account.filter(|_| !is_withdrawn).map(|account| (account, row.model.clone())));
                }
            }
            let rates = rates.map_err(|error| format!("a price that can be read: {error}"));
            let (account, service_tier, effective_from) = (row.account, row.service_tier, row.effective_from);
            prices
                .versions
                .insert(row.id, Version { model: row.model, account, service_tier, is_sale, is_withdrawn, effective_from, rates });
        }
        Ok(prices)
    }

    /// Keeps an account's own price by what it is of.
    fn own_of(
        &mut self,
        account: Option<AccountId>,
        version: PriceVersion,
        (model, ends_at, withdrawn_at): (&str, Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) {
        let Some(account) = account else { return };
        let own = OwnPrice { version, model: model.to_owned(), account, ends_at, withdrawn_at };
        self.own.entry((account, model.to_owned())).or_default().push(own);
    }

    /// One sale price of one model, in force for ever.
    #[cfg(test)]
    pub(super) fn of_one(id: PriceId, model: &str, rates: Rates) -> Self {
        let version = Version {
            model: model.to_owned(),
            account: None,
            service_tier: ServiceTier::Default,
            is_sale: true,
            is_withdrawn: false,
            effective_from: DateTime::UNIX_EPOCH,
            rates: Ok(rates),
        };
        Self { versions: HashMap::from([(id, version)]), sales: HashMap::new(), own: HashMap::new(), unknown: HashSet::new() }
    }

    /// What a call comes to by its counts, its price version and its hold.
    pub(super) fn recompute(&self, record: &CallRecord) -> std::result::Result<Charge, String> {
        let version = self.versions.get(&record.price_id).ok_or("a price version that exists")?;
        let rates = version.rates.as_ref().map_err(Clone::clone)?;
        let discount = Discount::from_bps(record.discount_bps).map_err(|error| error.to_string())?;
        Ok(pricing::charge(&record.usage(), rates, discount, Amount::from_nanos(record.held), Excess::of(record.is_lenient)))
    }

    /// The rates of a sale price of a model, of the same service tier as the one that a call was charged by before. One that calls were charged anew by
    /// may have been withdrawn since.
    pub(super) fn of_model(&self, price: PriceId, before: PriceId, model: &str) -> std::result::Result<&Rates, String> {
        let tier = self.versions.get(&before).map(|version| version.service_tier);
        let is_such = |version: &&Version| version.is_sale && version.account.is_none() && version.model == model;
        let version = self.versions.get(&price).filter(is_such).filter(|version| Some(version.service_tier) == tier);
        version.ok_or_else(|| format!("a price of {model}"))?.rates.as_ref().map_err(Clone::clone)
    }

    /// That a call's version is a sale price of its model, had begun when the call was admitted, and was followed by none that was known then; that it is of
    /// the service tier that the call must be charged at; and that it was the account's own if there was one, off which there is no discount.
    pub(super) fn expect_in_force(&self, record: &CallRecord) -> std::result::Result<(), String> {
        let version = self.versions.get(&record.price_id).ok_or("no price version")?;
        let started = record.started_at;
        let of_model = self.sales.get(&record.model);
        let sales = |tier: ServiceTier| of_model.and_then(|tiers| tiers.get(&tier)).map_or(&[][..], Vec::as_slice);
        let is_followed = || {
            let follows = |sale: &Sale| sale.begins > version.effective_from && sale.had_begun(started);
            sales(version.service_tier).iter().any(follows)
        };
        let mut tiers = charged_at(record.asked_for(), Some(record.served_at()));
        // The first one that had a price: the default always, without which the model is not called; of another one's first price proxies may not have known.
        let had_a_price = |tier: ServiceTier| tier == ServiceTier::Default || sales(tier).iter().any(|sale| sale.had_begun(started));
        let tier = tiers.find(|tier| *tier == version.service_tier || had_a_price(*tier));
        let was_in_force = version.is_sale && !version.is_withdrawn && version.model == record.model && version.effective_from <= started;
        let own = self.own.get(&(record.account_id, record.model.clone())).map_or(&[][..], Vec::as_slice);
        let own = own_price::in_force(own, started).map(|own| own.version.id);
        let is_whose_it_must_be = match version.account {
            _ if self.unknown.contains(&(record.account_id, record.model.clone())) => false,
            Some(_) => own == Some(record.price_id) && record.discount_bps == 0,
            None => (own.is_none() || version.service_tier != ServiceTier::Default) && !is_followed(),
        };
        if was_in_force && is_whose_it_must_be && tier == Some(version.service_tier) {
            return Ok(());
        }
        let kind = match version {
            version if version.is_withdrawn => "withdrawn price",
            version if version.account.is_some() => "an account's own price",
            version if version.is_sale => "sale",
            _ => "cost",
        };
        let own = own.map(|own| format!(" instead of the account's own price {own}")).unwrap_or_default();
        let (at, served) = (version.service_tier.name(), record.served_at().name());
        Err(format!("{kind} of {} from {} at the service tier {at}, served at {served}{own}", version.model, version.effective_from))
    }
}

#[cfg(test)]
mod tests {
    use domain::billing::GrantKind;
    use uuid::Uuid;

    use super::*;
    use crate::{proof::corrections::testing::interrupted, settled::PaidShare};

    fn id(number: u128) -> GrantId {
        GrantId::from_uuid(Uuid::from_u128(number))
    }

    /// A call of 12 tokens, or of 12 nanos, paid by these.
    fn call(unit: Unit, shares: &[(u128, i64)]) -> CallRecord {
        interrupted(unit, shares.iter().map(|(number, amount)| PaidShare { grant_id: id(*number), amount: *amount }).collect())
    }

    fn faults(call: &CallRecord) -> usize {
        let of = |number, unit, models: Option<&str>| {
            let mut grant = GrantRow::of(id(number), GrantKind::Package, unit, None);
            grant.models = models.map(|model| vec![model.to_owned()]);
            grant
        };
        let grants = [
            of(5, Unit::Money, None),
            of(6, Unit::Tokens, None),
            of(7, Unit::Tokens, Some("small")),
            of(8, Unit::Tokens, Some("large")),
            of(9, Unit::Money, Some("large")),
        ];
        let mut findings = Findings::default();
        payment(call, &grants, &mut findings);
        findings.of(Claim::CallIsPaid).len()
    }

    #[test]
    fn a_call_is_paid_by_grants_in_its_unit_that_are_for_its_model() {
        for right in [call(Unit::Money, &[(5, 12)]), call(Unit::Tokens, &[(6, 12)]), call(Unit::Tokens, &[(7, 12)])] {
            assert_eq!(faults(&right), 0, "{right:?}");
        }
        for wrong in [
            call(Unit::Money, &[(6, 12)]),
            call(Unit::Tokens, &[(5, 12)]),
            call(Unit::Tokens, &[(8, 12)]),
            call(Unit::Money, &[(9, 12)]),
            call(Unit::Money, &[(5, 11)]),
            call(Unit::Money, &[(1, 12)]),
            call(Unit::Tokens, &[(6, 6), (7, 6)]),
        ] {
            assert_eq!(faults(&wrong), 1, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_paid_in_tokens_is_what_was_taken_and_no_money() {
        let broken = |change: fn(&mut CallRecord)| {
            let mut call = call(Unit::Tokens, &[(6, 12)]);
            change(&mut call);
            let mut findings = Findings::default();
            receipt(
                &call,
                &Prices { versions: HashMap::new(), sales: HashMap::new(), own: HashMap::new(), unknown: HashSet::new() },
                &mut findings,
            );
            findings.of(Claim::CallIsItsReceipt).len()
        };
        assert_eq!(broken(|_| {}), 0);
        let changes: [fn(&mut CallRecord); 5] = [
            |call| call.tokens_paid = Some(11),
            |call| call.tokens_held = 11,
            |call| call.prompt_tokens = Some(Tokens::from_sum(13)),
            |call| call.amount = 1,
            |call| call.written_off = 1,
        ];
        for change in changes {
            assert_eq!(broken(change), 1);
        }
        assert_eq!(broken(|call| (call.prompt_tokens, call.tokens_held) = (Some(Tokens::from_sum(99)), 12)), 0, "no more than was held");
    }
}
