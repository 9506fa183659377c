//! Payments: begun, told of, credited once.

mod disputes;
mod operators;
mod refunds;
mod transfers;

use domain::{
    id::{AccountId, PaymentId},
    money::Amount,
    payment::{Currency, Payment, PaymentState, Sum},
};
use futures_util::future::join_all;
use ledger::{Error, Event, NewPayment, News, Says, Taken};
use sqlx::PgPool;

use crate::world::{Customer, World, amount};

pub(crate) use self::{refunds::refund, transfers::back};

pub(crate) const LARGEST: Amount = Amount::from_nanos(1_000_000_000_000);

fn new_payment(world: &World, credit: &str) -> NewPayment<'static> {
    NewPayment {
        id: PaymentId::new(world.now, world.random()),
        amount: amount(credit),
        currency: Currency::USD,
        actor: "ada@example.com",
        now: world.now,
    }
}

/// A payment for which the provider has been asked.
pub(crate) async fn begun(world: &World, customer: Customer, credit: &str) -> Payment {
    let new = new_payment(world, credit);
    let owner = world.ledger.owner(customer.user).await.unwrap();
    owner.begin_payment(new).await.unwrap();
    world.ledger.system().note_session(customer.account, new.id, &session(new.id)).await.unwrap();
    owner.payment(new.id).await.unwrap()
}

fn session(id: PaymentId) -> String {
    format!("cs_{id}")
}

pub(crate) fn usd(minor: i64) -> Sum {
    Sum { minor, currency: "usd".to_owned() }
}

/// Tells something of a payment, as an event of that id.
pub(crate) async fn tell(world: &World, of: &Payment, id: &str, says: Says<'_>) -> Taken {
    tell_of(world, (of.account, of.id), Event { id, kind: "test", about: "", is_final: false }, says).await
}

async fn tell_of(world: &World, (account, payment): (AccountId, PaymentId), event: Event<'_>, says: Says<'_>) -> Taken {
    let intent = format!("pi_{payment}");
    let news = News { event: Some(event), account, payment, intent: Some(&intent), says };
    world.ledger.system().take_news(&news, LARGEST).await.unwrap()
}

/// Tells that it is paid.
pub(crate) async fn pay(world: &World, of: &Payment) -> Taken {
    let session = session(of.id);
    let says = Says::Paid { session: &session, sum: usd(of.minor), names: Some((of.account, of.id)) };
    tell(world, of, &format!("paid {}", of.id), says).await
}

pub(crate) async fn dispute(world: &World, of: &Payment, id: &str, (is_taken, is_final): (bool, bool)) -> Taken {
    let event = Event { id, kind: "test", about: "du_1", is_final };
    tell_of(world, (of.account, of.id), event, Says::Disputed { dispute: "du_1", sum: usd(of.minor), is_taken }).await
}

async fn state(world: &World, of: &Payment) -> (PaymentState, Option<String>) {
    let payment = world.ledger.system().account(of.account).payment(of.id).await.unwrap();
    (payment.state, payment.problem)
}

/// What an operator sees of it.
pub(crate) async fn problem(world: &World, of: &Payment) -> String {
    state(world, of).await.1.unwrap_or_default()
}

fn is_moved(taken: &Taken) -> bool {
    matches!(taken, Taken::Moved(_))
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn fifty_clicks_begin_one_payment(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let owner = world.ledger.owner(ada.user).await.unwrap();
    let new = new_payment(&world, "25");
    for begun in join_all((0..50).map(|_| owner.begin_payment(new))).await {
        assert_eq!(begun.unwrap().state, PaymentState::Pending);
    }
    assert_eq!(world.ledger.system().operator().payments(true, 100).await.unwrap().len(), 1);
    let other = NewPayment { amount: amount("26"), ..new };
    assert!(matches!(owner.begin_payment(other).await, Err(Error::IdempotencyConflict)));
    for wrong in ["0", "-5", "1.005"] {
        let wrong = NewPayment { amount: amount(wrong), ..new_payment(&world, "1") };
        assert!(matches!(owner.begin_payment(wrong).await, Err(Error::Invalid { field: "amount", .. })));
    }
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_is_told_a_hundred_times_is_credited_once(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    let taken = join_all((0..100).map(|_| pay(&world, &payment))).await;
    let credited = taken.iter().filter(|taken| matches!(taken, Taken::Credited(_))).count();
    assert_eq!((credited, taken.iter().filter(|taken| **taken == Taken::Before).count()), (1, 99));
    // Another event, and the answer to a question, say the same.
    let session = session(payment.id);
    let says = || Says::Paid { session: &session, sum: usd(2_500), names: Some((payment.account, payment.id)) };
    assert_eq!(tell(&world, &payment, "another", says()).await, Taken::Nothing);
    let asked = News { event: None, account: payment.account, payment: payment.id, intent: None, says: says() };
    assert_eq!(world.ledger.system().take_news(&asked, LARGEST).await.unwrap(), Taken::Nothing);
    assert_eq!(tell(&world, &payment, "ended", Says::Ended).await, Taken::Nothing, "nor does it go back");
    assert_eq!(world.balance(ada).await.balance, amount("25"));
    assert_eq!(state(&world, &payment).await, (PaymentState::Credited, None));
    world.assert_proven().await;
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_ended_and_is_paid_after_all_is_credited(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    assert_eq!(tell(&world, &payment, "waiting", Says::Waiting).await, Taken::Nothing);
    assert_eq!(tell(&world, &payment, "ended", Says::Ended).await, Taken::Ended);
    assert!(matches!(pay(&world, &payment).await, Taken::Credited(_)));
    assert_eq!(world.balance(ada).await.balance, amount("25"));
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_does_not_fit_the_payment_is_credited_to_nobody_and_waits_for_an_operator(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let (operator, first) = (world.ledger.system().operator(), begun(&world, ada, "25").await);
    let own = (first.account, first.id);
    let of_first = session(first.id);
    let wrong = [
        (of_first.as_str(), usd(2_499), Some(own), "24.99 USD was paid where 25 USD was to be"),
        (&of_first, Sum { minor: 2_500, currency: "eur".to_owned() }, Some(own), "25 EUR was paid where 25 USD was to be"),
        (&of_first, usd(2_500), Some((bob.account, first.id)), "another account"),
        (&of_first, usd(2_500), None, "another account"),
        ("cs_other", usd(2_500), Some(own), "not begun with"),
    ];
    for (number, (_, sum, names, problem)) in wrong.iter().enumerate() {
        let payment = begun(&world, ada, "25").await;
        let names = names.map(|(account, id)| (account, if id == first.id { payment.id } else { id }));
        let session = if number == 4 { "cs_other".to_owned() } else { session(payment.id) };
        let says = Says::Paid { session: &session, sum: sum.clone(), names };
        let Taken::Held(found) = tell(&world, &payment, &format!("event {number}"), says).await else { panic!("{problem}") };
        assert!(found.contains(problem), "{found}");
        assert_eq!(state(&world, &payment).await.0, PaymentState::Held);
    }
    // Somebody else's session: nothing of it reaches whom it names.
    let stolen = Says::Paid { session: &of_first, sum: usd(2_500), names: Some((bob.account, first.id)) };
    let event = Event { id: "stolen", kind: "test", about: "", is_final: false };
    assert_eq!(tell_of(&world, (bob.account, first.id), event, stolen).await, Taken::Unknown);
    let bobs = begun(&world, bob, "25").await;
    let stolen = Says::Paid { session: &of_first, sum: usd(2_500), names: Some((bob.account, bobs.id)) };
    assert!(matches!(tell(&world, &bobs, "stolen too", stolen).await, Taken::Held(_)));

    let large = begun(&world, ada, "1000.01").await;
    assert!(matches!(pay(&world, &large).await, Taken::Held(problem) if problem.contains("largest top-up")));
    let full = begun(&world, ada, "25").await;
    let most = Amount::from_nanos(i64::MAX - 1_000_000_000);
    world.ledger.system().operator().credit(ada.account, ledger::MoneyIn { amount: most, ..world.money("1", "all") }).await.unwrap();
    assert!(matches!(pay(&world, &full).await, Taken::Held(problem) if problem.contains("too large")));
    let late = begun(&world, bob, "25").await;
    sqlx::query("update accounts set status = 'closed' where account_id = $1").bind(bob.account.uuid()).execute(&world.pool).await.unwrap();
    assert!(matches!(pay(&world, &late).await, Taken::Held(problem) if problem.contains("closed")));
    assert!(world.ledger.owner(bob.user).await.unwrap().begin_payment(new_payment(&world, "5")).await.is_err());

    assert_eq!(operator.payments(false, 100).await.unwrap().len(), 9);
    assert_eq!((world.balance(ada).await.balance, world.balance(bob).await.balance), (most, Amount::ZERO));
    world.assert_proven().await;
}

async fn begun_and_paid(world: &World, customer: Customer, credit: &str) -> Payment {
    let payment = begun(world, customer, credit).await;
    pay(world, &payment).await;
    payment
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn what_stays_pending_is_looked_at_now_and_then(pool: PgPool) {
    let mut world = World::new(pool).await;
    let ada = world.customer("ada", "0").await;
    let payment = begun(&world, ada, "25").await;
    let after = chrono::TimeDelta::minutes(5);
    let looked_at = async |minutes: i64| {
        let then = world.ledger.dated(world.now + chrono::TimeDelta::minutes(minutes));
        then.system().payments_to_look_at(after).await.unwrap().len()
    };
    assert_eq!([looked_at(4).await, looked_at(5).await, looked_at(6).await, looked_at(10).await], [0, 1, 0, 1]);
    pay(&world, &payment).await;
    assert_eq!(looked_at(60).await, 0);
    let reference = world.ledger.system().payment_of(&format!("pi_{}", payment.id)).await.unwrap();
    assert_eq!(reference, Some((payment.account, payment.id)), "what refunds and disputes name it by");
}

#[sqlx::test(migrator = "ledger::MIGRATOR")]
async fn a_session_is_of_one_payment(pool: PgPool) {
    let mut world = World::new(pool).await;
    let (ada, bob) = (world.customer("ada", "0").await, world.customer("bob", "0").await);
    let (one, other) = (begun(&world, ada, "25").await, new_payment(&world, "25"));
    world.ledger.owner(bob.user).await.unwrap().begin_payment(other).await.unwrap();
    let note = async |account, id, name: &str| world.ledger.system().note_session(account, id, name).await;
    note(one.account, one.id, &session(one.id)).await.unwrap();
    assert!(matches!(note(one.account, one.id, "cs_another").await, Err(Error::IdempotencyConflict)));
    assert!(matches!(note(bob.account, other.id, &session(one.id)).await, Err(Error::IdempotencyConflict)));
    assert!(matches!(world.ledger.reader(bob.user).await.unwrap().payment(one.id).await, Err(Error::NotFound)));
    assert_eq!(world.ledger.reader(bob.user).await.unwrap().payment(other.id).await.unwrap().session, None, "nothing of it was done");
}
