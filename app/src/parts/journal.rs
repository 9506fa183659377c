//! An account's books as a statement: each posting with the balance after it, the usage of a day in one line.

use domain::{
    billing::{Balance, Grant, GrantKind, JournalRow, OpenHour, PostingNumber, Statement, StatementLine},
    credit::{Quantity, Unit},
    money::Amount,
    period::Step,
};
use leptos::prelude::*;

use crate::parts::{
    figures::{Figure, figures},
    layout::{empty, foreign, stack},
    money,
    pager::pager,
    table::{
        Column,
        Kind::{Figures, Words},
        Row, folding_table, link, opener, table, text, with_note,
    },
    time,
};

/// Balance, what is reserved right now, and what is left for new calls.
pub(crate) fn balance(balance: &Balance) -> AnyView {
    let figure = |label, amount, note: &str| {
        let (value, exact) = (money::total(amount), Some(money::exact(amount)));
        Figure { label, value, exact, note: note.to_owned(), ..Figure::default() }
    };
    let figures = figures(vec![
        figure("Balance", balance.balance, "what was added, less what calls used"),
        figure("Reserved now", balance.reserved, "for running calls, and for the next ones"),
        figure("Available", balance.available, &usable(balance)),
    ]);
    if balance.excess.is_charged() { view! { <div>{figures}<p class="figures-basis">{LENIENT}</p></div> }.into_any() } else { figures }
}

/// What a lenient account should know of its balance.
const LENIENT: &str = "Calls are charged what they come to in money, also beyond what was held for them.";

/// What new calls can use, and how much of it is not the account's own.
fn usable(balance: &Balance) -> String {
    let lent = (balance.lent > Amount::ZERO).then(|| format!(", {} lent included", money::exact(balance.lent)));
    let tokens = balance.in_tokens().next().map(|_| ", beside the tokens below");
    format!("what new calls can use{}{}", lent.unwrap_or_default(), tokens.unwrap_or_default())
}

/// The pools that the balance consists of.
pub(crate) fn grants(grants: &[Grant]) -> AnyView {
    const COLUMNS: [Column; 4] =
        [Column("Credit", Words), Column("Remaining", Figures), Column("Reserved now", Figures), Column("Expires", Figures)];
    let rows = grants.iter().map(|grant| {
        let expires = grant.expires_at.map_or_else(|| "never".to_owned(), |at| format!("{} UTC", time::minute(at)));
        let credit = with_note(text(grant.kind.label()), scope(grant));
        vec![credit, quantity_view(grant.balance, grant.unit), quantity_view(grant.leased, grant.unit), text(expires)].into()
    });
    table("cards", &COLUMNS, rows.collect(), None)
}

/// Of which unit it is, since credit of both may stand in one column.
fn quantity_view(quantity: Quantity, unit: Unit) -> AnyView {
    if unit == Unit::Money { money::total_view(Amount::from_nanos(quantity.get())) } else { text(money::tokens(quantity.get())) }
}

/// What it pays for, and from when, as far as that is not everything and always.
fn scope(grant: &Grant) -> String {
    let models = grant.models.as_ref().map(|models| format!("for {}", models.join(", ")));
    let starts = (grant.kind != GrantKind::Wallet).then(|| format!("from {} UTC", time::minute(grant.starts_at)));
    models.into_iter().chain(starts).collect::<Vec<_>>().join(", ")
}

/// The running hour and the postings, newest first.
pub(crate) fn journal(statement: Statement, has_newer: bool, path: &str) -> AnyView {
    const COLUMNS: [Column; 5] = [
        Column("When", Words),
        Column("Entry", Words),
        Column("What for", Words),
        Column("Amount", Figures),
        Column("Balance after", Figures),
    ];
    let Statement { balance, open_hour, journal } = statement;
    let running = open_hour.filter(|_| !has_newer).map(|open| vec![running(open, balance.balance)]);
    let groups: Vec<Vec<Row>> = running.into_iter().chain(journal.lines.into_iter().map(line)).collect();
    if groups.is_empty() {
        let first = link(path.to_owned(), "The newest entries");
        return if has_newer { empty("There are no older entries.", first) } else { empty("Nothing has been posted yet.", ()) };
    }
    let newest = has_newer.then(|| path.to_owned());
    let older = journal.next.map(|next| format!("{path}?before={next}"));
    let rule = view! { <p class="subtitle">"Calls are posted once an hour, and each posting seals those before it."</p> };
    stack(vec![rule.into_any(), folding_table("cards", &COLUMNS, groups), pager(newest, older)])
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
fn line(line: StatementLine) -> Vec<Row> {
    match line {
        StatementLine::Posting(row) => vec![posting(row)],
        StatementLine::Usage(hours) => usage(&hours),
    }
}

fn posting(row: JournalRow) -> Row {
    let by = (!row.actor.is_empty()).then(|| view! { <span class="by">"by "{foreign(&row.actor)}</span> });
    let of = row.calls.is_some().then(|| format!("{}: ", calls(row.calls)));
    vec![
        time::time_view(row.event_at, time::minute(row.event_at)),
        with_note(text(row.kind.label()), number(row.number)),
        view! { <span>{of}{foreign(&row.memo)}</span>{by} }.into_any(),
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
    use domain::{
        billing::{JournalKind, JournalPage},
        id::GrantId,
        pricing::Excess,
    };

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
        let balance = Balance { balance: "4.125".parse().unwrap(), ..Balance::default() };
        let statement = Statement { balance, open_hour, journal: JournalPage { lines, next: None } };
        Owner::new().with(|| journal(statement, has_newer, "/billing").to_html())
    }

    /// The headline figures of a balance.
    fn figures_of(amount: &str, available: &str, lent: &str) -> String {
        let [amount, available, lent] = [amount, available, lent].map(|amount| amount.parse().unwrap());
        let credit = Balance { balance: amount, available, lent, ..Balance::default() };
        Owner::new().with(|| balance(&credit).to_html())
    }

    #[test]
    fn what_is_lent_is_said_of_what_is_available_and_nothing_where_nothing_is() {
        let html = figures_of("1", "6.5", "5.5");
        assert!(html.contains("what new calls can use, $5.50 lent included"), "{html}");
        let html = figures_of("1", "1", "0");
        assert!(html.contains("what new calls can use<") && !html.contains("lent"), "{html}");
    }

    #[test]
    fn what_is_counted_in_tokens_is_said_beside_the_money_and_listed_in_tokens() {
        let grant = Grant {
            id: GrantId::new(chrono::DateTime::UNIX_EPOCH, [1; 10]),
            kind: GrantKind::Package,
            unit: Unit::Tokens,
            balance: Quantity::from_count(8_900),
            granted: Quantity::from_count(10_000),
            leased: Quantity::from_count(1),
            models: None,
            starts_at: chrono::DateTime::UNIX_EPOCH,
            expires_at: None,
        };
        let credit = Balance { grants: vec![grant.clone()], ..Balance::default() };
        assert!(!credit.is_spent(chrono::DateTime::UNIX_EPOCH) && Balance::default().is_spent(chrono::DateTime::UNIX_EPOCH));
        let drawn = Owner::new().with(|| balance(&credit).to_html());
        assert!(drawn.contains("what new calls can use, beside the tokens below"), "{drawn}");
        let listed = Owner::new().with(|| grants(&[grant]).to_html());
        assert!(listed.contains(">8,900 tokens<") && listed.contains(">1 token<") && !listed.contains('$'), "{listed}");
    }

    #[test]
    fn a_lenient_account_is_told_that_calls_may_cost_more_than_was_held_for_them() {
        let html = |excess| Owner::new().with(|| balance(&Balance { excess, ..Balance::default() }).to_html());
        assert!(html(Excess::Charged).contains(LENIENT), "{}", html(Excess::Charged));
        assert!(!html(Excess::WrittenOff).contains(LENIENT), "{}", html(Excess::WrittenOff));
    }

    #[test]
    fn a_balance_below_zero_has_its_sign_and_every_digit() {
        let html = figures_of("-2.5001", "2.4999", "5");
        assert!(html.contains(">−$2.50<") && html.contains(">−$2.5001<") && html.contains(">$2.4999<"), "{html}");
        let html = figures_of("-0.0005", "-0.0005", "0");
        assert_eq!(html.matches(">−$0.0005<").count(), 2, "however little is owed, it does not look like nothing: {html}");
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
}
