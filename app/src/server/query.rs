//! What an address asks of a page, and what becomes of an address that makes no sense.

use std::collections::BTreeMap;

use domain::{
    billing::{JournalKind, JournalPage, PostingNumber},
    filter::FilterError,
    journal::JournalFilter,
};
use http::StatusCode;
use ledger::JournalSlice;

use super::{about, page_status, sentence};
use crate::{
    error::ConsoleError,
    parts::{
        credit::Posted,
        filter::{DAYS, NARROWING},
        form::{Form, Problem},
    },
};

/// Lines on a page of a journal.
const JOURNAL_PAGE: i64 = 25;

/// What says where on a page one is.
const PLACES: [&str; 2] = ["before", "id"];

/// A parameter of a query; empty is absent.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
}

/// What a form that is a GET brought. One that was sent, as its field `sent` says, has all of its fields, be they empty: what somebody emptied is not
/// filled in anew.
pub(crate) fn typed_form(query: &str, fields: &[&str], sent: &str) -> BTreeMap<String, String> {
    let is_sent = parameter(query, sent).is_some();
    let typed = |field: &&str| match parameter(query, field) {
        None if !is_sent => None,
        text => Some(((*field).to_owned(), text.unwrap_or_default())),
    };
    fields.iter().filter_map(typed).collect()
}

/// The filter that a query asked for. When it makes no sense, the page shows its form as it was filled in, under status 400, over as much of the filter
/// as does make sense.
pub(crate) fn filter_of<F: Default>(query: &str, parse: impl Fn(&str) -> Result<F, FilterError>) -> (F, Form) {
    match parse(query) {
        Ok(filter) => (filter, Form::default()),
        Err(error) => {
            page_status(StatusCode::BAD_REQUEST);
            (understood(query, parse), bad_form(&error, query))
        }
    }
}

/// What is left of a filter when whatever is found fault with is left out.
fn understood<F: Default>(query: &str, parse: impl Fn(&str) -> Result<F, FilterError>) -> F {
    let mut pairs = pairs(query);
    loop {
        let rest = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let fault = match parse(&rest) {
            Ok(filter) => return filter,
            Err(error) => whole(error.field),
        };
        let before = pairs.len();
        pairs.retain(|(name, _)| whole(name) != fault);
        if pairs.len() == before {
            return F::default();
        }
    }
}

/// What a parameter is a part of: days are of a range, and a value is of a tag.
fn whole(name: &str) -> &str {
    match name {
        "from" | "to" => "range",
        "value" => "tag",
        other => other,
    }
}

fn bad_form(error: &FilterError, query: &str) -> Form {
    let has_field = DAYS.contains(&error.field) || NARROWING.contains(&error.field);
    // What has no field of its own, as in an address that somebody wrote by hand, is said above the form.
    let problem =
        if has_field { Problem::new(error.field, sentence(&error.problem)) } else { Problem::new("", about(error.field, &error.problem)) };
    // The forms keep what was typed: not where on a page it was, which is another place among other calls, nor what nobody could correct there.
    let is_kept = |name: &str| !PLACES.contains(&name) && (has_field || name != error.field);
    let typed = pairs(query).into_iter().filter(|(name, _)| is_kept(name)).collect();
    Form { typed, problem: Some(problem), ..Form::default() }
}

/// The parameters that say something.
fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(query.trim_start_matches('?').as_bytes()).into_owned();
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

/// The page of a journal that a query asks for.
pub(crate) fn journal_slice(query: &str) -> Result<JournalSlice, ConsoleError> {
    let (filter, before) = (journal_filter(query)?, journal_cursor(query)?);
    Ok(JournalSlice { filter, before, lines: JOURNAL_PAGE })
}

/// Which postings a query asks for.
fn journal_filter(query: &str) -> Result<JournalFilter, ConsoleError> {
    JournalFilter::from_query(query).map_err(|error| ConsoleError::Invalid(about(error.field, &error.problem)))
}

/// Where a page of a journal begins: after this posting, going back.
pub(crate) fn journal_cursor(query: &str) -> Result<Option<PostingNumber>, ConsoleError> {
    let malformed = || ConsoleError::Invalid("This page of the journal does not exist. Start again from the first one.".to_owned());
    parameter(query, "before").map(|text| posting_number(&text).ok_or_else(malformed)).transpose()
}

/// The posting of these kinds that a form just made: `done=<number>&again=yes`. The address may name any.
pub(crate) fn journal_done(query: &str, journal: &JournalPage, kinds: &[JournalKind]) -> Option<Posted> {
    let row = journal.posting(posting_number(&parameter(query, "done")?)?).filter(|row| kinds.contains(&row.kind))?;
    Some(Posted { amount: row.amount, again: parameter(query, "again").is_some() })
}

fn posting_number(text: &str) -> Option<PostingNumber> {
    text.parse::<PostingNumber>().ok().filter(|number| *number > PostingNumber::NONE)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use chrono::DateTime;
    use domain::{
        billing::{JournalRow, StatementLine},
        filter::{CallFilter, GroupBy, UsageFilter},
        period::Period,
        usage::FilterChoices,
    };
    use leptos::prelude::*;

    use super::*;
    use crate::parts::filter::FilterBar;

    #[test]
    fn what_was_emptied_in_a_form_stays_empty_and_a_form_that_was_not_sent_is_filled_in() {
        let typed = |query| Vec::from_iter(typed_form(query, &["a", "b"], "sent"));
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(typed("a=&b=2&sent=yes"), [pair("a", ""), pair("b", "2")]);
        assert_eq!(typed("a=&b=2"), [pair("b", "2")]);
    }

    #[test]
    fn a_bad_filter_comes_back_as_it_was_typed_with_the_problem_at_its_field() {
        let query = "range=custom&from=2026-02-30&to=2026-03-01&model=a%2Fb";
        let form = bad_form(&CallFilter::from_query(query).unwrap_err(), query);
        assert_eq!((form.typed("from"), form.typed("model")), (Some("2026-02-30"), Some("a/b")));
        assert!(form.problem_at("from").unwrap().contains("is not a date"));
        let html = Owner::new().with(|| {
            let (filter, choices) = (CallFilter::default(), FilterChoices::default());
            let href = |filter: &CallFilter| filter.to_query();
            FilterBar { path: "/calls".to_owned(), filter: &filter, form: &form, choices: &choices, kept: vec![], href: &href }
                .view()
                .to_html()
        });
        assert!(html.contains("aria-invalid=\"true\"") && html.contains("2026-02-30"), "{html}");
    }

    #[test]
    fn of_a_bad_filter_as_much_is_understood_as_makes_sense() {
        for (query, rest) in [
            ("range=last-month&value=red", "range=last-month"),
            (
                "range=custom&from=2026-01-01&to=2026-01-31&group=project&value=red",
                "range=custom&from=2026-01-01&to=2026-01-31&group=project",
            ),
            ("?stream=maybe&key=mine&model=a%2Fb", "model=a%2Fb"),
            ("range=custom&from=2026-02-30&to=2026-03-01&status=ok", "status=ok"),
            ("range=7d&group=colour", "range=7d"),
            ("range=custom&from=2020-01-01&to=2026-01-01&step=hour", "range=custom&from=2020-01-01&to=2026-01-01"),
        ] {
            assert!(UsageFilter::from_query(query).is_err(), "{query}");
            let filter = understood(query, UsageFilter::from_query);
            assert_eq!(filter.to_query(), rest, "{query}");
        }
        let unhappy = |_: &str| -> Result<UsageFilter, FilterError> { Err(FilterError { field: "step", problem: String::new() }) };
        assert_eq!(understood("range=7d", unhappy), UsageFilter::default(), "and there it ends");
    }

    #[test]
    fn whichever_form_of_a_bad_filter_is_sent_keeps_what_is_not_its_own() {
        let query = "range=custom&from=2026-01-01&to=2026-01-31&show=tokens&group=project&step=day&model=m&value=red&before=x&id=y";
        let form = bad_form(&UsageFilter::from_query(query).unwrap_err(), query);
        let UsageFilter { calls, .. } = understood(query, UsageFilter::from_query);
        let html = Owner::new().with(|| {
            let href = |filter: &CallFilter| filter.to_query();
            let choices = FilterChoices::default();
            FilterBar { path: "/usage".to_owned(), filter: &calls, form: &form, choices: &choices, kept: vec![], href: &href }
                .view()
                .to_html()
        });
        let (presets, forms) = html.split_once("<form").unwrap();
        let (custom, narrowing) = forms.split_once("<form").unwrap();
        let is_hidden = |form: &str, name: &str, value: &str| form.contains(&format!(r#"type="hidden" name="{name}" value="{value}""#));
        for (name, value) in [("range", "custom"), ("from", "2026-01-01"), ("to", "2026-01-31"), ("step", "day")] {
            assert!(is_hidden(narrowing, name, value), "{name}: {html}");
        }
        for (name, value) in [("range", "custom"), ("model", "m"), ("value", "red")] {
            assert!(is_hidden(custom, name, value), "{name}: {html}");
        }
        for (name, value) in [("show", "tokens"), ("group", "project")] {
            assert!(is_hidden(custom, name, value) && is_hidden(narrowing, name, value), "{name}: {html}");
        }
        assert_eq!(forms.matches(r#"type="hidden""#).count(), 5 + 6, "nothing else, and nothing twice: {html}");
        assert!(presets.contains(r#"href="range=7d&amp;model=m""#), "a range leads out of it: {html}");
    }

    #[test]
    fn what_nobody_could_correct_is_kept_by_no_form() {
        for (query, field) in [("group=colour&model=m", "group"), ("range=yesterday&model=m", "range")] {
            let form = bad_form(&UsageFilter::from_query(query).unwrap_err(), query);
            assert_eq!((form.typed(field), form.typed("model")), (None, Some("m")), "{query}");
        }
        let filter = understood("range=7d&group=key&stream=maybe", UsageFilter::from_query);
        assert_eq!((filter.group, filter.calls.period), (GroupBy::Key, Period::Last7Days));
    }

    #[test]
    fn a_page_of_a_journal_begins_at_a_number_above_zero() {
        let twelve = PostingNumber::from_count(12);
        assert_eq!(journal_cursor("before=12").unwrap(), Some(twelve));
        assert_eq!((journal_cursor("").unwrap(), journal_cursor("before=").unwrap()), (None, None));
        for wrong in ["before=0", "before=-1", "before=yesterday", "before=9223372036854775808"] {
            assert!(journal_cursor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_just_posted_is_read_from_the_books_and_not_from_the_address() {
        let at = DateTime::UNIX_EPOCH;
        let row = JournalRow {
            number: PostingNumber::from_count(12),
            kind: JournalKind::TopUp,
            calls: None,
            memo: String::new(),
            actor: String::new(),
            event_at: at,
            posted_at: at,
            amount: "25".parse().unwrap(),
            tokens: 0,
            balance_after: "30".parse().unwrap(),
        };
        let journal = JournalPage { lines: vec![StatementLine::Posting(row)], next: None };
        let done = |query| journal_done(query, &journal, &[JournalKind::TopUp]).map(|posted| (posted.amount.to_string(), posted.again));
        assert_eq!((done("done=12"), done("done=12&again=yes")), (Some(("25".to_owned(), false)), Some(("25".to_owned(), true))));
        for nothing in ["done=13", "done=0", "again=yes", ""] {
            assert_eq!(done(nothing), None, "{nothing}");
        }
        assert_eq!(journal_done("done=12", &journal, &[JournalKind::Refund]), None, "of another kind");
    }

    #[test]
    fn what_has_no_field_is_said_above_the_form() {
        let form = bad_form(&CallFilter::from_query("range=yesterday").unwrap_err(), "range=yesterday");
        let problem = form.problem.unwrap();
        assert!(problem.field.is_empty() && problem.message.starts_with("Range: "), "{}", problem.message);
    }
}
