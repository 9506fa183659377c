//! What must hold of each correction, beside its call.

use std::collections::HashMap;

use domain::{
    credit::Unit,
    id::{AccountId, CallId},
    money::Amount,
    pricing::Charge,
};
use sqlx::PgConnection;

use super::{
    calls::{Prices, in_words},
    claim::{Claim, Findings},
    limits::Limits,
};
use crate::{
    Result, SettledCall,
    corrections::{self, CorrectionRecord, StoredCorrection},
    settled::{CallRecord, tokens_owed},
};

/// Checks every correction of an account beside its call, and returns those that can be read.
pub(super) async fn check(
    connection: &mut PgConnection,
    account: AccountId,
    prices: &Prices,
    mut limits: Option<&mut Limits>,
    findings: &mut Findings,
) -> Result<Vec<CorrectionRecord>> {
    let mut readable = Vec::new();
    let mut costs: HashMap<CallId, i128> = HashMap::new();
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
                let cost = costs.entry(call).or_insert_with(|| i128::from(of.tokens_paid.unwrap_or(of.amount)));
                look_at(&record, &of, *cost, prices, &row, findings);
                *cost += i128::from(record.paid());
                if let Some(limits) = &mut limits {
                    limits.add_correction(&record, &of);
                }
            }
            None => findings.note(Claim::CorrectionAddsUp, row, "a call", "none that can be read"),
        }
        readable.push(record);
    }
    for (call, cost) in costs.into_iter().filter(|(_, cost)| *cost < 0) {
        findings.note(Claim::CallCostsSomething, format!("call {call}"), "0 or more", cost);
    }
    Ok(readable)
}

/// `cost` is the call's charge and the corrections before this one.
fn look_at(record: &CorrectionRecord, call: &CallRecord, cost: i128, prices: &Prices, row: &str, findings: &mut Findings) {
    let paid: i128 = record.paid_by.iter().map(|share| i128::from(share.amount)).sum();
    findings.compare(Claim::CorrectionAddsUp, || row.to_owned(), i128::from(record.paid()), paid);
    findings.compare(Claim::CorrectionAddsUp, || format!("{row} (in tokens)"), call.tokens_paid.is_some(), record.tokens_paid.is_some());
    let late = match record.late() {
        Ok(Some(late)) => late,
        Ok(None) => return,
        Err(error) => return findings.note(Claim::LateIsItsReceipt, row, "a readable settlement", error),
    };
    adds_up(record, call, &late, cost, row, findings);
    let charge = Charge { amount: late.amount, written_off: late.written_off };
    let of_it = late.clone().into_record(Unit::Money, Vec::new(), record.posted_at);
    let recomputed = of_it.as_ref().map_err(ToString::to_string).and_then(|late| prices.recompute(late));
    let is_of_the_call = (late.account_id, late.call_id, late.key_id, late.price_id, late.discount.bps(), late.held.nanos())
        == (call.account_id, call.call_id, call.key_id, call.price_id, call.discount_bps, call.held)
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

/// What was given back before is not given back again.
fn adds_up(record: &CorrectionRecord, call: &CallRecord, late: &SettledCall, cost: i128, row: &str, findings: &mut Findings) {
    let paid = i128::from(record.paid());
    let is_right = if let Some(before) = call.tokens_paid {
        let difference = i128::from(tokens_owed(&late.usage, late.tokens_held).get()) - i128::from(before);
        // A token grant that has ended takes nothing back, and what it no longer has nobody pays.
        let possible = if difference < 0 { difference.max(-cost)..=0 } else { 0..=difference };
        possible.contains(&paid) && record.amount == 0 && record.written_off == 0
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        attribution::Attribution,
        call::{Outcome, UsageSource},
        id::{KeyId, PriceId, ProjectId},
        pricing::{self, Discount, Excess},
        rates::Rates,
        tokens::{CallUsage, Tokens},
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::{Admitted, SettledCall};

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
        }
    }

    /// A nano a token.
    fn rates() -> Rates {
        Rates::plain(Amount::from_nanos(1_000), Amount::from_nanos(1_000))
    }

    /// The claims that a correction breaks: a call of 12 nanos, of which `before` was added since, and what came late.
    fn broken(before: i128, late: &SettledCall, row: serde_json::Value) -> Vec<Claim> {
        let call =
            settled(12, UsageSource::Interrupted).into_record(Unit::Money, Vec::new(), "2026-06-15T12:31:00Z".parse().unwrap()).unwrap();
        let mut record = json!({
            "account_id": call.account_id, "started_at": call.started_at, "call_id": call.call_id, "seq": 9,
            "kind": "late_usage", "completion_tokens": 0, "total_tokens": 0, "written_off": 0,
            "settlement": serde_json::to_string(late).unwrap(), "posted_at": "2026-06-15T13:00:00Z",
        });
        record.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        let record: CorrectionRecord = serde_json::from_value(record).unwrap();
        let mut findings = Findings::default();
        let prices = Prices::of_one(price(), &call.model, rates());
        look_at(&record, &call, i128::from(call.amount) + before, &prices, "it", &mut findings);
        [Claim::CorrectionAddsUp, Claim::LateIsItsReceipt].into_iter().filter(|claim| !findings.of(*claim).is_empty()).collect()
    }

    fn row(prompt_tokens: i64, amount: i64, written_off: i64) -> serde_json::Value {
        let paid_by = if amount == 0 { json!([]) } else { json!([{ "grant_id": Uuid::from_u128(5), "amount": amount }]) };
        json!({ "prompt_tokens": prompt_tokens, "amount": amount, "written_off": written_off, "paid_by": paid_by })
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
