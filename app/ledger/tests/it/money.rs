use chrono::TimeDelta;
use domain::{
    billing::{Adjustment, JournalKind, PostingNumber, StatementLine},
    id::AccountId,
    money::Amount,
};
use futures_util::future::join_all;
use ledger::{Error, MoneyIn};
use sqlx::PgPool;

use crate::world::{World, amount};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_second_click_pays_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();

    let first = owner.top_up(world.money("25", "form 1")).await.unwrap();
    let second = owner.top_up(world.money("25", "form 1")).await.unwrap();

    assert_eq!((first.replayed, second.replayed, second.posting), (false, true, first.posting));
    assert_eq!(world.balance(ada).await.balance, amount("25"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn ten_clicks_at_once_pay_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let clicks: Vec<_> = (0..10).map(|_| owner.top_up(world.money("25", "form 1"))).collect();
    let first = join_all(clicks).await.into_iter().filter(|posted| !posted.as_ref().unwrap().replayed).count();

    assert_eq!(first, 1);
    assert_eq!(world.balance(ada).await.balance, amount("25"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_idempotency_key_stands_for_one_request_only(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let owner = world.ledger.owner(ada.user).await.unwrap();
    owner.top_up(world.money("25", "form 1")).await.unwrap();

    assert!(matches!(owner.top_up(world.money("26", "form 1")).await, Err(Error::IdempotencyConflict)));
    let other = world.ledger.owner(bob.user).await.unwrap().top_up(world.money("26", "form 1")).await.unwrap();
    assert!(!other.replayed, "another account's keys are its own");
    assert_eq!(world.balance(ada).await.balance, amount("25"));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn only_an_amount_above_zero_is_paid_in(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    for text in ["0", "-1"] {
        assert!(matches!(owner.top_up(world.money(text, text)).await, Err(Error::Invalid { field: "amount", .. })), "{text}");
    }
    let most = MoneyIn { amount: Amount::MAX, ..world.money("1", "most") };
    owner.top_up(most).await.unwrap();
    assert!(matches!(owner.top_up(world.money("1", "more")).await, Err(Error::Invalid { field: "amount", .. })));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_operator_takes_back_only_what_is_available_and_says_why(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let held = world.intent(ada, "4");
    world.lease(&held).await.unwrap();
    let operator = world.ledger.system().operator();

    let too_much = operator.credit(ada.account, world.money("-7", "a")).await;
    assert!(matches!(too_much, Err(Error::InsufficientCredit { needed, available }) if needed == amount("7") && available == amount("6")));
    operator.credit(ada.account, world.money("-6", "b")).await.unwrap();
    operator.credit(ada.account, world.money("1.5", "c")).await.unwrap();
    assert!(matches!(
        operator.credit(ada.account, MoneyIn { memo: " ", ..world.money("1", "d") }).await,
        Err(Error::Invalid { field: "reason", .. })
    ));
    let nobody = AccountId::new(world.now, world.random());
    assert!(matches!(operator.credit(nobody, world.money("1", "e")).await, Err(Error::NotFound)));

    assert_eq!(world.balance(ada).await.balance, amount("5.5"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_journal_runs_from_zero_to_the_balance_over_any_pages(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    for n in 0..7 {
        world.now += TimeDelta::hours(1);
        let then = world.ledger.dated(world.now);
        let calls = [world.call(ada, 1_000 * (n + 1), 10, TimeDelta::minutes(n)), world.call(ada, 7, 7, TimeDelta::minutes(n))];
        then.meter().post_calls(&calls).await.unwrap();
        if n % 3 == 0 {
            then.owner(ada.user).await.unwrap().top_up(world.money("1", &format!("top-up {n}"))).await.unwrap();
        }
    }
    let owner = world.ledger.owner(ada.user).await.unwrap();

    let (mut lines, mut before) = (Vec::new(), None);
    loop {
        let statement = owner.statement(before, 2, world.now).await.unwrap();
        assert_eq!(statement.balance, world.balance(ada).await);
        lines.extend(statement.journal.lines);
        before = statement.journal.next;
        if before.is_none() {
            break;
        }
    }

    let rows: Vec<_> = lines.iter().flat_map(StatementLine::rows).collect();
    let open = owner.statement(None, 2, world.now).await.unwrap().open_hour.unwrap();
    assert_eq!((open.hour, open.calls), ("2026-06-15T19:00:00Z".parse().unwrap(), 2));
    assert_eq!(rows.len(), 10, "the opening, three top-ups, six hours that have ended");
    assert_eq!(lines.len(), 6, "hours that nothing divides are one line: {lines:?}");
    assert_eq!(rows[0].balance_after.checked_sub(open.amount).unwrap(), world.balance(ada).await.balance);
    assert!(rows.iter().filter(|row| row.kind == JournalKind::Usage).all(|row| row.calls == Some(2)));
    let nobodys = PostingNumber::from_count(99);
    assert!(matches!(owner.statement(Some(nobodys), 4, world.now).await, Err(Error::NotFound)));
    let mut balance = Amount::ZERO;
    for row in rows.iter().rev() {
        balance = balance.checked_add(row.amount).unwrap();
        assert_eq!(row.balance_after, balance);
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_operator_gives_takes_back_and_refunds_and_the_sign_is_not_theirs_to_choose(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let operator = world.ledger.system().operator();
    for (how, left) in [(Adjustment::Credit, "13"), (Adjustment::TakeBack, "10"), (Adjustment::Refund, "7")] {
        let money = world.money("3", how.name());
        operator.expect_adjustable(ada.account, how, money.amount).await.unwrap();
        assert!(!operator.adjust(ada.account, how, money.clone()).await.unwrap().replayed);
        assert!(operator.adjust(ada.account, how, money).await.unwrap().replayed, "a second click is the first");
        assert_eq!(world.balance(ada).await.balance, amount(left), "{how:?}");
        for bad in ["-3", "0"] {
            assert!(
                matches!(operator.adjust(ada.account, how, world.money(bad, "bad")).await, Err(Error::Invalid { .. })),
                "{how:?} {bad}"
            );
        }
    }
    for how in [Adjustment::TakeBack, Adjustment::Refund] {
        let refused = operator.expect_adjustable(ada.account, how, amount("7.01")).await;
        assert!(matches!(refused, Err(Error::InsufficientCredit { available, .. }) if available == amount("7")), "{how:?}");
    }
    let refund = world.money("3", "credit");
    assert!(matches!(operator.adjust(ada.account, Adjustment::Refund, refund).await, Err(Error::IdempotencyConflict)), "another request");
    let cash = sqlx::query_scalar::<_, i64>("select balance from books where account_id = $1 and book = 'cash'");
    assert_eq!(
        cash.bind(ada.account.uuid()).fetch_one(&world.pool).await.unwrap(),
        amount("-7").nanos(),
        "what came in, less what went out"
    );
    world.assert_proven().await;
}
