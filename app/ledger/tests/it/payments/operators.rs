//! What waits for an operator, and what the proof finds.

use domain::{
    billing::PostingNumber,
    payment::{PaymentFilter, PaymentState},
};
use ledger::{Error, PaymentCredit, Says, Taken};
use sqlx::PgPool;

use super::{begun, begun_and_paid, pay, problem, state, tell, usd};
use crate::world::{World, amount};

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn an_operator_credits_what_is_held_once_or_dismisses_it(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let operator = world.ledger.system().operator();
    let [one, another] = [begun(&world, ada, "2000").await, begun(&world, ada, "3000").await];
    let unpaid = PaymentCredit { amount: None, reason: "seen at Stripe", seen: "", actor: "root@example.com" };
    assert!(operator.credit_payment(one.id, unpaid).await.is_err(), "it is not paid");
    for payment in [&one, &another] {
        assert!(matches!(pay(&world, payment).await, Taken::Held(_)));
    }
    let (first, seen) = (problem(&world, &one).await, problem(&world, &another).await);
    // Something is added while the operator looks at what was there.
    let again = Says::Trouble("it was paid back".to_owned());
    assert!(matches!(tell(&world, &one, "trouble", again).await, Taken::Held(_)));
    let credit = PaymentCredit { seen: &first, ..unpaid };
    assert!(matches!(operator.credit_payment(one.id, credit).await, Err(Error::Invalid { field: "seen", .. })));
    assert!(matches!(operator.dismiss_payment(one.id, &first, "paid back").await, Err(Error::Invalid { field: "seen", .. })));
    let first = problem(&world, &one).await;
    assert!(first.contains("it was paid back"), "{first}");
    let credit = PaymentCredit { seen: &first, ..unpaid };
    assert!(matches!(
        operator.credit_payment(one.id, PaymentCredit { reason: " ", ..credit }).await,
        Err(Error::Invalid { field: "reason", .. })
    ));
    let part = PaymentCredit { amount: Some(amount("1999.5")), ..credit };
    operator.credit_payment(one.id, part).await.unwrap();
    assert!(operator.credit_payment(one.id, part).await.is_err(), "once");
    operator.dismiss_payment(another.id, &seen, "paid back").await.unwrap();
    assert!(operator.dismiss_payment(another.id, &seen, "again").await.is_err(), "once");
    assert!(operator.credit_payment(another.id, credit).await.is_err(), "it does not go back");
    assert_eq!((state(&world, &one).await.0, state(&world, &another).await.0), (PaymentState::Credited, PaymentState::Dismissed));
    assert_eq!(operator.payments(false, 100).await.unwrap(), []);
    assert_eq!(world.balance(ada).await.balance, amount("1999.5"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn operators_page_through_payments_and_what_is_nobodys_is_counted(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let operator = world.ledger.system().operator();
    let pending = begun(&world, ada, "5").await;
    for _ in 0..4 {
        begun_and_paid(&world, ada, "5").await;
    }
    let held = begun_and_paid(&world, ada, "2000").await;
    let ids = async |filter, most| {
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let (page, next) = operator.payments_of(filter, before, most).await.unwrap();
            ids.extend(page.iter().map(|seen| (seen.payment.id, seen.left)));
            before = next;
            if before.is_none() {
                return ids;
            }
        }
    };
    assert_eq!(ids(PaymentFilter::All, 2).await, ids(PaymentFilter::All, 100).await, "nothing is skipped or shown twice");
    assert_eq!(ids(PaymentFilter::All, 2).await.len(), 6);
    assert_eq!(ids(PaymentFilter::Pending, 2).await, [(pending.id, 0)]);
    assert_eq!(ids(PaymentFilter::ToLookAt, 2).await, [(held.id, 0)]);
    assert!(ids(PaymentFilter::Credited, 3).await.iter().all(|(_, left)| *left == 500));
    for _ in 0..2 {
        world.ledger.system().note_stray("cs_stray", &usd(700)).await.unwrap();
    }
    assert_eq!(operator.payments_to_look_at().await.unwrap(), 2);
    assert_eq!(operator.stray_payments(10).await.unwrap()[0].sum, usd(700));
    assert_eq!((operator.stray_payment("cs_stray").await.unwrap().sum, operator.strays_to_look_at().await.unwrap()), (usd(700), 1));
    operator.dismiss_stray("cs_stray", "credited by hand").await.unwrap();
    assert!(matches!(operator.dismiss_stray("cs_stray", "again").await, Err(Error::NotFound)));
    assert!(matches!(operator.stray_payment("cs_stray").await, Err(Error::NotFound)));
    world.ledger.system().note_stray("cs_stray", &usd(700)).await.unwrap();
    assert_eq!(operator.payments_to_look_at().await.unwrap(), 1, "told again, it does not come back");
}

/// The books of an account that was charged back are found wrong where they are: by what a payment has moved, and no more.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn the_proof_finds_a_payment_that_was_credited_twice_or_never(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    let Taken::Credited(posting) = pay(&world, &payment).await else { panic!("it is not credited") };
    assert_eq!(posting, PostingNumber::from_count(1));
    world.assert_proven().await;
    for change in [
        "update payments set state = 'pending'",
        "update payment_movements set amount = amount + 1",
        "update payment_movements set posting = 9",
        "delete from payment_movements",
        "update journal set seals = null",
    ] {
        let mut tx = world.pool.begin().await.unwrap();
        sqlx::raw_sql("create table if not exists kept_p as select * from payments; create table if not exists kept_m as select * from payment_movements; \
                       create table if not exists kept_j as select * from journal")
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(change.to_owned())).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let faults = world.proof().await.faults;
        assert!(faults.iter().any(|fault| fault.claim.contains("payment")), "{change}: {faults:?}");
        let back = "set session_replication_role = replica; delete from payments; insert into payments select * from kept_p; \
                    delete from payment_movements; insert into payment_movements select * from kept_m; \
                    delete from journal; insert into journal select * from kept_j; set session_replication_role = origin";
        sqlx::raw_sql(back).execute(&world.pool).await.unwrap();
        world.assert_proven().await;
    }
}
