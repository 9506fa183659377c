//! What changes a call's figures after it was posted.

use chrono::TimeDelta;
use domain::{
    billing::{GrantKind, JournalKind},
    call::{CallDetail, CorrectionKind},
    filter::{CallFilter, UsageFilter},
    money::Amount,
};
use ledger::{Admitted, Error, SettledCall};
use sqlx::PgPool;

use crate::world::{Customer, World, amount};

/// A call that was posted as interrupted: 12 prompt tokens, 0.000012.
async fn interrupted(world: &World, customer: Customer, held: &str) -> Admitted {
    let intent = world.intent(customer, held);
    world.lease(&intent).await.unwrap();
    let posted = world.interrupt(&intent, customer);
    assert_eq!(world.post(&[posted]).await.unwrap().posted, 1);
    intent
}

async fn detail(world: &World, customer: Customer, call: &SettledCall) -> CallDetail {
    world.ledger.reader(customer.user).await.unwrap().call(call.call_id).await.unwrap()
}

/// The log and the usage page say the same.
async fn assert_shown_everywhere(world: &World, customer: Customer) {
    let reader = world.ledger.reader(customer.user).await.unwrap();
    let log = reader.calls(&CallFilter::default(), None, 100, world.now).await.unwrap().calls;
    let usage = reader.usage(&UsageFilter::default(), world.now).await.unwrap().totals;
    assert_eq!(Amount::checked_sum(log.iter().map(domain::call::CallRow::cost)), Some(usage.amount));
    let prompt: i64 = log.iter().filter_map(|row| row.prompt_tokens()).map(domain::tokens::Tokens::get).sum();
    let completion: i64 = log.iter().filter_map(|row| row.completion_tokens()).map(domain::tokens::Tokens::get).sum();
    assert_eq!((prompt, completion), (usage.prompt_tokens.get(), usage.completion_tokens.get()));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_settlement_that_comes_after_interrupted_posts_the_difference_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = interrupted(&world, ada, "0.4").await;
    let late = world.settle(&intent, ada, 1_000, 100);

    let done = world.post(std::slice::from_ref(&late)).await.unwrap();

    assert_eq!((done.posted, done.corrected, done.replayed), (0, 1, 0));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("0.9988"), Amount::ZERO), "1,000 × 0.001 ÷ 1,000 and 100 × 0.002 ÷ 1,000");
    let call = detail(&world, ada, &late).await;
    assert_eq!((call.row.amount, call.row.cost()), (amount("0.000012"), amount("0.0012")), "its row stays as it was");
    let [correction] = call.corrections.as_slice() else { panic!("{:?}", call.corrections) };
    assert_eq!(
        (correction.kind, correction.amount, correction.late.as_ref().map(|late| late.usage)),
        (CorrectionKind::LateUsage, amount("0.001188"), Some(late.usage))
    );
    let journal = world.ledger.reader(ada.user).await.unwrap().statement(None, 10, world.now).await.unwrap().journal;
    let newest = &journal.lines[0].rows()[0];
    assert_eq!((newest.kind, newest.amount), (JournalKind::LateUsage, amount("-0.001188")));
    assert_shown_everywhere(&world, ada).await;

    for _ in 0..2 {
        let again = world.post(&[late.clone(), late.clone()]).await.unwrap();
        assert_eq!((again.posted, again.corrected, again.replayed), (0, 0, 2));
    }
    assert_eq!(world.balance(ada).await, balance);
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn late_usage_below_the_estimate_is_given_back(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = interrupted(&world, ada, "0.4").await;
    let late = world.settle(&intent, ada, 5, 0);
    assert_eq!(world.post(std::slice::from_ref(&late)).await.unwrap().corrected, 1);
    assert_eq!(world.balance(ada).await.balance, amount("0.999995"));
    assert_eq!(detail(&world, ada, &late).await.corrections[0].amount, amount("-0.000007"));
    assert_shown_everywhere(&world, ada).await;
}

/// Its hold went back when it was settled as interrupted.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn late_usage_takes_no_more_than_is_left_and_the_rest_is_written_off(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let (first, second) = (interrupted(&world, ada, "0.5").await, interrupted(&world, ada, "0.4").await);
    let running = world.intent(ada, "0.9");
    world.lease(&running).await.unwrap();
    let late = [world.settle(&first, ada, 60_000, 0), world.settle(&second, ada, 60_000, 0)];

    assert_eq!(world.post(&late).await.unwrap().corrected, 2);

    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.available), (amount("0.9"), Amount::ZERO), "what the running call holds is left alone");
    let corrections = [detail(&world, ada, &late[0]).await, detail(&world, ada, &late[1]).await].map(|call| call.corrections[0].clone());
    assert_eq!(corrections.each_ref().map(|one| one.amount), [amount("0.059988"), amount("0.039988")]);
    assert_eq!(corrections.each_ref().map(|one| one.written_off), [Amount::ZERO, amount("0.02")]);
    let customer = world.ledger.system().operator().customer(ada.account, world.now).await.unwrap();
    assert_eq!(customer.written_off_30_days, amount("0.02"));
    assert_shown_everywhere(&world, ada).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_interrupted_call_that_stays_one_is_no_correction(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = interrupted(&world, ada, "0.4").await;
    let again = world.interrupt(&intent, ada);
    let done = world.post(&[again]).await.unwrap();
    assert_eq!((done.posted, done.corrected, done.replayed), (0, 0, 1));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_call_is_given_back_in_parts_and_never_more_than_it_costs(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let call = world.call(ada, 100_000, 0, TimeDelta::hours(2));
    world.post(std::slice::from_ref(&call)).await.unwrap();
    let operator = world.ledger.system().operator();
    let id = call.call_id;

    let part = operator.credit_call(id, world.give_back(Some("0.03"), "part")).await.unwrap();
    assert!(!part.replayed);
    assert_eq!(world.balance(ada).await.balance, amount("0.93"));
    assert!(operator.credit_call(id, world.give_back(Some("0.03"), "part")).await.unwrap().replayed);
    assert!(matches!(operator.credit_call(id, world.give_back(Some("0.04"), "part")).await, Err(Error::IdempotencyConflict)));
    for too_much in ["0.070000001", "5"] {
        let refused = operator.credit_call(id, world.give_back(Some(too_much), too_much)).await.unwrap_err();
        assert!(refused.to_string().contains("costs 0.07 by now"), "{refused}");
    }
    for cannot_be in ["0", "-1"] {
        assert!(matches!(
            operator.credit_call(id, world.give_back(Some(cannot_be), "x")).await,
            Err(Error::Invalid { field: "amount", .. })
        ));
    }
    assert!(
        matches!(operator.credit_call(id, world.give_back(None, "part")).await, Err(Error::IdempotencyConflict)),
        "all is another request"
    );
    assert!(matches!(operator.credit_call(id, world.give_back(None, "")).await, Err(Error::Invalid { field: "idempotency key", .. })));
    let rest = operator.credit_call(id, world.give_back(None, "rest")).await.unwrap();
    let again = operator.credit_call(id, world.give_back(None, "rest")).await.unwrap();
    assert_eq!((again.replayed, again.posting), (true, rest.posting));
    assert!(operator.credit_call(id, world.give_back(None, "more")).await.is_err(), "nothing is left of it");

    assert_eq!(world.balance(ada).await.balance, amount("1"));
    let detail = detail(&world, ada, &call).await;
    let given: Vec<_> = detail.corrections.iter().map(|one| (one.kind, one.amount, one.memo.as_str(), one.actor.as_str())).collect();
    assert_eq!(
        given,
        [(CorrectionKind::Credit, amount("-0.03"), "test", "test"), (CorrectionKind::Credit, amount("-0.07"), "test", "test")]
    );
    assert_eq!((detail.row.amount, detail.row.cost()), (amount("0.1"), Amount::ZERO));
    assert_shown_everywhere(&world, ada).await;
    let nobodys = domain::id::CallId::new(world.now, [9; 10]);
    assert!(matches!(operator.credit_call(nobodys, world.give_back(None, "nobody")).await, Err(Error::NotFound)));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_an_expired_grant_had_paid_goes_back_to_the_wallet(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let promo = world.promo(ada, "0.003").await;
    let intent = world.intent(ada, "0.01");
    world.lease(&intent).await.unwrap();
    let call = world.settle(&intent, ada, 5_000, 0);
    world.post(std::slice::from_ref(&call)).await.unwrap();
    assert_eq!(
        detail(&world, ada, &call).await.paid_by.iter().map(|share| share.kind).collect::<Vec<_>>(),
        [GrantKind::Promo, GrantKind::Wallet]
    );
    world.ledger.system().operator().end_grant(ada.account, promo, "test").await.unwrap();

    world.ledger.system().operator().credit_call(call.call_id, world.give_back(None, "all")).await.unwrap();

    let wallet: i64 = sqlx::query_scalar("select granted - used from grants where account_id = $1 and kind = 'wallet'")
        .bind(ada.account.uuid())
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(Amount::from_nanos(wallet), amount("1.003"));
    assert_shown_everywhere(&world, ada).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_was_given_back_before_a_settlement_came_late_is_not_given_back_again(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = interrupted(&world, ada, "0.4").await;
    world.ledger.system().operator().credit_call(intent.call_id, world.give_back(Some("0.00001"), "most")).await.unwrap();
    let late = world.settle(&intent, ada, 5, 0);

    assert_eq!(world.post(std::slice::from_ref(&late)).await.unwrap().corrected, 1);

    assert_eq!(world.balance(ada).await.balance, amount("1"), "0.000012 less 0.00001 was left of it; 0.000007 less would be below nothing");
    assert_eq!(detail(&world, ada, &late).await.row.cost(), Amount::ZERO);
    assert_shown_everywhere(&world, ada).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn late_usage_is_paid_by_whatever_credit_there_is(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0.001").await;
    world.promo(ada, "0.003").await;
    let intent = interrupted(&world, ada, "0.0035").await;
    let late = world.settle(&intent, ada, 3_500, 0);
    assert_eq!(world.post(std::slice::from_ref(&late)).await.unwrap().corrected, 1);
    let call = detail(&world, ada, &late).await;
    assert_eq!((call.row.cost(), call.corrections[0].written_off), (amount("0.0035"), Amount::ZERO));
    assert_eq!(world.balance(ada).await.balance, amount("0.0005"));
    assert_shown_everywhere(&world, ada).await;
}

/// What the batch charges is not there for what came late, and what its calls leave in their slices is not there yet.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn late_usage_in_a_batch_takes_nothing_that_is_charged_or_leased(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "1").await, world.customer("bob", "1").await);
    let (adas, bobs) = (interrupted(&world, ada, "0.2").await, interrupted(&world, bob, "0.2").await);
    let running = world.intent(ada, "0.999988");
    world.lease(&running).await.unwrap();
    // Of bob's nothing is held any more: a debt.
    let batch = [
        world.settle(&adas, ada, 100_000, 0),
        world.settle(&running, ada, 10_000, 0),
        world.settle(&bobs, bob, 100_000, 0),
        world.call(bob, 1_000_000, 0, TimeDelta::zero()),
    ];

    let done = world.post(&batch).await.unwrap();

    assert_eq!((done.posted, done.corrected), (2, 2));
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("0.989988"), Amount::ZERO));
    assert_eq!(detail(&world, ada, &batch[0]).await.corrections[0].written_off, amount("0.099988"));
    assert_eq!(world.balance(bob).await.balance, amount("-0.000012"), "late usage takes nothing of what is not there");
    assert_eq!(detail(&world, bob, &batch[2]).await.corrections[0].written_off, amount("0.099988"));
    world.assert_proven_but_for_debts(1).await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn of_a_calls_two_settlements_in_one_batch_its_own_is_posted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = world.intent(ada, "0.4");
    world.lease(&intent).await.unwrap();
    let batch = [world.interrupt(&intent, ada), world.settle(&intent, ada, 1_000, 0)];
    let done = world.post(&batch).await.unwrap();
    assert_eq!((done.posted, done.corrected, done.replayed), (1, 0, 1));
    assert_eq!(world.balance(ada).await.balance, amount("0.999"));
    world.assert_proven().await;
}

/// The interrupted one is in the books already.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_late_settlement_in_quarantine_is_named_until_it_is_posted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let intent = interrupted(&world, ada, "0.4").await;
    let late = world.settle(&intent, ada, 1_000, 0);
    sqlx::query("alter table corrections add constraint no_more check (amount = 0)").execute(&world.pool).await.unwrap();
    assert_eq!(world.post(&[late]).await.unwrap().quarantined, [intent.call_id]);
    assert_eq!(world.proof().await.faults.len(), 1);
    sqlx::query("alter table corrections drop constraint no_more").execute(&world.pool).await.unwrap();
    for corrected in [1, 0] {
        assert_eq!(world.ledger.meter().post_quarantined().await.unwrap().corrected, corrected);
        world.assert_proven().await;
    }
}
