//! What must hold of each correction, beside its call.

use std::collections::{BTreeMap, HashMap};

use domain::{
    id::{CallId, GrantId, JournalId, PriceId},
    money::Amount,
    pricing::Charge,
    rates::Rates,
};
use sqlx::PgConnection;

use super::{
    Fault,
    calls::{in_words, recompute},
    note,
};
use crate::{
    Result,
    corrections::{self, CorrectionRecord},
    settled::CallRecord,
};

const CORRECTION_IS_SEALED: &str = "a correction's row is the one that was posted";
const CORRECTION_ADDS_UP: &str =
    "a correction is the difference between its call and the settlement that came late, or what was given back";
const LATE_IS_ITS_RECEIPT: &str = "a late settlement is of its call, and its amount is its receipt recomputed, at most what was held";
const CALL_COSTS_SOMETHING: &str = "no more of a call is given back than it costs";

/// What is found in the corrections, each beside its call; what they took is added to what calls did.
pub(super) async fn check(
    connection: &mut PgConnection,
    prices: &HashMap<PriceId, Rates>,
    taken: &mut BTreeMap<(JournalId, GrantId), i128>,
) -> Result<[(&'static str, Vec<Fault>); 4]> {
    let mut faults = CorrectionFaults::default();
    let mut costs: HashMap<CallId, i128> = HashMap::new();
    for stored in corrections::all(connection).await? {
        let row = format!("correction {} of call {}", stored.id, stored.call);
        let record = match stored.record {
            Ok(record) => record,
            Err(error) => {
                note(&mut faults.sealed, CORRECTION_IS_SEALED, row, "a readable row", &error.to_string());
                continue;
            }
        };
        for share in &record.paid_by {
            if let Some(journal) = record.journal_id {
                *taken.entry((journal, share.grant_id)).or_default() += i128::from(share.amount);
            }
        }
        match record.fits(&stored.seal) {
            Some(true) => {}
            Some(false) => note(&mut faults.sealed, CORRECTION_IS_SEALED, row.clone(), "the row that was sealed", "another"),
            None => note(
                &mut faults.sealed,
                CORRECTION_IS_SEALED,
                row.clone(),
                "a seal of this version or an older one",
                "one that cannot be read here",
            ),
        }
        let Some(call) = stored.of else {
            note(&mut faults.adds_up, CORRECTION_ADDS_UP, row, "a call", "none that can be read");
            continue;
        };
        let cost = costs.entry(stored.call).or_insert_with(|| i128::from(call.amount));
        faults.look_at(&record, &call, *cost, prices, &row);
        *cost += i128::from(record.amount);
    }
    for (call, cost) in costs.into_iter().filter(|(_, cost)| *cost < 0) {
        note(&mut faults.costs, CALL_COSTS_SOMETHING, format!("call {call}"), "0 or more", &cost.to_string());
    }
    Ok([
        (CORRECTION_IS_SEALED, faults.sealed),
        (CORRECTION_ADDS_UP, faults.adds_up),
        (LATE_IS_ITS_RECEIPT, faults.receipt),
        (CALL_COSTS_SOMETHING, faults.costs),
    ])
}

/// What is found in the corrections, row by row.
#[derive(Default)]
struct CorrectionFaults {
    sealed: Vec<Fault>,
    adds_up: Vec<Fault>,
    receipt: Vec<Fault>,
    costs: Vec<Fault>,
}

impl CorrectionFaults {
    /// `cost` is the call's charge and the corrections before this one.
    fn look_at(&mut self, record: &CorrectionRecord, call: &CallRecord, cost: i128, prices: &HashMap<PriceId, Rates>, row: &str) {
        let paid: i128 = record.paid_by.iter().map(|share| i128::from(share.amount)).sum();
        if paid != i128::from(record.amount) {
            note(&mut self.adds_up, CORRECTION_ADDS_UP, row.to_owned(), &record.amount.to_string(), &paid.to_string());
        }
        let late = match record.late() {
            Ok(Some(late)) => late,
            Ok(None) => return,
            Err(error) => return note(&mut self.receipt, LATE_IS_ITS_RECEIPT, row.to_owned(), "a readable settlement", &error.to_string()),
        };
        // What was given back before is not given back again.
        let difference = nanos(late.amount) - i128::from(call.amount);
        let expected = if difference < 0 {
            (difference.max(-cost), nanos(late.written_off))
        } else {
            (i128::from(record.amount), difference - i128::from(record.amount) + nanos(late.written_off))
        };
        let found = (i128::from(record.amount), i128::from(record.written_off));
        if expected != found || (difference >= 0 && !(0..=difference).contains(&found.0)) {
            note(&mut self.adds_up, CORRECTION_ADDS_UP, row.to_owned(), &format!("{expected:?}"), &format!("{found:?}"));
        }
        let posted_at = record.posted_at;
        let charge = Charge { amount: late.amount, written_off: late.written_off };
        let of_it = late.clone().into_record(Vec::new(), None, posted_at);
        let recomputed = of_it.as_ref().map_err(ToString::to_string).and_then(|late| recompute(late, prices));
        let is_of_the_call = (late.account_id, late.call_id, late.key_id, late.price_id, late.discount.bps(), late.held.nanos())
            == (call.account_id, call.call_id, call.key_id, call.price_id, call.discount_bps, call.held);
        if recomputed != Ok(charge) || !is_of_the_call {
            let expected = recomputed.map_or_else(|problem| problem, in_words);
            note(&mut self.receipt, LATE_IS_ITS_RECEIPT, row.to_owned(), &format!("{expected}, on its call's terms"), &in_words(charge));
        }
        let tokens = corrections::tokens_between(&late.usage, &call.usage());
        if tokens != [record.prompt_tokens, record.completion_tokens, record.total_tokens] {
            let found = [record.prompt_tokens, record.completion_tokens, record.total_tokens];
            note(&mut self.adds_up, CORRECTION_ADDS_UP, row.to_owned(), &format!("{tokens:?}"), &format!("{found:?}"));
        }
    }
}

fn nanos(amount: Amount) -> i128 {
    i128::from(amount.nanos())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        call::{Outcome, UsageSource},
        id::{AccountId, KeyId},
        pricing::{self, Discount},
        tokens::{CallUsage, Tokens},
    };
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::SettledCall;

    fn price() -> PriceId {
        PriceId::from_uuid(Uuid::from_u128(4))
    }

    fn settled(prompt: i64, source: UsageSource) -> SettledCall {
        let id = CallId::new("2026-06-15T12:30:00Z".parse().unwrap(), [1; 10]);
        let usage = CallUsage::of_totals(Some(Tokens::from_sum(prompt)), None, None);
        let Charge { amount, written_off } = pricing::charge(&usage, &rates(), Discount::NONE, Amount::from_nanos(1_000));
        SettledCall {
            account_id: AccountId::from_uuid(Uuid::from_u128(1)),
            call_id: id,
            key_id: KeyId::from_uuid(Uuid::from_u128(3)),
            model: "small".to_owned(),
            provider: "upstream".to_owned(),
            upstream_model: None,
            stream: false,
            outcome: Outcome::Interrupted,
            source,
            usage,
            price_id: price(),
            discount: Discount::NONE,
            amount,
            held: Amount::from_nanos(1_000),
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
    fn broken(before: i128, late: &SettledCall, row: serde_json::Value) -> Vec<&'static str> {
        let call = settled(12, UsageSource::Interrupted).into_record(Vec::new(), None, "2026-06-15T12:31:00Z".parse().unwrap()).unwrap();
        let mut record = json!({
            "account_id": call.account_id, "started_at": call.started_at, "call_id": call.call_id, "correction_id": Uuid::from_u128(9),
            "kind": "late_usage", "completion_tokens": 0, "total_tokens": 0, "written_off": 0, "journal_id": Uuid::from_u128(8),
            "settlement": serde_json::to_string(late).unwrap(), "posted_at": "2026-06-15T13:00:00Z",
        });
        record.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        let record: CorrectionRecord = serde_json::from_value(record).unwrap();
        let mut faults = CorrectionFaults::default();
        faults.look_at(&record, &call, i128::from(call.amount) + before, &HashMap::from([(price(), rates())]), "it");
        [(CORRECTION_ADDS_UP, faults.adds_up), (LATE_IS_ITS_RECEIPT, faults.receipt)]
            .into_iter()
            .filter(|(_, faults)| !faults.is_empty())
            .map(|(claim, _)| claim)
            .collect()
    }

    fn row(prompt_tokens: i64, amount: i64, written_off: i64) -> serde_json::Value {
        let paid_by = if amount == 0 { json!([]) } else { json!([{ "grant_id": Uuid::from_u128(5), "amount": amount }]) };
        json!({ "prompt_tokens": prompt_tokens, "amount": amount, "written_off": written_off, "paid_by": paid_by })
    }

    #[test]
    fn late_usage_is_the_difference_to_its_call_as_far_as_there_was_credit() {
        let late = settled(700, UsageSource::Upstream);
        assert_eq!(broken(0, &late, row(688, 688, 0)), Vec::<&str>::new());
        assert_eq!(broken(0, &late, row(688, 600, 88)), Vec::<&str>::new(), "what was not there is written off");
        for wrong in [row(688, 687, 0), row(688, 689, 0), row(688, 700, -12), row(688, 0, 0), row(687, 688, 0)] {
            assert_eq!(broken(0, &late, wrong.clone()), [CORRECTION_ADDS_UP], "{wrong}");
        }
    }

    #[test]
    fn less_than_was_charged_is_given_back_but_for_what_was_before() {
        let late = settled(5, UsageSource::Upstream);
        assert_eq!(broken(0, &late, row(-7, -7, 0)), Vec::<&str>::new());
        assert_eq!(broken(-10, &late, row(-7, -2, 0)), Vec::<&str>::new());
        assert_eq!(broken(-10, &late, row(-7, -7, 0)), [CORRECTION_ADDS_UP]);
        assert_eq!(broken(0, &late, row(-7, -8, 0)), [CORRECTION_ADDS_UP]);
    }

    #[test]
    fn a_late_settlement_is_proved_like_a_call() {
        let late = settled(700, UsageSource::Upstream);
        let dearer = SettledCall { amount: Amount::from_nanos(900), ..late.clone() };
        assert_eq!(broken(0, &dearer, row(688, 888, 0)), [LATE_IS_ITS_RECEIPT]);
        let above_its_hold =
            SettledCall { amount: Amount::from_nanos(1_200), written_off: Amount::ZERO, ..settled(1_200, UsageSource::Upstream) };
        assert_eq!(broken(0, &above_its_hold, row(1_188, 1_188, 0)), [LATE_IS_ITS_RECEIPT]);
        for of_another in [
            SettledCall { key_id: KeyId::from_uuid(Uuid::from_u128(33)), ..late.clone() },
            SettledCall { held: Amount::from_nanos(2_000), ..late.clone() },
            SettledCall { price_id: PriceId::from_uuid(Uuid::from_u128(44)), ..late },
        ] {
            assert_eq!(broken(0, &of_another, row(688, 688, 0)), [LATE_IS_ITS_RECEIPT]);
        }
    }
}
