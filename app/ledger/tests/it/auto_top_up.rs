use chrono::{Months, TimeDelta};
use domain::{
    id::PaymentId,
    payment::{AUTO, AutoTerms, Payment, PaymentState},
};
use futures_util::future::join_all;
use ledger::{AutoPayment, Error, Says, Taken};
use sqlx::PgPool;

use crate::{
    payments::{pay, tell},
    world::{Customer, World, amount},
};

pub(crate) fn terms() -> AutoTerms {
    AutoTerms { is_on: true, threshold: amount("5"), amount: amount("20"), monthly_cap: amount("50") }
}

/// Has the account topped up by a card that was saved.
pub(crate) async fn on(world: &World, customer: Customer, terms: AutoTerms) {
    let owner = world.ledger.owner(customer.user).await.unwrap();
    owner.set_auto_top_up(terms, "ada@example.com").await.unwrap();
    owner.note_setup("cs_setup").await.unwrap();
    assert!(world.ledger.system().keep_method(customer.account, "cs_setup", ("cus_1", "pm_1", "visa")).await.unwrap());
}

async fn begin(world: &World, customer: Customer) -> Option<AutoPayment> {
    let id = PaymentId::new(world.now, world.random());
    world.ledger.system().begin_auto_payment(customer.account, id).await.unwrap()
}

/// It is asked for, and the provider calls it as the payments of these tests are called.
async fn asked(world: &World, payment: &Payment) {
    world.ledger.system().note_session(payment.account, payment.id, &format!("cs_{}", payment.id)).await.unwrap();
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn once_per_crossing_however_many_find_the_balance_low_at_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "6").await;
    on(&world, ada, terms()).await;
    assert_eq!(world.ledger.system().accounts_to_top_up().await.unwrap(), [], "there is enough");
    let call = world.call(ada, 1_000_000, 10, TimeDelta::minutes(1));
    world.post(&[call]).await.unwrap();
    assert_eq!(world.ledger.system().accounts_to_top_up().await.unwrap(), [ada.account]);
    let begun: Vec<_> = join_all((0..30).map(|_| begin(&world, ada))).await.into_iter().flatten().collect();
    assert_eq!(begun.len(), 1);
    let AutoPayment { payment, customer, method } = &begun[0];
    assert_eq!((payment.amount, payment.made_by.as_str(), customer.as_str(), method.as_str()), (amount("20"), AUTO, "cus_1", "pm_1"));
    assert_eq!(
        world.ledger.system().auto_payment(payment).await.unwrap().as_ref(),
        Some(&begun[0]),
        "and is asked again in the same words"
    );
    let second = "insert into payments select account_id, gen_random_uuid(), provider, amount, minor, currency, made_by, made_at, seal, null, state, null, \
                  changed_at, null, customer, method from payments";
    let refused = sqlx::query(second).execute(&world.pool).await.unwrap_err().to_string();
    assert!(refused.contains("payments_are_auto_one_at_a_time"), "{refused}");
    asked(&world, payment).await;
    assert!(matches!(pay(&world, payment).await, Taken::Credited(_)));
    assert_eq!(begin(&world, ada).await, None, "there is enough again");
    let call = world.call(ada, 20_000_000, 10, TimeDelta::minutes(2));
    world.post(&[call]).await.unwrap();
    assert!(begin(&world, ada).await.is_some(), "the next time");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn no_more_than_the_cap_is_paid_in_a_month(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    on(&world, ada, AutoTerms { threshold: amount("1000"), ..terms() }).await;
    for _ in 0..2 {
        let payment = begin(&world, ada).await.unwrap().payment;
        asked(&world, &payment).await;
        pay(&world, &payment).await;
    }
    assert_eq!(begin(&world, ada).await, None, "another 20 would be 60");
    let state = world.ledger.reader(ada.user).await.unwrap().auto_top_up(world.now).await.unwrap().unwrap();
    assert!((state.this_month, state.is_capped()) == (amount("40"), true));
    let later = world.ledger.dated(world.now + Months::new(1));
    let id = PaymentId::new(world.now, world.random());
    assert!(later.system().begin_auto_payment(ada.account, id).await.unwrap().is_some(), "the next month");
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn after_a_decline_nothing_is_asked_for_until_the_owner_says_so(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    on(&world, ada, terms()).await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let payment = begin(&world, ada).await.unwrap().payment;
    asked(&world, &payment).await;
    assert_eq!(tell(&world, &payment, "declined", Says::Declined { why: "Your card was declined." }).await, Taken::Ended);
    assert_eq!(owner.payment(payment.id).await.unwrap().state, PaymentState::Ended);
    assert_eq!(begin(&world, ada).await, None);
    let stopped = owner.auto_top_up(world.now).await.unwrap().unwrap().stopped.unwrap();
    assert_eq!(stopped.1, "Your card was declined.");
    owner.set_auto_top_up(terms(), "ada@example.com").await.unwrap();
    let payment = begin(&world, ada).await.unwrap().payment;
    // Paid after all, and told out of order.
    asked(&world, &payment).await;
    assert!(matches!(pay(&world, &payment).await, Taken::Credited(_)));
    assert_eq!(tell(&world, &payment, "declined late", Says::Declined { why: "no" }).await, Taken::Nothing);
    assert_eq!(owner.auto_top_up(world.now).await.unwrap().unwrap().stopped, None);
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn nothing_is_asked_for_without_a_card_or_once_it_is_turned_off(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let (owner, system) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.system());
    assert!(matches!(owner.note_setup("cs_setup").await, Err(Error::NotFound)));
    for (field, wrong) in [
        ("threshold", AutoTerms { threshold: amount("-1"), ..terms() }),
        ("amount", AutoTerms { amount: amount("0"), ..terms() }),
        ("amount", AutoTerms { amount: amount("5.001"), ..terms() }),
        ("cap", AutoTerms { monthly_cap: amount("19.99"), ..terms() }),
    ] {
        let refused = owner.set_auto_top_up(wrong, "ada@example.com").await;
        assert!(matches!(refused, Err(Error::Invalid { field: found, .. }) if found == field), "{wrong:?}");
    }
    owner.set_auto_top_up(terms(), "ada@example.com").await.unwrap();
    assert_eq!(begin(&world, ada).await, None, "no card is saved");
    owner.note_setup("cs_second").await.unwrap();
    assert!(!system.keep_method(ada.account, "cs_first", ("cus_1", "pm_0", "visa")).await.unwrap(), "of an earlier page");
    assert!(system.keep_method(ada.account, "cs_second", ("cus_1", "pm_1", "visa")).await.unwrap());
    assert!(!system.keep_method(ada.account, "cs_second", ("cus_1", "pm_1", "visa")).await.unwrap(), "again");
    owner.set_auto_top_up(AutoTerms { is_on: false, ..terms() }, "ada@example.com").await.unwrap();
    assert_eq!((begin(&world, ada).await, system.accounts_to_top_up().await.unwrap()), (None, vec![]));
    owner.set_auto_top_up(terms(), "ada@example.com").await.unwrap();
    for status in ["suspended", "closed"] {
        sqlx::query("update accounts set status = $1").bind(status).execute(&world.pool).await.unwrap();
        assert_eq!(begin(&world, ada).await, None, "of an account that is {status}");
    }
    assert!(owner.set_auto_top_up(terms(), "ada@example.com").await.is_err());
}
