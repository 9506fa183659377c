use domain::{
    call::{CallDetail, CorrectionKind},
    credit::{Quantity, Unit},
    money::{Amount, ExactAmount},
    period::Step,
    pricing::Receipt,
    service_tier::ServiceTier,
};
use leptos::prelude::*;

use super::{
    page::OneCall,
    remarks::remarks,
    said::{project, said},
};
use crate::parts::{
    layout::{foreign, head, pairs, section, stack},
    money,
    table::{
        Column,
        Kind::{Figures, Words},
        link, table, text,
    },
    time,
    whose::Whose,
};

/// A receipt: everything that the charge rests on, so that anyone can reach the same figure.
pub(crate) fn receipt(page: &OneCall, whose: &Whose) -> AnyView {
    let call = &page.call;
    let sheet = view! {
        <div class="receipt-page">
            <article class="receipt" aria-label="Receipt">{stack(vec![heading(call), lines(&call.receipt), sum(call), paid(call)])}</article>
            {particulars(page, whose)}
        </div>
    };
    stack(vec![head("Receipt", link(whose.at("/calls"), "All calls"), ()), remarks(call), sheet.into_any(), raw(call)])
}

fn heading(call: &CallDetail) -> AnyView {
    view! {
        <header class="receipt-head">
            <p class="receipt-name">"Farebox"</p>
            <p>{foreign(&call.row.model)}</p>
            <p>{time::time_view(call.row.started_at, format!("{} UTC", time::second(call.row.started_at)))}</p>
            <p class="receipt-id">{call.row.id.to_string()}</p>
        </header>
    }
    .into_any()
}

fn lines(receipt: &Receipt) -> AnyView {
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

fn sum(call: &CallDetail) -> AnyView {
    let receipt = &call.receipt;
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
    if !call.written_off.is_zero() {
        steps.push(pair("Price", money::exact(receipt.amount)));
        steps.push(pair("More than was held, not charged", format!("−{}", money::exact(call.written_off))));
    }
    if let Some(tokens) = call.row.tokens_paid {
        steps.push(pair("Price", money::exact(receipt.amount)));
        steps.push(pair(
            format!("Paid with {}", money::tokens(tokens.get())),
            money::movement(Amount::ZERO.checked_sub(receipt.amount).unwrap_or_default()),
        ));
    }
    stack(vec![
        pairs("receipt-sum", steps),
        pairs("receipt-sum receipt-total", vec![pair("Total", money::exact(call.row.amount))]),
        corrections(call),
    ])
}

/// What was changed after the call was posted, line by line, and what it costs by now.
fn corrections(call: &CallDetail) -> AnyView {
    if call.corrections.is_empty() {
        return ().into_any();
    }
    let lines = call.corrections.iter().flat_map(|correction| {
        let day = time::day(correction.posted_at);
        let why = match correction.kind {
            CorrectionKind::LateUsage => format!("Late usage, {day}"),
            CorrectionKind::Credit => format!("Given back, {day}: {}", correction.memo),
            CorrectionKind::Reprice => format!("Charged anew, {day}: {}", correction.memo),
        };
        let written_off = (!correction.written_off.is_zero())
            .then(|| pair("More than was left of the credit, not charged", money::exact(correction.written_off)));
        let changed = correction.tokens_paid.map_or_else(|| money::movement(correction.amount), money::tokens_moved);
        std::iter::once(pair(why, changed)).chain(written_off)
    });
    stack(vec![
        pairs("receipt-sum", lines.collect()),
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

fn paid(call: &CallDetail) -> AnyView {
    let held = if call.paid_in() == Unit::Tokens { Quantity::from(call.tokens_held) } else { Quantity::from(call.held) };
    let given_back = held.checked_sub(call.paid()).filter(|rest| *rest > Quantity::ZERO);
    let paid = call.paid_by.iter().map(|share| pair(format!("Paid from: {}", share.kind.label()), in_its_unit(call, share.quantity)));
    let held = std::iter::once(pair("Held while it ran", in_its_unit(call, held)));
    let given_back = given_back.map(|rest| pair("Given back at its end", in_its_unit(call, rest)));
    pairs("receipt-sum receipt-paid", paid.chain(held).chain(given_back).collect())
}

fn pair(name: impl Into<String>, value: impl Into<String>) -> (String, AnyView) {
    (name.into(), text(value))
}

/// A name that somebody chose.
fn named(what: impl Into<String>, name: &str) -> (String, AnyView) {
    (what.into(), foreign(name))
}

fn particulars(page: &OneCall, whose: &Whose) -> AnyView {
    let call = &page.call;
    let (row, usage) = (&call.row, &call.row.usage);
    let status = match call.http_status {
        Some(status) => format!("{} (upstream answered {status})", row.outcome.label()),
        None => row.outcome.label().to_owned(),
    };
    let answered_by = call.upstream_model.clone().filter(|model| *model != row.model).map(|model| named("Answered by", &model));
    let is_of_tiers = call.service_tier != ServiceTier::Default || call.asked_tier != ServiceTier::Default;
    let tiers = [("Asked for the tier", call.asked_tier), ("Served at the tier", call.service_tier)];
    let tiers = tiers.into_iter().filter(|_| is_of_tiers).map(|(what, tier)| pair(what, tier.label()));
    let first_byte = row.first_byte_ms.map(|span| pair("Time to first byte", time::span(span)));
    let how = [pair("Status", status), named("Key", &row.key_name)]
        .into_iter()
        .chain(project(page, whose))
        .chain([named("Provider", &call.provider)])
        .chain(answered_by)
        .chain([pair("Streaming", if row.stream { "Yes" } else { "No" }), pair("Latency", time::span(row.latency_ms))])
        .chain(first_byte)
        .chain(tiers);
    let counted = vec![
        pair("Source", row.source.label()),
        pair("Prompt tokens", money::reported(usage.prompt_tokens)),
        pair("Completion tokens", money::reported(usage.completion_tokens)),
        pair("Total tokens", money::reported(usage.total_tokens)),
    ];
    let tier = (call.price_tier != ServiceTier::Default).then(|| pair("Service tier", call.price_tier.label()));
    let priced = [
        pair("Price in force since", format!("{} UTC", time::second(call.price_effective_from))),
        pair("Price version", call.price_id.to_string()),
        pair("Posted", format!("{} UTC", time::second(call.posted_at))),
    ];
    let parts = vec![
        section("How it went", pairs("pairs", how.chain(tried_first(call)).collect())),
        said(page, whose),
        section("What was counted", pairs("pairs", counted)),
        section("What it was priced by", pairs("pairs", tier.into_iter().chain(priced).chain(in_the_journal(call)).collect())),
    ];
    view! { <div class="particulars">{parts}</div> }.into_any()
}

/// The providers that were asked before the one that answered: nobody pays for what they did not do.
fn tried_first(call: &CallDetail) -> impl Iterator<Item = (String, AnyView)> {
    call.attempts.iter().map(|attempt| {
        let rest = format!(" — {} after {}; not billed", attempt.what(), time::span(attempt.took_ms));
        ("Tried first".to_owned(), view! { {foreign(&attempt.provider)}{rest} }.into_any())
    })
}

/// Where the books have it: in the usage of an hour, and each correction in a posting of its own.
fn in_the_journal(call: &CallDetail) -> impl Iterator<Item = (String, AnyView)> {
    let hour = Step::Hour.floor(call.posted_at);
    // Until its hour has ended the books have no posting of it.
    let when = if call.hour_is_open { ": posted when it has ended" } else { "" };
    let usage = pair("In the journal", format!("Usage of {}, {} UTC{when}", time::day(hour), time::hour(hour)));
    let corrections = call
        .corrections
        .iter()
        .map(|correction| pair(format!("{} in the journal", correction.kind.label()), format!("No. {}", correction.posting)));
    std::iter::once(usage).chain(corrections)
}

fn raw(call: &CallDetail) -> AnyView {
    let Some(raw) = call.raw_usage.clone() else { return ().into_any() };
    view! {
        <section>
            <h2 id="raw">"What the upstream sent"</h2>
            <p>"Its usage object, byte for byte."</p>
            <pre class="raw" tabindex="0" role="region" aria-labelledby="raw">{raw}</pre>
        </section>
    }
    .into_any()
}

/// Basis points in per cent: `2.5 %`.
fn percent(bps: i32) -> String {
    let text = format!("{}.{:02}", bps / 100, bps % 100);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::TimeDelta;
    use domain::{
        account::Project,
        attribution::Attribution,
        billing::{GrantKind, PostingNumber},
        call::{Attempt, CallRow, Corrected, Correction, Failure, Outcome, PaidBy, UsageSource},
        id::{CallId, GrantId, KeyId, PriceId, ProjectId},
        pricing::{Discount, Excess, price},
        rates::Rates,
        tokens::{CallUsage, Flag, Tokens},
    };

    use super::*;

    fn call(usage: CallUsage, discount: i32) -> CallDetail {
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

    fn usage(prompt: i64, completion: i64, total: i64) -> CallUsage {
        CallUsage::of_totals(Some(Tokens::from_sum(prompt)), Some(Tokens::from_sum(completion)), Some(Tokens::from_sum(total)))
    }

    fn draw(page: &OneCall) -> String {
        Owner::new().with(|| receipt(page, &Whose::Own).to_html())
    }

    fn html(call: &CallDetail) -> String {
        draw(&OneCall { call: call.clone(), has_projects: false, now: call.row.started_at })
    }

    /// A call of which its client said everything that it can.
    fn said() -> CallDetail {
        let mut attribution = Attribution {
            end_user: "user & 17".parse().ok(),
            session: "s-1".parse().ok(),
            client: "curl 8".parse().ok(),
            ..Attribution::default()
        };
        attribution.tags.insert("team", "search").unwrap();
        attribution.tags.insert("env", "<b>").unwrap();
        CallDetail { attribution, ..call(usage(12, 34, 46), 0) }
    }

    #[test]
    fn a_receipt_shows_every_factor_and_every_digit_of_its_sum() {
        let html = html(&call(usage(12, 34, 46), 0));
        for figure in ["$0.00015", "$0.0000018", "$0.0006", "$0.0000204", "$0.0000222", "$0.0014", "$0.0013778", "demo-mini-2026", "1.24 s"]
        {
            assert!(html.contains(figure), "{figure} is missing");
        }
        assert!(!html.contains("Discount") && !html.contains("Rounding"));
    }

    #[test]
    fn what_was_tried_first_is_said_with_why_and_that_nobody_pays_for_it() {
        let attempt = |provider: &str, failure, http_status| Attempt { provider: provider.to_owned(), failure, http_status, took_ms: 120 };
        let attempts = vec![attempt("openai", Failure::Overloaded, Some(503)), attempt("<b>", Failure::Unreachable, None)];
        let html = html(&CallDetail { attempts, ..call(usage(12, 34, 46), 0) }).replace("<!>", "");
        for text in ["<bdi>openai</bdi> — 503 after 120 ms; not billed", "<bdi>&lt;b&gt;</bdi> — not reached after 120 ms; not billed"]
        {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert!(!super::tests::html(&call(usage(12, 34, 46), 0)).contains("Tried first"));
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
    fn numbers_that_disagree_are_explained_in_words() {
        let flagged = html(&call(CallUsage { flag: Some(Flag::Contradictory), ..usage(7, 3, 20) }, 0));
        assert!(flagged.contains("contradict each other") && flagged.contains("holds 10 tokens"));
    }

    #[test]
    fn what_exceeds_the_hold_is_shown_and_not_charged() {
        let mut call = call(usage(12_000, 34, 12_034).within(Tokens::from_sum(8_000), Tokens::from_sum(34)), 0);
        (call.row.amount, call.written_off) = (call.held, call.receipt.amount.checked_sub(call.held).unwrap());
        let html = html(&call);
        for figure in ["more tokens than this call can have used", "$0.0018204", "−$0.0004204", "$0.0014"] {
            assert!(html.contains(figure), "{figure} is missing");
        }
        assert!(!html.contains("Given back") && !html.contains("A call never costs more"), "{html}");
    }

    #[test]
    fn what_is_charged_or_not_beyond_the_hold_is_explained_by_the_terms_of_the_account() {
        const STRICT: &str = "A call never costs more than that.";
        const LENIENT: &str = "This account pays what its calls came to.";
        let dear = call(usage(12_000, 34, 12_034), 0);
        let lenient = html(&CallDetail { excess: Excess::Charged, ..dear.clone() });
        assert!(lenient.contains(LENIENT) && !lenient.contains(STRICT) && !lenient.contains("not charged"), "{lenient}");
        let below_its_hold = html(&CallDetail { excess: Excess::Charged, ..call(usage(12, 34, 46), 0) });
        assert!(!below_its_hold.contains(LENIENT), "{below_its_hold}");

        let capped = |mut call: CallDetail| {
            (call.row.amount, call.written_off) = (call.held, call.receipt.amount.checked_sub(call.held).unwrap());
            html(&call)
        };
        let strict = capped(dear);
        assert!(strict.contains(STRICT) && !strict.contains(LENIENT), "{strict}");
        let flagged = call(CallUsage { flag: Some(Flag::Contradictory), ..usage(12_000, 34, 12_000) }, 0);
        let flagged = capped(CallDetail { excess: Excess::Charged, ..flagged });
        assert!(flagged.contains("no more than that is charged") && !flagged.contains(STRICT) && !flagged.contains(LENIENT), "{flagged}");
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

    fn correction(call: &CallDetail) -> Correction {
        Correction {
            posting: PostingNumber::from_count(12),
            kind: CorrectionKind::Credit,
            usage: None,
            amount: "-0.00002".parse().unwrap(),
            tokens_paid: None,
            written_off: Amount::ZERO,
            memo: "An apology".to_owned(),
            actor: "command line".to_owned(),
            posted_at: call.posted_at,
        }
    }

    #[test]
    fn a_call_is_in_the_journals_usage_of_the_hour_in_which_it_was_posted() {
        let html = html(&call(usage(0, 0, 0), 0));
        assert!(html.contains("Usage of 23 Nov 2026, 10:00 to 11:00 UTC") && !html.contains("No. "), "{html}");
    }

    #[test]
    fn what_its_client_said_leads_to_the_calls_of_which_it_said_the_same() {
        let html = html(&said());
        for (words, query) in [
            ("<bdi>curl 8</bdi>", "client=curl+8"),
            ("<bdi>user &amp; 17</bdi>", "user=user+%26+17"),
            ("<bdi>s-1</bdi>", "session=s-1"),
            ("<bdi>team</bdi>: <bdi>search</bdi>", "tag=team&amp;value=search"),
            ("<bdi>env</bdi>: <bdi>&lt;b&gt;</bdi>", "tag=env&amp;value=%3Cb%3E"),
        ] {
            let link = html.split("<a ").find(|link| link.contains(&format!(r#"href="/calls?{query}""#)));
            let seen = link.unwrap_or_else(|| panic!("{query} is missing: {html}")).replace("<!>", "");
            assert!(seen.contains(words), "{words} is missing: {html}");
        }
        assert!(html.contains("What the client said") && html.contains("the gateway checks none of it"), "{html}");
    }

    #[test]
    fn where_nothing_was_said_nothing_is_said_of_it() {
        let html = html(&call(usage(12, 34, 46), 0));
        assert!(!html.contains("What the client said") && !html.contains("/calls?"), "{html}");
    }

    #[test]
    fn a_project_stands_with_the_key_where_there_are_several() {
        let call = call(usage(12, 34, 46), 0);
        let id = call.project.id;
        assert!(!html(&call).contains("Project"));
        let html = draw(&OneCall { has_projects: true, now: call.row.started_at, call });
        assert!(html.contains(&format!(r#"href="/calls?project={id}""#)) && html.contains("<bdi>Research"), "{html}");
    }

    #[test]
    fn an_old_call_leads_to_those_of_its_day() {
        let call = said();
        let after = |days| {
            let now = call.row.started_at + TimeDelta::days(days);
            draw(&OneCall { call: call.clone(), has_projects: true, now })
        };
        assert!(!after(29).contains("range="), "{}", after(29));
        let old = after(30);
        assert_eq!(old.matches("/calls?range=custom&amp;from=2026-11-23&amp;to=2026-11-23&amp;").count(), 6, "{old}");
    }

    #[test]
    fn a_discount_is_written_in_per_cent() {
        assert_eq!([percent(250), percent(1_000), percent(5)], ["2.5 %", "10 %", "0.05 %"]);
    }
}
