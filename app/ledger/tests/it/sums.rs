//! That whoever adds up the same calls finds the same: days, hours and months, the range, each way of dividing it, the log, what programs read, and the
//! journal. Of random calls at the edges of days, months, a leap day and a year, some of them posted weeks later, settled twice or given back.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    call::CallRow,
    filter::{CallFilter, GroupBy, UsageFilter},
    journal::{JournalFilter, JournalPart},
    money::Amount,
    month::CalendarMonth,
    period::{Period, Range, Step, start_of},
    tokens::Tokens,
    usage::{Dimensions, Totals, UsageReport},
};
use ledger::{AccountReader, BucketQuery, JournalSlice};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngSeed, TestRunner},
};
use sqlx::PgPool;

use crate::world::{Customer, World};

const ACCOUNTS: usize = 6;
const EDGES: [&str; 6] = [
    "2023-12-31T23:59:59.999Z",
    "2024-01-31T23:59:59.999Z",
    "2024-02-28T23:59:59.999Z",
    "2024-02-29T23:59:59.999Z",
    "2024-02-29T22:59:59.999Z",
    "2024-03-30T23:59:59.999Z",
];

/// What becomes of a call after it was posted.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Stays,
    /// It was posted as interrupted, and is settled so many hours later.
    Late(i64),
    GivenBack,
}

#[derive(Debug, Clone)]
struct Event {
    start: DateTime<Utc>,
    prompt: i64,
    completion: i64,
    /// Hours until it is posted.
    posted_after: i64,
    fate: Fate,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Half of the calls begin in the milliseconds around an edge.
fn event() -> impl Strategy<Value = Event> {
    let near = (prop::sample::select(EDGES.to_vec()), 0..3_i64).prop_map(|(edge, after)| at(edge) + TimeDelta::milliseconds(after));
    let anywhere = (0..100 * 86_400_000_i64).prop_map(|after| at("2023-12-15T00:00:00Z") + TimeDelta::milliseconds(after));
    let later = prop_oneof![Just(0), Just(1), 0..900_i64];
    let fate = prop_oneof![3 => Just(Fate::Stays), 1 => (0..900_i64).prop_map(Fate::Late), 1 => Just(Fate::GivenBack)];
    (prop_oneof![near, anywhere], 0..5_000_i64, 0..5_000_i64, later, fate)
        .prop_map(|(start, prompt, completion, posted_after, fate)| Event { start, prompt, completion, posted_after, fate })
}

/// What a call comes to in the end.
#[derive(Debug, Clone, Copy)]
struct Fact {
    start: DateTime<Utc>,
    totals: Totals,
}

/// Posts the calls as production does, each at its time, and returns what they come to by themselves.
async fn live(world: &mut World, customer: Customer, events: &[Event]) -> Vec<Fact> {
    let mut facts = Vec::new();
    // What is done when, oldest first: books never run backwards.
    let mut deeds: Vec<(DateTime<Utc>, usize, bool)> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let posted = event.start + TimeDelta::hours(event.posted_after) + TimeDelta::seconds(1);
        deeds.push((posted, place, true));
        match event.fate {
            Fate::Stays => {}
            Fate::Late(hours) => deeds.push((posted + TimeDelta::hours(hours) + TimeDelta::seconds(1), place, false)),
            Fate::GivenBack => deeds.push((posted + TimeDelta::minutes(1), place, false)),
        }
    }
    deeds.sort();
    let mut intents = Vec::new();
    for event in events {
        world.now = event.start;
        intents.push(world.intent(customer, "900"));
    }
    for (when, place, is_first) in deeds {
        let (event, intent) = (&events[place], &intents[place]);
        let then = world.ledger.dated(when);
        let settled = world.settle(intent, customer, event.prompt, event.completion);
        match (event.fate, is_first) {
            (Fate::Late(_), true) => {
                let assumed = world.interrupt(intent, customer);
                assert_eq!(then.meter().post_calls(&[assumed]).await.unwrap().posted, 1);
            }
            (Fate::Late(_), false) => assert_eq!(then.meter().post_calls(&[settled]).await.unwrap().corrected, 1),
            (_, true) => assert_eq!(then.meter().post_calls(&[settled]).await.unwrap().posted, 1),
            (_, false) => {
                let key = format!("back {place}");
                // A call that cost nothing has nothing to give back.
                if settled.amount > Amount::ZERO {
                    let credit = world.give_back(None, &key);
                    then.system().operator().credit_call(intent.call_id, credit).await.unwrap();
                }
            }
        }
        if is_first {
            let settled = world.settle(intent, customer, event.prompt, event.completion);
            let cost = if matches!(event.fate, Fate::GivenBack) { Amount::ZERO } else { settled.amount };
            let totals = Totals {
                requests: 1,
                prompt_tokens: Tokens::from_sum(event.prompt),
                completion_tokens: Tokens::from_sum(event.completion),
                total_tokens: Tokens::from_sum(event.prompt + event.completion),
                amount: cost,
            };
            facts.push(Fact { start: event.start, totals });
        }
    }
    facts
}

fn sum(parts: impl IntoIterator<Item = Totals>) -> Totals {
    parts.into_iter().try_fold(Totals::default(), Totals::checked_add).unwrap()
}

/// Every figure of a report is the same sum.
fn assert_adds_up(report: &UsageReport, expected: Totals) {
    let what = (report.range, report.step);
    assert_eq!(report.totals, expected, "the range: {what:?}");
    for rows in [&report.by_key, &report.by_model, &report.by_project] {
        assert_eq!(sum(rows.iter().map(|row| row.totals)), expected, "{what:?}");
    }
    assert_eq!(
        sum(report.series.iter().flat_map(|one| one.per_step.iter().copied())),
        expected,
        "the bars, which the file lists: {what:?}"
    );
}

async fn costs_in_the_log(reader: &AccountReader, filter: &CallFilter, now: DateTime<Utc>) -> (i64, Amount) {
    let (mut rows, mut before): (Vec<CallRow>, _) = (Vec::new(), None);
    loop {
        let page = reader.calls(filter, before, 7, now).await.unwrap();
        rows.extend(page.calls);
        before = page.next;
        if before.is_none() {
            return (i64::try_from(rows.len()).unwrap(), Amount::checked_sum(rows.iter().map(CallRow::cost)).unwrap());
        }
    }
}

/// What programs read of a range, told apart by everything.
async fn buckets(world: &World, customer: Customer, range: Range, step: Step) -> Totals {
    let by = Dimensions { key: true, project: true, model: true };
    let (account, none) = (customer.account, None);
    let query = BucketQuery { account, range, step, by, keys: None, projects: None, models: none, rows_max: 100_000 };
    sum(world.ledger.meter().buckets(&query).await.unwrap().into_iter().map(|row| row.totals))
}

async fn assert_agrees(world: &World, customer: Customer, (from, to): (NaiveDate, NaiveDate), facts: &[Fact]) {
    let reader = world.ledger.reader(customer.user).await.unwrap();
    let calls = CallFilter { period: Period::Custom { from, to }, ..CallFilter::default() };
    let range = calls.period.range(world.now);
    let expected = sum(facts.iter().filter(|fact| range.from <= fact.start && fact.start < range.to).map(|fact| fact.totals));
    let steps = if (to - from).num_days() < 8 { &Step::ALL[..] } else { &[Step::Day, Step::Month] };
    for (step, group) in steps.iter().flat_map(|step| GroupBy::ALL.map(|group| (*step, group))) {
        let filter = UsageFilter { calls: calls.clone(), step: Some(step), group };
        assert_adds_up(&reader.usage(&filter, world.now).await.unwrap(), expected);
    }
    for step in [Step::Hour, Step::Day] {
        assert_eq!(buckets(world, customer, range, step).await, expected, "{range:?} by the {}", step.name());
    }
    assert_eq!(costs_in_the_log(&reader, &calls, world.now).await, (expected.requests, expected.amount), "the log of {range:?}");
}

/// The books go by when something was posted: all of it is in them, month by month and in all.
async fn assert_in_the_books(world: &World, customer: Customer, facts: &[Fact]) {
    let cost = sum(facts.iter().map(|fact| fact.totals)).amount;
    let reader = world.ledger.reader(customer.user).await.unwrap();
    let of = async |filter| reader.statement_of(JournalSlice { filter, before: None, lines: 10_000 }, world.now).await.unwrap();
    let posted = of(JournalFilter { part: JournalPart::Usage, month: None }).await.journal;
    let posted = Amount::checked_sum(posted.lines.iter().flat_map(|line| line.rows()).map(|row| row.amount)).unwrap();
    assert_eq!(posted.checked_neg(), Some(cost), "the journal's usage");
    let (mut used, mut opening) = (Amount::ZERO, Amount::ZERO);
    for month in CalendarMonth::of(world.now).back_to(CalendarMonth::of(at("2023-12-01T00:00:00Z"))).collect::<Vec<_>>().into_iter().rev() {
        let month = of(JournalFilter { part: JournalPart::Usage, month: Some(month) }).await.month.unwrap();
        assert_eq!((month.opening, Amount::checked_sum([month.opening, month.moved, month.used])), (opening, Some(month.closing)));
        used = used.checked_add(month.used).unwrap();
        opening = month.closing;
    }
    assert_eq!(used.checked_neg(), Some(cost), "the months of the journal");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn everything_that_adds_up_the_same_calls_finds_the_same(pool: PgPool) {
    let mut world = World::new(pool).await;
    world.ledger.system().make_partitions_from(day("2023-12-01"), 7).await.unwrap();
    let config = ProptestConfig { rng_seed: RngSeed::Fixed(20), ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let events = prop::collection::vec(event(), 12..30);
    let days = (0..95_i64, 0..60_i64).prop_map(|(from, length)| {
        let from = day("2023-12-15") + TimeDelta::days(from);
        (from, from + TimeDelta::days(length))
    });
    for account in 0..ACCOUNTS {
        world.now = at("2023-12-01T00:00:00Z");
        let dated = world.ledger.dated(world.now);
        let ledger = std::mem::replace(&mut world.ledger, dated);
        let customer = world.customer(&format!("c{account}"), "1000").await;
        world.ledger = ledger;
        let facts = live(&mut world, customer, &events.new_tree(&mut runner).unwrap().current()).await;
        world.now = start_of(day("2024-06-20"));
        world.ledger.system().close_hours().await.unwrap();
        assert_in_the_books(&world, customer, &facts).await;
        let ranges = (0..6).map(|_| days.new_tree(&mut runner).unwrap().current()).collect::<Vec<_>>();
        let named =
            [("2024-02-01", "2024-02-29"), ("2023-12-31", "2024-01-01"), ("2024-02-29", "2024-02-29"), ("2023-12-15", "2024-05-31")];
        for range in ranges.into_iter().chain(named.map(|(from, to)| (day(from), day(to)))) {
            assert_agrees(&world, customer, range, &facts).await;
        }
    }
}
