//! An account's books as a statement: each posting with the balance after it, the usage of a day in one line. Only the server draws them, so that the browser
//! needs no code for it.

mod month;
mod rows;
#[cfg(test)]
mod testing;

use chrono::{DateTime, Utc};
use domain::{
    billing::{OpenHour, Statement},
    journal::{JournalFilter, JournalPart},
    month::CalendarMonth,
};
use leptos::prelude::*;

use self::{
    month::{closing, is_open, month_name, opening, sums},
    rows::{line, running},
};
use crate::parts::{
    form::{Form, choice, hidden},
    layout::{empty, stack},
    pager::pager,
    table::{
        Column,
        Kind::{Figures, Words},
        folding_table, link,
    },
    tabs::{Tab, address, tabs},
};

/// A page of a journal, as somebody asked for it.
pub(crate) struct Journal {
    /// What it says.
    pub(crate) statement: Statement,
    /// Which postings.
    pub(crate) filter: JournalFilter,
    /// Whether newer ones precede them.
    pub(crate) has_newer: bool,
    /// Where the page is.
    pub(crate) path: String,
    /// Where all of it is as a file.
    pub(crate) file: String,
    /// Where its documents are, if any are issued: each posting that gets one leads there, by its number.
    pub(crate) documents: Option<String>,
    /// When it was read.
    pub(crate) now: DateTime<Utc>,
}

impl Journal {
    /// What is shown of it, how to see something else, and the way to all of it.
    pub(crate) fn draw(self) -> String {
        self.view().to_html()
    }

    fn view(self) -> AnyView {
        let Some(since) = self.statement.since else { return stack(vec![self.lines()]) };
        let file = address(&self.file, &self.filter.to_query());
        let choices = stack(vec![view! { <div class="tab-row">{self.parts()}</div> }.into_any(), self.months(CalendarMonth::of(since))]);
        let rule = view! { <p class="subtitle">"Calls are posted once an hour, and each posting seals those before it."</p> };
        let file = view! {
            <p class="hint"><a href=file rel="external" download="journal.csv">"Download the journal as CSV"</a>", every posting of what is chosen"</p>
        };
        let is_open = |month| is_open(month, self.statement.open_hour.as_ref(), self.now);
        let month = self.statement.month.zip(self.filter.month).map(|(balance, month)| sums(balance, month, is_open(month)));
        stack(vec![choices, rule.into_any(), month.into_any(), self.lines(), file.into_any()])
    }

    fn parts(&self) -> AnyView {
        let tab = |part: JournalPart| Tab {
            label: part.label().to_owned(),
            href: address(&self.path, &JournalFilter { part, ..self.filter }.to_query()),
            current: part == self.filter.part,
        };
        tabs("Show", JournalPart::ALL.map(tab).into())
    }

    /// Those in which there can be postings.
    fn months(&self, since: CalendarMonth) -> AnyView {
        let named = |month: CalendarMonth| (month.to_string(), month_name(month));
        let options =
            std::iter::once((String::new(), "Every month".to_owned())).chain(CalendarMonth::of(self.now).back_to(since).map(named));
        let chosen = self.filter.month.map(|month| month.to_string()).unwrap_or_default();
        let part = (self.filter.part != JournalPart::default()).then(|| hidden("entries", self.filter.part.name()));
        view! {
            <form class="row-form" method="get" action=self.path.clone()>
                {part}
                {choice(&Form::default(), "month", "Month", options.collect(), &chosen)}
                <button>"Show"</button>
            </form>
        }
        .into_any()
    }

    /// The running hour and the postings, newest first; of a whole month, between the balances at its ends.
    fn lines(self) -> AnyView {
        const COLUMNS: [Column; 5] = [
            Column("When", Words),
            Column("Entry", Words),
            Column("What for", Words),
            Column("Amount", Figures),
            Column("Balance after", Figures),
        ];
        let Self { statement: Statement { balance, open_hour, journal, month, .. }, filter, has_newer, path, documents, now, .. } = self;
        let home = address(&path, &filter.to_query());
        let is_open = filter.month.is_some_and(|month| is_open(month, open_hour.as_ref(), now));
        let running = open_hour.filter(|open| !has_newer && is_shown(open, filter)).map(|open| vec![running(open, balance.balance)]);
        if running.is_none() && journal.lines.is_empty() {
            return nothing(filter, has_newer, path);
        }
        let ends = month.zip(filter.month).filter(|_| filter.part == JournalPart::Everything);
        let closing = ends.filter(|_| !has_newer).map(|(balance, month)| vec![closing(balance, month, is_open)]);
        let opening = ends.filter(|_| journal.next.is_none()).map(|(balance, month)| vec![opening(balance, month)]);
        let groups = running
            .into_iter()
            .chain(closing)
            .chain(journal.lines.into_iter().map(|one| line(one, documents.as_deref())))
            .chain(opening)
            .collect();
        let older = journal.next.map(|next| {
            let query = filter.to_query();
            address(&path, &format!("{query}{}before={next}", if query.is_empty() { "" } else { "&" }))
        });
        stack(vec![folding_table("cards", &COLUMNS, groups), pager(has_newer.then_some(home), older)])
    }
}

/// Whether the hour that runs is among what was asked for: it is posted as of its last instant.
fn is_shown(open: &OpenHour, filter: JournalFilter) -> bool {
    filter.part != JournalPart::Money && filter.month.is_none_or(|month| month == CalendarMonth::of(open.hour))
}

fn nothing(filter: JournalFilter, has_newer: bool, path: String) -> AnyView {
    if has_newer {
        return empty("There are no older entries.", link(address(&path, &filter.to_query()), "The newest entries"));
    }
    if filter == JournalFilter::default() {
        return empty("Nothing has been posted yet.", ());
    }
    let what = match filter.part {
        JournalPart::Everything => "Nothing was posted",
        JournalPart::Money => "No money went in or out",
        JournalPart::Usage => "No usage was posted",
    };
    let when = filter.month.map(|month| format!(" in {}", month_name(month)));
    empty(format!("{what}{}.", when.unwrap_or_default()), link(path, "Every entry"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::billing::StatementLine;

    use super::testing::{hour, html, of, open_hour};

    #[test]
    fn the_running_hour_stands_above_the_newest_line_and_ends_in_the_balance() {
        let alone = html(vec![], Some(open_hour()), false);
        for text in ["1 call since 14:00: posted when the hour has ended", "−$0.125", "$4.125", r#"<tr class="faded""#] {
            assert!(alone.contains(text), "{text} is missing: {alone}");
        }
        let above = html(vec![StatementLine::Usage(vec![hour(2, "2026-11-23T10:00:00Z", "4.25")])], Some(open_hour()), false);
        let below = above.split_once("since 14:00").unwrap().1;
        assert!(below.contains("10:00 to 11:00"), "{above}");
    }

    #[test]
    fn an_older_page_has_no_running_hour() {
        let older = html(vec![], Some(open_hour()), true);
        assert!(older.contains("There are no older entries.") && !older.contains("since 14:00"), "{older}");
    }

    #[test]
    fn what_is_chosen_is_kept_by_every_way_to_something_else() {
        let html = of("month=2026-10&entries=usage", vec![], None, false);
        for text in [
            r#"href="/billing?entries=money&amp;month=2026-10""#,
            r#"href="/billing?month=2026-10""#,
            r#"type="hidden" name="entries" value="usage""#,
            r#"<option value="2026-10" selected"#,
            r#"href="/billing.csv?entries=usage&amp;month=2026-10""#,
            "No usage was posted in Oct 2026.",
        ] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert_eq!(html.matches("<option").count(), 3, "every month, November and October: {html}");
    }

    #[test]
    fn the_running_hour_is_usage_of_its_own_month() {
        for (query, shown) in [("entries=usage", true), ("month=2026-11", true), ("entries=money", false), ("month=2026-10", false)] {
            assert_eq!(of(query, vec![], Some(open_hour()), false).contains("since 14:00"), shown, "{query}");
        }
    }
}
