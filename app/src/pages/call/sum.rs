//! What a call came to, line by line, what was changed of that since, and what it was paid from.

use domain::{
    call::{CallDetail, CorrectionKind, Reckoning},
    credit::{Quantity, Unit},
    money::{Amount, ExactAmount},
    pricing::Receipt,
};
use leptos::prelude::*;

use super::pair::pair;
use crate::parts::{
    layout::{pairs, stack},
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        table, text,
    },
    time,
};

/// What was counted, each at its price, and the fee.
pub(super) fn lines(receipt: &Receipt) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Item", Words), Column("Tokens", Figures), Column("Price per 1K", Figures), Column("Amount", Figures)];
    let fee = (!receipt.per_call.is_zero()).then(|| {
        let fee = money::exact(receipt.per_call);
        vec![text("Fee per call"), text("1 call"), text(fee.clone()), text(fee)].into()
    });
    if receipt.lines.is_empty() && fee.is_none() {
        return view! { <p class="receipt-nothing">"No tokens were counted."</p> }.into_any();
    }
    // What was not used is no line, but a receipt of nothing at all says so line by line.
    let is_nothing = receipt.lines.iter().all(|line| line.tokens.get() == 0);
    let lines = receipt.lines.iter().filter(|line| is_nothing || line.tokens.get() > 0).map(|line| {
        vec![
            text(line.bucket.label()),
            text(money::grouped(line.tokens.get())),
            text(money::exact(line.per_1k)),
            text(money::exact_line(line.amount)),
        ]
        .into()
    });
    table("receipt-lines", &COLUMNS, lines.chain(fee).collect(), None)
}

/// From what the lines come to, to what is charged.
pub(super) fn sum(of: &Reckoning) -> AnyView {
    let receipt = &of.receipt;
    let mut steps = Vec::new();
    if receipt.discount.bps() > 0 {
        let off = ExactAmount::from_parts(receipt.exact.parts() - receipt.subtotal.parts());
        steps.push(pair("Subtotal", money::exact_line(receipt.subtotal)));
        steps.push(pair(format!("Discount {}", percent(receipt.discount.bps())), money::exact_line(off)));
    }
    let rounding = i128::from(receipt.amount.nanos()) * ExactAmount::PARTS_PER_NANO - receipt.exact.parts();
    if rounding != 0 {
        steps.push(pair("Rounding to nine decimals", money::exact_line(ExactAmount::from_parts(rounding))));
    }
    if !of.written_off.is_zero() {
        steps.push(pair("Price", money::exact(receipt.amount)));
        steps.push(pair("More than was held, not charged", format!("−{}", money::exact(of.written_off))));
    }
    if let Some(tokens) = of.tokens {
        steps.push(pair("Price", money::exact(receipt.amount)));
        steps.push(pair(
            format!("Paid with {}", money::tokens(tokens.get())),
            money::movement(Amount::ZERO.checked_sub(receipt.amount).unwrap_or_default()),
        ));
    }
    stack(vec![pairs("receipt-sum", steps), pairs("receipt-sum receipt-total", vec![pair("Total", money::exact(of.amount))])])
}

/// What is below the total: who paid, and what was changed since. What was settled late shows what was posted first as a receipt of its own, since the
/// figures above are not those by which it was paid then.
pub(super) fn since(call: &CallDetail, first: &Reckoning) -> AnyView {
    if call.late().is_none() {
        return stack(vec![corrections(call), paid(call)]);
    }
    stack(vec![corrections(call), view! { <h2>"As it was posted first"</h2> }.into_any(), lines(&first.receipt), sum(first), paid(call)])
}

/// What was changed after the call was posted, line by line, and what it costs by now.
fn corrections(call: &CallDetail) -> AnyView {
    if call.corrections.is_empty() {
        return ().into_any();
    }
    let first = call.late().map(|_| pair(format!("Posted first, {}", time::day(call.posted_at)), in_its_unit(call, call.paid())));
    let lines = call.corrections.iter().flat_map(|correction| {
        let day = time::day(correction.posted_at);
        let why = match correction.kind {
            CorrectionKind::LateUsage => format!("Late usage, {day}"),
            CorrectionKind::Credit => format!("Given back, {day}: {}", correction.memo),
            CorrectionKind::Reprice => format!("Charged anew, {day}: {}", correction.memo),
        };
        // What exceeds the hold stands above the total already.
        let above = correction.late.as_ref().map_or(Amount::ZERO, |late| late.written_off);
        let not_there = correction.written_off.checked_sub(above).unwrap_or_default();
        let not_there = (!not_there.is_zero()).then(|| pair("More than was left of the credit, not charged", money::exact(not_there)));
        let changed = correction.tokens_paid.map_or_else(|| money::movement(correction.amount), money::tokens_moved);
        std::iter::once(pair(why, changed)).chain(not_there)
    });
    stack(vec![
        pairs("receipt-sum", first.into_iter().chain(lines).collect()),
        pairs("receipt-sum receipt-total", vec![pair("Cost by now", in_its_unit(call, call.cost()))]),
    ])
}

/// Every digit of what was paid, held or given back.
fn in_its_unit(call: &CallDetail, quantity: Quantity) -> String {
    match call.paid_in() {
        Unit::Tokens => money::tokens(quantity.get()),
        Unit::Money | Unit::Requests => money::exact(Amount::from_nanos(quantity.get())),
    }
}

/// What paid, what was held for it, and what of that went back.
fn paid(call: &CallDetail) -> AnyView {
    let held = if call.paid_in() == Unit::Tokens { Quantity::from(call.tokens_held) } else { Quantity::from(call.held) };
    let given_back = held.checked_sub(call.paid()).filter(|rest| *rest > Quantity::ZERO);
    let paid = call.paid_by.iter().map(|share| pair(format!("Paid from: {}", share.kind.label()), in_its_unit(call, share.quantity)));
    let held = std::iter::once(pair("Held while it ran", in_its_unit(call, held)));
    let given_back = given_back.map(|rest| pair("Given back at its end", in_its_unit(call, rest)));
    pairs("receipt-sum receipt-paid", paid.chain(held).chain(given_back).collect())
}

/// Basis points in per cent: `2.5 %`.
fn percent(bps: i32) -> String {
    let text = format!("{}.{:02}", bps / 100, bps % 100);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        billing::{GrantKind, PostingNumber},
        call::{CallRow, Corrected, Correction, Outcome, PaidBy, UsageSource},
        id::PriceId,
        pricing::{Discount, price},
        rates::Rates,
        service_tier::ServiceTier,
        tokens::Tokens,
    };

    use super::{
        super::testing::{call, html, usage},
        *,
    };

    #[test]
    fn a_call_that_was_paid_in_tokens_says_what_it_would_have_cost() {
        let mut call = call(usage(1_200, 34, 1_234), 0);
        let price = call.receipt.amount;
        (call.row.amount, call.row.tokens_paid) = (Amount::ZERO, Some(Tokens::from_sum(1_234)));
        call.paid_by = vec![PaidBy { kind: GrantKind::Package, quantity: Quantity::from_count(1_234), ..call.paid_by[0].clone() }];
        let drawn = html(&call);
        let price = money::exact(price);
        for text in ["Paid with 1,234 tokens", &format!("−{price}"), "$0.00", "Paid from: Package", "4,000 tokens", "2,766 tokens"] {
            assert!(drawn.contains(text), "{text} is missing: {drawn}");
        }
        assert!(!drawn.contains("0.0014"), "what was held is tokens: {drawn}");
        assert!(!drawn.contains("more than the tokens that were held"), "{drawn}");
        let held = CallDetail {
            tokens_held: Tokens::from_sum(1_000),
            row: CallRow { tokens_paid: Some(Tokens::from_sum(1_000)), ..call.row.clone() },
            ..call.clone()
        };
        assert!(html(&held).contains("more than the tokens that were held"), "{}", html(&held));
        let late = Correction { amount: Amount::ZERO, tokens_paid: Some(-34), ..correction(&call) };
        let drawn = html(&CallDetail { corrections: vec![late], ..call });
        assert!(drawn.contains("−34 tokens") && drawn.contains("1,200 tokens"), "{drawn}");
    }

    #[test]
    fn a_discount_and_a_rounding_are_lines_of_their_own() {
        let html = html(&call(usage(1, 0, 1), 3_333));
        assert!(html.contains("Discount 33.33 %") && html.contains("Rounding to nine decimals"));
    }

    #[test]
    fn what_was_not_used_is_no_line() {
        let some = html(&call(usage(12, 0, 12), 0));
        assert!(some.contains(r#"<th scope="row">Prompt tokens"#) && !some.contains(r#"<th scope="row">Completion tokens"#), "{some}");
        let nothing = html(&call(usage(0, 0, 0), 0));
        assert!(nothing.contains(r#"<th scope="row">Prompt tokens"#) && nothing.contains(r#"<th scope="row">Completion tokens"#));
        let mut failed = call(usage(0, 0, 0), 0);
        failed.receipt.lines.clear();
        let failed = html(&failed);
        assert!(failed.contains("No tokens were counted.") && !failed.contains("<table"), "{failed}");
    }

    #[test]
    fn what_was_changed_since_is_below_the_total_with_its_reason() {
        let mut call = call(usage(12, 34, 46), 0);
        call.row.corrected = Some(Corrected { amount: "-0.00002".parse().unwrap(), ..Corrected::default() });
        call.corrections = vec![correction(&call)];
        let html = html(&call);
        for text in ["$0.0000222", "Given back, 23 Nov 2026: An apology", "−$0.00002", "Cost by now", "$0.0000022", "No. 12"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
    }

    #[test]
    fn what_was_settled_late_is_priced_by_what_served_it_and_shows_what_it_was_first() {
        let mut call = call(usage(12, 0, 12), 0);
        (call.row.source, call.row.outcome, call.raw_usage) = (UsageSource::Interrupted, Outcome::Interrupted, None);
        let (first, half) = (call.row.amount, Rates::plain("0.000075".parse().unwrap(), "0.0003".parse().unwrap()));
        let late = usage(1_012, 2_034, 3_046);
        let receipt = price(&late, &half, Discount::NONE).unwrap();
        let price_id = PriceId::new(call.row.started_at, [9; 10]);
        let late = Reckoning {
            source: UsageSource::Upstream,
            usage: late,
            amount: "0.0006".parse().unwrap(),
            written_off: "0.0000861".parse().unwrap(),
            receipt,
            price_id,
            price_tier: ServiceTier::Flex,
            service_tier: ServiceTier::Flex,
            raw_usage: Some("late and raw".to_owned()),
            ..call.first()
        };
        let corrected: Amount = "0.0004".parse().unwrap();
        let total = late.amount;
        let short = total.checked_sub(first).and_then(|rest| rest.checked_sub(corrected)).unwrap();
        let written_off = late.written_off.checked_add(short).unwrap();
        let kind = CorrectionKind::LateUsage;
        call.row.corrected = Some(Corrected { amount: corrected, ..Corrected::default() });
        call.corrections = vec![Correction { kind, late: Some(late), amount: corrected, written_off, ..correction(&call) }];
        call.corrections.push(correction(&call));
        let drawn = html(&call);
        let (now, then) = drawn.split_once("As it was posted first").unwrap();
        // What it comes to now: 1,012 tokens at half, and 2,034 at half.
        for figure in ["1,012", "$0.000075", "$0.0000759", "2,034", "$0.0003", "$0.0006102", "$0.0006861", "−$0.0000861", "$0.0006"] {
            assert!(now.contains(figure), "{figure} is missing: {now}");
        }
        for text in
            ["Posted first, 23 Nov 2026", &money::exact(first), "Late usage", "$0.0004", &money::exact(short), "Given back", "Cost by now"]
        {
            assert!(now.contains(text), "{text} is missing: {now}");
        }
        // What it was: 12 tokens at the whole price, and what was held and paid of it.
        let (sheet, particulars) = then.split_once("</article>").unwrap();
        for figure in ["$0.00015", &money::exact(first), "Paid from: Prepaid balance", "Held while it ran"] {
            assert!(sheet.contains(figure), "{figure} is missing: {sheet}");
        }
        assert!(!now.contains("$0.00015<") && !sheet.contains("1,012"), "{drawn}");
        for text in ["Served at the tier", "Flex", "reported by the upstream", "What it was posted by first", "late and raw"] {
            assert!(particulars.contains(text), "{text} is missing: {particulars}");
        }
        let (by_now, by_first) = particulars.split_once("What it was posted by first").unwrap();
        assert!(by_now.contains(&price_id.to_string()) && !by_now.contains(&call.price_id.to_string()), "{by_now}");
        assert!(by_first.contains("Service tier<!></dt><dd>Default") && by_now.contains("Service tier<!></dt><dd>Flex"), "{particulars}");
        assert!(by_first.contains(&call.price_id.to_string()) && by_first.contains("the call was interrupted"), "{by_first}");
        assert!(!drawn.contains("The tokens are an estimate") && drawn.contains("1,012 prompt and 2,034 completion"), "{drawn}");
    }

    fn correction(call: &CallDetail) -> Correction {
        Correction {
            posting: PostingNumber::from_count(12),
            kind: CorrectionKind::Credit,
            late: None,
            amount: "-0.00002".parse().unwrap(),
            tokens_paid: None,
            written_off: Amount::ZERO,
            memo: "An apology".to_owned(),
            actor: "command line".to_owned(),
            posted_at: call.posted_at,
        }
    }

    #[test]
    fn a_discount_is_written_in_per_cent() {
        assert_eq!([percent(250), percent(1_000), percent(5)], ["2.5 %", "10 %", "0.05 %"]);
    }
}
