use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    attribution::{Attribution, Label, Tags},
    call::{CallDetail, CallRow, Outcome},
    filter::{CallFilter, GroupBy, TagFilter, UsageFilter},
    id::ProjectId,
    money::Amount,
    period::{Period, Step},
    usage::Totals,
};
use ledger::{AccountReader, NewKey, NewProject};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sqlx::PgPool;

use crate::world::{Customer, MODEL, World};

/// Calls of two keys over forty days, streaming or not, the same in every run.
async fn busy_account(world: &mut World) -> Customer {
    let ada = world.customer("ada", "100").await;
    let secret = world.secret();
    let (new_key, research) = (world.new_key(ada, &secret, "second"), project(world, 1));
    let (second, owner) = (new_key.id, world.ledger.owner(ada.user).await.unwrap());
    owner.add_project(NewProject { id: research, name: "Research", now: world.now }).await.unwrap();
    owner.create_key(NewKey { project: research, ..new_key }).await.unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let shapes = prop::collection::vec((0_i64..2_000, 0_i64..2_000, 0_i64..57_600, any::<bool>(), any::<bool>()), 300);
    let shapes = shapes.new_tree(&mut runner).unwrap().current();
    let start = world.now - TimeDelta::days(30);
    world.ledger.system().make_partitions_from(start.date_naive() - TimeDelta::days(31), 4).await.unwrap();
    let calls: Vec<_> = shapes
        .into_iter()
        .map(|(prompt, completion, minutes, stream, other_key)| {
            let mut call = world.call(ada, prompt, completion, TimeDelta::minutes(minutes));
            call.outcome = if minutes % 13 == 0 { Outcome::ClientLeft } else { Outcome::Ok };
            call.admitted.stream = stream;
            if other_key {
                (call.admitted.key_id, call.admitted.project_id) = (second, research);
            }
            call.admitted.attribution = said(minutes);
            call
        })
        .collect();
    world.post(&calls).await.unwrap();
    let back = world.give_back(Some("0.000001"), "back");
    world.ledger.system().operator().credit_call(calls[1].call_id, back).await.unwrap();
    ada
}

fn project(world: &World, number: u8) -> ProjectId {
    ProjectId::new(world.now, [number; 10])
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

/// Of most calls something is said, never everything.
fn said(minutes: i64) -> Attribution {
    let mut tags = Tags::default();
    if minutes % 3 == 0 {
        tags.insert("team", if minutes % 2 == 0 { "search" } else { "support" }).unwrap();
    }
    if minutes % 5 == 0 {
        tags.insert("team=search", "no=team").unwrap();
    }
    Attribution {
        end_user: (minutes % 4 != 0).then(|| label(&format!("user {}", minutes % 7))),
        session: (minutes % 11 < 3).then(|| label(&format!("run {}", minutes / 100))),
        client: (minutes % 10 != 0).then(|| label(if minutes % 2 == 0 { "curl 8" } else { "OpenAI/Python 1" })),
        tags,
    }
}

/// One of each kind of what only the calls say, and two together.
fn of_calls() -> Vec<CallFilter> {
    let tag = |name: &str, value: Option<&str>| Some(TagFilter { name: label(name), value: value.map(label) });
    let all = CallFilter::default;
    vec![
        CallFilter { end_user: Some(label("user 3")), ..all() },
        CallFilter { end_user: Some(label("user 9")), ..all() },
        CallFilter { session: Some(label("run 5")), ..all() },
        CallFilter { tag: tag("team", Some("search")), ..all() },
        CallFilter { tag: tag("team", None), ..all() },
        CallFilter { tag: tag("team=search", None), ..all() },
        CallFilter { tag: tag("team=search", Some("no=team")), end_user: Some(label("user 5")), ..all() },
        CallFilter { tag: tag("team", Some("support")), stream: Some(true), client: Some(label("OpenAI/Python 1")), ..all() },
    ]
}

fn sum(parts: impl IntoIterator<Item = Totals>) -> Totals {
    parts.into_iter().fold(Totals::default(), |sum, part| sum.checked_add(part).unwrap())
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn cards_chart_tables_and_log_agree_under_every_filter(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = busy_account(&mut world).await;
    let reader = world.ledger.reader(ada.user).await.unwrap();
    for period in Period::PRESETS {
        for key in [None, Some(ada.key)] {
            for stream in [None, Some(true)] {
                for (step, group) in
                    [(Some(Step::Hour), GroupBy::Key), (Some(Step::Day), GroupBy::Model), (Some(Step::Month), GroupBy::None)]
                {
                    let calls = CallFilter { period, key, stream, ..CallFilter::default() };
                    assert_agreement(&reader, &UsageFilter { calls, step, group }, world.now).await;
                }
            }
        }
    }
    let narrowed = of_calls().into_iter().chain([
        CallFilter { project: Some(project(&world, 1)), ..CallFilter::default() },
        CallFilter { client: Some(label("curl 8")), ..CallFilter::default() },
    ]);
    for calls in narrowed {
        for period in [Period::Today, Period::Last30Days] {
            let calls = CallFilter { period, ..calls.clone() };
            assert_agreement(&reader, &UsageFilter { calls, step: None, group: GroupBy::Project }, world.now).await;
        }
    }
    world.assert_proven().await;
}

async fn assert_agreement(reader: &AccountReader, filter: &UsageFilter, now: DateTime<Utc>) {
    let report = reader.usage(filter, now).await.unwrap();
    let log = reader.calls(&filter.calls, None, 1_000, now).await.unwrap();
    let what = filter.to_query();
    assert_eq!(sum(report.series.iter().map(|one| one.totals)), report.totals, "{what}");
    assert_eq!(sum(report.series.iter().flat_map(|one| one.per_step.clone())), report.totals, "{what}");
    for rows in [&report.by_key, &report.by_model, &report.by_project] {
        assert_eq!(sum(rows.iter().map(|row| row.totals)), report.totals, "{what}");
    }
    assert_eq!(i64::try_from(log.calls.len()).unwrap(), report.totals.requests, "{what}");
    assert_eq!(Amount::checked_sum(log.calls.iter().map(CallRow::cost)).unwrap(), report.totals.amount, "{what}");
}

/// What is compared ends in the middle of an hour, of which no sum knows a part.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_compared_is_exactly_what_was_used_by_then(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = busy_account(&mut world).await;
    let reader = world.ledger.reader(ada.user).await.unwrap();
    let ever = CallFilter::from_query("from=2020-01-01&to=2030-01-01").unwrap();
    let of_sums = [
        CallFilter::default(),
        CallFilter { key: Some(ada.key), ..CallFilter::default() },
        CallFilter { stream: Some(true), client: Some(label("curl 8")), ..CallFilter::default() },
    ];
    assert!(reader.usage(&UsageFilter::default(), world.now).await.unwrap().before.is_none(), "the account is younger than that");
    sqlx::query("update accounts set created_at = created_at - interval '1 year'").execute(&world.pool).await.unwrap();
    for filter in of_sums.into_iter().chain(of_calls()) {
        let log = reader.calls(&CallFilter { period: ever.period, ..filter.clone() }, None, 1_000, world.now).await.unwrap().calls;
        // Cut right after calls of many hours, so that the last hour holds some.
        for (call, period) in log.iter().step_by(9).zip([Period::Today, Period::Last7Days, Period::ThisMonth].into_iter().cycle()) {
            let now = call.started_at + TimeDelta::days(if period == Period::Last7Days { 7 } else { 1 }) + TimeDelta::seconds(1);
            let calls = CallFilter { period, ..filter.clone() };
            let what = calls.to_query();
            let before = reader.usage(&UsageFilter { calls, ..UsageFilter::default() }, now).await.unwrap().before.unwrap();
            let used: Vec<_> =
                log.iter().filter(|call| before.range.from <= call.started_at && call.started_at < before.range.to).collect();
            assert_eq!(i64::try_from(used.len()).unwrap(), before.totals.requests, "{what}");
            assert_eq!(Amount::checked_sum(used.iter().map(|call| call.cost())).unwrap(), before.totals.amount, "{what}");
        }
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn pages_of_the_log_show_every_call_once_newest_first(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = busy_account(&mut world).await;
    let reader = world.ledger.reader(ada.user).await.unwrap();
    let everything = reader.calls(&CallFilter::default(), None, 1_000, world.now).await.unwrap().calls;
    let all = || CallFilter::default();
    let of_sums = [
        all(),
        CallFilter { key: Some(ada.key), ..all() },
        CallFilter { model: Some(MODEL.to_owned()), stream: Some(false), ..all() },
        CallFilter { outcome: Some(Outcome::ClientLeft), ..all() },
        CallFilter { outcome: Some(Outcome::Interrupted), ..all() },
        CallFilter { project: Some(project(&world, 1)), ..all() },
        CallFilter { project: Some(project(&world, 2)), ..all() },
        CallFilter { client: Some(label("curl 8")), outcome: Some(Outcome::ClientLeft), ..all() },
    ];
    let mut details = Vec::new();
    for call in &everything {
        details.push(reader.call(call.id).await.unwrap());
    }
    for filter in of_sums.into_iter().chain(of_calls()) {
        let is_of = |call: &&CallDetail| {
            let said = &call.attribution;
            let is_tagged =
                |tag: &TagFilter| said.tags.get(tag.name.as_str()).is_some_and(|value| tag.value.as_ref().is_none_or(|of| of == value));
            filter.key.is_none_or(|key| key == call.row.key_id)
                && filter.model.as_ref().is_none_or(|model| *model == call.row.model)
                && filter.outcome.is_none_or(|outcome| outcome == call.row.outcome)
                && filter.stream.is_none_or(|stream| stream == call.row.stream)
                && filter.project.is_none_or(|project| project == call.project.id)
                && (filter.client.is_none() || filter.client == said.client)
                && (filter.end_user.is_none() || filter.end_user == said.end_user)
                && (filter.session.is_none() || filter.session == said.session)
                && filter.tag.as_ref().is_none_or(is_tagged)
        };
        let expected: Vec<_> = details.iter().filter(is_of).map(|call| call.row.clone()).collect();
        for size in [1, 7, 1_000] {
            let (mut paged, mut before) = (Vec::new(), None);
            loop {
                let page = reader.calls(&filter, before, size, world.now).await.unwrap();
                paged.extend(page.calls);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(paged, expected, "{} by {size}", filter.to_query());
        }
    }
    assert!(everything.is_sorted_by(|a, b| (a.started_at, a.id) > (b.started_at, b.id)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_new_account_has_nothing_and_says_so(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let reader = world.ledger.reader(ada.user).await.unwrap();
    let report = reader.usage(&UsageFilter::default(), world.now).await.unwrap();
    assert_eq!((report.totals, report.series.len(), report.steps.len(), report.choices.keys.len()), (Totals::default(), 0, 30, 1));
    let ever = CallFilter::from_query("from=0001-01-01&to=9999-12-31&user=x").unwrap();
    assert_eq!(reader.calls(&ever, None, 50, world.now).await.unwrap().calls, [], "and does not look through eight thousand years");
    for filter in of_calls().into_iter().chain([CallFilter::default()]) {
        assert_eq!(reader.calls(&filter, None, 50, world.now).await.unwrap().calls, []);
        assert_eq!(
            reader.usage(&UsageFilter { calls: filter, ..UsageFilter::default() }, world.now).await.unwrap().totals,
            Totals::default()
        );
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn filters_offer_what_there_is(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = busy_account(&mut world).await;
    let choices = world.ledger.reader(ada.user).await.unwrap().filter_choices().await.unwrap();
    let names = |labels: &[Label]| labels.iter().map(|label| label.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(choices.projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["Default", "Research"]);
    assert_eq!(names(&choices.clients), ["OpenAI/Python 1", "curl 8"]);
    assert_eq!(names(&choices.end_users), (0..7).map(|number| format!("user {number}")).collect::<Vec<_>>());
    let tags: Vec<_> = choices.tags.iter().map(|(name, values)| (name.as_str(), names(values))).collect();
    assert_eq!(tags, [("team", vec!["search".to_owned(), "support".to_owned()]), ("team=search", vec!["no=team".to_owned()])]);
}

/// Only the owner of the schema may: a lost or a made-up sum is mended from the calls.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn sums_are_written_anew_from_the_calls(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = busy_account(&mut world).await;
    let bob = world.customer("bob", "1").await;
    let call = world.call(bob, 10, 10, TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    for change in [
        "delete from usage_hourly where requests = 1",
        "update usage_daily set amount = amount + 1",
        "update usage_hourly set client = client || '!'",
        "insert into usage_daily select account_id, day - interval '1 year', key_id, project_id, model, stream, outcome, client, 1, 1, 1, 1, 1, 1 \
         from usage_daily limit 1",
    ] {
        sqlx::query(change).execute(&world.pool).await.unwrap();
        assert!(!world.proof().await.holds(), "{change}");
        let owner = ledger::Ledger::connect_as_owner(&world.address, 2);
        let mut told = Vec::new();
        assert_eq!(owner.system().rebuild_sums(None, |progress| told.push(progress.done)).await.unwrap(), 2);
        assert_eq!(told, [1, 2]);
        world.assert_proven().await;
    }
    sqlx::query("update usage_daily set amount = amount + 1").execute(&world.pool).await.unwrap();
    let owner = ledger::Ledger::connect_as_owner(&world.address, 2).system();
    assert_eq!(owner.rebuild_sums(Some(ada.account), |_| {}).await.unwrap(), 1);
    assert_eq!(world.proof().await.faults.len(), 1, "that of the other account");
    let nobody = domain::id::AccountId::new(world.now, [9; 10]);
    assert!(matches!(owner.rebuild_sums(Some(nobody), |_| {}).await, Err(ledger::Error::NotFound)));
    let application = world.ledger.system().rebuild_sums(None, |_| {}).await;
    assert!(matches!(application, Err(ledger::Error::Unavailable(_))), "{application:?}");
}
