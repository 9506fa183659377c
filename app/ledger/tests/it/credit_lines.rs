//! What is lent to an account, and what it pays beyond that.

use chrono::TimeDelta;
use domain::{
    credit::{CreditLine, Grace, Hardness, Mode, Quantity, Scope, Unit, Window},
    id::LimitId,
    money::Amount,
    pricing::Excess,
    tokens::{Flag, Tokens},
};
use ledger::{Error, NewLimit, SettledCall};
use sqlx::PgPool;

use crate::world::{Customer, World, amount, with};

async fn lend(world: &World, customer: Customer, line: CreditLine) -> Result<CreditLine, Error> {
    world.ledger.dated(world.now).system().operator().change_credit_line(customer.account, "test", |own| *own = line).await
}

fn line(text: &str) -> CreditLine {
    CreditLine { amount: amount(text), ..CreditLine::default() }
}

fn available<T: std::fmt::Debug>(refused: Result<T, Error>) -> Amount {
    match refused {
        Err(Error::Exhausted(exhausted)) => Amount::from_nanos(exhausted.available.get()),
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_setting_is_looked_at_before_it_is_set_and_none_is_set_over_unseen(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "5").await;
    let operator = world.ledger.system().operator();
    let (none, five, nine) = (CreditLine::default(), line("5"), line("9"));
    operator.review_credit_line(ada.account, "test", five).await.unwrap();
    assert_eq!(operator.credit_line(ada.account).await.unwrap(), none, "nothing is set yet");
    let refused = operator.review_credit_line(ada.account, "test", CreditLine { is_quota: true, ..five }).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "mode", .. })), "{refused:?}");
    operator.set_credit_line(ada.account, "test", five, |before| *before == none).await.unwrap();
    operator.set_credit_line(ada.account, "test", five, |before| *before == none).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from credit_lines").fetch_one(&world.pool).await.unwrap();
    assert_eq!((rows, operator.credit_line(ada.account).await.unwrap()), (1, five), "the second click");
    let unseen = operator.set_credit_line(ada.account, "test", nine, |before| *before == none).await;
    assert!(matches!(unseen, Err(Error::Taken(_))), "{unseen:?}");
    assert_eq!(operator.credit_line(ada.account).await.unwrap(), five);
    world.assert_proven().await;
}

/// Whatever is in it: what pays is what was given beside it.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_wallet_of_an_account_on_quota_pays_for_no_call(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "5").await;
    let running = world.intent(ada, "1");
    world.lease(&running).await.unwrap();
    let quota = CreditLine { is_quota: true, ..CreditLine::default() };
    assert_eq!(lend(&world, ada, quota).await.unwrap().mode(), Mode::Quota);
    assert_eq!(available(world.lease(&world.intent(ada, "0.1")).await), Amount::ZERO);
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.available, balance.mode), (amount("5"), Amount::ZERO, Mode::Quota));

    world.promo(ada, "0.5").await;
    // It begins when it is posted, after all that was before.
    world.now += TimeDelta::seconds(1);
    assert_eq!(world.balance(ada).await.available, amount("0.5"));
    assert_eq!(available(world.lease(&world.intent(ada, "0.6")).await), amount("0.5"));
    let paid = world.intent(ada, "0.4");
    world.lease(&paid).await.unwrap();
    let calls = [world.settle(&running, ada, 1_000, 0), world.settle(&paid, ada, 1_000, 0)];
    assert_eq!(world.post(&calls).await.unwrap().posted, 2);
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.available), (amount("5.498"), amount("0.499")), "what ran before is paid as it was held");
    world.assert_proven().await;

    for refused in [CreditLine { amount: amount("1"), ..quota }, CreditLine { excess: Excess::Charged, ..quota }] {
        let refused = lend(&world, ada, refused).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "mode", .. })), "{refused:?}");
    }
    assert_eq!(lend(&world, ada, line("1")).await.unwrap().mode(), Mode::Postpaid);
    assert_eq!(lend(&world, ada, CreditLine::default()).await.unwrap().mode(), Mode::Prepaid);
    world.lease(&world.intent(ada, "4")).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_lent_can_be_spent_and_is_owed(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0.25").await;
    lend(&world, ada, line("1")).await.unwrap();
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.lent, balance.available), (amount("0.25"), amount("1"), amount("1.25")));

    let first = world.intent(ada, "1");
    world.lease(&first).await.unwrap();
    assert_eq!(available(world.lease(&world.intent(ada, "0.5")).await), amount("0.25"));
    let ended = world.settle(&first, ada, 1_000_000, 0);
    world.post(&[ended]).await.unwrap();

    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.available), (amount("-0.75"), amount("0.25")));
    world.assert_proven().await;

    // What is lent can be taken back, and is owed all the same.
    lend(&world, ada, line("0.5")).await.unwrap();
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.available), (amount("-0.75"), Amount::ZERO));
    assert_eq!(available(world.lease(&world.intent(ada, "0.01")).await), Amount::ZERO);
    world.assert_proven().await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    owner.top_up(world.money("1", "later")).await.unwrap();
    assert_eq!(world.balance(ada).await.available, amount("0.75"));
    assert_eq!(owner.credit_line().await.unwrap(), line("0.5"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_grace_lends_until_its_end(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let until = world.now + TimeDelta::hours(1);
    lend(&world, ada, CreditLine { grace: Some(Grace { amount: amount("1"), until }), ..line("0.5") }).await.unwrap();
    let first = world.intent(ada, "1.5");
    world.lease_in(&world.ledger.dated(world.now), &first).await.unwrap();

    let dated = world.ledger.dated(until);
    let balance = dated.reader(ada.user).await.unwrap().balance(until).await.unwrap();
    assert_eq!((balance.lent, balance.available), (amount("0.5"), Amount::ZERO));
    assert_eq!(available(world.lease_in(&dated, &world.intent(ada, "0.01")).await), Amount::ZERO);
    // What runs ends as it was admitted.
    let ended = world.settle(&first, ada, 1_500_000, 0);
    world.post_in(&dated, &[ended]).await.unwrap();
    assert_eq!(dated.reader(ada.user).await.unwrap().balance(until).await.unwrap().balance, amount("-1.5"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_grace_begins_once_a_calendar_month_whatever_became_of_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    world.now = "2024-01-10T12:00:00Z".parse().unwrap();
    world.ledger = world.ledger.dated(world.now);
    let ada = world.customer("ada", "0").await;
    let with_grace =
        |text: &str, until: &str| CreditLine { grace: Some(Grace { amount: amount(text), until: until.parse().unwrap() }), ..line("0.5") };
    let first = with_grace("1", "2024-02-05T00:00:00Z");
    let refused = |set: Result<CreditLine, Error>| matches!(&set, Err(Error::Invalid { field: "grace", problem }) if problem.contains("1 February 2024"));
    lend(&world, ada, first).await.unwrap();
    lend(&world, ada, CreditLine { excess: Excess::Charged, ..first }).await.unwrap();
    assert!(refused(lend(&world, ada, with_grace("1.01", "2024-02-05T00:00:00Z")).await), "more");
    assert!(refused(lend(&world, ada, with_grace("1", "2024-02-06T00:00:00Z")).await), "longer");
    lend(&world, ada, with_grace("0.75", "2024-02-05T00:00:00Z")).await.unwrap();
    lend(&world, ada, line("0.5")).await.unwrap();
    // Two operators at once, and a customer's proxies meanwhile.
    let again = with_grace("0.1", "2024-01-20T00:00:00Z");
    let (one, other) = tokio::join!(lend(&world, ada, again), lend(&world, ada, again));
    assert!(refused(one) && refused(other), "it has ended, and the month has not");
    let next = world.ledger.reader(ada.user).await.unwrap().next_grace(world.now).await.unwrap();
    assert_eq!(next, Some("2024-02-01T00:00:00Z".parse().unwrap()));
    assert_eq!(available(world.lease_in(&world.ledger, &world.intent(ada, "0.6")).await), amount("0.5"), "nothing more is leased");

    world.now = "2024-02-01T00:00:00Z".parse().unwrap();
    world.ledger = world.ledger.dated(world.now);
    assert_eq!(world.ledger.reader(ada.user).await.unwrap().next_grace(world.now).await.unwrap(), None);
    // Whichever comes second is more than the first, or longer.
    let (one, other) = tokio::join!(lend(&world, ada, first), lend(&world, ada, with_grace("2", "2024-02-04T00:00:00Z")));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "one of two: {one:?}, {other:?}");
    world.lease_in(&world.ledger, &world.intent(ada, "1.5")).await.unwrap();
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_second_grace_of_a_month_is_found(pool: PgPool) {
    let mut world = World::new(pool).await;
    world.now = "2024-01-10T12:00:00Z".parse().unwrap();
    let ada = world.customer("ada", "0").await;
    let grace = Some(Grace { amount: amount("1"), until: "2024-03-05T00:00:00Z".parse().unwrap() });
    lend(&world, ada, CreditLine { grace, ..line("0.5") }).await.unwrap();
    // As somebody would who may write anything, each over the first.
    for (set_at, more, is_second) in [
        ("2024-01-31T23:59:59Z", 1_i64, true),
        ("2024-01-31T23:59:59Z", 0, false),
        ("2024-01-31T23:59:59Z", -1, false),
        ("2024-02-01T00:00:00Z", 1, false),
    ] {
        let written = "insert into credit_lines (account_id, set_at, amount, grace, grace_until, is_lenient, is_quota, set_by, seal) \
                       select account_id, $1::timestamptz, amount, grace + $2, grace_until, is_lenient, is_quota, set_by, seal from credit_lines";
        sqlx::query(written).bind(set_at.parse::<chrono::DateTime<chrono::Utc>>().unwrap()).bind(more).execute(&world.pool).await.unwrap();
        let faults = world.proof().await.faults;
        let found = faults.iter().any(|fault| fault.claim == "a grace begins at most once in a calendar month");
        assert_eq!(found, is_second, "{set_at}, {more} more: {faults:?}");
        sqlx::query("delete from credit_lines where set_at > $1").bind(world.now).execute(&world.pool).await.unwrap();
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_lenient_account_pays_what_its_calls_came_to(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    lend(&world, ada, CreditLine { excess: Excess::Charged, ..CreditLine::default() }).await.unwrap();
    let lenient = |intent| with(intent, |call| call.excess = Excess::Charged);
    let (first, second, third) =
        (lenient(world.intent(ada, "0.5")), lenient(world.intent(ada, "0.25")), lenient(world.intent(ada, "0.25")));
    for intent in [&first, &second, &third] {
        world.lease(intent).await.unwrap();
    }
    let more = world.settle(&first, ada, 2_000_000, 0);
    assert_eq!((more.amount, more.written_off), (amount("2"), Amount::ZERO));
    // What it cannot have used it does not pay.
    let absurd = world.settle(&second, ada, 2_000_000, 0);
    let absurd = SettledCall {
        usage: domain::tokens::CallUsage { flag: Some(Flag::Excessive), ..absurd.usage },
        amount: amount("0.25"),
        written_off: amount("1.75"),
        ..absurd
    };
    let interrupted = world.interrupt(&third, ada);
    let late = world.settle(&third, ada, 1_000_000, 0);
    for call in [more, absurd, interrupted, late] {
        world.post(&[call]).await.unwrap();
    }
    let balance = world.balance(ada).await;
    assert_eq!((balance.balance, balance.reserved), (amount("-2.25"), Amount::ZERO));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_strict_account_never_pays_beyond_its_hold_whatever_its_line(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    lend(&world, ada, line("10")).await.unwrap();
    let intent = world.intent(ada, "0.5");
    world.lease(&intent).await.unwrap();
    let above = SettledCall { amount: amount("2"), written_off: Amount::ZERO, ..world.settle(&intent, ada, 2_000_000, 0) };
    let done = world.post(&[above]).await.unwrap();
    assert_eq!(done.quarantined, [intent.call_id], "the database itself refuses it");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_cannot_be_lent_is_refused(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let grace = |text: &str, until| CreditLine { grace: Some(Grace { amount: amount(text), until }), ..CreditLine::default() };
    for (bad, field) in [
        (line("-1"), "credit line"),
        (line("1000000000.000000001"), "credit line"),
        (grace("1", world.now), "grace"),
        (grace("0", world.now + TimeDelta::days(1)), "grace"),
        (grace("-1", world.now + TimeDelta::days(1)), "grace"),
        (grace("1000000000.000000001", world.now + TimeDelta::days(1)), "grace"),
    ] {
        assert!(matches!(lend(&world, ada, bad).await, Err(Error::Invalid { field: of, .. }) if of == field), "{bad:?}");
    }
    let nobody = Customer { account: domain::id::AccountId::new(world.now, [9; 10]), ..ada };
    assert!(matches!(lend(&world, nobody, line("1")).await, Err(Error::NotFound)));

    let rich = world.customer("rich", "8500000000").await;
    assert!(matches!(lend(&world, rich, line("1000000000")).await, Err(Error::Invalid { field: "credit line", .. })));
    lend(&world, rich, line("1")).await.unwrap();

    // What is lent is not there to be taken back.
    lend(&world, ada, line("1000000000")).await.unwrap();
    let back = world.ledger.system().operator().credit(ada.account, world.money("-2", "back")).await;
    assert!(matches!(back, Err(Error::InsufficientCredit { available, .. }) if available == amount("1")), "{back:?}");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn limits_count_all_that_a_lenient_call_took(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "1").await;
    let lenient = CreditLine { excess: Excess::Charged, ..CreditLine::default() };
    lend(&world, ada, lenient).await.unwrap();
    let (id, capacity) = (LimitId::new(world.now, world.random()), Quantity::from_count(10_000));
    let new = NewLimit { id, scope: Scope::Account, window: Window::Day, unit: Unit::Tokens, hardness: Hardness::Hard, capacity };
    let owner = world.ledger.owner(ada.user).await.unwrap();
    owner.set_limit(&new).await.unwrap();
    let held = |excess| move |call: &mut ledger::Admitted| (call.tokens_held, call.excess) = (Tokens::from_sum(1_000), excess);
    let (strict, lenient) =
        (with(world.intent(ada, "0.1"), held(Excess::WrittenOff)), with(world.intent(ada, "0.1"), held(Excess::Charged)));
    for intent in [&strict, &lenient] {
        world.lease(intent).await.unwrap();
    }
    let ended = [world.settle(&strict, ada, 2_000, 500), world.settle(&lenient, ada, 2_000, 500)];
    world.post(&ended).await.unwrap();
    let limits = owner.limits(world.now).await.unwrap();
    assert_eq!(limits[0].limit.pool.used.get(), 1_000 + 2_500);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn lenient_terms_that_an_account_never_had_are_found(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "10").await;
    let intent = with(world.intent(ada, "0.5"), |call| call.excess = Excess::Charged);
    world.lease(&intent).await.unwrap();
    let above = world.settle(&intent, ada, 2_000_000, 0);
    world.post(&[above]).await.unwrap();
    let faults = world.proof().await.faults;
    assert_eq!(faults.iter().map(|fault| fault.row.clone()).collect::<Vec<_>>(), [format!("call {}", intent.call_id)]);
    assert_eq!(faults[0].claim, "a call on lenient terms is of an account that had them");
}
