//! Statements of months.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    billing::JournalKind,
    money::Amount,
    month::CalendarMonth,
    monthly::{MonthlyStatement, Used},
    usage::Totals,
};
use ledger::{Error, Ledger, MoneyIn, SettledCall};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sqlx::{PgPool, Row};

use crate::world::{Customer, World, amount};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A call that began then.
fn call_at(world: &World, customer: Customer, start: DateTime<Utc>, tokens: i64) -> SettledCall {
    world.call(customer, tokens, 0, world.now - start)
}

async fn post(world: &World, when: DateTime<Utc>, calls: &[SettledCall]) {
    let done = world.ledger.dated(when).meter().post_calls(calls).await.unwrap();
    assert_eq!((done.posted, done.quarantined.len()), (calls.len(), 0));
}

/// Half of a unit is given then, which sums up whatever hour ended before. The job that does so goes by PostgreSQL's clock, and dates what follows by it.
async fn give(world: &mut World, when: DateTime<Utc>, of: Customer) {
    let money = world.money("0.5", "half");
    let key = when.to_rfc3339();
    world.ledger.dated(when).system().operator().credit(of.account, MoneyIn { idempotency_key: &key, ..money }).await.unwrap();
}

async fn statement(world: &World, of: Customer, month: &str) -> MonthlyStatement {
    world.ledger.reader(of.user).await.unwrap().monthly(month.parse().unwrap(), Utc::now()).await.unwrap()
}

/// An account of 10 that was paid in during June 2026, and a ledger that has months for its calls.
async fn june(pool: PgPool) -> (World, Customer) {
    let mut world = World::new(pool).await;
    world.ledger.system().make_partitions_from("2026-03-01".parse().unwrap(), 8).await.unwrap();
    let ada = world.customer("ada", "10").await;
    (world, ada)
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_comes_after_a_month_is_closed_stands_in_a_later_statement(pool: PgPool) {
    let (mut world, ada) = june(pool).await;
    let early = call_at(&world, ada, at("2026-06-30T20:00:00Z"), 1_000);
    post(&world, at("2026-06-30T20:01:00Z"), std::slice::from_ref(&early)).await;
    let open = statement(&world, ada, "2026-06").await;
    assert!(!open.is_closed && open.used == Used::default(), "the hour is not summed up yet: {open:?}");
    give(&mut world, at("2026-06-30T23:30:00Z"), ada).await;
    let booked = statement(&world, ada, "2026-06").await;
    assert!(!booked.is_closed, "something may still be posted of that day");
    assert_eq!(booked.used.totals.requests, 1);

    // What is posted on the first of July closes June.
    post(&world, at("2026-07-01T00:00:01Z"), &[call_at(&world, ada, at("2026-07-01T00:00:00Z"), 10)]).await;
    let june = statement(&world, ada, "2026-06").await;
    assert_eq!(june, MonthlyStatement { is_closed: true, ..booked });
    assert_eq!((june.opening.money, june.closing.money), (Amount::ZERO, amount("10.499")));

    // A late call, a correction, a credit, and a payment, all of June.
    let late = call_at(&world, ada, at("2026-06-29T09:00:00Z"), 2_000);
    post(&world, at("2026-07-02T08:00:00Z"), &[late]).await;
    let ledger = world.ledger.dated(at("2026-07-03T08:00:00Z"));
    ledger.system().operator().credit_call(early.call_id, world.give_back(Some("0.0004"), "back")).await.unwrap();
    ledger.system().account(ada.account).top_up(world.money("5", "more")).await.unwrap();
    // Not even what claims to have been posted then.
    world.ledger.dated(at("2026-06-20T08:00:00Z")).system().account(ada.account).top_up(world.money("1", "back in time")).await.unwrap();
    give(&mut world, at("2026-07-04T08:00:00Z"), ada).await;

    assert_eq!(statement(&world, ada, "2026-06").await, june, "a closed month never changes");
    let july = statement(&world, ada, "2026-07").await;
    assert_eq!((july.opening, july.used.totals.amount), (june.closing, amount("0.00001")));
    assert_eq!((july.late.totals.amount, july.late.totals.requests), (amount("0.0016"), 1), "0.002, less what was given back");
    assert_eq!(july.late.by_day.iter().map(|(day, _)| day.to_rfc3339()[..10].to_owned()).collect::<Vec<_>>(), ["2026-06-29", "2026-06-30"]);
    assert_eq!(july.closing.money, amount("16.99739"));
    assert_eq!(
        july.movements.iter().map(|one| (one.kind, one.change.money)).collect::<Vec<_>>(),
        [(JournalKind::TopUp, amount("5")), (JournalKind::TopUp, amount("1")), (JournalKind::Adjustment, amount("0.5"))]
    );
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn there_are_statements_from_the_first_posting_to_the_running_month(pool: PgPool) {
    let (mut world, ada) = june(pool).await;
    let bob = world.customer("bob", "0").await;
    let reader = world.ledger.reader(ada.user).await.unwrap();
    let now = at("2026-08-15T00:00:00Z");
    let months = reader.months(now).await.unwrap();
    assert_eq!(months.iter().map(|(month, _)| month.to_string()).collect::<Vec<_>>(), ["2026-08", "2026-07", "2026-06"]);
    for wrong in ["2026-05", "2026-09"] {
        assert!(matches!(reader.monthly(wrong.parse().unwrap(), now).await, Err(Error::NotFound)), "{wrong}");
    }
    let of_bob = world.ledger.reader(bob.user).await.unwrap();
    assert_eq!(of_bob.months(now).await.unwrap(), []);
    assert!(matches!(of_bob.monthly("2026-06".parse().unwrap(), now).await, Err(Error::NotFound)));
}

/// What happened to an account, with when it was posted.
#[derive(Debug, Clone)]
enum Step {
    /// Calls that began so many hours before.
    Calls(Vec<(i64, i64)>),
    /// One of those posted so far, by its place, is given back in part.
    GiveBack(usize),
    TopUp(i64),
    TakeBack,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let calls = prop::collection::vec((0_i64..1_500, 1_i64..5_000), 1..6).prop_map(Step::Calls);
    let step = prop_oneof![6 => calls, 2 => any::<usize>().prop_map(Step::GiveBack), 1 => (1_i64..20).prop_map(Step::TopUp), 1 => Just(Step::TakeBack)];
    prop::collection::vec((2_i64..40, step), 40)
}

async fn act(world: &mut World, ledger: &Ledger, ada: Customer, now: DateTime<Utc>, key: &str, step: Step, posted: &mut Vec<SettledCall>) {
    let operator = ledger.system().operator();
    match step {
        Step::Calls(calls) => {
            let calls: Vec<_> =
                calls.into_iter().map(|(hours, tokens)| call_at(world, ada, now - TimeDelta::hours(hours), tokens)).collect();
            assert_eq!(ledger.meter().post_calls(&calls).await.unwrap().posted, calls.len());
            posted.extend(calls);
        }
        // All of a call may be back already.
        Step::GiveBack(place) if !posted.is_empty() => {
            let call = posted[place % posted.len()].call_id;
            drop(operator.credit_call(call, world.give_back(Some("0.000001"), key)).await);
        }
        Step::GiveBack(_) => {}
        Step::TopUp(units) => drop(ledger.system().account(ada.account).top_up(world.money(&units.to_string(), key)).await.unwrap()),
        Step::TakeBack => drop(operator.credit(ada.account, world.money("-0.01", key)).await.unwrap()),
    }
}

/// What the calls and the corrections themselves say of a month: what was posted in it, before or since it began.
async fn from_the_rows(world: &World, month: CalendarMonth) -> BTreeMap<bool, (i64, i64, i64)> {
    let range = month.range();
    let rows = sqlx::query(
        "select started_at < $1, sum(requests)::bigint, sum(total_tokens)::bigint, sum(amount)::bigint from dated_figures
         where posted_at >= $1 and posted_at < $2 group by 1",
    );
    let rows = rows.bind(range.from).bind(range.to).fetch_all(&world.pool).await.unwrap();
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect()
}

fn sums(used: &Used) -> (i64, i64, i64) {
    let Totals { requests, total_tokens, amount, .. } = used.totals;
    (requests, total_tokens.get(), amount.nanos())
}

/// Months chain, each says what was posted in it, and none that is closed changes by what follows.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn statements_journal_and_calls_agree_whatever_happens(pool: PgPool) {
    let (mut world, ada) = june(pool).await;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut now, mut posted) = (at("2026-06-15T13:00:00Z"), Vec::new());
    let mut closed: BTreeMap<CalendarMonth, MonthlyStatement> = BTreeMap::new();
    for (place, (hours, step)) in steps().new_tree(&mut runner).unwrap().current().into_iter().enumerate() {
        now += TimeDelta::hours(hours);
        let ledger = world.ledger.dated(now);
        act(&mut world, &ledger, ada, now, &format!("step {place}"), step, &mut posted).await;
        give(&mut world, now + TimeDelta::hours(1), ada).await;
        let reader = ledger.reader(ada.user).await.unwrap();
        let mut before: Option<MonthlyStatement> = None;
        for (month, is_closed) in reader.months(now).await.unwrap().into_iter().rev() {
            let statement = reader.monthly(month, now).await.unwrap();
            assert_eq!((statement.is_closed, statement.contradiction()), (is_closed, None), "{month}");
            assert!(before.is_none_or(|before| before.closing == statement.opening), "{month} follows on the month before");
            let rows = from_the_rows(&world, month).await;
            let expected = [false, true].map(|is_late| rows.get(&is_late).copied().unwrap_or_default());
            assert_eq!([sums(&statement.used), sums(&statement.late)], expected, "{month}");
            for part in [&statement.used, &statement.late] {
                let days: i64 = part.by_day.iter().map(|(_, totals)| totals.amount.nanos()).sum();
                let models: i64 = part.by_model.iter().map(|row| row.totals.amount.nanos()).sum();
                let keys: i64 = part.by_key.iter().map(|row| row.totals.amount.nanos()).sum();
                assert_eq!([days, models, keys], [part.totals.amount.nanos(); 3]);
            }
            if is_closed {
                assert_eq!(closed.entry(month).or_insert_with(|| statement.clone()), &statement, "{month} was closed");
            }
            before = Some(statement);
        }
        assert_eq!(before.unwrap().closing.money, reader.balance(now).await.unwrap().balance);
    }
    assert!(!closed.is_empty());
    assert!(statement(&world, ada, "2026-07").await.late.totals.requests > 0, "calls came late");
    world.assert_proven().await;
}
