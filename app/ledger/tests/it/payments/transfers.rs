//! Bank transfers, and what goes back of them.

use domain::{
    billing::{JournalKind, PostingNumber},
    id::PaymentId,
    money::Amount,
    payment::{Payment, PaymentFilter, PaymentState, Provider},
};
use futures_util::future::join_all;
use ledger::{Error, MoneyIn, NewReturn, Returned, SentBack};
use sqlx::PgPool;

use super::{begun_and_paid, refund};
use crate::world::{Customer, World, amount};

/// Credits a bank transfer of that reference under a key.
async fn transfer(world: &World, of: Customer, (reference, sum, key): (&str, &str, &str)) -> ledger::Result<ledger::Posted> {
    let money = MoneyIn { amount: amount(sum), idempotency_key: key, memo: "invoice 12", actor: "root@example.com", now: world.now };
    world.ledger.system().operator().credit_transfer(of.account, reference, money).await
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_bank_transfer_is_a_payment_that_is_credited_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let posted = join_all((0..20).map(|_| transfer(&world, ada, ("RF18 5390", "250", "form")))).await;
    assert_eq!(posted.iter().filter(|posted| !posted.as_ref().unwrap().replayed).count(), 1);
    assert_eq!(posted.iter().map(|posted| posted.as_ref().unwrap().posting).max(), Some(PostingNumber::from_count(1)));
    assert_eq!(world.balance(ada).await.balance, amount("250"));
    // Another operator finds the same line of the statement, and types it in small letters, or without its blanks.
    for (of, key) in [(ada, "another form"), (bob, "form")] {
        for reference in [" rf18 5390 ", "RF185390", "RF18  5390", "RF18\u{a0}5390"] {
            let again = transfer(&world, of, (reference, "250", key)).await;
            assert!(matches!(again, Err(Error::Invalid { field: "reference", .. })), "{reference}: {again:?}");
        }
    }
    let other = transfer(&world, ada, ("RF18 5390", "251", "form")).await;
    assert!(matches!(other, Err(Error::IdempotencyConflict)), "{other:?}");
    for (field, reference, sum) in [("reference", " ", "1"), ("reference", "a\tb", "1"), ("amount", "ok", "0.005"), ("amount", "ok", "-1")]
    {
        let wrong = transfer(&world, bob, (reference, sum, "wrong")).await;
        assert!(matches!(&wrong, Err(Error::Invalid { field: at, .. }) if *at == field), "{field}: {wrong:?}");
    }
    let (listed, _) = world.ledger.system().operator().payments_of(PaymentFilter::Credited, None, 10).await.unwrap();
    let [seen] = &listed[..] else { panic!("{listed:?}") };
    let Payment { provider, session, state, .. } = &seen.payment;
    assert_eq!((*provider, session.as_deref(), *state, seen.left), (Provider::Bank, Some("RF18 5390"), PaymentState::Credited, 25_000));
    assert_eq!(world.balance(bob).await.balance, Amount::ZERO);
    world.assert_proven().await;
}

/// What an operator has transferred back of a payment, and the bank calls so.
pub(crate) fn back(payment: PaymentId, reference: &'static str, text: &str) -> NewReturn<'static> {
    let amount = Some(amount(text));
    NewReturn { payment, reference, amount, by: SentBack::ByUs, reason: "asked for", actor: "root@example.com" }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_transferred_back_is_noted_once_and_is_no_more_than_came_and_is_there(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let operator = world.ledger.system().operator();
    transfer(&world, bob, ("T 0", "10", "form")).await.unwrap();
    transfer(&world, ada, ("T 1", "10", "form")).await.unwrap();
    let [of_ada, of_bob] = [operator.transfer_called("t1").await.unwrap(), operator.transfer_called("T0").await.unwrap()];
    assert!(matches!(operator.transfer_called("T2").await, Err(Error::NotFound)));
    assert!(matches!(operator.begin_refund(refund(&world, of_ada, "4")).await, Err(Error::Invalid { field: "payment", .. })));
    let done = join_all([0; 8].map(|_| operator.return_transfer(back(of_ada, "B 1", "4")))).await;
    assert_eq!(done.iter().filter(|done| done.as_ref().unwrap().is_new).count(), 1);
    for reference in ["b1", " B  1 "] {
        let same = NewReturn { amount: None, ..back(of_ada, reference, "4") };
        assert_eq!(operator.return_transfer(same).await.unwrap(), Returned { amount: amount("4"), is_new: false });
    }
    assert_eq!(world.balance(ada).await.balance, amount("6"), "once");
    for (other, at) in [
        (back(of_ada, "B1", "5"), "reference"),
        (back(of_bob, "B1", "4"), "reference"),
        (back(of_ada, " ", "1"), "reference"),
        (NewReturn { reason: " ", ..back(of_ada, "B2", "1") }, "reason"),
        (back(of_ada, "B2", "6.01"), "amount"),
        (back(of_ada, "B2", "0.001"), "amount"),
    ] {
        let refused = operator.return_transfer(other).await;
        assert!(matches!(&refused, Err(Error::Invalid { field, .. }) if *field == at), "{other:?}: {refused:?}");
    }
    let by_card = begun_and_paid(&world, ada, "5").await;
    let of_card = operator.return_transfer(back(by_card.id, "B2", "1")).await;
    assert!(matches!(of_card, Err(Error::Invalid { field: "payment", .. })), "{of_card:?}");
    let all = operator.return_transfer(NewReturn { amount: None, ..back(of_ada, "B2", "1") }).await.unwrap();
    assert_eq!((all, world.balance(ada).await.balance), (Returned { amount: amount("6"), is_new: true }, amount("5")));
    let nothing = operator.return_transfer(NewReturn { amount: None, ..back(of_ada, "B3", "1") }).await;
    assert!(matches!(nothing, Err(Error::Invalid { field: "amount", .. })), "{nothing:?}");
    assert_eq!(world.balance(bob).await.balance, amount("10"));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_the_bank_took_back_is_gone_though_it_is_spent(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let operator = world.ledger.system().operator();
    transfer(&world, ada, ("T1", "10", "form")).await.unwrap();
    let payment = operator.transfer_called("T1").await.unwrap();
    let call = world.call(ada, 1_000_000, 0, chrono::TimeDelta::zero());
    world.post(&[call]).await.unwrap();
    let spent = operator.return_transfer(back(payment, "B1", "10")).await;
    assert!(matches!(spent, Err(Error::InsufficientCredit { available, .. }) if available == amount("9")), "{spent:?}");
    let recalled = NewReturn { amount: None, by: SentBack::ByTheBank, ..back(payment, "B1", "10") };
    for is_new in [true, false] {
        assert_eq!(operator.return_transfer(recalled).await.unwrap(), Returned { amount: amount("10"), is_new });
        assert_eq!(world.balance(ada).await.balance, amount("-1"));
    }
    let newest = world.ledger.reader(ada.user).await.unwrap().statement(None, 10, world.now).await.unwrap().journal;
    let newest = &newest.lines[0].rows()[0];
    assert_eq!((newest.kind, newest.amount), (JournalKind::Chargeback, amount("-10")));
    world.assert_proven().await;
}
