//! How a call went, what was counted, what it was priced by, and where the books have it.

use domain::{
    call::{CallDetail, Reckoning},
    period::Step,
    service_tier::ServiceTier,
};
use leptos::prelude::*;

use super::{
    page::OneCall,
    pair::{named, pair},
    said::{project, said},
};
use crate::parts::{
    layout::{foreign, pairs, section},
    money, time,
    whose::Whose,
};

/// All that stands beside the receipt.
pub(super) fn particulars(page: &OneCall, whose: &Whose, first: &Reckoning, now: &Reckoning) -> AnyView {
    let call = &page.call;
    let row = &call.row;
    let status = match call.http_status {
        Some(status) => format!("{} (upstream answered {status})", row.outcome.label()),
        None => row.outcome.label().to_owned(),
    };
    let answered_by = now.upstream_model.clone().filter(|model| *model != row.model).map(|model| named("Answered by", &model));
    let is_of_tiers = now.service_tier != ServiceTier::Default || call.asked_tier != ServiceTier::Default;
    let tiers = [("Asked for the tier", call.asked_tier), ("Served at the tier", now.service_tier)];
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
    let posted = pair("Posted", format!("{} UTC", time::second(call.posted_at)));
    let has_tiers = [first, now].iter().any(|of| of.price_tier != ServiceTier::Default);
    let priced = priced_by(now, has_tiers).into_iter().chain([posted]).chain(in_the_journal(call)).collect();
    let mut parts = vec![
        section("How it went", pairs("pairs", how.chain(tried_first(call)).collect())),
        said(page, whose),
        section("What was counted", pairs("pairs", counted(now))),
        section("What it was priced by", pairs("pairs", priced)),
    ];
    if call.late().is_some() {
        let lines = counted(first).into_iter().chain(priced_by(first, has_tiers)).collect();
        parts.push(section("What it was posted by first", pairs("pairs", lines)));
    }
    view! { <div class="particulars">{parts}</div> }.into_any()
}

fn counted(of: &Reckoning) -> Vec<(String, AnyView)> {
    vec![
        pair("Source", of.source.label()),
        pair("Prompt tokens", money::reported(of.usage.prompt_tokens)),
        pair("Completion tokens", money::reported(of.usage.completion_tokens)),
        pair("Total tokens", money::reported(of.usage.total_tokens)),
    ]
}

/// The price, and its service tier where it is to be told apart.
fn priced_by(of: &Reckoning, has_tiers: bool) -> Vec<(String, AnyView)> {
    let tier = has_tiers.then(|| pair("Service tier", of.price_tier.label()));
    let version = [
        pair("Price in force since", format!("{} UTC", time::second(of.price_effective_from))),
        pair("Price version", of.price_id.to_string()),
    ];
    tier.into_iter().chain(version).collect()
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

#[cfg(test)]
mod tests {
    use domain::call::{Attempt, Failure};

    use super::{
        super::testing::{call, draw, html, usage},
        *,
    };

    #[test]
    fn what_was_tried_first_is_said_with_why_and_that_nobody_pays_for_it() {
        let attempt = |provider: &str, failure, http_status| Attempt { provider: provider.to_owned(), failure, http_status, took_ms: 120 };
        let attempts = vec![attempt("openai", Failure::Overloaded, Some(503)), attempt("<b>", Failure::Unreachable, None)];
        let tried = html(&CallDetail { attempts, ..call(usage(12, 34, 46), 0) }).replace("<!>", "");
        for text in ["<bdi>openai</bdi> — 503 after 120 ms; not billed", "<bdi>&lt;b&gt;</bdi> — not reached after 120 ms; not billed"]
        {
            assert!(tried.contains(text), "{text} is missing: {tried}");
        }
        assert!(!html(&call(usage(12, 34, 46), 0)).contains("Tried first"));
    }

    #[test]
    fn a_call_is_in_the_journals_usage_of_the_hour_in_which_it_was_posted() {
        let html = html(&call(usage(0, 0, 0), 0));
        assert!(html.contains("Usage of 23 Nov 2026, 10:00 to 11:00 UTC") && !html.contains("No. "), "{html}");
    }

    #[test]
    fn a_project_stands_with_the_key_where_there_are_several() {
        let call = call(usage(12, 34, 46), 0);
        let id = call.project.id;
        assert!(!html(&call).contains("Project"));
        let html = draw(&OneCall { has_projects: true, now: call.row.started_at, call });
        assert!(html.contains(&format!(r#"href="/calls?project={id}""#)) && html.contains("<bdi>Research"), "{html}");
    }
}
