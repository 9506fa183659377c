//! What must hold of each correction, beside its call.

use std::collections::{BTreeMap, HashMap};

use domain::{
    billing::GrantKind,
    call::CorrectionKind,
    credit::Unit,
    id::{AccountId, CallId, GrantId},
    money::Amount,
    pricing::Charge,
};
use sqlx::PgConnection;

use super::{
    calls::{Prices, Terms, in_words},
    claim::{Claim, Findings},
    credit::GrantRow,
    limits::Limits,
};
use crate::{
    Result, SettledCall,
    corrections::{self, CorrectionRecord, StoredCorrection},
    settled::{CallRecord, PaidShare, tokens_owed},
};

/// Checks every correction of an account beside its call, and returns those that can be read.
pub(super) async fn check(
    connection: &mut PgConnection,
    account: AccountId,
    terms: Terms<'_>,
    mut limits: Option<&mut Limits>,
    findings: &mut Findings,
) -> Result<Vec<CorrectionRecord>> {
    let mut readable = Vec::new();
    let mut calls: HashMap<CallId, (Paid, Vec<CorrectionRecord>)> = HashMap::new();
    for StoredCorrection { number, call, of, record, seal } in corrections::of_account(connection, account).await? {
        let row = format!("correction {number} of call {call}");
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                findings.note(Claim::CorrectionIsSealed, row, "a readable row", error);
                continue;
            }
        };
        findings.sealed(Claim::CorrectionIsSealed, || row.clone(), record.fits(&seal));
        match of {
            Some(of) => {
                let (paid, before) = calls.entry(call).or_insert_with(|| (Paid::of(&of), Vec::new()));
                look_at(&record, &of, paid, terms, &row, findings);
                if record.kind == CorrectionKind::Reprice {
                    is_charged_anew(&record, &of, before, terms.prices, &row, findings);
                }
                paid.add(&record.paid_by);
                before.push(record.clone());
                if let Some(limits) = &mut limits {
                    limits.add_correction(&record, &of);
                }
            }
            None => findings.note(Claim::CorrectionAddsUp, row, "a call", "none that can be read"),
        }
        readable.push(record);
    }
    for (call, cost) in calls.iter().map(|(call, (paid, _))| (call, paid.cost())).filter(|(_, cost)| *cost < 0) {
        findings.note(Claim::CallCostsSomething, format!("call {call}"), "0 or more", cost);
    }
    Ok(readable)
}

/// What each grant paid of a call, its corrections up to one included.
struct Paid(BTreeMap<GrantId, i128>);

impl Paid {
    fn of(call: &CallRecord) -> Self {
        let mut paid = Self(BTreeMap::new());
        paid.add(&call.paid_by);
        paid
    }

    fn add(&mut self, shares: &[PaidShare]) {
        for share in shares {
            *self.0.entry(share.grant_id).or_default() += i128::from(share.amount);
        }
    }

    fn cost(&self) -> i128 {
        self.0.values().sum()
    }

    /// Whether so much may be given back to a grant: what it paid, and to a wallet also what another one paid.
    fn takes_back(&self, share: &PaidShare, grant: &GrantRow) -> bool {
        grant.kind == GrantKind::Wallet || self.0.get(&share.grant_id).is_some_and(|paid| *paid + i128::from(share.amount) >= 0)
    }
}

/// `before` is what was paid of the call before this one.
fn look_at(record: &CorrectionRecord, call: &CallRecord, before: &Paid, terms: Terms<'_>, row: &str, findings: &mut Findings) {
    let Terms { prices, grants, .. } = terms;
    let unit = call.unit();
    for share in &record.paid_by {
        let grant = grants.iter().find(|grant| grant.id == share.grant_id && grant.unit == unit);
        // What pays for more pays now, by the clock of the books; a wallet always does.
        let pays = |grant: &GrantRow| grant.covers(&call.model) && grant.lasts_at(record.posted_at);
        if !grant.is_some_and(|grant| if share.amount > 0 { pays(grant) } else { before.takes_back(share, grant) }) {
            let expected = format!("a grant in {} that pays, or that had paid so much", unit.name());
            findings.note(Claim::CorrectionAddsUp, row, expected, format!("{} of {}", share.amount, share.grant_id));
        }
    }
    let paid: i128 = record.paid_by.iter().map(|share| i128::from(share.amount)).sum();
    findings.compare(Claim::CorrectionAddsUp, || row.to_owned(), i128::from(record.paid()), paid);
    findings.compare(Claim::CorrectionAddsUp, || format!("{row} (unit)"), call.unit().name(), record.unit().name());
    let late = match record.late() {
        Ok(Some(late)) => late,
        Ok(None) => return,
        Err(error) => return findings.note(Claim::LateIsItsReceipt, row, "a readable settlement", error),
    };
    adds_up(record, call, &late, (before, grants), row, findings);
    let charge = Charge { amount: late.amount, written_off: late.written_off };
    let of_it = late.clone().into_record(Unit::Money, Vec::new(), record.posted_at);
    let recomputed = of_it.as_ref().map_err(ToString::to_string).and_then(|late| prices.recompute(late));
    // One that turns out to have been served at another service tier has that one's price.
    let is_at_its_price = of_it.as_ref().is_ok_and(|of_it| match of_it.served_at() == call.served_at() {
        true => (of_it.price_id, of_it.discount_bps) == (call.price_id, call.discount_bps),
        false => prices.expect_in_force(of_it).is_ok(),
    });
    let is_of_the_call = is_at_its_price
        && (late.account_id, late.call_id, late.key_id, late.asked_tier, late.held.nanos(), late.tokens_held.get())
            == (call.account_id, call.call_id, call.key_id, call.asked_for(), call.held, call.tokens_held)
        && (late.project_id, &late.attribution, late.excess.is_charged()) == (call.project_id, &call.attribution(), call.is_lenient);
    if recomputed != Ok(charge) || !is_of_the_call {
        let expected = recomputed.map_or_else(|problem| problem, in_words);
        findings.note(Claim::LateIsItsReceipt, row, format!("{expected}, on its call's terms"), in_words(charge));
    }
    let tokens = corrections::tokens_between(&late.usage, &call.usage());
    let found = [record.prompt_tokens, record.completion_tokens, record.total_tokens];
    if tokens != found {
        findings.note(Claim::CorrectionAddsUp, row, format!("{tokens:?}"), format!("{found:?}"));
    }
}

/// What went back of a call that was charged anew is what it cost more than by that version of its model's price.
fn is_charged_anew(
    record: &CorrectionRecord,
    call: &CallRecord,
    before: &[CorrectionRecord],
    prices: &Prices,
    row: &str,
    findings: &mut Findings,
) {
    let charged_by = corrections::price_of(call, before).map_err(|error| error.to_string());
    let anew = record.price_id.ok_or_else(|| "a version of the price".to_owned());
    let rates = charged_by.and_then(|charged_by| prices.of_model(anew?, charged_by, &call.model));
    let expected = rates.and_then(|rates| {
        let charged = corrections::charged(call, before).map_err(|error| error.to_string())?;
        let charged = charged.ok_or_else(|| "a call that was paid in money".to_owned())?;
        Ok(charged.given_back(rates).nanos().saturating_neg())
    });
    if expected != Ok(record.amount) {
        let expected = expected.map_or_else(|problem| problem, |amount| amount.to_string());
        findings.note(Claim::RepriceIsItsPrice, row, expected, record.amount);
    }
}

/// What was given back before is not given back again.
fn adds_up(
    record: &CorrectionRecord,
    call: &CallRecord,
    late: &SettledCall,
    (before, grants): (&Paid, &[GrantRow]),
    row: &str,
    findings: &mut Findings,
) {
    let (paid, cost) = (i128::from(record.paid()), before.cost());
    let is_right = if let Some(posted) = call.tokens_paid {
        let difference = i128::from(tokens_owed(&late.usage, late.tokens_held).get()) - i128::from(posted);
        // A token grant that has ended takes nothing back, and what it no longer has nobody pays.
        let back = difference.max(-cost);
        let lasts = |id: &GrantId| grants.iter().any(|grant| grant.id == *id && grant.lasts_at(record.posted_at));
        let is_possible = match difference < 0 {
            false => (0..=difference).contains(&paid),
            true if before.0.keys().all(lasts) => paid == back,
            true => (back..=0).contains(&paid),
        };
        is_possible && record.amount == 0 && record.written_off == 0
    } else {
        let difference = nanos(late.amount) - i128::from(call.amount);
        let (most, not_paid) = if difference < 0 { (difference.max(-cost), 0) } else { (difference, difference - paid) };
        let is_paid = if difference < 0 { paid == most } else { (0..=most).contains(&paid) };
        is_paid && i128::from(record.written_off) == not_paid + nanos(late.written_off)
    };
    if !is_right {
        let found = format!("{paid}, {} written off", record.written_off);
        findings.note(Claim::CorrectionAddsUp, row, "the difference to its call, as far as it was there", found);
    }
}

fn nanos(amount: Amount) -> i128 {
    i128::from(amount.nanos())
}

/// A call for the tests of this folder.
#[cfg(test)]
pub(super) mod testing {
    pub(crate) use super::tests::interrupted;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        attribution::Attribution,
        call::{Outcome, UsageSource},
        credit::Split,
        id::{KeyId, PriceId, ProjectId},
        pricing::{self, Discount, Excess},
        rates::Rates,
        service_tier::ServiceTier,
        tokens::{CallUsage, Tokens},
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{Admitted, SettledCall, proof::lines::Lines};

    fn price() -> PriceId {
        PriceId::from_uuid(Uuid::from_u128(4))
    }

    fn settled(prompt: i64, source: UsageSource) -> SettledCall {
        let id = CallId::new("2026-06-15T12:30:00Z".parse().unwrap(), [1; 10]);
        let usage = CallUsage::of_totals(Some(Tokens::from_sum(prompt)), None, None);
        let Charge { amount, written_off } =
            pricing::charge(&usage, &rates(), Discount::NONE, Amount::from_nanos(1_000), Excess::WrittenOff);
        let admitted = Admitted {
            account_id: AccountId::from_uuid(Uuid::from_u128(1)),
            call_id: id,
            key_id: KeyId::from_uuid(Uuid::from_u128(3)),
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
            member: None,
            attribution: Attribution::default(),
            model: "small".to_owned(),
            provider: "upstream".to_owned(),
            price_id: price(),
            discount: Discount::NONE,
            stream: false,
            excess: Excess::WrittenOff,
            input_estimate: Tokens::from_sum(12),
            held: Amount::from_nanos(1_000),
            tokens_held: Tokens::from_sum(1_000),
            epoch: None,
            split: Split::default(),
            asked_tier: ServiceTier::Default,
        };
        SettledCall {
            admitted,
            upstream_model: None,
            outcome: Outcome::Interrupted,
            source,
            usage,
            amount,
            written_off,
            http_status: None,
            latency_ms: 1,
            first_byte_ms: None,
            raw_usage: None,
            attempts: Vec::new(),
            served_tier: None,
        }
    }

    /// A nano a token.
    fn rates() -> Rates {
        Rates::plain(Amount::from_nanos(1_000), Amount::from_nanos(1_000))
    }

    fn grant(number: u128) -> GrantId {
        GrantId::from_uuid(Uuid::from_u128(number))
    }

    /// A wallet (5), two packages that last (6, 7), and one that ended before the correction (8).
    fn grants() -> [GrantRow; 4] {
        let package = |number, expires| GrantRow::of(grant(number), GrantKind::Package, Unit::Tokens, expires);
        let ended = "2026-06-15T12:45:00Z".parse().ok();
        [GrantRow::of(grant(5), GrantKind::Wallet, Unit::Money, None), package(6, None), package(7, None), package(8, ended)]
    }

    /// A call of 12 nanos, or of 12 tokens, that these paid.
    pub(crate) fn interrupted(unit: Unit, paid_by: Vec<PaidShare>) -> CallRecord {
        let posted_at = "2026-06-15T12:31:00Z".parse().unwrap();
        settled(12, UsageSource::Interrupted).into_record(unit, paid_by, posted_at).unwrap()
    }

    /// The claims that a correction breaks: a call of 12 nanos, of which `before` was added since, and what came late.
    fn broken(before: i64, late: &SettledCall, row: serde_json::Value) -> Vec<Claim> {
        broken_in((Unit::Money, 5), before, late, row)
    }

    /// The same of a call of 12 nanos, or of 12 tokens, that a grant paid.
    fn broken_in((unit, payer): (Unit, u128), before: i64, late: &SettledCall, row: serde_json::Value) -> Vec<Claim> {
        let share = |amount| PaidShare { grant_id: grant(payer), amount };
        let call = interrupted(unit, vec![share(12)]);
        let mut paid = Paid::of(&call);
        paid.add(&[share(before)]);
        let mut record = json!({
            "account_id": call.account_id, "started_at": call.started_at, "call_id": call.call_id, "seq": 9,
            "kind": "late_usage", "completion_tokens": 0, "total_tokens": 0, "written_off": 0,
            "settlement": serde_json::to_string(late).unwrap(), "posted_at": "2026-06-15T13:00:00Z",
        });
        record.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        let record: CorrectionRecord = serde_json::from_value(record).unwrap();
        let mut findings = Findings::default();
        let prices = Prices::of_one(price(), &call.model, rates());
        let (lines, grants) = (Lines::default(), grants());
        look_at(&record, &call, &paid, Terms { prices: &prices, lines: &lines, grants: &grants }, "it", &mut findings);
        [Claim::CorrectionAddsUp, Claim::LateIsItsReceipt].into_iter().filter(|claim| !findings.of(*claim).is_empty()).collect()
    }

    fn row(prompt_tokens: i64, amount: i64, written_off: i64) -> serde_json::Value {
        let paid_by = if amount == 0 { json!([]) } else { json!([{ "grant_id": Uuid::from_u128(5), "amount": amount }]) };
        json!({ "prompt_tokens": prompt_tokens, "amount": amount, "written_off": written_off, "paid_by": paid_by })
    }

    /// So many tokens more, paid by a grant.
    fn in_tokens(prompt_tokens: i64, tokens: i64, payer: u128) -> serde_json::Value {
        let paid_by = if tokens == 0 { json!([]) } else { json!([{ "grant_id": Uuid::from_u128(payer), "amount": tokens }]) };
        json!({ "prompt_tokens": prompt_tokens, "amount": 0, "tokens_paid": tokens, "paid_by": paid_by })
    }

    #[test]
    fn what_comes_late_of_a_call_that_was_paid_in_tokens_is_tokens_of_grants_that_have_them() {
        let late = settled(700, UsageSource::Upstream);
        let by = |payer| (Unit::Tokens, payer);
        assert_eq!(broken_in(by(6), 0, &late, in_tokens(688, 688, 6)), []);
        assert_eq!(broken_in(by(6), 0, &late, in_tokens(688, 600, 7)), [], "as far as another one had them");
        for wrong in [in_tokens(688, 689, 6), in_tokens(688, 600, 5), in_tokens(688, 600, 8), row(688, 688, 0)] {
            assert_eq!(broken_in(by(6), 0, &late, wrong.clone()), [Claim::CorrectionAddsUp], "{wrong}");
        }
    }

    #[test]
    fn tokens_are_given_back_to_the_grant_that_paid_while_it_lasts() {
        let late = settled(5, UsageSource::Upstream);
        let by = |payer| (Unit::Tokens, payer);
        assert_eq!(broken_in(by(6), 0, &late, in_tokens(-7, -7, 6)), []);
        for wrong in [in_tokens(-7, -7, 7), in_tokens(-7, -7, 5), in_tokens(-7, 0, 6), in_tokens(-7, -8, 6)] {
            assert_eq!(broken_in(by(6), 0, &late, wrong.clone()), [Claim::CorrectionAddsUp], "{wrong}");
        }
        assert_eq!(broken_in(by(8), 0, &late, in_tokens(-7, 0, 8)), [], "it had ended");
        assert_eq!(broken(0, &late, in_tokens(-7, -7, 6)), [Claim::CorrectionAddsUp], "the call was paid in money");
    }

    #[test]
    fn late_usage_is_the_difference_to_its_call_as_far_as_there_was_credit() {
        let late = settled(700, UsageSource::Upstream);
        assert_eq!(broken(0, &late, row(688, 688, 0)), []);
        assert_eq!(broken(0, &late, row(688, 600, 88)), [], "what was not there is written off");
        for wrong in [row(688, 687, 0), row(688, 689, 0), row(688, 700, -12), row(688, 0, 0), row(687, 688, 0)] {
            assert_eq!(broken(0, &late, wrong.clone()), [Claim::CorrectionAddsUp], "{wrong}");
        }
    }

    #[test]
    fn less_than_was_charged_is_given_back_but_for_what_was_before() {
        let late = settled(5, UsageSource::Upstream);
        assert_eq!(broken(0, &late, row(-7, -7, 0)), []);
        assert_eq!(broken(-10, &late, row(-7, -2, 0)), []);
        assert_eq!(broken(-10, &late, row(-7, -7, 0)), [Claim::CorrectionAddsUp]);
        assert_eq!(broken(0, &late, row(-7, -8, 0)), [Claim::CorrectionAddsUp]);
    }

    /// Beside a row that was sealed as it is.
    #[test]
    fn what_went_back_of_a_call_that_was_charged_anew_is_recomputed() {
        let call = interrupted(Unit::Money, vec![PaidShare { grant_id: grant(5), amount: 12 }]);
        let cheaper = Rates::plain(Amount::from_nanos(500), Amount::from_nanos(500));
        let faults = |amount: i64, price: PriceId, model: &str| {
            let record: CorrectionRecord = serde_json::from_value(json!({
                "account_id": call.account_id, "started_at": call.started_at, "call_id": call.call_id, "seq": 9, "kind": "reprice",
                "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "amount": amount, "written_off": 0,
                "paid_by": [{ "grant_id": Uuid::from_u128(5), "amount": amount }], "price_id": price, "posted_at": "2026-06-15T13:00:00Z",
            }))
            .unwrap();
            let (mut findings, prices) = (Findings::default(), Prices::of_one(self::price(), model, cheaper.clone()));
            is_charged_anew(&record, &call, &[], &prices, "it", &mut findings);
            findings.of(Claim::RepriceIsItsPrice).len()
        };
        assert_eq!(faults(-6, price(), &call.model), 0, "12 tokens at half a nano");
        for (amount, price, model) in
            [(-5, price(), "small"), (-7, price(), "small"), (-6, price(), "large"), (-6, PriceId::from_uuid(Uuid::nil()), "small")]
        {
            assert_eq!(faults(amount, price, model), 1, "{amount} {price} {model}");
        }
    }

    #[test]
    fn a_late_settlement_is_proved_like_a_call() {
        let late = settled(700, UsageSource::Upstream);
        let dearer = SettledCall { amount: Amount::from_nanos(900), ..late.clone() };
        assert_eq!(broken(0, &dearer, row(688, 888, 0)), [Claim::LateIsItsReceipt]);
        let above_its_hold =
            SettledCall { amount: Amount::from_nanos(1_200), written_off: Amount::ZERO, ..settled(1_200, UsageSource::Upstream) };
        assert_eq!(broken(0, &above_its_hold, row(1_188, 1_188, 0)), [Claim::LateIsItsReceipt]);
        let admitted = || late.admitted.clone();
        let said = Attribution { end_user: "ada".parse().ok(), ..Attribution::default() };
        for of_another in [
            Admitted { key_id: KeyId::from_uuid(Uuid::from_u128(33)), ..admitted() },
            Admitted { held: Amount::from_nanos(2_000), ..admitted() },
            Admitted { tokens_held: Tokens::from_sum(2_000), ..admitted() },
            Admitted { price_id: PriceId::from_uuid(Uuid::from_u128(44)), ..admitted() },
            Admitted { project_id: ProjectId::from_uuid(Uuid::from_u128(55)), ..admitted() },
            Admitted { attribution: said, ..admitted() },
            Admitted { excess: Excess::Charged, ..admitted() },
        ] {
            let late = SettledCall { admitted: of_another, ..late.clone() };
            assert_eq!(broken(0, &late, row(688, 688, 0)), [Claim::LateIsItsReceipt]);
        }
    }
}
