//! What an address asks of a page, and what becomes of an address that makes no sense.

use domain::{billing::PostingNumber, filter::FilterError};
use http::StatusCode;

use super::{about, page_status, sentence};
use crate::{
    error::ConsoleError,
    parts::{
        filter::{DAYS, NARROWING},
        form::{Form, Problem},
    },
};

/// Lines on a page of a journal.
pub(crate) const JOURNAL_PAGE: i64 = 25;

/// A parameter of a query; empty is absent.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
}

/// The filter that a query asked for. When it makes no sense, the page shows its form as it was filled in, under status 400.
pub(crate) fn filter_or_default<F: Default>(parsed: Result<F, FilterError>, query: &str) -> (F, Form) {
    match parsed {
        Ok(filter) => (filter, Form::default()),
        Err(error) => {
            page_status(StatusCode::BAD_REQUEST);
            (F::default(), bad_form(&error, query))
        }
    }
}

fn bad_form(error: &FilterError, query: &str) -> Form {
    // What has no field of its own, as in an address that somebody wrote by hand, is said above the form.
    let problem = if DAYS.contains(&error.field) || NARROWING.contains(&error.field) {
        Problem::new(error.field, sentence(&error.problem))
    } else {
        Problem::new("", about(error.field, &error.problem))
    };
    let typed = form_urlencoded::parse(query.trim_start_matches('?').as_bytes()).into_owned().collect();
    Form { typed, problem: Some(problem), ..Form::default() }
}

/// Where a page of a journal begins: after this posting, going back.
pub(crate) fn journal_cursor(query: &str) -> Result<Option<PostingNumber>, ConsoleError> {
    let malformed = || ConsoleError::Invalid("This page of the journal does not exist. Start again from the first one.".to_owned());
    parameter(query, "before").map(|text| posting_number(&text).ok_or_else(malformed)).transpose()
}

/// The posting that a form just made, with whether it had been made before: `done=<number>&again=yes`.
pub(crate) fn journal_done(query: &str) -> Option<(PostingNumber, bool)> {
    let number = posting_number(&parameter(query, "done")?)?;
    Some((number, parameter(query, "again").is_some()))
}

fn posting_number(text: &str) -> Option<PostingNumber> {
    text.parse::<PostingNumber>().ok().filter(|number| *number > PostingNumber::NONE)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::{filter::CallFilter, usage::FilterChoices};
    use leptos::prelude::*;

    use super::*;
    use crate::parts::filter::FilterBar;

    #[test]
    fn a_bad_filter_comes_back_as_it_was_typed_with_the_problem_at_its_field() {
        let query = "range=custom&from=2026-02-30&to=2026-03-01&model=a%2Fb";
        let form = bad_form(&CallFilter::from_query(query).unwrap_err(), query);
        assert_eq!((form.typed("from"), form.typed("model")), (Some("2026-02-30"), Some("a/b")));
        assert!(form.problem_at("from").unwrap().contains("is not a date"));
        let html = Owner::new().with(|| {
            let (filter, choices) = (CallFilter::default(), FilterChoices::default());
            let href = |filter: &CallFilter| filter.to_query();
            FilterBar { path: "/calls", filter: &filter, form: &form, choices: &choices, kept: vec![], href: &href }.view().to_html()
        });
        assert!(html.contains("aria-invalid=\"true\"") && html.contains("2026-02-30"), "{html}");
    }

    #[test]
    fn a_page_of_a_journal_begins_at_a_number_above_zero() {
        let twelve = PostingNumber::from_count(12);
        assert_eq!(journal_cursor("before=12").unwrap(), Some(twelve));
        assert_eq!((journal_cursor("").unwrap(), journal_cursor("before=").unwrap()), (None, None));
        for wrong in ["before=0", "before=-1", "before=yesterday", "before=9223372036854775808"] {
            assert!(journal_cursor(wrong).is_err(), "{wrong}");
        }
        assert_eq!((journal_done("done=12"), journal_done("done=12&again=yes")), (Some((twelve, false)), Some((twelve, true))));
        assert_eq!((journal_done("done=0"), journal_done("again=yes")), (None, None));
    }

    #[test]
    fn what_has_no_field_is_said_above_the_form() {
        let form = bad_form(&CallFilter::from_query("range=yesterday").unwrap_err(), "range=yesterday");
        let problem = form.problem.unwrap();
        assert!(problem.field.is_empty() && problem.message.starts_with("Range: "), "{}", problem.message);
    }
}
