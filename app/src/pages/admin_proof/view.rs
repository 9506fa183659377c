use chrono::{DateTime, Utc};
use domain::{
    period::start_of,
    proof::{Check, Fault, NAMED_MAX, Progress, Proof, ProofEnd, ProofRun, SealedDay},
    proxies::{ProxyState, Report, Standing},
};
use leptos::prelude::*;

use super::page::ProofPage;
use crate::parts::{
    again,
    copy::copy_button,
    form::{Tone, notice},
    layout::{empty, head, section, stack},
    money,
    table::{
        Column,
        Kind::{Action, Figures, Words},
        table, text,
    },
    time,
};

/// How the last run of the proof ended, and what seals the books of each day.
pub(crate) fn proof(page: &ProofPage) -> AnyView {
    let ProofPage { last, whole, already, sealed, proxies, form } = page;
    let about = "Every figure is recomputed from the raw rows, account by account; what disagrees is named. Times are UTC.";
    let run = match last {
        Some(run) => last_run(run, *already),
        None => never_run(),
    };
    let whole = whole.as_ref().and_then(last_of_everything);
    let sections = [section("Proxies", proxies_table(proxies)), section("Sealed days", sealed_days(sealed))];
    let before = [head("Proof", about, ()), form.problem_view(), run, whole.into_any()];
    stack(before.into_iter().chain(sections).collect())
}

/// Beside a run that covers the last days alone: what the last one of everything said.
fn last_of_everything(run: &ProofRun) -> Option<AnyView> {
    let ProofEnd::Ended { at, proof } = &run.end else { return None };
    let found = if proof.holds() { "every figure held".to_owned() } else { disagree(proof.faults.len()) };
    let words = format!("Everything was last proved {} UTC: {found}.", time::second(*at));
    Some(view! { <p class="subtitle">{words}</p> }.into_any())
}

fn never_run() -> AnyView {
    let words = "The proof has not been run yet. It reads every row while calls go on, changes none of them, and says which figures \
                 disagree with the rows that they follow from.";
    stack(vec![empty(words, ()), run_now()])
}

fn last_run(run: &ProofRun, already: bool) -> AnyView {
    match &run.end {
        ProofEnd::Running => running(run, already),
        ProofEnd::Ended { at, proof } => {
            stack(vec![verdict(run, *at, proof), run_now(), disagreeing(proof), section("What was checked", claims_table(&proof.checks))])
        }
        ProofEnd::Failed { at, why } => {
            let (at, why) = (time::second(*at), why.trim_end_matches('.'));
            without_verdict(run, &format!("The last run failed {at} UTC: {why}"))
        }
        ProofEnd::Lost => {
            without_verdict(run, &format!("The last run stopped, and its process is gone. It had come so far: {}", how_far(run.progress)))
        }
    }
}

fn run_now() -> AnyView {
    view! { <form method="post" action="/admin/proof"><button class="primary">"Run it now"</button></form> }.into_any()
}

/// How far it is. The page asks again by itself where a script runs; everywhere, a link does.
fn running(run: &ProofRun, already: bool) -> AnyView {
    again::soon();
    let already = if already { "One is running already; no second one was begun. " } else { "" };
    let words = format!("{already}Running: {}. {}", how_far(run.progress), origin(run));
    // `external`: the router sees nothing to do for the address that is shown.
    let look = view! { <p><a class="button" href="/admin/proof" rel="external">"Look again"</a></p> };
    stack(vec![notice(Tone::Plain, words), look.into_any()])
}

fn how_far(progress: Progress) -> String {
    let Progress { accounts, done, calls } = progress;
    if accounts == 0 {
        return "it has just begun".to_owned();
    }
    format!("{} of {}, {}", grouped(done), count(accounts, "account"), count(calls, "call"))
}

fn verdict(run: &ProofRun, at: DateTime<Utc>, proof: &Proof) -> AnyView {
    let took = time::span((at - run.begun_at).num_milliseconds().max(0));
    let (accounts, calls) = (count(proof.accounts, "account"), count(proof.calls, "call"));
    let extent = format!("{accounts} and {calls}, in {took}, ended {} UTC", time::second(at));
    let origin = origin(run);
    if proof.holds() {
        let what = if run.since.is_some() { "Every figure that it covers" } else { "Every figure" };
        return notice(Tone::Good, format!("{what} holds: {extent}. {origin}"));
    }
    let least = if proof.checks.iter().any(is_cut) { "At least " } else { "" };
    let rows = disagree(proof.faults.len());
    let advice = "Each is named below, and nothing was changed. Find out what wrote them before any is put right: a backup of an earlier \
                  day says what they were.";
    notice(Tone::Bad, format!("{least}{rows}, among {extent}. {advice} {origin}"))
}

/// A run without a result: what happened, and what to do.
fn without_verdict(run: &ProofRun, what: &str) -> AnyView {
    let words = format!("{what}. That says nothing about the figures, and nothing was changed: run it again. {}", origin(run));
    stack(vec![notice(Tone::Bad, words), run_now()])
}

/// Who began it, and what it covers.
fn origin(run: &ProofRun) -> String {
    let begun = time::second(run.begun_at);
    let who = if run.asked_by.is_empty() { "Farebox began it by itself" } else { &format!("{} began it", run.asked_by) };
    match run.since {
        Some(day) => format!("{who} {begun} UTC: it covers what was posted from {} on.", time::day(start_of(day))),
        None => format!("{who} {begun} UTC: it covers everything."),
    }
}

fn disagreeing(proof: &Proof) -> AnyView {
    const COLUMNS: [Column; 4] = [Column("What must hold", Words), Column("Row", Words), Column("Expected", Words), Column("Found", Words)];
    if proof.holds() {
        return ().into_any();
    }
    let rows = proof
        .faults
        .iter()
        .map(|Fault { claim, row, expected, found }| vec![text(sentence(claim)), raw(row), raw(expected), raw(found)].into());
    section("What disagrees", stack(vec![cut(&proof.checks), table("cards wide", &COLUMNS, rows.collect(), None)]))
}

/// An id or a digest, which breaks where the line ends.
fn raw(text: &str) -> AnyView {
    view! { <code class="raw">{text.to_owned()}</code> }.into_any()
}

/// The claims of which more rows may disagree than are named.
fn cut(checks: &[Check]) -> AnyView {
    let cut: Vec<_> = checks.iter().filter(|check| is_cut(check)).map(|check| format!("“{}”", check.claim)).collect();
    let words = format!("Only the first {NAMED_MAX} rows of a claim are kept; there may be more of {}.", cut.join(" and of "));
    (!cut.is_empty()).then(|| view! { <p class="subtitle">{words}</p> }).into_any()
}

const fn is_cut(check: &Check) -> bool {
    check.faults >= NAMED_MAX
}

fn claims_table(checks: &[Check]) -> AnyView {
    const COLUMNS: [Column; 2] = [Column("What must hold", Words), Column("Verdict", Words)];
    let rows = checks.iter().map(|check| vec![text(sentence(&check.claim)), claim_verdict(check)].into());
    table("cards", &COLUMNS, rows.collect(), None)
}

fn claim_verdict(check: &Check) -> AnyView {
    let words = match check.faults {
        0 => return text("holds"),
        NAMED_MAX.. => format!("{NAMED_MAX} rows or more disagree"),
        rows => disagree(rows),
    };
    view! { <span class="status-bad">{words}</span> }.into_any()
}

fn proxies_table(proxies: &[ProxyState]) -> AnyView {
    const COLUMNS: [Column; 6] = [
        Column("Proxy", Words),
        Column("State", Words),
        Column("Running", Figures),
        Column("Not posted yet", Figures),
        Column("Accounts leased", Figures),
        Column("Credit leased", Figures),
    ];
    if proxies.is_empty() {
        return empty("No proxy runs, and none has left anything leased.", ());
    }
    let about = view! {
        <p class="subtitle prose">
            "A proxy admits calls within the credit that it has leased, and gives back within seconds what it does not need. Calls that have ended are on its \
             disk until they are posted. Each says how it is every few seconds."
        </p>
    };
    let rows = proxies.iter().map(|state| {
        let ProxyState { report, .. } = state;
        let [running, accounts] = [report.running, state.accounts].map(|figure| text(grouped(figure)));
        vec![raw(&state.proxy.to_string()), standing(state), running, unposted(report), accounts, leased(state)].into()
    });
    stack(vec![about.into_any(), table("cards wide", &COLUMNS, rows.collect(), None)])
}

/// Whether it goes on, and if not, since when.
fn standing(state: &ProxyState) -> AnyView {
    let heard = time::second(state.heard_at);
    match state.standing {
        Standing::Serves => text(format!("serves calls since {}", time::second(state.begun_at))),
        Standing::Silent => {
            let words = format!("silent since {heard}: what it has leased goes back when none of its calls can be running");
            view! { <span class="status-bad">{words}</span> }.into_any()
        }
        Standing::Ends => text(format!("over, last heard of {heard}: what it had leased is going back")),
    }
}

/// How many, and since when the first of them is there.
fn unposted(report: &Report) -> AnyView {
    let since = report.unposted_since.filter(|_| report.unposted > 0).map(|since| format!(", since {}", time::second(since)));
    text(format!("{}{}", grouped(report.unposted), since.unwrap_or_default()))
}

fn leased(state: &ProxyState) -> AnyView {
    let tokens = (state.tokens.get() != 0).then(|| money::tokens(state.tokens.get()));
    let money = (!state.money.is_zero() || tokens.is_none()).then(|| money::total(state.money));
    text(money.into_iter().chain(tokens).collect::<Vec<_>>().join(", "))
}

fn sealed_days(sealed: &[SealedDay]) -> AnyView {
    const COLUMNS: [Column; 4] = [Column("Day", Words), Column("Accounts", Figures), Column("Root", Words), Column("Copy", Action)];
    if sealed.is_empty() {
        return empty("No day is sealed yet. Each is sealed soon after it has ended.", ());
    }
    let rows = sealed.iter().map(|SealedDay { day, accounts, root }| {
        let day = start_of(*day);
        vec![time::time_view(day, time::day(day)), text(money::grouped(*accounts)), raw(root), copy_button(root.clone(), "Copy")].into()
    });
    let about = view! {
        <p class="subtitle prose">
            "A day's root seals all that was posted up to its end. Keep it outside of this database: "
            <code>"farebox verify --against ROOT"</code>" then shows that what it seals was not rewritten."
        </p>
    };
    stack(vec![about.into_any(), table("cards", &COLUMNS, rows.collect(), None)])
}

/// A claim as it stands in a row of its own.
fn sentence(claim: &str) -> String {
    let mut letters = claim.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `1 row disagrees`, `3 rows disagree`.
fn disagree(rows: usize) -> String {
    let verb = if rows == 1 { "disagrees" } else { "disagree" };
    format!("{} {verb}", count(rows as u64, "row"))
}

/// `1 call`, `34,500 calls`.
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

fn grouped(number: u64) -> String {
    money::grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::parts::form::Form;

    const SEALS: &str = "a call's row is the one that was posted";
    const SHARES: &str = "a call's shares sum to its amount";

    fn run(end: ProofEnd) -> ProofRun {
        ProofRun {
            begun_at: "2026-11-23T10:04:05Z".parse().unwrap(),
            asked_by: "operator@demo.example".to_owned(),
            since: None,
            progress: Progress { accounts: 1_000, done: 120, calls: 34_500 },
            end,
        }
    }

    /// A run of two claims, three seconds long, with so many rows of the second that disagree.
    fn ended(faults: usize) -> ProofRun {
        let check = |claim: &str, faults| Check { claim: claim.to_owned(), faults };
        let fault = Fault {
            claim: SHARES.to_owned(),
            row: "call 0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f".to_owned(),
            expected: "0.0000222".to_owned(),
            found: "0.0000223".to_owned(),
        };
        let checks = vec![check(SEALS, 0), check(SHARES, faults)];
        let proof = Proof { accounts: 1_000, calls: 34_500, checks, faults: vec![fault; faults] };
        run(ProofEnd::Ended { at: "2026-11-23T10:04:08Z".parse().unwrap(), proof })
    }

    fn draw(last: Option<ProofRun>, already: bool, sealed: Vec<SealedDay>) -> String {
        let page = ProofPage { last, whole: Some(ended(0)), already, sealed, proxies: Vec::new(), form: Form::default() };
        Owner::new().with(|| proof(&page).to_html())
    }

    fn html(last: ProofRun) -> String {
        draw(Some(last), false, vec![])
    }

    #[test]
    fn a_proof_that_never_ran_says_what_it_does_and_can_be_run() {
        let html = draw(None, false, vec![]);
        assert!(html.contains("has not been run yet") && html.contains("Run it now") && html.contains("No day is sealed yet"), "{html}");
    }

    #[test]
    fn a_proxy_says_what_it_has_leased_and_since_when_something_is_not_posted() {
        let at = |text: &str| text.parse().unwrap();
        let state = |standing, report| ProxyState {
            proxy: uuid::Uuid::from_u128(7),
            epoch: domain::id::EpochId::from_uuid(uuid::Uuid::from_u128(8)),
            begun_at: at("2026-11-23T10:04:05Z"),
            heard_at: at("2026-11-23T10:05:00Z"),
            standing,
            report,
            accounts: 3,
            money: "1.5".parse().unwrap(),
            tokens: domain::tokens::Tokens::from_sum(1_000),
        };
        let busy = Report { running: 4, unposted: 1_234, unposted_since: Some(at("2026-11-23T10:04:59Z")) };
        let page = |proxies| ProofPage { last: None, whole: None, already: false, sealed: vec![], proxies, form: Form::default() };
        let draw = |proxies| Owner::new().with(|| proof(&page(proxies)).to_html());
        let html = draw(vec![state(Standing::Serves, busy), state(Standing::Silent, Report::default())]);
        assert!(html.contains("serves calls since 23 Nov 2026, 10:04:05") && html.contains("silent since 23 Nov 2026, 10:05:00"), "{html}");
        assert!(html.contains("1,234, since 23 Nov 2026, 10:04:59") && html.contains("$1.50, 1,000 tokens"), "{html}");
        assert!(draw(vec![]).contains("No proxy runs, and none has left anything leased."));
    }

    #[test]
    fn a_running_one_says_how_far_it_is_and_is_not_begun_again() {
        let html = html(run(ProofEnd::Running));
        assert!(html.contains("Running: 120 of 1,000 accounts, 34,500 calls."), "{html}");
        assert!(html.contains("Look again") && !html.contains("Run it now") && !html.contains("running already"), "{html}");
    }

    #[test]
    fn one_that_has_counted_no_account_has_just_begun() {
        let html = html(ProofRun { progress: Progress::default(), ..run(ProofEnd::Running) });
        assert!(html.contains("Running: it has just begun."), "{html}");
    }

    #[test]
    fn whoever_asks_for_a_second_one_is_told_of_the_first_while_it_runs() {
        assert!(draw(Some(run(ProofEnd::Running)), true, vec![]).contains("One is running already; no second one was begun."));
        assert!(!draw(Some(ended(0)), true, vec![]).contains("running already"));
    }

    #[test]
    fn one_that_holds_is_green_and_says_of_what() {
        let html = html(ended(0));
        let words = "Every figure holds: 1,000 accounts and 34,500 calls, in 3.00 s, ended 23 Nov 2026, 10:04:08 UTC.";
        assert!(html.contains("notice-good") && !html.contains("notice-bad") && html.contains(words), "{html}");
        assert!(html.contains("operator@demo.example began it 23 Nov 2026, 10:04:05 UTC: it covers everything."), "{html}");
        assert!(html.matches(">holds").count() == 2 && !html.contains("What disagrees"), "{html}");
    }

    #[test]
    fn what_farebox_proves_by_itself_is_not_taken_for_everything() {
        let html = html(ProofRun { asked_by: String::new(), since: Some("2026-11-22".parse().unwrap()), ..ended(0) });
        assert!(html.contains("Every figure that it covers holds") && html.contains("what was posted from 22 Nov 2026 on."), "{html}");
        assert!(html.contains("Everything was last proved 23 Nov 2026, 10:04:08 UTC: every figure held."), "{html}");
    }

    #[test]
    fn one_with_faults_is_red_and_names_each_row() {
        let html = html(ended(3));
        assert!(html.contains("notice-bad") && !html.contains("notice-good"), "{html}");
        assert!(html.contains(">3 rows disagree, among 1,000 accounts and 34,500 calls"), "{html}");
        let row = r#"<code class="raw">call 0193a6f1-6b7e-7c3a-9d2e-5a1b2c3d4e5f<"#;
        assert_eq!(html.matches(row).count(), 3, "{html}");
        assert!(html.contains("0.0000222") && html.contains("0.0000223"), "{html}");
        assert!(html.contains(">holds") && html.contains(r#"<span class="status-bad">3 rows disagree<"#), "{html}");
        assert!(!html.contains("Only the first"), "{html}");
    }

    #[test]
    fn a_single_row_disagrees_in_the_singular() {
        assert!(html(ended(1)).contains("1 row disagrees, among"));
    }

    #[test]
    fn where_no_more_rows_are_kept_the_page_says_so() {
        let html = html(ended(NAMED_MAX));
        assert!(html.contains("At least 100 rows disagree") && html.contains("100 rows or more disagree"), "{html}");
        assert!(html.contains("Only the first 100 rows of a claim are kept") && html.contains(&format!("more of “{SHARES}”.")), "{html}");
    }

    #[test]
    fn one_without_a_result_says_why_and_what_to_do() {
        let at = "2026-11-23T10:04:08Z".parse().unwrap();
        let failed = html(run(ProofEnd::Failed { at, why: "the database is away".to_owned() }));
        assert!(failed.contains("The last run failed 23 Nov 2026, 10:04:08 UTC: the database is away. That says nothing"), "{failed}");
        let lost = html(run(ProofEnd::Lost));
        assert!(lost.contains("its process is gone. It had come so far: 120 of 1,000 accounts, 34,500 calls."), "{lost}");
        for html in [failed, lost] {
            assert!(html.contains("notice-bad") && html.contains("run it again") && html.contains("Run it now"), "{html}");
        }
    }

    #[test]
    fn a_sealed_days_root_is_there_whole_to_be_kept_elsewhere() {
        let root = format!("2026-11-22:{}", "0f".repeat(32));
        let html = draw(None, false, vec![SealedDay { day: "2026-11-22".parse().unwrap(), accounts: 1_234, root: root.clone() }]);
        assert!(html.contains("22 Nov 2026") && html.contains("1,234") && html.contains(&format!(">{root}<")), "{html}");
        assert!(html.contains("farebox verify --against ROOT") && !html.contains("No day is sealed yet"), "{html}");
    }
}
