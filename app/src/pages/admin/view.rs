use chrono::{DateTime, Utc};
use domain::{
    money::Amount,
    proof::{ProofEnd, ProofRun},
    proxies::{ProxyState, Standing},
    today::{ProviderCost, Quarantine},
};
use leptos::prelude::*;

use super::page::Today;
use crate::parts::{
    figures::{Figure, figures},
    layout::{head, section, stack},
    money, time,
};

const CUSTOMERS: &str = "/admin/customers?sort=spend";
const PRICES: &str = "/admin/pricing";
const PAYMENTS: &str = "/admin/payments";
const PROOF: &str = "/admin/proof";

/// Spooled calls are posted within a moment. What waits longer than this, in seconds, is worth a look.
const LAG_MAX_SECONDS: i64 = 10;

/// The day so far: its money, and whether everything works.
pub(crate) fn today(page: &Today) -> AnyView {
    let about = format!("{}, so far. Times are UTC.", time::day(page.now));
    stack(vec![head("Today", about, ()), section("Money", money_of(page)), section("Health", health(page))])
}

fn money_of(page: &Today) -> AnyView {
    let day = &page.day;
    let (calls_before, revenue_before) = day.before;
    let cards = figures(vec![
        Figure {
            label: "Calls",
            value: money::compact(day.calls),
            exact: Some(money::grouped(day.calls)),
            note: format!("{} in all of yesterday", money::grouped(calls_before)),
            href: Some(CUSTOMERS),
            ..Figure::default()
        },
        Figure {
            href: Some(CUSTOMERS),
            ..sum("Revenue", Some(day.revenue), format!("{} in all of yesterday", money::total(revenue_before)))
        },
        Figure { href: Some(PRICES), ..sum("Provider cost", day.cost.amount, unknown(day.cost)) },
        margin(day.revenue, day.margin()),
        Figure {
            href: Some(CUSTOMERS),
            is_bad: !day.written_off.is_zero(),
            ..sum("Written off", Some(day.written_off), "beyond what was held for calls".to_owned())
        },
    ]);
    let basis = "Calls that began today and are posted. Revenue is what they were charged, from whatever credit, without the fees of plans. Provider cost \
                 is what their tokens cost at the cost prices in force as they began.";
    view! { <div>{cards}<p class="figures-basis">{basis}</p></div> }.into_any()
}

fn sum(label: &'static str, amount: Option<Amount>, note: String) -> Figure {
    let value = amount.map_or_else(|| money::ABSENT.to_owned(), money::total);
    Figure { label, value, exact: amount.map(money::exact), note, ..Figure::default() }
}

/// What is missing of the cost.
fn unknown(cost: ProviderCost) -> String {
    match cost.unknown {
        0 => "at the cost prices".to_owned(),
        1 => "without 1 call of a model that has no cost price".to_owned(),
        calls => format!("without {} calls of models that have no cost price", money::grouped(calls)),
    }
}

fn margin(revenue: Amount, margin: Option<Amount>) -> Figure {
    let share = margin.filter(|_| revenue > Amount::ZERO).map(|margin| money::share(margin.nanos(), revenue.nanos()));
    let note = share.map(|share| format!("{share} of the revenue")).unwrap_or_default();
    let is_bad = margin.is_some_and(|margin| margin < Amount::ZERO);
    Figure { href: Some(PRICES), is_bad, ..sum("Margin", margin, note) }
}

fn health(page: &Today) -> AnyView {
    figures(vec![
        unpriced(&page.unpriced),
        payments(page.payments),
        quarantine(page.day.quarantine),
        lag(&page.proxies, page.now),
        proof(page.last_proof.as_ref()),
    ])
}

fn unpriced(models: &[String]) -> Figure {
    let note = match models {
        [] => "every model has a price".to_owned(),
        [one] => format!("calls of {one} are refused"),
        [one, rest @ ..] => format!("calls of {one} and {} more are refused", rest.len()),
    };
    Figure {
        label: "Models without a price",
        value: models.len().to_string(),
        note,
        href: Some(PRICES),
        is_bad: !models.is_empty(),
        ..Figure::default()
    }
}

fn payments(waiting: i64) -> Figure {
    let note = if waiting == 0 { "none was paid and not credited" } else { "paid and not credited, or with trouble after" };
    Figure {
        label: "Payments to look at",
        value: money::grouped(waiting),
        note: note.to_owned(),
        href: Some(PAYMENTS),
        is_bad: waiting > 0,
        ..Figure::default()
    }
}

fn quarantine(quarantine: Quarantine) -> Figure {
    let note = match quarantine.since {
        Some(since) => format!("calls that the books refuse, the first since {}; the proof says why", time::minute(since)),
        None => "the books refuse no call".to_owned(),
    };
    Figure {
        label: "In quarantine",
        value: money::grouped(quarantine.calls),
        note,
        href: Some(PROOF),
        is_bad: quarantine.calls > 0,
        ..Figure::default()
    }
}

/// How long the oldest call that has ended waits to be posted, over all proxies.
fn lag(proxies: &[ProxyState], now: DateTime<Utc>) -> Figure {
    let waiting = proxies.iter().fold(0_u64, |sum, proxy| sum.saturating_add(proxy.report.unposted));
    let oldest = proxies.iter().filter_map(|proxy| proxy.report.unposted_since).min().filter(|_| waiting > 0);
    let lag = oldest.map(|since| (now - since).max(chrono::TimeDelta::zero()));
    let silent = proxies.iter().filter(|proxy| proxy.standing == Standing::Silent).count();
    let calls = if waiting == 1 { "1 call waits".to_owned() } else { format!("{} calls wait", grouped(waiting)) };
    let note = match silent {
        0 => format!("{calls} to be posted"),
        1 => format!("{calls} to be posted; 1 proxy is silent"),
        silent => format!("{calls} to be posted; {silent} proxies are silent"),
    };
    Figure {
        label: "Spool lag",
        value: lag.map_or_else(|| "none".to_owned(), |lag| time::span(lag.num_milliseconds())),
        note,
        href: Some(PROOF),
        is_bad: silent > 0 || lag.is_some_and(|lag| lag.num_seconds() > LAG_MAX_SECONDS),
        ..Figure::default()
    }
}

fn grouped(count: u64) -> String {
    money::grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

fn proof(run: Option<&ProofRun>) -> Figure {
    let (value, note, is_bad) = match run.map(|run| (&run.end, run.begun_at)) {
        None => ("never run", "run it once, and each day proves itself from then on".to_owned(), true),
        Some((ProofEnd::Running, since)) => ("running", format!("since {} UTC", time::minute(since)), false),
        Some((ProofEnd::Ended { at, proof }, _)) if proof.holds() => ("holds", format!("ended {} UTC", time::minute(*at)), false),
        Some((ProofEnd::Ended { at, proof }, _)) => {
            ("does not hold", format!("{}; ended {} UTC", disagree(proof.faults.len()), time::minute(*at)), true)
        }
        Some((ProofEnd::Failed { at, .. }, _)) => ("failed", format!("{} UTC: it says nothing of the figures", time::minute(*at)), true),
        Some((ProofEnd::Lost, since)) => ("stopped", format!("begun {} UTC: its process is gone", time::minute(since)), true),
    };
    Figure { label: "Last proof", value: value.to_owned(), note, href: Some(PROOF), is_bad, ..Figure::default() }
}

fn disagree(rows: usize) -> String {
    if rows == 1 { "1 row disagrees".to_owned() } else { format!("{rows} rows disagree") }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{
        id::EpochId,
        proof::{Fault, Proof},
        proxies::Report,
        today,
        tokens::Tokens,
    };

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-23T10:04:05Z".parse().unwrap()
    }

    fn page() -> Today {
        let day = today::Today {
            calls: 1_234_567,
            revenue: "100".parse().unwrap(),
            written_off: Amount::ZERO,
            before: (7, "0.07".parse().unwrap()),
            cost: ProviderCost { amount: Some("40".parse().unwrap()), unknown: 0 },
            quarantine: Quarantine::default(),
        };
        Today { now: now(), day, unpriced: vec![], payments: 0, proxies: vec![], last_proof: None }
    }

    fn html(page: &Today) -> String {
        Owner::new().with(|| today(page).to_html()).replace("<!>", "")
    }

    fn proxy(unposted: u64, standing: Standing) -> ProxyState {
        ProxyState {
            proxy: uuid::Uuid::nil(),
            epoch: EpochId::new(now(), [1; 10]),
            begun_at: now(),
            heard_at: now(),
            standing,
            report: Report { running: 1, unposted, unposted_since: Some(now() - chrono::TimeDelta::seconds(90)) },
            accounts: 1,
            money: Amount::ZERO,
            tokens: Tokens::ZERO,
        }
    }

    #[test]
    fn a_good_day_has_nothing_to_look_at_but_a_proof_that_was_never_run() {
        let html = html(&page());
        for text in
            ["1.2M", "1,234,567", "7 in all of yesterday", "$60.00", "60.0 % of the revenue", "every model has a price", "never run"]
        {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert_eq!(html.matches("figure-bad").count(), 1, "{html}");
        assert_eq!(html.matches("<dt><a href=\"/admin/").count(), 10, "each leads to its page: {html}");
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let mut page = page();
        page.day.cost = ProviderCost { amount: Some("140".parse().unwrap()), unknown: 2 };
        page.day.written_off = "0.5".parse().unwrap();
        page.day.quarantine = Quarantine { calls: 3, since: Some(now()) };
        page.unpriced = vec!["large".to_owned(), "small".to_owned()];
        page.proxies = vec![proxy(0, Standing::Serves), proxy(2, Standing::Silent)];
        let fault = Fault { claim: String::new(), row: String::new(), expected: String::new(), found: String::new() };
        let end = ProofEnd::Ended { at: now(), proof: Proof { faults: vec![fault], ..Proof::default() } };
        page.last_proof = Some(ProofRun { begun_at: now(), asked_by: String::new(), since: None, progress: Default::default(), end });
        let html = html(&page);
        for text in [
            "−$40.00",
            "without 2 calls of models that have no cost price",
            "calls of large and 1 more are refused",
            "2 calls wait to be posted; 1 proxy is silent",
            "1 row disagrees",
            "the first since 23 Nov 2026, 10:04",
        ] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert_eq!(html.matches("figure-bad").count(), 6, "{html}");
    }

    #[test]
    fn a_proxy_whose_spool_is_empty_lags_behind_by_nothing() {
        let figure = lag(&[proxy(0, Standing::Serves)], now());
        assert_eq!((figure.value.as_str(), figure.is_bad), ("none", false));
        let figure = lag(&[proxy(1, Standing::Serves)], now());
        assert_eq!((figure.value.as_str(), figure.is_bad, figure.note.as_str()), ("1 min 30 s", true, "1 call waits to be posted"));
    }
}
