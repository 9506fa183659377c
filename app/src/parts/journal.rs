//! An account's books as a statement: each posting with the balance after it, the usage of a day in one line. Only the server draws them, so that the browser
//! needs no code for it.

use chrono::{DateTime, Utc};
use domain::{
    billing::{JournalRow, MonthBalance, OpenHour, PostingNumber, Statement, StatementLine},
    document::DocumentKind,
    journal::{JournalFilter, JournalPart},
    money::Amount,
    month::CalendarMonth,
    period::Step,
};
use leptos::prelude::*;

use crate::parts::{
    figures::{Figure, figures},
    form::{Form, choice, hidden},
    layout::{empty, foreign, stack},
    money,
    pager::pager,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, folding_table, link, opener, text, with_note,
    },
    tabs::{Tab, address, tabs},
    time,
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
        let named = |month: CalendarMonth| (month.to_string(), time::step(month.range().from, Step::Month));
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

/// What a month did to the balance: the first three are the last. Short, with every digit below: these add up.
fn sums(balance: MonthBalance, month: CalendarMonth, is_open: bool) -> AnyView {
    let MonthBalance { opening, moved, used, closing } = balance;
    let figure = |label, value, exact, note: String| Figure { label, value, exact: Some(exact), note, ..Figure::default() };
    let there = |label, amount, note| figure(label, money::left(amount), money::exact(amount), note);
    let change = |label, amount, note: &str| figure(label, signed_total(amount), money::movement(amount), note.to_owned());
    figures(vec![
        there("Opening balance", opening, format!("before {}", month_name(month))),
        change("Money in and out", moved, "put in, less what was taken back"),
        change("Usage", used, "what calls took, as far as it is posted"),
        there("Closing balance", closing, closing_note(is_open).to_owned()),
    ])
}

/// A movement as a total: `+$25.00`. Of less than a cent it is only said that it is so little.
fn signed_total(amount: Amount) -> String {
    let text = money::total(amount);
    if amount > Amount::ZERO && !text.starts_with('<') { format!("+{text}") } else { text }
}

/// Whether a month's last posting may still come: it runs, or its last hour is not posted yet.
fn is_open(month: CalendarMonth, open_hour: Option<&OpenHour>, now: DateTime<Utc>) -> bool {
    month.range().is_running(now) || open_hour.is_some_and(|open| CalendarMonth::of(open.hour) <= month)
}

fn closing_note(is_open: bool) -> &'static str {
    if is_open { "so far, after the newest posting" } else { "the sum of these" }
}

fn closing(balance: MonthBalance, month: CalendarMonth, is_open: bool) -> Row {
    let so_far = if is_open { "so far, after the newest posting" } else { "" };
    end(format!("End of {}", month_name(month)), "Closing balance", so_far, balance.closing)
}

fn opening(balance: MonthBalance, month: CalendarMonth) -> Row {
    end(format!("Beginning of {}", month_name(month)), "Opening balance", "", balance.opening)
}

/// A balance at an end of a month.
fn end(when: String, what: &'static str, words: &'static str, balance: Amount) -> Row {
    vec![text(when), text(what), text(words), ().into_any(), money::exact_view(balance)].into()
}

fn month_name(month: CalendarMonth) -> String {
    time::step(month.range().from, Step::Month)
}

/// The calls that are not posted yet; what is left after them is left now.
fn running(open: OpenHour, balance: Amount) -> Row {
    let calls = calls(Some(open.calls));
    let cells = vec![
        time::time_view(open.hour, time::minute(open.hour)),
        text("Usage"),
        text(format!("{calls} since {}: posted when the hour has ended", time::clock(open.hour))),
        moved(open.amount.checked_neg(), open.tokens.checked_neg()),
        money::exact_view(balance),
    ];
    Row { cells, faded: true }
}

/// A line, and the rows that it opens to.
fn line(line: StatementLine, documents: Option<&str>) -> Vec<Row> {
    match line {
        StatementLine::Posting(row) => vec![posting(row, documents)],
        StatementLine::Usage(hours) => usage(&hours),
    }
}

fn posting(row: JournalRow, documents: Option<&str>) -> Row {
    let document = documents.zip(DocumentKind::of(row.kind, row.amount));
    let document = document.map(|(path, kind)| view! { " "{link(format!("{path}/{}", row.number), kind.label())} });
    let by = (!row.actor.is_empty()).then(|| view! { <span class="by">"by "{foreign(&row.actor)}</span> });
    let of = row.calls.is_some().then(|| format!("{}: ", calls(row.calls)));
    vec![
        time::time_view(row.event_at, time::minute(row.event_at)),
        with_note(text(row.kind.label()), number(row.number)),
        view! { <span>{of}{foreign(&row.memo)}{document}</span>{by} }.into_any(),
        moved(Some(row.amount), Some(row.tokens)),
        money::exact_view(row.balance_after),
    ]
    .into()
}

/// One hour by itself; several as their sum, which opens to them.
fn usage(hours: &[JournalRow]) -> Vec<Row> {
    match hours {
        [] => vec![],
        [hour] => vec![lone_hour(hour)],
        [newest, .., oldest] => std::iter::once(day(newest, oldest, hours)).chain(hours.iter().map(hour_of_day)).collect(),
    }
}

fn lone_hour(row: &JournalRow) -> Row {
    vec![
        time::time_view(row.event_at, time::minute(row.event_at)),
        with_note(text(row.kind.label()), number(row.number)),
        text(format!("{}, {}", calls(row.calls), time::hour(row.event_at))),
        moved(Some(row.amount), Some(row.tokens)),
        money::exact_view(row.balance_after),
    ]
    .into()
}

fn day(newest: &JournalRow, oldest: &JournalRow, hours: &[JournalRow]) -> Row {
    let start = Step::Day.floor(newest.event_at);
    let count = hours.iter().try_fold(0_i64, |sum, hour| sum.checked_add(hour.calls?));
    vec![
        time::time_view(start, time::day(start)),
        with_note(text(newest.kind.label()), format!("{} to {}", number(oldest.number), newest.number)),
        opener(format!("{}, {}", calls(count), time::hours(oldest.event_at, newest.event_at))),
        moved(
            Amount::checked_sum(hours.iter().map(|hour| hour.amount)),
            hours.iter().try_fold(0_i64, |sum, hour| sum.checked_add(hour.tokens)),
        ),
        money::exact_view(newest.balance_after),
    ]
    .into()
}

/// Below its day, which says the rest.
fn hour_of_day(row: &JournalRow) -> Row {
    vec![
        time::time_view(row.event_at, time::hour(row.event_at)),
        text(number(row.number)),
        text(calls(row.calls)),
        moved(Some(row.amount), Some(row.tokens)),
        money::exact_view(row.balance_after),
    ]
    .into()
}

fn number(number: PostingNumber) -> String {
    format!("No. {number}")
}

fn calls(count: Option<i64>) -> String {
    match count {
        Some(1) => "1 call".to_owned(),
        Some(count) => format!("{} calls", money::grouped(count)),
        None => "Calls".to_owned(),
    }
}

/// What moved of money and of tokens, as far as the sums can be written down. Where both did, the tokens stand below.
fn moved(amount: Option<Amount>, tokens: Option<i64>) -> AnyView {
    let of_money = || amount.map_or_else(|| text(money::ABSENT), money::movement_view);
    let of_tokens = || tokens.map_or_else(|| format!("{} tokens", money::ABSENT), money::tokens_moved);
    match (amount, tokens) {
        (_, Some(0)) => of_money(),
        (Some(Amount::ZERO), _) => text(of_tokens()),
        _ => with_note(of_money(), of_tokens()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use domain::billing::{Balance, JournalKind, JournalPage};

    use super::*;

    /// Two calls that cost 25 cents.
    fn hour(number: i64, event_at: &str, balance_after: &str) -> JournalRow {
        let event_at = event_at.parse().unwrap();
        JournalRow {
            number: PostingNumber::from_count(number),
            kind: JournalKind::Usage,
            calls: Some(2),
            memo: String::new(),
            actor: String::new(),
            event_at,
            posted_at: event_at,
            amount: "-0.25".parse().unwrap(),
            tokens: 0,
            balance_after: balance_after.parse().unwrap(),
        }
    }

    fn html(lines: Vec<StatementLine>, open_hour: Option<OpenHour>, has_newer: bool) -> String {
        of("", lines, open_hour, has_newer)
    }

    /// Of a journal that began in October 2026, asked for by a query in the November after.
    fn of(query: &str, lines: Vec<StatementLine>, open_hour: Option<OpenHour>, has_newer: bool) -> String {
        let filter = JournalFilter::from_query(query).unwrap();
        let [opening, moved, used, closing] = ["4.75", "0", "-0.5", "4.25"].map(|text| text.parse().unwrap());
        let statement = Statement {
            balance: Balance { balance: "4.125".parse().unwrap(), ..Balance::default() },
            open_hour,
            journal: JournalPage { lines, next: None },
            since: Some("2026-10-31T23:59:59Z".parse().unwrap()),
            month: filter.month.map(|_| MonthBalance { opening, moved, used, closing }),
        };
        let (path, file, now) = ("/billing".to_owned(), "/billing.csv".to_owned(), "2026-11-23T14:30:00Z".parse().unwrap());
        Owner::new()
            .with(|| Journal { statement, filter, has_newer, path, file, documents: Some("/billing/documents".to_owned()), now }.draw())
            .replace("<!>", "")
    }

    fn open_hour() -> OpenHour {
        OpenHour { hour: "2026-11-23T14:00:00Z".parse().unwrap(), calls: 1, amount: "0.125".parse().unwrap(), tokens: 0 }
    }

    #[test]
    fn what_was_paid_in_tokens_stands_in_tokens() {
        let hour = |tokens, amount: &str| JournalRow { tokens, amount: amount.parse().unwrap(), ..hour(2, "2026-11-23T10:00:00Z", "4.5") };
        let alone = html(vec![StatementLine::Usage(vec![hour(-1_500, "0")])], None, false);
        assert!(alone.contains(">−1,500 tokens<") && !alone.contains("$0.00"), "{alone}");
        let both = html(vec![StatementLine::Usage(vec![hour(-1_500, "-0.25"), hour(-1, "0")])], None, false);
        for text in ["−$0.25", "−1,501 tokens", "−1,500 tokens", "−1 token"] {
            assert!(both.contains(text), "{text} is missing: {both}");
        }
        let given = JournalRow { kind: JournalKind::Package, calls: None, ..hour(2_000_000, "0") };
        assert!(html(vec![StatementLine::Posting(given)], None, false).contains(">+2,000,000 tokens<"));
        let running = OpenHour { amount: Amount::ZERO, tokens: 40, ..open_hour() };
        assert!(html(vec![], Some(running), false).contains("−40 tokens"));
    }

    #[test]
    fn a_day_is_the_sum_of_its_hours_and_opens_to_them() {
        let hours = vec![hour(3, "2026-11-23T13:00:00Z", "4.25"), hour(2, "2026-11-23T10:00:00Z", "4.5")];
        let html = html(vec![StatementLine::Usage(hours)], None, false);
        for text in ["<summary>4 calls, 10:00 to 14:00", "No. 2 to 3", "−$0.50", "13:00 to 14:00", "10:00 to 11:00", "$4.50"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert_eq!(html.matches(">−$0.25<").count(), 2, "{html}");
        assert_eq!(html.matches(">$4.25<").count(), 2, "the day ends as its newest hour does: {html}");
    }

    #[test]
    fn a_lone_hour_is_an_ordinary_line() {
        let html = html(vec![StatementLine::Usage(vec![hour(2, "2026-11-23T10:00:00Z", "4.5")])], None, false);
        assert!(html.contains("2 calls, 10:00 to 11:00") && html.contains("No. 2") && !html.contains("<details"), "{html}");
    }

    #[test]
    fn sums_that_cannot_be_written_down_are_not_made_up() {
        let most = JournalRow { calls: Some(i64::MAX), amount: Amount::from_nanos(i64::MIN), ..hour(1, "2026-11-23T10:00:00Z", "0") };
        let html = html(vec![StatementLine::Usage(vec![most.clone(), most])], None, false);
        assert!(html.contains("<summary>Calls, 10:00 to 11:00") && html.contains(money::ABSENT), "{html}");
    }

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
    fn a_month_stands_between_its_balances_and_is_their_sum() {
        let hours = || vec![StatementLine::Usage(vec![hour(3, "2026-11-23T13:00:00Z", "4.25"), hour(2, "2026-11-23T10:00:00Z", "4.5")])];
        let whole = of("month=2026-11", hours(), None, false);
        for text in ["before Nov 2026", "$4.75", "−$0.50", "so far, after the newest posting", "End of Nov 2026", "Beginning of Nov 2026"]
        {
            assert!(whole.contains(text), "{text} is missing: {whole}");
        }
        assert!(
            whole.find("End of Nov") < whole.find("No. 2 to 3") && whole.find("No. 2 to 3") < whole.find("Beginning of Nov"),
            "{whole}"
        );
        let older = of("month=2026-11", hours(), None, true);
        assert!(!older.contains("End of Nov") && older.contains("Beginning of Nov"), "the end is on another page: {older}");
        let part = of("month=2026-11&entries=usage", hours(), None, false);
        assert!(
            part.contains("before Nov 2026") && !part.contains("End of Nov"),
            "lines of one kind lead from no balance to the other: {part}"
        );
        assert!(!of("", hours(), None, false).contains("Opening balance"));
    }

    #[test]
    fn a_months_figures_are_short_and_have_every_digit_below() {
        let [opening, moved, used, closing] = ["0.129999999", "25", "-0.505000001", "24.624999998"].map(|text| text.parse().unwrap());
        let month = "2026-11".parse().unwrap();
        let html = Owner::new().with(|| sums(MonthBalance { opening, moved, used, closing }, month, true).to_html());
        for text in [">$0.12<", ">$0.129999999<", ">−$0.51<", ">−$0.505000001<", ">$24.62<", ">$24.624999998<"] {
            assert!(html.contains(text), "{text} is missing: {html}");
        }
        assert_eq!(html.matches(">+$25.00<").count(), 1, "where nothing is left out, nothing stands below: {html}");
        assert_eq!([signed_total(Amount::from_nanos(1)), signed_total(Amount::ZERO)], ["< $0.01", "$0.00"]);
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
