use chrono::{Months, TimeDelta};
use domain::{
    id::PaymentId,
    payment::{AUTO, AutoTerms, Payment, PaymentState},
};
use futures_util::future::join_all;
use ledger::{AutoPayment, Error, Says, Taken};
use sqlx::PgPool;

use crate::{
    payments::{LARGEST, begun, dispute, pay, tell, usd},
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
    world.ledger.system().begin_auto_payment(customer.account, id, LARGEST).await.unwrap()
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
    assert!(later.system().begin_auto_payment(ada.account, id, LARGEST).await.unwrap().is_some(), "the next month");
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

/// The same card would be charged again at once.
#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_goes_back_to_its_payer_stops_it_and_what_comes_again_does_not(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    for (customer, is_refund) in [(ada, true), (bob, false)] {
        let owner = world.ledger.owner(customer.user).await.unwrap();
        let stopped = async || owner.auto_top_up(world.now).await.unwrap().unwrap().stopped.map(|(_, why)| why);
        let payment = begun(&world, customer, "25").await;
        on(&world, customer, terms()).await;
        pay(&world, &payment).await;
        let taken = match is_refund {
            true => tell(&world, &payment, "refund", Says::Refunded { charge: "ch_1", in_all: usd(2_500) }).await,
            false => dispute(&world, &payment, "disputed", (true, false)).await,
        };
        assert!(matches!(taken, Taken::Moved(_)), "{taken:?}");
        assert_eq!(stopped().await.as_deref(), Some("A payment went back to its payer."));
        assert_eq!(begin(&world, customer).await, None);
        owner.set_auto_top_up(terms(), "ada@example.com").await.unwrap();
        if !is_refund {
            assert!(matches!(dispute(&world, &payment, "won", (false, true)).await, Taken::Moved(_)));
        }
        assert_eq!(stopped().await, None, "its owner wants it all the same");
    }
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_would_be_held_is_not_charged_and_what_is_held_is_said(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    on(&world, ada, terms()).await;
    let (owner, system) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.system());
    let state = async || owner.auto_top_up(world.now).await.unwrap().unwrap();
    let id = PaymentId::new(world.now, world.random());
    assert_eq!(system.begin_auto_payment(ada.account, id, amount("19.99")).await.unwrap(), None);
    let (_, why) = state().await.stopped.unwrap();
    assert_eq!(why, "Each payment is 20, and the largest top-up is 19.99 now: choose a smaller one.");
    assert_eq!((begin(&world, ada).await, state().await.held), (None, false));
    owner.set_auto_top_up(terms(), "ada@example.com").await.unwrap();
    let payment = begin(&world, ada).await.unwrap().payment;
    asked(&world, &payment).await;
    let session = format!("cs_{}", payment.id);
    let says = Says::Paid { session: &session, sum: usd(1_999), names: Some((payment.account, payment.id)) };
    assert!(matches!(tell(&world, &payment, "paid less", says).await, Taken::Held(_)));
    assert_eq!((begin(&world, ada).await, state().await.held), (None, true));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn its_terms_stand_while_it_is_on_has_not_stopped_and_the_account_is_active(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let (owner, system) = (world.ledger.owner(ada.user).await.unwrap(), world.ledger.system());
    let stands = async || system.auto_stands(ada.account).await.unwrap();
    assert!(!stands().await, "nobody ever said");
    on(&world, ada, terms()).await;
    assert!(stands().await);
    owner.set_auto_top_up(AutoTerms { is_on: false, ..terms() }, "ada@example.com").await.unwrap();
    assert!(!stands().await, "off");
    owner.set_auto_top_up(terms(), "ada@example.com").await.unwrap();
    let payment = begin(&world, ada).await.unwrap().payment;
    asked(&world, &payment).await;
    tell(&world, &payment, "declined", Says::Declined { why: "no" }).await;
    assert!(!stands().await, "stopped");
    owner.set_auto_top_up(terms(), "ada@example.com").await.unwrap();
    sqlx::query("update accounts set status = 'suspended'").execute(&world.pool).await.unwrap();
    assert!(!stands().await, "suspended");
}
