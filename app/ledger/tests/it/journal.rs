//! The journal in parts and by months.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    billing::{JournalRow, MonthBalance, StatementLine},
    journal::{JournalFilter, JournalPart},
    money::Amount,
    month::CalendarMonth,
};
use ledger::{AccountReader, JournalSlice};
use sqlx::PgPool;

use crate::world::World;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Every posting of a filter, oldest first, read by pages of two lines.
async fn walk(reader: &AccountReader, filter: JournalFilter, now: DateTime<Utc>) -> (Vec<JournalRow>, Option<MonthBalance>) {
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let statement = reader.statement_of(JournalSlice { filter, before, lines: 2 }, now).await.unwrap();
        rows.extend(statement.journal.lines.iter().flat_map(StatementLine::rows).cloned());
        before = statement.journal.next;
        if before.is_none() {
            rows.reverse();
            return (rows, statement.month);
        }
    }
}

fn sum(rows: &[JournalRow]) -> Amount {
    Amount::checked_sum(rows.iter().map(|row| row.amount)).unwrap()
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_month_leads_from_its_opening_to_its_closing_and_the_next_one_goes_on_from_there(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    world.ledger.system().make_partitions(at("2026-08-15T00:00:00Z")).await.unwrap();
    let instants = [
        "2026-06-30T22:30:00Z",
        "2026-06-30T23:59:59Z",
        "2026-07-01T00:00:00Z",
        "2026-07-01T05:00:00Z",
        "2026-07-31T12:00:00Z",
        "2026-09-01T00:10:00Z",
    ];
    for (number, instant) in (1..).zip(instants) {
        world.now = at(instant);
        let then = world.ledger.dated(world.now);
        then.owner(ada.user).await.unwrap().top_up(world.money("5", instant)).await.unwrap();
        let call = world.call(ada, 1_000 * number, 10, TimeDelta::minutes(1));
        assert_eq!(then.meter().post_calls(&[call]).await.unwrap().posted, 1);
    }
    world.now += TimeDelta::hours(1);
    world.ledger.system().close_hours().await.unwrap();

    let reader = world.ledger.reader(ada.user).await.unwrap();
    let (all, none) = walk(&reader, JournalFilter::default(), world.now).await;
    assert_eq!((all.len(), none), (12, None));
    let (mut found, mut opening) = (Vec::new(), Amount::ZERO);
    for (month, postings) in [("2026-05", 0), ("2026-06", 4), ("2026-07", 6), ("2026-08", 0), ("2026-09", 2)] {
        let month = month.parse().unwrap();
        let of = async |part| walk(&reader, JournalFilter { part, month: Some(month) }, world.now).await;
        let (rows, balance) = of(JournalPart::Everything).await;
        let (money, usage) = (of(JournalPart::Money).await.0, of(JournalPart::Usage).await.0);
        assert_eq!(rows.len(), postings, "{month}");
        assert!(rows.iter().all(|row| CalendarMonth::of(row.posted_at) == month), "{month}: {rows:?}");
        assert!(money.iter().all(|row| !row.kind.is_of_calls()) && usage.iter().all(|row| row.kind.is_of_calls()));
        assert_eq!(money.len() + usage.len(), postings, "{month}");

        let balance = balance.unwrap();
        assert_eq!((balance.moved, balance.used, balance.opening), (sum(&money), sum(&usage), opening), "{month}");
        assert_eq!(Amount::checked_sum([balance.opening, balance.moved, balance.used]), Some(balance.closing), "{month}");
        opening = balance.closing;
        found.extend(rows);
    }
    assert_eq!(found, all, "each posting is of one month");
    assert_eq!(opening, world.balance(ada).await.balance);
}
