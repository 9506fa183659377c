use chrono::TimeDelta;
use domain::{
    call::{CallRow, Outcome},
    filter::{CallFilter, GroupBy, UsageFilter},
    id::KeyId,
    period::{Period, Step},
    usage::Totals,
};
use ledger::NewKey;
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
    let second = KeyId::new(world.now, world.random());
    let secret = world.secret();
    let member = world.ledger.member(ada.user).await.unwrap();
    member.create_key(NewKey { id: second, secret: &secret, name: "second", expires_at: None, now: world.now }).await.unwrap();
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
            call.stream = stream;
            call.outcome = if minutes % 13 == 0 { Outcome::ClientLeft } else { Outcome::Ok };
            call.key_id = if other_key { second } else { ada.key };
            call
        })
        .collect();
    world.ledger.meter().post_calls(&calls).await.unwrap();
    ada
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
                    let filter = UsageFilter { calls: calls.clone(), step, group };
                    let report = reader.usage(&filter, world.now).await.unwrap();
                    let log = reader.calls(&calls, None, 1_000, world.now).await.unwrap();
                    let what = filter.to_query();

                    assert_eq!(sum(report.series.iter().map(|one| one.totals)), report.totals, "{what}");
                    assert_eq!(sum(report.series.iter().flat_map(|one| one.per_step.clone())), report.totals, "{what}");
                    assert_eq!(sum(report.by_key.iter().map(|row| row.totals)), report.totals, "{what}");
                    assert_eq!(sum(report.by_model.iter().map(|row| row.totals)), report.totals, "{what}");
                    assert_eq!(i64::try_from(log.calls.len()).unwrap(), report.totals.requests, "{what}");
                    assert_eq!(
                        domain::money::Amount::checked_sum(log.calls.iter().map(|call| call.amount)).unwrap(),
                        report.totals.amount,
                        "{what}"
                    );
                }
            }
        }
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn pages_of_the_log_show_every_call_once_newest_first(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = busy_account(&mut world).await;
    let reader = world.ledger.reader(ada.user).await.unwrap();
    let everything = reader.calls(&CallFilter::default(), None, 1_000, world.now).await.unwrap().calls;
    let all = || CallFilter::default();
    for filter in [
        all(),
        CallFilter { key: Some(ada.key), ..all() },
        CallFilter { model: Some(MODEL.to_owned()), stream: Some(false), ..all() },
        CallFilter { outcome: Some(Outcome::ClientLeft), ..all() },
        CallFilter { outcome: Some(Outcome::Interrupted), ..all() },
    ] {
        let is_of = |call: &&CallRow| {
            filter.key.is_none_or(|key| key == call.key_id)
                && filter.model.as_ref().is_none_or(|model| *model == call.model)
                && filter.outcome.is_none_or(|outcome| outcome == call.outcome)
                && filter.stream.is_none_or(|stream| stream == call.stream)
        };
        let expected: Vec<_> = everything.iter().filter(is_of).cloned().collect();
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
    assert_eq!((report.totals, report.series.len(), report.steps.len(), report.keys.len()), (Totals::default(), 0, 30, 1));
    assert_eq!(reader.calls(&CallFilter::default(), None, 50, world.now).await.unwrap().calls, []);
}
