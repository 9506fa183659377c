//! A call, and its page as it is drawn.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use domain::{
    account::Project,
    attribution::Attribution,
    billing::GrantKind,
    call::{CallDetail, CallRow, Outcome, PaidBy, UsageSource},
    id::{CallId, GrantId, KeyId, PriceId, ProjectId},
    money::Amount,
    pricing::{Discount, Excess, price},
    rates::Rates,
    service_tier::ServiceTier,
    tokens::{CallUsage, Tokens},
};
use leptos::prelude::*;

use super::{page::OneCall, view::receipt};
use crate::parts::whose::Whose;

pub(super) fn call(usage: CallUsage, discount: i32) -> CallDetail {
    let id = CallId::new("2026-11-23T10:04:05Z".parse().unwrap(), [7; 10]);
    let started_at = id.started_at().unwrap();
    let rates = Rates::plain("0.00015".parse().unwrap(), "0.0006".parse().unwrap());
    let receipt = price(&usage, &rates, Discount::from_bps(discount).unwrap()).unwrap();
    let row = CallRow {
        id,
        started_at,
        key_id: KeyId::new(started_at, [1; 10]),
        key_name: "prod".to_owned(),
        model: "demo-mini".to_owned(),
        stream: true,
        outcome: Outcome::Ok,
        source: UsageSource::Upstream,
        usage,
        amount: receipt.amount,
        tokens_paid: None,
        corrected: None,
        latency_ms: 1_240,
        first_byte_ms: Some(90),
    };
    CallDetail {
        paid_by: vec![PaidBy { grant: GrantId::new(started_at, [2; 10]), kind: GrantKind::Wallet, quantity: receipt.amount.into() }],
        row,
        project: Project { id: ProjectId::new(started_at, [4; 10]), name: "Research".to_owned(), created_at: started_at },
        attribution: Attribution::default(),
        provider: "demo".to_owned(),
        attempts: vec![],
        upstream_model: Some("demo-mini-2026".to_owned()),
        http_status: Some(200),
        receipt,
        price_id: PriceId::new(started_at, [3; 10]),
        price_effective_from: started_at,
        price_tier: ServiceTier::Default,
        service_tier: ServiceTier::Default,
        asked_tier: ServiceTier::Default,
        held: "0.0014".parse().unwrap(),
        tokens_held: Tokens::from_sum(4_000),
        excess: Excess::WrittenOff,
        written_off: Amount::ZERO,
        posted_at: started_at,
        hour_is_open: false,
        raw_usage: Some(r#"{"prompt_tokens": 12}"#.to_owned()),
        corrections: vec![],
    }
}

pub(super) fn usage(prompt: i64, completion: i64, total: i64) -> CallUsage {
    CallUsage::of_totals(Some(Tokens::from_sum(prompt)), Some(Tokens::from_sum(completion)), Some(Tokens::from_sum(total)))
}

pub(super) fn draw(page: &OneCall) -> String {
    Owner::new().with(|| receipt(page, &Whose::Own).to_html())
}

pub(super) fn html(call: &CallDetail) -> String {
    draw(&OneCall { call: call.clone(), has_projects: false, now: call.row.started_at })
}
